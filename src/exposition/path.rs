//! What is known of a path, drawn.

use super::drawing::Drawing;
use super::families::{
    APPLICATION_LEFT_BEHIND, HeldLabels, LAYER_MISMATCH, LAYER_TIMEOUT, LIMIT_CONFIRMED, LIMIT_EVIDENCE,
    LIMIT_INFO, LIMIT_LOWER, LIMIT_SHARE, LIMIT_UPPER, LimitInfoLabels, MismatchLabels, PathUserLabels,
    RECOMMENDED_RECYCLE, REMEDY, Remedy, RemedyLabels, RiskLabels, SESSIONS_AT_RISK, SESSIONS_AT_RISK_INFO,
    SESSIONS_HELD_PAST_RECYCLE, SettingLabels,
};
use crate::domain::life::words::user_label;
use crate::domain::mismatch::{AtRisk, Finding};
use crate::fleet::diagnosis::Diagnosis;
use crate::metrics::labels::{KindLabels, PathLabels};
use crate::prober::PathReport;

impl<'a> Drawing<'a> {
    /// Draws what is known of a path, whose times are so many seconds `behind` the calendar.
    pub(super) fn draw_path(
        &mut self,
        target: &'a str,
        path: &'a str,
        report: &PathReport,
        diagnosis: &'a Diagnosis,
        behind: f64,
    ) {
        for (kind, limit) in &report.limits {
            let labels = || KindLabels { kind: *kind, path, target };
            self.set(&LIMIT_LOWER, labels(), limit.survived);
            if let Some(upper) = limit.upper {
                self.set(&LIMIT_UPPER, labels(), upper);
                self.set(&LIMIT_SHARE, labels(), limit.share);
                self.set_flag(&LIMIT_CONFIRMED, labels(), limit.confirmed);
            }
            if let Some(at) = limit.evidence_at {
                self.set(&LIMIT_EVIDENCE, labels(), at + behind);
            }
        }
        if let Some(culprit) = report.killer.map(|killer| killer.culprit) {
            let (layer, suspect) = (culprit.layer(), diagnosis.suspect.as_str());
            self.set(&LIMIT_INFO, LimitInfoLabels { culprit, layer, path, suspect, target }, 1.0);
        }
        for (remedy, helps) in [
            (Remedy::TcpKeepalive, diagnosis.remedies.tcp_keepalive),
            (Remedy::AppPing, diagnosis.remedies.app_ping),
        ] {
            if let Some(helps) = helps {
                self.set_flag(&REMEDY, RemedyLabels { path, remedy, target }, helps);
            }
        }
        for finding in diagnosis.findings.iter().filter(|finding| !finding.rule.rests_on_the_view()) {
            self.draw_finding(target, path, finding);
        }
        for setting in &diagnosis.layers {
            let labels = SettingLabels {
                clock: setting.clock,
                layer: setting.layer,
                path,
                setting: &setting.setting,
                source: setting.source,
                target,
            };
            self.set(&LAYER_TIMEOUT, labels, setting.seconds);
        }
        if let Some(seconds) = diagnosis.recommended_recycle {
            self.set(&RECOMMENDED_RECYCLE, PathLabels { path, target }, seconds);
        }
    }

    /// Draws what was concluded from the server view: only while that is not stale.
    pub(super) fn draw_seen(&mut self, target: &'a str, path: &'a str, diagnosis: &'a Diagnosis) {
        for finding in diagnosis.findings.iter().filter(|finding| finding.rule.rests_on_the_view()) {
            self.draw_finding(target, path, finding);
        }
        for held in &diagnosis.held_past_recycle {
            let labels = HeldLabels { path, pool: &held.pool, target, user: &held.user };
            self.set(&SESSIONS_HELD_PAST_RECYCLE, labels, held.count as f64);
        }
        // At most 50 users and `_other` have a name of their own.
        for AtRisk { user, count, severity, tense } in diagnosis.at_risk.iter().flatten() {
            let (severity, tense, user) = (*severity, *tense, user_label(user));
            let labels = PathUserLabels { path, target, user: user.clone() };
            self.add(&SESSIONS_AT_RISK, labels, *count as f64);
            if *count > 0 {
                self.set(&SESSIONS_AT_RISK_INFO, RiskLabels { path, severity, target, tense, user }, 1.0);
            }
        }
        for (user, count) in diagnosis.left_behind.iter().flatten() {
            let labels = PathUserLabels { path, target, user: user_label(user) };
            self.add(&APPLICATION_LEFT_BEHIND, labels, *count as f64);
        }
    }

    fn draw_finding(&mut self, target: &'a str, path: &'a str, finding: &'a Finding) {
        let labels = MismatchLabels { path, pool: &finding.pool, rule: finding.rule, target };
        self.set_flag(&LAYER_MISMATCH, labels, finding.holds);
    }
}
