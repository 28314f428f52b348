//! What is known of one death when its culprit is sought.

use serde::Serialize;

use crate::domain::culprit::lost_state::Story;
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;

/// After so many others of its age, one that died sooner than all of them is no death of theirs.
const MANY_OF_ITS_AGE: usize = 6;
/// So many that KILL ended are no person's KILL at just this age.
const KILLED_BEFORE: usize = 2;

/// What the server's processlist said of a dead canary's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Row {
    /// Not listed any more: the server knows.
    Gone,
    /// Still listed: the server does not know, and keeps a ghost.
    Present,
    /// Could not be asked, or a proxy in the path makes the answer worthless.
    Unknown,
}

/// How the twins of other kinds fared just past the age that idle canaries die at: `Some(true)` lived,
/// `Some(false)` died, `None` not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Twins {
    /// The twin with TCP keepalive.
    pub keepalive: Option<bool>,
    /// The twin in a sleeping statement.
    pub busy: Option<bool>,
    /// The twin that pings.
    pub active: Option<bool>,
}

/// All that is known of one death when its culprit is sought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// What the canary was doing.
    pub kind: Kind,
    /// What the wire showed.
    pub ending: Ending,
    /// Idle age at the ending, in seconds.
    pub age: f64,
    /// Whether the ending came while nothing was being sent, so that `age` is the age of the death
    /// itself and not only the age at which it was found.
    pub exact: bool,
    /// The code of the server's ERR packet, where one was read.
    pub error_code: Option<u16>,
    /// The session's own `@@session.wait_timeout`, in seconds.
    pub wait_timeout: Option<f64>,
    /// What the processlist said just after.
    pub row: Row,
    /// Uptime went back, or another server answers.
    pub restarted: bool,
    /// A proxy that speaks MySQL was seen by its thread ids.
    pub proxy_seen: bool,
    /// Whether the server's count of KILLs rose with it. `None` where that was not read.
    pub killed: Option<bool>,
    /// Whether others are killed so often that their KILLs explain as well that it rose: then `killed` is not known.
    pub others_are_killed: bool,
    /// Others that died at this age, at other times: no one alone.
    pub same_age: usize,
    /// It died sooner than all those, and timers are never early.
    pub before_its_age: bool,
    /// Others that KILL struck near this age, at other times: a tool that looks seldom strikes at ages apart.
    pub kills_near: usize,
    /// Others that KILL is known to end near this age again and again.
    pub killed_before: usize,
    /// Another died at this age while the count of KILLs stood still: KILL is not what strikes there.
    pub died_unkilled: bool,
    /// KILL is what strikes there: it was counted with others that died at this age.
    pub kills_strike: bool,
    /// So few KILLs were counted around this instant that they do not explain all who died at it.
    pub too_few_kills: bool,
    /// Whether the count of KILLs is read on this path at all: then one that could not be compared may have risen.
    pub are_kills_read: bool,
    /// One of another age died at this instant, and a KILL was counted with both: something may have struck both.
    pub counted_with_another_age: bool,
    /// How many others died at this very instant by something that does not ask for their ages.
    pub same_instant: usize,
    /// Another idle canary was seen alive past this age.
    pub outlived: bool,
    /// One that was born no earlier was: a new setting of a timer does not explain that.
    pub outlived_by_younger: bool,
    /// The limit that stands at this age rules a part of the connections only.
    pub of_a_part: bool,
    /// Which story explains a silent death.
    pub story: Story,
    /// How the twins fared at this age.
    pub twins: Twins,
}

impl Evidence {
    /// Whether others show that no timer strikes at this age. One death alone may be outlived by anybody;
    /// several at one age are a timer's, whoever outlives it: it may rule a part of the connections only.
    pub(super) const fn excludes_timers(&self) -> bool {
        self.same_age == 0 && self.outlived
    }

    /// Whether it died too soon to be a death of those at its age: with others at its instant, or sooner than many.
    pub(super) const fn is_too_early(&self) -> bool {
        self.before_its_age && (self.same_instant > 0 || self.same_age >= MANY_OF_ITS_AGE)
    }

    /// Whether the timer at this age rules a part of the connections only, so that a twin that lives may have
    /// been on the other part.
    pub(super) const fn is_of_a_part(&self) -> bool {
        self.same_age > 0 && (self.outlived_by_younger || self.of_a_part)
    }

    /// Whether it may be said that KILL ended it: the server knows, and its count of KILLs rose or was not read, and others'
    /// KILLs are no reason for that.
    pub(super) fn may_be_killed(&self) -> bool {
        let may_have_risen = self.killed != Some(false) && !self.others_are_killed;
        self.row != Row::Present && !self.proxy_seen && may_have_risen
    }

    /// Whether the server ended it, and its count of KILLs says by KILL: it rose now and with all the others
    /// that died at this age, and explains all that died at this instant.
    pub(super) fn is_killed(&self) -> bool {
        let is_counted = self.killed == Some(true) && !self.died_unkilled && !self.too_few_kills;
        self.row == Row::Gone && !self.proxy_seen && is_counted
    }
    /// Whether KILL ended others at this age again and again, and nobody died there without it: what strikes at an age is one.
    pub(super) fn is_where_kill_strikes(&self) -> bool {
        let is_open = self.killed.is_none() && self.are_kills_read;
        let may_be_seen = self.row != Row::Present && !self.proxy_seen;
        may_be_seen && is_open && self.killed_before >= KILLED_BEFORE && !self.died_unkilled
    }
}
