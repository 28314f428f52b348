//! The sentences of a verdict: what was seen, who does it, what helps.

use crate::domain::culprit::Culprit;
use crate::domain::ending::Ending;
use crate::domain::layers::in_words;
use crate::domain::limit::IdleLimit;
use crate::domain::mismatch::Facts;
use crate::domain::remedy::Remedy;

use super::is_lifetime;

/// Every sentence there is to say, in the order of reading.
pub(super) fn of(facts: &Facts) -> Vec<String> {
    let mut sentences = Vec::new();
    if is_lifetime(facts) {
        let age = bounds(&facts.lifetime, "old");
        sentences.push(format!("Connections on path {} die of age, whatever they do: {age}.", facts.path));
        sentences.extend(doubt(&facts.lifetime));
        sentences.push("Nothing keeps them alive: replace them before that age.".to_owned());
    } else if facts.idle.upper.is_some() {
        let age = bounds(&facts.idle, "idle");
        sentences.push(format!("Sessions on path {} die of idleness: {age}.", facts.path));
        sentences.extend(doubt(&facts.idle));
        sentences.extend(facts.killer.map(|killer| ending(killer.ending).to_owned()));
        sentences.push(who(facts));
        sentences.push(what_helps(facts));
    } else {
        sentences.push(nothing_died(facts));
    }
    sentences.extend(not_limits(facts));
    sentences
}

/// "345 s idle they live, 352 s idle they are dead", or "at 60 s idle".
fn bounds(limit: &IdleLimit, what: &str) -> String {
    let lower = in_words(limit.lower);
    match limit.upper.map(in_words) {
        Some(upper) if limit.exact => format!("at {upper} {what}"),
        Some(upper) if limit.lower > 0.0 => format!("{lower} {what} they live, {upper} {what} they are dead"),
        Some(upper) => format!("{upper} {what} they are dead, and no shorter age is known to be safe"),
        None => format!("not before {lower}"),
    }
}

fn doubt(limit: &IdleLimit) -> Option<String> {
    (!limit.confirmed)
        .then(|| "This is not confirmed yet: too few canaries died and lived around it.".to_owned())
}

fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Goodbye => "The server says so first, then closes the connection.",
        Ending::Fin => "The connection is closed while it is idle.",
        Ending::Reset => "The connection is reset while it is idle.",
        Ending::ResetOnUse => "Nothing is seen before the next query, which is answered with a reset.",
        Ending::Silence => {
            "Nothing is seen before the next query, which is never answered: it hangs until something gives up."
        }
    }
}

fn who(facts: &Facts) -> String {
    let culprit = facts.killer.map_or(Culprit::Unknown, |killer| killer.culprit);
    match culprit {
        Culprit::ServerIdleTimeout => {
            let wait_timeout = facts
                .session_wait_timeout
                .map(|seconds| format!(" of {}", in_words(seconds)))
                .unwrap_or_default();
            format!("The server does it, by its wait_timeout{wait_timeout}.")
        }
        Culprit::ProxyIdleTimeout => "A proxy does it, by an idle timer that counts bytes.".to_owned(),
        Culprit::PathIdleTimeout => {
            "A firewall, NAT or load balancer on the network does it, by an idle timer.".to_owned()
        }
        Culprit::LifetimeLimit => "A limit on the age of connections does it.".to_owned(),
        Culprit::ServerKill => "A tool that kills idle sessions on the server does it, by KILL.".to_owned(),
        Culprit::ServerRestart | Culprit::Unknown => {
            "Who does it is not known: the evidence does not decide.".to_owned()
        }
    }
}

fn what_helps(facts: &Facts) -> String {
    let keepalive = match facts.remedies.tcp_keepalive {
        Some(true) => "TCP keepalive helps, when it comes sooner",
        Some(false) => "TCP keepalive does not help",
        None => "Whether TCP keepalive helps was not measured",
    };
    let ping = match facts.remedies.app_ping {
        Some(true) => "an application's ping helps",
        Some(false) => "an application's ping does not help",
        None => "whether an application's ping helps was not measured",
    };
    let so = match facts.remedies.choose() {
        Remedy::TcpKeepalive | Remedy::AppPing => "",
        Remedy::OnlyRecycling => " Only replacing connections sooner helps.",
        Remedy::Undecided => " Replacing connections sooner is safe in any case.",
    };
    format!("{keepalive}; {ping}.{so}")
}

fn nothing_died(facts: &Facts) -> String {
    if facts.idle.lower > 0.0 {
        format!(
            "No canary died of idleness on path {}: {} idle they live. Nothing is known of longer ages.",
            facts.path,
            in_words(facts.idle.lower)
        )
    } else {
        format!("Nothing is known of path {} yet: no canary reached its age.", facts.path)
    }
}

/// Deaths that bound no idle age.
fn not_limits(facts: &Facts) -> Vec<String> {
    let count = |culprit: Culprit| {
        facts
            .deaths
            .iter()
            .filter(|deaths| deaths.culprit == culprit)
            .fold(0, |sum: usize, deaths| sum.saturating_add(deaths.count))
    };
    let canaries = |count: usize| match count {
        1 => "1 canary was".to_owned(),
        _ => format!("{count} canaries were"),
    };
    let mut sentences = Vec::new();
    let killed = count(Culprit::ServerKill);
    if killed > 0 {
        sentences.push(format!(
            "{} closed by the server away from wait_timeout, with no restart: this looks like KILL, by a person or \
             by a tool that kills idle sessions.",
            canaries(killed)
        ));
    }
    if killed == 1 {
        sentences.push(
            "A proxy's idle timer looks the same until a second canary dies at the same age.".to_owned(),
        );
    }
    let restarted = count(Culprit::ServerRestart);
    if restarted > 0 {
        sentences.push(format!(
            "{} lost to a server restart, which says nothing of idle ages.",
            canaries(restarted)
        ));
    }
    sentences
}
