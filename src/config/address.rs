//! Where a server is reached: a host name or IP address, and a port.

use std::fmt;

/// MySQL's registered port.
const DEFAULT_PORT: u16 = 3306;

/// A host and a port, such as `db.example.org:3306` or `[::1]:3306`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A host name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// A text that is no address. Nothing of it is repeated: it may be a secret that was put in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing stands before the port.
    #[error("the address has no host: write host:port, such as db.example.org:3306")]
    NoHost,
    /// The port is no number from 1 to 65535.
    #[error("the address has a bad port: write a number from 1 to 65535 after the last colon")]
    BadPort,
    /// An IPv6 address without brackets, or brackets that do not match.
    #[error("the address has several colons: write an IPv6 address in brackets, such as [::1]:3306")]
    Brackets,
    /// A URL, a socket path, or something else that is no host.
    #[error(
        "the address is no host and port: write host:port, without a scheme, a user, a password or a path"
    )]
    NotAHost,
    /// Parameters behind a `?`.
    #[error("the address holds a ?: write host:port, without parameters")]
    Parameters,
    /// Something before an `@`: perhaps a password.
    #[error("the address holds an @: write host:port, without a scheme, a user or a password")]
    User,
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(['/', '@', ' ', '?']) {
            return Err(match (text.contains('@'), text.contains('?')) {
                (true, _) => AddressError::User,
                (false, true) => AddressError::Parameters,
                (false, false) => AddressError::NotAHost,
            });
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, tail) = rest.split_once(']').ok_or(AddressError::Brackets)?;
            let port = match tail {
                "" => None,
                _ => Some(tail.strip_prefix(':').ok_or(AddressError::Brackets)?),
            };
            (host, port)
        } else if text.matches(':').count() > 1 {
            return Err(AddressError::Brackets);
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) => match digits.parse() {
                Ok(0) | Err(_) => return Err(AddressError::BadPort),
                Ok(port) => port,
            },
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses() {
        for (text, host, port) in [
            ("db:3307", "db", 3307),
            ("db", "db", 3306),
            ("10.0.0.1:3306", "10.0.0.1", 3306),
            ("[::1]:3306", "::1", 3306),
            ("[fe80::1]", "fe80::1", 3306),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!((address.host.as_str(), address.port), (host, port));
        }
        assert_eq!("[::1]:3306".parse::<Address>().expect("good").to_string(), "[::1]:3306");
    }

    #[test]
    fn bad_addresses_say_why() {
        for (text, message) in [
            (":3306", "the address has no host: write host:port, such as db.example.org:3306"),
            ("db:0", "the address has a bad port: write a number from 1 to 65535 after the last colon"),
            ("db:x", "the address has a bad port: write a number from 1 to 65535 after the last colon"),
            ("::1", "the address has several colons: write an IPv6 address in brackets, such as [::1]:3306"),
            (
                "mysql://db",
                "the address is no host and port: write host:port, without a scheme, a user, a password or a path",
            ),
            (
                "hunter2:in-disguise",
                "the address has a bad port: write a number from 1 to 65535 after the last colon",
            ),
            ("db?password=secret", "the address holds a ?: write host:port, without parameters"),
            (
                "u:secret@db",
                "the address holds an @: write host:port, without a scheme, a user or a password",
            ),
        ] {
            assert_eq!(text.parse::<Address>().expect_err(text).to_string(), message);
        }
    }
}
