//! A session that is held, in clear and under TLS, and a server whose words come cut and joined wherever they may be:
//! over the real login, by the real driver, which is let go before.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::*;
use crate::session::packet::{HEADER, Unsolicited};
use crate::session::wire::LINGER;
use server::{Path, Server};

mod server;

/// How long the machine may take for one step.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a piece of a server's words has for itself.
const PIECE: Duration = Duration::from_millis(1);
const OK: &[u8] = &[7, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0];
const GOODBYE: &[u8] = b"\x11\0\0\0\xff\xbf\x0f#HY000inactive";
const REFUSAL: &[u8] = b"\x11\0\0\x01\xff\xbf\x0f#HY000inactive";
/// The answer to a statement that slept: one column, one row, where EOF is deprecated.
const SLEPT: &[&[u8]] = &[
    &[1, 0, 0, 1, 1],
    b"\x18\0\0\x02\x03def\0\0\0\x02id\0\x0c\x3f\0\x14\0\0\0\x08\x81\0\0\0\0",
    b"\x02\0\0\x03\x010",
    &[7, 0, 0, 4, 0xfe, 0, 0, 2, 0, 0, 0],
];

/// How a server ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// By FIN, under TLS without the alert that should announce it.
    Fin,
    /// By TLS's alert, then FIN.
    AlertAndFin,
    /// By TLS's alert, and it goes on reading.
    Alert,
}

/// Where the bytes of a server are cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    At(usize),
    Everywhere,
}

impl Cut {
    fn pieces(self, bytes: &[u8]) -> Vec<&[u8]> {
        match self {
            Self::At(at) => {
                [&bytes[..at], &bytes[at..]].into_iter().filter(|piece| !piece.is_empty()).collect()
            }
            Self::Everywhere => bytes.chunks(1).collect(),
        }
    }

    /// Each way to cut so many bytes that is tried: at every one, `step` apart.
    fn of(length: usize, step: usize) -> impl Iterator<Item = Self> {
        (0..length).step_by(step).map(Self::At).chain([Self::Everywhere])
    }
}

/// Says the pieces one by one, each read before the next one comes.
async fn say<T>(server: &mut Server, pieces: &[&[u8]], reader: impl Future<Output = T>) -> T {
    let mut reader = std::pin::pin!(reader);
    for (number, piece) in pieces.iter().enumerate() {
        server.send(piece).await;
        if let Ok(read) = timeout(PIECE, &mut reader).await {
            assert_eq!(number, pieces.len() - 1, "it is not whole before its last byte");
            return read;
        }
    }
    timeout(PATIENCE, reader).await.expect("all of it has come")
}

#[track_caller]
fn check_goodbye(sight: &Sight, case: impl std::fmt::Debug) {
    let Some(Unsolicited::Err(goodbye)) = &sight.words else { panic!("{case:?}: {sight:?}") };
    assert_eq!((goodbye.code, &*goodbye.message), (4031, "inactive"), "{case:?}");
    assert!(matches!(sight.closed, Some((Closed::Fin, _))) && sight.while_idle, "{case:?}: {sight:?}");
}

/// A goodbye said while the session rests, in these records, and the end.
async fn part(path: &Path, records: &[&[u8]], end: End, cut: Cut) {
    let (mut held, mut server, _roster) = path.hold().await;
    let mut bytes = server.words(records);
    if end != End::Fin {
        bytes.extend(server.alert());
    }
    for piece in cut.pieces(&bytes) {
        server.send(piece).await;
        // Given up between two pieces, as by an order that comes: nothing is lost.
        let _ = timeout(PIECE, held.close()).await;
    }
    if end != End::Alert {
        server.half_close().await;
    }
    let sight = timeout(PATIENCE, held.close()).await.expect("it has closed");
    check_goodbye(&sight, (records.len(), end, cut));
    assert_eq!(held.stir().await.spoke_at, sight.spoke_at);
}

#[tokio::test]
async fn a_goodbye_is_read_wherever_it_is_cut() {
    let drops: Vec<&[u8]> = GOODBYE.chunks(1).collect();
    let plain = Path::plain();
    for cut in Cut::of(GOODBYE.len(), 1) {
        part(&plain, &[GOODBYE], End::Fin, cut).await;
    }
    let tls = Arc::new(Path::tls("goodbyes"));
    let mut parts = JoinSet::new();
    for end in [End::Fin, End::AlertAndFin, End::Alert] {
        let alert = if end == End::Fin { 0 } else { 24 };
        // Of many records every offset within one is met.
        for (records, step) in [(vec![GOODBYE], 1), (drops.clone(), 22)] {
            for cut in Cut::of(tls.length(&records) + alert, step) {
                let (tls, records) = (Arc::clone(&tls), records.clone());
                parts.spawn(async move { part(&tls, &records, end, cut).await });
            }
        }
    }
    while let Some(done) = parts.join_next().await {
        done.expect("no panic");
    }
}

#[tokio::test]
async fn an_answer_is_read_wherever_it_is_cut() {
    for path in [Path::plain(), Path::tls("answers")] {
        let (mut held, mut server, roster) = path.hold().await;
        let drops: Vec<&[u8]> = OK.chunks(1).collect();
        for (records, step) in [(vec![OK], 1), (drops, 22)] {
            for cut in Cut::of(path.length(&records), step) {
                let bytes = server.words(&records);
                assert_eq!(bytes.len(), path.length(&records), "as much as is cut");
                say(&mut server, &cut.pieces(&bytes), held.ping()).await.expect("it is an OK");
                assert_eq!(server.hear().await, [1, 0, 0, 0, COM_PING]);
            }
        }
        let slept = SLEPT.concat();
        for records in [vec![&*slept], SLEPT.to_vec(), slept.chunks(1).collect()] {
            for cut in Cut::of(path.length(&records), 17) {
                let bytes = server.words(&records);
                say(&mut server, &cut.pieces(&bytes), held.run("anything")).await.expect("rows");
                assert_eq!(server.hear().await[HEADER..], *b"\x03anything");
            }
        }
        let refusal = server.words(&[&REFUSAL[..9], &REFUSAL[9..]]);
        let answer = say(&mut server, &Cut::Everywhere.pieces(&refusal), held.ping()).await;
        assert!(matches!(answer, Err(Unanswered::Refused(err)) if err.code == 4031));
        server.hear().await;
        drop(held);
        assert_eq!(roster.ghosts().len(), 1, "nobody said goodbye");
    }
}

#[tokio::test]
async fn last_words_that_come_in_one_piece_with_an_answer() {
    let joined = [OK, GOODBYE].concat();
    for path in [Path::plain(), Path::tls("joined")] {
        for records in [vec![&*joined], vec![OK, GOODBYE], joined.chunks(1).collect()] {
            for at in (0..path.length(&records)).step_by(5) {
                let (mut held, mut server, _roster) = path.hold().await;
                let mut bytes = server.words(&records);
                bytes.extend(server.alert());
                let pong = {
                    let mut ping = std::pin::pin!(held.ping());
                    let mut pong = None;
                    for piece in Cut::At(at).pieces(&bytes) {
                        server.send(piece).await;
                        if pong.is_none() {
                            pong = timeout(PIECE, &mut ping).await.ok();
                        }
                    }
                    match pong {
                        Some(pong) => pong,
                        None => timeout(PATIENCE, ping).await.expect("all of it has come"),
                    }
                };
                assert!(pong.is_ok(), "the answer is what came first: {pong:?}");
                server.half_close().await;
                let sight = timeout(PATIENCE, held.close()).await.expect("it has closed");
                check_goodbye(&sight, (records.len(), at));
            }
        }
    }
}

#[tokio::test]
async fn a_session_of_which_one_half_is_closed() {
    for path in [Path::plain(), Path::tls("halves")] {
        // The server's half, while the session rests.
        let (mut held, mut server, _roster) = path.hold().await;
        server.half_close().await;
        let sight = timeout(PATIENCE, held.stir()).await.expect("FIN is seen");
        assert!(
            matches!(sight.closed, Some((Closed::Fin, _))) && sight.while_idle && sight.spoke_at.is_none()
        );
        assert_eq!(server.hear().await, b"", "the other half is closed too, by FIN");
        assert_eq!(held.ping().await, Err(Unanswered::Broken));

        // In the place of an answer, and right behind one.
        let (mut held, mut server, _roster) = path.hold().await;
        let bytes = server.words(&[OK]);
        let (pong, ()) = tokio::join!(held.ping(), async {
            server.hear().await;
            server.send(&bytes).await;
            server.half_close().await;
        });
        pong.expect("an answer came before the end");
        let sight = timeout(PATIENCE, held.close()).await.expect("FIN is seen");
        assert!(matches!(sight.closed, Some((Closed::Fin, _))) && sight.while_idle);
        let (mut held, mut server, _roster) = path.hold().await;
        let (pong, ()) = tokio::join!(held.ping(), async {
            server.hear().await;
            server.half_close().await;
        });
        assert_eq!(pong, Err(Unanswered::Broken));
        let sight = held.sight();
        assert!(matches!(sight.closed, Some((Closed::Fin, _))) && !sight.while_idle, "{sight:?}");

        // Our half, by the farewell: the server still speaks, then closes; or it never does.
        for closes in [true, false] {
            let (held, mut server, roster) = path.hold().await;
            let quit = tokio::spawn(held.quit(PATIENCE));
            assert_eq!(server.hear().await, [1, 0, 0, 0, COM_QUIT]);
            assert_eq!(server.hear().await, b"", "our half is closed");
            if closes {
                let bytes = server.words(&[GOODBYE]);
                server.send(&bytes).await;
                server.half_close().await;
            }
            timeout(PATIENCE, quit).await.expect("it ends by itself").expect("no panic");
            assert_eq!(roster.ghosts().is_empty(), closes, "the server heard it, or nobody knows");
        }
    }
}

#[tokio::test]
async fn a_server_that_ends_tls_and_goes_on_reading() {
    let path = Path::tls("alerts");
    let (mut held, mut server, _roster) = path.hold().await;
    let (alert, before) = (server.alert(), Instant::now());
    server.send(&alert).await;
    let sight = timeout(PATIENCE, held.stir()).await.expect("the alert is seen");
    let took = before.elapsed();
    let (closed, at) = sight.closed.expect("it has closed");
    assert!(closed == Closed::Fin && sight.while_idle && sight.spoke_at.is_none(), "{sight:?}");
    assert!(
        took >= LINGER && at - before < took - LINGER / 2,
        "the moment is the alert's: {:?} of {took:?}",
        at - before
    );
    assert_eq!(server.hear().await, b"", "our half is closed");
    // In the place of an answer.
    let (mut held, mut server, _roster) = path.hold().await;
    let (pong, ()) = tokio::join!(held.ping(), async {
        server.hear().await;
        let alert = server.alert();
        server.send(&alert).await;
    });
    assert_eq!(pong, Err(Unanswered::Broken));
    assert!(!held.sight().while_idle);
}

#[tokio::test]
async fn what_tls_says_for_itself_is_no_word_of_the_server() {
    let (mut held, mut server, _roster) = Path::tls("keys").hold().await;
    server.tls.as_mut().expect("under TLS").refresh_traffic_keys().expect("TLS 1.3");
    let update = server.words(&[]);
    assert!(!update.is_empty(), "a key update");
    for piece in Cut::Everywhere.pieces(&update) {
        server.send(piece).await;
        assert!(timeout(PIECE, held.stir()).await.is_err(), "nobody spoke");
    }
    let bytes = server.words(&[OK]);
    say(&mut server, &[&bytes], held.ping()).await.expect("by the new keys");
    assert_eq!(server.hear().await, [1, 0, 0, 0, COM_PING]);
}
