//! The server's timer on transactions: it ends a session that rests inside one, mostly long before
//! `wait_timeout`, and canaries never meet it, for they hold none.

use crate::domain::layers::{ServerTimeouts, in_words};

use super::bracket::reached;
use super::facts::Facts;

/// A session that rested for less than this, in seconds, is between two statements and not at rest.
const RESTING_SECONDS: f64 = 1.0;

/// What the server says of idle transactions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IdleTransactions {
    /// What ends a session that rests in a transaction which has changed nothing. `None` where nothing does.
    pub reading: Option<TransactionTimeout>,
    /// The same for a transaction that has changed rows.
    pub writing: Option<TransactionTimeout>,
    /// The applications' sessions that sleep inside a transaction. `None` where they cannot be seen.
    pub sessions: Option<Vec<OpenTransaction>>,
}

/// A setting of the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TransactionTimeout {
    /// Its name, as the server spells it.
    pub name: &'static str,
    /// Its length, in seconds; above zero.
    pub seconds: f64,
}

/// A session that sleeps inside a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTransaction {
    /// The MySQL user.
    pub user: String,
    /// For how long it has slept, in seconds.
    pub idle: f64,
    /// Whether the transaction has changed rows.
    pub wrote: bool,
}

impl IdleTransactions {
    /// Reads the settings as the servers do: MariaDB's two particular ones go before its general one, and TiDB
    /// has one of its own.
    pub fn new(timeouts: &ServerTimeouts, sessions: Option<Vec<OpenTransaction>>) -> Self {
        let first_of = |names: [&'static str; 3]| {
            names.into_iter().find_map(|name| {
                let seconds = timeouts.get(name).filter(|seconds| *seconds > 0.0 && seconds.is_finite())?;
                Some(TransactionTimeout { name, seconds })
            })
        };
        let (general, tidb) = ("idle_transaction_timeout", "tidb_idle_transaction_timeout");
        Self {
            reading: first_of(["idle_readonly_transaction_timeout", general, tidb]),
            writing: first_of(["idle_write_transaction_timeout", general, tidb]),
            sessions,
        }
    }

    /// Every setting that acts, the shortest first.
    fn timeouts(&self) -> Vec<TransactionTimeout> {
        let mut all: Vec<TransactionTimeout> = [self.reading, self.writing].into_iter().flatten().collect();
        all.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        all.dedup();
        all
    }

    fn timeout_of(&self, session: &OpenTransaction) -> Option<TransactionTimeout> {
        if session.wrote { self.writing } else { self.reading }
    }
}

/// Whether a timer on transactions acts before the limit does. While nothing died, before `wait_timeout`, whose
/// place it takes inside a transaction.
fn ends_first(facts: &Facts, timeout: TransactionTimeout) -> Option<bool> {
    let before_limit = reached(&facts.idle, timeout.seconds).map(|reached| !reached);
    match facts.session_wait_timeout {
        Some(wait_timeout) if timeout.seconds >= wait_timeout => Some(false),
        Some(_) if facts.idle.upper.is_none() => Some(true),
        Some(_) | None => before_limit,
    }
}

/// The timers on transactions that are known to act before the limit does, the shortest first.
pub fn transaction_timeouts_below_limit(facts: &Facts) -> Vec<TransactionTimeout> {
    let known = facts.idle_transactions.iter().flat_map(IdleTransactions::timeouts);
    known.filter(|timeout| ends_first(facts, *timeout) == Some(true)).collect()
}

/// The server ends sessions that rest in a transaction before the limit would, and some do rest so.
///
/// True when such a session is seen. False when no such timer is set, when none acts before the limit, or when
/// nobody rests in a transaction that it is for. Undecided where sessions' transactions cannot be seen, or where
/// the timer lies inside the bracket. Needs no death: canaries survived that age.
pub(super) fn idle_transaction_ends_first(facts: &Facts) -> Option<bool> {
    let known = facts.idle_transactions.as_ref()?;
    let answers: Vec<Option<bool>> =
        known.timeouts().into_iter().map(|timeout| ends_first(facts, timeout)).collect();
    if answers.iter().all(|answer| *answer == Some(false)) {
        return Some(false);
    }
    let of_session = |session: &OpenTransaction| match known.timeout_of(session) {
        Some(timeout) if session.idle >= RESTING_SECONDS => ends_first(facts, timeout),
        Some(_) | None => Some(false),
    };
    let answers: Vec<Option<bool>> = known.sessions.as_ref()?.iter().map(of_session).collect();
    if answers.contains(&Some(true)) {
        Some(true)
    } else if answers.contains(&None) {
        None
    } else {
        Some(false)
    }
}

pub(super) fn words(facts: &Facts) -> String {
    let settings: Vec<String> = transaction_timeouts_below_limit(facts).into_iter().map(spelled).collect();
    let resting = facts.idle_transactions.iter().flat_map(|known| known.sessions.iter().flatten());
    let resting: Vec<&OpenTransaction> = resting.filter(|session| session.idle >= RESTING_SECONDS).collect();
    let longest = resting.iter().max_by(|a, b| a.idle.total_cmp(&b.idle).then(b.user.cmp(&a.user)));
    let longest = longest
        .map(|session| format!("the longest of user {} for {}", session.user, in_words(session.idle)))
        .unwrap_or_default();
    let count = match resting.len() {
        1 => "1 session rests".to_owned(),
        count => format!("{count} sessions rest"),
    };
    format!(
        "the server ends sessions that rest in a transaction before anything else does ({}), and {count} in one, \
         {longest}",
        settings.join(", ")
    )
}

/// "idle_transaction_timeout of 5 s".
pub fn spelled(timeout: TransactionTimeout) -> String {
    format!("{} of {}", timeout.name, in_words(timeout.seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limit::IdleLimit;
    use crate::domain::mismatch::tests::{exact, lived, silent};
    use crate::domain::mismatch::{Rule, evaluate};

    fn open(user: &str, idle: f64, wrote: bool) -> OpenTransaction {
        OpenTransaction { user: user.to_owned(), idle, wrote }
    }

    fn facts(
        idle: IdleLimit,
        settings: &[(&'static str, f64)],
        sessions: Option<Vec<OpenTransaction>>,
    ) -> Facts {
        let mut timeouts = ServerTimeouts::default();
        for &(name, seconds) in settings {
            assert!(timeouts.put(name, seconds), "{name}");
        }
        Facts {
            path: "default".to_owned(),
            idle,
            session_wait_timeout: Some(28800.0),
            idle_transactions: Some(IdleTransactions::new(&timeouts, sessions)),
            ..Facts::default()
        }
    }

    const GENERAL: &str = "idle_transaction_timeout";
    const READING: &str = "idle_readonly_transaction_timeout";
    const WRITING: &str = "idle_write_transaction_timeout";

    #[test]
    fn it_holds_where_sessions_rest_in_transactions_that_end_first() {
        let resting = || Some(vec![open("app", 3.0, false)]);
        let wrote = || Some(vec![open("app", 3.0, true)]);
        let path = || silent(320.0, 420.0);
        let of = |mut facts: Facts, wait_timeout| {
            facts.session_wait_timeout = wait_timeout;
            facts
        };
        let (yes, no) = (Some(true), Some(false));
        for (name, facts, expected) in [
            ("below the limit, one rests", facts(path(), &[(GENERAL, 30.0)], resting()), yes),
            ("one that wrote", facts(path(), &[(GENERAL, 30.0)], wrote()), yes),
            ("TiDB's", facts(path(), &[("tidb_idle_transaction_timeout", 30.0)], resting()), yes),
            ("nothing died", facts(lived(20.0), &[(GENERAL, 300.0)], resting()), yes),
            ("nothing is known of the path", facts(lived(0.0), &[(GENERAL, 300.0)], resting()), yes),
            ("nobody rests", facts(path(), &[(GENERAL, 30.0)], Some(vec![])), no),
            (
                "between two statements",
                facts(path(), &[(GENERAL, 30.0)], Some(vec![open("a", 0.4, true)])),
                no,
            ),
            ("not set", facts(path(), &[], resting()), no),
            ("not set, nothing seen", facts(path(), &[], None), no),
            ("off", facts(path(), &[(GENERAL, 0.0)], resting()), no),
            ("past the limit", facts(path(), &[(GENERAL, 420.0)], resting()), no),
            ("past an exact limit", facts(exact(50.0, 60.0), &[(GENERAL, 60.0)], resting()), no),
            ("past the limit, nothing seen", facts(path(), &[(GENERAL, 600.0)], None), no),
            ("inside the bracket", facts(path(), &[(GENERAL, 400.0)], resting()), None),
            ("transactions cannot be seen", facts(path(), &[(GENERAL, 30.0)], None), None),
            (
                "past wait_timeout",
                of(facts(lived(9.0), &[(GENERAL, 60.0)], resting()), yes.map(|_| 60.0)),
                no,
            ),
            ("wait_timeout not known", of(facts(lived(40.0), &[(GENERAL, 60.0)], resting()), None), None),
            ("it was survived", of(facts(lived(80.0), &[(GENERAL, 60.0)], resting()), None), yes),
            ("only for writers, and one reads", facts(path(), &[(WRITING, 30.0)], resting()), no),
            ("only for writers, and one writes", facts(path(), &[(WRITING, 30.0)], wrote()), yes),
            ("only for readers, and one writes", facts(path(), &[(READING, 30.0)], wrote()), no),
            (
                "the particular one goes before the general",
                facts(path(), &[(GENERAL, 30.0), (WRITING, 600.0)], wrote()),
                no,
            ),
            (
                "of two readers one rests long enough",
                facts(path(), &[(READING, 30.0)], Some(vec![open("b", 0.1, false), open("a", 2.0, false)])),
                yes,
            ),
        ] {
            assert_eq!(idle_transaction_ends_first(&facts), expected, "{name}");
        }
        assert_eq!(idle_transaction_ends_first(&Facts::default()), None, "the server was not asked");
    }

    #[test]
    fn it_says_who_rests_and_what_ends_them() {
        let sessions = Some(vec![open("app", 3.0, false), open("job", 12.4, true), open("app", 0.1, true)]);
        let facts = facts(silent(320.0, 420.0), &[(GENERAL, 30.0), (READING, 20.0)], sessions);
        let finding =
            evaluate(&facts).into_iter().find(|finding| finding.rule == Rule::IdleTransactionEndsFirst);
        assert_eq!(
            finding.expect("it can be judged").words,
            "the server ends sessions that rest in a transaction before anything else does \
             (idle_readonly_transaction_timeout of 20 s, idle_transaction_timeout of 30 s), and 2 sessions rest in \
             one, the longest of user job for 12.4 s"
        );
    }
}
