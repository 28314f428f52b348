//! Who may ask, and what every answer carries: the web configuration as it is followed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use tokio::sync::{Mutex as FairMutex, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::clients::Origin;
use super::pages::text;
use crate::config::file::web::{BELIEVED_AFTER, Followed, News, WebConfig};
use crate::machine::calendar::unix_now;
use crate::metrics::ConfigReload;
use basic::{Checker, Credentials};
use bucket::Bucket;
pub(super) use turns::Turns;

mod basic;
mod bucket;
mod turns;

/// How long a client waits for a look at the files, at most: on a dead file system what was read before stays.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

/// The web configuration as it is followed.
#[derive(Debug)]
pub struct Access {
    followed: Arc<Mutex<Followed>>,
    newest: Mutex<Arc<WebConfig>>,
    /// When the newest look that ended was begun.
    looked: FairMutex<Option<Instant>>,
    /// One looks at a time: a look that never ends holds one thread.
    looking: Arc<Semaphore>,
    last_reload: ConfigReload,
    checker: Checker,
    bucket: Mutex<Option<Bucket>>,
    /// Handshakes of TLS. As many wait as there are clients that have not asked yet.
    pub(super) handshakes: Arc<Turns<Origin>>,
    is_under_tls: bool,
    /// A look at the files was not waited for to its end.
    hangs: AtomicBool,
}

impl Access {
    /// As the configuration says now. Nothing where the system gives no random numbers.
    #[must_use]
    pub fn new(followed: Followed, last_reload: ConfigReload) -> Option<Self> {
        let config = Arc::clone(followed.config());
        last_reload.succeeded(unix_now());
        Some(Self {
            newest: Mutex::new(Arc::clone(&config)),
            followed: Arc::new(Mutex::new(followed)),
            looked: FairMutex::default(),
            looking: Arc::new(Semaphore::new(1)),
            last_reload,
            checker: Checker::new()?,
            bucket: Mutex::default(),
            handshakes: Turns::new((usize::MAX, usize::MAX)),
            is_under_tls: config.tls.is_some(),
            hangs: AtomicBool::new(false),
        })
    }

    /// Whether the pages are served under TLS: as it was at the start.
    #[must_use]
    pub fn is_under_tls(&self) -> bool {
        self.is_under_tls
    }

    /// The configuration as its files are now: no older than the question, unless their file system does not answer.
    pub(super) async fn current(&self) -> Arc<WebConfig> {
        let asked = Instant::now();
        if timeout(LONGEST_LOOK, self.look(asked)).await.is_err() {
            self.last_reload.failed();
            self.hangs.store(true, Ordering::Relaxed);
            tracing::error!(
                event = "web_config_not_read",
                "the file system of --web.config.file does not answer: what was read before stays"
            );
        }
        Arc::clone(&self.newest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files, unless somebody did since that moment.
    async fn look(&self, asked: Instant) {
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|looked| looked >= asked) {
            return;
        }
        // An earlier look hangs: that was told.
        let Ok(turn) = Arc::clone(&self.looking).try_acquire_owned() else { return };
        let begun = Instant::now();
        let followed = Arc::clone(&self.followed);
        let look = spawn_blocking(move || {
            let mut followed = followed.lock().unwrap_or_else(PoisonError::into_inner);
            let news = followed.look(begun);
            let looked = (news, followed.is_good(), Arc::clone(followed.config()));
            drop(turn);
            looked
        });
        let look = look.await;
        if let Ok((_, is_good, config)) = &look {
            let hung = self.hangs.swap(false, Ordering::Relaxed);
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            // What an earlier look read, which nobody waited for any more, counts too.
            let has_changed = !Arc::ptr_eq(&newest, config);
            let lowers = config.lowers(&newest);
            if has_changed {
                *newest = Arc::clone(config);
            }
            drop(newest);
            if *is_good && (has_changed || hung) {
                self.last_reload.succeeded(unix_now());
                tell_read(config, lowers);
                tell_warnings(config);
            }
        }
        match look.map(|(news, ..)| news) {
            Ok(News::None | News::Changed) => {}
            Ok(News::Waits) => {
                tracing::warn!(
                    event = "web_config_waits",
                    "--web.config.file takes users away, or what keeps clients out: it is followed once it has stood unchanged for {} s",
                    BELIEVED_AFTER.as_secs()
                );
            }
            Ok(News::Wrong(error)) => {
                self.last_reload.failed();
                tracing::error!(
                    event = "web_config_not_read",
                    "--web.config.file cannot be followed, and everything stays as it was: {error}"
                );
            }
            Err(error) => {
                tracing::error!(event = "web_config_not_read", error = %error, "reading --web.config.file failed");
            }
        }
        *looked = Some(begun);
    }

    /// Why a request is not answered; nothing where it may be. As the exporter-toolkit has it, everything is behind this.
    pub(super) async fn refusal<B>(
        &self,
        config: &WebConfig,
        request: &Request<B>,
        from: Origin,
    ) -> Option<Response<Full<Bytes>>> {
        if !self.has_token(config) {
            return Some(text(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n".to_owned()));
        }
        if config.users.is_empty() {
            return None;
        }
        let credentials = request.headers().get(AUTHORIZATION).and_then(Credentials::of);
        let checked = match credentials {
            Some(credentials) => self.checker.check(&config.users, credentials, from).await,
            None => Ok(false),
        };
        match checked {
            Ok(true) => None,
            Ok(false) => {
                let mut response = text(StatusCode::UNAUTHORIZED, "Unauthorized\n".to_owned());
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
                Some(response)
            }
            Err(turns::Busy) => {
                let words = "too many passwords are being checked: ask again\n".to_owned();
                let mut response = text(StatusCode::SERVICE_UNAVAILABLE, words);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                Some(response)
            }
        }
    }

    fn has_token(&self, config: &WebConfig) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rate) = config.rate else {
            *bucket = None;
            return true;
        };
        match &mut *bucket {
            Some(bucket) if bucket.is_of(rate) => bucket.take(),
            other => other.insert(Bucket::new(rate)).take(),
        }
    }
}

/// Tells that it was read anew, and loudly where less is protected than before.
fn tell_read(config: &WebConfig, lowers: bool) {
    let clients = config.tls.as_ref().map(|tls| tls.clients.label()).unwrap_or_default();
    let (tls, users) = (config.tls.is_some(), config.users.len());
    match lowers {
        true => tracing::warn!(
            event = "web_config_read",
            tls,
            client_auth_type = clients,
            users,
            "--web.config.file was read anew, and is followed: it protects less than before"
        ),
        false => tracing::info!(
            event = "web_config_read",
            tls,
            client_auth_type = clients,
            users,
            "--web.config.file was read anew, and is followed"
        ),
    }
}

/// Tells what is no error and should be mended all the same.
pub(super) fn tell_warnings(config: &WebConfig) {
    for warning in &config.warnings {
        tracing::warn!(event = "web_config", "{warning}");
    }
}
