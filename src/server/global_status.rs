//! `SHOW GLOBAL STATUS`: uptime, aborted clients and connects, connection errors, threads.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::value;

/// The status counters that speak of connections.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GlobalStatus {
    /// `Uptime`, in seconds.
    pub uptime: Option<f64>,
    /// `Aborted_clients`.
    pub aborted_clients: Option<f64>,
    /// `Aborted_connects`.
    pub aborted_connects: Option<f64>,
    /// `Threads_connected`.
    pub threads_connected: Option<f64>,
    /// `Connection_errors_*`, by the rest of the name in lower case.
    pub connection_errors: BTreeMap<String, f64>,
}

const QUERY: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
    ('Uptime', 'Aborted_clients', 'Aborted_connects', 'Threads_connected') \
    OR Variable_name LIKE 'Connection\\_errors\\_%'";

impl GlobalStatus {
    /// Reads the counters. Needs no privilege.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn read(conn: &mut Conn) -> mysql_async::Result<Self> {
        let rows: Vec<mysql_async::Row> = conn.query(QUERY).await?;
        Ok(Self::parse(
            rows.iter()
                .filter_map(|row| Some((value::text(value::at(row, 0))?, value::number(value::at(row, 1))?))),
        ))
    }

    /// Builds the counters from names and values; unknown names are passed over.
    pub fn parse(rows: impl Iterator<Item = (String, f64)>) -> Self {
        let mut status = Self::default();
        for (name, number) in rows {
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "uptime" => status.uptime = Some(number),
                "aborted_clients" => status.aborted_clients = Some(number),
                "aborted_connects" => status.aborted_connects = Some(number),
                "threads_connected" => status.threads_connected = Some(number),
                _ => {
                    if let Some(error) = name.strip_prefix("connection_errors_") {
                        status.connection_errors.insert(error.to_owned(), number);
                    }
                }
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_into_their_places() {
        let rows = [
            ("Uptime", 12.0),
            ("Aborted_clients", 3.0),
            ("Connection_errors_peer_address", 1.0),
            ("Queries", 9.0),
        ];
        let status = GlobalStatus::parse(rows.iter().map(|&(name, number)| (name.to_owned(), number)));
        assert_eq!(status.uptime, Some(12.0));
        assert_eq!(status.aborted_clients, Some(3.0));
        assert_eq!(status.aborted_connects, None);
        assert_eq!(status.connection_errors, BTreeMap::from([("peer_address".to_owned(), 1.0)]));
    }
}
