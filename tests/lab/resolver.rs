//! A name server for programs in a network namespace: it says that there is no such name, or nothing at all, or gives
//! every name the addresses that it is told.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::namespace::Namespace;
use super::place::PrivateDir;

/// What a name server does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Says that no such name exists.
    NoSuchName,
    /// Nothing.
    Silence,
    /// The addresses of [`Resolver::lead_to`].
    Addresses,
}

/// A running name server at 127.0.0.1:53 of a namespace, and the `resolv.conf` that names it.
#[derive(Debug)]
pub(crate) struct Resolver {
    asked: Arc<AtomicUsize>,
    addresses: Arc<Mutex<Vec<IpAddr>>>,
    dir: PrivateDir,
}

impl Resolver {
    /// Starts it; it listens when this returns.
    pub(crate) fn start(namespace: &Namespace, answer: Answer) -> Self {
        let dir = PrivateDir::new();
        fs::write(dir.path().join("resolv.conf"), "nameserver 127.0.0.1\n").expect("the directory is ours");
        let socket = namespace.enter(|| UdpSocket::bind("127.0.0.1:53")).expect("the namespace is ours");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let addresses = Arc::<Mutex<Vec<IpAddr>>>::default();
        let given = Arc::clone(&addresses);
        thread::spawn(move || {
            // Until its owner lets go of it.
            while Arc::strong_count(&count) > 1 {
                let mut question = [0; 512];
                let Ok((length, client)) = socket.recv_from(&mut question) else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let question = &question[..length];
                let words = match answer {
                    Answer::NoSuchName => reply(question, None),
                    Answer::Silence => None,
                    Answer::Addresses => {
                        reply(question, Some(&given.lock().expect("nobody panics holding it")))
                    }
                };
                if let Some(words) = words {
                    // Who asked may be gone.
                    let _ = socket.send_to(&words, client);
                }
            }
        });
        Self { asked, addresses, dir }
    }

    /// Every name leads to these addresses from now on.
    pub(crate) fn lead_to(&self, addresses: &[&str]) {
        let parsed = addresses.iter().map(|one| one.parse().expect("an address")).collect();
        *self.addresses.lock().expect("nobody panics holding it") = parsed;
    }

    /// The words around a program that make it ask here, and nobody else.
    pub(crate) fn around(&self) -> [String; 6] {
        const BIND: &str = r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#;
        let file = self.dir.path().join("resolv.conf").display().to_string();
        let [unshare, mount, sh, c] = ["unshare", "--mount", "sh", "-c"].map(str::to_owned);
        [unshare, mount, sh, c, BIND.to_owned(), file]
    }

    /// How many questions have come.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// The answer to a question: its head, what it asks for, and those of the addresses that it asks for; `NXDOMAIN` where
/// there are none to give.
fn reply(question: &[u8], addresses: Option<&[IpAddr]>) -> Option<Vec<u8>> {
    const HEAD: usize = 12;
    const A: u8 = 1;
    const AAAA: u8 = 28;
    // A name is a row of labels that ends with an empty one; type and class follow.
    let mut end = HEAD;
    while *question.get(end)? != 0 {
        end += 1 + usize::from(question[end]);
    }
    let mut answer = question.get(..end + 1 + 4)?.to_vec();
    let asked = answer[end + 2];
    let records: Vec<(u8, Vec<u8>)> = addresses
        .unwrap_or_default()
        .iter()
        .map(|address| match address {
            IpAddr::V4(address) => (A, address.octets().to_vec()),
            IpAddr::V6(address) => (AAAA, address.octets().to_vec()),
        })
        .filter(|(kind, _)| *kind == asked)
        .collect();
    // A response, recursion available, code 3 for a name that is not there; one question, and the records.
    answer[2] |= 0x80;
    answer[3] = 0x80 | if addresses.is_some() { 0 } else { 3 };
    answer[4..HEAD].copy_from_slice(&[0, 1, 0, u8::try_from(records.len()).ok()?, 0, 0, 0, 0]);
    for (kind, octets) in records {
        // The name of the question, class IN, to be forgotten at once.
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, u8::try_from(octets.len()).ok()?]);
        answer.extend(octets);
    }
    Some(answer)
}
