//! Settings that keep clear of a limit, for the kernel and for pools, with the smallest values that each
//! accepts.

use serde::Serialize;

use crate::domain::culprit::Culprit;
use crate::domain::layers::pool::Framework;
use crate::domain::layers::{Kernel, in_words};
use crate::domain::mismatch::{Facts, reached, safe_below};

use super::{drivers, is_lifetime, lifetime};

/// One setting to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Whose setting it is.
    pub place: &'static str,
    /// The setting, as it is written there.
    pub line: String,
    /// What it does here.
    pub why: String,
}

/// Connections are replaced at this share of the longest age known to be safe.
const RECYCLE_SHARE: f64 = 0.8;
/// Pings and TCP keepalive come at this share of it: two may be lost.
const PING_SHARE: f64 = 1.0 / 3.0;
/// HikariCP takes no `maxLifetime` and no `keepaliveTime` under 30 s.
const HIKARI_LEAST_SECONDS: f64 = 30.0;
/// Under this, in seconds, a connection is hardly made before it is too old.
const HOPELESS_SECONDS: f64 = 2.0;
/// `keepaliveTime` of HikariCP where nobody sets it, in its later 6.x releases, in seconds.
const HIKARI_KEEPALIVE_SECONDS: f64 = 120.0;
/// A read timeout long enough for most queries and far shorter than the kernel's patience, in seconds.
const READ_TIMEOUT_SECONDS: u32 = 30;
/// What a read timeout does: both things.
const READ_TIMEOUT_WHY: &str = "ends a call that is never answered, and every query that takes longer";

/// The ages in seconds up to which connections are known to live: while idle, and since connect. Each only
/// where something died.
fn safe_ages(facts: &Facts) -> (Option<f64>, Option<f64>) {
    let lifetime = lifetime(facts).map(|_| safe_below(&facts.lifetime));
    let idle = facts.idle.upper.filter(|_| !is_lifetime(facts)).map(|_| safe_below(&facts.idle));
    (idle, lifetime)
}

/// The age in seconds at which every pool should replace its connections, as one writes it: the one number of
/// the verdict's settings, of the metric `recommended_recycle_seconds` and of the alerts. `None` while nothing
/// died, or where no age is known that is long enough to be worth a connection.
pub fn recommended_recycle(facts: &Facts) -> Option<f64> {
    let (idle, lifetime) = safe_ages(facts);
    let safe = [idle, lifetime].into_iter().flatten().reduce(f64::min)?;
    (safe >= HOPELESS_SECONDS && safe.is_finite()).then(|| recycle_for(safe))
}

/// Where to replace connections that are known to live up to an age, both in seconds.
fn recycle_for(safe: f64) -> f64 {
    human(safe * RECYCLE_SHARE)
}

/// The settings that follow from the limits of a path; none while nothing died.
pub(super) fn of(facts: &Facts) -> Vec<Setting> {
    let (idle, lifetime) = safe_ages(facts);
    let Some(safe) = [idle, lifetime].into_iter().flatten().reduce(f64::min) else { return Vec::new() };
    if safe <= 0.0 {
        return vec![Setting {
            place: "exporter",
            line: "--canary.ages".to_owned(),
            why: "no age is known to be safe: add shorter ones".to_owned(),
        }];
    }
    let mut settings = Vec::new();
    if let Some(idle) = idle.filter(|_| facts.remedies.tcp_keepalive == Some(true)) {
        settings.extend(kernel(facts, idle));
    }
    if safe < HOPELESS_SECONDS {
        settings.push(Setting {
            place: "pools",
            line: "none".to_owned(),
            why: format!("only {} is known to be safe: recycling cannot help", in_words(safe)),
        });
        settings.extend(idle.and_then(|_| timer(facts)));
        return settings;
    }
    for framework in drivers::frameworks(facts) {
        settings.extend(match framework {
            Framework::Sqlalchemy => sqlalchemy(facts, safe),
            Framework::Hikaricp => hikaricp(facts, idle, safe),
            Framework::Go => go(facts, idle, lifetime),
            Framework::Other => other(facts, idle, safe),
        });
    }
    settings.extend(idle.and_then(|_| timer(facts)));
    settings
}

/// The timer itself, for whoever may set it: the other way out.
fn timer(facts: &Facts) -> Option<Setting> {
    const RAISE: &str = "or raise it above the longest time that a connection rests";
    let (place, line, more) = match facts.killer?.culprit {
        Culprit::ServerIdleTimeout => ("server", "wait_timeout", "; sessions that are open keep theirs"),
        Culprit::ProxyIdleTimeout => (
            "proxy",
            "its idle timeout",
            ", towards the client and towards the server (HAProxy: timeout client, timeout server)",
        ),
        Culprit::NetworkIdleTimeout => ("network", "its idle timeout", ", where the device is yours to set"),
        _ => return None,
    };
    Some(Setting { place, line: line.to_owned(), why: format!("{RAISE}{more}") })
}

/// TCP keepalive: a change only where the kernel's first probe comes too late as it is. Where the kernel was
/// not read, it is taken for one that nobody has set.
fn kernel(facts: &Facts, safe: f64) -> Vec<Setting> {
    let present = facts.kernel.unwrap_or(Kernel::LINUX_DEFAULT).keepalive_time;
    if reached(&facts.idle, present) == Some(false) {
        return vec![Setting {
            place: "kernel",
            line: format!("net.ipv4.tcp_keepalive_time = {present}"),
            why: "soon enough as it is, for sockets with SO_KEEPALIVE on".to_owned(),
        }];
    }
    let time = human(safe * PING_SHARE);
    if time < 1.0 {
        return Vec::new();
    }
    // A peer that is gone is noticed within six more probes.
    let interval = human((time / 4.0).clamp(1.0, 10.0));
    let why = "sockets with SO_KEEPALIVE on send their first probe in time";
    [
        ("time", time, why),
        ("intvl", interval, "seconds between probes"),
        ("probes", 6.0, "then it is given up"),
    ]
    .into_iter()
    .map(|(name, value, why)| Setting {
        place: "kernel",
        line: format!("net.ipv4.tcp_keepalive_{name} = {value}"),
        why: why.to_owned(),
    })
    .collect()
}

fn sqlalchemy(facts: &Facts, safe: f64) -> Vec<Setting> {
    let recycle = recycle_for(safe);
    let at_checkout = "looked at when a connection is lent, not while it is held";
    let (read_timeout, why) = if facts.silent_deaths() > 0 {
        (
            format!(", connect_args={{\"read_timeout\": {READ_TIMEOUT_SECONDS}}}"),
            format!("the recycle is {at_checkout}; read_timeout {READ_TIMEOUT_WHY}"),
        )
    } else {
        (String::new(), at_checkout.to_owned())
    };
    vec![Setting {
        place: "SQLAlchemy",
        line: format!("create_engine(url, pool_recycle={recycle}, pool_pre_ping=True{read_timeout})"),
        why,
    }]
}

fn hikaricp(facts: &Facts, idle: Option<f64>, safe: f64) -> Vec<Setting> {
    let mut settings = Vec::new();
    let setting = |line: String, why: &str| Setting { place: "HikariCP", line, why: why.to_owned() };
    let recycle = recycle_for(safe);
    if recycle >= HIKARI_LEAST_SECONDS {
        settings.push(setting(format!("maxLifetime={}", milliseconds(recycle)), "milliseconds"));
    } else {
        settings.push(setting(
            "maxLifetime".to_owned(),
            "takes no value under 30 s: recycling cannot help HikariCP here",
        ));
    }
    if let Some(idle) = idle.filter(|_| facts.remedies.app_ping == Some(true)) {
        let ping = human(idle * PING_SHARE).max(HIKARI_LEAST_SECONDS);
        // It must also be shorter than maxLifetime, which is at this share of the same age or shorter.
        if ping < recycle_for(safe) {
            settings.push(setting(
                format!("keepaliveTime={}", milliseconds(ping)),
                "milliseconds; pings while idle",
            ));
        }
        let declared = facts.pools.iter().any(|pool| pool.framework == Framework::Hikaricp);
        if declared && idle > HIKARI_KEEPALIVE_SECONDS {
            settings.push(setting(
                "keepaliveTime".to_owned(),
                "later 6.x releases ping every 120 s unasked, so their connections may live where canaries die",
            ));
        }
    }
    settings
}

fn go(facts: &Facts, idle: Option<f64>, lifetime: Option<f64>) -> Vec<Setting> {
    let silent = facts.silent_deaths() > 0;
    let setting = |line: String, why: &str| Setting { place: "Go", line, why: why.to_owned() };
    let call = |name: &str, safe: f64| format!("db.{name}({} * time.Second)", recycle_for(safe));
    let idle = idle.map(|safe| setting(call("SetConnMaxIdleTime", safe), "closes what rests in the pool"));
    let age = lifetime.map(|safe| setting(call("SetConnMaxLifetime", safe), "replaces by age"));
    let read_timeout = silent.then(|| {
        setting(format!("readTimeout={READ_TIMEOUT_SECONDS}s"), &format!("in the DSN: {READ_TIMEOUT_WHY}"))
    });
    [idle, age, read_timeout].into_iter().flatten().collect()
}

fn other(facts: &Facts, idle: Option<f64>, safe: f64) -> Vec<Setting> {
    let setting = |line: String, why: &str| Setting { place: "other pools", line, why: why.to_owned() };
    let mut settings =
        vec![setting(format!("recycle={}", in_words(recycle_for(safe))), "the longest age of a connection")];
    if let Some(idle) = idle.filter(|_| facts.remedies.app_ping == Some(true)) {
        let ping = human(idle * PING_SHARE);
        if ping >= 1.0 {
            settings.push(setting(format!("ping every {}", in_words(ping)), "while a connection rests"));
        }
    }
    if facts.silent_deaths() > 0 {
        settings.push(setting(format!("read timeout={READ_TIMEOUT_SECONDS} s"), READ_TIMEOUT_WHY));
    }
    settings
}

/// Rounds seconds down to a number that people write: to whole seconds, then 5 s, 10 s, 1 min and so on.
fn human(seconds: f64) -> f64 {
    let step = match seconds {
        s if s < 10.0 => 1.0,
        s if s < 60.0 => 5.0,
        s if s < 600.0 => 10.0,
        s if s < 3600.0 => 60.0,
        s if s < 14400.0 => 300.0,
        s if s < 86400.0 => 1800.0,
        _ => 3600.0,
    };
    (seconds / step).floor() * step
}

fn milliseconds(seconds: f64) -> f64 {
    seconds * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_down_to_what_people_write() {
        for (seconds, written) in [
            (0.9, 0.0),
            (3.9, 3.0),
            (47.3, 45.0),
            (277.1, 270.0),
            (2880.0, 2880.0),
            (2851.0, 2820.0),
            (22809.0, 21600.0),
            (68428.0, 68400.0),
        ] {
            assert_eq!(human(seconds), written);
        }
    }
}
