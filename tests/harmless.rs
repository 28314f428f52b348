//! First, do no harm: nobody else's session or statement is touched, whoever answers at the address.
//!
//! Two MariaDB and two MySQL stand behind three load balancers (two alike, two alike, one of each) that hand out
//! connections in turn and forget idle flows. Six exporters run through them as one account, which also belongs to
//! two hundred foreign sessions on each pair of servers: most sleep, some are always in a statement.

mod balancer;
pub(crate) mod foreign;

use std::time::{Duration, Instant};

use crate::exporter::{Exporter, Launch};
use crate::lab::{Account, MariaDb, MariaDbOptions, MySql97, MySql97Options, Server};
use crate::many_sessions::raise_file_limit;
use balancer::Balancer;
use foreign::Foreign;

/// How long the crowd stays, in seconds: twenty minutes with `make harmless`.
fn duration() -> Duration {
    let seconds = std::env::var("MYSQL_CANARY_HARMLESS_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(40))
}

/// So many silent deaths are enough to tell something by ...
const ENOUGH_DEATHS: f64 = 10.0;
/// ... and for so long they are waited for.
const LONGEST: Duration = Duration::from_secs(120);

/// What the balancers forget after.
const FORGETS: Duration = Duration::from_secs(4);
/// Foreign sessions on each server that sleep, and those that are in a statement.
const SLEEPERS: usize = 92;
const WORKERS: usize = 8;
/// The budget of one exporter.
const BUDGET: usize = 12;

fn start_servers() -> Vec<Server> {
    let args = ["--max-connections=600"];
    let accounts = || vec![Account::canary().with_process_privilege()];
    let mariadb =
        || MariaDb::start(MariaDbOptions { accounts: accounts(), ..MariaDbOptions::with_args(&args) });
    let mysql =
        || MySql97::start(MySql97Options { accounts: accounts(), ..MySql97Options::with_args(&args) });
    std::thread::scope(|scope| {
        let starting = [scope.spawn(mariadb), scope.spawn(mariadb), scope.spawn(mysql), scope.spawn(mysql)];
        starting.map(|server| server.join().expect("the server starts")).into()
    })
}

/// The sum of a counter over several exporters.
fn total(exporters: &[Exporter<'_>], name: &str, labels: &[(&str, &str)]) -> f64 {
    exporters.iter().map(|exporter| exporter.metrics().sum(name, labels)).sum()
}

#[test]
fn nobody_elses_session_or_statement_is_touched_behind_a_balancer_that_forgets() {
    raise_file_limit(12_000);
    let servers = start_servers();
    let addresses: Vec<_> = servers.iter().map(Server::addr).collect();
    let foreign = Foreign::start(&addresses, SLEEPERS, WORKERS);
    let before = foreign.wait_for_all();
    let pairs = [[0, 1], [2, 3], [0, 2]];
    let balancers = pairs.map(|pair| Balancer::over(pair.map(|server| addresses[server]).to_vec(), FORGETS));
    let mut exporters = Vec::new();
    for balancer in balancers.iter().chain(&balancers) {
        let launch = Launch::at(&balancer.addr().to_string()).ages("2s,3s,5s,7s,10s");
        exporters.push(launch.args(&["--canary.probe-timeout=1s"]).start());
    }
    let (begun, mut most) = (Instant::now(), 0);
    let silent_deaths = || total(&exporters, "stall_seconds_count", &[]);
    // Where the machine is busy, it takes longer until enough has happened.
    while begun.elapsed() < duration() || silent_deaths() < ENOUGH_DEATHS && begun.elapsed() < LONGEST {
        let ours: usize = servers
            .iter()
            .map(|server| server.processlist().iter().filter(|row| row.user == "canary").count())
            .sum();
        most = most.max(ours.saturating_sub(before));
        std::thread::sleep(Duration::from_millis(500));
    }
    let lives = total(&exporters, "lives_total", &[]);
    let silent = silent_deaths();
    let kills = |outcome: &str| total(&exporters, "ghost_kills_total", &[("outcome", outcome)]);
    let outcomes = ["killed", "refused", "unproven", "forbidden"].map(|outcome| (outcome, kills(outcome)));
    let ghosts = total(&exporters, "ghost_sessions", &[]);
    let logs: String = exporters.iter().map(Exporter::log).collect();
    for exporter in &mut exporters {
        let (status, _) = exporter.terminate();
        assert!(status.success());
    }
    let told = foreign.end();
    let com_kill: i64 = servers.iter().map(|server| server.status("Com_kill")).sum();
    println!(
        "{:.0} s: foreign sessions {before} before, {} after, {} opened in all; foreign statements {} finished; \
         lives {lives}, silent deaths {silent}; Com_kill {com_kill}; ghosts by outcome {outcomes:?}, {ghosts} left; \
         at most {most} sessions of the exporters on the servers",
        begun.elapsed().as_secs_f64(),
        told.alive,
        told.opened,
        told.finished
    );
    assert!(silent >= ENOUGH_DEATHS && told.finished > 50, "something happened:\n{logs}");
    assert_eq!(
        told.harmed,
        Vec::<String>::new(),
        "foreign sessions and statements that were touched:\n{logs}"
    );
    assert_eq!(told.alive, before);
    // Nobody else kills here. Where servers answer in turn, next to nothing can be proved.
    assert_eq!(com_kill as f64, outcomes[0].1 + outcomes[1].1, "each KILL is counted:\n{logs}");
    // A foreign session that is renewed may be seen twice.
    assert!(most <= exporters.len() * BUDGET + 2 * servers.len(), "{most} sessions:\n{logs}");
}

#[test]
fn behind_a_balancer_of_one_server_the_dead_are_proved_to_be_ours_without_any_privilege() {
    let mariadb = MariaDb::start(MariaDbOptions::default());
    let mysql = MySql97::start(MySql97Options::default());
    for server in [&mariadb, &mysql] {
        let balancer = Balancer::over(vec![server.addr()], FORGETS);
        let launch = Launch::at(&balancer.addr().to_string()).ages("2s,5s");
        let exporter = launch.args(&["--canary.probe-timeout=1s", "--canary.max-connections=4"]).start();
        exporter.wait_for_metrics("a ghost that is killed", Duration::from_secs(25), |page| {
            page.sum("ghost_kills_total", &[("outcome", "killed")]) >= 1.0
        });
        let page = exporter.metrics();
        let killed = page.sum("ghost_kills_total", &[("outcome", "killed")]);
        assert_eq!(page.sum("ghost_kills_total", &[]), killed, "{}", exporter.log());
        assert!(server.status("Com_kill") as f64 >= killed);
    }
}
