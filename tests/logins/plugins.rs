//! Plugins that would have the password said in clear words, or that are not spoken here: nothing is said to anybody who asks
//! for them, in clear, under TLS that nobody verified, and where `--mysql.get-server-public-key` allows the most.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::exporter::Launch;
use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::{Peer, Scene, wire};
use crate::malice::side_by_side;

const ADVICE: &str = "make the account one of caching_sha2_password, mysql_native_password or ed25519";

#[test]
fn no_plugin_has_the_password_said() {
    let mut cases = Vec::new();
    for (plugin, words) in [
        ("mysql_clear_password", "mysql_clear_password, the password in clear words"),
        ("mysql_old_password", "mysql_old_password"),
        ("dialog", "dialog"),
        ("sha256_password", "sha256_password"),
        ("authentication_ldap_sasl_client", "authentication_ldap_sasl_client"),
    ] {
        for (tls, verifying) in [(false, true), (false, false), (true, true), (true, false)] {
            cases.push((plugin, words, tls, verifying));
        }
    }
    side_by_side(cases, |(plugin, words, tls, verifying)| {
        let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
        let hears = Arc::clone(&heard);
        let play = move |scene: Scene| {
            scene.send(&wire::greeting("9.7.0", scene.number));
            let Ok((sequence, _)) = wire::read_packet(&*scene.stream) else { return };
            let ask = [&[0xfe], plugin.as_bytes(), b"\0abcdefghijklmnopqrst\0"].concat();
            scene.send(&wire::packet(sequence.wrapping_add(1), &ask));
            // Until it hangs up.
            let mut said = Vec::new();
            let _ = scene.stream.set_read_timeout(Some(Duration::from_secs(20)));
            let _ = (&*scene.stream).read_to_end(&mut said);
            hears.lock().unwrap_or_else(PoisonError::into_inner).extend(said);
        };
        let peer = if tls { Peer::start_tls(play) } else { Peer::start(play) };
        let launch = Launch::at(&peer.addr().to_string());
        let exporter = if verifying { launch.verifying() } else { launch }.start();
        let failure = exporter.wait_for_events("connect_failed", 1, Duration::from_secs(20)).remove(0);
        let case = format!("{plugin}, TLS {tls}, verifying {verifying}: {failure}");
        assert_eq!(failure["stage"], "auth", "{case}");
        let message = failure["msg"].as_str().expect("a failure has a message");
        assert!(message.contains(words) && message.contains(ADVICE), "{case}");
        drop(exporter);
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        let said = heard.windows(DEFAULT_PASSWORD.len()).any(|words| words == DEFAULT_PASSWORD.as_bytes());
        assert!(!said, "{case}");
    });
}
