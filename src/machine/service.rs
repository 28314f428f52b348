//! What the service manager is told, where it listens: that the exporter is ready, and that it stops.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// How long a word to the service manager may take.
const LONGEST_WORD: Duration = Duration::from_millis(100);
/// Where it listens, as `sd_notify(3)` has it.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// All loops run, and the pages are there.
pub fn tell_ready() {
    drop(tell("READY=1"));
}

/// The word to stop was said.
pub async fn tell_stopping() {
    // The process may end at once after this.
    let _ = timeout(LONGEST_WORD, tell("STOPPING=1")).await;
}

/// Apart from the loops: a service manager that does not read holds up nobody.
fn tell(word: &'static str) -> JoinHandle<()> {
    spawn_blocking(move || {
        let Some(place) = env::var_os(VARIABLE).filter(|place| !place.is_empty()) else { return };
        if let Err(error) = say(word, &place) {
            tracing::warn!(event = "service_manager", error = %error, "the service manager cannot be told");
        }
    })
}

fn say(word: &str, place: &OsStr) -> io::Result<()> {
    UnixDatagram::unbound()?.send_to_addr(word.as_bytes(), &address(place)?).map(drop)
}

/// A socket of the file system, or an abstract one.
fn address(place: &OsStr) -> io::Result<SocketAddr> {
    match place.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(place),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        bytes => Err(io::Error::other(match bytes.starts_with(b"vsock:") {
            true => "NOTIFY_SOCKET is of vsock, which is not spoken here: give it a path, or @ and a name",
            false => "NOTIFY_SOCKET is neither a path nor @ and a name",
        })),
    }
}
