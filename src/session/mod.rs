//! Sessions: how every connection of the exporter is made, and what stands under it.
//!
//! How a session comes to be, and who has a hand in it:
//!
//! - `connector` connects by stages and reads the greeting; `gate` keeps it from hammering; `error` tells which stage
//!   failed and what to do.
//! - `tap` stands between the driver and the server, by its `relay`. Towards the server it owns the `wire`: the real socket, with `tls`
//!   on it where the mode says so. `translation` makes up in the login for the packet that this takes. Towards the driver it keeps a
//!   `door`, and `comer` turns away who is not our own (`sock_diag` asks the kernel).
//! - Over the tap the driver makes its `login` with the `password`. `disclosure` keeps from the server what nobody
//!   unverified may hear, `guard` from the driver what no server says, login or not.
//! - `driven` is the session that comes of it. Once its questions are answered the driver is let go, and what stays is
//!   `held`: the wire, and the `notes` on what came over it.
//! - `questions` knows what cost sessions when it was asked, `roster` which of
//!   the server's sessions are ours and whether there is room for more, `ghost` is one that outlived its client,
//!   `identities` which servers answer, `told` what was already said.
//! - `packet` reads the few bytes that must be read here.

mod comer;
pub mod connector;
mod dial;
mod disclosure;
mod door;
mod driven;
pub mod error;
mod gate;
pub mod ghost;
mod guard;
mod held;
pub mod identities;
pub mod login;
mod notes;
mod pace;
pub mod packet;
mod password;
mod questions;
mod reach;
mod relay;
pub mod roster;
mod sock_diag;
mod tap;
mod tls;
mod told;
mod translation;
mod trouble;
mod whereabouts;
mod wire;

pub use connector::Connector;
pub use driven::Session;
pub use error::{ConnectError, NoSession};
pub use gate::most_attempts;
pub use ghost::Purpose;
pub use held::{Held, Unanswered};
pub use identities::Identities;
pub use login::Account;
pub use notes::Sight;
pub use pace::LoginPace;
pub use questions::Asking;
pub use roster::Roster;
pub use tls::{
    TlsIdentity, TlsMode, WrongIdentity, authorities, certified, check_authorities, check_identity,
    check_server_name,
};
pub use trouble::{LastTrouble, Trouble};
pub use wire::Closed;
