//! The metrics page, written once for all who wait for it: a page is never older than the question, unless many
//! pages lie unread, and writing pages takes half of one processor at most, however many ask.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How many pages may lie unread by slow clients before others are given the newest one again.
const MOST_UNREAD: usize = 16;
/// How old a page is that is given again while so many lie unread.
const OLDEST_SHARED: Duration = Duration::from_secs(1);

/// Writes the metrics page, one at a time.
#[derive(Debug, Default)]
pub struct Gathering {
    newest: Mutex<Newest>,
    /// Said when a page was written, or will not be.
    written: Notify,
    /// How many wait for a page: the last of them takes it away.
    waiting: AtomicUsize,
    /// How many pages are in memory.
    unread: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Newest {
    page: Option<Page>,
    /// Somebody writes a page.
    is_written: bool,
    /// When the next page may be begun.
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Page {
    bytes: Bytes,
    begun: Instant,
}

impl Gathering {
    fn newest(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The page: written now, or by another client, for which it was begun after this one had asked. `None` where
    /// there is nothing to draw any more.
    pub(super) async fn page(&self, draw: impl Fn() -> Option<Vec<u8>>) -> Option<Bytes> {
        let asked = Instant::now();
        let _waiting = Counted::one_more(&self.waiting);
        loop {
            let mut written = std::pin::pin!(self.written.notified());
            // Before the look: what is written meanwhile is heard of.
            written.as_mut().enable();
            match self.look(asked) {
                Look::Page(bytes) => return Some(bytes),
                Look::Wait => written.await,
                Look::Write(not_before) => {
                    let _writing = Writing(self);
                    if let Some(not_before) = not_before {
                        tokio::time::sleep_until(not_before).await;
                    }
                    return self.write(draw);
                }
            }
        }
    }

    fn look(&self, asked: Instant) -> Look {
        let mut newest = self.newest();
        let crowded = self.is_crowded();
        let shared = newest.page.as_ref().filter(|page| {
            page.begun >= asked || (crowded && asked.duration_since(page.begun) < OLDEST_SHARED)
        });
        if let Some(page) = shared {
            let bytes = page.bytes.clone();
            self.keep_or_drop(&mut newest);
            return Look::Page(bytes);
        }
        if std::mem::replace(&mut newest.is_written, true) {
            return Look::Wait;
        }
        Look::Write(newest.not_before)
    }

    fn write(&self, draw: impl Fn() -> Option<Vec<u8>>) -> Option<Bytes> {
        let begun = Instant::now();
        let text = draw()?;
        let ended = Instant::now();
        let bytes = Bytes::from_owner(Unread::new(text, &self.unread));
        let mut newest = self.newest();
        newest.not_before = Some(ended + (ended - begun));
        newest.page = Some(Page { bytes: bytes.clone(), begun });
        self.keep_or_drop(&mut newest);
        Some(bytes)
    }

    fn is_crowded(&self) -> bool {
        self.unread.load(Ordering::Relaxed) >= MOST_UNREAD
    }

    /// Where nobody else waits, the page need not be kept, unless it may have to be given again.
    fn keep_or_drop(&self, newest: &mut Newest) {
        if self.waiting.load(Ordering::Relaxed) == 1 && !self.is_crowded() {
            newest.page = None;
        }
    }
}

/// What is to be done for a page.
enum Look {
    Page(Bytes),
    /// Somebody writes one.
    Wait,
    /// Nobody does; not before that moment.
    Write(Option<Instant>),
}

/// Somebody writes a page, until this is dropped, whatever became of it.
struct Writing<'a>(&'a Gathering);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.newest().is_written = false;
        self.0.written.notify_waiters();
    }
}

/// One of those that are counted, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one_more(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A page that counts until the last client has read it.
struct Unread {
    text: Vec<u8>,
    count: Arc<AtomicUsize>,
}

impl Unread {
    fn new(text: Vec<u8>, count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { text, count: Arc::clone(count) }
    }
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounter, Registry, TextEncoder};

    use super::*;

    /// A registry whose one counter can be moved.
    fn registry() -> (Registry, IntCounter) {
        let registry = Registry::new();
        let counter = IntCounter::new("asked_total", "how often").expect("a good name");
        registry.register(Box::new(counter.clone())).expect("the first of its name");
        (registry, counter)
    }

    async fn page(gathering: &Gathering, registry: &Registry) -> Bytes {
        let draw = || TextEncoder::new().encode_to_string(&registry.gather()).ok().map(String::into_bytes);
        gathering.page(draw).await.expect("a page")
    }

    fn value(page: &Bytes) -> u64 {
        let text = std::str::from_utf8(page).expect("text");
        let line = text.lines().find(|line| line.starts_with("asked_total")).expect("the counter");
        line.split(' ').nth(1).and_then(|value| value.parse().ok()).expect("a number")
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_never_older_than_its_question() {
        let (registry, counter) = registry();
        let gathering = Gathering::default();
        for expected in 0..100 {
            assert_eq!(value(&page(&gathering, &registry).await), expected);
            counter.inc();
        }
        assert_eq!(gathering.unread.load(Ordering::Relaxed), 0, "what was read is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_share_one_page() {
        let (registry, counter) = registry();
        let gathering = Arc::new(Gathering::default());
        let busy = Writing(&gathering);
        gathering.newest().is_written = true;
        let askers: Vec<_> = (0..200)
            .map(|_| {
                let (gathering, registry) = (Arc::clone(&gathering), registry.clone());
                tokio::spawn(async move { page(&gathering, &registry).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(10)).await;
        counter.inc();
        drop(busy);
        let mut pages = Vec::new();
        for asker in askers {
            pages.push(asker.await.expect("no panic"));
        }
        assert!(pages.iter().all(|page| value(page) == 1 && page.as_ptr() == pages[0].as_ptr()));
        drop(pages);
        assert_eq!(gathering.unread.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn unread_pages_are_few_however_many_ask() {
        let (registry, counter) = registry();
        let gathering = Gathering::default();
        let mut unread = Vec::new();
        for _ in 0..5000 {
            unread.push(page(&gathering, &registry).await);
            counter.inc();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let pages = gathering.unread.load(Ordering::Relaxed);
        assert!(pages <= MOST_UNREAD + 5, "{pages} pages in 5 s");
        let newest = value(unread.last().expect("many"));
        assert!(newest >= 4000 - 1, "a page given again is a second old at most: {newest}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_goes_while_it_waits_holds_nobody_up() {
        let (registry, _) = registry();
        let gathering = Gathering::default();
        gathering.newest().not_before = Some(Instant::now() + Duration::from_secs(60));
        let gone = tokio::time::timeout(Duration::from_secs(1), page(&gathering, &registry)).await;
        assert!(gone.is_err(), "it went");
        gathering.newest().not_before = None;
        page(&gathering, &registry).await;
        assert_eq!(gathering.waiting.load(Ordering::Relaxed), 0);
        assert_eq!(gathering.unread.load(Ordering::Relaxed), 0);
    }
}
