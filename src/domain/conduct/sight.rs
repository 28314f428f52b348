//! Sight: whether the list of sessions that an account reads shows everybody's, or only its own. Where that is
//! not sure nothing is said of the applications, for a list without them looks like a server without any.

/// What an account's list of sessions shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Everybody's sessions.
    Everyone,
    /// The account's own alone: it does not hold PROCESS.
    OwnOnly,
    /// The server would not say what the account may see.
    Unknown,
    /// The server counts many more sessions than it lists.
    Incomplete,
}

impl Sight {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Everyone, Self::OwnOnly, Self::Unknown, Self::Incomplete];

    /// Its name in the status document.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::OwnOnly => "own_only",
            Self::Unknown => "unknown",
            Self::Incomplete => "incomplete",
        }
    }
}

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Facts {
    /// Whether the account held PROCESS when the session logged in; `None` where the server would not say.
    pub holds_process: Option<bool>,
    /// Whether a session of a user was listed that is surely somebody else. Without PROCESS MySQL and MariaDB
    /// list the sessions of the account's own user name, and no others.
    pub shows_others: bool,
    /// How many sessions are listed, the server's own threads too.
    pub listed: usize,
    /// `Threads_connected` of a moment before.
    pub connected: Option<f64>,
}

/// What the list shows.
pub fn judge(facts: &Facts) -> Sight {
    match facts.holds_process {
        _ if facts.shows_others => {}
        Some(true) => {}
        Some(false) => return Sight::OwnOnly,
        None => return Sight::Unknown,
    }
    /// Sessions come and go between the two questions: so many, and this share, may do so.
    const COME_AND_GO: (f64, f64) = (20.0, 0.25);
    let missing =
        |connected: f64| connected - facts.listed as f64 > COME_AND_GO.0 + connected * COME_AND_GO.1;
    if facts.connected.is_some_and(missing) { Sight::Incomplete } else { Sight::Everyone }
}

/// Whether `SHOW GRANTS` tells of the privilege PROCESS, line by line as the server gives it. Both MySQL and
/// MariaDB add there what the roles give that are active, and nothing of those that are not. `None` where no
/// line is a grant.
pub fn grants_process<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<bool> {
    let mut grants = lines.into_iter().filter_map(|line| line.strip_prefix("GRANT ")).peekable();
    grants.peek()?;
    Some(grants.any(is_grant_of_process))
}

/// One grant, without its first word. A role stands in quotes and has no ON.
fn is_grant_of_process(grant: &str) -> bool {
    let Some((privileges, on)) = grant.split_once(" ON ") else { return false };
    let gives = |privilege: &str| matches!(privilege.trim(), "PROCESS" | "ALL PRIVILEGES" | "ALL");
    on.starts_with("*.* TO ") && privileges.split(',').any(gives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_not_sure_it_is_not_said() {
        let facts =
            Facts { holds_process: Some(true), listed: 100, connected: Some(110.0), ..Facts::default() };
        for (what, facts, expected) in [
            ("PROCESS", facts, Sight::Everyone),
            ("no PROCESS", Facts { holds_process: Some(false), ..facts }, Sight::OwnOnly),
            ("no word", Facts { holds_process: None, ..facts }, Sight::Unknown),
            ("others seen", Facts { holds_process: None, shows_others: true, ..facts }, Sight::Everyone),
            (
                "against its word",
                Facts { holds_process: Some(false), shows_others: true, ..facts },
                Sight::Everyone,
            ),
            ("no count", Facts { connected: None, ..facts }, Sight::Everyone),
            ("a storm that ends", Facts { listed: 100, connected: Some(160.0), ..facts }, Sight::Everyone),
            ("half of it", Facts { listed: 100, connected: Some(200.0), ..facts }, Sight::Incomplete),
            ("a small server", Facts { listed: 1, connected: Some(21.0), ..facts }, Sight::Everyone),
        ] {
            assert_eq!(judge(&facts), expected, "{what}");
        }
    }

    /// As MariaDB 10.11 and MySQL 9.7 answer.
    #[test]
    fn grants_are_read_as_the_servers_write_them() {
        for (lines, expected) in [
            (&["GRANT PROCESS ON *.* TO `canary`@`%` IDENTIFIED BY PASSWORD '*B69'"][..], Some(true)),
            (&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"], Some(true)),
            (
                &["GRANT SELECT, PROCESS ON *.* TO `canary`@`%`", "GRANT `watch`@`%` TO `canary`@`%`"],
                Some(true),
            ),
            (
                &[
                    "GRANT `watch` TO `canary`@`%`",
                    "GRANT USAGE ON *.* TO `canary`@`%`",
                    "GRANT PROCESS ON *.* TO `watch`",
                ],
                Some(true),
            ),
            (&["GRANT `watch` TO `canary`@`%`", "GRANT USAGE ON *.* TO `canary`@`%`"], Some(false)),
            (&["GRANT SUPER ON *.* TO `canary`@`%`"], Some(false)),
            (
                &["GRANT SELECT ON *.* TO `canary`@`%`", "REVOKE SELECT ON `mysql`.* FROM `canary`@`%`"],
                Some(false),
            ),
            (&["GRANT CONNECTION_ADMIN,PROCESS_ADMIN ON *.* TO `canary`@`%`"], Some(false)),
            (&["GRANT ALL PRIVILEGES ON `app`.* TO `app`@`%`"], Some(false)),
            (&["GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION"], Some(false)),
            (
                &["GRANT `PROCESS` TO `canary`@`%`", "GRANT `x ON *.* TO PROCESS` TO `canary`@`%`"],
                Some(false),
            ),
            (&["GRANT SELECT (`PROCESS`, `b`) ON `app`.`t` TO `app`@`%`"], Some(false)),
            (&["nonsense"], None),
            (&[], None),
        ] {
            assert_eq!(grants_process(lines.iter().copied()), expected, "{lines:?}");
        }
    }
}
