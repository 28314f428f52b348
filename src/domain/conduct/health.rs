//! The exporter's own loops: their names, how long one rests after failed rounds, and whether what the
//! exporter says can be relied on.

/// A permanent part of the exporter, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loop {
    /// The loop of one path, which plans canaries and counts their outcomes.
    Prober,
    /// The lives of the canaries, each a round of its own.
    Canary,
    /// Asks the server just after deaths.
    Witness,
    /// Reads the server view.
    ServerView,
    /// Draws the conclusions.
    Diagnosis,
    /// Tells the prober when the server has too little room.
    Headroom,
    /// Writes the state file.
    State,
    /// Serves the pages.
    Web,
    /// Writes log lines.
    Log,
    /// Hears signals.
    Signals,
    /// Ticks, so that it is seen when the process stood still.
    Ticks,
}

impl Loop {
    /// Every loop.
    pub const ALL: [Self; 11] = [
        Self::Prober,
        Self::Canary,
        Self::Witness,
        Self::ServerView,
        Self::Diagnosis,
        Self::Headroom,
        Self::State,
        Self::Web,
        Self::Log,
        Self::Signals,
        Self::Ticks,
    ];
    /// Those that go on after a failed round: the label `loop`. The end of any other ends the process.
    pub const WITH_ROUNDS: [Self; 7] = [
        Self::Prober,
        Self::Canary,
        Self::Witness,
        Self::ServerView,
        Self::Diagnosis,
        Self::Headroom,
        Self::State,
    ];

    /// Its name in labels, log lines and on the page of readiness.
    pub fn label(self) -> &'static str {
        match self {
            Self::Prober => "prober",
            Self::Canary => "canary",
            Self::Witness => "witness",
            Self::ServerView => "server_view",
            Self::Diagnosis => "diagnosis",
            Self::Headroom => "headroom",
            Self::State => "state",
            Self::Web => "web",
            Self::Log => "log",
            Self::Signals => "signals",
            Self::Ticks => "ticks",
        }
    }
}

/// How long a loop rests after so many failed rounds in a row, in seconds: it doubles, from half a second to
/// a minute.
pub fn rest_after(failures: u32) -> f64 {
    const FIRST_SECONDS: f64 = 0.5;
    const LONGEST_SECONDS: f64 = 60.0;
    match failures {
        0 => 0.0,
        // No power of two beyond this matters, and none overflows.
        failures => (FIRST_SECONDS * 2_f64.powf(f64::from((failures - 1).min(16)))).min(LONGEST_SECONDS),
    }
}

/// How a loop is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoopState {
    /// Which.
    pub name: Loop,
    /// For how long it has given no sign of life, in seconds.
    pub silent: f64,
    /// The longest that one round of it may take, in seconds: infinite where none is too long.
    pub longest_round: f64,
    /// How many of its newest rounds failed, one after the other.
    pub failures: u32,
    /// How long ago the newest of those failed, in seconds.
    pub since_failure: f64,
}

/// For how long a failed round speaks against a loop, in seconds. One that fails on and on tries again every
/// minute; one that has nothing to do since, such as the witness without deaths, is not known to be ill.
const FAILURE_COUNTS_SECONDS: f64 = 900.0;

/// Why the exporter is not to be relied on now.
#[derive(Debug, Clone, PartialEq)]
pub enum Unready {
    /// A path has had neither a login nor a failure yet, so nothing is known of it.
    NotTried {
        /// The path, as `target/path`.
        path: String,
    },
    /// A loop does not move.
    Stuck {
        /// Which.
        name: Loop,
        /// For how long, in seconds.
        silent: f64,
    },
    /// The newest round of a loop failed.
    Failing {
        /// Which.
        name: Loop,
        /// How many rounds in a row.
        failures: u32,
    },
}

impl std::fmt::Display for Unready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotTried { path } => write!(f, "path {path}: no login has succeeded or failed yet"),
            Self::Stuck { name, silent } => {
                write!(f, "loop {}: stuck, it has not moved for {silent:.0} s", name.label())
            }
            Self::Failing { name, failures } => {
                write!(f, "loop {}: its newest round failed ({failures} in a row)", name.label())
            }
        }
    }
}

/// Why the exporter is not ready: every reason, in the order of the loops. `paths` are the names of those
/// paths that have not had a login or a failure yet.
pub fn unready(loops: &[LoopState], untried: &[String]) -> Vec<Unready> {
    let untried = untried.iter().map(|path| Unready::NotTried { path: path.clone() });
    let loops =
        loops.iter().filter_map(|&LoopState { name, silent, longest_round, failures, since_failure }| {
            if silent > longest_round {
                Some(Unready::Stuck { name, silent })
            } else {
                let is_failing = failures > 0 && since_failure <= FAILURE_COUNTS_SECONDS;
                is_failing.then_some(Unready::Failing { name, failures })
            }
        });
    untried.chain(loops).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_and_end_growing() {
        let rests: Vec<f64> = [0, 1, 2, 3, 7, 8, 1_000, u32::MAX].map(rest_after).to_vec();
        assert_eq!(rests, [0.0, 0.5, 1.0, 2.0, 32.0, 60.0, 60.0, 60.0]);
    }

    #[test]
    fn only_what_has_been_tried_and_moves_and_succeeds_is_ready() {
        let well = LoopState {
            name: Loop::Witness,
            silent: 4.0,
            longest_round: 30.0,
            failures: 0,
            since_failure: 0.0,
        };
        let cases = [
            (well, &[][..], &[][..]),
            (LoopState { silent: 30.0, ..well }, &[], &[]),
            (LoopState { silent: 31.2, ..well }, &[], &["loop witness: stuck, it has not moved for 31 s"]),
            (LoopState { failures: 2, ..well }, &[], &["loop witness: its newest round failed (2 in a row)"]),
            // Nothing was to be done since.
            (LoopState { failures: 3, since_failure: 901.0, ..well }, &[], &[]),
            // It failed, and now it does not even move.
            (
                LoopState { failures: 2, silent: 99.0, ..well },
                &[],
                &["loop witness: stuck, it has not moved for 99 s"],
            ),
            (LoopState { silent: 1e9, longest_round: f64::INFINITY, ..well }, &[], &[]),
            (well, &["shop/direct"], &["path shop/direct: no login has succeeded or failed yet"]),
            (
                LoopState { failures: 1, ..well },
                &["a/b"],
                &[
                    "path a/b: no login has succeeded or failed yet",
                    "loop witness: its newest round failed (1 in a row)",
                ],
            ),
        ];
        for (state, untried, expected) in cases {
            let untried: Vec<String> = untried.iter().map(|path| (*path).to_owned()).collect();
            let reasons: Vec<String> = unready(&[state], &untried).iter().map(ToString::to_string).collect();
            assert_eq!(reasons, expected, "{state:?}");
        }
    }

    #[test]
    fn every_loop_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<&str> = Loop::ALL.iter().map(|name| name.label()).collect();
        assert_eq!(names.len(), Loop::ALL.len());
        assert!(Loop::WITH_ROUNDS.iter().all(|name| Loop::ALL.contains(name)));
    }
}
