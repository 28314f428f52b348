//! What the calendar says now. It may be set at any moment: what is ordered or measured goes by the
//! runtime's clock instead.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch, now; zero before it.
pub fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
