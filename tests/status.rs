//! `/api/v1/status`: every document fits its schema, in every state of a path; what it says is what the metrics say; and
//! it is answered at once, whatever the servers do.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::exporter::{Exporter, Launch};
use crate::lab::{MariaDb, MariaDbOptions, Peer};
use crate::schema::Schema;

/// The document now, held against its schema.
#[track_caller]
fn document(exporter: &Exporter<'_>, schema: &Schema) -> Value {
    let response = exporter.get("/api/v1/status");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    let document = serde_json::from_str(&response.body).expect("a document is JSON");
    schema.check(&document);
    document
}

/// Asks again until the path of the only target is as wanted; every document on the way fits the schema.
#[track_caller]
fn wait_for_path(
    exporter: &Exporter<'_>,
    schema: &Schema,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let begun = Instant::now();
    loop {
        let path = document(exporter, schema)["targets"][0]["paths"][0].clone();
        if wanted(&path) {
            return path;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain for {what}: {path:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the document says of one kind's limit.
fn limit<'a>(path: &'a Value, kind: &str) -> &'a Value {
    let limits = path["limits"].as_array().expect("a list");
    limits.iter().find(|limit| limit["kind"] == kind).unwrap_or(&Value::Null)
}

#[test]
fn a_path_is_told_from_its_first_canary_to_its_verdict_as_the_metrics_tell_it() {
    let server = MariaDb::start(MariaDbOptions::with_args(&["--wait-timeout=5"]));
    let schema = Schema::of("status.schema.json");
    let exporter =
        Launch::on(&server).ages("2s,4s,8s").args(&["--pool=name=api,user=api,framework=sqlalchemy"]).start();
    let path = wait_for_path(&exporter, &schema, "canaries that are held", |path| {
        path["canaries"].as_array().is_some_and(|all| all.iter().any(|canary| canary["phase"] == "held"))
    });
    assert!(path.get("killer").is_none() && limit(&path, "idle").get("upper_seconds").is_none(), "{path:#}");
    let foretold = wait_for_path(&exporter, &schema, "what is foretold", |path| {
        path["foretold"]["setting"] == "session_wait_timeout"
    });
    let rules: Vec<&Value> =
        foretold["foretold"]["mismatches"].as_array().expect("a list").iter().map(|of| &of["rule"]).collect();
    assert_eq!(rules, ["pool_never_recycles"]);

    let is_judged = |path: &Value| {
        let holding = path["mismatches"].as_array().expect("a list");
        holding.iter().any(|of| of["rule"] == "pool_never_recycles" && of["holds"] == true)
    };
    // The report of a path and what is concluded from it are published one after the other.
    let path = wait_for_path(&exporter, &schema, "a confirmed limit", |path| {
        limit(path, "idle")["confirmed"] == true
            && path["killer"]["culprit"] == "server_idle_timeout"
            && is_judged(path)
    });
    assert_eq!(path["standing"], "ill");
    assert!(path.get("foretold").is_none(), "what is measured is not foretold: {path:#}");
    let upper = limit(&path, "idle")["upper_seconds"].as_f64().expect("a number");
    assert!((upper - 5.0).abs() < 0.5, "{upper}");
    let short = path["verdict"]["short"].as_str().expect("words");
    assert!(short.starts_with("Sessions on path default die of idleness: "), "{short}");
    assert!(short.contains("The server does it, by its wait_timeout"), "{short}");
    let holding = path["mismatches"].as_array().expect("a list");
    let never = holding.iter().find(|of| of["rule"] == "pool_never_recycles" && of["holds"] == true);
    let told = never.expect("the pool never recycles")["words"].as_str().expect("words");
    exporter.wait_for_events("mismatch", 1, Duration::from_secs(20));
    let logged = exporter.events("mismatch");
    assert!(
        logged.iter().any(|event| {
            event["rule"] == "pool_never_recycles"
                && event["msg"].as_str().is_some_and(|msg| msg.starts_with("pool api never recycles"))
        }),
        "the log says {told:?} too: {logged:?}"
    );
    let death = &path["deaths"][0];
    for key in ["rule", "thread_id", "culprit", "ending", "age_seconds", "at"] {
        assert!(death.get(key).is_some(), "a death has its {key}: {death:#}");
    }
    let deaths = exporter.events("death");
    let told: Vec<&Value> =
        path["deaths"].as_array().expect("a list").iter().map(|of| &of["thread_id"]).collect();
    let logged: Vec<&Value> = deaths.iter().map(|event| &event["thread_id"]).collect();
    assert!(told.iter().all(|id| logged.contains(id)), "told: {told:?}, logged: {logged:?}");

    // The numbers of the metrics: both read until neither has moved in between.
    let begun = Instant::now();
    loop {
        let before = exporter.metrics();
        let path = document(&exporter, &schema)["targets"][0]["paths"][0].clone();
        let page = exporter.metrics();
        let limit = limit(&path, "idle");
        let pairs = [
            ("idle_limit_lower_seconds", &limit["lower_seconds"]),
            ("idle_limit_upper_seconds", &limit["upper_seconds"]),
        ];
        let idle = [("kind", "idle")];
        let moved = pairs.iter().any(|(name, _)| before.values(name, &idle) != page.values(name, &idle));
        if !moved {
            for (name, told) in pairs {
                let (metric, told) = (page.one(name, &idle), told.as_f64().expect("a number"));
                assert!((metric - told).abs() <= 0.0011, "{name}: {metric}, and the document says {told}");
            }
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the limit moves without end");
    }
}

#[test]
fn a_server_that_is_stopped_is_told_and_holds_no_answer_up() {
    let server = MariaDb::start(MariaDbOptions::default());
    let schema = Schema::of("status.schema.json");
    let exporter = Launch::on(&server).ages("1s,2s").start();
    wait_for_path(&exporter, &schema, "a sound path", |path| path["standing"] == "sound");
    server.sigstop();
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let begun = Instant::now();
        document(&exporter, &schema);
        slowest = slowest.max(begun.elapsed());
    }
    server.sigcont();
    assert!(slowest < Duration::from_secs(1), "an answer took {slowest:?} while the server stood still");
}

#[test]
fn what_cannot_be_reached_is_told_with_its_stage_and_what_to_do() {
    let schema = Schema::of("status.schema.json");
    let exporter = Launch::at(&Peer::refusing().to_string()).start();
    let path = wait_for_path(&exporter, &schema, "the trouble", |path| path["standing"] == "unreachable");
    assert_eq!(path["trouble"]["stage"], "tcp");
    let words = path["trouble"]["words"].as_str().expect("words");
    assert!(words.contains("refused"), "{words}");
    assert!(path.get("reach_seconds").is_none() && path.get("measuring_since").is_none(), "{path:#}");
    let all = document(&exporter, &schema);
    assert!(all["targets"][0].get("server").is_none(), "nothing is known of the server: {all:#}");
}

#[test]
fn one_target_is_told_alone_and_one_that_is_not_there_is_404() {
    let exporter = Launch::at(&Peer::refusing().to_string()).start();
    let one = exporter.get("/api/v1/status?target=default");
    assert_eq!(one.status, 200);
    let one: Value = serde_json::from_str(&one.body).expect("JSON");
    Schema::of("status.schema.json").check(&one);
    assert_eq!(one["targets"][0]["target"], "default");
    let none = exporter.get("/api/v1/status?target=%3Cscript%3E");
    assert_eq!(
        (none.status, none.body.as_str()),
        (404, "no target of that name is configured; there are: default\n")
    );
    assert_eq!(none.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(exporter.ask("POST", "/api/v1/status").status, 405);
}
