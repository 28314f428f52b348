//! `performance_schema.events_errors_summary_by_user_by_error`: how many sessions of each user met `wait_timeout`
//! (error 4031), and how many network errors (1158 to 1161) there were.
//!
//! MySQL has it, and counts 4031 from 8.0.24 on; MariaDB has no such table. It needs `GRANT SELECT` on it.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::optional::{Missing, Optional, unless_missing};
use super::value;
use crate::domain::applications::ErrorCounts;

/// Rows that are read, at most: five for each of 10,000 users.
const MOST_ROWS: usize = 50_000;
/// ER_CLIENT_INTERACTION_TIMEOUT.
const IDLE_TIMEOUT: u64 = 4031;
/// The grant that lets the account read it.
pub const GRANT: &str =
    "GRANT SELECT ON performance_schema.events_errors_summary_by_user_by_error TO the account";

// Rows of zero too: they tell that the server knows the error at all.
const QUERY: &str = "SELECT USER, ERROR_NUMBER, SUM_ERROR_RAISED \
    FROM performance_schema.events_errors_summary_by_user_by_error \
    WHERE USER IS NOT NULL AND ERROR_NUMBER IN (4031, 1158, 1159, 1160, 1161) LIMIT 50001";

/// Errors by user, since the server started or somebody emptied the table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventsErrorsSummary {
    /// What each user has come to.
    pub users: BTreeMap<String, ErrorCounts>,
}

impl EventsErrorsSummary {
    /// Reads the counts.
    ///
    /// # Errors
    /// What the driver says, but for a table that is missing or may not be read.
    pub async fn read(conn: &mut Conn) -> mysql_async::Result<Optional<Self>> {
        let answer = conn
            .query_fold(QUERY, Reading::default(), |mut reading, row: mysql_async::Row| {
                let number = |place| value::id(value::at(&row, place));
                reading.take(value::text(value::at(&row, 0)), number(1), number(2));
                reading
            })
            .await;
        Ok(match unless_missing(answer)? {
            Optional::Read(reading) => reading.finish(),
            Optional::Missing(missing) => Optional::Missing(missing),
        })
    }
}

/// Rows as they stream by.
#[derive(Debug, Default)]
struct Reading {
    rows: usize,
    knows_idle_timeouts: bool,
    users: BTreeMap<String, ErrorCounts>,
}

impl Reading {
    fn take(&mut self, user: Option<String>, error: Option<u64>, count: Option<u64>) {
        self.rows += 1;
        let (Some(user), Some(error), Some(count)) = (user, error, count) else { return };
        if self.rows > MOST_ROWS {
            return;
        }
        self.knows_idle_timeouts |= error == IDLE_TIMEOUT;
        let counts = self.users.entry(user).or_default();
        match error {
            IDLE_TIMEOUT => counts.idle_timeouts = counts.idle_timeouts.saturating_add(count),
            _ => counts.network = counts.network.saturating_add(count),
        }
    }

    fn finish(self) -> Optional<EventsErrorsSummary> {
        if self.rows > MOST_ROWS {
            return Optional::Missing(Missing::TooMuch);
        }
        // Without 4031 a session that met wait_timeout would look like one that was killed.
        if !self.knows_idle_timeouts {
            return Optional::Missing(Missing::Table);
        }
        Optional::Read(EventsErrorsSummary { users: self.users })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(rows: &[(Option<&str>, Option<u64>, Option<u64>)]) -> Reading {
        let mut reading = Reading::default();
        for &(user, error, count) in rows {
            reading.take(user.map(str::to_owned), error, count);
        }
        reading
    }

    #[test]
    fn errors_are_summed_by_user() {
        let rows = [
            (Some("app"), Some(4031), Some(3)),
            (Some("app"), Some(1158), Some(2)),
            (Some("app"), Some(1161), Some(1)),
            (Some("web"), Some(4031), Some(0)),
            (None, Some(4031), Some(9)),
            (Some("odd"), Some(4031), None),
        ];
        let Optional::Read(summary) = reading(&rows).finish() else { panic!("it knows 4031") };
        let expected = [
            ("app".to_owned(), ErrorCounts { idle_timeouts: 3, network: 3 }),
            ("web".to_owned(), ErrorCounts::default()),
        ];
        assert_eq!(summary.users, BTreeMap::from(expected));
    }

    #[test]
    fn a_server_that_does_not_know_4031_tells_nothing() {
        let old = reading(&[(Some("app"), Some(1158), Some(2))]);
        assert_eq!(old.finish(), Optional::Missing(Missing::Table));
        assert_eq!(Reading::default().finish(), Optional::Missing(Missing::Table));
        let endless = Reading { rows: MOST_ROWS + 1, ..Reading::default() };
        assert_eq!(endless.finish(), Optional::Missing(Missing::TooMuch));
    }
}
