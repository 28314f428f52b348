//! `SHOW GLOBAL VARIABLES`: the server's timeouts, its limit on connections, and who it is.

use std::collections::BTreeMap;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::value;

/// The settings that end connections or bound their number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GlobalVariables {
    /// `max_connections`.
    pub max_connections: Option<f64>,
    /// Timeouts by their MySQL names, in seconds. A zero that means "never" is left out.
    pub timeouts: BTreeMap<&'static str, f64>,
    /// `server_uuid` or `server_uid`, which change when another server answers.
    pub identity: Option<String>,
}

/// Timeouts that are read, and whether zero means "never" there.
const TIMEOUTS: [(&str, bool); 8] = [
    ("wait_timeout", false),
    ("interactive_timeout", false),
    ("net_read_timeout", false),
    ("net_write_timeout", false),
    ("idle_transaction_timeout", true),
    ("idle_readonly_transaction_timeout", true),
    ("idle_write_transaction_timeout", true),
    ("tidb_idle_transaction_timeout", true),
];

impl GlobalVariables {
    /// Reads the settings. Needs no privilege.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn read(conn: &mut Conn) -> mysql_async::Result<Self> {
        let names = TIMEOUTS.map(|(name, _)| format!("'{name}'")).join(", ");
        let query = format!(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('max_connections', 'server_uuid', 'server_uid', {names})"
        );
        conn.query_fold(query, Self::default(), |mut variables, row: mysql_async::Row| {
            if let Some((name, text)) = value::text(value::at(&row, 0)).zip(value::text(value::at(&row, 1))) {
                variables.take(&name, text);
            }
            variables
        })
        .await
    }

    /// Takes one setting; unknown names and odd values are passed over.
    pub fn take(&mut self, name: &str, text: String) {
        let name = name.to_ascii_lowercase();
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        match name.as_str() {
            "max_connections" => self.max_connections = number.filter(|number| *number >= 1.0),
            "server_uuid" | "server_uid" => {
                // The first where a server has both, as sessions read it at birth.
                self.identity.get_or_insert(text);
            }
            _ => {
                let known = TIMEOUTS.iter().find(|(known, _)| *known == name);
                if let (Some(&(known, zero_is_never)), Some(seconds)) = (known, number)
                    && (seconds > 0.0 || !zero_is_never)
                {
                    self.timeouts.insert(known, seconds);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_and_identity() {
        let rows = [
            ("wait_timeout", "28800"),
            ("idle_transaction_timeout", "0"),
            ("max_connections", "151"),
            ("server_uuid", "abc"),
            ("net_read_timeout", "soon"),
            ("net_write_timeout", "-60"),
        ];
        let mut read = GlobalVariables::default();
        rows.iter().for_each(|&(name, text)| read.take(name, text.to_owned()));
        assert_eq!(read.timeouts, BTreeMap::from([("wait_timeout", 28800.0)]));
        assert_eq!(read.max_connections, Some(151.0));
        assert_eq!(read.identity.as_deref(), Some("abc"));
    }
}
