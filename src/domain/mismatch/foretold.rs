//! What can be told before anything was measured: the timeout that ends an idle session first, by what was read and
//! declared, and which rules hold if it does what it says.

use super::{Facts, Finding, Killer, Rule, evaluate};
use crate::domain::culprit::remedy::Remedies;
use crate::domain::culprit::{Culprit, Layer};
use crate::domain::layers::{Device, SESSION_WAIT_TIMEOUT, in_words};
use crate::domain::life::ending::Ending;
use crate::domain::limit::IdleLimit;

/// What the known timeouts come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Foretold {
    /// The name of the timeout that comes first, as the layers have it.
    pub setting: String,
    /// Where it sits.
    pub layer: Layer,
    /// Its length, in seconds.
    pub seconds: f64,
    /// The same in a sentence.
    pub words: String,
    /// The rules that hold then.
    pub findings: Vec<Finding>,
}

/// The rules that speak of nothing but the limit and what was read and declared.
const FORETELLABLE: [Rule; 4] =
    [Rule::PathShorterThanServer, Rule::PoolOutlivesPath, Rule::PoolNeverRecycles, Rule::KeepaliveTooLate];

/// What the timeouts that were read and declared come to. Nothing once a limit was measured, where none is known, or
/// where the first of them was outlived: then it is not what rules here.
pub fn foretell(facts: &Facts) -> Option<Foretold> {
    let first = first(facts)?;
    if facts.idle.upper.is_some() || facts.lifetime.upper.is_some() || facts.idle.lower >= first.seconds {
        return None;
    }
    let seconds = first.seconds;
    let measured = IdleLimit {
        lower: seconds,
        survived: seconds,
        upper: Some(seconds),
        exact: true,
        deaths: 2,
        survivals: 2,
        confirmed: true,
        share: 1.0,
        ..IdleLimit::default()
    };
    let assumed = Facts {
        idle: measured,
        killer: Some(Killer { culprit: first.culprit, ending: Ending::Fin }),
        remedies: Remedies {
            // Whether packets count there is not known of a proxy before it was measured.
            tcp_keepalive: Some(first.culprit == Culprit::NetworkIdleTimeout),
            app_ping: Some(true),
        },
        applications: None,
        other_paths: Vec::new(),
        ..facts.clone()
    };
    let findings = evaluate(&assumed);
    let findings = findings.into_iter().filter(|of| of.holds && FORETELLABLE.contains(&of.rule)).collect();
    let words =
        format!("{} comes first: it ends a session that was idle for {}", first.whose, in_words(seconds));
    Some(Foretold { setting: first.setting, layer: first.layer, seconds, words, findings })
}

struct First {
    setting: String,
    whose: String,
    layer: Layer,
    culprit: Culprit,
    seconds: f64,
}

fn first(facts: &Facts) -> Option<First> {
    let wait_timeout = facts.session_wait_timeout.map(|seconds| (SESSION_WAIT_TIMEOUT, seconds));
    let wait_timeout = wait_timeout.or(facts.global_wait_timeout.map(|seconds| ("wait_timeout", seconds)));
    let server = wait_timeout.map(|(setting, seconds)| First {
        setting: setting.to_owned(),
        whose: "the server's wait_timeout".to_owned(),
        layer: Layer::Server,
        culprit: Culprit::ServerIdleTimeout,
        seconds,
    });
    let device = |device: &Device| First {
        setting: format!("{}.idle_timeout", device.name),
        whose: format!("the declared device {}", device.name),
        layer: device.layer,
        culprit: match device.layer {
            Layer::Network => Culprit::NetworkIdleTimeout,
            _ => Culprit::ProxyIdleTimeout,
        },
        seconds: device.idle_timeout,
    };
    server
        .into_iter()
        .chain(facts.devices.iter().map(device))
        .filter(|first| first.seconds.is_finite() && first.seconds > 0.0)
        .min_by(|a, b| a.seconds.total_cmp(&b.seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::layers::Kernel;
    use crate::domain::layers::pool::Pool;

    fn facts() -> Facts {
        Facts {
            path: "p".to_owned(),
            session_wait_timeout: Some(28_800.0),
            global_wait_timeout: Some(28_800.0),
            kernel: Some(Kernel::LINUX_DEFAULT),
            devices: vec![Device::parse("name=fw,layer=network,idle_timeout=350s").expect("a device")],
            pools: vec![Pool::parse("name=api,framework=sqlalchemy").expect("a pool")],
            ..Facts::default()
        }
    }

    #[test]
    fn the_shortest_timeout_is_taken_at_its_word() {
        let told = foretell(&facts()).expect("a device is declared");
        assert_eq!(
            (told.setting.as_str(), told.layer, told.seconds),
            ("fw.idle_timeout", Layer::Network, 350.0)
        );
        assert_eq!(
            told.words,
            "the declared device fw comes first: it ends a session that was idle for 350 s"
        );
        let rules: Vec<Rule> = told.findings.iter().map(|of| of.rule).collect();
        assert!(rules.contains(&Rule::PoolNeverRecycles), "{rules:?}");
        assert!(rules.contains(&Rule::KeepaliveTooLate), "{rules:?}");
        assert!(rules.contains(&Rule::PathShorterThanServer), "{rules:?}");
    }

    #[test]
    fn without_a_device_it_is_the_servers_own() {
        let told = foretell(&Facts { devices: Vec::new(), ..facts() }).expect("wait_timeout is known");
        assert_eq!((told.setting.as_str(), told.seconds), ("session_wait_timeout", 28_800.0));
        let rules: Vec<Rule> = told.findings.iter().map(|of| of.rule).collect();
        assert_eq!(rules, [Rule::PoolNeverRecycles]);
        assert!(foretell(&Facts { path: "p".to_owned(), ..Facts::default() }).is_none());
    }

    #[test]
    fn what_was_measured_or_outlived_is_not_foretold() {
        let limit = IdleLimit { lower: 340.0, upper: Some(350.0), ..IdleLimit::default() };
        assert!(foretell(&Facts { idle: limit, ..facts() }).is_none());
        let outlived = IdleLimit { lower: 420.0, ..IdleLimit::default() };
        assert!(foretell(&Facts { idle: outlived, ..facts() }).is_none());
        let on_the_way = IdleLimit { lower: 55.0, ..IdleLimit::default() };
        assert!(foretell(&Facts { idle: on_the_way, ..facts() }).is_some());
    }
}
