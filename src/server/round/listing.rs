//! The list of sessions, read row by row: counted, and followed where it shows everybody.

use tokio::time::Instant;

use super::{Round, Unreachable, timed};
use crate::domain::applications::{CountsFrom, Listing};
use crate::domain::conduct::sight::Sight;
use crate::server::processlist::{ProcessList, RawRow, Source};
use crate::server::troubles::Part;
use crate::server::uptime::Uptime;
use crate::server::{Flavor, ghosts};

impl Round<'_> {
    /// The list, and where its sessions were followed, when it was answered.
    pub(super) async fn read_processlist(
        &mut self,
        ghosts: impl Iterator<Item = u64>,
        uptime: Option<Uptime>,
    ) -> Result<(Option<ProcessList>, Option<Instant>), Unreachable> {
        let mut asked_after = self.memory.troubles.left_behind();
        asked_after.extend(ghosts);
        let (connector, roster) = (self.connector, self.connector.roster());
        let (applications, last_sight) = (self.applications, self.memory.last_sight);
        let asked = self.memory.attributes.was_asked();
        let Some(control) = self.ready(Part::Processlist).await? else { return Ok((None, None)) };
        let flavor = Flavor::of(&control.session);
        // Of the connection that is asked now: a part may have cost the one that told it.
        let uptime = uptime.filter(|uptime| uptime.opened_at == control.opened_at);
        let holds_process = control.privileges.as_ref().and_then(|privileges| privileges.holds_process);
        let follows = holds_process.unwrap_or(last_sight == Some(Sight::Everyone));
        let answer = timed(async {
            let start_moved = control.session.server().zip(uptime).is_some_and(|(mark, uptime)| {
                let asked_at = roster.seconds(uptime.asked_at);
                let took = uptime.answered_at.saturating_duration_since(uptime.asked_at);
                !mark.began_at(asked_at - uptime.seconds, asked_at, took.as_secs_f64())
            });
            // Its calendar may have been set: those that are born from now on tell its start as it does now.
            if !control.introduced || start_moved {
                let uptime = uptime.map(|uptime| (uptime.seconds, uptime.asked_at, uptime.answered_at));
                ghosts::introduce(&mut control.session, connector, uptime).await?;
                control.introduced = uptime.is_some();
            }
            let own_host = control.session.row().map(|row| row.host.clone());
            let conn = &mut control.session.conn;
            let source = match control.source {
                Some(source) => source,
                None => *control.source.insert(Source::find(conn, flavor).await?),
            };
            let seconds = |at| roster.seconds(at);
            let listing = Listing {
                asked: seconds(Instant::now()),
                identity: control.identity.as_deref(),
                uptime: uptime.map(|u| (u.seconds, seconds(u.asked_at), seconds(u.answered_at))),
                own_host: own_host.as_deref(),
                counts_from: match flavor {
                    Flavor::Mariadb => CountsFrom::Sleep,
                    Flavor::Mysql => CountsFrom::Statement,
                },
            };
            applications.begin(follows.then_some(listing), asked || !follows, roster.of_the_same_server());
            let see = |row: &RawRow<'_>| applications.see(row, roster, follows, seconds(Instant::now()));
            source.read(conn, see, &asked_after).await
        });
        let answer = answer.await;
        let answered_at = Instant::now();
        let list = self.settle(Part::Processlist, answer);
        if let (Some(id), Some(control)) =
            (list.as_ref().and_then(|list| list.asked_by), self.control.as_mut())
        {
            control.session.learn_backend_id(id);
        }
        let list = list.and_then(|list| match list.trusted() {
            Ok(list) => {
                self.memory.troubles.read(Part::Processlist);
                Some(list)
            }
            Err(error) => {
                self.fail(Part::Processlist, &error);
                None
            }
        });
        self.memory.troubles.listed(list.as_ref().map(|list| &list.listed));
        let followed_at = Some(answered_at).filter(|_| follows && list.is_some());
        Ok((list, followed_at))
    }
}
