//! Sources that are read at most once a minute, and that a server may lack or an account may not read.

use std::time::Duration;

use tokio::time::Instant;

use super::optional::{Missing, Optional};

/// How soon a source is read again.
const AGAIN: Duration = Duration::from_secs(60);
/// How soon one is asked for again that was missing: each refusal is an error on the server.
const AFTER_MISSING: Duration = Duration::from_secs(600);

/// One such source.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    next: Option<Instant>,
    readable: bool,
    told: Option<Missing>,
}

impl Seldom {
    /// Whether it is time to ask.
    pub(super) fn is_due(&self) -> bool {
        self.next.is_none_or(|next| Instant::now() >= next)
    }

    /// Whether this server was ever asked.
    pub(super) fn was_asked(&self) -> bool {
        self.next.is_some()
    }

    /// Whether it was read when it was last asked for.
    pub(super) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Another server answers, or other grants may hold: it is asked for at once.
    pub(super) fn start_over(&mut self) {
        (self.next, self.readable) = (None, false);
    }

    /// Takes an answer; `None` where there was none that says anything. Gives why it is missing where that is news.
    pub(super) fn take<T>(&mut self, answer: Option<Optional<T>>) -> (Option<T>, Option<Missing>) {
        let missing = matches!(answer, Some(Optional::Missing(_)));
        self.next = Some(Instant::now() + if missing { AFTER_MISSING } else { AGAIN });
        self.readable = matches!(answer, Some(Optional::Read(_)));
        match answer {
            None => (None, None),
            Some(Optional::Read(read)) => {
                self.told = None;
                (Some(read), None)
            }
            Some(Optional::Missing(why)) => (None, (self.told.replace(why) != Some(why)).then_some(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn it_is_read_once_a_minute_and_told_missing_once() {
        let mut source = Seldom::default();
        assert!(source.is_due() && !source.is_readable());
        assert_eq!(source.take(Some(Optional::Read(7))), (Some(7), None));
        assert!(!source.is_due() && source.is_readable());
        advance(AGAIN).await;
        assert!(source.is_due());
        let missing = Missing::Privilege;
        assert_eq!(source.take(Some(Optional::<u8>::Missing(missing))), (None, Some(missing)));
        assert!(!source.is_readable());
        advance(AGAIN).await;
        assert!(!source.is_due(), "a refusal is an error on the server");
        advance(AFTER_MISSING).await;
        assert_eq!(source.take(Some(Optional::<u8>::Missing(missing))), (None, None), "it was told");
        source.start_over();
        assert!(source.is_due());
    }
}
