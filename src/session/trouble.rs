//! The trouble that connecting has, as people are told it: the newest failure, until a session is of use again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::domain::life::stage::Stage;

/// Why no session is to be had.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// Where connecting failed.
    pub stage: Stage,
    /// What happened, and what to do.
    pub words: String,
    /// The server's error code, where it gave one.
    pub code: Option<u16>,
    /// When.
    pub at: Instant,
    /// It failed after the login.
    after_login: bool,
}

/// The newest trouble of one path, shared with who shows it.
#[derive(Debug, Clone, Default)]
pub struct LastTrouble(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    now: Option<Trouble>,
    /// How often a login was refused for want of room, and the newest words of it.
    refusals: (u32, Option<String>),
}

impl LastTrouble {
    /// The trouble there is now.
    pub fn now(&self) -> Option<Trouble> {
        self.lock().now.clone()
    }

    /// How often a login was refused for want of room since the start, and the newest words of it.
    pub fn refusals(&self) -> (u32, Option<String>) {
        self.lock().refusals.clone()
    }

    /// A connect failed.
    pub(super) fn failed(&self, stage: Stage, words: String, code: Option<u16>) {
        if stage == Stage::Limit {
            let mut known = self.lock();
            known.refusals = (known.refusals.0.saturating_add(1), Some(words.clone()));
        }
        self.set(Some(Trouble { stage, words, code, at: Instant::now(), after_login: false }));
    }

    /// A session logged in, and was of no use.
    pub(super) fn was_useless(&self, stage: Stage, words: String) {
        self.set(Some(Trouble { stage, words, code: None, at: Instant::now(), after_login: true }));
    }

    /// A session logged in; whether it is of use is not known yet.
    pub(super) fn logged_in(&self) {
        let mut known = self.lock();
        if known.now.as_ref().is_some_and(|trouble| !trouble.after_login) {
            known.now = None;
        }
    }

    /// A session is of use.
    pub(super) fn is_over(&self) {
        self.set(None);
    }

    fn set(&self, trouble: Option<Trouble>) {
        self.lock().now = trouble;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_ends_a_refusal_and_not_the_silence_after_a_login() {
        let last = LastTrouble::default();
        last.failed(Stage::Tcp, "refused".to_owned(), None);
        last.logged_in();
        assert!(last.now().is_none());
        last.was_useless(Stage::Auth, "it does not answer".to_owned());
        last.logged_in();
        assert_eq!(last.now().map(|trouble| trouble.stage), Some(Stage::Auth));
        last.is_over();
        assert!(last.now().is_none());
    }
}
