//! The nature of one world: which layers lie between a canary and its server, what each does, and what happens
//! when. All times in seconds from the world's beginning, all ages in seconds.

use crate::random::Random;
use crate::rare::Rare;

/// How a world is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probing {
    pub(crate) ladder: &'static str,
    pub(crate) precision: f64,
    pub(crate) canaries: usize,
    /// How long the world is looked at.
    pub(crate) lasts: f64,
}

/// How most worlds are looked at.
const PROBING: Probing =
    Probing { ladder: "4s,8s,15s,25s,40s,70s,110s,170s,240s", precision: 0.01, canaries: 10, lasts: 2400.0 };

/// One world.
#[derive(Debug, Clone)]
pub(crate) struct Nature {
    pub(crate) seed: u64,
    /// What rules it, but for what happens.
    pub(crate) sort: Sort,
    pub(crate) probing: Probing,
    /// The servers behind the one address; each login lands on any of them.
    pub(crate) servers: Vec<Server>,
    /// The ways to them; each login takes one, by their shares.
    pub(crate) ways: Vec<Way>,
    /// A tool that kills sessions on the server.
    pub(crate) killer: Option<Killer>,
    /// How often flows are forgotten here and there, per second.
    pub(crate) evictions: Option<f64>,
    /// Whether long statements are ended by the server, so that a busy canary cannot be held.
    pub(crate) forbids_statements: bool,
    /// How often somebody else's session is killed, in seconds between two.
    pub(crate) others_killed_every: Option<f64>,
    /// What happens, and when.
    pub(crate) events: Vec<(f64, Event)>,
    /// Whether a device answers with RST what it does not know, or drops it.
    pub(crate) resets: bool,
    /// By which share of itself at most the timers of the ways strike later, each time anew.
    pub(crate) scatter: f64,
    /// How often the devices of the ways look at their timers, in seconds, where they do not strike at once.
    pub(crate) looks_every: Option<f64>,
    /// By how many seconds at most this process probes late.
    pub(crate) probes_late: f64,
}

/// What rules a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    WaitTimeout,
    Proxy,
    Firewall,
    Lifetime,
    ProxyOfAPart,
    FirewallOfAPart,
    TwoServers,
    Killer,
    SeldomKiller,
    Evictions,
    FirewallBeforeAnother,
    /// Nothing but what happens.
    Events,
    /// What is met more rarely.
    Rare(Rare),
}

impl Sort {
    const ALL: [Self; 12] = [
        Self::WaitTimeout,
        Self::Proxy,
        Self::Firewall,
        Self::Lifetime,
        Self::ProxyOfAPart,
        Self::FirewallOfAPart,
        Self::TwoServers,
        Self::Killer,
        Self::SeldomKiller,
        Self::Evictions,
        Self::FirewallBeforeAnother,
        Self::Events,
    ];
}

#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) wait_timeout: f64,
    /// What its `wait_timeout` looks like: FIN, RST, or a goodbye with 4031.
    pub(crate) closes: Closes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closes {
    Fin,
    Reset,
    Goodbye,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) share: f64,
    /// The idle timer of a firewall on it.
    pub(crate) firewall: Option<f64>,
    /// The idle timer of a proxy on it.
    pub(crate) proxy: Option<f64>,
    /// The longest life that a proxy on it allows.
    pub(crate) lifetime: Option<f64>,
}

impl Way {
    /// All take it, and nothing lies on it.
    pub(crate) const PLAIN: Self = Self { share: 1.0, firewall: None, proxy: None, lifetime: None };
}

#[derive(Debug, Clone)]
pub(crate) struct Killer {
    pub(crate) idle: f64,
    pub(crate) busy_too: bool,
    /// It kills by the age of sessions, pinging ones too.
    pub(crate) of_age: bool,
    pub(crate) every: f64,
    /// When it is gone, in seconds from the world's beginning.
    pub(crate) until: f64,
}

impl Killer {
    /// One that looks each second, and stays.
    pub(crate) const fn of_idle(idle: f64, busy_too: bool) -> Self {
        Self { idle, busy_too, of_age: false, every: 1.0, until: f64::INFINITY }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    /// Every server is restarted.
    Restart,
    /// Every device forgets its flows.
    Flush,
    /// The proxy of this way closes all it holds.
    Reload(usize),
    /// KILL USER: everybody at once.
    KillUser,
    /// KILL of about this share of the sessions, by a person.
    KillSome(f64),
    /// This process stands still for so long.
    StandStill(f64),
    /// Every timer of every way is set anew, by this factor.
    SetAnew(f64),
    /// `wait_timeout` of every server is, by this factor.
    SetWaitTimeout(f64),
}

/// Seeds from here on are of the rarer sorts.
pub(crate) const RARE_FROM: u64 = 1_000_000;

impl Nature {
    pub(crate) fn of(seed: u64) -> Self {
        if seed >= RARE_FROM {
            return Rare::world(seed);
        }
        let mut random = Random::new(seed);
        // Of fourteen, three are of the last sort.
        let sort = Sort::ALL[random.one_of(14).min(Sort::ALL.len() - 1)];
        let mut nature = Self::plain(seed, sort, &mut random);
        nature.rule(&mut random);
        nature.happen(&mut random);
        nature
    }

    /// One way to one sound server, looked at as most are.
    pub(crate) fn plain(seed: u64, sort: Sort, random: &mut Random) -> Self {
        let closes = [Closes::Fin, Closes::Reset, Closes::Goodbye][random.one_of(3)];
        Self {
            seed,
            sort,
            probing: PROBING,
            servers: vec![Server { wait_timeout: 28_800.0, closes }],
            ways: vec![Way::PLAIN],
            killer: None,
            evictions: None,
            forbids_statements: random.happens(0.15),
            others_killed_every: random.happens(0.15).then(|| random.scaled(40.0, 600.0)),
            events: Vec::new(),
            resets: random.happens(0.4),
            scatter: 0.0,
            looks_every: None,
            probes_late: 0.0,
        }
    }

    /// Gives it what rules it.
    fn rule(&mut self, random: &mut Random) {
        let nature = self;
        let (sort, plain, closes) = (nature.sort, Way::PLAIN, nature.servers[0].closes);
        let age = random.scaled(5.0, 150.0);
        match sort {
            Sort::WaitTimeout => nature.servers = vec![Server { wait_timeout: age.round().max(5.0), closes }],
            Sort::Proxy => nature.ways[0].proxy = Some(age),
            Sort::Firewall => nature.ways[0].firewall = Some(age),
            Sort::Lifetime => nature.ways[0].lifetime = Some(age.max(8.0)),
            // Two ways, and one of them has a timer.
            Sort::ProxyOfAPart | Sort::FirewallOfAPart => {
                let share = random.between(0.3, 0.7);
                let mut one = Way { share, ..plain };
                if sort == Sort::ProxyOfAPart {
                    one.proxy = Some(age)
                } else {
                    one.firewall = Some(age)
                }
                nature.ways = vec![one, Way { share: 1.0 - share, ..plain }];
            }
            // Two servers of different timeouts.
            Sort::TwoServers => {
                let other =
                    if random.happens(0.5) { 28_800.0 } else { (age * random.between(1.7, 4.0)).round() };
                let of = |wait_timeout: f64| Server { wait_timeout, closes };
                nature.servers = vec![of(age.round().max(5.0)), of(other)];
            }
            Sort::Killer | Sort::SeldomKiller => {
                let every = if sort == Sort::Killer { 1.0 } else { age * random.between(0.1, 0.35) };
                nature.killer = Some(Killer { every, ..Killer::of_idle(age, random.happens(0.4)) });
            }
            Sort::Evictions => nature.evictions = Some(1.0 / random.scaled(60.0, 900.0)),
            // A firewall before a proxy or a server that is more patient.
            Sort::FirewallBeforeAnother => {
                nature.ways[0].firewall = Some(age);
                let later = age * random.between(1.3, 4.0);
                if random.happens(0.5) {
                    nature.ways[0].proxy = Some(later);
                } else {
                    nature.servers = vec![Server { wait_timeout: later.round().max(7.0), closes }];
                }
            }
            Sort::Events | Sort::Rare(_) => {}
        }
    }

    /// A firewall of 8 s that is set to 16 s and back, looked at as `tests/firewall.rs` does with a real one.
    pub(crate) fn of_a_moved_timer(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let closes = Closes::Fin;
        let first = random.between(100.0, 120.0);
        let second = first + random.between(90.0, 120.0);
        Self {
            seed,
            sort: Sort::Firewall,
            probing: Probing {
                ladder: "3s,6s,10s,14s,20s,28s,40s",
                precision: 0.02,
                canaries: 12,
                lasts: second + 240.0,
            },
            servers: vec![Server { wait_timeout: 28_800.0, closes }],
            ways: vec![Way { share: 1.0, firewall: Some(8.0), proxy: None, lifetime: None }],
            killer: None,
            evictions: None,
            forbids_statements: false,
            others_killed_every: None,
            events: vec![(first, Event::SetAnew(2.0)), (second, Event::SetAnew(0.5))],
            resets: false,
            scatter: 0.0,
            looks_every: None,
            probes_late: 0.0,
        }
    }

    fn happen(&mut self, random: &mut Random) {
        let count =
            if self.sort == Sort::Events { 1 + random.one_of(4) } else { random.one_of(3).saturating_sub(1) };
        for _ in 0..count {
            let at = random.between(60.0, PROBING.lasts - 300.0);
            let event = match random.one_of(7) {
                0 => Event::Restart,
                1 => Event::Flush,
                2 => Event::Reload(random.one_of(self.ways.len())),
                3 => Event::KillUser,
                4 => Event::KillSome(random.between(0.1, 0.6)),
                5 => Event::StandStill(random.between(3.0, 60.0)),
                _ => Event::SetAnew(if random.happens(0.5) {
                    random.between(1.5, 3.0)
                } else {
                    random.between(0.3, 0.7)
                }),
            };
            self.events.push((at, event));
        }
        self.events.sort_by(|a, b| a.0.total_cmp(&b.0));
    }

    /// The product of what was set until a time.
    fn set_until(&self, at: f64, factor: impl Fn(&Event) -> Option<f64>) -> f64 {
        let set = self.events.iter().take_while(|(when, _)| *when <= at);
        set.filter_map(|(_, event)| factor(event)).product()
    }

    /// By how much every timer of every way is longer at a time than at the beginning.
    pub(crate) fn factor(&self, at: f64) -> f64 {
        self.set_until(at, |event| match event {
            Event::SetAnew(factor) => Some(*factor),
            _ => None,
        })
    }

    /// The `wait_timeout` of sessions that are born on a server at a time, in seconds.
    pub(crate) fn wait_timeout(&self, server: &Server, at: f64) -> f64 {
        let factor = self.set_until(at, |event| match event {
            Event::SetWaitTimeout(factor) => Some(*factor),
            _ => None,
        });
        (server.wait_timeout * factor).round().max(4.0)
    }

    /// How often a limit really changed.
    pub(crate) fn changes(&self) -> usize {
        let has_timers = self
            .ways
            .iter()
            .any(|way| way.firewall.is_some() || way.proxy.is_some() || way.lifetime.is_some());
        let set = self.events.iter().filter(|(_, event)| matches!(event, Event::SetAnew(_))).count();
        let of_servers =
            self.events.iter().filter(|(_, event)| matches!(event, Event::SetWaitTimeout(_))).count();
        let is_killer_gone = self.killer.as_ref().is_some_and(|killer| killer.until.is_finite());
        if has_timers { set + of_servers } else { of_servers + usize::from(is_killer_gone) }
    }
}
