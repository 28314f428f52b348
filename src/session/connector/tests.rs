use std::collections::BTreeMap;

use prometheus::IntCounter;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::domain::limit::ladder::Ladder;
use crate::metrics::Metrics;
use crate::metrics::family::Value;
use crate::session::roster::{Rosters, Rules, TargetRoster};

const PATIENCE: Duration = Duration::from_secs(30);
/// Below the first rest after a refused login: nobody rested.
const AT_ONCE: Duration = Duration::from_secs(14);
const OK: &[u8] = b"\x07\0\0\x02\0\0\0\x02\0\0\0";

/// A connector whose account has the password `old`, and how many connects of it failed.
fn connector(listener: &TcpListener) -> (Connector, impl Fn() -> f64) {
    let metrics = Metrics::new(&Ladder::default()).expect("good names");
    let path = metrics.path("shop", "direct", &[]);
    let aborted = IntCounter::new("count", "count").expect("a good name");
    let roster = TargetRoster::new(aborted, &Rosters::default()).share(Rules {
        path: "direct".to_owned(),
        budget: 10,
        reads_the_view: true,
        kill_ghosts: false,
        kills: BTreeMap::new(),
    });
    let account = Account {
        username: "canary".to_owned(),
        password: Some(Secret::new("old")),
        password_file: None,
        tls_mode: TlsMode::Disabled,
        tls_ca: None,
        tls_identity: None,
        tls_server_name: None,
        get_server_public_key: false,
    };
    let port = listener.local_addr().expect("a listener has an address").port();
    let address = Address { host: "127.0.0.1".to_owned(), port };
    let connector = Connector::new(address, account, PATIENCE, roster, path, LoginPace::default());
    let failures = move || {
        let mut failures = 0.0;
        for family in metrics.families() {
            if family.description().name == "mysql_canary_connect_failures_total" {
                family.read_each(&mut |_, value| match value {
                    Value::Number(number) => failures += number,
                    Value::Distribution(_) => panic!("a counter has no buckets"),
                });
            }
        }
        failures
    };
    (connector, failures)
}

/// Greets somebody and takes the login.
async fn asked(listener: &TcpListener) -> TcpStream {
    let (mut socket, _) = listener.accept().await.expect("somebody comes");
    let mut greeting =
        b"\0\0\0\0\x0a9.7.0\0\x07\0\0\x0012345678\0\x0d\x8a\x2d\x02\0\x0a\x01\x15\0\0\0\0\0\0\0\0\0\0\
        901234567890\0mysql_native_password\0"
            .to_vec();
    greeting[0] = u8::try_from(greeting.len() - packet::HEADER).expect("short");
    socket.write_all(&greeting).await.expect("it is open");
    let mut header = [0; packet::HEADER];
    socket.read_exact(&mut header).await.expect("a login comes");
    socket.read_exact(&mut vec![0; packet::payload_length(header)]).await.expect("the whole of it");
    socket
}

async fn refuse(mut socket: TcpStream) {
    let mut words = b"\0\0\0\x02\xff\x15\x04#28000Access denied".to_vec();
    words[0] = u8::try_from(words.len() - packet::HEADER).expect("short");
    socket.write_all(&words).await.expect("it is open");
    let _ = socket.shutdown().await;
}

#[tokio::test]
async fn a_password_that_a_reload_brings_while_the_old_one_is_on_its_way_is_tried_at_once() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a port");
    let (connector, failures) = connector(&listener);
    let server = async {
        let first = asked(&listener).await;
        connector.set_password(Some(Secret::new("new")));
        refuse(first).await;
        let mut second = asked(&listener).await;
        second.write_all(OK).await.expect("it is open");
        second
    };
    let begun = Instant::now();
    let (session, _server) = tokio::join!(connector.connect(Purpose::Witness, None), server);
    assert!(session.is_ok(), "{:?}", session.err());
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!(failures(), 1.0, "the one that was refused is told");
    assert_eq!(connector.gate.failed_at(), None, "and nothing rests for it");
}

#[tokio::test]
async fn a_password_that_is_still_the_same_is_not_tried_again() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a port");
    let (connector, failures) = connector(&listener);
    let server = async {
        refuse(asked(&listener).await).await;
        asked(&listener).await
    };
    let error = tokio::select! {
        session = connector.connect(Purpose::Witness, None) => session.expect_err("it was refused"),
        _ = server => panic!("it came again"),
    };
    assert!(matches!(&error, NoSession::Failed(error) if error.code == Some(1045)), "{error:?}");
    assert_eq!(failures(), 1.0);
    let next = connector.connect(Purpose::Witness, None).await.expect_err("it rests");
    assert!(matches!(next, NoSession::HeldBack { rest, .. } if rest > AT_ONCE), "{next:?}");
}
