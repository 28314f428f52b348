//! Prometheus, Alertmanager and the webhook, on a lamp that is switched on and off.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::lab::place::PrivateDir;
use crate::lab::prometheus::JOB;
use crate::lab::webhook::Notice;
use crate::lab::{Alertmanager, Firewall, FirewallOptions, Prometheus, PrometheusOptions, Webhook};

const PATIENCE: Duration = Duration::from_secs(30);

/// A page with one metric: `lamp`, 1 while `on` is true. It is served until the test lets go of `on`.
fn lamp(on: &Arc<AtomicBool>) -> SocketAddr {
    let on = Arc::clone(on);
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    listener.set_nonblocking(true).expect("a listener can be asked not to block");
    thread::spawn(move || {
        while Arc::strong_count(&on) > 1 {
            let Ok((mut stream, _)) = listener.accept() else {
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            stream.set_nonblocking(false).expect("a stream can be asked to block");
            let _ = stream.read(&mut [0; 1024]);
            let body = format!("lamp {}\n", u8::from(on.load(Ordering::Relaxed)));
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

#[test]
fn prometheus_scrapes_and_answers() {
    let on = Arc::new(AtomicBool::new(true));
    let dir = PrivateDir::new();
    let rules = dir.path().join("rules.yml");
    fs::write(&rules, "groups: [{name: g, rules: [{record: 'lamp:twice', expr: 'lamp * 2'}]}]")
        .expect("the private directory is writable");
    let lamp = lamp(&on);
    let prometheus = Prometheus::start(PrometheusOptions {
        targets: vec![(lamp, vec![("room".to_owned(), "a \"b\"".to_owned())])],
        rules: vec![rules],
        ..PrometheusOptions::scraping(lamp)
    });
    let answer =
        prometheus.wait_for_query("lamp:twice{room='a \"b\"'} > 1", PATIENCE, |found| !found.is_empty());
    assert_eq!((answer[0].value, answer[0].labels["job"].as_str()), (2.0, JOB));
    on.store(false, Ordering::Relaxed);
    prometheus.wait_for_query("sum(lamp)", PATIENCE, |found| found[0].value == 0.0);

    let rules = prometheus.rules();
    assert_eq!((rules[0]["name"].as_str(), rules[0]["health"].as_str()), (Some("lamp:twice"), Some("ok")));
    let lamps = prometheus.series("{__name__=~'lamp.*'}");
    assert!(lamps.len() == 2 && lamps.iter().all(|series| series["room"] == "a \"b\""), "{lamps:?}");
    assert_eq!(prometheus.query("vector(1) / 0")[0].value, f64::INFINITY);
    assert_eq!(prometheus.query("lamp[1m]").len(), 1);
    assert_eq!(prometheus.query("7")[0].value, 7.0);
    let error = prometheus.try_query("rate(lamp)").expect_err("a rate wants a range");
    assert!(error.contains("expected type range vector"), "{error}");
}

#[test]
fn alertmanager_tells_the_webhook_of_an_alert_and_of_its_end() {
    let firewall = Firewall::start(FirewallOptions::default());
    let on = Arc::new(AtomicBool::new(true));
    let webhook = Webhook::start(Some(&firewall));
    let alertmanager = Alertmanager::start(Some(&firewall), webhook.addr());
    let dir = PrivateDir::new();
    let rules = dir.path().join("rules.yml");
    let text = "groups: [{name: g, rules: [{alert: Lit, expr: lamp > 0, labels: {severity: info}, \
                annotations: {summary: 'lamp is {{ $value }}', description: see}}]}]";
    fs::write(&rules, text).expect("the private directory is writable");
    let prometheus = Prometheus::start(PrometheusOptions {
        inside: Some(&firewall),
        rules: vec![rules],
        alertmanagers: vec![alertmanager.web()],
        ..PrometheusOptions::scraping(firewall.in_client(|| lamp(&on)))
    });
    let told = |what, status: &str| {
        let find = |notices: &[Notice]| notices.iter().find(|notice| notice.status == status).cloned();
        webhook.wait_for(what, PATIENCE, find, || alertmanager.log())
    };
    let lit = told("the lamp", "firing");
    assert_eq!((lit.alert(), lit.labels["severity"].as_str()), ("Lit", "info"));
    assert_eq!(lit.text(), "lamp is 1\nsee");
    assert_eq!(prometheus.alerts()[0]["state"], "firing");

    on.store(false, Ordering::Relaxed);
    told("the lamp's end", "resolved");
    assert_eq!(webhook.notices().len(), 2, "nothing is told twice: {}", alertmanager.log());
    assert!(prometheus.alerts().is_empty());
}
