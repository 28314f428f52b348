//! What it costs to follow the applications' sessions: a round over 5,000 of them with 200 wakes a second, read every
//! 15 s over a socket as the server view reads it, without following anybody and with it; and the memory that
//! one takes. Fails where following costs more than it may.

#![expect(clippy::disallowed_methods, reason = "a bench takes real time")]

#[path = "../tests/lab/wire.rs"]
#[expect(dead_code, reason = "a round needs only some of the packets")]
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use std::{fs, thread};

use mysql_async::{Conn, OptsBuilder};
use mysql_canary_exporter::domain::applications::{Counters, Errors, Follower, Listing, Row, Whose};
use mysql_canary_exporter::server::processlist::{RawRow, Source};
use mysql_canary_exporter::server::{Applications, Heard};
use mysql_canary_exporter::session::Roster;
use mysql_canary_exporter::session::roster::{Rosters, Rules, TargetRoster};
use prometheus::{Histogram, HistogramOpts, IntCounter};

/// Seconds between two rounds.
const EVERY: f64 = 15.0;
/// Sessions that wake between two rounds: 200 a second.
const WAKES: usize = 3_000;
/// Rounds of each kind, one after the other.
const ROUNDS: usize = 200;
/// How many times the cost of a round without following a round with it may cost.
const MOST_TIMES: f64 = 1.3;
/// Bytes that one followed session may take.
const MOST_BYTES: usize = 200;

/// A server that answers each list with what was put here.
fn serve(list: Arc<Mutex<Vec<u8>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, list) = (client.expect("a client comes"), Arc::clone(&list));
            thread::spawn(move || answer(client, &list));
        }
    });
    address
}

fn answer(mut client: TcpStream, list: &Mutex<Vec<u8>>) -> Option<()> {
    client.set_nodelay(true).ok()?;
    client.write_all(&wire::greeting("8.4.0", 7)).ok()?;
    wire::read_packet(&client).ok()?;
    client.write_all(&wire::ok(2)).ok()?;
    loop {
        let (_, payload) = wire::read_packet(&client).ok()?;
        match wire::Command::parse(&payload) {
            wire::Command::Query(query) if query.contains("FROM information_schema") => {
                let list = list.lock().ok()?.clone();
                client.write_all(&list).ok()?;
            }
            wire::Command::Quit => return None,
            _ => client.write_all(&wire::ok(1)).ok()?,
        }
    }
}

/// How long each session has slept; so many wake in each round, in turn.
struct Sleepers {
    slept: Vec<f64>,
    turn: usize,
}

impl Sleepers {
    fn new(count: usize) -> Self {
        Self { slept: vec![0.0; count], turn: 0 }
    }

    /// The list 15 s later.
    fn list(&mut self) -> Vec<u8> {
        self.turn += 1;
        let count = self.slept.len();
        for (place, slept) in self.slept.iter_mut().enumerate() {
            let awake = (place + self.turn * WAKES) % count < WAKES;
            *slept = if awake { 1.0 } else { *slept + EVERY };
        }
        let names = ["ID", "USER", "COMMAND", "TIME", "OWN", "HOST"].map(str::to_owned);
        let row = |(place, slept): (usize, &f64)| {
            let (id, user, command) = ((100_000 + place).to_string(), "app".to_owned(), "Sleep".to_owned());
            let host = format!("10.0.{}.{}:{}", place % 4, place % 20, 20_000 + place);
            [id, user, command, format!("{slept}"), "100000".to_owned(), host].map(Some).to_vec()
        };
        let rows: Vec<Vec<Option<String>>> = self.slept.iter().enumerate().map(row).collect();
        wire::result_set(&names, &rows)
    }
}

struct Bench {
    list: Arc<Mutex<Vec<u8>>>,
    conn: Conn,
    roster: Roster,
    applications: Applications,
    sleepers: Sleepers,
    asked: f64,
}

impl Bench {
    async fn new(sessions: usize) -> Self {
        let list = Arc::new(Mutex::new(Vec::new()));
        let address = serve(Arc::clone(&list));
        let options = OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .prefer_socket(false)
            .user(Some("canary"))
            .max_allowed_packet(Some(1 << 24))
            .wait_timeout(Some(28_800));
        let counter = IntCounter::new("aborted", "none").expect("a good name");
        let roster = TargetRoster::new(counter, &Rosters::default()).share(Rules {
            path: "bench".to_owned(),
            budget: 12,
            reads_the_view: true,
            kill_ghosts: false,
            kills: BTreeMap::new(),
        });
        let ages = Histogram::with_opts(HistogramOpts::new("ages", "survived"));
        let ages = ages.expect("a good name");
        Self {
            list,
            conn: Conn::new(options).await.expect("it logs in"),
            roster,
            applications: Applications::new("canary", BTreeSet::new(), move || ages.clone()),
            sleepers: Sleepers::new(sessions),
            asked: 100.0,
        }
    }

    /// The seconds of a round that counts, and of one that counts and follows: of the same list, each first in turn.
    async fn rounds(&mut self) -> [f64; 2] {
        let list = self.sleepers.list();
        self.asked += EVERY;
        self.list.lock().expect("nobody panicked").clone_from(&list);
        let first = self.sleepers.turn % 2;
        let mut seconds = [0.0; 2];
        for follows in [first == 1, first == 0] {
            seconds[usize::from(follows)] = self.round(follows).await;
        }
        seconds
    }

    /// The seconds of a round as the server view makes it.
    async fn round(&mut self, follows: bool) -> f64 {
        let (roster, applications, asked) = (&self.roster, &self.applications, self.asked);
        let begun = Instant::now();
        let listing = Listing { asked, own_host: Some("10.0.9.9:1"), ..Listing::default() };
        applications.begin(follows.then_some(listing), true, Vec::new());
        let now = || asked + begun.elapsed().as_secs_f64();
        let see = |row: &RawRow<'_>| applications.see(row, roster, follows, now());
        let list = Source::InformationSchema.read(&mut self.conn, see, &BTreeSet::new()).await;
        if follows {
            let heard = Heard {
                status: None,
                aborted: (0, 0),
                wait_timeout: Some(28_800.0),
                errors: Errors::NotRead,
                complete: true,
            };
            applications.end(now(), heard, roster);
        }
        let seconds = begun.elapsed().as_secs_f64();
        assert_eq!(list.expect("it answers").rows, self.sleepers.slept.len());
        seconds
    }

    /// How many are followed, and the bytes that one takes at most.
    fn size(&self) -> (usize, usize) {
        self.applications
            .show(|seen| (seen.follower.len(), seen.follower.bytes() / seen.follower.len().max(1)))
    }
}

/// The memory of this process, in bytes.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/statm").expect("Linux tells it");
    let pages: f64 = status.split(' ').nth(1).expect("two numbers").parse().expect("a number");
    pages * 4096.0
}

/// The middle of the quicker half of what was measured: a busy machine makes rounds of either kind slow, and none quick.
fn quick(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 4]
}

/// The resident memory that so many sessions take, each in bytes, after some rounds.
fn memory(sessions: u64) -> f64 {
    let hosts: Vec<String> = (0..sessions).map(|id| format!("10.0.0.{}:{}", id % 20, 10_000 + id)).collect();
    let before = resident();
    let mut follower = Follower::new();
    for turn in 0..12_u32 {
        let asked = 100.0 + EVERY * f64::from(turn);
        follower.begin(Listing { asked, own_host: Some("10.0.9.9:1"), ..Listing::default() });
        for (id, host) in (0..sessions).zip(&hosts) {
            let row = Row { id, user: "app", host, command: "Sleep", time: Some(1.0) };
            follower.see(row, Whose::Application, asked + 0.01);
        }
        follower.end(asked + 0.02, true, Counters::default());
    }
    (resident() - before) / follower.len() as f64
}

async fn measure() -> ExitCode {
    let in_memory = memory(20_000);
    let mut bench = Bench::new(5_000).await;
    let mut taken = Vec::new();
    for round in 0..ROUNDS {
        let seconds = bench.rounds().await;
        // The first ones fill the memory.
        if round > 4 {
            taken.push(seconds);
        }
    }
    let [counting, following] = [0, 1].map(|kind| quick(taken.iter().map(|taken| taken[kind]).collect()));
    let times = following / counting;
    let (sessions, bytes) = bench.size();
    assert_eq!(sessions, 5_000);
    println!(
        "a round over 5,000 sessions, 3,000 of which woke: {:.2} ms counted, {:.2} ms counted and followed, {times:.2} \
         times as long (at most {MOST_TIMES}); a session takes {bytes} bytes by its tree's shape, and {in_memory:.0} of \
         resident memory where there are 20,000 (at most {MOST_BYTES})",
        counting * 1e3,
        following * 1e3,
    );
    let holds = times < MOST_TIMES && (bytes as f64).max(in_memory) < MOST_BYTES as f64;
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure())
}
