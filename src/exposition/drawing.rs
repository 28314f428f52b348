//! What a scrape draws of the present: families, and the samples of each by the values of their labels.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::text::{Page, push_sample};
use crate::metrics::family::{Description, MetricType, Value};
use crate::metrics::labels::LabelSet;

/// A family that is drawn, with the labels that each of its samples has.
#[derive(Debug)]
pub(super) struct Drawn<Shape> {
    pub(super) description: Description,
    labels: PhantomData<fn(Shape)>,
}

impl<Shape: LabelSet<'static>> Drawn<Shape> {
    pub(super) const fn new(is: MetricType, name: &'static str, help: &'static str) -> Self {
        Self { description: Description { name, help, labels: Shape::NAMES, is }, labels: PhantomData }
    }
}

/// Samples that are being drawn. Texts of what is drawn are borrowed.
#[derive(Debug, Default)]
pub(super) struct Drawing<'a>(BTreeMap<&'static str, (Description, Samples<'a>)>);

type Samples<'a> = BTreeMap<Vec<Cow<'a, str>>, f64>;

impl<'a> Drawing<'a> {
    /// This is the sample with these labels.
    pub(super) fn set<Shape>(
        &mut self,
        family: &Drawn<Shape>,
        labels: impl LabelSet<'a, Shape = Shape>,
        value: f64,
    ) {
        *self.sample(family, labels, value) = value;
    }

    /// That yes or no.
    pub(super) fn set_flag<Shape>(
        &mut self,
        family: &Drawn<Shape>,
        labels: impl LabelSet<'a, Shape = Shape>,
        value: bool,
    ) {
        self.set(family, labels, f64::from(u8::from(value)));
    }

    /// So much more of the sample with these labels.
    pub(super) fn add<Shape>(
        &mut self,
        family: &Drawn<Shape>,
        labels: impl LabelSet<'a, Shape = Shape>,
        value: f64,
    ) {
        *self.sample(family, labels, 0.0) += value;
    }

    /// The sample with these labels is at least so much.
    pub(super) fn raise<Shape>(
        &mut self,
        family: &Drawn<Shape>,
        labels: impl LabelSet<'a, Shape = Shape>,
        value: f64,
    ) {
        let sample = self.sample(family, labels, value);
        *sample = sample.max(value);
    }

    fn sample<Shape>(
        &mut self,
        family: &Drawn<Shape>,
        labels: impl LabelSet<'a, Shape = Shape>,
        at_first: f64,
    ) -> &mut f64 {
        let description = family.description;
        let (_, samples) = self.0.entry(description.name).or_insert_with(|| (description, Samples::new()));
        samples.entry(labels.values()).or_insert(at_first)
    }

    /// Writes all of them.
    pub(super) fn write(&self, page: &mut Page) {
        for (description, samples) in self.0.values() {
            let mut text = String::new();
            for (values, &value) in samples {
                push_sample(&mut text, description.name, description.labels, values, &Value::Number(value));
            }
            page.add(description, text.into());
        }
    }

    /// The sample with these labels. `None` where there is none.
    #[cfg(test)]
    pub(super) fn get<Shape>(
        &self,
        family: &Drawn<Shape>,
        labels: impl LabelSet<'a, Shape = Shape>,
    ) -> Option<f64> {
        self.0.get(family.description.name)?.1.get(&labels.values()).copied()
    }
}
