//! What must be said of an idle limit, and stay said: a confirmed limit that goes, or moves, is no verdict.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::exporter::{Exporter, Page};

/// For how long a verdict is watched after it was told whole: two lives of the longest age and more.
const WATCHED: Duration = Duration::from_secs(10);

/// What must be said, and stay said.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) culprit: &'static str,
    pub(super) layer: &'static str,
    /// Where the limit that people must obey may lie, once it is confirmed, in seconds.
    pub(super) upper: RangeInclusive<f64>,
    /// Which share of the lives may meet it at the end.
    pub(super) share: RangeInclusive<f64>,
    /// Whether TCP keepalive helps; a ping helps against every idle limit.
    pub(super) tcp_keepalive: bool,
    /// Until when it must be told whole, remedies and all ...
    pub(super) within: Duration,
    /// ... and after how many canaries.
    pub(super) canaries: f64,
    /// How many deaths may be `unknown`.
    pub(super) unknown: usize,
    /// Whoever else may end twins: a layer behind the one that is the limit.
    pub(super) ends_twins: Option<&'static str>,
}

impl Standing {
    /// Waits until it is told, and watches that it stays. Gives the page at the end.
    #[track_caller]
    pub(super) fn check(&self, exporter: &Exporter<'_>) -> Page {
        let begun = Instant::now();
        let mut was_confirmed = false;
        let mut told = None;
        loop {
            let page = exporter.metrics();
            let passed = begun.elapsed();
            self.assert_nobody_else_is_named(&page, exporter);
            let is_confirmed = page.sum("idle_limit_confirmed", &[("kind", "idle")]) == 1.0;
            assert!(
                is_confirmed || !was_confirmed,
                "withdrawn after {passed:?}:\n{}\n{}",
                summary(&page),
                exporter.log()
            );
            was_confirmed |= is_confirmed;
            if is_confirmed {
                let upper = page.one("idle_limit_upper_seconds", &[("kind", "idle")]);
                assert!(self.upper.contains(&upper), "{upper} s after {passed:?}:\n{}", exporter.log());
                let wrong = f64::from(u8::from(!self.tcp_keepalive));
                let advice = page.values("remedy", &[("remedy", "tcp_keepalive")]);
                assert!(!advice.contains(&wrong), "wrong advice after {passed:?}:\n{}", exporter.log());
            }
            if told.is_none() && self.is_told(&page) {
                let canaries = page.sum("lives_total", &[]);
                let deaths = page.sum("deaths_total", &[]);
                println!("told after {:.1} s, {canaries} canaries, {deaths} dead", passed.as_secs_f64());
                assert!(canaries <= self.canaries, "{canaries} canaries:\n{}", exporter.log());
                told = Some(passed);
            }
            assert!(
                told.is_some() || passed < self.within,
                "not told in {passed:?}:\n{}\n{}",
                summary(&page),
                exporter.log()
            );
            if told.is_some_and(|told| passed >= told + WATCHED) {
                println!("{}", verdict(exporter));
                self.assert_deaths(exporter);
                let share = page.one("idle_limit_share", &[("kind", "idle")]);
                assert!(self.share.contains(&share), "{share} of all:\n{}", exporter.log());
                return page;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn is_told(&self, page: &Page) -> bool {
        let remedy = |name| page.values("remedy", &[("remedy", name)]);
        let keepalive = f64::from(u8::from(self.tcp_keepalive));
        page.sum("idle_limit_confirmed", &[("kind", "idle")]) == 1.0
            && page.sum("idle_limit_info", &[("culprit", self.culprit), ("layer", self.layer)]) == 1.0
            && remedy("tcp_keepalive") == [keepalive]
            && remedy("app_ping") == [1.0]
    }

    fn assert_nobody_else_is_named(&self, page: &Page, exporter: &Exporter<'_>) {
        let named = page.values("idle_limit_info", &[]).len();
        let right = page.values("idle_limit_info", &[("culprit", self.culprit)]).len();
        let nobody = page.values("idle_limit_info", &[("culprit", "unknown")]).len();
        assert_eq!(named, right + nobody, "another is named:\n{}\n{}", summary(page), exporter.log());
    }

    fn assert_deaths(&self, exporter: &Exporter<'_>) {
        let deaths = exporter.events("death");
        let unknown = deaths.iter().filter(|death| death["culprit"] == "unknown").count();
        for death in &deaths {
            let is_right = death["culprit"] == self.culprit
                || death["culprit"] == "unknown"
                || death["kind"] != "idle" && self.ends_twins.is_some_and(|one| death["culprit"] == one);
            assert!(is_right, "{}, not {death} in\n{}", self.culprit, exporter.log());
        }
        println!("{unknown} of {} deaths unknown", deaths.len());
        assert!(unknown <= self.unknown, "{unknown} of {}:\n{}", deaths.len(), exporter.log());
    }
}

/// What a page says of limits and remedies: the whole page is long.
pub(super) fn summary(page: &Page) -> String {
    let lines = page.text().lines().filter(|line| {
        line.starts_with("mysql_canary_idle_limit") || line.starts_with("mysql_canary_remedy")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The newest verdict, in words.
pub(super) fn verdict(exporter: &Exporter<'_>) -> String {
    let told = exporter.events("verdict_in_full");
    told.last().and_then(|line| line["msg"].as_str()).unwrap_or_default().to_owned()
}

/// That the newest verdict says all of this, and nothing of that, to who reads it for the first time.
#[track_caller]
pub(super) fn assert_says(exporter: &Exporter<'_>, all_of: &[&str], none_of: &[&str]) {
    let verdict = verdict(exporter);
    let lacks = all_of.iter().find(|words| !verdict.contains(**words));
    let has = none_of.iter().find(|words| verdict.contains(**words));
    assert!(lacks.is_none() && has.is_none(), "lacks {lacks:?}, has {has:?}:\n{verdict}");
}
