//! Which servers answer on a path: the newest one, and whether several do in turn. Behind a load balancer
//! another server's words about a dead session are worth nothing; after a failover they count.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant};

/// Two returns within this time are a load balancer's: failovers do not go back and forth so fast.
const IN_TURN: Duration = Duration::from_secs(10 * 60);
/// For how long after the newest return several servers are taken to answer in turn, and for how long a
/// server is remembered: a settled path with a limit of hours logs in a few times in that time.
const MEMORY: Duration = Duration::from_secs(24 * 3600);

/// The servers that answered logins on one path, by `server_uuid` or `server_uid`. Times are arguments.
#[derive(Debug, Default)]
pub struct Identities(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When each was last seen.
    seen: BTreeMap<String, Instant>,
    /// The one that the newest session found, and when.
    newest: Option<(String, Instant)>,
    /// When one last came back after another had answered.
    returned: Option<Instant>,
    balanced_until: Option<Instant>,
}

impl Identities {
    /// A server with this identity answered a new session. `None`, an identity that it would not tell,
    /// says nothing.
    pub fn answered(&self, identity: Option<&str>, at: Instant) {
        let Some(identity) = identity else { return };
        let mut state = self.lock();
        state.seen.retain(|_, seen| at.saturating_duration_since(*seen) <= MEMORY);
        if state.newest.as_ref().is_some_and(|(_, newest)| at < *newest) {
            // Told late: newer sessions have said where they are.
            state.seen.entry(identity.to_owned()).or_insert(at);
            return;
        }
        let another = state.newest.as_ref().is_some_and(|(newest, _)| newest != identity);
        let returned = another && state.seen.contains_key(identity);
        if returned {
            // One return alone is a failback. Two are not; and where servers answer in turn, each return
            // bears it out.
            let again = state.returned.is_some_and(|before| at.saturating_duration_since(before) <= IN_TURN);
            if again || state.is_balanced(at) {
                state.balanced_until = Some(at + MEMORY);
            }
            state.returned = Some(at);
        }
        state.seen.insert(identity.to_owned(), at);
        state.newest = Some((identity.to_owned(), at));
    }

    /// Whether several servers answer in turn.
    pub fn are_balanced(&self, at: Instant) -> bool {
        self.lock().is_balanced(at)
    }

    /// Whether a session on the server with this identity was left behind by a failover: another server
    /// answers new sessions now, and the two do not do so in turn.
    pub fn have_left(&self, identity: &str, at: Instant) -> bool {
        let state = self.lock();
        state.newest.as_ref().is_some_and(|(newest, _)| newest != identity) && !state.is_balanced(at)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_balanced(&self, at: Instant) -> bool {
        self.balanced_until.is_some_and(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTHS: Duration = Duration::from_secs(90 * 24 * 3600);

    /// These answer, a minute between each two. Gives the time of the last.
    fn answer(identities: &Identities, begin: Instant, names: &[&str]) -> Instant {
        let times = (0..).map(|minute| begin + Duration::from_secs(60 * minute));
        let mut last = begin;
        for (name, at) in names.iter().zip(times) {
            identities.answered(Some(name), at);
            last = at;
        }
        last
    }

    #[test]
    fn a_failover_and_a_failback_are_no_load_balancer() {
        let (identities, begin) = (Identities::default(), Instant::now());
        let mut at = answer(&identities, begin, &["a", "a", "b", "b"]);
        assert!(!identities.are_balanced(at));
        assert!(identities.have_left("a", at) && !identities.have_left("b", at));
        // In an hour, and in months.
        for wait in [Duration::from_secs(3600), MONTHS] {
            at = answer(&identities, at + wait, &["a", "a"]);
            assert!(!identities.are_balanced(at));
            assert!(identities.have_left("b", at));
            at = answer(&identities, at + MONTHS, &["b", "b"]);
            assert!(!identities.are_balanced(at));
        }
    }

    #[test]
    fn a_session_that_tells_late_is_not_the_newest() {
        let (identities, begin) = (Identities::default(), Instant::now());
        let at = answer(&identities, begin, &["a", "b"]);
        identities.answered(Some("a"), begin);
        assert!(identities.have_left("a", at) && !identities.have_left("b", at));
    }

    #[test]
    fn servers_that_answer_in_turn_are_a_load_balancer_until_they_cease_to() {
        let (identities, begin) = (Identities::default(), Instant::now());
        let at = answer(&identities, begin, &["a", "b", "a"]);
        assert!(!identities.are_balanced(at), "it might be a failback");
        identities.answered(None, at);
        let at = answer(&identities, at, &["b"]);
        assert!(identities.are_balanced(at));
        assert!(!identities.have_left("a", at) && !identities.have_left("c", at));
        // Few logins: each return bears it out.
        let mut at = at;
        for name in ["a", "b", "a", "b"] {
            at += MEMORY / 2;
            assert!(identities.are_balanced(at));
            identities.answered(Some(name), at);
        }
        // Nobody returns any more.
        let at = answer(&identities, at + MEMORY, &["b", "b"]);
        assert!(!identities.are_balanced(at));
        let at = answer(&identities, at, &["c"]);
        assert!(!identities.are_balanced(at) && identities.have_left("b", at), "a failover again");
    }
}
