//! The JSON that others read has the shape that its schema in docs/ says, and another shape has another version.

use std::collections::BTreeSet;

use mysql_canary_exporter::check::{self, Connections, Outcome, Report};
use mysql_canary_exporter::domain::conduct::sight::Sight;
use mysql_canary_exporter::domain::conduct::suspension::Suspension;
use mysql_canary_exporter::domain::culprit::{Culprit, Layer};
use mysql_canary_exporter::domain::layers::pool::Framework;
use mysql_canary_exporter::domain::layers::{Clock, Source};
use mysql_canary_exporter::domain::life::ending::Ending;
use mysql_canary_exporter::domain::life::kind::Kind;
use mysql_canary_exporter::domain::life::stage::Stage;
use mysql_canary_exporter::domain::mismatch::Rule;
use mysql_canary_exporter::domain::verdict::{Setting, Standing};
use mysql_canary_exporter::prober::Phase;
use mysql_canary_exporter::status::{self, *};
use serde_json::{Value, json};

use crate::schema::{Schema, text};

/// Each version that a shape had, with the sum of its schema.
const VERSIONS: [(&str, &str, u64); 2] = [
    ("status.schema.json", SCHEMA_VERSION, 10447851259913633082),
    ("check.schema.json", check::SCHEMA_VERSION, 2419861167668727026),
];

/// A schema without what is only said of it.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(name, of)| !(*name == "description" && of.is_string()))
            .map(|(name, of)| (name.clone(), shape(of)))
            .collect(),
        Value::Array(list) => list.iter().map(shape).collect(),
        other => other.clone(),
    }
}

/// FNV-1a.
fn sum(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn another_shape_has_another_version() {
    for (name, version, expected) in VERSIONS {
        let schema = text(name);
        assert_eq!(schema["properties"]["schema_version"]["const"], version, "docs/{name}");
        assert!(schema["$id"].as_str().is_some_and(|id| id.ends_with(&format!(":{version}"))), "docs/{name}");
        let now = sum(&shape(&schema).to_string());
        assert_eq!(
            now, expected,
            "docs/{name} has another shape than version {version} has: give it the next version (the second number \
             for what is added, the first for what is changed or taken away), and note its sum {now} here"
        );
    }
}

fn limit(kind: Kind) -> Limit {
    Limit {
        kind: kind.label(),
        lower_seconds: Some(4.0),
        upper_seconds: Some(5.0),
        exact: Some(true),
        confirmed: Some(true),
        share: Some(1.0),
        spread_to_seconds: Some(6.0),
        evidence_age_seconds: Some(1.0),
    }
}

fn words() -> String {
    "words".to_owned()
}

/// A document in which everything is known, and every word of a closed set is said.
fn full() -> Document {
    let mismatch =
        |rule: Rule| Mismatch { rule: rule.label(), pool: Some(words()), holds: true, words: Some(words()) };
    let path = |standing: Standing| PathDocument {
        path: words(),
        address: words(),
        standing: standing.label(),
        measuring_since: Some(1.8e9),
        reach_seconds: Some(4.0),
        ladder_survived: false,
        trouble: Some(Trouble {
            stage: Stage::Dns.label(),
            words: words(),
            error_code: Some(1045),
            age_seconds: 1.0,
        }),
        suspended: Suspension::ALL.map(Suspension::label).to_vec(),
        canaries: Phase::ALL
            .map(|phase| Canary {
                kind: Kind::Idle.label(),
                phase: phase.label(),
                idle_seconds: Some(1.0),
                aim_seconds: 4.0,
            })
            .to_vec(),
        lives: vec![LivesOfAge {
            kind: Kind::Idle.label(),
            from_seconds: 4.0,
            to_seconds: 4.1,
            survived: 1,
            deaths: vec![DeathsOfAge { culprit: Culprit::Unknown.label(), count: 1 }],
        }],
        limits: Kind::ALL.map(limit).to_vec(),
        server_limits: vec![ServerLimit { identity: Some(words()), limit: limit(Kind::Idle) }],
        identities: vec![words()],
        killer: Some(Killer {
            culprit: Culprit::Unknown.label(),
            layer: Layer::Unknown.label(),
            ending: Ending::Fin.label(),
            suspect: words(),
        }),
        remedies: Remedies { tcp_keepalive: Some(true), app_ping: Some(true) },
        recommended_recycle_seconds: Some(3.0),
        layers: Layer::ALL
            .iter()
            .zip(Clock::ALL.iter().cycle())
            .zip(Source::ALL.iter().cycle())
            .map(|((layer, clock), source)| status::Layer {
                layer: layer.label(),
                setting: words(),
                seconds: 5.0,
                clock: clock.label(),
                source: source.label(),
            })
            .collect(),
        mismatches: Rule::ALL.map(mismatch).to_vec(),
        foretold: Some(Foretold {
            setting: words(),
            layer: Layer::Server.label(),
            seconds: 5.0,
            words: words(),
            mismatches: vec![mismatch(Rule::PoolNeverRecycles)],
        }),
        devices: vec![Device {
            device: words(),
            layer: Layer::Network.label(),
            idle_timeout_seconds: 60.0,
            words: words(),
        }],
        at_risk: Some(vec![RiskOfUser {
            user: words(),
            sessions: 1,
            severity: "warning",
            tense: "will_fail",
        }]),
        left_behind: Some(vec![LeftBehind { user: words(), sessions: 1 }]),
        held_past_recycle: Some(vec![HeldPastRecycle { pool: words(), user: words(), sessions: 1 }]),
        deaths: Culprit::ALL
            .iter()
            .zip(Ending::ALL.iter().cycle())
            .map(|(culprit, ending)| Death {
                at: 1.8e9,
                kind: Kind::Idle.label(),
                age_seconds: 5.0,
                exact: true,
                ending: ending.label(),
                culprit: culprit.label(),
                layer: culprit.layer().label(),
                rule: Some("a rule"),
                thread_id: Some(7),
                error_code: Some(4031),
                stall_seconds: Some(1.0),
            })
            .collect(),
        verdict: Some(Verdict {
            sound: false,
            short: words(),
            sentences: vec![words()],
            suspects: vec![words()],
            settings: vec![Setting { place: "kernel", line: words(), why: words() }],
        }),
    };
    let target = |sight: Sight| TargetDocument {
        target: words(),
        standing: Standing::Ill.label(),
        server: Some(Server {
            flavor: "mariadb",
            version: Some(words()),
            started_at: Some(1.8e9),
            view_age_seconds: 1.0,
            threads_connected: Some(1.0),
            max_connections: Some(151.0),
            sight: Some(sight.label()),
        }),
        sessions: Some(vec![UserSessions {
            user: words(),
            sessions: 2,
            asleep: Some(1),
            longest_idle_seconds: Some(30.0),
            idle: vec![IdleAtLeast { at_least_seconds: 25.0, sessions: 1 }],
        }]),
        pools: Framework::ALL
            .map(|framework| Pool {
                pool: words(),
                user: Some(words()),
                framework: framework.label(),
                words: words(),
            })
            .to_vec(),
        rungs_seconds: vec![4.0],
        paths: Standing::ALL.map(path).to_vec(),
    };
    Document {
        schema_version: SCHEMA_VERSION,
        exporter_version: env!("CARGO_PKG_VERSION"),
        generated_at: 1.8e9,
        targets: Sight::ALL.map(target).to_vec(),
    }
}

/// The names of everything in a document.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, of) in map {
                found.insert(name.clone());
                names(of, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|of| names(of, found)),
        _ => {}
    }
}

/// The names that a schema allows.
fn allowed(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get("properties") {
                found.extend(properties.keys().cloned());
            }
            map.values().for_each(|of| allowed(of, found));
        }
        Value::Array(list) => list.iter().for_each(|of| allowed(of, found)),
        _ => {}
    }
}

#[test]
fn the_schema_allows_what_is_told_and_nothing_that_is_never_told() {
    let schema = Schema::of("status.schema.json");
    let document = serde_json::to_value(full()).expect("a document is JSON");
    schema.check(&document);
    let (mut told, mut may_be_told) = (BTreeSet::new(), BTreeSet::new());
    names(&document, &mut told);
    allowed(&text("status.schema.json"), &mut may_be_told);
    assert_eq!(told, may_be_told, "left: told, right: in the schema");
}

#[test]
fn every_word_of_a_closed_set_is_in_the_schema_and_no_other() {
    let definitions = &text("status.schema.json")["$defs"];
    let listed = |name: &str| -> Vec<String> {
        let words = definitions[name]["enum"].as_array().expect("a closed set");
        words.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    assert_eq!(listed("standing"), Standing::ALL.map(Standing::label));
    assert_eq!(listed("kind"), Kind::ALL.map(Kind::label));
    assert_eq!(listed("ending"), Ending::ALL.map(Ending::label));
    assert_eq!(listed("culprit"), Culprit::ALL.map(Culprit::label));
    assert_eq!(listed("layer"), Layer::ALL.map(Layer::label));
    assert_eq!(listed("rule"), Rule::ALL.map(Rule::label));
}

#[test]
fn what_is_not_known_is_refused_as_null_and_what_nobody_declared_is_refused() {
    let schema = Schema::of("status.schema.json");
    let good = serde_json::to_value(full()).expect("a document is JSON");
    for (pointer, wrong) in [
        ("/targets/0/server", Value::Null),
        ("/targets/0/paths/0/reach_seconds", Value::Null),
        ("/targets/0/paths/0/limits/0/upper_seconds", json!("5s")),
        ("/targets/0/paths/0/standing", json!("fine")),
        ("/schema_version", json!("2.0")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect("it is there") = wrong;
        assert!(schema.fits(&bad).is_err(), "{pointer}");
    }
    let mut bad = good;
    bad["targets"][0]["surprise"] = json!(1);
    assert!(schema.fits(&bad).is_err(), "a name that is not in the schema");
}

#[test]
fn the_schema_of_check_allows_what_it_prints_and_nothing_that_is_never_printed() {
    let schema = Schema::of("check.schema.json");
    let (mut told, mut may_be_told) = (BTreeSet::new(), BTreeSet::new());
    for outcome in Outcome::ALL {
        let report = Report {
            schema_version: check::SCHEMA_VERSION,
            exporter_version: env!("CARGO_PKG_VERSION"),
            outcome,
            exit_code: outcome.exit_code(),
            sure: true,
            summary: words(),
            max_age_seconds: 600.0,
            took_seconds: 1.0,
            connections: Connections { allowed: 24, held: 3, bounded_by: Some(words()) },
            not_tested: vec![words()],
            target: full().targets.into_iter().next(),
        };
        let report = serde_json::to_value(report).expect("a report is JSON");
        schema.check(&report);
        let Value::Object(own) = &report else { panic!("a report is an object") };
        told.extend(own.keys().cloned());
        told.extend(["allowed", "held", "bounded_by"].map(str::to_owned));
    }
    allowed(&text("check.schema.json"), &mut may_be_told);
    assert_eq!(told, may_be_told, "left: printed, right: in the schema");
}
