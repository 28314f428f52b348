//! How a path is filled in.

use tokio::time::Instant;

use super::document::{
    Canary, Death, DeathsOfAge, Device, Foretold, HeldPastRecycle, Killer, Layer, LeftBehind, Limit,
    LivesOfAge, Mismatch, PathDocument, Remedies, RiskOfUser, ServerLimit, Trouble, Verdict,
};
use super::{above_zero, known, rounded};
use crate::domain::conduct::suspension::Suspension;
use crate::domain::life::kind::Kind;
use crate::domain::life::tally::Tally;
use crate::domain::life::words::user_label;
use crate::domain::limit::IdleLimit;
use crate::domain::mismatch::{self, AtRisk, Finding};
use crate::domain::verdict::{self, Standing};
use crate::fleet::diagnosis::Diagnosis;
use crate::fleet::published::PathState;
use crate::prober::{self, Present, Recent};

/// When a document is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Seconds since the Unix epoch, as the calendar says.
    pub(super) unix_now: f64,
    /// How far the paths' times are behind it, in seconds.
    pub(super) behind: f64,
    /// Whether the server view is not stale.
    pub(super) viewed: bool,
    /// The ladder's last rung, in seconds.
    pub(super) ladder_end: f64,
}

/// One path as it was last published, and how it stands.
pub(super) fn draw(path: &PathState, moment: &Moment) -> (Standing, PathDocument) {
    let report = path.report.borrow().clone();
    let present = path.present.borrow().clone();
    let diagnosis = path.diagnosis.borrow();
    let trouble = path.trouble.now();
    let idle = report.limit(Kind::Idle);
    let verdict = diagnosis.verdict.as_ref();
    let survived = idle.upper.is_none() && report.recurs_at.is_none() && idle.lower >= moment.ladder_end;
    let lives = present.canaries.iter().any(|canary| canary.born.is_some());
    let sound = verdict.is_none_or(|verdict| verdict.sound);
    let standing = Standing::of(trouble.is_some() && !lives, sound, survived);
    let limit = |kind: Kind, limit: &IdleLimit| draw_limit(kind, limit, moment);
    let document = PathDocument {
        path: path.path.clone(),
        address: path.address.clone(),
        standing: standing.label(),
        measuring_since: present.since.and_then(|at| known(at + moment.behind)),
        reach_seconds: above_zero(idle.lower),
        ladder_survived: survived,
        trouble: trouble.map(|trouble| Trouble {
            stage: trouble.stage.label(),
            words: trouble.words,
            error_code: trouble.code,
            age_seconds: rounded(trouble.at.elapsed().as_secs_f64()),
        }),
        suspended: present.suspended.iter().copied().map(Suspension::label).collect(),
        canaries: present.canaries.iter().map(draw_canary).collect(),
        lives: present.tallies.iter().map(draw_tally).collect(),
        limits: report.limits.iter().map(|(kind, of)| limit(*kind, of)).collect(),
        server_limits: report
            .servers
            .iter()
            .map(|of| ServerLimit { identity: of.identity.clone(), limit: limit(Kind::Idle, &of.limit) })
            .collect(),
        identities: report.identities.clone(),
        killer: report.killer.map(|killer| Killer {
            culprit: killer.culprit.label(),
            layer: killer.culprit.layer().label(),
            ending: killer.ending.label(),
            suspect: diagnosis.suspect.clone(),
        }),
        remedies: Remedies {
            tcp_keepalive: diagnosis.remedies.tcp_keepalive,
            app_ping: diagnosis.remedies.app_ping,
        },
        recommended_recycle_seconds: diagnosis.recommended_recycle.and_then(known),
        layers: diagnosis.layers.iter().filter_map(draw_layer).collect(),
        mismatches: draw_mismatches(&diagnosis, moment.viewed),
        foretold: diagnosis.foretold.as_ref().map(draw_foretold),
        devices: path
            .devices
            .iter()
            .map(|device| Device {
                device: device.name.clone(),
                layer: device.layer.label(),
                idle_timeout_seconds: device.idle_timeout,
                words: device.words(),
            })
            .collect(),
        at_risk: diagnosis
            .at_risk
            .as_ref()
            .filter(|_| moment.viewed)
            .map(|all| all.iter().map(draw_risk).collect()),
        left_behind: diagnosis.left_behind.as_ref().filter(|_| moment.viewed).map(|all| {
            all.iter()
                .map(|(user, count)| LeftBehind { user: user_label(user).into_owned(), sessions: *count })
                .collect()
        }),
        held_past_recycle: moment.viewed.then(|| draw_held(&diagnosis)),
        deaths: draw_deaths(&present, moment),
        verdict: verdict.map(draw_verdict),
    };
    (standing, document)
}

fn draw_canary(canary: &prober::Canary) -> Canary {
    let idle = |born: Instant| rounded(born.elapsed().as_secs_f64());
    Canary {
        kind: canary.kind.label(),
        phase: canary.phase.label(),
        idle_seconds: canary.born.map(idle),
        aim_seconds: rounded(canary.aim),
    }
}

fn draw_tally(tally: &Tally) -> LivesOfAge {
    let deaths = tally.deaths.iter();
    LivesOfAge {
        kind: tally.kind.label(),
        from_seconds: rounded(tally.from),
        to_seconds: rounded(tally.to),
        survived: tally.survived,
        deaths: deaths.map(|(culprit, &count)| DeathsOfAge { culprit: culprit.label(), count }).collect(),
    }
}

fn draw_limit(kind: Kind, limit: &IdleLimit, moment: &Moment) -> Limit {
    let died = limit.upper.is_some();
    Limit {
        kind: kind.label(),
        lower_seconds: above_zero(limit.survived),
        upper_seconds: limit.upper.and_then(known),
        exact: died.then_some(limit.exact),
        confirmed: died.then_some(limit.confirmed),
        share: Some(limit.share).filter(|share| died && share.is_finite()).map(rounded),
        spread_to_seconds: limit.spread_to.and_then(known),
        evidence_age_seconds: limit
            .evidence_at
            .and_then(|at| known((moment.unix_now - at - moment.behind).max(0.0))),
    }
}

fn draw_layer(setting: &crate::domain::layers::LayerSetting) -> Option<Layer> {
    Some(Layer {
        layer: setting.layer.label(),
        setting: setting.setting.clone(),
        seconds: known(setting.seconds)?,
        clock: setting.clock.label(),
        source: setting.source.label(),
    })
}

/// What was concluded from a server view that is stale is not shown, as on the metrics page.
fn draw_mismatches(diagnosis: &Diagnosis, viewed: bool) -> Vec<Mismatch> {
    let findings = diagnosis.findings.iter();
    findings.filter(|of| viewed || !of.rule.rests_on_the_view()).map(draw_finding).collect()
}

fn draw_finding(finding: &Finding) -> Mismatch {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    Mismatch {
        rule: finding.rule.label(),
        pool: some(&finding.pool),
        holds: finding.holds,
        words: some(&finding.words),
    }
}

fn draw_foretold(foretold: &mismatch::Foretold) -> Foretold {
    Foretold {
        setting: foretold.setting.clone(),
        layer: foretold.layer.label(),
        seconds: rounded(foretold.seconds),
        words: foretold.words.clone(),
        mismatches: foretold.findings.iter().map(draw_finding).collect(),
    }
}

fn draw_risk(risk: &AtRisk) -> RiskOfUser {
    RiskOfUser {
        user: user_label(&risk.user).into_owned(),
        sessions: risk.count,
        severity: risk.severity.label(),
        tense: risk.tense.label(),
    }
}

fn draw_held(diagnosis: &Diagnosis) -> Vec<HeldPastRecycle> {
    let held = diagnosis.held_past_recycle.iter();
    held.map(|held| HeldPastRecycle {
        pool: held.pool.clone(),
        user: held.user.clone(),
        sessions: held.count,
    })
    .collect()
}

fn draw_deaths(present: &Present, moment: &Moment) -> Vec<Death> {
    let draw = |death: &Recent| Death {
        at: rounded(death.at + moment.behind),
        kind: death.kind.label(),
        age_seconds: rounded(death.age),
        exact: death.exact,
        ending: death.ending.label(),
        culprit: death.culprit.label(),
        layer: death.culprit.layer().label(),
        rule: death.rule,
        thread_id: death.thread_id,
        error_code: death.error_code,
        stall_seconds: death.stall.and_then(known),
    };
    present.deaths.iter().rev().map(draw).collect()
}

fn draw_verdict(verdict: &verdict::Verdict) -> Verdict {
    Verdict {
        sound: verdict.sound,
        short: verdict.short.clone(),
        sentences: verdict.sentences.clone(),
        suspects: verdict.suspects.clone(),
        settings: verdict.settings.clone(),
    }
}

/// A path with these limits, killer and diagnosis, and a ladder that ends at this age, in seconds.
#[cfg(test)]
pub(crate) fn path_for_tests(
    limits: Vec<(Kind, IdleLimit)>,
    killer: Option<mismatch::Killer>,
    diagnosis: Diagnosis,
    ladder_end: f64,
) -> PathDocument {
    use crate::domain::conduct::health::Loop;
    use crate::prober::PathReport;
    use crate::session::LastTrouble;
    use crate::supervision::Pulse;
    use tokio::sync::watch;

    let report = PathReport { limits, killer, ..PathReport::default() };
    let state = PathState {
        path: "p".to_owned(),
        address: "a".to_owned(),
        devices: Vec::new(),
        pulse: Pulse::unwatched(Loop::Prober),
        report: watch::channel(report).1,
        present: watch::channel(Present::default()).1,
        trouble: LastTrouble::default(),
        diagnosis: watch::channel(diagnosis).1,
    };
    draw(&state, &Moment { unix_now: 1.8e9, behind: 0.0, viewed: true, ladder_end }).1
}
