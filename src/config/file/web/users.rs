//! Who may ask: users, and the bcrypt hashes of their passwords.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use bcrypt::HashParts;

use super::Reading;
use crate::config::file::section::{Entry, Fault};
use crate::config::secret::Secret;

/// Users and their hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<String, Hash>);

/// The bcrypt hash of a password. It cannot be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash(Secret);

/// The costs that there are, as in Go's bcrypt.
const COSTS: RangeInclusive<u32> = 4..=31;
/// The highest cost that is taken: with it one check takes about ten seconds, and holds others up so long.
const HIGHEST: u32 = 17;
/// From which cost on one check takes seconds.
const SLOW: u32 = 15;

impl Hash {
    /// Whether this password has this hash. It takes as long as the hash's cost demands, and blocks so long. Of a long
    /// password 72 bytes count, as everywhere with bcrypt.
    pub fn is_of(&self, password: &[u8]) -> bool {
        // Hashes were parsed when they were read.
        bcrypt::verify(password, self.0.reveal()).unwrap_or(false)
    }

    /// The hash itself: a key to remember a check by, and nothing else.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl Users {
    pub(super) fn read(entry: &Entry<'_>, reading: &mut Reading) -> Result<Self, Fault> {
        let example = "user: and the bcrypt hash of the password, as hash-password prints it";
        let mut users = BTreeMap::new();
        for (name, entry) in entry.named(example)? {
            if name.contains(':') || name.chars().any(char::is_control) {
                return Err(entry.fault(
                    "no client can send this name: a user's name has neither colons nor control characters",
                ));
            }
            let text = entry.text("the bcrypt hash of the password")?;
            let parts = HashParts::from_str(text).map_err(|_| {
                entry.fault("not a bcrypt hash: write what hash-password prints for the password, which begins with $2")
            })?;
            let cost = parts.get_cost();
            if !COSTS.contains(&cost) {
                return Err(entry.fault(format!(
                    "no bcrypt hash has the cost {cost}: it is {} to {}; 10 to 12 is usual",
                    COSTS.start(),
                    COSTS.end()
                )));
            }
            if cost > HIGHEST {
                return Err(entry.fault(format!(
                    "the hash's cost is {cost}, and one check of a password would take longer than a client waits: make one \
                     of {HIGHEST} at most, 10 to 12 is usual"
                )));
            }
            if cost >= SLOW {
                reading.warn(format!(
                    "{}: the hash's cost is {}: one check of a password takes seconds; 10 to 12 is usual",
                    entry.path(),
                    cost
                ));
            }
            users.insert(name.to_owned(), Hash(Secret::new(text)));
        }
        Ok(Self(users))
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The hash of a user's password.
    pub fn get(&self, name: &str) -> Option<&Hash> {
        self.0.get(name)
    }

    /// Somebody's hash, for this number always the same one: what an unknown user's password is checked against, so that
    /// it takes as long as a known one's.
    pub fn anybody(&self, number: u64) -> Option<&Hash> {
        let count = u64::try_from(self.0.len()).ok().filter(|&count| count > 0)?;
        self.0.values().nth(usize::try_from(number % count).ok()?)
    }
}
