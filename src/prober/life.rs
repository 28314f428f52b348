//! What the loop and one life say to each other. A canary is one async function: an assignment goes
//! in, exactly one outcome comes out.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::orders::Hearer;
use crate::domain::life::kind::Kind;
use crate::domain::life::stage::Stage;
use crate::domain::life::void::VoidCause;

pub use crate::domain::culprit::judgement::Death;

/// What one canary is asked to do.
#[derive(Debug)]
pub struct Assignment {
    /// Its number, unique in this process.
    pub id: u64,
    /// What it does while it is held.
    pub kind: Kind,
    /// How long to wait before connecting, in seconds: launches are spread.
    pub delay: f64,
    /// The longest idle age it may be retargeted to, in seconds.
    pub longest: f64,
    /// Whether it is a twin that was sent out before anything died.
    pub early: bool,
    /// What the loop wants of it now.
    pub orders: Hearer,
    /// Where it says what happens to it.
    pub notices: mpsc::UnboundedSender<Notice>,
}

/// What the loop wants of a living canary now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orders {
    /// The idle age to be probed at, in seconds.
    pub age: f64,
    /// Whether to go on.
    pub directive: Directive,
}

/// Whether a canary is to be held on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// Hold on.
    Hold,
    /// Its outcome can teach nothing any more: COM_QUIT.
    Recall,
    /// The exporter stops: COM_QUIT.
    Stop,
    /// Say COM_QUIT now: a reload took the path away, or changed it.
    Leave,
}

/// What a canary says while it lives.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// It began to be idle.
    Born {
        /// Its number.
        id: u64,
        /// The moment from which its idle age counts.
        at: Instant,
        /// Which server it is on, by the server's own name for itself.
        server: Option<String>,
        /// After how many moves of the path's address it connected: [`World::moves`].
        moves: u64,
    },
    /// Something happened to it: its idle age counts no further, and its outcome is on its way.
    Stirred {
        /// Its number.
        id: u64,
    },
}

/// What became of one canary.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It never came to be idle.
    Unborn(Unborn),
    /// Its probe was answered at this idle age, in seconds.
    Survived {
        /// Idle age at the probe, in seconds.
        age: f64,
        /// Which server it was on, by the server's own name for itself.
        server: Option<String>,
    },
    /// It died, and the witness was heard.
    Died(Death),
    /// Its end says nothing.
    Void(Voided),
    /// We ended it early.
    Recalled,
}

impl Outcome {
    /// The outcome of a canary aimed at an age, in seconds. Timers fire some milliseconds late: a life
    /// and a death of one aim would otherwise lie beside each other, and neither contradict the other.
    #[must_use]
    pub fn of_aim(mut self, aim: f64) -> Self {
        /// Up to this share of the age a probe came at its aim.
        const LATE_SHARE: f64 = 1e-3;
        let late = aim..=aim * (1.0 + LATE_SHARE);
        match &mut self {
            Self::Survived { age, .. } if late.contains(age) => *age = aim,
            Self::Died(death) if !death.exact && late.contains(&death.age) => death.age = aim,
            Self::Survived { .. } | Self::Died(_) | Self::Unborn(_) | Self::Void(_) | Self::Recalled => {}
        }
        self
    }
}

/// An end that says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Voided {
    /// Why it says nothing.
    pub cause: VoidCause,
    /// The idle age it had, in seconds, where it was idle.
    pub age: Option<f64>,
    /// The server's thread id, where there was a session.
    pub thread_id: Option<u64>,
}

/// Why a canary never came to be idle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unborn {
    /// Not tried now.
    HeldBack {
        /// Ask again after this many seconds.
        seconds: f64,
        /// Where the last attempt failed; `None` while the first one is under way.
        failed_at: Option<Stage>,
    },
    /// The connect failed at this stage.
    Failed(Stage),
    /// It was told to stop before.
    Stopped,
}

/// Where canaries live: the real network, or a script in a test.
pub trait World: Send + Sync + 'static {
    /// One life, from the launch to its one outcome.
    fn live(&self, assignment: Assignment) -> impl Future<Output = Outcome> + Send + 'static;

    /// How many more canaries the budget has room for: sessions of the dead that the server may still hold take
    /// their places.
    fn room(&self) -> usize;

    /// How many sessions of the dead the server may hold.
    fn haunting(&self) -> usize;

    /// How often the path has come to lead to another address. What began before the last time says nothing of now.
    fn moves(&self) -> u64 {
        0
    }

    /// Waits until the witness or the server view lacks a place in the budget.
    fn crowded(&self) -> impl Future<Output = ()> + Send;
}
