//! The text that a page is: what the `prometheus` crate writes, byte for byte. Every sample becomes text in
//! [`push_sample`], whoever counted or drew it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use prometheus::proto::{self, MetricFamily};

use crate::metrics::family::{Description, Distribution, MetricType, Value};

/// A page that is being put together: each family once, in the order of the names, whoever adds to it. What is added is
/// text already, and is copied once.
#[derive(Debug, Default)]
pub(super) struct Page(BTreeMap<String, Family>);

#[derive(Debug)]
struct Family {
    heading: String,
    samples: Vec<Arc<str>>,
}

impl Page {
    /// Adds samples of a family. Where there are none, the family is left out.
    pub(super) fn add(&mut self, family: &Description, samples: Arc<str>) {
        self.add_named(family.name, family.help, family.is, samples);
    }

    /// Adds what the crate's own collectors gathered. Summaries and metrics without a type are nothing that this
    /// exporter has.
    pub(super) fn add_gathered(&mut self, families: &[MetricFamily]) {
        for family in families {
            let (is, value): (_, fn(&proto::Metric) -> Value) = match family.get_field_type() {
                proto::MetricType::COUNTER => {
                    (MetricType::Counter, |metric| Value::Number(metric.get_counter().get_value()))
                }
                proto::MetricType::GAUGE => {
                    (MetricType::Gauge, |metric| Value::Number(metric.get_gauge().get_value()))
                }
                proto::MetricType::HISTOGRAM => {
                    (MetricType::Histogram, |metric| Value::Distribution(metric.get_histogram().into()))
                }
                proto::MetricType::SUMMARY | proto::MetricType::UNTYPED => continue,
            };
            let mut samples = String::new();
            for metric in family.get_metric() {
                let labels = metric.get_label();
                let names: Vec<&str> = labels.iter().map(|label| label.name()).collect();
                let values: Vec<&str> = labels.iter().map(|label| label.value()).collect();
                push_sample(&mut samples, family.name(), &names, &values, &value(metric));
            }
            self.add_named(family.name(), family.help(), is, samples.into());
        }
    }

    fn add_named(&mut self, name: &str, help: &str, is: MetricType, samples: Arc<str>) {
        if samples.is_empty() {
            return;
        }
        match self.0.get_mut(name) {
            Some(family) => family.samples.push(samples),
            None => {
                let family = Family { heading: heading(name, help, is), samples: vec![samples] };
                self.0.insert(name.to_owned(), family);
            }
        }
    }

    /// The whole page.
    pub(super) fn finish(self) -> String {
        let length = |family: &Family| {
            family.heading.len() + family.samples.iter().map(|samples| samples.len()).sum::<usize>()
        };
        let mut page = String::with_capacity(self.0.values().map(length).sum());
        for Family { heading, samples } in self.0.values() {
            page.push_str(heading);
            samples.iter().for_each(|samples| page.push_str(samples));
        }
        page
    }
}

fn heading(name: &str, help: &str, is: MetricType) -> String {
    let word = match is {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
    };
    let mut text = String::new();
    if !help.is_empty() {
        push_all(&mut text, &["# HELP ", name, " "]);
        push_escaped(&mut text, help, &['\\', '\n']);
        text.push('\n');
    }
    push_all(&mut text, &["# TYPE ", name, " ", word, "\n"]);
    text
}

/// Writes one sample: a line, or a line for each bucket. Names and values of its labels are as many, in one order.
pub(super) fn push_sample(
    text: &mut String,
    name: &str,
    labels: &[&str],
    values: &[impl AsRef<str>],
    value: &Value,
) {
    let Value::Distribution(distribution) = value else {
        text.push_str(name);
        if !labels.is_empty() {
            text.push('{');
            push_labels(text, labels, values);
            text.push('}');
        }
        if let Value::Number(number) = value {
            push_end(text, *number);
        }
        return;
    };
    let mut of_all = String::new();
    push_labels(&mut of_all, labels, values);
    push_distribution(text, name, &of_all, distribution);
}

fn push_labels(text: &mut String, labels: &[&str], values: &[impl AsRef<str>]) {
    let mut separator = "";
    for (label, value) in labels.iter().zip(values) {
        push_all(text, &[separator, label, "=\""]);
        push_escaped(text, value.as_ref(), &['\\', '\n', '"']);
        text.push('"');
        separator = ",";
    }
}

fn push_distribution(text: &mut String, name: &str, labels: &str, distribution: &Distribution) {
    let Distribution { at_most, sum, count } = distribution;
    let count = *count as f64;
    let separator = if labels.is_empty() { "" } else { "," };
    for &(bound, so_many) in at_most {
        push_all(text, &[name, "_bucket{", labels, separator, "le=\""]);
        push_number(text, bound);
        text.push_str("\"}");
        push_end(text, so_many as f64);
    }
    if !at_most.iter().any(|(bound, _)| *bound == f64::INFINITY) {
        push_all(text, &[name, "_bucket{", labels, separator, "le=\"+Inf\"}"]);
        push_end(text, count);
    }
    for (part, number) in [("_sum", *sum), ("_count", count)] {
        push_all(text, &[name, part]);
        if !labels.is_empty() {
            push_all(text, &["{", labels, "}"]);
        }
        push_end(text, number);
    }
}

fn push_end(text: &mut String, number: f64) {
    text.push(' ');
    push_number(text, number);
    text.push('\n');
}

/// Most numbers are counts.
fn push_number(page: &mut String, value: f64) {
    /// Below it, every integer is a number of its own.
    const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    if value.fract() == 0.0 && value.is_sign_positive() && value < EXACT {
        push_count(page, value as u64);
    } else {
        // Writing to a string does not fail.
        let _ = write!(page, "{value}");
    }
}

fn push_count(page: &mut String, mut count: u64) {
    let mut digits = [0_u8; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(count % 10).unwrap_or_default();
        count /= 10;
        if count == 0 {
            break;
        }
    }
    page.extend(digits[first..].iter().map(|&digit| char::from(digit)));
}

fn push_all(page: &mut String, pieces: &[&str]) {
    pieces.iter().for_each(|piece| page.push_str(piece));
}

fn push_escaped(page: &mut String, text: &str, marks: &[char]) {
    if !text.contains(marks) {
        return page.push_str(text);
    }
    for letter in text.chars() {
        match letter {
            '\n' => page.push_str("\\n"),
            letter if marks.contains(&letter) => page.extend(['\\', letter]),
            letter => page.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{
        Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
    };
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>(),
            (0..100_u32).prop_map(f64::from),
            any::<u64>().prop_map(|number| number as f64),
            prop::sample::select(vec![
                0.0,
                -0.0,
                -1.0,
                1.8e9,
                9_007_199_254_740_992.0,
                f64::NAN,
                f64::INFINITY
            ]),
        ]
    }

    proptest! {
        #[test]
        fn a_page_is_what_the_crate_writes(
            values in prop::collection::vec((any::<String>(), any_value()), 1..8),
            help in any::<String>(),
            times in prop::collection::vec(0.0..20.0, 0..9),
        ) {
            let registry = Registry::new();
            let gauges = GaugeVec::new(Opts::new("gauge", format!("h{help}")), &["b", "a"]).expect("good");
            let counters = IntCounterVec::new(Opts::new("counter_total", "help"), &["a"]).expect("good");
            let options = HistogramOpts::new("seconds", "help").buckets(vec![0.001, 0.25, 1.0, 10.0, 3000.0]);
            let histograms = HistogramVec::new(options, &["a"]).expect("good");
            let bare = Gauge::new("bare", "help").expect("good");
            for (label, value) in &values {
                gauges.with_label_values(&[label.as_str(), "x"]).set(*value);
                counters.with_label_values(&[label]).inc_by(value.abs() as u64 / 2);
                times.iter().for_each(|time| histograms.with_label_values(&[label]).observe(*time));
            }
            registry.register(Box::new(gauges)).expect("good");
            registry.register(Box::new(counters)).expect("good");
            registry.register(Box::new(histograms)).expect("good");
            registry.register(Box::new(bare)).expect("good");
            let families = registry.gather();
            let mut page = Page::default();
            page.add_gathered(&families);
            let expected = TextEncoder::new().encode_to_string(&families).expect("a page");
            prop_assert_eq!(page.finish(), expected);
        }
    }

    #[test]
    fn a_family_that_several_add_to_stands_once() {
        let gauge = |target: &str| {
            let vec = GaugeVec::new(Opts::new("up", "help"), &["target"]).expect("good");
            vec.with_label_values(&[target]).set(1.0);
            prometheus::core::Collector::collect(&vec)
        };
        let mut page = Page::default();
        page.add_gathered(&gauge("b"));
        page.add_gathered(&gauge("a"));
        let expected = "# HELP up help\n# TYPE up gauge\nup{target=\"b\"} 1\nup{target=\"a\"} 1\n";
        assert_eq!(page.finish(), expected);
    }
}
