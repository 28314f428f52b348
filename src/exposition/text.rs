//! The text that a page is: what the `prometheus` crate writes, byte for byte, in a third of its time. Its encoder writes
//! a metric's labels anew for each bucket, and each number by way of a text of its own; of many paths that is most of what
//! a page costs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prometheus::proto::{Metric, MetricFamily, MetricType};

/// A page that is being written: each family once, in the order of the names, whoever adds to it. What was added is
/// text already, so that of all that is drawn for a page only one target's share is in memory at once.
#[derive(Debug, Default)]
pub(super) struct Page {
    families: BTreeMap<String, String>,
    labels: String,
}

/// Families that are text already.
#[derive(Debug, Default)]
pub(super) struct Written(Vec<WrittenFamily>);

#[derive(Debug)]
struct WrittenFamily {
    name: String,
    heading: String,
    samples: String,
}

impl Written {
    /// Writes these families. One without samples is left out. Summaries and metrics without a type are nothing that
    /// this exporter has.
    pub(super) fn of(families: &[MetricFamily]) -> Self {
        let mut labels = String::new();
        let written = |family: &MetricFamily| {
            let name = family.name().to_owned();
            let heading = heading(family)?;
            let mut samples = String::new();
            push_samples(&mut samples, family, &mut labels);
            Some(WrittenFamily { name, heading, samples })
        };
        Self(families.iter().filter_map(written).collect())
    }
}

impl Page {
    /// Adds these families' samples, as [`Written::of`].
    pub(super) fn add(&mut self, families: &[MetricFamily]) {
        for family in families {
            let name = family.name();
            if !self.families.contains_key(name) {
                let Some(heading) = heading(family) else { continue };
                self.families.insert(name.to_owned(), heading);
            }
            if let Some(text) = self.families.get_mut(name) {
                push_samples(text, family, &mut self.labels);
            }
        }
    }

    /// Adds what was written before.
    pub(super) fn add_written(&mut self, written: &Written) {
        for WrittenFamily { name, heading, samples } in &written.0 {
            match self.families.get_mut(name) {
                Some(text) => text.push_str(samples),
                None => {
                    self.families.insert(name.clone(), format!("{heading}{samples}"));
                }
            }
        }
    }

    /// The whole page.
    pub(super) fn finish(self) -> String {
        let mut page = String::with_capacity(self.families.values().map(String::len).sum());
        // Each is let go once it was taken over.
        self.families.into_values().for_each(|text| page.push_str(&text));
        page
    }
}

/// `None` where there is nothing to write.
fn heading(family: &MetricFamily) -> Option<String> {
    let word = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM => "histogram",
        MetricType::GAUGE => "gauge",
        MetricType::SUMMARY | MetricType::UNTYPED => return None,
    };
    if family.get_metric().is_empty() {
        return None;
    }
    let (name, help) = (family.name(), family.help());
    let mut text = String::new();
    if !help.is_empty() {
        push_all(&mut text, &["# HELP ", name, " "]);
        push_escaped(&mut text, help, &['\\', '\n']);
        text.push('\n');
    }
    push_all(&mut text, &["# TYPE ", name, " ", word, "\n"]);
    Some(text)
}

fn push_samples(text: &mut String, family: &MetricFamily, labels: &mut String) {
    let name = family.name();
    for metric in family.get_metric() {
        write_labels(labels, metric);
        match family.get_field_type() {
            MetricType::COUNTER => push_sample(text, name, labels, metric.get_counter().get_value()),
            MetricType::HISTOGRAM => push_histogram(text, name, labels, metric),
            MetricType::GAUGE => push_sample(text, name, labels, metric.get_gauge().get_value()),
            MetricType::SUMMARY | MetricType::UNTYPED => {}
        }
    }
}

fn write_labels(labels: &mut String, metric: &Metric) {
    labels.clear();
    for pair in metric.get_label() {
        push_all(labels, &[if labels.is_empty() { "" } else { "," }, pair.name(), "=\""]);
        push_escaped(labels, pair.value(), &['\\', '\n', '"']);
        labels.push('"');
    }
}

fn push_histogram(page: &mut String, name: &str, labels: &str, metric: &Metric) {
    let histogram = metric.get_histogram();
    let count = histogram.get_sample_count() as f64;
    let separator = if labels.is_empty() { "" } else { "," };
    for bucket in histogram.get_bucket() {
        push_all(page, &[name, "_bucket{", labels, separator, "le=\""]);
        push_number(page, bucket.upper_bound());
        page.push_str("\"} ");
        push_number(page, bucket.cumulative_count() as f64);
        page.push('\n');
    }
    if !histogram.get_bucket().iter().any(|bucket| bucket.upper_bound() == f64::INFINITY) {
        push_all(page, &[name, "_bucket{", labels, separator, "le=\"+Inf\"} "]);
        push_number(page, count);
        page.push('\n');
    }
    for (part, value) in [("_sum", histogram.get_sample_sum()), ("_count", count)] {
        push_all(page, &[name, part]);
        push_value(page, labels, value);
    }
}

fn push_sample(page: &mut String, name: &str, labels: &str, value: f64) {
    page.push_str(name);
    push_value(page, labels, value);
}

fn push_value(page: &mut String, labels: &str, value: f64) {
    if !labels.is_empty() {
        push_all(page, &["{", labels, "}"]);
    }
    page.push(' ');
    push_number(page, value);
    page.push('\n');
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
            page.add(&families);
            let expected = TextEncoder::new().encode_to_string(&families).expect("a page");
            prop_assert_eq!(page.finish(), expected.as_str());
            let mut page = Page::default();
            page.add_written(&Written::of(&families));
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
        page.add(&gauge("b"));
        page.add_written(&Written::of(&gauge("a")));
        let expected = "# HELP up help\n# TYPE up gauge\nup{target=\"b\"} 1\nup{target=\"a\"} 1\n";
        assert_eq!(page.finish(), expected);
    }
}
