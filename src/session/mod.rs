//! Sessions: how every connection of the exporter is made, and what stands under it.
//!
//! `connector` connects by stages, `login` is the last of them, `tap` owns the real socket, `guard` keeps
//! from the driver what no server says, `gate` keeps us from hammering, `roster` knows which of the
//! server's sessions are ours and whether there is room for more, `ghost` is one that outlived its client, `identities` which servers answer, `packet` reads the few bytes the tap must read itself.

pub mod connector;
pub mod error;
mod gate;
pub mod ghost;
mod guard;
pub mod identities;
pub mod login;
pub mod packet;
pub mod roster;
pub mod tap;

pub use connector::{Connector, Session};
pub use error::{ConnectError, NoSession, Stage};
pub use ghost::Purpose;
pub use identities::Identities;
pub use login::{Account, TlsMode};
pub use roster::Roster;
pub use tap::{Closed, Sight, Tap};
