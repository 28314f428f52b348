//! The closed list of drivers, by the attributes that they send at login
//! (`performance_schema.session_connect_attrs`).
//!
//! Most names were read in the driver's own source. Those that were only found in its documentation, in its threads, or
//! in what others captured are marked `documented`: a release may say something else, and is `other` then. mysql_async
//! and sqlx send no attributes by themselves, nor does mysqljs; HikariCP, SQLAlchemy and the like are no drivers
//! and say nothing. A wrapper around a C library says what the library says: Ruby's mysql2, Python's mysqlclient
//! and MariaDB's Connector/Python cannot be told from it, but by `program_name` where it is `ruby` or `python`.

/// What an application talks to the server with: the label `driver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Driver {
    /// MySQL Connector/J.
    ConnectorJ,
    /// MariaDB Connector/J.
    MariadbConnectorJ,
    /// Go-MySQL-Driver (`go-sql-driver/mysql`).
    GoMysqlDriver,
    /// `go-mysql-org/go-mysql`.
    GoMysql,
    /// Node's mysql2.
    NodeMysql2,
    /// MariaDB Connector/Node.js.
    MariadbConnectorNode,
    /// PHP's mysqlnd.
    Mysqlnd,
    /// MySQL's C library, and what is built on it.
    Libmysql,
    /// MariaDB's C library, and what is built on it.
    Libmariadb,
    /// MySQL Connector/Python.
    ConnectorPython,
    /// PyMySQL.
    Pymysql,
    /// aiomysql.
    Aiomysql,
    /// asyncmy.
    Asyncmy,
    /// MySqlConnector for .NET.
    Mysqlconnector,
    /// MySQL Connector/NET.
    ConnectorNet,
    /// A canary of this exporter, or of a sibling.
    Canary,
    /// None of these, or one that says nothing.
    Other,
}

/// What [`Driver::Canary`] says for `program_name`.
pub const OUR_PROGRAM_NAME: &str = "mysql-canary-exporter";

/// Names of the client, in small letters, as `_client_name` has them.
const CLIENT_NAMES: [(&str, Driver); 20] = [
    // com.mysql.cj.Constants.CJ_NAME, from 8.0 on; 5.1 had NonRegisteringDriver.NAME.
    ("mysql connector/j", Driver::ConnectorJ),
    ("mysql connector java", Driver::ConnectorJ),
    // org.mariadb.jdbc.message.client.HandshakeResponse.
    ("mariadb connector/j", Driver::MariadbConnectorJ),
    // const.go, connAttrClientNameValue.
    ("go-mysql-driver", Driver::GoMysqlDriver),
    // documented: go-mysql-org/go-mysql, in the thread of pull request 978.
    ("go-mysql", Driver::GoMysql),
    // documented: sidorares/node-mysql2, in pull request 1825 and in captured logins of 3.15.3.
    ("node-mysql-2", Driver::NodeMysql2),
    // lib/cmd/handshake/auth/handshake.js.
    ("mariadb connector/node", Driver::MariadbConnectorNode),
    // mysqlnd_connection.c.
    ("mysqlnd", Driver::Mysqlnd),
    // sql-common/client.cc.
    ("libmysql", Driver::Libmysql),
    // libmariadb/mariadb_lib.c, ma_set_connect_attrs.
    ("libmariadb", Driver::Libmariadb),
    // mysql/connector/connection.py, and mysqlx.
    ("mysql-connector-python", Driver::ConnectorPython),
    ("mysqlx-connector-python", Driver::ConnectorPython),
    ("mysql connector/python", Driver::ConnectorPython),
    // pymysql/connections.py.
    ("pymysql", Driver::Pymysql),
    // aiomysql/connection.py.
    ("aiomysql", Driver::Aiomysql),
    // asyncmy/connection.pyx.
    ("asyncmy", Driver::Asyncmy),
    // documented: mysql-net/MySqlConnector, in issues 293 and 765.
    ("mysqlconnector", Driver::Mysqlconnector),
    // documented: as the same issue 765 shows them, of 8.0 and of 6.9.
    ("mysql-connector-net", Driver::ConnectorNet),
    ("mysql connector/net", Driver::ConnectorNet),
    (OUR_PROGRAM_NAME, Driver::Canary),
];

impl Driver {
    /// Every driver, in the order of the documentation.
    pub const ALL: [Self; 17] = [
        Self::ConnectorJ,
        Self::MariadbConnectorJ,
        Self::GoMysqlDriver,
        Self::GoMysql,
        Self::NodeMysql2,
        Self::MariadbConnectorNode,
        Self::Mysqlnd,
        Self::Libmysql,
        Self::Libmariadb,
        Self::ConnectorPython,
        Self::Pymysql,
        Self::Aiomysql,
        Self::Asyncmy,
        Self::Mysqlconnector,
        Self::ConnectorNet,
        Self::Canary,
        Self::Other,
    ];

    /// The value of the label `driver`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ConnectorJ => "connector_j",
            Self::MariadbConnectorJ => "mariadb_connector_j",
            Self::GoMysqlDriver => "go_mysql_driver",
            Self::GoMysql => "go_mysql",
            Self::NodeMysql2 => "node_mysql2",
            Self::MariadbConnectorNode => "mariadb_connector_node",
            Self::Mysqlnd => "mysqlnd",
            Self::Libmysql => "libmysql",
            Self::Libmariadb => "libmariadb",
            Self::ConnectorPython => "connector_python",
            Self::Pymysql => "pymysql",
            Self::Aiomysql => "aiomysql",
            Self::Asyncmy => "asyncmy",
            Self::Mysqlconnector => "mysqlconnector",
            Self::ConnectorNet => "connector_net",
            Self::Canary => "canary",
            Self::Other => "other",
        }
    }

    /// The driver whose session has these attributes.
    pub fn of<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut seen = Attributes::default();
        for (name, value) in attributes {
            seen.take(name, value);
        }
        seen.driver()
    }

    fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        CLIENT_NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|&(_, driver)| driver)
    }
}

/// What the attributes of one session have told so far; they come in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    client: Option<Driver>,
    connector: Option<Driver>,
    ours: bool,
}

impl Attributes {
    /// The names that tell something; others need not be read.
    pub const NAMES: [&str; 3] = ["_client_name", "_connector_name", "program_name"];

    /// Takes one attribute.
    pub fn take(&mut self, name: &str, value: &str) {
        match name {
            "program_name" => self.ours |= value == OUR_PROGRAM_NAME,
            "_client_name" => self.client = Driver::named(value),
            "_connector_name" => self.connector = Driver::named(value),
            _ => {}
        }
    }

    /// The driver. A wrapper names itself in `_connector_name`, and counts before the library it is built on.
    pub fn driver(self) -> Driver {
        if self.ours {
            return Driver::Canary;
        }
        self.connector.or(self.client).unwrap_or(Driver::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_driver_is_known_by_what_it_says() {
        for (attributes, driver) in [
            (&[("_client_name", "MySQL Connector/J"), ("_client_version", "9.7.0")][..], Driver::ConnectorJ),
            (&[("_client_name", "MySQL Connector Java")], Driver::ConnectorJ),
            (&[("_client_name", "MariaDB Connector/J")], Driver::MariadbConnectorJ),
            (&[("_client_name", "Go-MySQL-Driver"), ("_pid", "7")], Driver::GoMysqlDriver),
            (&[("_client_name", "Node-MySQL-2")], Driver::NodeMysql2),
            (&[("_client_name", "MariaDB connector/Node")], Driver::MariadbConnectorNode),
            (&[("_client_name", "mysqlnd"), ("_server_host", "db")], Driver::Mysqlnd),
            (&[("program_name", "mysql"), ("_client_name", "libmysql")], Driver::Libmysql),
            (&[("_client_name", "libmariadb")], Driver::Libmariadb),
            (
                &[("_connector_name", "mysql-connector-python"), ("_client_name", "libmysql")],
                Driver::ConnectorPython,
            ),
            (&[("_client_name", "libmysql"), ("_connector_name", "somebody's")], Driver::Libmysql),
            (&[("_client_name", "pymysql"), ("program_name", "app.py")], Driver::Pymysql),
            (&[("_client_name", "aiomysql")], Driver::Aiomysql),
            (&[("_client_name", "asyncmy")], Driver::Asyncmy),
            (&[("_client_name", "MySqlConnector      ")], Driver::Mysqlconnector),
            (&[("_client_name", "MySql Connector/NET")], Driver::ConnectorNet),
            (&[("program_name", "mysql-canary-exporter")], Driver::Canary),
            (&[("program_name", "mysql-canary-exporter"), ("_client_name", "pymysql")], Driver::Canary),
            (&[("_client_name", "libmysqlish")], Driver::Other),
            (&[("_client_name", "")], Driver::Other),
            (&[], Driver::Other),
        ] {
            assert_eq!(Driver::of(attributes.iter().copied()), driver, "{attributes:?}");
        }
    }

    #[test]
    fn labels_are_many_and_known_names_small() {
        let mut labels: Vec<&str> = Driver::ALL.iter().map(|driver| driver.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Driver::ALL.len());
        for (name, _) in CLIENT_NAMES {
            assert_eq!(name, name.to_ascii_lowercase());
        }
    }
}
