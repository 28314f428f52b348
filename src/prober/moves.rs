//! When the path comes to lead to another address: what was seen at the one before says nothing of this one, and nothing
//! of it is kept.

use super::Prober;
use super::life::{Directive, Notice, Outcome, Voided, World};
use super::report::{self, PathReport, RowsOfTheDead};
use crate::domain::life::observation::History;
use crate::domain::life::void::VoidCause;

impl<W: World> Prober<W> {
    /// Begins afresh where the address has changed: the history is empty, deaths that are not decided are void, and
    /// canaries that are connected to the old address are called home.
    pub(super) fn follow_the_address(&mut self) {
        let moves = self.world.moves();
        if moves == self.moves {
            return;
        }
        self.moves = moves;
        let cause = VoidCause::AddressChanged;
        for (kind, age, thread_id) in self.undecided.give_up() {
            self.metrics.voided(cause.reason());
            let voided = Voided { cause, age: Some(age), thread_id: Some(thread_id) };
            report::tell_void(&self.settings, kind, voided);
        }
        (self.history, self.rows) = (History::default(), RowsOfTheDead::default());
        self.longest_stall = None;
        self.twins_sent.clear();
        let elsewhere = self.flights.iter().filter(|(_, flight)| flight.moves.is_some_and(|of| of != moves));
        let elsewhere: Vec<u64> = elsewhere.map(|(id, _)| id).collect();
        elsewhere.into_iter().for_each(|id| self.flights.call(id, Directive::Recall));
        // A limit that was told would stand until enough speaks against it.
        self.publish.report.send_replace(PathReport::default());
        self.publish.present.send_modify(|present| present.deaths.clear());
        self.keep_and_report();
    }

    /// Takes a canary back that was born elsewhere: it connected while the address changed. Its server is none of
    /// those here.
    pub(super) fn sort_birth(&mut self, notice: Notice) -> Notice {
        match notice {
            Notice::Born { id, at, moves, .. } if moves != self.moves => {
                self.flights.call(id, Directive::Recall);
                Notice::Born { id, at, server: None, moves }
            }
            notice => notice,
        }
    }

    /// What an outcome comes to that is of a canary which connected after so many moves.
    pub(super) fn of_this_address(&self, moves: Option<u64>, outcome: Outcome) -> Outcome {
        if moves.is_none_or(|moves| moves == self.moves) {
            return outcome;
        }
        let cause = VoidCause::AddressChanged;
        match outcome {
            Outcome::Survived { age, .. } => Outcome::Void(Voided { cause, age: Some(age), thread_id: None }),
            Outcome::Died(death) => {
                let (age, thread_id) = (Some(death.age), Some(death.thread_id));
                Outcome::Void(Voided { cause, age, thread_id })
            }
            outcome @ (Outcome::Unborn(_) | Outcome::Void(_) | Outcome::Recalled) => outcome,
        }
    }
}
