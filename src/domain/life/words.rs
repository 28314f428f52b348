//! Words that a server chose, before they become labels: closed lists where the server's own are known, and
//! bounded, clean text where they are not. What was changed is said, so that it can be counted.

use std::borrow::Cow;

/// The longest text that becomes a label, in characters.
pub const LONGEST_LABEL: usize = 32;
/// The longest name of an account that any server has, in characters: MariaDB's.
const LONGEST_NAME: usize = 128;
/// What stands for a word that no list knows.
pub const OTHER: &str = "other";
/// The user label of the accounts that have no series of their own.
pub const OTHER_USERS: &str = "_other";
/// The most users that are told of by name; the rest are summed under [`OTHER_USERS`].
pub const MOST_NAMED_USERS: usize = 50;

/// What a word of the server's was meant for: the label `field`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The name of an account.
    User,
    /// `COMMAND` of the processlist.
    Command,
    /// The rest of a `Connection_errors_*` name.
    ConnectionError,
    /// The version in the greeting.
    Version,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 4] = [Self::User, Self::Command, Self::ConnectionError, Self::Version];

    /// The value of the label `field`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Command => "command",
            Self::ConnectionError => "connection_error",
            Self::Version => "version",
        }
    }
}

/// How many words were cut, cleaned or not known, by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WordsCut([u64; Field::ALL.len()]);

impl WordsCut {
    /// One more.
    pub fn count(&mut self, field: Field) {
        self.0[field as usize] = self.0[field as usize].saturating_add(1);
    }

    /// All of another reading too.
    pub fn add(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// How many of this field.
    pub fn of(&self, field: Field) -> u64 {
        self.0[field as usize]
    }
}

/// What MySQL 5.5 to 9.7 and MariaDB call commands: the names in both servers' binaries, in MySQL's spelling
/// where the two differ in case alone.
const COMMANDS: [&str; 43] = [
    "Sleep",
    "Query",
    "Execute",
    "Connect",
    "Binlog Dump",
    "Binlog Dump GTID",
    "Daemon",
    "Killed",
    "Prepare",
    "Fetch",
    "Reset stmt",
    "Close stmt",
    "Change user",
    "Init DB",
    "Field List",
    "Quit",
    "Statistics",
    "Ping",
    "Debug",
    "Time",
    "Delayed insert",
    "Set option",
    "Long Data",
    "Register Slave",
    "Register Replica",
    "Table Dump",
    "Create DB",
    "Drop DB",
    "Refresh",
    "Shutdown",
    "Processlist",
    "Kill",
    "Connect Out",
    "Reset Connection",
    "Clone",
    "Group Replication Stream",
    "Slave_SQL",
    "Slave_IO",
    "Slave_worker",
    "Bulk_execute",
    "Com_multi",
    "Unimpl get tid",
    "Error",
];
/// Too long for a label, and cut by `information_schema.PROCESSLIST` besides.
const GROUP_REPLICATION: (&str, &str) = ("group replicatio", "Group Replication Stream");

/// The command as MySQL spells it; `None` where it is none of MySQL's or MariaDB's.
pub fn command(word: &str) -> Option<&'static str> {
    let known = COMMANDS.iter().find(|known| known.eq_ignore_ascii_case(word)).copied();
    let (begin, name) = GROUP_REPLICATION;
    let begins = || word.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin));
    known.or_else(|| begins().then_some(name))
}

/// The rests of the `Connection_errors_*` names that MySQL 9.7 and MariaDB 10.11 have.
const CONNECTION_ERRORS: [&str; 6] =
    ["accept", "internal", "max_connections", "peer_address", "select", "tcpwrap"];

/// The connection error of that name; `None` where it is none of the servers'.
pub fn connection_error(word: &str) -> Option<&'static str> {
    CONNECTION_ERRORS.iter().find(|known| known.eq_ignore_ascii_case(word)).copied()
}

/// The numbers at the head of a version text: `10.11.19` of `10.11.19-MariaDB-log`. At most four numbers of at
/// most five digits each. `None` where it does not begin with a number, or has more than that.
pub fn version_numbers(version: &str) -> Option<&str> {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let numbers = version[..end].trim_end_matches('.');
    let parts = numbers.split('.');
    let good = |part: &str| (1..=5).contains(&part.len());
    (numbers.split('.').count() <= 4 && parts.into_iter().all(good)).then_some(numbers)
}

/// The name of an account as it is kept: whole where a server can have it, or else told apart from all others
/// by a sum of what it was. Gives whether it was changed.
pub fn account_name(name: &str) -> (String, bool) {
    let fits = name.chars().nth(LONGEST_NAME).is_none() && !name.chars().any(is_odd) && name != OTHER_USERS;
    if fits { (name.to_owned(), false) } else { (abbreviated(name), true) }
}

/// An account's name as a label: whole up to [`LONGEST_LABEL`] characters, else its beginning and a sum of the
/// whole, so that no two accounts share a label.
pub fn account_label(name: &str) -> Cow<'_, str> {
    if name.chars().nth(LONGEST_LABEL).is_none() { name.into() } else { abbreviated(name).into() }
}

/// The label of a user as the follower of sessions calls it.
pub fn user_label(user: &str) -> Cow<'_, str> {
    if user == OTHER_USERS { user.into() } else { account_label(&account_name(user).0).into_owned().into() }
}

/// Whether a name is too long for a label and was, or will be, cut.
pub fn is_cut_as_label(name: &str) -> bool {
    name.chars().nth(LONGEST_LABEL).is_some()
}

/// The first characters of a text, those that cannot be shown replaced, and a sum of the whole.
fn abbreviated(text: &str) -> String {
    const SUM: usize = 9;
    let kept = text.chars().take(LONGEST_LABEL - SUM).map(|c| if is_odd(c) { '?' } else { c });
    let sum = fnv1a(text.as_bytes());
    kept.chain(format!("~{sum:08x}").chars()).collect()
}

/// Whether a character says nothing on a page, or turns it around.
pub fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Fowler, Noll and Vo's sum of 32 bits: no secret, only a name that stays the same.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_those_of_the_servers_or_none() {
        for (word, expected) in [
            ("Sleep", Some("Sleep")),
            ("Reset connection", Some("Reset Connection")),
            ("clone", Some("Clone")),
            ("Slave_IO", Some("Slave_IO")),
            ("Group Replication Data Stream subscription", Some("Group Replication Stream")),
            ("Group Replicatio", Some("Group Replication Stream")),
            ("", None),
            ("Sleep ", None),
            ("Größe Replicatio", None),
            ("command00001", None),
        ] {
            assert_eq!(command(word), expected, "{word:?}");
        }
        assert!(COMMANDS.iter().all(|name| name.len() <= LONGEST_LABEL && command(name) == Some(name)));
    }

    #[test]
    fn versions_are_numbers_or_nothing() {
        for (text, expected) in [
            ("10.11.19-MariaDB-0+deb12u1", Some("10.11.19")),
            ("9.7.4", Some("9.7.4")),
            ("8.0.36.", Some("8.0.36")),
            ("8", Some("8")),
            ("", None),
            ("MySQL", None),
            (".8", None),
            ("8..0", None),
            ("1.2.3.4.5", None),
            ("123456.0", None),
        ] {
            assert_eq!(version_numbers(text), expected, "{text:?}");
        }
    }

    #[test]
    fn names_are_kept_whole_where_a_server_can_have_them() {
        let long = "u".repeat(LONGEST_NAME);
        for name in ["app", "", "Größe", "a\"b\\c{}=,", long.as_str()] {
            assert_eq!(account_name(name), (name.to_owned(), false));
        }
        for name in ["a\nb", "_other", "a\u{202e}b", &"u".repeat(LONGEST_NAME + 1)] {
            let (kept, changed) = account_name(name);
            assert!(changed && kept != name && kept.chars().count() <= LONGEST_LABEL, "{kept:?}");
            assert!(!kept.chars().any(is_odd));
        }
        assert_eq!(account_label(&long), format!("{}~{:08x}", "u".repeat(23), fnv1a(long.as_bytes())));
        assert_eq!(account_label(&long[..LONGEST_LABEL]), long[..LONGEST_LABEL]);
    }

    proptest! {
        #[test]
        fn no_two_names_share_a_label(head in ".{0,40}", one in ".{0,120}", two in ".{0,120}") {
            let label = |tail: &str| account_label(&account_name(&format!("{head}{tail}")).0).into_owned();
            prop_assert!(label(&one).chars().count() <= LONGEST_LABEL);
            prop_assert_eq!(one == two, label(&one) == label(&two));
        }
    }
}
