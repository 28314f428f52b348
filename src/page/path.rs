//! One path in words, around its picture: the verdict, the evidence, what to change, the mismatches, the sessions.

use maud::{Markup, html};

use super::marks::{Mark, badge};
use super::picture::{idle_limit, ladder};
use super::tables;
use super::text::{Name, Term, Words, about, counted, moment};
use crate::domain::layers::in_words;
use crate::status::{Document, Limit, Mismatch, PathDocument, TargetDocument};

/// So many servers behind one path are named.
const MOST_IDENTITIES: usize = 20;

/// A target's name, and what its server says of itself.
pub(super) fn heading(document: &Document, target: &TargetDocument) -> Markup {
    html! {
        h1 { (badge(target.standing)) " " (Name(&target.target)) }
        p.server {
            @match &target.server {
                None => "The server cannot be asked now.",
                Some(server) => {
                    (server.flavor) @if let Some(version) = &server.version { " " (Name(version)) }
                    @if let Some(at) = server.started_at { ", started " (moment(at, document.generated_at)) }
                    @if let (Some(connected), Some(most)) = (server.threads_connected, server.max_connections) {
                        ", " (connected) " of " (most) " connections taken"
                    }
                    ", asked " (about(server.view_age_seconds)) " ago"
                    @match server.sight {
                        Some("own_only") => ". The account sees only its own sessions: GRANT PROCESS shows the applications'.",
                        Some("incomplete") => ". The list of sessions is incomplete.",
                        _ => "",
                    }
                }
            }
        }
    }
}

/// One path.
pub(super) fn section(
    document: &Document,
    target: &TargetDocument,
    path: &PathDocument,
    number: usize,
) -> Markup {
    html! {
        section.path aria-labelledby=(format!("path-{number}")) {
            h2 id=(format!("path-{number}")) {
                @if target.paths.len() > 1 { (badge(path.standing)) " " }
                "Path " (Name(&path.path)) " " span.address { (Name(&path.address)) }
            }
            (verdict(path))
            (ladder(target, path, number))
            (what_to_change(path))
            (evidence(document, path))
            (mismatches(path))
            (foretold(path))
            (sessions(path))
            (tables::timeouts(path))
            (tables::deaths(document, path))
        }
    }
}

fn verdict(path: &PathDocument) -> Markup {
    html! {
        @if let Some(trouble) = &path.trouble {
            div.trouble {
                p { strong { "Connecting fails" } " (" (trouble.stage)
                    @if let Some(code) = trouble.error_code { ", error " (code) }
                    ", " (about(trouble.age_seconds)) " ago): " (Words(&trouble.words)) }
            }
        }
        @if !path.suspended.is_empty() {
            p.trouble { strong { "No canary is launched now" } ": "
                @for (place, reason) in path.suspended.iter().enumerate() {
                    @if place > 0 { "; " }
                    (why_suspended(reason))
                }
                "."
            }
        }
        @match &path.verdict {
            Some(verdict) if !verdict.sentences.is_empty() => {
                @for (place, sentence) in verdict.sentences.iter().enumerate() {
                    p.verdict.first[place == 0] { (Words(sentence)) }
                }
            },
            _ => p.verdict.first { "Nothing is known yet: no canary has reached its age." },
        }
    }
}

fn why_suspended(reason: &'static str) -> &'static str {
    match reason {
        "connect_failing" => "connecting fails",
        "connection_limit" => "the server refused for its limit of connections",
        "low_headroom" => "too little of max_connections is free",
        "ghosts" => "sessions of the dead fill the budget",
        other => other,
    }
}

/// How old and how sure it is.
fn evidence(document: &Document, path: &PathDocument) -> Markup {
    let limit = idle_limit(path);
    let suspects = path.verdict.as_ref().map(|verdict| &verdict.suspects[..]).unwrap_or_default();
    if path.measuring_since.is_none() && limit.is_none() {
        return html! { h3 { "Evidence" } p { "None yet: no canary has reached its age." } };
    }
    html! {
        h3 { "Evidence" }
        dl.facts {
            dt { "Idle limit" }
            dd { (limit.map_or_else(|| "not known yet".to_owned(), |limit| bracket(limit, path.ladder_survived))) }
            dt { "How sure" }
            dd { (limit.map_or("nothing to judge yet", how_sure)) (limit.and_then(share).unwrap_or_default()) }
            dt { "Newest evidence" }
            dd {
                @match limit.and_then(|limit| limit.evidence_age_seconds) {
                    Some(age) => { (about(age)) " old" },
                    None => "none yet",
                }
            }
            dt { "Measuring since" }
            dd {
                @match path.measuring_since {
                    Some(at) => (moment(at, document.generated_at)),
                    None => "not yet",
                }
            }
            @if let Some(killer) = &path.killer {
                dt { "Who does it" }
                dd { (Mark::of_culprit(killer.culprit).in_text()) " " code { (Term(killer.culprit)) } " (" (killer.layer) "), seen as " code { (Term(killer.ending)) } }
            }
            @if !suspects.is_empty() {
                dt { "Products whose default fits" }
                dd { @for suspect in suspects { p { (Words(suspect)) } } }
            }
            dt { "TCP keepalive helps" } dd { (helps(path.remedies.tcp_keepalive)) }
            dt { "An application's ping helps" } dd { (helps(path.remedies.app_ping)) }
            @for limit in path.limits.iter().filter(|limit| limit.kind != "idle" && limit.upper_seconds.is_some()) {
                dt { "Limit of canaries that are " code { (limit.kind) } }
                dd { (bracket(limit, path.ladder_survived)) "; " (how_sure(limit)) }
            }
            @for of in &path.server_limits {
                dt { "Limit at server " (of.identity.as_deref().map_or(Name("of an unknown name"), Name)) }
                dd { (bracket(&of.limit, path.ladder_survived)) "; " (how_sure(&of.limit)) }
            }
            @if path.identities.len() > 1 {
                dt { "Who answers here" }
                dd { (counted(path.identities.len(), "server")) ": "
                    @for (place, name) in path.identities.iter().take(MOST_IDENTITIES).enumerate() {
                        @if place > 0 { ", " }
                        (Name(name))
                    }
                    @if path.identities.len() > MOST_IDENTITIES { ", …" }
                }
            }
        }
    }
}

/// Both ends of a limit.
pub(super) fn bracket(limit: &Limit, ladder_survived: bool) -> String {
    match (limit.lower_seconds, limit.upper_seconds) {
        (Some(lower), Some(upper)) if limit.exact != Some(true) && lower < upper => {
            format!("between {} and {}", in_words(lower), in_words(upper))
        }
        (_, Some(upper)) => format!("at {}", in_words(upper)),
        (Some(lower), None) => format!("none {}", reached(lower, ladder_survived)),
        (None, None) => "not known yet".to_owned(),
    }
}

/// Up to where no limit lies.
pub(super) fn reached(seconds: f64, ladder_survived: bool) -> String {
    let end = if ladder_survived { "the end of the ladder" } else { "as far as was measured" };
    format!("up to {}, {end}", in_words(seconds))
}

fn how_sure(limit: &Limit) -> &'static str {
    match (limit.confirmed, limit.lower_seconds) {
        (Some(true), _) => "confirmed by several deaths and survivals",
        (Some(false), _) => "not confirmed yet: too few deaths and survivals bear it out",
        (None, Some(_)) => "no canary died of idleness",
        (None, None) => "nothing to judge yet",
    }
}

/// Whom the limit strikes, where that is not everybody.
fn share(limit: &Limit) -> Option<String> {
    let share = limit.share.filter(|share| (0.0..0.95).contains(share))?;
    Some(format!("; {:.0} % of the lives that reach it die there", share * 100.0))
}

fn helps(helps: Option<bool>) -> &'static str {
    match helps {
        Some(true) => "yes, measured",
        Some(false) => "no, measured",
        None => "not measured",
    }
}

fn what_to_change(path: &PathDocument) -> Markup {
    let settings = path.verdict.as_ref().map(|verdict| &verdict.settings[..]).unwrap_or_default();
    html! {
        @if !settings.is_empty() {
            h3 { "What to change" }
            dl.settings {
                @for (place, setting) in settings.iter().enumerate() {
                    @if place == 0 || settings[place - 1].place != setting.place { dt { (setting.place) } }
                    dd { @if !setting.line.is_empty() { code { (Words(&setting.line)) } " " } (Words(&setting.why)) }
                }
            }
            @if let Some(recycle) = path.recommended_recycle_seconds {
                p { "Replace pooled connections at an age of " (in_words(recycle)) "." }
            }
        }
    }
}

fn mismatches(path: &PathDocument) -> Markup {
    let (holding, not): (Vec<&Mismatch>, Vec<&Mismatch>) = path.mismatches.iter().partition(|of| of.holds);
    html! {
        @if !path.mismatches.is_empty() {
            h3 { "Settings that contradict each other" }
            (findings(&holding))
            p.aside {
                @if holding.is_empty() { "None. " }
                @if !not.is_empty() { (counted(not.len(), "rule")) " judged, and in order." }
            }
        }
    }
}

fn findings(findings: &[&Mismatch]) -> Markup {
    html! {
        ul.findings {
            @for finding in findings {
                li {
                    @match &finding.words {
                        Some(words) => (Words(words)),
                        None => @if let Some(pool) = &finding.pool { "pool " (Name(pool)) },
                    }
                    " " code.rule { (Term(finding.rule)) }
                }
            }
        }
    }
}

/// What the timeouts that were read and declared come to, before anything was measured.
fn foretold(path: &PathDocument) -> Markup {
    html! {
        @if let Some(foretold) = &path.foretold {
            h3 { "What the settings say, before it is measured" }
            p { (Words(&foretold.words)) }
            @if !foretold.mismatches.is_empty() {
                (findings(&foretold.mismatches.iter().collect::<Vec<_>>()))
            }
        }
    }
}

/// The applications' sessions that this path's limit concerns.
fn sessions(path: &PathDocument) -> Markup {
    let at_risk = path.at_risk.as_deref().unwrap_or_default();
    let left_behind = path.left_behind.as_deref().unwrap_or_default();
    let held = path.held_past_recycle.as_deref().unwrap_or_default();
    html! {
        @if !(at_risk.is_empty() && left_behind.is_empty() && held.is_empty()) {
            h3 { "Sessions of applications" }
            ul {
                @for of in at_risk {
                    li { (counted(of.sessions, "session")) " of user " (Name(&of.user)) " "
                        @if of.tense == "has_failed" { "idle past the limit: their next query has failed, or will" }
                        @else { "idle near or past the limit: their next query will fail" }
                        " (" (of.severity) ")" }
                }
                @for of in left_behind {
                    li { (counted(of.sessions, "session")) " of user " (Name(&of.user)) ": nobody will use them any more" }
                }
                @for of in held {
                    li { (counted(of.sessions, "session")) " of user " (Name(&of.user))
                        " idle for longer than pool " (Name(&of.pool)) " keeps a connection: lent and held, or leaked" }
                }
            }
        }
        @if !path.devices.is_empty() {
            h3 { "Declared devices" }
            ul { @for device in &path.devices { li { (Name(&device.device)) " (" (device.layer) "): " (Words(&device.words)) } } }
        }
    }
}

/// What the clients are declared to do.
pub(super) fn declared_pools(target: &TargetDocument) -> Markup {
    html! {
        @if !target.pools.is_empty() {
            section {
                h2 { "Declared pools" }
                ul {
                    @for pool in &target.pools {
                        li { (Name(&pool.pool)) " (" (pool.framework) @if let Some(user) = &pool.user { ", user " (Name(user)) } "): " (Words(&pool.words)) }
                    }
                }
            }
        }
    }
}
