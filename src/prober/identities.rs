//! Which servers answer on a path. Behind a load balancer several do in turn, and then another server's
//! words about a dead session are worth nothing.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The identities seen on one path, in the order they answered.
#[derive(Debug, Default)]
pub(super) struct Identities(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: BTreeSet<String>,
    last: Option<String>,
    balanced: bool,
}

impl Identities {
    /// A server with this identity answered.
    pub(super) fn answered(&self, identity: Option<&str>) {
        let Some(identity) = identity else { return };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let returned = state.last.as_deref() != Some(identity) && state.known.contains(identity);
        // One that comes back after another had answered was never gone.
        state.balanced |= returned;
        state.known.insert(identity.to_owned());
        state.last = Some(identity.to_owned());
    }

    /// Whether several servers answer in turn.
    pub(super) fn are_balanced(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).balanced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failover_is_no_load_balancer() {
        let identities = Identities::default();
        for identity in ["a", "a", "b", "b"] {
            identities.answered(Some(identity));
        }
        assert!(!identities.are_balanced());
        identities.answered(None);
        identities.answered(Some("a"));
        assert!(identities.are_balanced());
    }
}
