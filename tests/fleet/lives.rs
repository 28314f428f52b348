//! The sessions that a path holds while something is done to the exporter: none of them may be lost.
//!
//! Canaries end by themselves when they reach the age that they are wanted at; each such end is told as a survival of
//! that age. Whatever else ended was lost.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use super::straight;
use crate::exporter::Exporter;
use crate::lab::listing::Listed;
use crate::lab::{Listing, Server, wait_for};

/// How far the list and the log may lie apart, in seconds.
const SLACK: f64 = 1.0;
const DAY: f64 = 86_400.0;

/// The sessions of one target's path that goes straight to its server.
#[derive(Debug)]
pub(super) struct Lives<'a> {
    server: &'a Server,
    target: &'static str,
    listing: Listing,
    held: BTreeSet<u64>,
}

impl<'a> Lives<'a> {
    /// Watches those of a target, from before its exporter starts.
    pub(super) fn of(server: &'a Server, target: &'static str) -> Self {
        Self { server, target, listing: Listing::of(server, "canary"), held: BTreeSet::new() }
    }

    /// Takes note of the sessions that are held now: those that were there some seconds ago as well.
    #[track_caller]
    pub(super) fn hold(&mut self, exporter: &Exporter<'_>) {
        // Meanwhile some reach their age.
        self.held = wait_for("three sessions that last", Duration::from_secs(60), || {
            let before = straight(exporter, self.server);
            sleep(Duration::from_secs(3));
            let held: BTreeSet<u64> =
                before.intersection(&straight(exporter, self.server)).copied().collect();
            (held.len() >= 3).then_some(held)
        });
    }

    /// The most sessions that were listed at one moment.
    pub(super) fn most_at_once(&mut self) -> usize {
        self.listing.most_at_once()
    }

    /// Those that were held have gone on, but for those that reached their age; the server view and one canary at least
    /// have.
    #[track_caller]
    pub(super) fn assert_none_lost(&mut self, exporter: &Exporter<'_>) {
        let now = straight(exporter, self.server);
        let stayed = self.held.intersection(&now).count();
        // The log may be a moment behind the list.
        sleep(Duration::from_millis(500));
        let sessions = self.listing.sessions();
        let mut survivals = survivals(exporter, self.target);
        for id in self.held.difference(&now) {
            let session = sessions[id];
            let found = survivals.iter().position(|survival| survival.is_of(&session));
            let Some(found) = found else {
                panic!("session {id} of {} was lost: {session:?}\n{}", self.target, exporter.log());
            };
            survivals.swap_remove(found);
        }
        println!(
            "{}: of {} sessions {stayed} stayed, the others reached their age",
            self.target,
            self.held.len()
        );
        assert!(stayed >= 2, "{:?} of {:?}\n{}", now, self.held, exporter.log());
    }
}

/// An age that was survived, and when that was, in seconds of the day.
#[derive(Debug, Clone, Copy)]
struct Survival {
    age: f64,
    at: f64,
}

impl Survival {
    fn is_of(self, session: &Listed) -> bool {
        let apart = (self.at - session.until.rem_euclid(DAY)).abs();
        apart.min(DAY - apart) < SLACK && (self.age - (session.until - session.since)).abs() < SLACK
    }
}

fn survivals(exporter: &Exporter<'_>, target: &str) -> Vec<Survival> {
    let events = exporter.events("survival").into_iter().filter(|event| event["target_name"] == target);
    events
        .map(|event| {
            let time = event["time"].as_str().expect("a line has its time");
            let clock = time.split_once('T').expect("a day and a time").1.trim_end_matches('Z');
            let at =
                clock.split(':').fold(0.0, |at, part| at * 60.0 + part.parse::<f64>().expect("a number"));
            Survival { age: event["age_seconds"].as_f64().expect("a survival has an age"), at }
        })
        .collect()
}
