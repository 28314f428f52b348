//! `SHOW GLOBAL STATUS`: uptime, aborted clients and connects, connection errors, threads.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::value;
use crate::domain::life::words::{self, Field, OTHER, WordsCut};

/// The status counters that speak of connections.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GlobalStatus {
    /// `Uptime`, in seconds.
    pub uptime: Option<f64>,
    /// `Uptime_since_flush_status`, in seconds: FLUSH STATUS puts `Aborted_clients` back to zero.
    pub since_flush: Option<f64>,
    /// `Aborted_clients`.
    pub aborted_clients: Option<f64>,
    /// `Aborted_connects`.
    pub aborted_connects: Option<f64>,
    /// `Connections`: attempts to connect, whoever made them.
    pub connections: Option<f64>,
    /// `Threads_connected`.
    pub threads_connected: Option<f64>,
    /// `Connection_errors_*`, by the rest of the name in lower case; names that no server has under [`OTHER`].
    pub connection_errors: BTreeMap<&'static str, f64>,
    /// Words that were not known.
    pub cut: WordsCut,
}

const QUERY: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
    ('Uptime', 'Uptime_since_flush_status', 'Aborted_clients', 'Aborted_connects', 'Connections', 'Threads_connected') \
    OR Variable_name LIKE 'Connection\\_errors\\_%'";

impl GlobalStatus {
    /// Reads the counters. Needs no privilege.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn read(conn: &mut Conn) -> mysql_async::Result<Self> {
        conn.query_fold(QUERY, Self::default(), |mut status, row: mysql_async::Row| {
            let name = value::text(value::at(&row, 0));
            if let Some((name, number)) = name.zip(value::number(value::at(&row, 1))) {
                status.take(&name, number);
            }
            status
        })
        .await
    }

    /// Takes one counter; unknown names are passed over, and a number below zero is none of them.
    pub fn take(&mut self, name: &str, number: f64) {
        if number < 0.0 {
            return;
        }
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "uptime" => self.uptime = Some(number),
            "uptime_since_flush_status" => self.since_flush = Some(number),
            "aborted_clients" => self.aborted_clients = Some(number),
            "aborted_connects" => self.aborted_connects = Some(number),
            "connections" => self.connections = Some(number),
            "threads_connected" => self.threads_connected = Some(number),
            _ => {
                let Some(word) = name.strip_prefix("connection_errors_") else { return };
                let error = words::connection_error(word).unwrap_or_else(|| {
                    self.cut.count(Field::ConnectionError);
                    OTHER
                });
                *self.connection_errors.entry(error).or_default() += number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_into_their_places() {
        let mut status = GlobalStatus::default();
        for (name, number) in [
            ("Uptime", 12.0),
            ("Aborted_clients", 3.0),
            ("Aborted_connects", -3.0),
            ("Connection_errors_peer_address", 1.0),
            ("Connection_errors_made_up_1", 2.0),
            ("Connection_errors_made_up_2", 4.0),
            ("Queries", 9.0),
        ] {
            status.take(name, number);
        }
        assert_eq!(status.uptime, Some(12.0));
        assert_eq!(status.aborted_clients, Some(3.0));
        assert_eq!(status.aborted_connects, None);
        assert_eq!(status.connection_errors, BTreeMap::from([("peer_address", 1.0), (OTHER, 6.0)]));
        assert_eq!(status.cut.of(Field::ConnectionError), 2);
    }
}
