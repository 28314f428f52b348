//! Every key of the file, section by section.

/// The keys of one sort of section.
#[derive(Debug)]
pub struct Keys {
    /// How the section is named in messages and in the documentation, such as `targets[].paths[]`.
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [&'static str],
}

pub(super) static FILE: Keys = Keys { name: "the file", keys: &["global", "targets"] };
pub(super) static GLOBAL: Keys = Keys {
    name: "global",
    keys: &["auth", "server", "canary", "connect_timeout", "tls_config", "devices", "pools"],
};
pub(super) static TARGET: Keys = Keys {
    name: "targets[]",
    keys: &["name", "auth", "server", "paths", "canary", "connect_timeout", "tls_config", "devices", "pools"],
};
pub(super) static PATH: Keys = Keys {
    name: "paths[]",
    keys: &["name", "address", "connect_timeout", "tls_config", "devices", "canary"],
};
pub(super) static AUTH: Keys = Keys {
    name: "auth",
    keys: &["username", "password_file", "password_env", "defaults_file", "defaults_group"],
};
pub(super) static SERVER: Keys = Keys { name: "server", keys: &["path", "interval", "exclude_users"] };
pub(super) static TLS: Keys = Keys {
    name: "tls_config",
    keys: &["mode", "ca_file", "cert_file", "key_file", "server_name", "get_server_public_key"],
};
pub(super) static CANARY: Keys = Keys {
    name: "canary",
    keys: &[
        "ages",
        "max_connections",
        "max_connections_per_target",
        "precision",
        "probe_timeout",
        "kill_ghosts",
    ],
};
pub(super) static PATH_CANARY: Keys =
    Keys { name: "paths[].canary", keys: &["max_connections", "precision", "probe_timeout", "kill_ghosts"] };
pub(super) static DEVICE: Keys =
    Keys { name: "devices[]", keys: &["name", "layer", "idle_timeout", "product"] };
pub(super) static POOL: Keys = Keys {
    name: "pools[]",
    keys: &[
        "name",
        "user",
        "framework",
        "recycle",
        "max_lifetime",
        "idle_timeout",
        "keepalive",
        "pre_ping",
        "read_timeout",
        "path",
    ],
};

pub(super) static WEB_FILE: Keys = Keys {
    name: "the file",
    keys: &["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"],
};
pub(super) static WEB_TLS: Keys = Keys {
    name: "tls_server_config",
    keys: &[
        "cert",
        "cert_file",
        "key",
        "key_file",
        "client_ca",
        "client_ca_file",
        "client_auth_type",
        "client_allowed_sans",
        "min_version",
        "max_version",
        "cipher_suites",
        "curve_preferences",
        "prefer_server_cipher_suites",
    ],
};
pub(super) static WEB_HTTP: Keys = Keys { name: "http_server_config", keys: &["http2", "headers"] };
pub(super) static WEB_RATE: Keys = Keys { name: "rate_limit", keys: &["interval", "burst"] };

/// Every section of the web configuration, which is the exporter-toolkit's.
pub static WEB_SECTIONS: [&Keys; 4] = [&WEB_FILE, &WEB_TLS, &WEB_HTTP, &WEB_RATE];

/// Every section of the configuration.
pub static SECTIONS: [&Keys; 11] =
    [&FILE, &GLOBAL, &TARGET, &PATH, &AUTH, &SERVER, &TLS, &CANARY, &PATH_CANARY, &DEVICE, &POOL];
