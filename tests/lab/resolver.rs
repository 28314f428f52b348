//! A name server for programs in a network namespace: it says that there is no such name, or nothing at all.

use std::fs;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
}

/// A running name server at 127.0.0.1:53 of a namespace, and the `resolv.conf` that names it.
#[derive(Debug)]
pub(crate) struct Resolver {
    asked: Arc<AtomicUsize>,
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
        thread::spawn(move || {
            // Until its owner lets go of it.
            while Arc::strong_count(&count) > 1 {
                let mut question = [0; 512];
                let Ok((length, client)) = socket.recv_from(&mut question) else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                if answer == Answer::NoSuchName
                    && let Some(words) = no_such_name(&question[..length])
                {
                    // Who asked may be gone.
                    let _ = socket.send_to(&words, client);
                }
            }
        });
        Self { asked, dir }
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

/// The answer `NXDOMAIN` to a question: its head, and what it asks for.
fn no_such_name(question: &[u8]) -> Option<Vec<u8>> {
    const HEAD: usize = 12;
    // A name is a row of labels that ends with an empty one; type and class follow.
    let mut end = HEAD;
    while *question.get(end)? != 0 {
        end += 1 + usize::from(question[end]);
    }
    let mut answer = question.get(..end + 1 + 4)?.to_vec();
    // A response, recursion available, code 3; one question, and no records.
    answer[2] |= 0x80;
    answer[3] = 0x80 | 3;
    answer[4..HEAD].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    Some(answer)
}
