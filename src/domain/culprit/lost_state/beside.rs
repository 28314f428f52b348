//! The lives of one server that are compared to tell of its silent deaths.

use super::Life;

/// So many of the newest lives are looked at ...
const LOOKED_AT: usize = 640;
/// ... and so many that tell are compared.
pub const COMPARED: usize = 160;

/// The lives of one server that tell of silent deaths.
#[derive(Debug, Clone, PartialEq)]
pub struct Beside {
    /// The newest, in any order.
    pub lives: Vec<Life>,
    /// How long those lived together that are left out of them, in seconds: they live on at less than half the age of
    /// the youngest that died, are many, and tell of nothing but flows that are forgotten here and there.
    pub young: f64,
    /// When the oldest of them was seen, in seconds since the Unix epoch, where older ones are left out; infinitely long
    /// ago where none are.
    pub since: f64,
}

impl Beside {
    /// Of the newest lives, and of these too, which died.
    pub fn of(newest_first: impl Iterator<Item = Life>, dead: Vec<Life>) -> Self {
        let looked_at: Vec<Life> = newest_first.take(LOOKED_AT).collect();
        let all_dead = looked_at.iter().filter(|life| life.is_dead).chain(&dead);
        let youngest = all_dead.map(Life::age).fold(f64::INFINITY, f64::min);
        let mut beside = Self::all(dead);
        if let Some(oldest) = looked_at.get(LOOKED_AT - 1) {
            beside.since = oldest.seen;
        }
        let mut oldest = f64::INFINITY;
        for life in looked_at {
            if !life.is_dead && life.age() < youngest / 2.0 {
                beside.young += life.age();
            } else if beside.lives.len() < COMPARED {
                beside.lives.push(life);
                oldest = life.seen;
            } else {
                beside.since = oldest;
                break;
            }
        }
        beside
    }

    /// Of all these.
    pub fn all(lives: Vec<Life>) -> Self {
        Self { lives, young: 0.0, since: f64::NEG_INFINITY }
    }
}
