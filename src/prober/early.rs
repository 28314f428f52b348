//! Early twins: where somebody waits for the answer, twins are sent out with the first canaries and are aimed once
//! something dies, so that what they show is known a whole life sooner. In the long run that would hold connections for
//! nothing: there they are sent out where they decide something.

use tokio::time::Instant;

use super::Prober;
use super::flights::Launch;
use super::life::World;
use crate::domain::culprit::twins;
use crate::domain::life::kind::Kind;
use crate::domain::limit::IdleLimit;

/// The kinds that can be aimed late, the most telling first. A statement that sleeps cannot.
const EARLY: [Kind; 2] = [Kind::Active, Kind::Keepalive];

/// How many of a kind, by how many canaries there may be: a death of one may be a stray, and is repeated, and so is the life
/// of one that pings.
const fn of_each(kind: Kind, canaries: usize) -> usize {
    match (kind, canaries) {
        (_, 12..) | (Kind::Active, 6..) => 2,
        (_, 6..) => 1,
        _ => 0,
    }
}

impl<W: World> Prober<W> {
    /// The twins to send out now, before anything died.
    pub(super) fn plan_early_twins(&self, idle: &IdleLimit) -> Vec<Launch> {
        let something_died = idle.upper.is_some() || self.undecided.awaits_twins();
        if !self.settings.hurried || something_died {
            return Vec::new();
        }
        let longest = self.settings.ladder.longest();
        let missing = |kind| of_each(kind, self.settings.canaries).saturating_sub(self.flights.early(kind));
        let launch = |kind| Launch { kind, age: longest, longest, early: true, spread: 0.0 };
        EARLY.into_iter().flat_map(|kind| std::iter::repeat_n(launch(kind), missing(kind))).collect()
    }

    /// Aims those that are out at a limit that is known now: no further than it takes to outlive it.
    pub(super) fn aim_early_twins(&mut self, limit: &IdleLimit) {
        let Some(upper) = limit.upper else { return };
        let wanted = twins::probe_age(limit.spread_to.unwrap_or(upper).max(upper));
        let now = Instant::now();
        let late: Vec<(u64, f64)> = self
            .flights
            .iter()
            .filter(|(_, flight)| flight.early && flight.is_well() && flight.age > wanted)
            .filter_map(|(id, flight)| {
                let idle = now.saturating_duration_since(flight.born?).as_secs_f64();
                // One that is older already has outlived it, and is asked at once.
                let age = wanted.max(idle);
                (flight.age - age > 0.05).then_some((id, age))
            })
            .collect();
        late.into_iter().for_each(|(id, age)| self.flights.aim(id, age));
    }
}
