//! Labels by name: a set of labels is a struct whose fields are the labels, so that the compiler refuses one that is
//! missing, misspelt, or given another one's closed values. No place in a list says what a value is.

use std::borrow::Cow;

use crate::domain::applications::risk::{Severity, Tense};
use crate::domain::applications::{self, Driver};
use crate::domain::conduct::health::Loop;
use crate::domain::conduct::proof::GhostKill;
use crate::domain::conduct::suspension::Suspension;
use crate::domain::culprit::{Culprit, Layer};
use crate::domain::layers::{Clock, Source};
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;
use crate::domain::life::stage::Stage;
use crate::domain::life::void::VoidReason;
use crate::domain::life::words::Field;
use crate::domain::mismatch::Rule;

/// The value of a label.
pub trait LabelValue<'a> {
    /// As it stands on the page, but for marks that are escaped there.
    fn text(self) -> Cow<'a, str>;
}

impl<'a> LabelValue<'a> for &'a str {
    fn text(self) -> Cow<'a, str> {
        Cow::Borrowed(self)
    }
}

impl<'a> LabelValue<'a> for Cow<'a, str> {
    fn text(self) -> Self {
        self
    }
}

/// Closed enums whose `label()` is the value.
macro_rules! label_values {
    ($($closed:ty),* $(,)?) => {$(
        impl<'a> $crate::metrics::labels::LabelValue<'a> for $closed {
            fn text(self) -> ::std::borrow::Cow<'a, str> {
                ::std::borrow::Cow::Borrowed(self.label())
            }
        }
    )*};
}

label_values!(
    Kind, Ending, Culprit, Layer, Stage, VoidReason, Suspension, GhostKill, Loop, Clock, Source, Rule, Field
);
label_values!(Severity, Tense, Driver, applications::Ending);

/// Labels and their values.
pub trait LabelSet<'a> {
    /// The same set, whatever it borrows: what a family is declared with.
    type Shape;

    /// The labels' names, in order.
    const NAMES: &'static [&'static str];

    /// Their values, in the order of the names.
    fn values(self) -> Vec<Cow<'a, str>>;
}

/// A struct whose fields are labels, in the order of their names: that order is the page's.
macro_rules! label_set {
    ($(#[$meta:meta])* $visible:vis struct $set:ident<$lifetime:lifetime> { $($label:ident: $value:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $visible struct $set<$lifetime> {
            $(
                #[doc = concat!("The label `", stringify!($label), "`.")]
                $visible $label: $value,
            )+
        }

        impl<$lifetime> $crate::metrics::labels::LabelSet<$lifetime> for $set<$lifetime> {
            type Shape = $set<'static>;

            const NAMES: &'static [&'static str] =
                $crate::metrics::labels::in_order(&[$($crate::metrics::labels::plain(stringify!($label))),+]);

            fn values(self) -> Vec<::std::borrow::Cow<$lifetime, str>> {
                let Self { $($label),+ } = self;
                vec![$($crate::metrics::labels::LabelValue::text($label)),+]
            }
        }
    };
}

pub(crate) use {label_set, label_values};

/// A field's name without the mark of one that is a word of the language, such as `r#loop`.
pub(crate) const fn plain(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// These names. The build fails where they are not in order.
pub(crate) const fn in_order(names: &'static [&'static str]) -> &'static [&'static str] {
    let mut at = 1;
    while at < names.len() {
        assert!(
            is_before(names[at - 1].as_bytes(), names[at].as_bytes()),
            "labels stand in the order of their names"
        );
        at += 1;
    }
    names
}

const fn is_before(first: &[u8], second: &[u8]) -> bool {
    let mut at = 0;
    while at < first.len() && at < second.len() {
        if first[at] != second[at] {
            return first[at] < second[at];
        }
        at += 1;
    }
    first.len() < second.len()
}

label_set! {
    /// One target.
    pub struct TargetLabels<'a> {
        target: &'a str,
    }
}

label_set! {
    /// One path of a target.
    pub struct PathLabels<'a> {
        path: &'a str,
        target: &'a str,
    }
}

label_set! {
    /// A path's canaries of one kind.
    pub struct KindLabels<'a> {
        kind: Kind,
        path: &'a str,
        target: &'a str,
    }
}

label_set! {
    /// A path's connects that failed at one stage.
    pub struct StageLabels<'a> {
        path: &'a str,
        stage: Stage,
        target: &'a str,
    }
}

label_set! {
    /// Deaths of one kind, by what the wire showed and who did it.
    pub struct DeathLabels<'a> {
        culprit: Culprit,
        ending: Ending,
        kind: Kind,
        path: &'a str,
        target: &'a str,
    }
}

label_set! {
    /// Deaths of one kind, by who did it.
    pub struct DeathAgeLabels<'a> {
        culprit: Culprit,
        kind: Kind,
        path: &'a str,
        target: &'a str,
    }
}

label_set! {
    /// A path's outcomes that say nothing, for one reason.
    pub struct VoidLabels<'a> {
        path: &'a str,
        reason: VoidReason,
        target: &'a str,
    }
}

label_set! {
    /// A reason for which a path launches no canary.
    pub struct SuspensionLabels<'a> {
        path: &'a str,
        reason: Suspension,
        target: &'a str,
    }
}

label_set! {
    /// A path's ghosts of one outcome.
    pub struct GhostKillLabels<'a> {
        outcome: GhostKill,
        path: &'a str,
        target: &'a str,
    }
}

label_set! {
    /// A loop of a target.
    pub struct LoopLabels<'a> {
        r#loop: Loop,
        target: &'a str,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_stand_in_one_order() {
        assert_eq!(DeathLabels::NAMES, ["culprit", "ending", "kind", "path", "target"]);
        let labels = DeathLabels {
            target: "shop",
            path: "direct",
            kind: Kind::Idle,
            ending: Ending::Reset,
            culprit: Culprit::ServerKill,
        };
        let values = labels.values();
        assert_eq!(
            values,
            [Culprit::ServerKill.label(), Ending::Reset.label(), Kind::Idle.label(), "direct", "shop"]
        );
        assert_eq!(LoopLabels::NAMES, ["loop", "target"]);
    }

    #[test]
    fn an_order_of_names_is_that_of_their_bytes() {
        for (first, second) in [("a", "b"), ("a", "ab"), ("path", "pool"), ("", "a")] {
            assert!(is_before(first.as_bytes(), second.as_bytes()), "{first} {second}");
            assert!(!is_before(second.as_bytes(), first.as_bytes()), "{second} {first}");
        }
        assert!(!is_before(b"a", b"a"), "no name stands twice");
    }
}
