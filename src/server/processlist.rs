//! The processlist: who is connected, and how long each session has slept.
//!
//! `performance_schema.processlist` where it is there and on (MySQL 8.0.22 and later), for it takes no
//! global mutex; else `information_schema.PROCESSLIST`.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::{Flavor, value};
use crate::domain::life::words::{self, Field, OTHER, WordsCut};

/// The most rows that are read: no server accepts more than 100,000 sessions, and its own threads come on top.
pub const MOST_ROWS: usize = 120_000;
/// The most users that are told apart.
const MOST_USERS: usize = 10_000;

/// What the sessions that the server lists come to. The rows themselves are not kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProcessList {
    /// Applications' sessions by user: our own and the server's own threads are left out.
    pub users: BTreeMap<String, OfUser>,
    /// Of the thread ids that were asked after, the ones that are listed.
    pub listed: BTreeSet<u64>,
    /// The rows of those.
    pub asked_after: Vec<RawRow<'static>>,
    /// How many rows there are, our own and the server's own threads too.
    pub rows: usize,
    /// The thread id of the very session that read them, as the server behind a proxy knows it.
    pub asked_by: Option<u64>,
    /// Words that were cut, cleaned or not known.
    pub cut: WordsCut,
    lists_asker: bool,
    too_many_users: bool,
}

/// The sessions of one application user.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OfUser {
    /// How many there are, by `COMMAND` as MySQL spells it, or [`OTHER`].
    pub commands: BTreeMap<&'static str, usize>,
    /// How long each sleeping session has slept, in seconds.
    pub idle: Vec<f64>,
    /// How many sleeping sessions there are whose time the server gives no sense.
    pub ageless: usize,
    cut_as_label: bool,
}

/// Why a list is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Not even the session that asked is on it.
    #[error("the server's list of sessions does not hold the session that asked for it")]
    WithoutAsker,
    /// More than are read.
    #[error("the server lists more than {MOST_ROWS} sessions: the list is incomplete")]
    TooManyRows,
    /// More than are told apart.
    #[error("the server lists sessions of more than {MOST_USERS} users: the list is incomplete")]
    TooManyUsers,
}

/// One row as the server gives it; its texts are the answer's own, for there may be 100,000.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RawRow<'a> {
    /// `ID`.
    pub id: Option<u64>,
    /// `USER`.
    pub user: Option<Cow<'a, str>>,
    /// `HOST`: `host:port`, or `localhost` over the Unix socket.
    pub host: Option<Cow<'a, str>>,
    /// `COMMAND`.
    pub command: Option<Cow<'a, str>>,
    /// `TIME`, in seconds.
    pub time: Option<f64>,
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

/// The command of a session that waits for its client.
const SLEEP: &str = "Sleep";
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

    /// Reads every row, one after the other, and keeps what they come to. Without the privilege PROCESS the
    /// server shows only the account's own. `leave_out` is shown each row, and says whose are not counted;
    /// `asked_after` are the thread ids that are to be told if they are listed.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn read(
        self,
        conn: &mut Conn,
        mut leave_out: impl FnMut(&RawRow<'_>) -> bool + Send,
        asked_after: &BTreeSet<u64>,
    ) -> mysql_async::Result<ProcessList> {
        let (table, time) = self.table_and_time();
        // Who asks is told with every row, for a proxy may send the next query over another session.
        let query = format!(
            "SELECT ID, USER, COMMAND, {time}, CONNECTION_ID() + 0, HOST FROM {table} LIMIT {}",
            MOST_ROWS + 1
        );
        conn.query_fold(query, ProcessList::default(), |mut list, row: mysql_async::Row| {
            list.asked_by = list.asked_by.or_else(|| value::id(value::at(&row, 4)));
            list.take(RawRow::of(&row), &mut leave_out, asked_after);
            list
        })
        .await
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

impl<'a> RawRow<'a> {
    fn of(row: &'a mysql_async::Row) -> Self {
        Self {
            id: value::id(value::at(row, 0)),
            user: value::borrowed(value::at(row, 1)),
            command: value::borrowed(value::at(row, 2)),
            time: value::number(value::at(row, 3)),
            host: value::borrowed(value::at(row, 5)),
        }
    }
    fn into_owned(self) -> RawRow<'static> {
        let owned = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        let (user, host, command) = (owned(self.user), owned(self.host), owned(self.command));
        RawRow { id: self.id, user, host, command, time: self.time }
    }
}

impl ProcessList {
    /// Takes one row as it streams by, and keeps no more of it than what all of them come to.
    pub fn take(
        &mut self,
        row: RawRow<'_>,
        leave_out: impl FnOnce(&RawRow<'_>) -> bool,
        asked_after: &BTreeSet<u64>,
    ) {
        self.rows += 1;
        if self.rows > MOST_ROWS {
            return;
        }
        if let Some(id) = row.id {
            self.lists_asker |= self.asked_by == Some(id);
            if asked_after.contains(&id) && self.listed.insert(id) {
                self.asked_after.push(row.clone().into_owned());
            }
        }
        if leave_out(&row) {
            return;
        }
        let user = row.user.as_deref().unwrap_or_default();
        let word = row.command.as_deref().unwrap_or_default();
        if SERVER_THREADS.contains(&user) || word == "Daemon" {
            return;
        }
        let command = words::command(word).unwrap_or_else(|| {
            self.cut.count(Field::Command);
            OTHER
        });
        if let Some(of) = self.of_user(user) {
            of.take(command, row.time);
        }
    }

    /// The place of a user. `None` where there is none left.
    fn of_user(&mut self, user: &str) -> Option<&mut OfUser> {
        // Almost every row is of a user whose name was looked at before, and kept as it is.
        if self.users.contains_key(user) {
            let of = self.users.get_mut(user)?;
            if of.cut_as_label {
                self.cut.count(Field::User);
            }
            return Some(of);
        }
        let (name, changed) = words::account_name(user);
        let full = self.users.len() >= MOST_USERS;
        let of = match self.users.entry(name) {
            Entry::Occupied(of) => of.into_mut(),
            Entry::Vacant(_) if full => {
                self.too_many_users = true;
                return None;
            }
            Entry::Vacant(place) => {
                let cut_as_label = words::is_cut_as_label(place.key());
                place.insert(OfUser { cut_as_label, ..OfUser::default() })
            }
        };
        if changed || of.cut_as_label {
            self.cut.count(Field::User);
        }
        Some(of)
    }

    /// Whether the list can be trusted, as far as it shows by itself. One without the session that asked is no
    /// server's.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn trusted(self) -> Result<Self, Untrusted> {
        let without_asker = self.rows == 0 || (self.asked_by.is_some() && !self.lists_asker);
        if self.rows > MOST_ROWS {
            Err(Untrusted::TooManyRows)
        } else if self.too_many_users {
            Err(Untrusted::TooManyUsers)
        } else if without_asker {
            Err(Untrusted::WithoutAsker)
        } else {
            Ok(self)
        }
    }

    /// Whether somebody else's session is among them: a user who goes by none of these names, in whatever case.
    pub fn shows_others_than(&self, names: &BTreeSet<String>) -> bool {
        let is_own = |user: &str| names.iter().any(|name| name.eq_ignore_ascii_case(user));
        self.users.keys().any(|user| !user.is_empty() && !is_own(user))
    }
}

impl OfUser {
    fn take(&mut self, command: &'static str, time: Option<f64>) {
        *self.commands.entry(command).or_default() += 1;
        if command == SLEEP {
            // TIME can be NULL, negative or huge; a session older than a year is a wrapped counter.
            match time.filter(|time| (0.0..=31_536_000.0).contains(time)) {
                Some(time) => self.idle.push(time),
                None => self.ageless += 1,
            }
        }
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.commands.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, user: &str, command: &str, time: Option<f64>) -> RawRow<'static> {
        let text = |text: &str| Some(Cow::Owned(text.to_owned()));
        RawRow { id: Some(id), user: text(user), command: text(command), time, host: None }
    }

    fn list(rows: impl IntoIterator<Item = RawRow<'static>>, asked_by: Option<u64>) -> ProcessList {
        let mut list = ProcessList { asked_by, ..ProcessList::default() };
        rows.into_iter().for_each(|row| list.take(row, |row| row.id == Some(2), &BTreeSet::from([2, 3, 99])));
        list
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
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
            RawRow::default(),
        ];
        let list = list(rows, None);
        assert_eq!(list.listed, BTreeSet::from([2, 3]));
        assert_eq!(list.asked_after.len(), 2);
        assert_eq!((list.users["app"].idle.as_slice(), list.users["app"].ageless), (&[7.5][..], 2));
        assert!(list.shows_others_than(&names(&["canary"])));
        assert!(!list.shows_others_than(&names(&["canary", "APP"])));
        assert_eq!(list.users["app"].commands, BTreeMap::from([("Query", 1), ("Sleep", 3)]));
        assert_eq!(list.users[""].commands, BTreeMap::from([(OTHER, 1)]));
        assert_eq!(list.cut.of(Field::Command), 1);
    }

    #[test]
    fn words_that_a_server_made_up_take_no_place() {
        let list = list((0..30_000).map(|id| row(id, "app", &format!("command{id}"), None)), None);
        assert_eq!(list.users["app"].commands, BTreeMap::from([(OTHER, 29_999)]));
        assert_eq!(list.cut.of(Field::Command), 29_999);
    }

    #[test]
    fn a_list_that_is_not_whole_is_not_trusted() {
        let some = |rows: usize| (0..rows).map(|id| row(id as u64, "app", "Sleep", Some(1.0)));
        assert_eq!(list(some(0), None).trusted(), Err(Untrusted::WithoutAsker));
        assert_eq!(list(some(9), Some(9)).trusted(), Err(Untrusted::WithoutAsker));
        assert!(list(some(9), Some(8)).trusted().is_ok() && list(some(9), None).trusted().is_ok());
        assert!(list(some(MOST_ROWS), None).trusted().is_ok());
        assert_eq!(list(some(MOST_ROWS + 1), None).trusted(), Err(Untrusted::TooManyRows));
        let users = (0..=MOST_USERS).map(|id| row(id as u64 + 9, &format!("u{id}"), "Sleep", Some(1.0)));
        assert_eq!(list(users, None).trusted(), Err(Untrusted::TooManyUsers));
    }
}
