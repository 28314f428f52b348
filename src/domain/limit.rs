//! The idle limit: between the longest age survived and the shortest age died at.

use super::kind::Kind;
use super::observation::{Fate, History};

/// What a path's observations say of the age at which canaries of one kind die. All in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct IdleLimit {
    /// The longest age survived that no later death contradicts. Zero while nothing was survived.
    pub lower: f64,
    /// The shortest age died at, or found dead at. Absent while nothing died.
    pub upper: Option<f64>,
    /// Whether `upper` is the age of the death itself, so that the limit is known exactly.
    pub exact: bool,
    /// When the newest evidence of either bound was seen, in seconds since the Unix epoch. Absent
    /// while there is none.
    pub evidence_at: Option<f64>,
    /// Deaths that bear the upper bound out.
    pub deaths: usize,
    /// Survivals that bear the lower bound out.
    pub survivals: usize,
}

/// Reads the limit of one kind from a path's history.
///
/// Newer evidence wins: a survival drops every older death at or below its age, a death drops every
/// older survival at or above its age. So a limit that moves is followed in both directions.
pub fn idle_limit(history: &History, kind: Kind) -> IdleLimit {
    let mut survived: Vec<(f64, f64)> = Vec::new();
    let mut died: Vec<(f64, f64, bool)> = Vec::new();
    for seen in history.iter().filter(|seen| seen.kind == kind) {
        match seen.fate {
            Fate::Lived => {
                died.retain(|&(age, _, _)| age > seen.age);
                survived.push((seen.age, seen.at));
            }
            Fate::Died { exact, .. } if seen.is_bounding_death() => {
                survived.retain(|&(age, _)| age < seen.age);
                died.push((seen.age, seen.at, exact));
            }
            Fate::Died { .. } => {}
        }
    }
    let lower = survived.iter().map(|&(age, _)| age).fold(0.0, f64::max);
    let shortest = died.iter().copied().min_by(|a, b| a.0.total_cmp(&b.0));
    let newest = |times: &mut dyn Iterator<Item = f64>| {
        times.fold(None, |newest: Option<f64>, at| Some(newest.map_or(at, |n| n.max(at))))
    };
    IdleLimit {
        lower,
        upper: shortest.map(|(age, _, _)| age),
        exact: shortest.is_some_and(|(_, _, exact)| exact),
        evidence_at: newest(&mut survived.iter().map(|s| s.1).chain(died.iter().map(|d| d.1))),
        deaths: died.len(),
        survivals: survived.len(),
    }
}
