//! The web side: `/metrics` and its neighbours, served from memory; no request ever waits for MySQL, and no
//! client for another one.
//!
//! | file | what it holds |
//! |---|---|
//! | `listening` | the sockets, and what clients inherit from them |
//! | `serving` | the loop that lets clients in, and one client's visit from its first byte to its last |
//! | `clients` | who is here, since when, in which phase; who gives up its place |
//! | `watched` | a client's socket that notes what the client does |
//! | `tls` | a client's handshake, where the pages are under TLS |
//! | `access` | who may ask: the web configuration as it is followed, users and their passwords |
//! | `pages` | what is answered |
//! | `status` | what is drawn from the status document: the status page, and JSON |
//! | `encoding` | as it is, or compressed |
//! | `gathering` | a page, written once for all who wait for it |
//!
//! How many may be here, for how long, and who has to go is decided in `domain::conduct::admission`.

mod access;
mod clients;
mod encoding;
mod gathering;
mod listening;
mod pages;
mod serving;
mod status;
mod tls;
mod watched;

pub use access::Access;
pub use clients::Clients;
pub use gathering::Gathering;
pub use listening::{inherited, listen};
pub use pages::Site;
pub use serving::serve;
