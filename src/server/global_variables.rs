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
    /// Which server answers, as `Identity` names it.
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

/// Which server answers. `server_uuid` or `server_uid` alone do not tell: a copied data directory has its
/// original's, and MariaDB makes its own of a MAC address and a port, which containers on two hosts share.
#[derive(Debug, Default)]
pub(super) struct Identity {
    uid: Option<String>,
    hostname: Option<String>,
    port: Option<String>,
}

impl Identity {
    /// Takes one setting; others are passed over.
    pub(super) fn take(&mut self, name: &str, text: &str) {
        let place = match name.to_ascii_lowercase().as_str() {
            "server_uuid" | "server_uid" => &mut self.uid,
            "hostname" => &mut self.hostname,
            "port" => &mut self.port,
            _ => return,
        };
        // The first, where a server has both of the first two.
        place.get_or_insert_with(|| text.to_owned());
    }

    /// One name of all three. `None` where the server does not say the first.
    pub(super) fn name(self) -> Option<String> {
        let Self { uid, hostname, port } = self;
        Some(format!("{}/{}:{}", uid?, hostname.unwrap_or_default(), port.unwrap_or_default()))
    }
}

impl GlobalVariables {
    /// Reads the settings. Needs no privilege.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn read(conn: &mut Conn) -> mysql_async::Result<Self> {
        let names = TIMEOUTS.map(|(name, _)| format!("'{name}'")).join(", ");
        let query = format!(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('max_connections', 'server_uuid', 'server_uid', 'hostname', 'port', {names})"
        );
        let begin = (Self::default(), Identity::default());
        let read = conn.query_fold(query, begin, |(mut variables, mut identity), row: mysql_async::Row| {
            if let Some((name, text)) = value::text(value::at(&row, 0)).zip(value::text(value::at(&row, 1))) {
                identity.take(&name, &text);
                variables.take(&name, &text);
            }
            (variables, identity)
        });
        let (variables, identity) = read.await?;
        Ok(Self { identity: identity.name(), ..variables })
    }

    /// Takes one setting; unknown names and odd values are passed over.
    pub fn take(&mut self, name: &str, text: &str) {
        let name = name.to_ascii_lowercase();
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        match name.as_str() {
            "max_connections" => self.max_connections = number.filter(|number| *number >= 1.0),
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
    fn timeouts() {
        let rows = [
            ("wait_timeout", "28800"),
            ("idle_transaction_timeout", "0"),
            ("max_connections", "151"),
            ("net_read_timeout", "soon"),
            ("net_write_timeout", "-60"),
        ];
        let mut read = GlobalVariables::default();
        rows.iter().for_each(|&(name, text)| read.take(name, text));
        assert_eq!(read.timeouts, BTreeMap::from([("wait_timeout", 28800.0)]));
        assert_eq!(read.max_connections, Some(151.0));
    }

    #[test]
    fn copies_of_a_server_are_told_apart() {
        let name = |settings: &[(&str, &str)]| {
            let mut identity = Identity::default();
            settings.iter().for_each(|(name, text)| identity.take(name, text));
            identity.name()
        };
        let one = name(&[("hostname", "db1"), ("port", "3306"), ("server_uuid", "u")]);
        assert_eq!(
            one,
            name(&[("server_uuid", "u"), ("PORT", "3306"), ("hostname", "db1"), ("server_uid", "v")])
        );
        assert_ne!(one, name(&[("hostname", "db2"), ("port", "3306"), ("server_uuid", "u")]));
        assert_ne!(one, name(&[("hostname", "db1"), ("port", "3307"), ("server_uuid", "u")]));
        assert_eq!(name(&[("hostname", "db1"), ("port", "3306")]), None, "who does not say");
    }
}
