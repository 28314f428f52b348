//! The processlist: who is connected, and how long each session has slept.
//!
//! `performance_schema.processlist` where it is there and on (MySQL 8.0.22 and later), for it takes no
//! global mutex; else `information_schema.PROCESSLIST`.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::{Flavor, value};

/// The sessions that the server lists.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProcessList {
    /// Applications' sessions: our own and the server's own threads are left out.
    pub sessions: Vec<SessionRow>,
    /// Every thread id listed, our own too.
    pub listed: BTreeSet<u64>,
}

/// One application session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRow {
    /// The MySQL user.
    pub user: String,
    /// `COMMAND`, as MySQL spells it.
    pub command: String,
    /// How long a sleeping session has slept, in seconds; `None` where it does not sleep or the server
    /// gives no sense.
    pub idle: Option<f64>,
}

/// One row as the server gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct RawRow {
    /// `ID`.
    pub id: Option<u64>,
    /// `USER`.
    pub user: Option<String>,
    /// `COMMAND`.
    pub command: Option<String>,
    /// `TIME`, in seconds.
    pub time: Option<f64>,
}

/// All rows, and who asked for them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// The rows as the server gives them.
    pub rows: Vec<RawRow>,
    /// The thread id of the very session that read them, as the server behind a proxy knows it.
    pub asked_by: Option<u64>,
}

/// Where the rows are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `performance_schema.processlist`.
    PerformanceSchema,
    /// `information_schema.PROCESSLIST` with MariaDB's `TIME_MS`.
    MariadbInformationSchema,
    /// `information_schema.PROCESSLIST`.
    InformationSchema,
}

/// The server's own threads, which are nobody's sessions.
const SERVER_THREADS: [&str; 3] = ["system user", "event_scheduler", "unauthenticated user"];

impl Source {
    /// Finds the best source this server has.
    ///
    /// # Errors
    /// When the connection is dead; a missing table is no error.
    pub async fn find(conn: &mut Conn, flavor: Flavor) -> mysql_async::Result<Self> {
        if flavor == Flavor::Mariadb {
            return Ok(Self::MariadbInformationSchema);
        }
        // Not CONNECTION_ID() alone, which a proxy may answer itself.
        let probe: mysql_async::Result<Option<mysql_async::Row>> = conn
            .query_first("SELECT COUNT(*) FROM performance_schema.processlist WHERE ID = CONNECTION_ID() + 0")
            .await;
        match probe {
            Ok(Some(row)) if value::id(value::at(&row, 0)) > Some(0) => Ok(Self::PerformanceSchema),
            Ok(_) => Ok(Self::InformationSchema),
            Err(error) if error.is_fatal() => Err(error),
            Err(_) => Ok(Self::InformationSchema),
        }
    }

    /// The table, and how it spells `TIME` in seconds.
    pub(super) fn table_and_time(self) -> (&'static str, &'static str) {
        match self {
            Self::PerformanceSchema => ("performance_schema.processlist", "TIME"),
            Self::MariadbInformationSchema => ("information_schema.PROCESSLIST", "TIME_MS / 1000"),
            Self::InformationSchema => ("information_schema.PROCESSLIST", "TIME"),
        }
    }

    /// Reads every row. Without the privilege PROCESS the server shows only the account's own.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn read(self, conn: &mut Conn) -> mysql_async::Result<Listing> {
        let (table, time) = self.table_and_time();
        // With every row, for a proxy may send the next query over another session.
        let query = format!("SELECT ID, USER, COMMAND, {time}, CONNECTION_ID() + 0 FROM {table}");
        let answer: Vec<mysql_async::Row> = conn.query(query).await?;
        let asked_by = answer.first().and_then(|row| value::id(value::at(row, 4)));
        let rows = answer
            .iter()
            .map(|row| RawRow {
                id: value::id(value::at(row, 0)),
                user: value::text(value::at(row, 1)),
                command: value::text(value::at(row, 2)),
                time: value::number(value::at(row, 3)),
            })
            .collect();
        Ok(Listing { rows, asked_by })
    }

    /// Of these thread ids, the ones that the server lists.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn listed(self, conn: &mut Conn, ids: &BTreeSet<u64>) -> mysql_async::Result<BTreeSet<u64>> {
        if ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let (table, _) = self.table_and_time();
        let ids = ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        // Never as numbers at once: the driver panics on one that is none.
        let rows: Vec<mysql_async::Row> =
            conn.query(format!("SELECT ID FROM {table} WHERE ID IN ({ids})")).await?;
        Ok(rows.iter().filter_map(|row| value::id(value::at(row, 0))).collect())
    }
}

impl ProcessList {
    /// Sorts rows into applications' sessions; `is_ours` tells our own thread ids.
    pub fn parse(rows: Vec<RawRow>, is_ours: impl Fn(u64) -> bool) -> Self {
        let mut list = Self::default();
        for row in rows {
            if let Some(id) = row.id {
                list.listed.insert(id);
                if is_ours(id) {
                    continue;
                }
            }
            let user = row.user.unwrap_or_default();
            let command = row.command.unwrap_or_default();
            if SERVER_THREADS.contains(&user.as_str()) || command == "Daemon" {
                continue;
            }
            // TIME can be NULL, negative or huge; a session older than a year is a wrapped counter.
            let idle = row.time.filter(|time| command == "Sleep" && (0.0..=31_536_000.0).contains(time));
            list.sessions.push(SessionRow { user, command, idle });
        }
        list
    }

    /// Whether somebody else's session is among them.
    pub fn shows_others_than(&self, user: &str) -> bool {
        self.sessions.iter().any(|session| !session.user.is_empty() && session.user != user)
    }

    /// Sessions by user and command.
    pub fn by_user_and_command(&self) -> BTreeMap<(&str, &str), usize> {
        let mut counts = BTreeMap::new();
        for session in &self.sessions {
            *counts.entry((session.user.as_str(), session.command.as_str())).or_default() += 1;
        }
        counts
    }

    /// The idle ages of each user's sleeping sessions, in seconds.
    pub fn idle_by_user(&self) -> BTreeMap<&str, Vec<f64>> {
        let mut ages: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for session in &self.sessions {
            if let Some(idle) = session.idle {
                ages.entry(session.user.as_str()).or_default().push(idle);
            }
        }
        ages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, user: &str, command: &str, time: Option<f64>) -> RawRow {
        RawRow { id: Some(id), user: Some(user.into()), command: Some(command.into()), time }
    }

    #[test]
    fn our_own_and_the_servers_threads_are_left_out() {
        let rows = vec![
            row(1, "system user", "Daemon", None),
            row(2, "canary", "Sleep", Some(5.0)),
            row(3, "app", "Sleep", Some(7.5)),
            row(4, "app", "Query", Some(1.0)),
            row(5, "app", "Sleep", Some(-1.0)),
            row(6, "app", "Sleep", Some(4_294_967_295.0)),
            RawRow { id: None, user: None, command: None, time: None },
        ];
        let list = ProcessList::parse(rows, |id| id == 2);
        assert_eq!(list.listed, BTreeSet::from([1, 2, 3, 4, 5, 6]));
        assert_eq!(list.idle_by_user(), BTreeMap::from([("app", vec![7.5])]));
        assert!(list.shows_others_than("canary") && !list.shows_others_than("app"));
        assert_eq!(list.by_user_and_command()[&("app", "Sleep")], 3);
    }
}
