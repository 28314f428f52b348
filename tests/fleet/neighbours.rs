//! Two targets that are two names of one server: the canaries of one are no application's on the other, whatever the
//! account, and an application's session stays one.

use std::time::Duration;

use super::file::{ConfigFile, Target};
use super::mariadb;
use crate::exporter::Launch;
use crate::lab::Python;

#[test]
fn two_targets_on_one_server_take_nobody_of_each_other_for_an_application() {
    let server = mariadb(&[]);
    let file = ConfigFile::of(&[
        Target::new("orders", "2s,60s").path("direct", server.addr()),
        Target::new("billing", "2s,60s")
            .path("direct", server.addr())
            .line("auth: {username: app, password_file: password}"),
    ]);
    let port = server.port().to_string();
    let mut application =
        Python::start(&[], "tests/lab/observe.py", &["watch", "60", "--port", &port, "--user", "app"]);
    application.event("connected");
    let exporter = Launch::from_file(&file.path()).start();
    let of_app = [("target", "orders"), ("user", "app")];
    exporter.wait_for_metrics("both targets settled", Duration::from_secs(40), |page| {
        let lives = |target| page.sum("lives_total", &[("target", target)]);
        lives("orders") >= 3.0 && lives("billing") >= 3.0 && page.sum("sessions", &of_app) == 1.0
    });
    // What comes and goes now is theirs alone.
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(500));
        let page = exporter.metrics();
        let held = page.sum("connections", &[("target", "billing")]);
        let sessions = page.sum("sessions", &of_app);
        assert!(sessions <= 1.0, "{sessions} of the application while {held} canaries of billing are held");
    }
    let page = exporter.metrics();
    let ended = page.sum("application_endings_total", &of_app);
    assert!(ended <= 3.0, "{ended} endings, of those alone that went before both had said who they are");
}
