//! The rarer sorts of worlds: several timers of a kind beside each other, timers that scatter or look seldom, limits that
//! are gone, killers and lost state beside timers. What happens in the common ones happens in these only where it is what
//! they are for.

use crate::nature::{Event, Killer, Nature, Server, Sort, Way};
use crate::random::Random;

/// What rules a rarer world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rare {
    /// A proxy on one way, and a firewall on the other.
    ProxyAndFirewall,
    /// A proxy on each way, with timers far apart, or near each other.
    TwoProxies,
    NearProxies,
    KillerAndFirewall,
    KillerAndProxy,
    /// Timers that strike later now and then.
    LateProxy,
    LateFirewall,
    LifetimeOfAPart,
    LifetimeAndProxy,
    EvictionsAndFirewall,
    EvictionsAndProxy,
    EvictionsAndWaitTimeout,
    /// A firewall's timer within a hair of a rung.
    FirewallAtARung,
    /// A timer just below the ladder's end, which is gone later.
    AtTheEnd,
    LateProbes,
    /// A timer of a part that is gone later.
    PartThatGoes,
    KillerThatGoes,
    /// A timer that is set shorter, and back.
    ThereAndBack,
    ManyFlushes,
    /// Others' sessions are killed all the time.
    OthersKilled,
    ShortFirewall,
    WaitTimeoutSetAnew,
    SeldomFirewall,
    SeldomProxyOfAPart,
    /// A proxy that is reloaded again and again, without a timer and with one.
    Reloads,
    ReloadsAndProxy,
    ReloadsOfAPart,
    /// A timer that few connections meet.
    SmallProxy,
    SmallFirewall,
    /// A person who kills again and again.
    Kills,
    /// A tool that kills who is old, whatever they do.
    KillerOfAge,
    /// A timer that is set shorter, and then is gone.
    ShorterAndGone,
}

impl Rare {
    const ALL: [Self; 32] = [
        Self::ProxyAndFirewall,
        Self::TwoProxies,
        Self::NearProxies,
        Self::KillerAndFirewall,
        Self::KillerAndProxy,
        Self::LateProxy,
        Self::LateFirewall,
        Self::LifetimeOfAPart,
        Self::LifetimeAndProxy,
        Self::EvictionsAndFirewall,
        Self::EvictionsAndProxy,
        Self::EvictionsAndWaitTimeout,
        Self::FirewallAtARung,
        Self::AtTheEnd,
        Self::LateProbes,
        Self::PartThatGoes,
        Self::KillerThatGoes,
        Self::ThereAndBack,
        Self::ManyFlushes,
        Self::OthersKilled,
        Self::ShortFirewall,
        Self::WaitTimeoutSetAnew,
        Self::SeldomFirewall,
        Self::SeldomProxyOfAPart,
        Self::Reloads,
        Self::ReloadsAndProxy,
        Self::ReloadsOfAPart,
        Self::SmallProxy,
        Self::SmallFirewall,
        Self::Kills,
        Self::KillerOfAge,
        Self::ShorterAndGone,
    ];

    /// One of these worlds.
    pub(crate) fn world(seed: u64) -> Nature {
        let mut random = Random::new(seed);
        let rare = Self::ALL[random.one_of(Self::ALL.len())];
        let mut nature = Nature::plain(seed, Sort::Rare(rare), &mut random);
        let age = random.scaled(5.0, 150.0);
        rare.rule(&mut nature, age, &mut random);
        nature.events.sort_by(|a, b| a.0.total_cmp(&b.0));
        nature
    }

    fn rule(self, nature: &mut Nature, age: f64, random: &mut Random) {
        let share = random.between(0.3, 0.7);
        let (proxy, firewall) =
            (Way { proxy: Some(age), ..Way::PLAIN }, Way { firewall: Some(age), ..Way::PLAIN });
        let either = if random.happens(0.5) { proxy } else { firewall };
        let wait_timeout = Server { wait_timeout: age.round().max(5.0), ..nature.servers[0].clone() };
        match self {
            Self::ProxyAndFirewall => {
                let later = Some(age * random.between(1.4, 4.0));
                let other = if either.proxy.is_some() {
                    Way { firewall: later, ..Way::PLAIN }
                } else {
                    Way { proxy: later, ..Way::PLAIN }
                };
                nature.ways = in_parts(share, either, other);
            }
            Self::TwoProxies => nature.ways = in_parts(share, proxy, times(proxy, random.between(1.4, 4.0))),
            Self::NearProxies => {
                nature.ways = in_parts(share, proxy, times(proxy, random.between(1.03, 1.3)))
            }
            Self::KillerAndFirewall | Self::KillerAndProxy => {
                nature.killer = Some(Killer {
                    every: random.scaled(1.0, 7.0),
                    ..Killer::of_idle(age, random.happens(0.4))
                });
                let way = if self == Self::KillerAndProxy { proxy } else { firewall };
                nature.ways = vec![times(way, random.scaled(0.4, 2.5))];
            }
            Self::LateProxy | Self::LateFirewall => {
                nature.ways = vec![if self == Self::LateProxy { proxy } else { firewall }];
                nature.scatter = random.scaled(0.005, 0.15);
            }
            Self::LifetimeOfAPart => {
                let lifetime = Way { lifetime: Some(age.max(8.0)), ..Way::PLAIN };
                nature.ways = in_parts(share, lifetime, Way::PLAIN);
            }
            Self::LifetimeAndProxy => {
                nature.ways = vec![Way { lifetime: Some(age * random.between(1.02, 3.0)), ..proxy }];
            }
            Self::EvictionsAndFirewall | Self::EvictionsAndProxy | Self::EvictionsAndWaitTimeout => {
                nature.evictions = Some(1.0 / random.scaled(150.0, 1500.0));
                match self {
                    Self::EvictionsAndFirewall => nature.ways = vec![firewall],
                    Self::EvictionsAndProxy => nature.ways = vec![proxy],
                    _ => nature.servers = vec![wait_timeout],
                }
            }
            Self::FirewallAtARung => {
                let rung = [4.0, 8.0, 15.0, 25.0, 40.0, 70.0, 110.0][random.one_of(7)];
                nature.ways = vec![Way { firewall: Some(rung + random.between(-0.05, 0.05)), ..Way::PLAIN }];
                nature.scatter = 0.002;
            }
            Self::AtTheEnd => {
                let end = 240.0 * random.between(0.9, 0.999);
                nature.ways = vec![times(either, end / age)];
                nature.probing.lasts = 5400.0;
                nature.events.push((random.between(1500.0, 2000.0), Event::SetAnew(1000.0)));
            }
            Self::LateProbes => {
                nature.ways = vec![firewall];
                nature.probes_late = random.scaled(0.1, 2.0);
            }
            Self::PartThatGoes => {
                nature.ways = in_parts(share, either, Way::PLAIN);
                nature.events.push((random.between(600.0, 1200.0), Event::SetAnew(1000.0)));
            }
            Self::KillerThatGoes => {
                nature.killer = Some(Killer {
                    every: random.scaled(1.0, 5.0),
                    until: random.between(500.0, 900.0),
                    ..Killer::of_idle(age, false)
                });
            }
            Self::ThereAndBack => {
                nature.ways = vec![either];
                let factor = random.between(0.4, 0.8);
                nature.events.push((random.between(400.0, 700.0), Event::SetAnew(factor)));
                nature.events.push((random.between(900.0, 1300.0), Event::SetAnew(1.0 / factor)));
            }
            Self::ManyFlushes => {
                if random.happens(0.6) {
                    nature.ways = vec![firewall];
                }
                again_and_again(nature, (120.0, 500.0), random, |_| Event::Flush);
            }
            Self::OthersKilled => {
                nature.others_killed_every = Some(random.scaled(0.7, 30.0));
                nature.ways = vec![if random.happens(0.3) { firewall } else { proxy }];
            }
            Self::ShortFirewall => {
                nature.ways = vec![Way { firewall: Some(random.between(4.5, 6.5)), ..Way::PLAIN }];
            }
            Self::WaitTimeoutSetAnew => {
                nature.servers = vec![wait_timeout];
                let factor = random.between(0.4, 2.5);
                nature.events.push((random.between(500.0, 1000.0), Event::SetWaitTimeout(factor)));
            }
            Self::SeldomFirewall | Self::SeldomProxyOfAPart => {
                nature.looks_every = Some(age * random.between(0.05, 0.25));
                nature.ways = match self {
                    Self::SeldomFirewall => vec![firewall],
                    _ => in_parts(share, proxy, Way::PLAIN),
                };
            }
            Self::Reloads | Self::ReloadsAndProxy | Self::ReloadsOfAPart => {
                nature.probing.canaries = 4;
                nature.ways = match self {
                    Self::Reloads => vec![Way::PLAIN],
                    Self::ReloadsAndProxy => vec![proxy],
                    _ => in_parts(share, Way::PLAIN, Way::PLAIN),
                };
                again_and_again(nature, (60.0, 250.0), random, |_| Event::Reload(0));
            }
            Self::SmallProxy | Self::SmallFirewall => {
                let share = random.between(0.12, 0.28);
                nature.ways =
                    in_parts(share, if self == Self::SmallProxy { proxy } else { firewall }, Way::PLAIN);
            }
            Self::Kills => {
                nature.ways = vec![either];
                let kill = |random: &mut Random| Event::KillSome(random.between(0.05, 0.3));
                again_and_again(nature, (40.0, 200.0), random, kill);
            }
            Self::KillerOfAge => {
                let every = age * random.between(0.05, 0.3);
                nature.killer = Some(Killer { every, of_age: true, ..Killer::of_idle(age, true) });
                if random.happens(0.3) {
                    nature.others_killed_every = Some(random.scaled(5.0, 120.0));
                }
            }
            Self::ShorterAndGone => {
                nature.ways = vec![either];
                nature.events.push((random.between(400.0, 700.0), Event::SetAnew(random.between(0.4, 0.8))));
                nature.events.push((random.between(900.0, 1300.0), Event::SetAnew(1000.0)));
            }
        }
    }
}

/// Two ways: one that this share takes, and one for the others.
fn in_parts(share: f64, one: Way, other: Way) -> Vec<Way> {
    vec![Way { share, ..one }, Way { share: 1.0 - share, ..other }]
}

/// A way whose timers are so many times as long.
fn times(way: Way, factor: f64) -> Way {
    let by = |limit: Option<f64>| limit.map(|limit| limit * factor);
    Way { firewall: by(way.firewall), proxy: by(way.proxy), lifetime: by(way.lifetime), ..way }
}

/// Lets something happen every so many seconds, between these two, until shortly before the end.
fn again_and_again(
    nature: &mut Nature,
    (from, to): (f64, f64),
    random: &mut Random,
    what: impl Fn(&mut Random) -> Event,
) {
    let every = random.between(from, to);
    let mut at = every;
    while at < nature.probing.lasts - 100.0 {
        let event = what(random);
        nature.events.push((at + random.between(0.0, 20.0), event));
        at += every;
    }
}
