//! Clients of six bad kinds beside a scraper and a health check: nobody who asks as one should waits for them, and
//! they cost no more memory and descriptors than they may.

use std::env;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant as Moment, sleep, timeout_at};

use crate::exporter::{Exporter, Launch};
use crate::lab::turns::turn;
use crate::lab::{MariaDb, MariaDbOptions, http};

/// The kinds of bad clients.
const KINDS: u32 = 6;
/// All places for clients, the pages' own descriptors and those that are just going.
const MOST_FILES: usize = 4800;
/// What the crowd may cost in resident memory, in MB.
const MOST_MEMORY: f64 = 80.0;

/// How many, and for how long.
struct Crowd {
    clients: u32,
    time: Duration,
    /// The longest scrape and the longest health check.
    allowed: (Duration, Duration),
}

impl Crowd {
    /// What a machine that is busy with other tests can bear, unless the environment asks for the whole.
    fn from_environment() -> Self {
        let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u32>().expect("a number"));
        match (number("MYSQL_CANARY_HOSTILE_CLIENTS"), number("MYSQL_CANARY_HOSTILE_SECONDS")) {
            (Some(clients), Some(seconds)) => Self {
                clients,
                time: Duration::from_secs(seconds.into()),
                allowed: (Duration::from_millis(250), Duration::from_millis(50)),
            },
            _ => Self {
                clients: 1500,
                time: Duration::from_secs(8),
                // Half of what Prometheus waits for a page.
                allowed: (Duration::from_secs(5), Duration::from_secs(5)),
            },
        }
    }
}

/// How long requests took.
struct Times(Vec<Duration>);

impl Times {
    fn percentile(&self, share: usize) -> Duration {
        self.0[(self.0.len() - 1) * share / 100]
    }

    fn longest(&self) -> Duration {
        self.percentile(100)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |share| self.percentile(share).as_secs_f64() * 1e3;
        let count = self.0.len();
        write!(
            formatter,
            "{count} asked, p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
            ms(50),
            ms(99),
            ms(100)
        )
    }
}

#[test]
fn clients_of_six_bad_kinds_shut_nobody_out() {
    let _turn = turn();
    let crowd = Crowd::from_environment();
    raise_file_limit(u64::from(crowd.clients) + 1000);
    let server = MariaDb::start(MariaDbOptions::default());
    let exporter = Launch::on(&server).start();
    exporter.wait_for_metrics("a server view", Duration::from_secs(20), |page| page.sum("up", &[]) == 1.0);
    let until = Instant::now() + Duration::from_secs(2);
    let alone = ask(&exporter, "/metrics", Duration::from_millis(100), until);
    let memory_alone = memory(&exporter);

    let until = Instant::now() + crowd.time;
    let (scrapes, healths, (files, resident), met) = std::thread::scope(|scope| {
        let crowding = scope.spawn(|| run_crowd(exporter.web(), crowd.clients, until));
        let scrapes = scope.spawn(|| ask(&exporter, "/metrics", Duration::from_secs(1), until));
        let healths = scope.spawn(|| ask(&exporter, "/-/healthy", Duration::from_millis(250), until));
        let most = scope.spawn(|| watch(&exporter, until));
        let joined = "no panic";
        (
            scrapes.join().expect(joined),
            healths.join().expect(joined),
            most.join().expect(joined),
            crowding.join().expect(joined),
        )
    });
    println!("alone: {alone}, {memory_alone:.1} MB resident");
    println!("beside {} clients of six bad kinds for {:?} ({met} connections):", crowd.clients, crowd.time);
    println!("scrapes: {scrapes}\nhealth: {healths}");
    println!("at most {resident:.1} MB resident and {files} descriptors");
    assert!(met > u64::from(crowd.clients), "the crowd came: {met} connections");
    assert!(scrapes.longest() < crowd.allowed.0, "a scrape took {:?}", scrapes.longest());
    assert!(healths.longest() < crowd.allowed.1, "a health check took {:?}", healths.longest());
    assert!(files < MOST_FILES, "{files} descriptors");
    assert!(resident - memory_alone < MOST_MEMORY, "from {memory_alone} MB to {resident} MB");
    check_all_are_gone(&exporter);
    assert!(!exporter.log().contains("panicked"), "{}", exporter.log());
    assert!(exporter.events("web_crowded").len() <= 2, "it is told once a minute");
}

/// With few descriptors the clients have what sessions leave, and the sessions have what they need.
#[test]
fn clients_take_no_descriptor_that_a_session_needs() {
    let _turn = turn();
    raise_file_limit(2000);
    let server = MariaDb::start(MariaDbOptions::default());
    let exporter = Launch::on(&server).ages("1s,60s").under(&["prlimit", "--nofile=256"]).start();
    exporter.wait_for_metrics("lives", Duration::from_secs(20), |page| page.sum("lives_total", &[]) >= 1.0);
    let lives = exporter.metrics().sum("lives_total", &[]);
    let until = Instant::now() + Duration::from_secs(8);
    // With some dozens of places a storm may push out one that asks before it is heard; not most of them.
    let (mut asked, mut answered) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| run_crowd(exporter.web(), 900, until));
        while Instant::now() < until {
            asked += 1;
            answered +=
                usize::from(http::get(exporter.web(), "/-/healthy").is_ok_and(|page| page.status == 200));
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    println!("{answered} of {asked} health checks answered, {} descriptors", exporter.open_files());
    assert!(answered * 2 > asked, "{answered} of {asked} were answered");
    let page = exporter.metrics();
    assert_eq!(page.sum("connect_failures_total", &[]), 0.0, "{}", exporter.log());
    assert!(page.sum("lives_total", &[]) >= lives + 2.0, "canaries were born and lived: {}", exporter.log());
    assert_eq!(exporter.events("accept_failed").len(), 0, "{}", exporter.log());
    check_all_are_gone(&exporter);
}

/// When the crowd has gone, nothing is left of it.
#[track_caller]
fn check_all_are_gone(exporter: &Exporter<'_>) {
    crate::lab::wait_for("the end of every bad client", Duration::from_secs(20), || {
        (exporter.open_files() < 100).then_some(())
    });
}

/// Asks at a fixed rate, each time anew; every answer is 200.
fn ask(exporter: &Exporter<'_>, path: &str, every: Duration, until: Instant) -> Times {
    let mut times = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        let answer = http::get(exporter.web(), path).unwrap_or_else(|error| panic!("{path}: {error}"));
        times.push(begun.elapsed());
        assert_eq!(answer.status, 200, "{path}");
        std::thread::sleep(every.saturating_sub(begun.elapsed()));
    }
    times.sort();
    Times(times)
}

/// The most descriptors, and the most memory in MB.
fn watch(exporter: &Exporter<'_>, until: Instant) -> (usize, f64) {
    let (mut files, mut resident) = (0, 0.0_f64);
    while Instant::now() < until {
        files = files.max(exporter.open_files());
        resident = resident.max(memory(exporter));
        std::thread::sleep(Duration::from_millis(100));
    }
    (files, resident)
}

/// Its resident memory, in MB.
fn memory(exporter: &Exporter<'_>) -> f64 {
    exporter.resident_kb() * 1024.0 / 1e6
}

fn raise_file_limit(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum.map(|most| most.max(wanted)) };
        setrlimit(Resource::Nofile, raised).expect("root may open many files");
    }
}

/// Sends so many bad clients, each of which comes again when it was sent away; gives how many connections they made.
fn run_crowd(exporter: SocketAddr, clients: u32, until: Instant) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut crowd = JoinSet::new();
        for number in 0..clients {
            crowd.spawn(come_again(exporter, number, Moment::from_std(until)));
        }
        let mut met = 0;
        while let Some(outcome) = crowd.join_next().await {
            met += outcome.expect("no panic");
        }
        met
    })
}

async fn come_again(exporter: SocketAddr, number: u32, until: Moment) -> u64 {
    let mut met = 0;
    // Not all in one instant, and none at once again.
    sleep(Duration::from_millis(u64::from(number % 1000))).await;
    while Moment::now() < until {
        if timeout_at(until, misbehave(exporter, number)).await.is_ok_and(|outcome| outcome.is_ok()) {
            met += 1;
        }
        let pause = Duration::from_millis(1000 + u64::from(number * 7919 % 2000));
        let _ = timeout_at(until, sleep(pause)).await;
    }
    met
}

/// One visit; it ends when the exporter or the client has enough.
async fn misbehave(exporter: SocketAddr, number: u32) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    if number % KINDS == 2 {
        socket.set_recv_buffer_size(4096)?;
    }
    let mut stream = socket.connect(exporter).await?;
    // What goes wrong from here on is the exporter's answer to bad manners.
    let _ = match number % KINDS {
        0 => stay_silent(&mut stream).await,
        1 => drip(&mut stream).await,
        2 => never_read(&mut stream).await,
        3 => be_kept(&mut stream).await,
        4 => flood(&mut stream).await,
        _ => talk_nonsense(&mut stream, number).await,
    };
    Ok(())
}

/// Connects, and that is all.
async fn stay_silent(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0]).await.map(drop)
}

/// Sends its head byte by byte.
async fn drip(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await?;
    loop {
        sleep(Duration::from_millis(500)).await;
        stream.write_all(b"y").await?;
    }
}

/// Asks for one page after the other and reads none.
async fn never_read(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(&b"GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n".repeat(20)).await?;
    sleep(Duration::from_secs(7)).await;
    Ok(())
}

/// Asks once, and keeps its connection.
async fn be_kept(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: exporter\r\n\r\n").await?;
    while stream.read(&mut [0; 512]).await? > 0 {}
    Ok(())
}

/// Asks a hundred times at once, and reads a little now and then.
async fn flood(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(&b"GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\n".repeat(100)).await?;
    while stream.read(&mut [0; 4096]).await? > 0 {
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// TLS, HTTP/2, a head or a body without end, half a request; then RST.
async fn talk_nonsense(stream: &mut TcpStream, number: u32) -> std::io::Result<()> {
    let words: &[u8] = match number / KINDS % 5 {
        0 => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        1 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        2 => &[&b"GET / HTTP/1.1\r\nX: "[..], &[b'A'; 30_000]].concat(),
        3 => &[&b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"[..], &[b'A'; 30_000]].concat(),
        _ => b"GET /met",
    };
    stream.write_all(words).await?;
    sleep(Duration::from_millis(u64::from(number % 100))).await;
    stream.set_zero_linger()
}
