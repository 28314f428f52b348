//! Families of metrics: the counts of events, one member for each set of labels, and how they are read. The `prometheus`
//! crate counts; its own families can only be read by a copy of each label of each member, which of many paths is most of
//! what a page costs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use prometheus::core::Metric;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, proto};

use super::labels::LabelSet;

/// What a family is: stands on the page once, before its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// Its name, with the project's prefix.
    pub name: &'static str,
    /// What it says, in words.
    pub help: &'static str,
    /// The names of its labels, in order.
    pub labels: &'static [&'static str],
    /// What its numbers are.
    pub is: MetricType,
}

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// They only rise.
    Counter,
    /// They are as they are.
    Gauge,
    /// How many of each size.
    Histogram,
}

/// What one member of a family says now.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number.
    Number(f64),
    /// How many of each size.
    Distribution(Distribution),
}

/// How many events of each size there were.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Distribution {
    /// How many were at most so large, the smallest bound first.
    pub at_most: Vec<(f64, u64)>,
    /// All sizes added up.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
}

impl From<&proto::Histogram> for Distribution {
    fn from(histogram: &proto::Histogram) -> Self {
        let buckets = histogram.get_bucket().iter();
        Self {
            at_most: buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect(),
            sum: histogram.get_sample_sum(),
            count: histogram.get_sample_count(),
        }
    }
}

/// A family that events count in. Clones are the same family.
#[derive(Debug)]
pub struct Family<Shape, M> {
    description: Description,
    members: Arc<RwLock<Members<M>>>,
    labels: PhantomData<fn(Shape)>,
}

#[derive(Debug)]
struct Members<M> {
    /// By the values of their labels, as the page has them.
    of: BTreeMap<Vec<Cow<'static, str>>, M>,
    /// Bounds of the buckets; none where there are no buckets.
    bounds: Vec<f64>,
    /// How often one came or went.
    changes: u64,
}

impl<Shape, M> Clone for Family<Shape, M> {
    fn clone(&self) -> Self {
        Self { description: self.description, members: Arc::clone(&self.members), labels: PhantomData }
    }
}

impl<Shape: LabelSet<'static>, M: Counted> Family<Shape, M> {
    /// A family without members. `bounds` are those of buckets: none where it has none.
    ///
    /// # Errors
    /// When the name is no metric's, or the bounds do not rise.
    pub fn new(name: &'static str, help: &'static str, bounds: &[f64]) -> prometheus::Result<Self> {
        // Every later member is made as this one, which nobody will see.
        M::born(name, help, bounds)?;
        Ok(Self {
            description: Description { name, help, labels: Shape::NAMES, is: M::TYPE },
            members: Arc::new(RwLock::new(Members {
                of: BTreeMap::new(),
                bounds: bounds.to_vec(),
                changes: 0,
            })),
            labels: PhantomData,
        })
    }

    /// The member with these labels, which is born at zero where there is none.
    pub fn of<'a>(&self, labels: impl LabelSet<'a, Shape = Shape>) -> M {
        let values = labels.values();
        let known = self.read();
        // Keys that borrow are as good for a look.
        let of: &BTreeMap<Vec<Cow<'_, str>>, M> = &known.of;
        if let Some(member) = of.get(&values) {
            return member.clone();
        }
        drop(known);
        let values = values.into_iter().map(|value| Cow::Owned(value.into_owned())).collect();
        let Members { of, bounds, changes } = &mut *self.write();
        let born = || {
            *changes += 1;
            M::born(self.description.name, self.description.help, bounds)
                .expect("the first one was born so too")
        };
        of.entry(values).or_insert_with(born).clone()
    }

    /// Begins anew, without members, with these bounds of buckets.
    ///
    /// # Errors
    /// When the bounds do not rise.
    pub fn begin_anew(&self, bounds: &[f64]) -> prometheus::Result<()> {
        M::born(self.description.name, self.description.help, bounds)?;
        let mut members = self.write();
        members.of.clear();
        members.bounds = bounds.to_vec();
        members.changes += 1;
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Members<M>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Members<M>> {
        self.members.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two of these that are equal say that a family was not touched between: what was read of it after the first still
/// stands at the second. Members that come or go are counted, and what a counter or a histogram has counted only rises,
/// so that equal sums are sums of equal numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    changes: u64,
    counted: u64,
}

/// A family as pages read it.
pub trait Readable {
    /// What it is.
    fn description(&self) -> Description;

    /// Whether it was touched. `None` for gauges: their numbers may come back.
    fn stamp(&self) -> Option<Stamp>;

    /// Reads each member, in the order of the values of their labels.
    fn read_each(&self, each: &mut dyn FnMut(&[Cow<'static, str>], &Value));

    /// Takes out every member whose label has this value.
    fn forget(&self, label: &str, value: &str);
}

impl<Shape: LabelSet<'static>, M: Counted> Readable for Family<Shape, M> {
    fn description(&self) -> Description {
        self.description
    }

    fn stamp(&self) -> Option<Stamp> {
        let members = self.read();
        let counted = members.of.values().map(M::counted).sum::<Option<u64>>()?;
        Some(Stamp { changes: members.changes, counted })
    }

    fn read_each(&self, each: &mut dyn FnMut(&[Cow<'static, str>], &Value)) {
        for (values, member) in &self.read().of {
            each(values, &member.value());
        }
    }

    fn forget(&self, label: &str, value: &str) {
        let Some(place) = Shape::NAMES.iter().position(|name| *name == label) else { return };
        let mut members = self.write();
        members.of.retain(|values, _| values.get(place).is_none_or(|known| known != value));
        members.changes += 1;
    }
}

/// What counts events: one of the crate's metrics, without labels.
pub trait Counted: Clone {
    /// What its numbers are.
    const TYPE: MetricType;

    /// One at zero.
    ///
    /// # Errors
    /// When the name is no metric's, or the bounds of its buckets do not rise.
    fn born(name: &str, help: &str, bounds: &[f64]) -> prometheus::Result<Self>;

    /// What it says now.
    fn value(&self) -> Value;

    /// How many it has counted so far. `None` where it may fall.
    fn counted(&self) -> Option<u64>;
}

impl Counted for IntCounter {
    const TYPE: MetricType = MetricType::Counter;

    fn born(name: &str, help: &str, _: &[f64]) -> prometheus::Result<Self> {
        Self::new(name, help)
    }

    fn value(&self) -> Value {
        Value::Number(self.get() as f64)
    }

    fn counted(&self) -> Option<u64> {
        Some(self.get())
    }
}

impl Counted for IntGauge {
    const TYPE: MetricType = MetricType::Gauge;

    fn born(name: &str, help: &str, _: &[f64]) -> prometheus::Result<Self> {
        Self::new(name, help)
    }

    fn value(&self) -> Value {
        Value::Number(self.get() as f64)
    }

    fn counted(&self) -> Option<u64> {
        None
    }
}

impl Counted for Histogram {
    const TYPE: MetricType = MetricType::Histogram;

    fn born(name: &str, help: &str, bounds: &[f64]) -> prometheus::Result<Self> {
        Self::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec()))
    }

    fn value(&self) -> Value {
        Value::Distribution(self.metric().get_histogram().into())
    }

    /// An observation is counted here before it shows in a bucket, and [`Self::value`] waits for those that are on the way.
    fn counted(&self) -> Option<u64> {
        Some(self.get_sample_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::life::kind::Kind;
    use crate::metrics::labels::KindLabels;

    const fn labels(kind: Kind, path: &str) -> KindLabels<'_> {
        KindLabels { kind, path, target: "shop" }
    }

    #[test]
    fn a_stamp_changes_with_each_event_and_each_member() {
        let family: Family<KindLabels<'static>, IntCounter> =
            Family::new("lives_total", "help", &[]).expect("good");
        let mut stamps = vec![family.stamp()];
        let mut changed = |family: &Family<KindLabels<'static>, IntCounter>, what: &str| {
            let stamp = family.stamp();
            assert!(!stamps.contains(&stamp), "{what}: {stamps:?}");
            assert_eq!(family.stamp(), stamp, "reading changes nothing");
            stamps.push(stamp);
        };
        let idle = family.of(labels(Kind::Idle, "direct"));
        changed(&family, "born");
        idle.inc();
        changed(&family, "counted");
        family.of(labels(Kind::Idle, "lb")).inc_by(7);
        changed(&family, "another");
        family.forget("path", "lb");
        changed(&family, "forgotten");
        family.of(labels(Kind::Idle, "lb")).inc_by(7);
        changed(&family, "as it was, but another one");
        family.begin_anew(&[]).expect("good");
        changed(&family, "begun anew");
    }

    #[test]
    fn a_histogram_that_begins_anew_has_other_buckets_and_another_stamp() {
        let family: Family<KindLabels<'static>, Histogram> =
            Family::new("age_seconds", "help", &[1.0, 2.0]).expect("good");
        family.of(labels(Kind::Idle, "direct")).observe(1.5);
        let stamp = family.stamp();
        let mut seen = Vec::new();
        family.read_each(&mut |_, value| seen.push(value.clone()));
        let expected = Distribution { at_most: vec![(1.0, 0), (2.0, 1)], sum: 1.5, count: 1 };
        assert_eq!(seen, [Value::Distribution(expected)]);
        assert_eq!(family.stamp(), stamp, "reading is no event");
        family.begin_anew(&[5.0]).expect("good");
        family.of(labels(Kind::Idle, "direct")).observe(1.5);
        assert_ne!(family.stamp(), stamp);
        assert!(family.begin_anew(&[2.0, 1.0]).is_err(), "bounds rise");
    }

    #[test]
    fn a_gauge_has_no_stamp_once_it_has_a_member() {
        let family: Family<KindLabels<'static>, IntGauge> =
            Family::new("connections", "help", &[]).expect("good");
        family.of(labels(Kind::Idle, "direct")).set(3);
        assert_eq!(family.stamp(), None);
    }

    #[test]
    fn members_stand_in_the_order_of_their_values() {
        let family: Family<KindLabels<'static>, IntCounter> =
            Family::new("lives_total", "help", &[]).expect("good");
        for path in ["b", "a b", "a", "a\"", "c"] {
            family.of(labels(Kind::Idle, path));
        }
        let mut paths = Vec::new();
        family.read_each(&mut |values, _| paths.push(values[1].to_string()));
        assert_eq!(paths, ["a", "a b", "a\"", "b", "c"]);
    }
}
