//! Where a host's name leads: the addresses that look-ups gave lately, and when they became others. A rotation among
//! known addresses is no move, nor is one more or one less.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// For how long an address that is not given any more is remembered: a name may lead to many in turn, and a settled
/// path logs in a few times in that time.
const MEMORY: Duration = Duration::from_secs(24 * 3600);
/// How long a move may take to reach every name server: one that gives the former addresses within it has not heard.
const SPREADS: Duration = Duration::from_secs(5 * 60);

/// The addresses that a name leads to. Times are arguments.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    /// Those of now, and when a look-up last gave each.
    known: BTreeMap<IpAddr, Instant>,
    /// Those from before the last move.
    former: BTreeMap<IpAddr, Instant>,
    moved_at: Option<Instant>,
    /// How many moves there were.
    moves: u64,
}

/// A name leads elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// The addresses before, in words.
    pub(super) from: String,
    /// The addresses now, in words.
    pub(super) to: String,
}

impl Whereabouts {
    /// How many moves there were.
    pub(super) fn moves(&self) -> u64 {
        self.moves
    }

    /// A session logged in at one of these addresses, which a look-up gave. Gives after how many moves the address is
    /// one, and the move where this is its first sight.
    ///
    /// It is a move where none of the addresses is known. Former ones shortly after a move are a name server's that has
    /// not heard of it; later they are a rotation with those of now.
    pub(super) fn arrived(&mut self, found: &[IpAddr], at: Instant) -> (u64, Option<Moved>) {
        let is_recent = |seen: &Instant| at.saturating_duration_since(*seen) <= MEMORY;
        self.former.retain(|_, seen| is_recent(seen));
        let found: BTreeSet<IpAddr> = found.iter().map(IpAddr::to_canonical).collect();
        let is_among = |those: &BTreeMap<IpAddr, Instant>| found.iter().any(|one| those.contains_key(one));
        let mut moved = None;
        if !self.known.is_empty() && !is_among(&self.known) {
            if is_among(&self.former) {
                if self.moved_at.is_some_and(|moved| at.saturating_duration_since(moved) <= SPREADS) {
                    return (self.moves.saturating_sub(1), None);
                }
                self.known.append(&mut self.former);
            } else {
                moved = Some(Moved { from: words(self.known.keys()), to: words(&found) });
                self.former.append(&mut self.known);
                (self.moves, self.moved_at) = (self.moves + 1, Some(at));
            }
        }
        self.known.extend(found.into_iter().map(|one| (one, at)));
        // What was just given stays in any case.
        self.known.retain(|_, seen| is_recent(seen));
        (self.moves, moved)
    }
}

fn words<'a>(addresses: impl IntoIterator<Item = &'a (impl fmt::Display + 'a)>) -> String {
    addresses.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After each look-up, at so many seconds: how many moves there were, and which one its session is of.
    fn walked(look_ups: &[(u64, &str)]) -> Vec<(u64, u64)> {
        let (mut whereabouts, begun) = (Whereabouts::default(), Instant::now());
        let look_up = |&(seconds, addresses): &(u64, &str)| {
            let found: Vec<IpAddr> = addresses.split(' ').map(|one| one.parse().expect(one)).collect();
            let (of, moved) = whereabouts.arrived(&found, begun + Duration::from_secs(seconds));
            assert_eq!(moved.is_some(), moved.as_ref().is_some_and(|moved| moved.from != moved.to));
            (whereabouts.moves(), of)
        };
        look_ups.iter().map(look_up).collect()
    }

    const A: &str = "10.0.0.1";
    const B: &str = "10.0.0.2";
    const C: &str = "fd00::3";
    const HOUR: u64 = 3600;

    #[test]
    fn a_set_of_which_nothing_is_known_is_a_move() {
        assert_eq!(walked(&[(0, A), (1, A), (2, B), (3, B)]), [(0, 0), (0, 0), (1, 1), (1, 1)]);
        assert_eq!(walked(&[(0, A), (HOUR, B), (2 * HOUR, C)]), [(0, 0), (1, 1), (2, 2)]);
        assert_eq!(walked(&[(0, "10.0.0.1 10.0.0.2"), (9, C)]), [(0, 0), (1, 1)]);
        // The same address, spelled for IPv6.
        assert_eq!(walked(&[(0, A), (1, "::ffff:10.0.0.1")]), [(0, 0), (0, 0)]);
    }

    #[test]
    fn a_rotation_among_known_ones_is_none() {
        let both = "10.0.0.1 10.0.0.2";
        assert_eq!(walked(&[(0, both), (1, A), (2, B), (3, "10.0.0.2 10.0.0.1")]), [(0, 0); 4]);
        // One more, one less, one after the other.
        assert_eq!(walked(&[(0, A), (1, both), (2, "10.0.0.2 fd00::3"), (3, C), (4, A)]), [(0, 0); 5]);
    }

    #[test]
    fn name_servers_that_have_not_heard_of_a_move_are_no_second_one() {
        assert_eq!(
            walked(&[(0, A), (1, B), (2, A), (200, A), (201, B)]),
            [(0, 0), (1, 1), (1, 0), (1, 0), (1, 1)]
        );
    }

    #[test]
    fn a_name_that_leads_to_one_of_many_in_turn_moves_no_more_once_they_are_known() {
        let turns: Vec<(u64, &str)> =
            (0..30).map(|turn| (turn * HOUR, [A, B, C][turn as usize % 3])).collect();
        assert_eq!(walked(&turns).last(), Some(&(2, 2)));
        // What was not given for a day is not known any more.
        assert_eq!(walked(&[(0, A), (HOUR, B), (30 * HOUR, A)]), [(0, 0), (1, 1), (2, 2)]);
    }

    #[tokio::test]
    async fn a_move_says_from_where_to_where() {
        let mut whereabouts = Whereabouts::default();
        let parse = |text: &str| text.parse::<IpAddr>().expect(text);
        whereabouts.arrived(&[parse(B), parse(A)], Instant::now());
        let moved = Moved { from: format!("{A}, {B}"), to: C.to_owned() };
        assert_eq!(whereabouts.arrived(&[parse(C)], Instant::now()), (1, Some(moved)));
    }
}
