//! The exporter itself stands still on a path where nothing is wrong.

use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;

use super::runs::repeat;
use super::{assert_no_limit, on};
use crate::exporter::Launch;
use crate::lab::{MariaDb, MariaDbOptions};

#[test]
fn a_stopped_exporter_kills_nobody() {
    repeat(|| {
        let server = MariaDb::start(MariaDbOptions::default());
        let exporter = on(Launch::on(&server)).start();
        let lives = |count: f64| {
            exporter.wait_for_metrics("lives", Duration::from_secs(60), |page| {
                page.sum("lives_total", &[]) >= count
            })
        };
        let before = lives(4.0).sum("lives_total", &[]);
        exporter.signal(Signal::STOP);
        sleep(Duration::from_secs(20));
        exporter.signal(Signal::CONT);
        let page = lives(before + 8.0);
        assert!(page.one("voided_total", &[("reason", "stalled")]) >= 1.0, "{}", exporter.log());
        assert_eq!(page.sum("deaths_total", &[]), 0.0, "{}", exporter.log());
        for void in exporter.events("void") {
            assert_eq!(void["reason"], "stalled", "{void}");
        }
        assert_no_limit(&exporter);
    });
}
