//! Which sessions of a user a server has listed, since when and until when: what became of a session whose
//! client is dead, told by nobody but the server.

use std::collections::BTreeMap;

use super::python::Python;
use super::server::Server;

/// A session on the server's list, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Listed {
    /// When it was first listed.
    pub(crate) since: f64,
    /// When it was last listed; now, if it still is.
    pub(crate) until: f64,
}

/// Looks at a MariaDB's list of sessions thirty times a second, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Listing(Python);

impl Listing {
    /// Begins to watch the sessions of `user`.
    pub(crate) fn of(server: &Server, user: &str) -> Self {
        let socket = server.socket();
        let socket = socket.to_str().expect("the temporary directory is UTF-8");
        let mut python = Python::start(&[], "tests/lab/listing.py", &[socket, user]);
        python.event("ready");
        Self(python)
    }

    /// All sessions listed so far, by their ids.
    #[track_caller]
    pub(crate) fn sessions(&mut self) -> BTreeMap<u64, Listed> {
        self.0.tell("sessions");
        let answer = self.0.event("sessions");
        let sessions = answer["sessions"].as_array().expect("an answer lists sessions");
        sessions
            .iter()
            .map(|session| {
                let time = |name: &str| session[name].as_f64().expect("a session has its times");
                let id = session["id"].as_u64().expect("a session has an id");
                (id, Listed { since: time("since"), until: time("until") })
            })
            .collect()
    }

    /// The most sessions that were listed at one moment.
    #[track_caller]
    pub(crate) fn most_at_once(&mut self) -> usize {
        let sessions = self.sessions();
        let at =
            |moment: f64| sessions.values().filter(|one| one.since <= moment && moment <= one.until).count();
        sessions.values().map(|session| at(session.since)).max().unwrap_or_default()
    }
}
