//! Which clients of the web side may stay: how long each phase of a visit may last, how many may be in it, and
//! who gives up its place to a newcomer. Nobody is refused: whoever comes gets in, and the one that keeps us
//! waiting longest goes.

/// What a client is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Has not sent the whole head of its request.
    Asking,
    /// Its answer is being made or written: it waits for us.
    Answering,
    /// Takes nothing of its answer for now.
    Stalled,
    /// Was answered; keeps its connection for another request.
    Kept,
    /// All was said; the last bytes are under way.
    Parting,
}

/// The longest wait for a request's head, in seconds.
const ASKING: f64 = 3.0;
/// The longest time in which a client takes nothing of its answer, in seconds.
const STALLED: f64 = 5.0;
/// The longest time for a whole answer, in seconds; Prometheus waits 10 s by default.
const ANSWERING: f64 = 30.0;
/// How long a connection is kept between requests, in seconds: twice a scrape interval of 60 s.
const KEPT: f64 = 120.0;
/// How long the last bytes may take, in seconds.
const PARTING: f64 = 1.0;

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 5] = [Self::Asking, Self::Answering, Self::Stalled, Self::Kept, Self::Parting];

    /// When a client has been in this phase for too long, in seconds of the clock of `since`, when it entered
    /// it, and of `stalled`, since when it takes nothing of what is written to it.
    #[must_use]
    pub fn deadline(self, since: f64, stalled: Option<f64>) -> f64 {
        let whole = since
            + match self {
                Self::Asking => ASKING,
                Self::Answering | Self::Stalled => ANSWERING,
                Self::Kept => KEPT,
                Self::Parting => PARTING,
            };
        stalled.map_or(whole, |stalled| whole.min(stalled + STALLED))
    }
}

/// How many clients there may be: as many as this process has descriptors for, and never too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    all: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: Self::MOST }
    }
}

impl Places {
    /// The most there ever are. Those who ask, or wait for us, cost little and are many: at 5,000 newcomers in a
    /// second of one address, each still has 300 ms to send its request.
    const MOST: usize = 4416;
    /// The most of those whose answers lie unread, or who are kept; each may cost a page in the kernel.
    const MOST_LAZY: usize = 128;
    /// The most of those who are going.
    const MOST_PARTING: usize = 64;
    /// The share of all places that each of these may have where there are few.
    const SHARE: usize = 8;

    /// As many as there are descriptors left for clients.
    #[must_use]
    pub fn within(descriptors: u64) -> Self {
        Self {
            all: usize::try_from(descriptors).map_or(Self::MOST, |descriptors| descriptors.min(Self::MOST)),
        }
    }

    /// How many clients there may be together.
    #[must_use]
    pub const fn all(self) -> usize {
        self.all
    }

    /// How many clients may be in this phase. The sum is no more than all.
    #[must_use]
    pub fn of(self, phase: Phase) -> usize {
        let lazy = (self.all / Self::SHARE).min(Self::MOST_LAZY);
        let parting = (self.all / Self::SHARE).min(Self::MOST_PARTING);
        match phase {
            Phase::Asking | Phase::Answering => (self.all - 2 * lazy - parting) / 2,
            Phase::Stalled | Phase::Kept => lazy,
            Phase::Parting => parting,
        }
    }

    /// How many of them may come from one address: a quarter is left to the others.
    #[must_use]
    pub fn of_one_address(self, phase: Phase) -> usize {
        self.of(phase) * 3 / 4
    }
}

/// What one answer costs a connection, in seconds of its time: twenty in a second.
const ANSWER: f64 = 0.05;
/// How much of it a connection may be ahead, in seconds: twenty answers at once.
const AHEAD: f64 = 1.0;

/// How long a connection's next answer is put off, in seconds, and until when its answers are then paid for;
/// `paid` is until when they are now, both on the clock of `now`. One that asks again and again takes no more of the
/// processor than that.
#[must_use]
pub fn put_off(paid: f64, now: f64) -> (f64, f64) {
    let paid = paid.max(now) + ANSWER;
    ((paid - now - AHEAD).max(0.0), paid)
}

/// A client in a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place<A> {
    /// Where it comes from.
    pub address: A,
    /// When it entered the phase, in seconds of any one clock.
    pub since: f64,
    /// Since when we wait for it, not it for us; on the same clock.
    pub waited_for: Option<f64>,
}

/// The share of an address's places that is made free at once, so that not every newcomer has all looked at.
const MADE_FREE: usize = 32;

/// Which of the clients in a phase give up their places to one more from `newcomer`: none where there is room. Of
/// an address that has all it may have, or of the address that has most, those that are waited for longest; where
/// none is, and we are the slow ones, those that came first.
#[must_use]
pub fn pushed_out<A: Copy + Ord>(
    places: Places,
    phase: Phase,
    inside: &[Place<A>],
    newcomer: A,
) -> Vec<usize> {
    let share = places.of_one_address(phase);
    let own = inside.iter().filter(|place| place.address == newcomer).count();
    if own >= share {
        return longest(share / MADE_FREE, inside, |place| place.address == newcomer);
    }
    if inside.len() < places.of(phase) {
        return Vec::new();
    }
    let mut addresses: Vec<A> = inside.iter().map(|place| place.address).collect();
    addresses.sort_unstable();
    let count = |address: A| {
        addresses.partition_point(|&other| other <= address)
            - addresses.partition_point(|&other| other < address)
    };
    // The newcomer counts too: of two that would have as many, neither is spared.
    let most = addresses.chunk_by(PartialEq::eq).map(<[A]>::len).max().unwrap_or(0).max(own + 1);
    let has_most = |address: A| count(address) + usize::from(address == newcomer) >= most;
    longest(most / MADE_FREE, inside, |place| has_most(place.address))
}

/// Some, at least one, of those that are waited for longest, or came first.
fn longest<A>(some: usize, inside: &[Place<A>], wanted: impl Fn(&Place<A>) -> bool) -> Vec<usize> {
    let key = |place: &Place<A>| (place.waited_for.is_none(), place.waited_for.unwrap_or(place.since));
    let mut candidates: Vec<(bool, f64, usize)> = Vec::new();
    for (index, place) in inside.iter().enumerate().filter(|(_, place)| wanted(place)) {
        let (serves, since) = key(place);
        candidates.push((serves, since, index));
    }
    candidates.sort_unstable_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    candidates.into_iter().take(some.max(1)).map(|(.., index)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<A>(address: A, since: f64) -> Place<A> {
        Place { address, since, waited_for: None }
    }

    #[test]
    fn those_who_wait_for_us_go_last() {
        let (places, phase) = (Places::default(), Phase::Answering);
        let mut inside: Vec<Place<u8>> = crowd(&[(1, places.of_one_address(phase))]);
        inside[40].waited_for = Some(500.0);
        inside[50].waited_for = Some(400.0);
        for expected in [50, 40, 0] {
            assert_eq!(pushed_out(places, phase, &inside, 1).first(), Some(&expected));
            inside[expected].waited_for = None;
        }
    }

    /// So many clients of each address, the later ones younger.
    fn crowd(counts: &[(u8, usize)]) -> Vec<Place<u8>> {
        let addresses = counts.iter().flat_map(|&(address, count)| std::iter::repeat_n(address, count));
        addresses.zip(0_u32..).map(|(address, at)| place(address, f64::from(at))).collect()
    }

    #[test]
    fn whoever_comes_gets_in_and_the_longest_of_the_greediest_goes() {
        let (places, phase) = (Places::default(), Phase::Kept);
        let (all, share) = (places.of(phase), places.of_one_address(phase));
        type Row = (&'static str, Vec<Place<u8>>, u8, Option<usize>);
        let rows: [Row; 10] = [
            ("nobody is there", vec![], 1, None),
            ("there is room", crowd(&[(1, share - 1)]), 1, None),
            ("its own address has its share", crowd(&[(1, share)]), 1, Some(0)),
            ("another address has its share", crowd(&[(1, share)]), 2, None),
            (
                "its own has its share, and an older one is another's",
                crowd(&[(2, 1), (1, share)]),
                1,
                Some(1),
            ),
            ("the last place is free", crowd(&[(1, share), (2, all - share - 1)]), 2, None),
            ("full: the greediest gives", crowd(&[(2, all - share), (1, share)]), 3, Some(all - share)),
            ("full, and it would have as many", crowd(&[(1, all / 2 - 1), (2, all / 2), (3, 1)]), 1, Some(0)),
            ("full of many addresses", (0..=127).map(|a| place(a, 9.0 - f64::from(a))).collect(), 7, Some(7)),
            (
                "full of strangers that have one each",
                (1..=127).chain([127]).map(|a| place(a, f64::from(a))).collect(),
                0,
                Some(126),
            ),
        ];
        for (what, inside, newcomer, expected) in rows {
            assert_eq!(pushed_out(places, phase, &inside, newcomer).first().copied(), expected, "{what}");
        }
    }

    #[test]
    fn there_are_no_more_places_than_descriptors_and_some_of_each_kind() {
        for (descriptors, expected) in [
            (128, [40, 40, 16, 16, 16]),
            (156, [49, 49, 19, 19, 19]),
            (796, [267, 267, 99, 99, 64]),
            (4416, [2048, 2048, 128, 128, 64]),
            (1_000_000, [2048, 2048, 128, 128, 64]),
            (u64::MAX, [2048, 2048, 128, 128, 64]),
        ] {
            let places = Places::within(descriptors);
            assert_eq!(Phase::ALL.map(|phase| places.of(phase)), expected, "{descriptors}");
            assert!(expected.iter().sum::<usize>() <= places.all() && places.all() as u64 <= descriptors);
        }
        assert_eq!(Places::within(0).of(Phase::Asking), 0);
    }

    /// However they come, there are never more than there are places, and of one address never more than its share.
    #[test]
    fn no_order_of_coming_fills_more_than_the_places() {
        let few = Phase::ALL.map(|phase| (Places::within(128), phase));
        for (places, phase) in Phase::ALL.map(|phase| (Places::default(), phase)).into_iter().chain(few) {
            let mut inside: Vec<Place<u32>> = Vec::new();
            let mut random = numbers(7);
            for at in 0..4000_u32 {
                let newcomer = if random().is_multiple_of(3) { random() % 400 } else { random() % 3 };
                let mut gone = pushed_out(places, phase, &inside, newcomer);
                gone.sort_unstable();
                for index in gone.into_iter().rev() {
                    inside.remove(index);
                }
                inside.push(place(newcomer, f64::from(at)));
                let own = inside.iter().filter(|place| place.address == newcomer).count();
                assert!(inside.len() <= places.of(phase) && own <= places.of_one_address(phase));
            }
            assert!(inside.len() >= places.of(phase) * 3 / 4, "{phase:?}: the places are used");
        }
    }

    /// Numbers that look random and are the same in each run.
    fn numbers(seed: u64) -> impl FnMut() -> u32 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(state >> 33).unwrap_or_default()
        }
    }

    #[test]
    fn a_connection_gets_twenty_answers_at_once_and_twenty_in_each_second() {
        let (mut now, mut paid, mut answered) = (100.0, 0.0, 0);
        while now < 110.0 {
            let (wait, then) = put_off(paid, now);
            assert!(answered >= 20 || wait == 0.0, "the first twenty are at once");
            (now, paid, answered) = (now + wait, then, answered + 1);
        }
        assert!((219..=222).contains(&answered), "{answered} in ten seconds");
        assert_eq!(put_off(paid, now + 60.0).0, 0.0, "a scraper never waits");
    }

    #[test]
    fn how_long_each_phase_may_last() {
        let rows = [
            (Phase::Asking, None, 103.0),
            (Phase::Answering, None, 130.0),
            (Phase::Answering, Some(101.0), 106.0),
            (Phase::Answering, Some(127.0), 130.0),
            (Phase::Kept, None, 220.0),
            (Phase::Parting, None, 101.0),
        ];
        for (phase, stalled, deadline) in rows {
            assert_eq!(phase.deadline(100.0, stalled), deadline, "{phase:?}, stalled since {stalled:?}");
        }
        const { assert!(KEPT > 60.0, "a connection outlives a scrape interval of a minute") };
    }
}
