//! Sessions: how every connection of the exporter is made, and what stands under it.
//!
//! `connector` connects by stages, `login` is the last of them, `tap` owns the real socket, `guard` keeps
//! from the driver what no server says, `disclosure` from the server what nobody unverified may hear, `driver` from
//! the tap who is not our own (`sock_diag` asks the kernel), `gate` keeps us from hammering, `roster` knows which of
//! the server's sessions are ours and whether there is room for more, `ghost` is one that outlived its client,
//! `identities` which servers answer, `questions` what cost sessions when it was asked, `packet` reads the few bytes
//! the tap must read itself.

pub mod connector;
mod disclosure;
mod driver;
pub mod error;
mod gate;
pub mod ghost;
mod guard;
pub mod identities;
pub mod login;
pub mod packet;
mod password;
mod questions;
pub mod roster;
mod sock_diag;
pub mod tap;
mod told;

pub use connector::{Connector, Session};
pub use error::{ConnectError, NoSession, Stage};
pub use ghost::Purpose;
pub use identities::Identities;
pub use login::{Account, TlsMode};
pub use questions::Asking;
pub use roster::Roster;
pub use tap::{Closed, Sight, Tap};
