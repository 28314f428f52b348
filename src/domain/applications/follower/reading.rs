//! What can be read of those who are followed.

use super::{Follower, Group, Session, Sleeper};

impl Follower {
    /// What is remembered of each user and host, the ones that are left out too.
    pub fn groups(&self) -> &[Group] {
        &self.groups.list
    }

    /// Whose session this is, as its group is called.
    pub fn user_of(&self, id: u64) -> Option<&str> {
        let session = self.sessions.get(&id)?;
        self.groups.list.get(usize::from(session.group)).map(|group| group.user.as_str())
    }

    /// The sessions that were listed when last seen, nobody's that is left out.
    pub fn sleepers(&self) -> impl Iterator<Item = (u64, Sleeper)> + '_ {
        self.sessions
            .iter()
            .filter(|(_, session)| !self.groups.list[usize::from(session.group)].left_out)
            .map(|(&id, session)| {
                let sleeper = Sleeper {
                    group: usize::from(session.group),
                    idle: session.idle(),
                    age: (session.asked - session.born_before).max(0.0),
                    born_seen: session.born_after.is_finite(),
                    survived: f64::from(session.survived),
                    survived_at: f64::from(session.survived_at),
                };
                (id, sleeper)
            })
    }

    /// How many sessions are followed.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether nobody is followed.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The memory that the sessions take at most, in bytes.
    pub fn bytes(&self) -> usize {
        /// Entries that a node of the standard library's tree has at least, and room for.
        const ENTRIES: (usize, usize) = (5, 11);
        /// A node's own fields and the places of its children.
        const NODE: usize = 16 + 12 * size_of::<usize>();
        self.sessions.len().div_ceil(ENTRIES.0) * (ENTRIES.1 * size_of::<(u64, Session)>() + NODE)
    }
}
