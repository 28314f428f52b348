//! Durations as Prometheus writes them: `90s`, `5m`, `1h30m`, `250ms`.

/// A text that is no duration, with what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}, not a duration: write a number and a unit (ms, s, m, h, d, w, y), such as 90s or 1h30m")]
pub struct DurationError {
    text: String,
}

/// The units in falling order, with their length in milliseconds; a duration names each at most once,
/// in this order, as in Prometheus' own grammar.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Parses a Prometheus duration and gives seconds. A bare `0` is zero.
///
/// # Errors
/// When the text is not such a duration, or its length does not fit.
pub fn parse_seconds(text: &str) -> Result<f64, DurationError> {
    let milliseconds = parse_milliseconds(text).ok_or_else(|| DurationError { text: text.to_owned() })?;
    Ok(milliseconds as f64 / 1000.0)
}

fn parse_milliseconds(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0_u64;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let place = UNITS.iter().position(|(unit, _)| *unit == &rest[..letters])?;
        if place < next_unit {
            return None;
        }
        next_unit = place + 1;
        total = total.checked_add(number.checked_mul(UNITS[place].1)?)?;
        rest = &rest[letters..];
    }
    (next_unit > 0).then_some(total)
}

/// Writes seconds the way [`parse_seconds`] reads them, in the largest units that lose nothing.
pub fn format_seconds(seconds: f64) -> String {
    let mut left = (seconds * 1000.0).round().max(0.0) as u64;
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, length) in UNITS.iter().skip(2) {
        let count = left / length;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            left -= count * length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_prometheus_reads() {
        for (text, seconds) in [
            ("0", 0.0),
            ("0s", 0.0),
            ("90s", 90.0),
            ("5m", 300.0),
            ("8h", 28800.0),
            ("1h30m", 5400.0),
            ("250ms", 0.25),
            ("1d", 86400.0),
            ("1w2d", 777_600.0),
            ("1y", 31_536_000.0),
        ] {
            assert_eq!(parse_seconds(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in
            ["", "5", "s", "5x", "1m1h", "1s1s", "-5s", "1.5s", "99999999999999999999s", "5 s", "µs", "5µs"]
        {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["0s", "90ms", "1m30s", "8h", "1d2h"] {
            assert_eq!(format_seconds(parse_seconds(text).expect("good")), text);
        }
    }
}
