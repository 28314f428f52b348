//! The relay under a tap: lets the driver in, ends TLS, and carries bytes between the driver and the server.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::AlertDescription;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::comer::NotLetIn;
use super::door::{Door, Duplex};
use super::error::Failure;
use super::notes::Heard;
use super::packet::{self, HEADER};
use super::tap::Shared;
use super::tls::{Tls, broken_off};
use super::translation::Translation;
use super::wire::{Came, Closed, LINGER, Wire};
use crate::domain::life::stage::Stage;

/// What the server did when the driver had said its last words and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parted {
    /// It closed too.
    Closed,
    /// It answered with RST: it is not there any more, or still has bytes that it did not read.
    Reset,
    /// Nothing that shows that it heard them.
    Unheard,
}

/// How a relay ended.
#[derive(Debug)]
pub(super) enum End {
    /// With the connection.
    Parted(Parted),
    /// The driver was let go, and the server heard nothing of it.
    LetGo(Wire),
}

/// Lets the driver in, ends TLS where there is one, and carries bytes both ways until both sides are closed.
pub(super) async fn run(
    door: Door,
    server: TcpStream,
    first: Vec<u8>,
    tls: Option<Tls>,
    shared: Arc<Shared>,
) -> End {
    let mut driver = match door.accept().await {
        Ok(driver) => driver,
        Err(NotLetIn { error, _comer }) => {
            shared.give_up(Failure::by_system(Stage::Local, "the tap's own socket failed", &error));
            return End::Parted(Parted::Unheard);
        }
    };
    drop(door);
    if driver.write_all(&first).await.is_err() {
        return End::Parted(Parted::Unheard);
    }
    let Some(tls) = tls else {
        return Relay::new(Wire::Plain(server), driver, shared).run().await;
    };
    let Ok(mut login) = read_packet(&mut driver).await else {
        return End::Parted(Parted::Unheard);
    };
    let shown = tls.shown();
    match tls.begin(server, &mut login).await {
        Err(failure) => {
            shared.give_up(failure);
            End::Parted(Parted::Unheard)
        }
        Ok(stream) => {
            shared.is_secured();
            let mut relay = Relay { shown, ..Relay::new(Wire::Tls(Box::new(stream)), driver, shared) };
            if !relay.hand_on(&login).await {
                // A server of TLS 1.3 that refuses our certificate says so only now, and is gone.
                relay.last_words().await;
                return End::Parted(Parted::Unheard);
            }
            relay.run().await
        }
    }
}

/// Reads the driver's login packet, its first word.
async fn read_packet(driver: &mut Box<dyn Duplex>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER];
    driver.read_exact(&mut bytes).await?;
    let length = packet::payload_length([bytes[0], bytes[1], bytes[2], bytes[3]]);
    bytes.resize(HEADER + length, 0);
    driver.read_exact(&mut bytes[HEADER..]).await?;
    Ok(bytes)
}

/// Both ends of a session, and what changes on the way.
struct Relay {
    wire: Wire,
    driver: Box<dyn Duplex>,
    /// Until the login is over: of the driver's packets, and of the server's.
    login: Option<(Translation, Translation)>,
    /// The file of the certificate that the server may be shown.
    shown: Option<PathBuf>,
    shared: Arc<Shared>,
}

impl Relay {
    fn new(wire: Wire, driver: Box<dyn Duplex>, shared: Arc<Shared>) -> Self {
        let tls = matches!(wire, Wire::Tls(_));
        let login = Some((Translation::of_driver(tls), Translation::of_server(tls)));
        Self { wire, driver, login, shown: None, shared }
    }

    async fn run(mut self) -> End {
        let (mut from_server, mut from_driver) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
        loop {
            tokio::select! {
                biased;
                came = self.wire.read(&mut from_server) => {
                    if let Err(parted) = self.take(came, &from_server).await {
                        return End::Parted(parted);
                    }
                }
                read = self.driver.read(&mut from_driver) => match read {
                    Ok(length) if length > 0 => {
                        if !self.hand_on(&from_driver[..length]).await {
                            return End::Parted(Parted::Unheard);
                        }
                    }
                    // The driver has said COM_QUIT and closed: hand it on and wait for the server's FIN.
                    _ => {
                        return End::Parted(say_farewell(&mut self.wire).await);
                    }
                },
                () = self.shared.released() => return End::LetGo(self.wire),
            }
        }
    }

    /// Takes what came from the server: the driver's answers are handed to it. An error where the session is over.
    async fn take(&mut self, came: Came, bytes: &[u8]) -> Result<(), Parted> {
        let now = Instant::now();
        let closed = match came {
            Came::Bytes(length) => {
                let bytes = &bytes[..length];
                match self.shared.note(|notes| notes.hear(bytes, now)) {
                    Heard::Answer => {
                        let translated = self.login().map(|(_, server)| server.translate(bytes));
                        let bytes = translated.as_deref().unwrap_or(bytes);
                        return self.driver.write_all(bytes).await.map_err(|_| Parted::Unheard);
                    }
                    Heard::Unsolicited => return Ok(()),
                    Heard::Nonsense => return Err(Parted::Unheard),
                }
            }
            Came::Garbled => {
                self.shared.note(|notes| notes.hear_garbled(now));
                return Err(Parted::Unheard);
            }
            Came::TlsEnd(alert) => {
                self.complain(alert);
                self.wire.close().await
            }
            Came::Closed(closed) => closed,
        };
        self.shared.note(|notes| notes.see_close(closed, now));
        Err(if closed == Closed::Fin { Parted::Closed } else { Parted::Reset })
    }

    /// An alert in answer to the login speaks of the handshake: of TLS 1.3, our side's ends before the server has seen our
    /// certificate.
    fn complain(&self, alert: Option<AlertDescription>) {
        if let Some(alert) = alert
            && !self.shared.is_logged_in()
        {
            self.shared.give_up(broken_off(alert, self.shown.as_deref()));
        }
    }

    /// What a server that takes nothing any more still said.
    async fn last_words(&mut self) {
        if let Ok(Came::TlsEnd(alert)) = timeout(LINGER, self.wire.read(&mut [0; 512])).await {
            self.complain(alert);
        }
    }

    /// Hands the driver's words on to the server. Whether that went well.
    async fn hand_on(&mut self, bytes: &[u8]) -> bool {
        if let Err(failure) = self.shared.say(bytes) {
            self.shared.give_up(failure);
            return false;
        }
        let translated = self.login().map(|(driver, _)| driver.translate(bytes));
        let written = self.wire.write(translated.as_deref().unwrap_or(bytes)).await;
        if let Err(error) = &written {
            self.shared.note(|notes| notes.see_close(Closed::by(error), Instant::now()));
        }
        written.is_ok()
    }

    /// What changes on the way until the login is over.
    fn login(&mut self) -> Option<&mut (Translation, Translation)> {
        if self.shared.is_logged_in() {
            self.login = None;
        }
        self.login.as_mut()
    }
}

/// COM_QUIT was said: closes our side too, and waits for the server's end.
pub(super) async fn say_farewell(wire: &mut Wire) -> Parted {
    wire.finish().await;
    timeout(LINGER, drain(wire)).await.unwrap_or(Parted::Unheard)
}

/// Reads what the server still says until it closes.
async fn drain(wire: &mut Wire) -> Parted {
    let mut bytes = vec![0; 4096];
    loop {
        match wire.read(&mut bytes).await {
            Came::Bytes(_) => {}
            Came::TlsEnd(_) | Came::Closed(Closed::Fin) => return Parted::Closed,
            Came::Closed(Closed::Reset) => return Parted::Reset,
            Came::Closed(Closed::TimedOut) | Came::Garbled => return Parted::Unheard,
        }
    }
}
