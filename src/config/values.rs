//! Single values as flags and the configuration file write them: what they may be, and what to write instead.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::settings::FEWEST_CONNECTIONS;
use crate::domain::layers::pool::check_name;
use crate::domain::life::duration::{self, DurationError};
use crate::domain::limit::ladder::{LONGEST_AGE_SECONDS, SHORTEST_AGE_SECONDS};

/// A number of connections.
pub(super) fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "write a whole number, such as 12".to_owned())
}

/// The connections of the path that reads the server view.
pub(super) fn parse_budget(text: &str) -> Result<usize, String> {
    let count = parse_count(text)?;
    if count < FEWEST_CONNECTIONS {
        return Err(format!(
            "one rung needs {FEWEST_CONNECTIONS} connections (the canary, its witness, the server view): give {FEWEST_CONNECTIONS} or more"
        ));
    }
    Ok(count)
}

/// A duration above zero, a year at most.
pub(super) fn parse_positive(text: &str) -> Result<Duration, String> {
    let seconds = duration::parse_seconds(text).map_err(|error: DurationError| error.to_string())?;
    if seconds <= 0.0 {
        return Err("must be longer than nothing, write for example 10s".to_owned());
    }
    if seconds > LONGEST_AGE_SECONDS {
        return Err("must be a year (1y) at most".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Up to which idle age to look: nothing, or a second to a day.
pub(super) fn parse_max_age(text: &str) -> Result<Duration, String> {
    const LONGEST_SECONDS: f64 = 86_400.0;
    let seconds = duration::parse_seconds(text).map_err(|error: DurationError| error.to_string())?;
    if seconds != 0.0 && !(SHORTEST_AGE_SECONDS..=LONGEST_SECONDS).contains(&seconds) {
        return Err("write 0s, or from 1s to 1d: what takes longer is the exporter's work".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// How often the server is asked.
pub(super) fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_positive(text)?;
    if interval < Duration::from_secs(1) {
        return Err("must be 1s or more: each round asks the server several questions".to_owned());
    }
    Ok(interval)
}

/// A MySQL user.
pub(super) fn parse_user(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("an empty name: write MySQL users, such as mysqld_exporter,backup".to_owned()),
        user => Ok(user.to_owned()),
    }
}

/// A share, from its percentage.
pub(super) fn parse_precision(text: &str) -> Result<f64, String> {
    let wrong = || "write a share from 0.1% to 50%, such as 1%".to_owned();
    let percent: f64 =
        text.strip_suffix('%').and_then(|number| number.trim().parse().ok()).ok_or_else(wrong)?;
    if (0.1..=50.0).contains(&percent) { Ok(percent / 100.0) } else { Err(wrong()) }
}

/// The name of a target.
pub(super) fn parse_target_name(text: &str) -> Result<String, String> {
    check_name(text).map_err(|error| error.to_string())
}

/// Where to listen.
pub(super) fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    let whole = match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => text.to_owned(),
    };
    whole
        .parse()
        .map_err(|_| "write :PORT, IP:PORT or [IPv6]:PORT, such as :10052 or 127.0.0.1:10052".to_owned())
}

/// The path of the metrics page.
pub(super) fn parse_telemetry_path(text: &str) -> Result<String, String> {
    match text {
        "/" | "/-/healthy" | "/-/ready" => {
            Err("that page is another one: write for example /metrics".to_owned())
        }
        _ if !text.starts_with('/') => {
            Err("a path begins with a slash: write for example /metrics".to_owned())
        }
        _ => match text.chars().find(|&c| !c.is_ascii_alphanumeric() && !"/-_.~".contains(c)) {
            Some(stranger) => Err(format!(
                "{stranger:?} cannot stand in it: write letters, digits and /-_.~ only, for example /metrics"
            )),
            None => Ok(text.to_owned()),
        },
    }
}
