//! Every loop broken, one by one and in every way, by the failpoints of a debug build.

use super::{
    Duration, Exporter, Launch, Loop, MariaDb, MariaDbOptions, PrivateDir, SOON, Server, unready, wait_for,
    wait_until_gone, wait_until_ready,
};

/// When the loop breaks, after the start: by then all of them are well, however many start at once.
const STRIKE: Duration = Duration::from_secs(8);

/// An exporter that will break, on a server that ends idle sessions after three seconds.
fn launch(server: &Server, dir: &PrivateDir, name: Loop, mode: &str) -> Exporter<'static> {
    let state = format!("--state.file={}", dir.path().join("state.json").display());
    Launch::on(server)
        .ages("1s,60s")
        .args(&["--mysql.tls-mode=disabled", "--canary.max-connections=4", &state])
        .env("MYSQL_CANARY_FAILPOINT", &format!("{}:{mode}:{}", name.label(), STRIKE.as_millis()))
        .start()
}

fn failed_rounds(exporter: &Exporter<'_>, name: Loop) -> f64 {
    exporter.metrics().sum("failed_rounds_total", &[("loop", name.label())])
}

/// A round that panics is counted and told, and soon all is well: deaths are judged as before.
fn recovers(server: &Server, name: Loop) {
    let dir = PrivateDir::new();
    let mut exporter = launch(server, &dir, name, "round");
    wait_until_ready(&exporter);
    assert_eq!(failed_rounds(&exporter, name), 0.0, "born at zero");
    exporter.wait_for_events("round_failed", 1, STRIKE * 3);
    wait_for(&format!("the recovery of {name:?}"), SOON * 4, || unready(&exporter).is_none().then_some(()));
    assert_eq!(failed_rounds(&exporter, name), 1.0);
    let deaths = || exporter.metrics().sum("deaths_total", &[("culprit", "server_idle_timeout")]);
    let before = deaths();
    wait_for(&format!("a death that is judged after the fault of {name:?}"), Duration::from_secs(40), || {
        (deaths() > before).then_some(())
    });
    assert_eq!(exporter.terminate().0.code(), Some(0));
}

/// A loop that is gone takes the process with it.
fn ends(server: &Server, name: Loop, mode: &str) {
    let dir = PrivateDir::new();
    let mut exporter = launch(server, &dir, name, mode);
    wait_until_ready(&exporter);
    let told = if name == Loop::Log { "listening" } else { "loop_ended" };
    let told = exporter.wait_for_events(told, 1, STRIKE * 3);
    // The thread that ended cannot tell that it did.
    let limit = if name == Loop::Log { STRIKE + SOON * 2 } else { SOON };
    let status = exporter.wait_for_end(limit);
    assert_eq!(status.code(), Some(1), "{name:?} {mode}: {}", exporter.log());
    assert_eq!(told.len(), 1, "one line: {told:?}");
    if name != Loop::Log {
        assert_eq!(told[0]["loop"], name.label(), "{told:?}");
    }
}

/// A loop that stands still is told by the page of readiness, while the process lives.
fn is_told(server: &Server, name: Loop) {
    let dir = PrivateDir::new();
    let mut exporter = launch(server, &dir, name, "hang");
    wait_until_ready(&exporter);
    let reason =
        wait_for(&format!("the word that {name:?} is stuck"), STRIKE + SOON * 2, || unready(&exporter));
    let of = match name {
        Loop::State => "",
        Loop::ServerView | Loop::Headroom => " of default",
        _ => " of default/default",
    };
    assert!(reason.contains(&format!("loop {}{of}: stuck", name.label())), "{reason}");
    assert_eq!(exporter.get("/-/healthy").status, 200);
    if name == Loop::State {
        // As where its file system stands still.
        let (status, took) = exporter.terminate();
        assert_eq!(status.code(), Some(0), "{}", exporter.log());
        assert!(took < Duration::from_millis(2600), "it took {took:?}");
        return;
    }
    if name == Loop::Prober {
        let last = exporter.metrics().one("prober_last_event_timestamp_seconds", &[]);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        assert!(now.as_secs_f64() - last > 1.5, "{last}");
    }
}

/// Which loops have a session that they cannot end once they are gone.
const WITH_SESSIONS: [Loop; 2] = [Loop::Prober, Loop::ServerView];
/// Which have a pulse of their own.
const WITH_PULSE: [Loop; 6] =
    [Loop::Prober, Loop::Witness, Loop::ServerView, Loop::Diagnosis, Loop::Headroom, Loop::State];

#[test]
fn whichever_loop_breaks_the_exporter_recovers_or_ends_and_is_never_green_and_blind() {
    let options = || MariaDbOptions::with_args(&["--wait-timeout=3", "--max-connections=500"]);
    let (careful, careless) = (MariaDb::start(options()), MariaDb::start(options()));
    std::thread::scope(|scope| {
        let (careful, careless): (&Server, &Server) = (&careful, &careless);
        for name in Loop::WITH_ROUNDS {
            scope.spawn(move || recovers(careless, name));
        }
        for name in WITH_PULSE {
            scope.spawn(move || is_told(careless, name));
        }
        for name in Loop::ALL.into_iter().filter(|name| *name != Loop::Canary) {
            let server = if WITH_SESSIONS.contains(&name) { careless } else { careful };
            for mode in ["panic", "return"] {
                scope.spawn(move || ends(server, name, mode));
            }
        }
    });
    wait_until_gone(&careful);
}
