//! The rows of the catalogue and the reader of their file.

use std::sync::LazyLock;

use crate::domain::culprit::Layer;
use crate::domain::life::ending::Ending;

/// The data file. A field with a comma stands in double quotes; no field holds a quote or a line break.
const FILE: &str = include_str!("idle-timeouts.csv");

/// The first line of the file.
const HEADER: &str = "layer,vendor,product,setting,clock,default_seconds,min_seconds,max_seconds,\
on_expiry,keepalive_resets,ping_resets,confidence,source";

/// One product's timer.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it sits.
    pub layer: Layer,
    /// Who makes it.
    pub vendor: &'static str,
    /// What it is.
    pub product: &'static str,
    /// The setting, as the vendor spells it.
    pub setting: &'static str,
    /// What its clock counts.
    pub timer: Timer,
    /// The default, in seconds; infinite where there is none.
    pub default: f64,
    /// The shortest and the longest value it can be configured to, in seconds, where known.
    pub range: (Option<f64>, Option<f64>),
    /// The endings a canary may see, and whether that is verified. Empty where not known.
    pub endings: Vec<(Ending, bool)>,
    /// Whether nothing a canary could see happens at expiry.
    pub harmless: bool,
    /// Whether TCP keepalive resets the clock.
    pub keepalive_resets: Answer,
    /// Whether an application's ping resets the clock.
    pub ping_resets: Answer,
    /// How far the default is to be trusted.
    pub confidence: Confidence,
    /// Where the row comes from.
    pub source: &'static str,
}

/// What a timer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Time without traffic.
    Idle,
    /// Time since connect.
    Age,
    /// Time without an answer to something sent.
    Stall,
    /// Time inside an open transaction; a canary holds none.
    Transaction,
    /// The pause before something speaks on an idle connection: it ends nothing.
    Probe,
}

/// Whether traffic of one sort resets a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It does.
    Yes {
        /// The vendor says so; otherwise it follows from the sort of device.
        documented: bool,
    },
    /// It does not.
    No {
        /// The vendor says so; otherwise it follows from the sort of device.
        documented: bool,
    },
    /// Not known.
    Unknown,
    /// The question makes no sense for this timer.
    Moot,
}

/// How far a default is to be trusted, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// The vendor's own page or source.
    High,
    /// A good second source, or one old snapshot.
    Medium,
    /// A weak source.
    Low,
    /// Known from practice only.
    Unverified,
}

/// How an ending agrees with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// This is how it ends sessions.
    Documented,
    /// It may be: the row says so without a source, or does not say.
    Doubtful,
    /// It ends sessions in another way, as far as is known.
    Contradicted,
}

impl Entry {
    /// Vendor and product, without saying the vendor twice.
    pub fn name(&self) -> String {
        if self.product.starts_with(self.vendor) {
            self.product.to_owned()
        } else {
            format!("{} {}", self.vendor, self.product)
        }
    }

    /// Whether this entry can end a canary by such a timer at all.
    pub fn may_kill(&self, timer: Timer) -> bool {
        matches!(self.layer, Layer::Network | Layer::Proxy | Layer::Server)
            && self.timer == timer
            && self.default.is_finite()
            && !self.harmless
    }

    /// How an ending agrees with what the row says.
    pub fn expiry_of(&self, ending: Ending) -> Expiry {
        match self.endings.iter().find(|(known, _)| *known == ending) {
            Some((_, true)) => Expiry::Documented,
            Some((_, false)) => Expiry::Doubtful,
            None if self.endings.is_empty() => Expiry::Doubtful,
            None => Expiry::Contradicted,
        }
    }
}

/// Every entry, in the order of the file.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: LazyLock<Vec<Entry>> =
        LazyLock::new(|| parse(FILE).expect("the catalogue is part of the program, and a test reads it"));
    &ENTRIES
}

/// Reads a whole file, or says which line is wrong.
fn parse(text: &'static str) -> Result<Vec<Entry>, String> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return Err(format!("the first line is not {HEADER:?}"));
    }
    lines
        .enumerate()
        .map(|(index, line)| {
            let wrong = |what: &str| format!("line {}: {what}", index + 2);
            let fields = split(line).ok_or_else(|| wrong("quotes do not match"))?;
            entry(&fields).map_err(|what| wrong(&what))
        })
        .collect()
}

/// Cuts a line at its commas, outside quotes.
fn split(line: &'static str) -> Option<Vec<&'static str>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (field, after) = quoted.split_once('"')?;
            fields.push(field);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None if after.is_empty() => return Some(fields),
                None => return None,
            }
        } else if let Some((field, next)) = rest.split_once(',') {
            fields.push(field);
            rest = next;
        } else {
            fields.push(rest);
            return Some(fields);
        }
    }
}

fn entry(fields: &[&'static str]) -> Result<Entry, String> {
    let &[
        layer,
        vendor,
        product,
        setting,
        clock,
        default,
        shortest,
        longest,
        on_expiry,
        keepalive,
        ping,
        confidence,
        source,
    ] = fields
    else {
        return Err(format!("{} fields, not 13", fields.len()));
    };
    let (endings, harmless) = endings(on_expiry)?;
    Ok(Entry {
        layer: Layer::ALL
            .into_iter()
            .find(|known| known.label() == layer)
            .ok_or_else(|| format!("no layer {layer:?}"))?,
        vendor,
        product,
        setting,
        timer: match clock {
            "idle" => Timer::Idle,
            "age" => Timer::Age,
            "stall" => Timer::Stall,
            "transaction" => Timer::Transaction,
            "probe" => Timer::Probe,
            other => return Err(format!("no clock {other:?}")),
        },
        default: seconds(default)?.ok_or("no default")?,
        range: (seconds(shortest)?, seconds(longest)?),
        endings,
        harmless,
        keepalive_resets: answer(keepalive)?,
        ping_resets: answer(ping)?,
        confidence: match confidence {
            "high" => Confidence::High,
            "medium" => Confidence::Medium,
            "low" => Confidence::Low,
            "unverified" => Confidence::Unverified,
            other => return Err(format!("no confidence {other:?}")),
        },
        source,
    })
}

fn seconds(text: &str) -> Result<Option<f64>, String> {
    match text {
        "" => Ok(None),
        "inf" => Ok(Some(f64::INFINITY)),
        number => number
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite() && *number >= 0.0)
            .map(Some)
            .ok_or_else(|| format!("{number:?}, not an age in seconds")),
    }
}

/// Endings in the words of [`Ending::label`], with a question mark where that is not verified; or
/// `unknown`; or `none` and `client_close` where nothing happens that a canary could see.
fn endings(text: &str) -> Result<(Vec<(Ending, bool)>, bool), String> {
    match text {
        "none" | "client_close" => return Ok((Vec::new(), true)),
        "unknown" => return Ok((Vec::new(), false)),
        _ => {}
    }
    let endings = text
        .split('|')
        .map(|word| {
            let verified = !word.ends_with('?');
            let label = word.trim_end_matches('?');
            Ending::ALL
                .into_iter()
                .find(|ending| ending.label() == label)
                .map(|ending| (ending, verified))
                .ok_or_else(|| format!("no ending {label:?}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((endings, false))
}

fn answer(text: &str) -> Result<Answer, String> {
    match text {
        "yes" => Ok(Answer::Yes { documented: true }),
        "yes?" => Ok(Answer::Yes { documented: false }),
        "no" => Ok(Answer::No { documented: true }),
        "no?" => Ok(Answer::No { documented: false }),
        "unknown" => Ok(Answer::Unknown),
        "none" => Ok(Answer::Moot),
        other => Err(format!("no answer {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_reads_and_has_a_source() {
        let rows = parse(FILE).expect("the catalogue");
        assert!(rows.len() > 100, "{} rows", rows.len());
        for row in &rows {
            assert!(!row.vendor.is_empty() && !row.product.is_empty() && !row.setting.is_empty(), "{row:?}");
            assert!(row.source.len() >= 8, "no source: {row:?}");
            assert!(row.name().len() <= 64, "too long for a label: {}", row.name());
            if let (Some(shortest), Some(longest)) = row.range {
                assert!(shortest <= longest, "{row:?}");
                if row.default.is_finite() {
                    assert!(shortest <= row.default && row.default <= longest, "{row:?}");
                }
            }
        }
    }

    #[test]
    fn ages_are_seconds() {
        for row in parse(FILE).expect("the catalogue") {
            // Five days is the longest default known: anything above is milliseconds by mistake.
            assert!(row.default.is_infinite() || row.default <= 432_000.0, "{row:?}");
        }
    }

    #[test]
    fn a_row_without_a_source_is_not_trusted() {
        for row in parse(FILE).expect("the catalogue") {
            if row.source.contains("no vendor page") || row.source.contains("not verified") {
                assert!(row.confidence >= Confidence::Low, "{row:?}");
                assert!(row.endings.iter().all(|(_, verified)| !verified), "{row:?}");
            }
        }
    }

    #[test]
    fn bad_files_name_the_line() {
        assert_eq!(split("a,\"b,c\",d"), Some(vec!["a", "b,c", "d"]));
        assert_eq!(split("a,\"b"), None);
        assert_eq!(split("\"a\"b"), None);
        assert_eq!(entry(&["network"]), Err("1 fields, not 13".to_owned()));
        assert_eq!(seconds("350ms"), Err("\"350ms\", not an age in seconds".to_owned()));
        assert_eq!(endings("fin|bang"), Err("no ending \"bang\"".to_owned()));
        assert!(parse("layer\n").is_err());
    }
}
