//! One walk: a fleet of one target, and how it is looked at.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::config::settings::TargetSettings;
use crate::domain::conduct::health::Loop;
use crate::fleet::published::Published;
use crate::fleet::{Fleet, Ground};
use crate::machine::calendar::unix_now;
use crate::prober::Epoch;
use crate::prober::standstill::Standstills;
use crate::session::LoginPace;
use crate::session::roster::Rosters;
use crate::status::{Book, TargetDocument};
use crate::supervision::{Health, Supervisor};

/// How long the sessions may take to say COM_QUIT.
const WINDING_DOWN: Duration = Duration::from_millis(1900);

/// A fleet of one target that runs.
pub(super) struct Walk {
    fleet: Fleet,
    supervisor: Supervisor,
    book: Book,
    name: String,
    state: Option<Published>,
}

impl Walk {
    /// Starts its loops.
    ///
    /// # Errors
    /// Never for the names of the metrics; the crate checks them all the same.
    pub(super) fn start(settings: &TargetSettings) -> prometheus::Result<Self> {
        let mut supervisor = Supervisor::default();
        let (standstills, ticks) = Standstills::watch();
        supervisor.spawn(Loop::Ticks, ticks);
        let ground = Ground {
            health: Arc::new(Health::default()),
            standstills,
            rosters: Rosters::default(),
            logins: LoginPace::default(),
            epoch: Epoch::new(unix_now()),
            hurried: true,
            keeper: None,
        };
        let fleet = Fleet::start(vec![settings.clone()], ground, &mut supervisor)?;
        let book = Book::default();
        let shown = fleet.shown();
        book.show(&shown);
        let state = shown.into_iter().next().map(|shown| shown.state);
        Ok(Self { fleet, supervisor, book, name: settings.name.clone(), state })
    }

    /// What is known now.
    pub(super) fn look(&self) -> Option<TargetDocument> {
        self.book.document_of(&self.name)?.targets.into_iter().next()
    }

    /// How often a login was refused for want of room, and the newest words of it.
    pub(super) fn refusals(&self) -> (u32, Option<String>) {
        let Some(state) = &self.state else { return (0, None) };
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = state.paths.iter().map(|path| path.trouble.refusals());
        refusals.fold((0, None), |(sum, words), (count, newest)| (sum + count, newest.or(words)))
    }

    /// Waits until one of its loops ends, which none does by itself.
    pub(super) async fn broken(&mut self) -> Loop {
        self.supervisor.ended().await.name
    }

    /// Ends it: every session says COM_QUIT.
    pub(super) async fn end(mut self) {
        self.fleet.stop();
        self.supervisor.wind_down(&[Loop::Ticks], WINDING_DOWN).await;
    }
}
