//! What many targets cost in one process: the whole exporter with 100 targets of two paths each, against one scripted
//! server in another process. Fails where they log in too fast at the start, or a page takes too long.
//!
//! Before them an exporter with one target of one path runs for half as long: what is said of a path is the difference.

#[path = "../tests/lab/wire.rs"]
#[expect(dead_code, reason = "the server needs only some of the packets")]
mod wire;

#[path = "canaries/process.rs"]
mod process;
#[path = "canaries/server.rs"]
mod server;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::Duration;

use mysql_canary_exporter::app::{self, Exporter};
use mysql_canary_exporter::config::flags::LowArgs;
use mysql_canary_exporter::domain::conduct::admission::Places;
use mysql_canary_exporter::fleet::reload::{self, Reread};
use mysql_canary_exporter::supervision::{Supervisor, stop};
use process::{clock, itself, raise_limit};
use tokio::runtime::{Builder, Handle};

/// Targets, and the paths of each.
const FLEET: (usize, usize) = (100, 2);
/// When all is as it will be for hours: fifty logins a second are made, and the longest rungs are far.
const SETTLED: Duration = Duration::from_secs(90);
/// How many pages are asked for.
const PAGES: usize = 20;
/// How many logins may be made in the first second.
const MOST_AT_ONCE: usize = 150;
/// What a page of all targets may take, and one of a single target, in milliseconds: the median.
const MOST_SCRAPE: f64 = 50.0;
const MOST_PROBE: f64 = 5.0;
/// What the status page and the document of all targets may take, and those of a single one, in milliseconds.
const MOST_STATUS: f64 = 100.0;
const MOST_STATUS_OF_ONE: f64 = 20.0;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["serve"] => server::run(false, true),
        ["export", config] => export(config),
        _ => bench(),
    }
}

/// The exporter. Says the port of its pages, and for each line on its standard input how many tasks there are. Ends
/// with its standard input.
fn export(config: &str) -> ExitCode {
    let words = ["mysql-canary-exporter", "--config.file", config];
    let args = LowArgs::try_read_from(words).expect("good flags").export;
    let settings = args.settings().expect("a good file");
    let left = app::make_room(&settings.targets).expect("there is room");
    let listeners = app::listen(&[([127, 0, 0, 1], 0).into()]).expect("loopback has a port");
    println!("{}", listeners[0].local_addr().expect("it is bound").port());
    // As the exporter has them.
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be had");
    runtime.block_on(async {
        let (say_stop, stop) = stop::channel();
        let handle = Handle::current();
        std::thread::spawn(move || {
            for _ in std::io::stdin().lock().lines() {
                println!("{}", handle.metrics().num_alive_tasks());
            }
            say_stop.say();
        });
        let reread = Reread::by(move || args.settings().map_err(|error| error.to_string()));
        let exporter = Exporter {
            settings,
            reread,
            reloads: reload::channel(),
            listeners,
            places: Places::within(left),
            web_config: None,
        };
        app::run(exporter, stop, Supervisor::default()).await.expect("it ends well");
    });
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

/// A process of ours that says its port first, and ends with its standard input.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: Option<Lines<BufReader<ChildStdout>>>,
    port: u16,
}

impl Running {
    fn start(words: &[&str]) -> Self {
        let mut child =
            itself(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is a program");
        let input = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = lines.next().and_then(Result::ok).and_then(|line| line.parse().ok());
        Self { child, input, lines: Some(lines), port: port.expect("it says its port") }
    }

    /// How many tasks it has.
    fn tasks(&mut self) -> f64 {
        writeln!(self.input.as_mut().expect("it runs"), "tasks").expect("it runs");
        let line = self.lines.as_mut().and_then(Iterator::next).and_then(Result::ok);
        line.and_then(|line| line.parse().ok()).expect("a number")
    }

    /// Bytes of memory that are no file's.
    fn anonymous(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux tells it");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux tells it");
        let kilobytes = line.split_whitespace().next().and_then(|number| number.parse::<f64>().ok());
        1024.0 * kilobytes.expect("a number")
    }

    /// Seconds of processor time so far.
    fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux tells it");
        let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
        let ticks = |place| fields.split(' ').nth(place).and_then(|field| field.parse::<f64>().ok());
        // Linux counts in hundredths for everybody.
        (ticks(11).expect("a number") + ticks(12).expect("a number")) / 100.0
    }

    /// A page, on a connection of its own, and how long it took in milliseconds.
    fn page(&self, path: &str) -> (String, f64) {
        let begun = clock();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let took = (clock() - begun) as f64 / 1e6;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {}", answer.lines().next().unwrap_or_default());
        (answer, took)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// What an exporter has once it is settled.
struct Settled {
    anonymous: f64,
    tasks: f64,
    canaries: f64,
}

impl Settled {
    fn of(exporter: &mut Running) -> Self {
        // Before the first page, whose own memory stays with the process.
        let (anonymous, tasks) = (exporter.anonymous(), exporter.tasks());
        let (page, _) = exporter.page("/metrics");
        let canaries = page.lines().filter(|line| line.starts_with("mysql_canary_connections{"));
        let canaries = canaries.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        Self { anonymous, tasks, canaries }
    }
}

fn bench() -> ExitCode {
    let mut server = Running::start(&["serve"]);
    let (tell, comers) = mpsc::channel::<i128>();
    let lines = server.lines.take().expect("it runs");
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let (_, at) = line.split_once(' ').expect("two numbers");
            let _ = tell.send(at.parse().expect("a number"));
        }
    });
    let dir = std::env::temp_dir().join(format!("mysql-canary-bench-fleet-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("the directory is ours");
    let well = measure(&dir, server.port, &comers);
    let _ = fs::remove_dir_all(&dir);
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(dir: &Path, port: u16, comers: &mpsc::Receiver<i128>) -> bool {
    let mut one = Running::start(&["export", &config(dir, (1, 1), port).to_string_lossy()]);
    sleep(SETTLED / 2);
    let alone = Settled::of(&mut one);
    drop(one);
    // Those of the first exporter.
    comers.try_iter().for_each(drop);

    let (targets, paths) = FLEET;
    let mut fleet = Running::start(&["export", &config(dir, FLEET, port).to_string_lossy()]);
    sleep(SETTLED);
    let logins: Vec<i128> = comers.try_iter().collect();
    let first = *logins.first().expect("it logs in");
    let within = |seconds: i128| logins.iter().filter(|at| **at < first + seconds * 1_000_000_000).count();
    let settled = Settled::of(&mut fleet);
    let others = (targets * paths - 1) as f64;
    let each = |of: fn(&Settled) -> f64| (of(&settled) - of(&alone)) / others;
    println!(
        "{targets} targets of {paths} paths: {} logins in the first second, {} in the first minute",
        within(1),
        within(60)
    );
    println!(
        "one path of one target: {:.0} kB anonymous, {} tasks, {} canaries; each further path: {:.1} kB, {:.2} tasks, {:.1} canaries",
        alone.anonymous / 1024.0,
        alone.tasks,
        alone.canaries,
        each(|of| of.anonymous) / 1024.0,
        each(|of| of.tasks),
        each(|of| of.canaries)
    );
    let before = fleet.processor();
    sleep(Duration::from_secs(30));
    println!("while nobody asks: {:.1} % of one processor", (fleet.processor() - before) / 0.3);

    let mut well = within(1) <= MOST_AT_ONCE;
    let mut timed = |name: &str, most: f64, pause: Duration, path: &dyn Fn(usize) -> String| {
        let (mut times, mut bytes, mut series) = (Vec::new(), 0, 0);
        let before = fleet.processor();
        for number in 0..PAGES {
            let (page, took) = fleet.page(&path(number));
            bytes = page.len();
            series = page.lines().filter(|line| line.starts_with("mysql_canary_")).count();
            times.push(took);
            sleep(pause);
        }
        let processor = (fleet.processor() - before) * 1e3 / PAGES as f64;
        times.sort_by(f64::total_cmp);
        let median = times[PAGES / 2];
        println!(
            "{name}: {series} series in {bytes} bytes, {median:.1} ms in the median, {:.1} at least, {:.1} at most; {processor:.1} ms of processor each",
            times[0],
            times[PAGES - 1]
        );
        well &= median < most;
    };
    // Pages are written in half of the time at most: who asks sooner waits.
    timed("/metrics", MOST_SCRAPE, Duration::from_secs(1), &|_| "/metrics".to_owned());
    timed("/probe", MOST_PROBE, Duration::from_millis(50), &|number| {
        format!("/probe?target=target-{}", number * 7 % targets)
    });
    for name in ["/", "/api/v1/status"] {
        timed(name, MOST_STATUS, Duration::from_secs(1), &|_| name.to_owned());
        let of_one = format!("{name}?target=NAME");
        timed(&of_one, MOST_STATUS_OF_ONE, Duration::from_millis(50), &|number| {
            format!("{name}?target=target-{}", number * 7 % targets)
        });
    }
    println!("and then: {:.0} kB anonymous", fleet.anonymous() / 1024.0);
    well
}

/// A configuration of so many targets, each with so many paths.
fn config(dir: &Path, (targets, paths): (usize, usize), port: u16) -> PathBuf {
    let mut text =
        "global: {auth: {username: canary, password_file: password}, tls_config: {mode: disabled}}\n\
                    targets:\n"
            .to_owned();
    for target in 0..targets {
        let _ = write!(text, "  - name: target-{target}\n    paths:\n");
        for path in 0..paths {
            let _ = writeln!(text, "      - {{name: path-{path}, address: \"127.0.0.1:{port}\"}}");
        }
    }
    let file = dir.join(format!("{targets}.yml"));
    fs::write(&file, text).expect("the directory is ours");
    fs::write(dir.join("password"), "a password\n").expect("the directory is ours");
    file
}
