//! The logarithmic axis of idle ages.

/// How much of the width is left free at each end, in percent.
const MARGIN: f64 = 2.0;
/// How far apart two ticks are at least, in percent: their words need room on a telephone.
const APART: f64 = 12.0;
/// What is drawn is never shorter or longer than this, in seconds.
const BOUNDS: (f64, f64) = (0.01, 10.0 * 365.0 * 86_400.0);
/// The ages that ticks may stand at, in seconds: those that stand if there is room, then those between.
const TICKS: [&[f64]; 3] = [
    &[1.0, 10.0, 60.0, 600.0, 3600.0, 28_800.0, 86_400.0, 604_800.0, 2_592_000.0, 31_536_000.0],
    &[0.1, 5.0, 30.0, 300.0, 1800.0, 7200.0, 14_400.0, 43_200.0, 172_800.0],
    &[
        0.5, 2.0, 3.0, 15.0, 20.0, 45.0, 120.0, 180.0, 240.0, 420.0, 900.0, 1200.0, 2700.0, 5400.0, 10_800.0,
        21_600.0,
    ],
];

/// An axis from one age to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// An axis that all these ages stand on, in seconds; those that are no ages are passed over.
    pub(super) fn over(ages: impl Iterator<Item = f64>) -> Self {
        let ages = ages.filter(|age| age.is_finite() && *age > 0.0).map(|age| age.clamp(BOUNDS.0, BOUNDS.1));
        let (low, high) =
            ages.fold((f64::INFINITY, 0.0), |(low, high), age: f64| (age.min(low), age.max(high)));
        if low > high {
            return Self { low: 1.0, high: 3600.0 };
        }
        Self { low: low / 1.25, high: high * 1.25 }
    }

    /// Where an age stands, in percent of the width; at an end where it lies beyond.
    pub(super) fn at(self, seconds: f64) -> f64 {
        let share = (seconds.max(BOUNDS.0) / self.low).ln() / (self.high / self.low).ln();
        MARGIN + (100.0 - 2.0 * MARGIN) * share.clamp(0.0, 1.0)
    }

    /// Whether an age lies past the right end.
    pub(super) fn is_beyond(self, seconds: f64) -> bool {
        seconds > self.high
    }

    /// The ages whose ticks have room, in rising order.
    pub(super) fn ticks(self) -> Vec<f64> {
        let mut ticks: Vec<f64> = Vec::new();
        for age in TICKS.into_iter().flatten().copied().filter(|age| (self.low..=self.high).contains(age)) {
            let at = self.at(age);
            let has_room = (MARGIN + 1.0..99.0 - MARGIN).contains(&at)
                && ticks.iter().all(|tick| (self.at(*tick) - at).abs() >= APART);
            if has_room {
                ticks.push(age);
            }
        }
        ticks.sort_by(f64::total_cmp);
        ticks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_ladder_has_ticks_that_people_know() {
        let axis = Axis::over([30.0, 28_800.0].into_iter());
        assert_eq!(axis.ticks(), [60.0, 180.0, 600.0, 3600.0, 10_800.0, 28_800.0]);
        assert_eq!(Axis::over(std::iter::empty()), Axis { low: 1.0, high: 3600.0 });
    }

    proptest! {
        /// Older stands further right, all stand on it, and ticks keep apart.
        #[test]
        fn an_axis_keeps_the_order_of_ages(mut ages in prop::collection::vec(prop::num::f64::ANY, 0..20)) {
            let axis = Axis::over(ages.iter().copied());
            ages.retain(|age| !age.is_nan());
            ages.sort_by(f64::total_cmp);
            let places: Vec<f64> = ages.iter().map(|age| axis.at(*age)).collect();
            prop_assert!(places.is_sorted(), "{places:?}");
            prop_assert!(places.iter().all(|at| (MARGIN..=100.0 - MARGIN).contains(at)), "{places:?}");
            let ticks = axis.ticks();
            for pair in ticks.windows(2) {
                prop_assert!(axis.at(pair[1]) - axis.at(pair[0]) >= APART, "{ticks:?}");
            }
        }
    }
}
