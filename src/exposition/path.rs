//! What is known of a path, drawn.

use super::families::Families;
use crate::domain::life::words::user_label;
use crate::domain::mismatch::AtRisk;
use crate::fleet::diagnosis::Diagnosis;
use crate::prober::PathReport;

impl Families {
    /// Draws what is known of a path, whose times are so many seconds `behind` the calendar.
    pub(super) fn draw_path(
        &self,
        target: &str,
        path: &str,
        report: &PathReport,
        diagnosis: &Diagnosis,
        behind: f64,
    ) {
        for (kind, limit) in &report.limits {
            let labels = [target, path, kind.label()];
            self.limit_lower.with_label_values(&labels).set(limit.survived);
            if let Some(upper) = limit.upper {
                self.limit_upper.with_label_values(&labels).set(upper);
                self.limit_share.with_label_values(&labels).set(limit.share);
                self.limit_confirmed.with_label_values(&labels).set(f64::from(u8::from(limit.confirmed)));
            }
            if let Some(at) = limit.evidence_at {
                self.limit_evidence.with_label_values(&labels).set(at + behind);
            }
        }
        if let Some(culprit) = report.killer.map(|killer| killer.culprit) {
            let labels = [target, path, culprit.label(), culprit.layer().label(), &diagnosis.suspect];
            self.limit_info.with_label_values(&labels).set(1.0);
        }
        for (remedy, helps) in
            [("tcp_keepalive", diagnosis.remedies.tcp_keepalive), ("app_ping", diagnosis.remedies.app_ping)]
        {
            if let Some(helps) = helps {
                self.remedy.with_label_values(&[target, path, remedy]).set(f64::from(u8::from(helps)));
            }
        }
        for finding in diagnosis.findings.iter().filter(|finding| !finding.rule.rests_on_the_view()) {
            let labels = [target, path, finding.rule.label(), &finding.pool];
            self.layer_mismatch.with_label_values(&labels).set(f64::from(u8::from(finding.holds)));
        }
        for setting in &diagnosis.layers {
            let (layer, clock, source) =
                (setting.layer.label(), setting.clock.label(), setting.source.label());
            let labels = [target, path, layer, &setting.setting, clock, source];
            self.layer_timeout.with_label_values(&labels).set(setting.seconds);
        }
        if let Some(seconds) = diagnosis.recommended_recycle {
            self.recommended_recycle.with_label_values(&[target, path]).set(seconds);
        }
    }

    /// Draws what was concluded from the server view: only while that is not stale.
    pub(super) fn draw_seen(&self, target: &str, path: &str, diagnosis: &Diagnosis) {
        for finding in diagnosis.findings.iter().filter(|finding| finding.rule.rests_on_the_view()) {
            let labels = [target, path, finding.rule.label(), &finding.pool];
            self.layer_mismatch.with_label_values(&labels).set(f64::from(u8::from(finding.holds)));
        }
        for held in &diagnosis.held_past_recycle {
            let labels = [target, path, &held.pool, &held.user];
            self.sessions_held_past_recycle.with_label_values(&labels).set(held.count as f64);
        }
        // At most 50 users and `_other` have a name of their own.
        for AtRisk { user, count, severity, tense } in diagnosis.at_risk.iter().flatten() {
            let user = user_label(user);
            self.sessions_at_risk.with_label_values(&[target, path, &user]).add(*count as f64);
            if *count > 0 {
                let labels = [target, path, &user, severity.label(), tense.label()];
                self.sessions_at_risk_info.with_label_values(&labels).set(1.0);
            }
        }
        for (user, count) in diagnosis.left_behind.iter().flatten() {
            let labels = [target, path, &user_label(user)];
            self.application_left_behind.with_label_values(&labels).add(*count as f64);
        }
    }
}
