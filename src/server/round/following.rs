//! The end of a round for the follower of the applications' sessions: what the two tables tell that are read once a
//! minute, and what comes of it all.

use tokio::time::Instant;

use super::{Round, Unreachable, timed};
use crate::domain::applications::Errors;
use crate::server::applications::Heard;
use crate::server::events_errors_summary::{self, EventsErrorsSummary};
use crate::server::optional::Missing;
use crate::server::session_connect_attrs::{self, SessionConnectAttrs};
use crate::server::troubles::Part;
use crate::server::watch::tell_missing;
use crate::server::{Flavor, Followed};

impl Round<'_> {
    /// Ends the round of the follower, with what the two tables tell that are read once a minute.
    pub(super) async fn follow(
        &mut self,
        mut heard: Heard<'_>,
        answered_at: Instant,
    ) -> Result<Option<Followed>, Unreachable> {
        let (applications, connector) = (self.applications, self.connector);
        let roster = connector.roster();
        heard.errors = self.read_errors().await?;
        let complete = heard.complete;
        if self.memory.attributes.is_due() && self.control.is_some() {
            let mut answer = None;
            if let Some(control) = self.ready(Part::Attributes).await? {
                let heard = timed(SessionConnectAttrs::read(&mut control.session.conn)).await;
                answer = self.settle(Part::Attributes, heard);
            }
            let (read, news) = self.memory.attributes.take(answer);
            applications.learn_attributes(read.as_ref(), roster.seconds(Instant::now()));
            if let Some(why) = news {
                let consequence = "another exporter's canaries and the applications' drivers cannot be told";
                let grant = if self.asks_mariadb() {
                    session_connect_attrs::GRANT_ON_MARIADB
                } else {
                    session_connect_attrs::GRANT
                };
                tell_missing(why, consequence, grant, connector);
            }
        }
        let strangers = applications.strangers();
        if strangers > 0 && !std::mem::replace(&mut self.memory.told_strangers, true) {
            tracing::warn!(
                event = "account_shared",
                user = connector.username(),
                sessions = strangers,
                "somebody else logs in with the exporter's account: those sessions are counted, and neither followed \
                 nor judged; give the exporter an account of its own"
            );
        }
        let followed = applications.end(roster.seconds(answered_at), heard, roster);
        Ok(Some(followed).filter(|_| complete))
    }

    fn asks_mariadb(&self) -> bool {
        let version = self.control.as_ref().map(|control| &control.session.greeting.version);
        version.is_some_and(|version| Flavor::of_version(version) == Flavor::Mariadb)
    }

    async fn read_errors(&mut self) -> Result<Errors, Unreachable> {
        if !self.memory.errors.is_due() || self.control.is_none() {
            let readable = self.memory.errors.is_readable();
            return Ok(if readable { Errors::NotRead } else { Errors::Unavailable });
        }
        let mut answer = None;
        if let Some(control) = self.ready(Part::Errors).await? {
            let heard = timed(EventsErrorsSummary::read(&mut control.session.conn)).await;
            answer = self.settle(Part::Errors, heard);
        }
        let (read, news) = self.memory.errors.take(answer);
        if let Some(why) = news {
            // It refuses what it does not have, too.
            let why = if self.asks_mariadb() { Missing::Table } else { why };
            let consequence = "sessions that met wait_timeout cannot be told from aborted ones, and more endings are undecided";
            tell_missing(why, consequence, events_errors_summary::GRANT, self.connector);
        }
        Ok(read.map_or(Errors::Unavailable, |summary| Errors::Read(summary.users)))
    }
}
