//! What is decided of sessions that ended, and what is not.

use super::super::follower::{Follower, Listing};
use super::super::groups::OTHER;
use super::super::row::{Row, Whose};
use super::*;

/// A server that is asked once a second.
struct Asked {
    follower: Follower,
    now: f64,
    listed: BTreeMap<u64, (&'static str, f64)>,
    told: BTreeMap<(String, Ending), u64>,
    errors: BTreeMap<String, ErrorCounts>,
    tells_errors: bool,
    /// Whether by how much its counters rose is known.
    counts: bool,
}

impl Asked {
    fn new(tells_errors: bool) -> Self {
        let (listed, told, errors) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { follower: Follower::new(), now: 100.0, listed, told, errors, tells_errors, counts: true }
    }

    fn round(&mut self, aborted: u64, connections: u64, reads: bool) {
        self.now += 1.0;
        self.follower.begin(Listing { asked: self.now, identity: Some("one"), ..Listing::default() });
        for (&id, &(user, since)) in &self.listed {
            let host = format!("10.0.0.1:{}", 1000 + id);
            let time = Some(self.now - since + 0.001);
            let row = Row { id, user, host: &host, command: "Sleep", time };
            self.follower.see(row, Whose::Application, self.now + 0.01);
        }
        let errors = match (self.tells_errors, reads) {
            (false, _) => Errors::Unavailable,
            (true, false) => Errors::NotRead,
            (true, true) => Errors::Read(self.errors.clone()),
        };
        let counters = Counters {
            aborted: self.counts.then(|| Rise::exactly(aborted)),
            connections: Some(connections),
            wait_timeout: Some(60.0),
            errors,
        };
        for (key, count) in self.follower.end(self.now + 0.02, true, counters).endings {
            *self.told.entry(key).or_default() += count;
        }
    }

    fn quiet(&mut self, rounds: usize) {
        (0..rounds).for_each(|_| self.round(0, 0, true));
    }

    #[track_caller]
    fn tells(&self, expected: &[(&str, Ending, u64)]) {
        let expected: BTreeMap<(String, Ending), u64> =
            expected.iter().map(|&(user, ending, count)| ((user.to_owned(), ending), count)).collect();
        assert_eq!(self.told, expected);
    }
}

#[test]
fn nothing_counted_means_all_were_closed() {
    let mut server = Asked::new(false);
    let now = server.now;
    server.listed = (1..=5).map(|id| (id, ("app", now))).collect();
    server.quiet(2);
    server.listed.retain(|&id, _| id > 3);
    server.quiet(3);
    server.tells(&[("app", Ending::Closed, 3)]);
}

#[test]
fn as_many_counted_as_ended_means_all_were_aborted() {
    let mut server = Asked::new(false);
    let now = server.now;
    server.listed = (1..=3).map(|id| (id, ("app", now))).collect();
    server.quiet(2);
    // Counted before the next list, and just after.
    server.listed.remove(&1);
    server.round(0, 0, false);
    server.round(1, 0, false);
    server.quiet(2);
    server.listed.remove(&2);
    server.round(1, 0, false);
    server.quiet(2);
    server.tells(&[("app", Ending::Aborted, 2)]);
}

#[test]
fn what_came_and_went_unseen_may_be_who_was_counted() {
    let mut server = Asked::new(false);
    server.listed.insert(1, ("app", server.now));
    server.quiet(2);
    server.listed.clear();
    server.round(1, 1, false);
    server.quiet(3);
    server.tells(&[("app", Ending::Undecided, 1)]);
}

#[test]
fn one_of_two_decides_nothing() {
    let mut server = Asked::new(false);
    let now = server.now;
    server.listed = (1..=2).map(|id| (id, ("app", now))).collect();
    server.quiet(2);
    server.listed.clear();
    server.round(1, 0, false);
    server.quiet(3);
    server.tells(&[("app", Ending::Undecided, 2)]);
}

#[test]
fn without_errors_by_user_a_session_at_wait_timeout_is_undecided() {
    let mut server = Asked::new(false);
    server.listed.insert(1, ("app", server.now - 58.0));
    server.quiet(2);
    server.listed.clear();
    server.round(1, 0, false);
    server.quiet(3);
    server.tells(&[("app", Ending::Undecided, 1)]);
}

#[test]
fn errors_by_user_tell_exactly_who_met_wait_timeout() {
    let mut server = Asked::new(true);
    let now = server.now;
    for id in 1..=6 {
        server.listed.insert(id, (["a", "b", "c"][id as usize % 3], now - 50.0));
    }
    server.quiet(2);
    server.listed.clear();
    server.errors =
        ["a", "b", "c"].map(|user| (user.to_owned(), ErrorCounts { idle_timeouts: 2, network: 0 })).into();
    server.round(6, 0, false);
    server.round(0, 0, false);
    server.quiet(3);
    server.tells(&[
        ("a", Ending::IdleTimeout, 2),
        ("b", Ending::IdleTimeout, 2),
        ("c", Ending::IdleTimeout, 2),
    ]);
}

#[test]
fn kill_quit_a_dropped_socket_and_wait_timeout_one_after_the_other() {
    let mut server = Asked::new(true);
    let now = server.now;
    for (id, user) in [(1, "killed"), (2, "quit"), (3, "dropped"), (4, "idle")] {
        server.listed.insert(id, (user, now - 50.0));
    }
    server.quiet(2);
    for (id, aborted) in [(1, 1), (2, 0), (3, 1), (4, 1)] {
        server.listed.remove(&id);
        server.round(aborted, 0, false);
        server.round(0, 0, false);
        server.round(0, 0, false);
    }
    server.errors.insert("dropped".to_owned(), ErrorCounts { idle_timeouts: 0, network: 1 });
    server.errors.insert("idle".to_owned(), ErrorCounts { idle_timeouts: 1, network: 0 });
    server.quiet(3);
    server.tells(&[
        ("dropped", Ending::Aborted, 1),
        ("idle", Ending::IdleTimeout, 1),
        ("killed", Ending::Aborted, 1),
        ("quit", Ending::Closed, 1),
    ]);
}

#[test]
fn what_was_counted_before_the_first_reading_proves_nothing() {
    let mut server = Asked::new(true);
    server.listed.insert(1, ("app", server.now - 57.0));
    server.round(0, 0, false);
    server.round(0, 0, false);
    server.listed.clear();
    server.errors.insert("app".to_owned(), ErrorCounts { idle_timeouts: 1, network: 0 });
    server.round(1, 0, false);
    server.quiet(4);
    server.tells(&[("app", Ending::Undecided, 1)]);
}

#[test]
fn errors_that_are_not_readable_any_more_are_not_waited_for() {
    let mut server = Asked::new(true);
    server.listed.insert(1, ("app", server.now));
    server.quiet(2);
    server.listed.clear();
    server.round(1, 0, false);
    server.tells_errors = false;
    server.quiet(3);
    server.tells(&[("app", Ending::Aborted, 1)]);
}

fn timeouts(count: u64) -> ErrorCounts {
    ErrorCounts { idle_timeouts: count, network: 0 }
}

#[test]
fn what_unseen_sessions_were_counted_for_is_nobody_elses() {
    // One said COM_QUIT long before wait_timeout, and one of the same user came and met a timeout of its own, unseen.
    let mut server = Asked::new(true);
    server.listed.insert(1, ("app", server.now));
    server.quiet(2);
    server.listed.clear();
    server.errors.insert("app".to_owned(), timeouts(1));
    server.round(1, 1, false);
    server.quiet(4);
    server.tells(&[("app", Ending::Undecided, 1)]);
}

#[test]
fn an_unseen_session_that_was_too_young_did_not_meet_the_global_timeout() {
    let mut server = Asked::new(true);
    server.listed.insert(1, ("app", server.now - 56.0));
    server.quiet(3);
    server.listed.clear();
    server.errors.insert("app".to_owned(), timeouts(1));
    server.round(1, 1, false);
    server.quiet(4);
    server.tells(&[("app", Ending::IdleTimeout, 1)]);
}

#[test]
fn an_unseen_error_of_an_hour_ago_is_not_given_to_who_ends_now() {
    let mut server = Asked::new(true);
    server.listed.insert(1, ("app", server.now));
    server.quiet(2);
    server.errors.insert("app".to_owned(), timeouts(1));
    server.round(1, 1, true);
    server.quiet(6);
    server.listed.clear();
    server.round(0, 0, true);
    server.quiet(4);
    server.tells(&[("app", Ending::Closed, 1)]);
}

#[test]
fn a_session_that_dropped_its_socket_unseen_did_not_drop_anothers() {
    let mut server = Asked::new(true);
    server.listed.insert(1, ("app", server.now));
    server.quiet(2);
    server.listed.clear();
    server.errors.insert("app".to_owned(), ErrorCounts { idle_timeouts: 0, network: 2 });
    server.round(1, 1, false);
    server.quiet(4);
    server.tells(&[("app", Ending::Undecided, 1)]);
}

#[test]
fn a_table_that_somebody_emptied_proves_nothing() {
    let mut server = Asked::new(true);
    server.errors.insert("app".to_owned(), timeouts(5));
    server.listed.insert(1, ("app", server.now - 57.0));
    server.quiet(2);
    server.listed.clear();
    server.errors.insert("app".to_owned(), timeouts(1));
    server.round(1, 0, true);
    server.quiet(4);
    server.tells(&[("app", Ending::Undecided, 1)]);
    // From then on it is counted anew.
    server.listed.insert(2, ("app", server.now - 50.0));
    server.quiet(3);
    server.listed.clear();
    server.errors.insert("app".to_owned(), timeouts(2));
    server.round(1, 0, true);
    server.quiet(4);
    server.tells(&[("app", Ending::IdleTimeout, 1), ("app", Ending::Undecided, 1)]);
}

#[test]
fn counters_that_were_put_back_decide_nothing() {
    let mut server = Asked::new(false);
    let now = server.now;
    server.listed = (1..=3).map(|id| (id, ("app", now))).collect();
    server.quiet(2);
    server.listed.clear();
    // FLUSH STATUS: nobody knows how many were aborted.
    server.counts = false;
    server.round(0, 0, false);
    server.counts = true;
    server.quiet(4);
    server.tells(&[("app", Ending::Undecided, 3)]);
}

#[test]
fn users_without_a_name_share_what_they_were_counted_for() {
    let names: Vec<String> = (0..54).map(|number| format!("tenant{number:02}")).collect();
    let mut server = Asked::new(true);
    let now = server.now;
    for (id, name) in names.iter().enumerate() {
        server.listed.insert(id as u64, (name.clone().leak(), now - 50.0));
    }
    server.quiet(2);
    server.listed.retain(|&id, _| id < 50);
    for name in &names[50..] {
        server.errors.insert(name.clone(), timeouts(1));
    }
    server.round(4, 0, true);
    server.quiet(4);
    server.tells(&[(OTHER, Ending::IdleTimeout, 4)]);
}

#[test]
fn who_said_no_farewell_for_certain_is_the_one_that_met_the_timeout() {
    let mut server = Asked::new(true);
    let now = server.now;
    server.listed =
        BTreeMap::from([(1, ("app", now - 40.0)), (2, ("app", now - 5.0)), (3, ("web", now - 40.0))]);
    server.quiet(2);
    server.listed.remove(&2);
    server.errors.insert("app".to_owned(), timeouts(1));
    server.round(1, 0, false);
    (0..3).for_each(|_| server.round(0, 0, false));
    // One of these two said COM_QUIT, and the one of the other user did not.
    server.listed.clear();
    server.errors.insert("web".to_owned(), timeouts(1));
    server.round(1, 0, false);
    server.quiet(4);
    server.tells(&[
        ("app", Ending::Closed, 1),
        ("app", Ending::IdleTimeout, 1),
        ("web", Ending::IdleTimeout, 1),
    ]);
}
