//! The layer inventory: every timeout between the application and its rows that is known, in seconds,
//! with what its clock counts and how it is known.

pub mod catalogue;
mod device;
pub mod pool;
mod words;

use serde::Serialize;

use crate::domain::culprit::Layer;
use crate::domain::layers::pool::{Pool, Recycle};
use crate::domain::life::duration;

pub use device::{Device, DeviceError};

/// What a timeout's clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Time without traffic.
    Idle,
    /// Time since connect.
    Age,
    /// Time without an answer to something that was sent.
    Stall,
}

impl Clock {
    /// Every clock, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Idle, Self::Age, Self::Stall];

    /// The value of the label `clock`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Age => "age",
            Self::Stall => "stall",
        }
    }
}

/// How a timeout is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Canaries showed it.
    Measured,
    /// The server or the kernel was asked.
    Read,
    /// The configuration says so.
    Declared,
    /// The applications' own sessions showed it.
    Observed,
}

impl Source {
    /// Every source, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Measured, Self::Read, Self::Declared, Self::Observed];

    /// The value of the label `source`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Read => "read",
            Self::Declared => "declared",
            Self::Observed => "observed",
        }
    }
}

/// One timeout of one layer: one series of `layer_timeout_seconds`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerSetting {
    /// The path it lies on.
    pub path: String,
    /// Where it sits.
    pub layer: Layer,
    /// Its name: as the server or kernel spells it, or `POOL.key` and `DEVICE.key` for declared ones.
    pub setting: String,
    /// Its length, in seconds.
    pub seconds: f64,
    /// What its clock counts.
    pub clock: Clock,
    /// How it is known.
    pub source: Source,
}

/// The name under which a session's own `wait_timeout` is kept, beside the global one.
pub const SESSION_WAIT_TIMEOUT: &str = "session_wait_timeout";

/// The server settings that bound how long a session may be silent, as the server spells them.
pub const SERVER_SETTINGS: [(&str, Clock); 9] = [
    ("wait_timeout", Clock::Idle),
    (SESSION_WAIT_TIMEOUT, Clock::Idle),
    ("interactive_timeout", Clock::Idle),
    ("net_read_timeout", Clock::Stall),
    ("net_write_timeout", Clock::Stall),
    ("idle_transaction_timeout", Clock::Idle),
    ("idle_readonly_transaction_timeout", Clock::Idle),
    ("idle_write_transaction_timeout", Clock::Idle),
    ("tidb_idle_transaction_timeout", Clock::Idle),
];

/// What a server says of its own timeouts, in seconds. A server that lacks one leaves it out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerTimeouts([Option<f64>; SERVER_SETTINGS.len()]);

impl ServerTimeouts {
    /// Keeps a value in seconds. False for a name that is not in [`SERVER_SETTINGS`].
    pub fn put(&mut self, name: &str, seconds: f64) -> bool {
        let place = SERVER_SETTINGS.iter().position(|(known, _)| *known == name);
        if let Some(place) = place {
            self.0[place] = Some(seconds);
        }
        place.is_some()
    }

    /// A value in seconds.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(known, _, _)| *known == name).map(|(_, _, seconds)| seconds)
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, Clock, f64)> {
        SERVER_SETTINGS
            .iter()
            .zip(&self.0)
            .filter_map(|(&(name, clock), seconds)| seconds.map(|seconds| (name, clock, seconds)))
    }
}

/// The TCP settings of the kernel that the exporter runs on, as `/proc/sys/net/ipv4` gives them. They
/// speak for an application only where it runs on the same kernel or one set up alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Kernel {
    /// `tcp_keepalive_time`: idle time before the first probe, in seconds.
    pub keepalive_time: f64,
    /// `tcp_keepalive_intvl`: pause between probes, in seconds.
    pub keepalive_intvl: f64,
    /// `tcp_keepalive_probes`: unanswered probes before the connection is given up.
    pub keepalive_probes: u32,
    /// `tcp_retries2`: retransmissions before a send is given up.
    pub retries2: u32,
}

/// TCP_RTO_MIN of the Linux kernel, in seconds.
const RTO_MIN_SECONDS: f64 = 0.2;
/// TCP_RTO_MAX of the Linux kernel, in seconds.
const RTO_MAX_SECONDS: f64 = 120.0;

/// How long a send on a dead path hangs at least, in seconds: the "hypothetical timeout" of the kernel's
/// ip-sysctl documentation. The first transmission and each of the `retries` waits twice as long as the
/// one before, from 0.2 s up to 120 s: 924.6 s for the default of 15. A real connection starts from a
/// longer retransmission timeout and so hangs longer.
pub fn stall_lower_bound(retries: u32) -> f64 {
    // 0.2 s x 2^9 is the last wait below 120 s.
    let doublings = retries.min(9);
    let doubling = RTO_MIN_SECONDS * f64::from((2_u32 << doublings) - 1);
    doubling + f64::from(retries - doublings) * RTO_MAX_SECONDS
}

impl Kernel {
    /// What a Linux kernel is born with: 7200 s, 75 s, 9 probes, 15 retries.
    pub const LINUX_DEFAULT: Self =
        Self { keepalive_time: 7200.0, keepalive_intvl: 75.0, keepalive_probes: 9, retries2: 15 };
}

/// What canaries measured on a path.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MeasuredTimeouts {
    /// The shortest idle age that canaries died at, in seconds, and the layer found guilty.
    pub idle_limit: Option<(Layer, f64)>,
    /// The shortest age since connect that pinging canaries died at, in seconds, and its layer.
    pub lifetime_limit: Option<(Layer, f64)>,
    /// The longest stall seen, in seconds: from sending on a dead connection to knowing.
    pub stall: Option<f64>,
}

/// How long the kernel waits after the first TCP keepalive probe that nobody answers before it gives the
/// connection up: `tcp_keepalive_intvl` times `tcp_keepalive_probes`, 675 s by default. It bears no sysctl's
/// name, for it is none.
pub const KEEPALIVE_GIVE_UP: &str = "keepalive_give_up";

/// How long a send that nobody answers hangs at least before the kernel gives the connection up: what
/// `tcp_retries2` comes to, 924.6 s by default ([`stall_lower_bound`]).
pub const SEND_GIVE_UP: &str = "send_give_up";

/// Every known timeout of a path. What is off (zero, `never`, or infinite) has no series. What a count of
/// retries or probes comes to is given under a name of its own ([`KEEPALIVE_GIVE_UP`], [`SEND_GIVE_UP`]).
pub fn inventory<'a>(
    path: &str,
    measured: &MeasuredTimeouts,
    server: &ServerTimeouts,
    kernel: Option<&Kernel>,
    pools: impl IntoIterator<Item = &'a Pool>,
    devices: &[Device],
) -> Vec<LayerSetting> {
    let mut settings = Vec::new();
    let mut add = |layer, setting: String, seconds: f64, clock, source| {
        if seconds > 0.0 && seconds.is_finite() {
            settings.push(LayerSetting { path: path.to_owned(), layer, setting, seconds, clock, source });
        }
    };
    if let Some((layer, seconds)) = measured.idle_limit {
        add(layer, "idle_limit".to_owned(), seconds, Clock::Idle, Source::Measured);
    }
    if let Some((layer, seconds)) = measured.lifetime_limit {
        add(layer, "lifetime_limit".to_owned(), seconds, Clock::Age, Source::Measured);
    }
    if let Some(seconds) = measured.stall {
        add(Layer::Kernel, "stall".to_owned(), seconds, Clock::Stall, Source::Measured);
    }
    for (name, clock, seconds) in server.iter() {
        add(Layer::Server, name.to_owned(), seconds, clock, Source::Read);
    }
    if let Some(kernel) = kernel {
        let probes = kernel.keepalive_intvl * f64::from(kernel.keepalive_probes);
        for (name, seconds, clock) in [
            ("tcp_keepalive_time", kernel.keepalive_time, Clock::Idle),
            ("tcp_keepalive_intvl", kernel.keepalive_intvl, Clock::Stall),
            (KEEPALIVE_GIVE_UP, probes, Clock::Stall),
            (SEND_GIVE_UP, stall_lower_bound(kernel.retries2), Clock::Stall),
        ] {
            add(Layer::Kernel, name.to_owned(), seconds, clock, Source::Read);
        }
    }
    for pool in pools {
        let recycle = match pool.recycle {
            Recycle::After(seconds) => Some(seconds),
            Recycle::Never | Recycle::Unknown => None,
        };
        for (key, seconds, clock) in [
            ("recycle", recycle, Clock::Age),
            ("idle_timeout", pool.idle_timeout, Clock::Idle),
            ("keepalive", pool.keepalive, Clock::Idle),
            ("read_timeout", pool.read_timeout, Clock::Stall),
        ] {
            if let Some(seconds) = seconds {
                add(Layer::Pool, format!("{}.{key}", pool.name), seconds, clock, Source::Declared);
            }
        }
    }
    for device in devices {
        let setting = format!("{}.idle_timeout", device.name);
        add(device.layer, setting, device.idle_timeout, Clock::Idle, Source::Declared);
    }
    settings
}

/// Seconds for people, rounded once and everywhere alike: `4.05 s`, `59.5 s`, from a minute on whole seconds.
pub fn in_seconds(seconds: f64) -> String {
    format!("{} s", rounded(seconds))
}

fn rounded(seconds: f64) -> f64 {
    let places = match seconds {
        s if s < 10.0 => 100.0,
        s if s < 60.0 => 10.0,
        _ => 1.0,
    };
    (seconds * places).round() / places
}

/// The same, and whole minutes from an hour on also in larger units: `28800 s (8h)`.
pub fn in_words(seconds: f64) -> String {
    let rounded = rounded(seconds);
    // Larger units only where they are shorter to read: 8h, not 8h17s.
    if (3600.0..1e9).contains(&rounded) && rounded % 60.0 == 0.0 {
        format!("{rounded} s ({})", duration::format_seconds(rounded))
    } else {
        format!("{rounded} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stall_is_the_kernels_own_formula() {
        for (retries, seconds) in
            [(0, 0.2), (1, 0.6), (3, 3.0), (8, 102.2), (9, 204.6), (10, 324.6), (15, 924.6)]
        {
            assert!((stall_lower_bound(retries) - seconds).abs() < 1e-9, "{retries}");
        }
        assert!(stall_lower_bound(u32::MAX).is_finite());
    }

    #[test]
    fn every_known_timeout_is_one_series() {
        let mut server = ServerTimeouts::default();
        assert!(server.put("wait_timeout", 28800.0));
        assert!(server.put(SESSION_WAIT_TIMEOUT, 600.0));
        assert!(server.put("idle_transaction_timeout", 0.0));
        assert!(!server.put("long_query_time", 1.0));
        let pool = Pool::parse("name=api,framework=go,recycle=30m,read_timeout=30s").expect("a pool");
        let device = Device::parse("name=fw,layer=network,idle_timeout=1h").expect("a device");
        let measured = MeasuredTimeouts {
            idle_limit: Some((Layer::Network, 3600.5)),
            lifetime_limit: None,
            stall: Some(10.0),
        };
        let kernel = Kernel::LINUX_DEFAULT;
        let all = inventory("direct", &measured, &server, Some(&kernel), &[pool], &[device]);
        let lines: Vec<String> = all
            .iter()
            .map(|s| {
                let (layer, clock, source) = (s.layer.label(), s.clock.label(), s.source.label());
                format!("{layer} {} {} {clock} {source}", s.setting, s.seconds)
            })
            .collect();
        assert_eq!(
            lines,
            [
                "network idle_limit 3600.5 idle measured",
                "kernel stall 10 stall measured",
                "server wait_timeout 28800 idle read",
                "server session_wait_timeout 600 idle read",
                "kernel tcp_keepalive_time 7200 idle read",
                "kernel tcp_keepalive_intvl 75 stall read",
                "kernel keepalive_give_up 675 stall read",
                "kernel send_give_up 924.6 stall read",
                "pool api.recycle 1800 age declared",
                "pool api.read_timeout 30 stall declared",
                "network fw.idle_timeout 3600 idle declared",
            ]
        );
    }

    #[test]
    fn seconds_in_words() {
        for (seconds, words) in [
            (0.0, "0 s"),
            (4.054, "4.05 s"),
            (60.04, "60 s"),
            (59.54, "59.5 s"),
            (60.06, "60 s"),
            (99.6, "100 s"),
            (349.98, "350 s"),
            (350.26, "350 s"),
            (924.6, "925 s"),
            (1800.4, "1800 s"),
            (28800.05, "28800 s (8h)"),
            (3640.0, "3640 s"),
            (86400.0, "86400 s (1d)"),
        ] {
            assert_eq!(in_words(seconds), words);
        }
    }
}
