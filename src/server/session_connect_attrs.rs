//! `performance_schema.session_connect_attrs`: which driver each session says it is.
//!
//! MySQL fills it by default; MariaDB only with `performance_schema=ON`, and shows it empty otherwise. It needs
//! `GRANT SELECT ON performance_schema.session_connect_attrs`. A session that was reset (COM_RESET_CONNECTION,
//! COM_CHANGE_USER) may lose its attributes, as pools of .NET do: who was known stays known for whoever keeps it.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::optional::{Missing, Optional, unless_missing};
use super::value;
use crate::domain::applications::Driver;
use crate::domain::applications::driver::Attributes;

/// Rows that are read, at most: three for each of 120,000 sessions.
const MOST_ROWS: usize = 360_000;
/// The grant that lets the account read it.
pub const GRANT: &str = "GRANT SELECT ON performance_schema.session_connect_attrs TO the account";
/// The same on MariaDB, which fills no table of it by default.
pub const GRANT_ON_MARIADB: &str = "performance_schema=ON in the server's configuration, and GRANT SELECT ON \
    performance_schema.session_connect_attrs TO the account";

/// The drivers of the sessions that have attributes, by thread id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionConnectAttrs {
    /// What each session is.
    pub drivers: BTreeMap<u64, Driver>,
}

impl SessionConnectAttrs {
    /// Reads the attributes that tell a driver.
    ///
    /// # Errors
    /// What the driver says, but for a table that is missing or may not be read.
    pub async fn read(conn: &mut Conn) -> mysql_async::Result<Optional<Self>> {
        let names = Attributes::NAMES.map(|name| format!("'{name}'")).join(", ");
        let query = format!(
            "SELECT PROCESSLIST_ID, ATTR_NAME, LEFT(ATTR_VALUE, 64) FROM performance_schema.session_connect_attrs \
             WHERE ATTR_NAME IN ({names}) LIMIT {}",
            MOST_ROWS + 1
        );
        let answer = conn
            .query_fold(query, Reading::default(), |mut reading, row: mysql_async::Row| {
                let id = value::id(value::at(&row, 0));
                let (name, text) = (value::text(value::at(&row, 1)), value::text(value::at(&row, 2)));
                reading.take(id, name.as_deref(), text.as_deref());
                reading
            })
            .await;
        Ok(match unless_missing(answer)? {
            Optional::Read(reading) => reading.finish(),
            Optional::Missing(missing) => Optional::Missing(missing),
        })
    }

    /// The sessions that carry the mark of this exporter: ours and a sibling's.
    pub fn canaries(&self) -> impl Iterator<Item = u64> + '_ {
        self.drivers.iter().filter(|&(_, &driver)| driver == Driver::Canary).map(|(&id, _)| id)
    }
}

/// Rows as they stream by.
#[derive(Debug, Default)]
struct Reading {
    rows: usize,
    sessions: BTreeMap<u64, Attributes>,
}

impl Reading {
    fn take(&mut self, id: Option<u64>, name: Option<&str>, value: Option<&str>) {
        self.rows += 1;
        if self.rows > MOST_ROWS {
            return;
        }
        if let (Some(id), Some(name), Some(value)) = (id, name, value) {
            self.sessions.entry(id).or_default().take(name, value);
        }
    }

    fn finish(self) -> Optional<SessionConnectAttrs> {
        if self.rows > MOST_ROWS {
            return Optional::Missing(Missing::TooMuch);
        }
        // Our own session is marked, so an empty table is one that nobody fills.
        if self.sessions.is_empty() {
            return Optional::Missing(Missing::Table);
        }
        let drivers = self.sessions.into_iter().map(|(id, attributes)| (id, attributes.driver())).collect();
        Optional::Read(SessionConnectAttrs { drivers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_into_sessions() {
        let mut reading = Reading::default();
        for (id, name, value) in [
            (Some(7), Some("_client_name"), Some("pymysql")),
            (Some(8), Some("program_name"), Some("mysql-canary-exporter")),
            (Some(9), Some("program_name"), Some("app.py")),
            (Some(7), Some("program_name"), Some("app.py")),
            (None, Some("_client_name"), Some("pymysql")),
            (Some(10), Some("_client_name"), None),
        ] {
            reading.take(id, name, value);
        }
        let Optional::Read(attrs) = reading.finish() else { panic!("it is filled") };
        let expected = BTreeMap::from([(7, Driver::Pymysql), (8, Driver::Canary), (9, Driver::Other)]);
        assert_eq!(attrs.drivers, expected);
        assert_eq!(attrs.canaries().collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn an_empty_table_and_one_without_end_tell_nothing() {
        assert_eq!(Reading::default().finish(), Optional::Missing(Missing::Table));
        let endless = Reading { rows: MOST_ROWS + 1, ..Reading::default() };
        assert_eq!(endless.finish(), Optional::Missing(Missing::TooMuch));
    }
}
