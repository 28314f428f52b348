//! Declared client pools: when an application's own pool drops, checks or pings a connection.

mod pairs;

use serde::Serialize;

use crate::domain::life::duration::{self, DurationError};

pub use pairs::{NameError, PairError, check_name, split_pairs};

/// A client pool, as its owner declares it. All times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pool {
    /// Its configured name.
    pub name: String,
    /// The MySQL user its sessions log in as. Sessions are matched to pools by it.
    pub user: Option<String>,
    /// What it is made with.
    pub framework: Framework,
    /// When a connection is replaced, counted from connect.
    pub recycle: Recycle,
    /// When a connection that rests in the pool is closed, counted from its last use. Declare it only
    /// where it works: HikariCP ignores `idleTimeout` in a pool of fixed size.
    pub idle_timeout: Option<f64>,
    /// How often the pool itself pings a connection that rests in it.
    pub keepalive: Option<f64>,
    /// Whether a connection is tried before it is lent.
    pub pre_ping: bool,
    /// How long a call waits for an answer. Absent: for ever, as every common driver does by default.
    pub read_timeout: Option<f64>,
    /// The path that its connections take, where it is declared: the exporter's of that name.
    pub path: Option<String>,
}

/// When a pool replaces a connection, counted from connect.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recycle {
    /// At this age, in seconds; above zero.
    After(f64),
    /// Never.
    Never,
    /// Not declared, and the framework has no default that is known here.
    Unknown,
}

/// What a pool is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Framework {
    /// SQLAlchemy: looks at `pool_recycle` only when a connection is lent.
    Sqlalchemy,
    /// HikariCP.
    Hikaricp,
    /// Go's database/sql.
    Go,
    /// Any other.
    Other,
}

impl Framework {
    /// Every framework, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Sqlalchemy, Self::Hikaricp, Self::Go, Self::Other];

    /// The word in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Sqlalchemy => "sqlalchemy",
            Self::Hikaricp => "hikaricp",
            Self::Go => "go",
            Self::Other => "other",
        }
    }

    /// What a pool of this framework does where nobody sets a recycle age: SQLAlchemy
    /// `pool_recycle=-1`, HikariCP `maxLifetime` 30 min, database/sql `ConnMaxLifetime` without limit.
    pub const fn default_recycle(self) -> Recycle {
        match self {
            Self::Sqlalchemy | Self::Go => Recycle::Never,
            Self::Hikaricp => Recycle::After(1800.0),
            Self::Other => Recycle::Unknown,
        }
    }
}

/// Why a text declares no pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The text is no list of keys and values.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// A key that pools do not have.
    #[error(
        "unknown key {key:?}: the keys are name, user, framework, recycle (or max_lifetime), idle_timeout, \
         keepalive, pre_ping, read_timeout and path"
    )]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// There is no name.
    #[error("no name: write for example name=api,recycle=1800s")]
    MissingName,
    /// The name cannot be a label.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The user is empty.
    #[error("user is empty: write the MySQL user of the pool's sessions, or leave the key out")]
    EmptyUser,
    /// The framework is not one of the four.
    #[error("framework {value:?} is not known: write sqlalchemy, hikaricp, go or other")]
    Framework {
        /// What was written.
        value: String,
    },
    /// A time is no duration.
    #[error("{key} is {source}")]
    Duration {
        /// The key.
        key: String,
        /// What is wrong with it.
        source: DurationError,
    },
    /// A time is zero.
    #[error("{key} is zero: write {key}=never where it is off")]
    Zero {
        /// The key.
        key: String,
    },
    /// `pre_ping` is neither true nor false.
    #[error("pre_ping is {value:?}: write true or false")]
    NotABool {
        /// What was written.
        value: String,
    },
    /// Two pools have one name.
    #[error("two pools are named {name:?}: give each its own name")]
    SameName {
        /// The name.
        name: String,
    },
}

impl Pool {
    /// Parses `name=api,user=api,framework=sqlalchemy,recycle=1800s,idle_timeout=600s,keepalive=60s,pre_ping=true,read_timeout=30s`.
    /// Only the name is needed. Times are durations such as `90s`, or `never`.
    ///
    /// # Errors
    /// The first thing that is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PoolError> {
        Self::from_pairs(split_pairs(text)?)
    }

    /// Reads the same keys from a configuration file.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PoolError> {
        let mut seen: Vec<&str> = Vec::new();
        let mut name = None;
        let mut recycle = None;
        let mut pool = Self {
            name: String::new(),
            user: None,
            framework: Framework::Other,
            recycle: Recycle::Unknown,
            idle_timeout: None,
            keepalive: None,
            pre_ping: false,
            read_timeout: None,
            path: None,
        };
        for (written, value) in pairs {
            // Two spellings of one key are one key.
            let key = if written == "max_lifetime" { "recycle" } else { written };
            if seen.contains(&key) {
                return Err(PairError::Duplicate { key: written.to_owned() }.into());
            }
            match key {
                "name" => name = Some(check_name(value)?),
                "user" if value.is_empty() => return Err(PoolError::EmptyUser),
                "user" => pool.user = Some(value.to_owned()),
                "framework" => {
                    pool.framework = Framework::ALL
                        .into_iter()
                        .find(|known| known.label() == value)
                        .ok_or_else(|| PoolError::Framework { value: value.to_owned() })?;
                }
                "recycle" => {
                    recycle = Some(time(written, value)?.map_or(Recycle::Never, Recycle::After));
                }
                "idle_timeout" => pool.idle_timeout = time(written, value)?,
                "keepalive" => pool.keepalive = time(written, value)?,
                "read_timeout" => pool.read_timeout = time(written, value)?,
                "path" => pool.path = Some(check_name(value)?),
                "pre_ping" => {
                    pool.pre_ping = match value {
                        "true" => true,
                        "false" => false,
                        other => return Err(PoolError::NotABool { value: other.to_owned() }),
                    };
                }
                other => return Err(PoolError::UnknownKey { key: other.to_owned() }),
            }
            seen.push(key);
        }
        pool.name = name.ok_or(PoolError::MissingName)?;
        pool.recycle = recycle.unwrap_or_else(|| pool.framework.default_recycle());
        Ok(pool)
    }
}

impl Pool {
    /// Whether it tries a connection that has rested before it lends it: HikariCP always does.
    pub const fn tests_before_lending(&self) -> bool {
        self.pre_ping || matches!(self.framework, Framework::Hikaricp)
    }

    /// Whether what rested for `idle` seconds is replaced for its age only when it is lent, so that it is still listed
    /// and does not fail. The others close what is too old while it rests; of an unknown one nobody knows.
    pub fn ages_out_when_lent(&self, idle: f64) -> bool {
        let looks_when_it_lends = matches!(self.framework, Framework::Sqlalchemy | Framework::Other);
        looks_when_it_lends && matches!(self.recycle, Recycle::After(age) if age <= idle)
    }
}

/// Refuses two pools of one name: their series could not be told apart.
///
/// # Errors
/// [`PoolError::SameName`] for the first name that stands twice.
pub fn check_distinct(pools: &[Pool]) -> Result<(), PoolError> {
    for (index, pool) in pools.iter().enumerate() {
        if pools[..index].iter().any(|other| other.name == pool.name) {
            return Err(PoolError::SameName { name: pool.name.clone() });
        }
    }
    Ok(())
}

/// A time above zero in seconds, or nothing for `never`.
fn time(key: &str, value: &str) -> Result<Option<f64>, PoolError> {
    if value == "never" {
        return Ok(None);
    }
    let seconds = duration::parse_seconds(value)
        .map_err(|source| PoolError::Duration { key: key.to_owned(), source })?;
    if seconds <= 0.0 {
        return Err(PoolError::Zero { key: key.to_owned() });
    }
    Ok(Some(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = "name=api,user=app,framework=sqlalchemy,recycle=1800s,idle_timeout=600s,keepalive=60s,\
                    pre_ping=true,read_timeout=30s,path=default";
        let expected = Pool {
            name: "api".to_owned(),
            user: Some("app".to_owned()),
            framework: Framework::Sqlalchemy,
            recycle: Recycle::After(1800.0),
            idle_timeout: Some(600.0),
            keepalive: Some(60.0),
            pre_ping: true,
            read_timeout: Some(30.0),
            path: Some("default".to_owned()),
        };
        assert_eq!(Pool::parse(text), Ok(expected.clone()));
        assert_eq!(Pool::parse(&text.replace("recycle", "max_lifetime").replace(',', " , ")), Ok(expected));
    }

    #[test]
    fn what_is_left_out_is_the_frameworks_own() {
        for (text, recycle) in [
            ("name=a", Recycle::Unknown),
            ("name=a,framework=other", Recycle::Unknown),
            ("name=a,framework=sqlalchemy", Recycle::Never),
            ("name=a,framework=go", Recycle::Never),
            ("name=a,framework=hikaricp", Recycle::After(1800.0)),
            ("name=a,framework=hikaricp,recycle=never", Recycle::Never),
            ("recycle=10m,framework=go,name=a", Recycle::After(600.0)),
        ] {
            assert_eq!(Pool::parse(text).expect(text).recycle, recycle, "{text}");
        }
        assert_eq!(Pool::parse("name=a,read_timeout=never").expect("good").read_timeout, None);
    }

    #[test]
    fn bad_pools_say_what_is_wrong() {
        for (text, message) in [
            ("", "nothing declared: write key=value, separated by commas"),
            ("name=api,recycle", "\"recycle\" is not key=value: write for example name=api,recycle=1800s"),
            ("name=api,", "\"\" is not key=value: write for example name=api,recycle=1800s"),
            ("name=api,name=web", "name is given twice: write it once"),
            ("name=api,recycle=1h,max_lifetime=1h", "max_lifetime is given twice: write it once"),
            (
                "name=api,recylce=1h",
                "unknown key \"recylce\": the keys are name, user, framework, recycle (or max_lifetime), \
                 idle_timeout, keepalive, pre_ping, read_timeout and path",
            ),
            ("recycle=1h", "no name: write for example name=api,recycle=1800s"),
            ("name=", "name \"\" cannot be a label: write 1 to 64 letters, digits, '.', '_' or '-'"),
            ("name=a b", "name \"a b\" cannot be a label: write 1 to 64 letters, digits, '.', '_' or '-'"),
            (
                "name=api,user=",
                "user is empty: write the MySQL user of the pool's sessions, or leave the key out",
            ),
            (
                "name=api,framework=django",
                "framework \"django\" is not known: write sqlalchemy, hikaricp, go or other",
            ),
            (
                "name=api,recycle=soon",
                "recycle is \"soon\", not a duration: write a number and a unit (ms, s, m, h, d, w, y), such as 90s or 1h30m",
            ),
            (
                "name=api,max_lifetime=1800",
                "max_lifetime is \"1800\", not a duration: write a number and a unit (ms, s, m, h, d, w, y), such as 90s or 1h30m",
            ),
            ("name=api,recycle=0s", "recycle is zero: write recycle=never where it is off"),
            ("name=api,pre_ping=yes", "pre_ping is \"yes\": write true or false"),
        ] {
            assert_eq!(Pool::parse(text).expect_err(text).to_string(), message);
        }
    }

    #[test]
    fn names_are_distinct() {
        let pools = ["name=a", "name=b", "name=a"].map(|text| Pool::parse(text).expect(text));
        assert_eq!(check_distinct(&pools[..2]), Ok(()));
        assert_eq!(
            check_distinct(&pools).expect_err("twice").to_string(),
            "two pools are named \"a\": give each its own name"
        );
    }
}
