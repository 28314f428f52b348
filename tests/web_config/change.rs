//! Files that change while the exporter runs.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{NAMES, Pages, TLS};
use crate::exporter::Page;
use crate::lab::{Authority, Curl};

/// What the pages say of the newest reading.
#[track_caller]
fn last_reading(curl: &Curl) -> f64 {
    let seen = curl.get("/metrics");
    assert_eq!(seen.status, 200, "{seen}");
    Page::parse(seen.text.split_once("\r\n\r\n").expect("a head").1)
        .one("exporter_web_config_last_reload_successful", &[])
}

#[test]
fn a_replaced_certificate_is_served_on_the_next_connection() {
    let pages = Pages::start(TLS);
    let new = Authority::new();
    new.sign("server", NAMES, 30);
    let (old_client, new_client) = (pages.https(), Curl::https(pages.address(), &new.file("ca.pem")));
    for round in 0..4 {
        assert_eq!(last_reading(&old_client), 1.0);
        assert_eq!(new_client.get("/").exit, 60, "round {round}: it is not served yet");
        // First one file, then the other: between the two they do not fit.
        let copy = |name: &str, from: &Authority| {
            pages.authority.write(name, &fs::read_to_string(from.file(name)).expect("it is there"));
        };
        let kept = ["server.pem", "server-key.pem"]
            .map(|name| (name, fs::read_to_string(pages.authority.file(name)).expect("it is there")));
        copy("server.pem", &new);
        assert_eq!(last_reading(&old_client), 0.0, "round {round}: what was good stays, and it is told");
        copy("server-key.pem", &new);
        let seen = new_client.get("/");
        assert_eq!(seen.status, 200, "round {round}: {seen}");
        assert_eq!(last_reading(&new_client), 1.0);
        assert_eq!(old_client.get("/").exit, 60, "round {round}: it is served no more");
        for (name, text) in kept {
            pages.authority.write(name, &text);
        }
    }
    let wrong = pages.exporter.events("web_config_not_read");
    assert!(wrong.len() >= 4, "{wrong:?}");
    let message = wrong[0]["msg"].as_str().unwrap_or_default();
    assert!(
        message.contains(
            "web.yml:3:13: tls_server_config.key_file: what is given here holds a key that does not fit"
        ),
        "{message}"
    );
}

/// Overwritten in place, as an editor does, and by a link that leads elsewhere, as Kubernetes does.
#[test]
fn however_a_file_is_changed_it_is_seen() {
    let pages = Pages::start("http_server_config: {headers: {X-Frame-Options: deny}}\n");
    let curl = Curl::http(pages.address());
    let header = || curl.get("/").header("x-frame-options").map(str::to_owned);
    assert_eq!(header().as_deref(), Some("deny"));
    let file = pages.authority.file("web.yml");
    for round in 0..20 {
        let (value, other) = if round % 2 == 0 { ("sameorigin", "deny") } else { ("deny", "sameorigin") };
        // As long as what stood there before, and within the same tick of the file system's clock.
        let line = |value: &str| {
            format!("http_server_config: {{headers: {{X-Frame-Options: {value}}}}}\n#{other}\n")
        };
        fs::write(&file, line(value)).expect("the directory is ours");
        assert_eq!(header().as_deref(), Some(value), "round {round}");
    }
    for (name, value) in [("..one", "deny"), ("..two", "sameorigin")] {
        fs::create_dir(pages.authority.file(name)).expect("it is new");
        let text = format!("http_server_config: {{headers: {{X-Frame-Options: {value}}}}}\n");
        fs::write(pages.authority.file(name).join("web.yml"), text).expect("the directory is ours");
    }
    let link = |to: &str| {
        let new = pages.authority.file("..data.new");
        std::os::unix::fs::symlink(to, &new).expect("it is new");
        fs::rename(new, pages.authority.file("..data")).expect("the directory is ours");
    };
    link("..one");
    fs::remove_file(&file).expect("the directory is ours");
    std::os::unix::fs::symlink("..data/web.yml", &file).expect("it is new");
    assert_eq!(header().as_deref(), Some("deny"));
    link("..two");
    assert_eq!(header().as_deref(), Some("sameorigin"));
}

/// An editor empties a file and writes it again, a copy is cut: while it is half there, nobody gets in who did not before.
#[test]
fn a_half_written_file_lets_nobody_in() {
    let users = format!(
        "http_server_config: {{headers: {{X-Frame-Options: deny}}}}\nbasic_auth_users:\n  dave: {}\n",
        super::hash("dave123", 4)
    );
    let pages = Pages::start(&users);
    let curl = Curl::http(pages.address());
    let file = pages.authority.file("web.yml");
    let shut = |seconds: u64, what: &str| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            assert_eq!(curl.get("/metrics").status, 401, "{what}");
            sleep(Duration::from_millis(100));
        }
    };
    let cut = users.find("  dave").expect("it stands there");
    // In place, as an editor does.
    for half in [0, cut, users.len() - 30] {
        for _ in 0..4 {
            fs::write(&file, &users[..half]).expect("the directory is ours");
            shut(1, "half is there, and it is written on");
        }
        // What is bad after it is no reason to believe it.
        fs::write(&file, "basic_auth_users: [").expect("the directory is ours");
        shut(4, "it is bad");
        fs::write(&file, &users).expect("the directory is ours");
        assert_eq!(curl.clone().logged_in("dave:dave123").get("/metrics").status, 200);
        shut(1, "it is whole");
    }
    assert_eq!(pages.exporter.events("web_config_waits").len() / 2, 4, "{:?}", pages.exporter.log());
    // Who means it waits a little.
    let begun = Instant::now();
    pages.authority.write("web.yml", "");
    while curl.get("/metrics").status == 401 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is never believed");
        sleep(Duration::from_millis(200));
    }
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    let told = pages.exporter.events("web_config_read");
    let last = told.last().expect("it is told");
    assert_eq!(
        (last["level"].as_str(), last["users"].as_u64(), last["client_auth_type"].as_str()),
        (Some("WARN"), Some(0), Some("")),
        "{last}"
    );
}

#[test]
fn a_file_that_goes_bad_changes_nothing_and_is_told_once() {
    let pages = Pages::start(TLS);
    let good = fs::read_to_string(pages.authority.file("web.yml")).expect("it is there");
    for (bad, words) in [
        ("tls_server_config: [", "a [ or { that is not closed"),
        ("", "TLS cannot be switched off while the exporter runs: restart it"),
        ("tls_server_config: {cert_file: gone.pem, key_file: server-key.pem}\n", "No such file or directory"),
        ("basic_auth_users: {alice: hunter2-in-disguise}\n", "basic_auth_users.alice: not a bcrypt hash"),
    ] {
        let before = pages.exporter.events("web_config_not_read").len();
        pages.authority.write("web.yml", bad);
        for _ in 0..5 {
            assert_eq!(last_reading(&pages.https()), 0.0, "{bad}");
        }
        let told = pages.exporter.events("web_config_not_read");
        assert_eq!(told.len(), before + 1, "{bad}: {told:?}");
        let message = told[before]["msg"].as_str().unwrap_or_default();
        assert!(message.contains(words) && !message.contains("hunter2"), "{message}");
    }
    fs::remove_file(pages.authority.file("web.yml")).expect("it is there");
    assert_eq!(last_reading(&pages.https()), 0.0);
    pages.authority.write("web.yml", &good);
    assert_eq!(last_reading(&pages.https()), 1.0);
    // Nor on, where there was none.
    let plain = Pages::start("");
    plain.authority.write("web.yml", TLS);
    assert_eq!(last_reading(&Curl::http(plain.address())), 0.0);
}
