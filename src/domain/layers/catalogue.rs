//! The catalogue: which products end idle sessions by default, at which age and how, each with its source.
//!
//! The rows are data, in `catalogue/idle-timeouts.csv`. A match is a suspect, never a proof: nearly
//! every default is shared by several products, and most can be configured to anything.

mod file;

use crate::domain::culprit::{Culprit, Layer};
use crate::domain::layers::{Clock, in_words};
use crate::domain::life::ending::Ending;

pub use file::{Answer, Confidence, Entry, Expiry, Timer, entries};

/// The most suspects one question is answered with.
pub const MOST_SUSPECTS: usize = 3;

/// The label text where no entry fits.
pub const NO_SUSPECT: &str = "none";

/// How much later than its default a timer may act that is found out by a probe, as a share of it. IPVS at
/// 900 s was measured at 901 to 903 s.
const LATE_SHARE: f64 = 0.02;
/// How much later on top, in seconds: some devices look at their clocks every 10 to 30 s, and IPVS in
/// a virtual machine was measured at 910 to 920 s.
const LATE_SECONDS: f64 = 30.0;
/// And at most this share of the default: a device of 60 s that looks every 30 s would keep no promise.
const LATE_SECONDS_SHARE: f64 = 0.25;
/// A fit this close, in seconds beyond [`LATE_SHARE`], is preferred to a later one.
const NEAR_SECONDS: f64 = 5.0;
/// How much later than its default a timer may be seen to fire whose FIN, RST or goodbye dates the death
/// itself, as a share of it and in seconds on top: pool-of-threads was measured 0.1 to 0.25 s late, HAProxy,
/// MySQL and MariaDB 0.05 s. The shortest of several deaths is compared, so a coarse clock soon shows its
/// own setting.
const EXACT_LATE: (f64, f64) = (0.005, 0.5);
/// How much earlier, in seconds: the timer starts a moment before the client has read the last answer.
const EARLY_SECONDS: f64 = 0.25;

/// What was measured, and is looked for in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question {
    /// The longest age survived, in seconds.
    pub lower: f64,
    /// The shortest age died at, or found dead at, in seconds.
    pub upper: f64,
    /// Whether `upper` is the age of the death itself.
    pub exact: bool,
    /// Whether the age is an idle age or one since connect.
    pub clock: Clock,
    /// What the wire showed, where known.
    pub ending: Option<Ending>,
    /// Whether the twin with TCP keepalive outlived this age. `None` while not measured.
    pub keepalive_lived: Option<bool>,
    /// Who did it; it narrows the layer.
    pub culprit: Culprit,
}

/// A catalogue entry that fits what was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// The entry.
    pub entry: &'static Entry,
}

impl Suspect {
    /// The value of the label `suspect`: vendor and product, such as "AWS NLB (TCP listener)".
    pub fn label(&self) -> String {
        self.entry.name()
    }

    /// The suspicion in words that claim no more than the entry's confidence allows.
    pub fn words(&self) -> String {
        let Entry { setting, default, range, confidence, .. } = self.entry;
        let name = self.entry.name();
        let default = in_words(*default);
        let default = match confidence {
            Confidence::High => format!("{default} is the default of {name}, {setting}"),
            Confidence::Medium => format!("{default} is probably the default of {name}, {setting}"),
            Confidence::Low => {
                format!("{default} may be the default of {name}, {setting}, from a weak source")
            }
            Confidence::Unverified => {
                format!("{default} may be the default of {name}, {setting}, unverified")
            }
        };
        match *range {
            (Some(shortest), Some(longest)) if shortest < longest => {
                format!("{default}; configurable from {} to {}", in_words(shortest), in_words(longest))
            }
            (Some(_) | None, Some(_) | None) => default,
        }
    }
}

/// The entries that fit best, at most [`MOST_SUSPECTS`], best first. Client pools and kernels are
/// never suspects: a canary uses no pool, and its socket's settings are its own.
pub fn suspects(question: &Question) -> Vec<Suspect> {
    let mut fits: Vec<(Rank, &'static Entry)> =
        entries().iter().filter_map(|entry| rank(question, entry).map(|rank| (rank, entry))).collect();
    fits.sort_by(|a, b| {
        let (a, b) = (a.0, b.0);
        (a.late, a.doubtful_ending, a.confidence)
            .cmp(&(b.late, b.doubtful_ending, b.confidence))
            .then(a.distance.total_cmp(&b.distance))
    });
    // A product that fits only by being late is no suspect beside one that fits at once.
    if fits.first().is_some_and(|(best, _)| !best.late) {
        fits.retain(|(rank, _)| !rank.late);
    }
    fits.into_iter().take(MOST_SUSPECTS).map(|(_, entry)| Suspect { entry }).collect()
}

/// The label of the best suspect, or [`NO_SUSPECT`].
pub fn suspect_label(question: &Question) -> String {
    suspects(question).first().map_or_else(|| NO_SUSPECT.to_owned(), Suspect::label)
}

/// The distinct finite idle defaults of network, proxy and server entries, rising, in seconds: the
/// ages around which a bracket is worth cutting first.
pub fn common_timeouts() -> Vec<f64> {
    let mut ages: Vec<f64> =
        entries().iter().filter(|entry| entry.may_kill(Timer::Idle)).map(|entry| entry.default).collect();
    ages.sort_by(f64::total_cmp);
    ages.dedup();
    ages
}

/// How well an entry fits; smaller is better.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rank {
    /// It fits only with a lateness seen in few products.
    late: bool,
    /// Its ending is unknown, or is not verified.
    doubtful_ending: bool,
    confidence: Confidence,
    /// Between the default and the shortest age died at, in seconds.
    distance: f64,
}

fn rank(question: &Question, entry: &Entry) -> Option<Rank> {
    let timer = match question.clock {
        Clock::Idle => Timer::Idle,
        Clock::Age => Timer::Age,
        Clock::Stall => return None,
    };
    if !entry.may_kill(timer) || !layer_fits(question.culprit, entry.layer) {
        return None;
    }
    if !fits_age(question, entry.default, LATE_SECONDS) {
        return None;
    }
    // Inferred answers count here as documented ones do: whether packets reset a timer follows from
    // whether the device ends the TCP connection.
    let contradicted = match (question.keepalive_lived, entry.keepalive_resets) {
        (Some(true), Answer::No { .. }) | (Some(false), Answer::Yes { .. }) => true,
        (Some(_) | None, _) => false,
    };
    if contradicted {
        return None;
    }
    let doubtful_ending = match question.ending {
        None => false,
        Some(ending) => match entry.expiry_of(ending) {
            Expiry::Documented => false,
            Expiry::Doubtful => true,
            Expiry::Contradicted => return None,
        },
    };
    Some(Rank {
        late: !fits_age(question, entry.default, NEAR_SECONDS),
        doubtful_ending,
        confidence: entry.confidence,
        distance: (question.upper - entry.default).abs(),
    })
}

/// A culprit whose layer is not known may sit in any of the three; what is no timer has no default.
fn layer_fits(culprit: Culprit, layer: Layer) -> bool {
    match culprit {
        Culprit::ServerIdleTimeout => layer == Layer::Server,
        Culprit::ProxyIdleTimeout => layer == Layer::Proxy,
        Culprit::NetworkIdleTimeout => layer == Layer::Network,
        Culprit::LifetimeLimit | Culprit::Unknown => true,
        Culprit::ServerKill
        | Culprit::ServerRestart
        | Culprit::NetworkStateLoss
        | Culprit::MassDisconnect => false,
    }
}

/// Whether a timer of this default may have done it. Timers fire late, never early. A FIN, RST or goodbye
/// dates the death itself, so its own age must lie at the default or a moment past it, however wide the
/// bracket is. Of a silent death it is known only that it lies in (lower, upper], and the devices that are
/// silent look at their clocks seldom: that bracket and the default's window must overlap.
fn fits_age(question: &Question, default: f64, late_seconds: f64) -> bool {
    let earliest = default - EARLY_SECONDS;
    if question.exact {
        let (share, seconds) = EXACT_LATE;
        question.upper >= earliest && question.upper <= default * (1.0 + share) + seconds
    } else {
        let latest = default * (1.0 + LATE_SHARE) + late_seconds.min(default * LATE_SECONDS_SHARE);
        question.upper >= earliest && question.lower < latest
    }
}

#[cfg(test)]
mod tests;
