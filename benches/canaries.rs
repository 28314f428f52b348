//! What a canary costs while it waits, and how well the moment of its death is known: thousands of the exporter's own
//! lives in one process, against a server in another, in clear and under TLS. Fails where a canary costs more, or
//! its death is known less well, than it should.
//!
//! The exporter's loop launches about one canary a second, and a path makes five logins a second in the long run; so here there
//! are many connectors, and lives are launched as fast as they are born.

#[path = "../tests/lab/wire.rs"]
#[expect(dead_code, reason = "canaries need only some of the packets")]
mod wire;

#[path = "canaries/process.rs"]
mod process;
#[path = "canaries/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mysql_canary_exporter::config::address::Address;
use mysql_canary_exporter::domain::conduct::health::Loop;
use mysql_canary_exporter::domain::life::kind::Kind;
use mysql_canary_exporter::domain::limit::ladder::Ladder;
use mysql_canary_exporter::metrics::Metrics;
use mysql_canary_exporter::prober::canary::Network;
use mysql_canary_exporter::prober::life::{Assignment, Directive, Notice, Orders, Outcome, Unborn, World};
use mysql_canary_exporter::prober::orders::{self, Teller};
use mysql_canary_exporter::prober::standstill::Standstills;
use mysql_canary_exporter::prober::witness::WitnessHandle;
use mysql_canary_exporter::session::roster::{Rosters, Rules, TargetRoster};
use mysql_canary_exporter::session::{Account, Connector, LoginPace, TlsMode};
use mysql_canary_exporter::supervision::Health;
use mysql_canary_exporter::supervision::stop::{self, StopSender};
use process::{clock, itself, raise_limit};
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep};

/// How many canaries are held: few, and many.
const HELD: [usize; 2] = [1_000, 5_000];
/// How many canaries one connector has: its gate lets sixty through at once.
const OF_ONE: usize = 50;
/// How many are being born at once.
const BIRTHS: usize = 4;
/// For how long the processor is watched.
const WATCHED: Duration = Duration::from_secs(30);
/// Deaths: so many times, so many at once.
const BURSTS: (usize, usize) = (10, 100);
/// Resident bytes that one canary may take, in clear and under TLS.
const MOST_BYTES: [u64; 2] = [3 * 1024, 14 * 1024];
/// The share of a processor that the many may take while nothing happens.
const MOST_SHARE: f64 = 0.01;
/// The error of a death's moment that may be: the median and the 99th of a hundred, in milliseconds.
const MOST_ERROR: (f64, f64) = (0.5, 5.0);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", way] => return server::run(way == "tls", false),
        ["memory", way] => return measure(way == "tls", memory),
        ["deaths", way] => return measure(way == "tls", deaths),
        _ => {}
    }
    // Each in a process of its own: what was freed before would be taken for free.
    let mut well = true;
    for part in ["memory", "deaths"] {
        for way in ["plain", "tls"] {
            well &= itself(&[part, way]).status().expect("it is a program").success();
        }
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(tls: bool, part: fn(Lives) -> Part) -> ExitCode {
    raise_limit();
    let mut child = itself(&["serve", if tls { "tls" } else { "plain" }])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is a program");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let port =
        lines.next().and_then(Result::ok).and_then(|line| line.parse().ok()).expect("the server's port");
    let (tell, closed) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let (id, at) = line.split_once(' ').expect("two numbers");
            let _ = tell.send((id.parse().expect("a number"), at.parse().expect("a number")));
        }
    });
    let server = Server { orders: child.stdin.take().expect("piped"), closed };
    // As the exporter has them.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be had");
    let well = runtime.block_on(async { part(Lives::new(port, tls, server)).await });
    runtime.shutdown_background();
    // Its standard input has ended.
    child.wait().expect("it is ours");
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Part = std::pin::Pin<Box<dyn Future<Output = bool>>>;

/// What a server told of the sessions that it closed: thread id and moment.
struct Server {
    orders: ChildStdin,
    closed: mpsc::UnboundedReceiver<(u64, i128)>,
}

/// The lives in flight, kept as the exporter's loop keeps them.
struct Lives {
    tls: bool,
    networks: Vec<Network>,
    server: Server,
    orders: BTreeMap<u64, Teller>,
    born: BTreeMap<u64, Instant>,
    tasks: BTreeMap<Id, u64>,
    lives: JoinSet<Outcome>,
    notices: (mpsc::UnboundedSender<Notice>, mpsc::UnboundedReceiver<Notice>),
    last: u64,
    _say_stop: StopSender,
}

impl Lives {
    fn new(port: u16, tls: bool, server: Server) -> Self {
        let ladder = Ladder::parse("25s,30000s").expect("a ladder");
        let metrics = Metrics::new(&ladder).expect("good names");
        let (health, (say_stop, stop)) = (Health::default(), stop::channel());
        let counter = || IntCounter::new("count", "count").expect("a good name");
        let tls_mode = if tls { TlsMode::Required } else { TlsMode::Disabled };
        let account = Account {
            username: "canary".to_owned(),
            password: None,
            password_file: None,
            tls_mode,
            tls_ca: None,
            tls_identity: None,
            tls_server_name: None,
            get_server_public_key: false,
        };
        let networks = (0..HELD[1] / OF_ONE).map(|number| {
            let rules = Rules {
                path: number.to_string(),
                budget: 2 * OF_ONE,
                reads_the_view: true,
                kill_ghosts: false,
                kills: BTreeMap::new(),
            };
            let connector = Arc::new(Connector::new(
                Address { host: "127.0.0.1".to_owned(), port },
                account.clone(),
                Duration::from_secs(10),
                TargetRoster::new(counter(), &Rosters::default()).share(rules),
                metrics.path("bench", &number.to_string(), &[]),
                LoginPace::default(),
            ));
            let pulse = health.watch(Loop::Witness, "bench", Duration::MAX, counter());
            let (handle, attend) = WitnessHandle::open(Arc::clone(&connector), stop.clone(), pulse);
            let (standstills, ticks) = Standstills::watch();
            tokio::spawn(attend);
            tokio::spawn(ticks);
            Network::new(connector, handle, standstills, Duration::from_secs(10))
        });
        Self {
            tls,
            networks: networks.collect(),
            server,
            orders: BTreeMap::new(),
            born: BTreeMap::new(),
            tasks: BTreeMap::new(),
            lives: JoinSet::new(),
            notices: mpsc::unbounded_channel(),
            last: 0,
            _say_stop: say_stop,
        }
    }

    fn launch(&mut self) {
        const AGE: f64 = 30_000.0;
        self.last += 1;
        let (orders, receiver) = orders::channel(Orders { age: AGE, directive: Directive::Hold });
        let number = usize::try_from(self.last).unwrap_or_default() % self.networks.len();
        let life = self.networks[number].live(Assignment {
            early: false,
            id: self.last,
            kind: Kind::Idle,
            delay: 0.0,
            longest: AGE,
            orders: receiver,
            notices: self.notices.0.clone(),
        });
        if self.last == 1 {
            println!("a life is {} bytes of state", std::mem::size_of_val(&life));
        }
        self.tasks.insert(self.lives.spawn(life).id(), self.last);
        self.orders.insert(self.last, orders);
    }

    /// The next life that ended, with its birth.
    async fn next(&mut self) -> (Option<Instant>, Outcome) {
        let landed = self.lives.join_next_with_id().await;
        self.land(landed)
    }

    fn land(&mut self, landed: Option<Result<(Id, Outcome), JoinError>>) -> (Option<Instant>, Outcome) {
        let (task, outcome) = landed.expect("some live").expect("no life panics");
        let id = self.tasks.remove(&task).expect("each task has its life");
        self.orders.remove(&id);
        (self.born.remove(&id), outcome)
    }

    /// Launches until so many are held.
    async fn hold(&mut self, count: usize) {
        while self.born.len() < count {
            while self.lives.len() < count && self.lives.len() - self.born.len() < BIRTHS {
                self.launch();
            }
            let landed = tokio::select! {
                Some(notice) = self.notices.1.recv() => {
                    if let Notice::Born { id, at, .. } = notice {
                        self.born.insert(id, at);
                    }
                    continue;
                }
                landed = self.lives.join_next_with_id() => landed,
            };
            match self.land(landed) {
                (_, Outcome::Unborn(Unborn::HeldBack { .. })) => sleep(Duration::from_millis(100)).await,
                (_, outcome) => panic!("a life ended: {outcome:?}"),
            }
        }
    }

    /// Lets one live on each connector, and calls them home: what comes to be with the first is there.
    async fn warm_up(&mut self) {
        self.hold(self.networks.len()).await;
        self.orders.values().for_each(|orders| orders.change(|orders| orders.directive = Directive::Recall));
        while !self.lives.is_empty() {
            let (_, outcome) = self.next().await;
            assert_eq!(outcome, Outcome::Recalled);
        }
        sleep(Duration::from_secs(2)).await;
    }
}

/// What the process has: resident bytes, those of them that are no file's, descriptors.
fn taken() -> [u64; 3] {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
        1024 * line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).expect("a number")
    };
    let files = fs::read_dir("/proc/self/fd").expect("Linux tells it").count();
    [bytes("VmRSS:"), bytes("RssAnon:"), u64::try_from(files).unwrap_or(u64::MAX)]
}

/// Seconds of processor time so far.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux tells it");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    let ticks = |place| fields.split(' ').nth(place).and_then(|field| field.parse::<f64>().ok());
    // Linux counts in hundredths for everybody.
    (ticks(11).expect("a number") + ticks(12).expect("a number")) / 100.0
}

fn memory(mut lives: Lives) -> Part {
    Box::pin(async move {
        lives.warm_up().await;
        let empty = taken();
        let way = if lives.tls { "TLS" } else { "plain" };
        println!(
            "{way}: the empty exporter has {} kB resident, {} kB of them its own",
            empty[0] / 1024,
            empty[1] / 1024
        );
        let mut well = true;
        for count in HELD {
            let begun = Instant::now();
            lives.hold(count).await;
            let took = begun.elapsed().as_secs_f64();
            sleep(Duration::from_secs(3)).await;
            let each =
                |place: usize, now: [u64; 3]| now[place].saturating_sub(empty[place]) as f64 / count as f64;
            let now = taken();
            println!(
                "{way}: {count} canaries: each {:.0} bytes resident, {:.0} of them anonymous; {:.2} descriptors (launched in {took:.0} s)",
                each(0, now),
                each(1, now),
                each(2, now)
            );
            well &= each(0, now) <= MOST_BYTES[usize::from(lives.tls)] as f64 && each(2, now) < 1.01;
        }
        let before = processor();
        sleep(WATCHED).await;
        let share = (processor() - before) / WATCHED.as_secs_f64();
        println!("{way}: {} idle canaries: {:.2} % of one processor", HELD[1], 100.0 * share);
        well && share < MOST_SHARE
    })
}

fn deaths(mut lives: Lives) -> Part {
    Box::pin(async move {
        // Both clocks are the same; that of the standard library does not tell its number.
        let (began, zero) = (Instant::now(), clock());
        lives.warm_up().await;
        lives.hold(HELD[0]).await;
        let (bursts, at_once) = BURSTS;
        let (mut errors, mut void) = (Vec::new(), 0);
        for _ in 0..bursts {
            writeln!(lives.server.orders, "{at_once}").expect("the server lives");
            let mut known = BTreeMap::new();
            for _ in 0..at_once {
                match lives.next().await {
                    (Some(born), Outcome::Died(death)) => {
                        let at = born + Duration::from_secs_f64(death.age);
                        let at = zero + i128::try_from((at - began).as_nanos()).unwrap_or_default();
                        known.insert(death.thread_id, at);
                    }
                    (_, Outcome::Void(_)) => void += 1,
                    (_, outcome) => panic!("a life ended: {outcome:?}"),
                }
            }
            for _ in 0..at_once {
                let (id, closed) = lives.server.closed.recv().await.expect("the server lives");
                errors.extend(known.get(&id).map(|at| (at - closed) as f64 / 1e6));
            }
        }
        errors.sort_by(f64::total_cmp);
        let share = |of: usize| errors[(errors.len() - 1) * of / 100];
        let way = if lives.tls { "TLS" } else { "plain" };
        println!(
            "{way}: {} deaths of {} canaries, {at_once} at once: known {:.3} ms after the close in the median, {:.3} ms at the 99th of a hundred, \
             {:.3} ms at most; {void} void",
            errors.len(),
            HELD[0],
            share(50),
            share(99),
            share(100)
        );
        share(50) < MOST_ERROR.0 && share(99) < MOST_ERROR.1 && void == 0
    })
}
