//! Database accounts a server is started with.

use super::server::Flavor;

/// The password of an account whose test does not care.
pub(crate) const DEFAULT_PASSWORD: &str = "canary-secret";

/// How an account proves its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Plugin {
    /// The server's own default: `mysql_native_password` on MariaDB, `caching_sha2_password` on MySQL.
    #[default]
    ServerDefault,
    /// MariaDB's `ed25519`.
    Ed25519,
}

/// One account, reachable from everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    name: String,
    password: String,
    plugin: Plugin,
    privileges: Vec<String>,
    demands: String,
    limits: String,
}

impl Account {
    /// An account without any privilege and with [`DEFAULT_PASSWORD`].
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: DEFAULT_PASSWORD.to_owned(),
            plugin: Plugin::default(),
            privileges: Vec::new(),
            demands: String::new(),
            limits: String::new(),
        }
    }

    /// The account the exporter logs in with.
    pub(crate) fn canary() -> Self {
        Self::new("canary")
    }

    /// The account the applications log in with; it owns the database `app`.
    pub(crate) fn app() -> Self {
        Self::new("app").with_grant("ALL PRIVILEGES ON app.*")
    }

    /// Another password; any character is fine.
    pub(crate) fn with_password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.password);
        self
    }

    /// Another way to log in.
    pub(crate) fn with_plugin(mut self, plugin: Plugin) -> Self {
        self.plugin = plugin;
        self
    }

    /// May see everybody's sessions.
    pub(crate) fn with_process_privilege(self) -> Self {
        self.with_grant("PROCESS ON *.*")
    }

    /// Anything between `GRANT` and `TO`.
    pub(crate) fn with_grant(mut self, grant: &str) -> Self {
        self.privileges.push(grant.to_owned());
        self
    }

    /// Logs in under TLS alone, as `REQUIRE` says: `SSL`, `X509` and the like.
    pub(crate) fn requiring(self, what: &str) -> Self {
        Self { demands: format!(" REQUIRE {what}"), ..self }
    }

    /// May hold at most this many sessions (error 1226 beyond).
    pub(crate) fn with_max_user_connections(mut self, limit: u32) -> Self {
        self.limits = format!(" WITH MAX_USER_CONNECTIONS {limit}");
        self
    }

    /// The statements that make it.
    pub(super) fn statements(&self, flavor: Flavor) -> String {
        let user = format!("{}@'%'", quote(&self.name));
        let password = quote(&self.password);
        let (before, identified) = match (self.plugin, flavor) {
            (Plugin::ServerDefault, _) => ("", format!("BY {password}")),
            (Plugin::Ed25519, Flavor::MariaDb) => (
                "INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519';",
                format!("VIA ed25519 USING PASSWORD({password})"),
            ),
            (Plugin::Ed25519, Flavor::MySql) => panic!("MySQL does not know ed25519; ask MariaDB"),
        };
        let grants: String =
            self.privileges.iter().map(|grant| format!("GRANT {grant} TO {user};\n")).collect();
        format!(
            "{before}\nCREATE USER {user} IDENTIFIED {identified}{}{};\n{grants}",
            self.demands, self.limits
        )
    }
}

/// A string as SQL spells it.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
