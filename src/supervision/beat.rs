//! The beat that whatever wakes regularly keeps: timers that are due together cost one wake-up of an idle process.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// For how long to sleep until the next beat of those that are so far apart, counted from the first call of all.
pub fn until_next(period: Duration) -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let now = Instant::now();
    remaining(now.saturating_duration_since(*FIRST.get_or_init(|| now)), period)
}

fn remaining(since_first: Duration, period: Duration) -> Duration {
    let into = since_first.as_nanos().checked_rem(period.as_nanos()).unwrap_or(0);
    period.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_of_multiples_fall_together() {
        let seconds = Duration::from_secs_f64;
        for (since_first, period, left) in
            [(0.0, 4.0, 4.0), (1.5, 4.0, 2.5), (1.5, 2.0, 0.5), (8.0, 4.0, 4.0), (9.0, 2.0, 1.0)]
        {
            assert_eq!(
                remaining(seconds(since_first), seconds(period)),
                seconds(left),
                "{since_first} {period}"
            );
        }
        assert_eq!(remaining(seconds(3.0), Duration::ZERO), Duration::ZERO);
    }
}
