//! The sentences of a verdict: what was seen, who does it, what helps.

use crate::domain::culprit::Culprit;
use crate::domain::culprit::remedy::Remedy;
use crate::domain::layers::in_words;
use crate::domain::life::ending::Ending;
use crate::domain::life::tolerance::{WAIT_TIMEOUT_EARLY_SECONDS, WAIT_TIMEOUT_LATE};
use crate::domain::limit::IdleLimit;
use crate::domain::mismatch::{Facts, Killer, spelled, transaction_timeouts_below_limit};

use super::{is_lifetime, paths};

/// Every sentence there is to say, in the order of reading.
pub(super) fn of(facts: &Facts) -> Vec<String> {
    let mut sentences = Vec::new();
    if is_lifetime(facts) {
        let age = bounds(&facts.lifetime, "old");
        sentences.push(format!("Connections on path {} die of age, whatever they do: {age}.", facts.path));
        sentences.extend(doubt(&facts.lifetime));
        let by_kill = "A tool that kills sessions by their age, whatever they do, does it, by KILL.";
        sentences.extend(facts.old_are_killed.then(|| by_kill.to_owned()));
        sentences.push("Nothing keeps them alive: replace them before that age.".to_owned());
    } else if facts.idle.upper.is_some() {
        let age = bounds(&facts.idle, "idle");
        sentences.push(format!("Sessions on path {} die of idleness: {age}.", facts.path));
        sentences.extend(doubt(&facts.idle));
        sentences.extend(whom(facts));
        sentences.extend(facts.killer.map(|killer| ending(killer.ending).to_owned()));
        sentences.push(who(facts));
        sentences.push(what_helps(facts));
    } else {
        sentences.push(nothing_died(facts));
    }
    sentences.extend(paths::of(facts));
    sentences.extend(in_transactions(facts));
    sentences.extend(not_limits(facts));
    sentences
}

/// What was seen, and who does it, in a line.
pub(super) fn short(facts: &Facts) -> String {
    match of(facts).into_iter().next() {
        Some(seen) if !is_lifetime(facts) && facts.idle.upper.is_some() => format!("{seen} {}", who(facts)),
        Some(seen) => seen,
        None => String::new(),
    }
}

/// What ends a session inside a transaction sooner, whoever rests in one now.
fn in_transactions(facts: &Facts) -> Option<String> {
    let settings: Vec<String> = transaction_timeouts_below_limit(facts).into_iter().map(spelled).collect();
    (!settings.is_empty()).then(|| {
        format!(
            "Inside a transaction the server ends idle sessions sooner, by its {}: with autocommit off, commit or \
             roll back before a session rests.",
            settings.join(" and its ")
        )
    })
}

/// "345 s idle they live, 352 s idle they are dead", or "at 60 s idle".
fn bounds(limit: &IdleLimit, what: &str) -> String {
    let lower = in_words(limit.lower);
    if let (Some(upper), Some(to)) = (limit.upper, limit.spread_to) {
        return format!("between {} and {} {what}", in_words(upper), in_words(to));
    }
    match limit.upper.map(in_words) {
        // A bracket narrower than what is written is one age.
        Some(upper) if limit.exact || upper == lower => format!("at {upper} {what}"),
        Some(upper) if limit.lower > 0.0 => format!("{lower} {what} they live, {upper} {what} they are dead"),
        Some(upper) => format!("{upper} {what} they are dead, and no shorter age is known to be safe"),
        None => format!("not before {lower}"),
    }
}

/// Whom the limit spares, where it is not all of the connections that it rules.
fn whom(facts: &Facts) -> Vec<String> {
    let limit = &facts.idle;
    let mut sentences = Vec::new();
    if limit.upper.is_some() && limit.share > 0.0 && limit.share < MOST_OF_ALL {
        let share = share_in_words(limit.share);
        sentences.push(match limit.server {
            Some(server) => format!(
                "Not all: {share} of the connections that reach this age die there, those to server {}.",
                number(server)
            ),
            None => {
                let live = match limit.others_live_to {
                    age if age > 0.0 => format!("the others live to {}", in_words(age)),
                    _ => "the others live longer".to_owned(),
                };
                // Whoever KILLs chooses among the sessions of one server.
                let why = match facts.killer.filter(is_kill) {
                    Some(_) => "",
                    None => " What lies on their way alone does it.",
                };
                format!("Not all: {share} of the connections that reach this age die there, {live}.{why}")
            }
        });
    }
    if facts.servers.len() > 1 {
        let each = facts.servers.iter().map(|of| {
            let name = of.identity.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
            let limit = match of.limit.upper {
                Some(_) => bounds(&of.limit, "idle"),
                None => format!("none up to {} idle", in_words(of.limit.lower)),
            };
            format!("server {}{name} {limit}", of.server.map_or(1, number))
        });
        sentences.push(format!(
            "Several servers answer here, and do not share one limit: {}.",
            each.collect::<Vec<_>>().join("; ")
        ));
    }
    sentences
}

/// How people count servers.
fn number(server: u16) -> u32 {
    u32::from(server) + 1
}

/// From this share on it is all of them: one or another may live by chance.
const MOST_OF_ALL: f64 = 0.97;

/// Shares that have a word of their own.
pub(super) const SHARES: [(f64, &str); 5] = [
    (0.25, "a quarter"),
    (1.0 / 3.0, "a third"),
    (0.5, "half"),
    (2.0 / 3.0, "two thirds"),
    (0.75, "three quarters"),
];

/// "a third", or in per cent.
fn share_in_words(share: f64) -> String {
    let near = SHARES.iter().find(|(whole, _)| (share - whole).abs() <= 0.04);
    near.map_or_else(|| format!("{:.0} %", (share * 100.0).max(1.0)), |(_, words)| (*words).to_owned())
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

fn is_kill(killer: &Killer) -> bool {
    killer.culprit == Culprit::ServerKill
}

fn who(facts: &Facts) -> String {
    let culprit = facts.killer.map_or(Culprit::Unknown, |killer| killer.culprit);
    match culprit {
        Culprit::ServerIdleTimeout => {
            // Of several servers behind one path each has its own: the one that was read last may be another's, and
            // comes and goes. The limit says it already.
            let is_one_servers = facts.idle.server.is_some();
            let is_of_limit = |seconds: &f64| {
                let (lower, late) = (facts.idle.lower, WAIT_TIMEOUT_LATE.both(*seconds));
                let upper = facts.idle.upper.unwrap_or(f64::INFINITY);
                *seconds <= upper + WAIT_TIMEOUT_EARLY_SECONDS && lower <= *seconds + late
            };
            let wait_timeout = facts
                .session_wait_timeout
                .filter(|seconds| !is_one_servers && is_of_limit(seconds))
                .map(|seconds| format!(" of {}", in_words(seconds)))
                .unwrap_or_default();
            let server = match facts.idle.server {
                Some(server) => format!("Server {}", number(server)),
                None => "The server".to_owned(),
            };
            format!("{server} does it, by its wait_timeout{wait_timeout}.")
        }
        Culprit::ProxyIdleTimeout => "A proxy does it, by an idle timer that counts bytes.".to_owned(),
        Culprit::NetworkIdleTimeout => {
            "A firewall, NAT or load balancer on the network does it, by an idle timer.".to_owned()
        }
        Culprit::LifetimeLimit => "A limit on the age of connections does it.".to_owned(),
        Culprit::ServerKill => "A tool that kills idle sessions on the server does it, by KILL.".to_owned(),
        Culprit::ServerRestart | Culprit::NetworkStateLoss | Culprit::MassDisconnect | Culprit::Unknown => {
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
        let age = in_words(facts.idle.lower);
        // A probe comes at its rung's age or a moment past it.
        let at_end = facts.ladder_end.is_some_and(|end| facts.idle.lower >= end);
        let end = if at_end { ", the end of the ladder" } else { "" };
        format!(
            "No canary died of idleness on path {}: {age} idle they live{end}. Nothing is known of longer ages.",
            facts.path
        )
    } else {
        format!("Nothing is known of path {} yet: no canary reached its age.", facts.path)
    }
}

/// The hour and minute of a time in seconds since the Unix epoch, in UTC.
fn time_of_day(at: u64) -> String {
    let minutes = at / 60 % (24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
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
    let last_at = |culprit: Culprit| {
        let those = facts.deaths.iter().filter(|deaths| deaths.culprit == culprit);
        let newest = those.filter_map(|deaths| deaths.newest_at).max();
        newest.map(|at| format!(", last seen at {} UTC", time_of_day(at))).unwrap_or_default()
    };
    let mut sentences = Vec::new();
    // Those of a tool that strikes at the limit are its deaths.
    let is_limit = facts.idle.upper.is_some()
        && facts.killer.is_some_and(|killer| killer.culprit == Culprit::ServerKill);
    let killed = if is_limit { 0 } else { count(Culprit::ServerKill) };
    if killed > 0 {
        sentences.push(format!(
            "{} closed by the server away from wait_timeout, with no restart: this looks like KILL, by a person or \
             by a tool that kills idle sessions.",
            canaries(killed)
        ));
    }
    let is_counted =
        facts.deaths.iter().any(|deaths| deaths.culprit == Culprit::ServerKill && deaths.counted_kills);
    if killed == 1 && !is_counted {
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
    let forgotten = count(Culprit::NetworkStateLoss);
    if forgotten > 0 {
        sentences.push(format!(
            "{} lost because a firewall or NAT forgot its flows{}, which says nothing of idle ages: younger ones live \
             past theirs. A failover, a flush or a table that was full does it.",
            canaries(forgotten),
            last_at(Culprit::NetworkStateLoss)
        ));
    }
    let disconnected = count(Culprit::MassDisconnect);
    if disconnected > 0 {
        sentences.push(format!(
            "{} closed at one instant with others of quite other ages, by neither KILL nor a restart of the server: a \
             proxy's reload, restart or drain, or the server's offline_mode{}. This says nothing of idle ages.",
            canaries(disconnected),
            last_at(Culprit::MassDisconnect)
        ));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limit::ServerLimit;

    fn limit(upper: f64, share: f64) -> IdleLimit {
        IdleLimit {
            lower: upper - 0.5,
            upper: Some(upper),
            exact: true,
            confirmed: true,
            share,
            ..IdleLimit::default()
        }
    }

    #[test]
    fn a_limit_of_a_part_says_whom_it_spares() {
        let idle = IdleLimit { others_live_to: 28_800.0, ..limit(5.0, 0.34) };
        let facts = Facts { idle, ..Facts::default() };
        assert_eq!(
            whom(&facts),
            [
                "Not all: a third of the connections that reach this age die there, the others live to 28800 s (8h). What \
              lies on their way alone does it."
            ]
        );
        assert!(whom(&Facts { idle: limit(5.0, 1.0), ..Facts::default() }).is_empty());
    }

    #[test]
    fn a_limit_with_a_spread_is_one_limit_between_two_ages() {
        let idle = IdleLimit { spread_to: Some(24.0), ..limit(20.0, 1.0) };
        assert_eq!(bounds(&idle, "idle"), "between 20 s and 24 s idle");
    }

    #[test]
    fn servers_that_differ_are_told_apart() {
        let of = |server, identity: &str, upper| ServerLimit {
            server: Some(server),
            identity: Some(identity.to_owned()),
            limit: limit(upper, 1.0),
        };
        let servers = vec![of(0, "a", 4.0), of(1, "b", 9.0)];
        let facts = Facts { idle: limit(4.0, 1.0), servers, ..Facts::default() };
        assert_eq!(
            whom(&facts),
            [
                "Several servers answer here, and do not share one limit: server 1 (a) at 4 s idle; server 2 (b) at 9 s \
              idle."
            ]
        );
        let one = |upper, share| IdleLimit { server: Some(0), ..limit(upper, share) };
        let endless =
            ServerLimit { limit: IdleLimit { upper: None, lower: 10.0, ..one(0.0, 1.0) }, ..of(1, "b", 0.0) };
        let servers = vec![of(0, "a", 4.0), endless];
        let facts = Facts { idle: one(4.0, 0.5), servers, ..Facts::default() };
        assert_eq!(
            whom(&facts),
            [
                "Not all: half of the connections that reach this age die there, those to server 1.",
                "Several servers answer here, and do not share one limit: server 1 (a) at 4 s idle; server 2 (b) none \
              up to 10 s idle."
            ]
        );
        let culprit = Culprit::ServerIdleTimeout;
        let killer = Some(crate::domain::mismatch::Killer { culprit, ending: Ending::Goodbye });
        for session_wait_timeout in [None, Some(4.0), Some(9.0)] {
            let told = who(&Facts { killer, session_wait_timeout, ..facts.clone() });
            assert_eq!(told, "Server 1 does it, by its wait_timeout.", "it does not come and go");
        }
    }
}
