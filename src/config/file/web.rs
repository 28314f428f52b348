//! The web configuration, in the format of Prometheus' exporter-toolkit: TLS, headers, users, a rate. It is read anew
//! whenever one of its files has changed (`follow`), so what is good stays where a later reading is bad.

mod anybody;
mod clients;
mod follow;
mod suites;
mod tls;
mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::section::{Entry, Fault, Located};
use super::{FileError, keys, tree};
use crate::config::naming::told;
use crate::config::source::{advice, open_to_all, read_regular, read_regular_text};
use crate::domain::life::duration;
pub use clients::ClientAuth;
use follow::State;
pub use follow::{BELIEVED_AFTER, Followed, News};
pub use tls::TlsServer;
pub use users::{Hash, Users};

/// What the file says. What stands here is good.
#[derive(Debug, Clone, Default)]
pub struct WebConfig {
    /// TLS, where the pages are served under it.
    pub tls: Option<TlsServer>,
    /// Headers of every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Who may ask; where there is nobody, everybody may.
    pub users: Users,
    /// How often anybody may ask.
    pub rate: Option<Rate>,
    /// What is no error and should be mended all the same.
    pub warnings: Vec<String>,
}

impl WebConfig {
    /// Whether this takes protection away that the one before gave: users, or what keeps clients out.
    #[must_use]
    pub fn lowers(&self, before: &Self) -> bool {
        let keeps_out = |config: &Self| config.tls.as_ref().map(|tls| tls.keeps_out).unwrap_or_default();
        let mut of_clients = keeps_out(self).into_iter().zip(keeps_out(before));
        (self.users.is_empty() && !before.users.is_empty()) || of_clients.any(|(now, before)| before && !now)
    }
}

/// How many requests are answered: one an interval, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The time in which one more is answered.
    pub interval: Duration,
    /// The most that are answered at once.
    pub burst: u32,
}

/// One reading: where relative names of files begin, the files that were looked at, and what is to be told of them.
#[derive(Debug, Default)]
struct Reading {
    folder: PathBuf,
    state: State,
    warnings: Vec<String>,
}

/// The headers that may be set, with the values that they may have; nothing where any will do. The exporter-toolkit's.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// Reads the file and the files that it names. Those that were looked at are told, whatever came of it.
fn read(file: &Path) -> (State, Result<WebConfig, FileError>) {
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    let mut reading = Reading { folder, ..Reading::default() };
    reading.state.see(file);
    let config = match read_regular_text(file) {
        Ok((text, found)) => {
            reading.state.hold(text.as_bytes());
            let config = configure(&text, &mut reading, open_to_all(&found));
            config.map_err(|fault| fault.of(file))
        }
        Err(source) => {
            Err(FileError::Unreadable { flag: "--web.config.file", file: file.to_owned(), source })
        }
    };
    (reading.state, config)
}

fn configure(text: &str, reading: &mut Reading, open: Option<u32>) -> Result<WebConfig, Fault> {
    let root = tree::parse(text).map_err(Fault::of_text)?;
    let root = Entry::root(&root).section(&keys::WEB_FILE)?;
    let mut config = WebConfig::default();
    if let Some(http) = root.get("http_server_config") {
        let http = http.section(&keys::WEB_HTTP)?;
        if let Some(http2) = http.get("http2")
            && http2.yaml_bool()?
        {
            reading.warn(format!("{}: HTTP/2 is not spoken here: clients get HTTP/1.1", http2.path()));
        }
        if let Some(headers) = http.get("headers") {
            config.headers = read_headers(&headers)?;
        }
    }
    if let Some(users) = root.get("basic_auth_users") {
        config.users = Users::read(&users, reading)?;
    }
    if let Some(rate) = root.get("rate_limit") {
        config.rate = read_rate(&rate, reading)?;
    }
    if let Some(section) = root.get("tls_server_config") {
        config.tls = TlsServer::read(&section.section(&keys::WEB_TLS)?, reading)?;
    }
    let holds_key = config.tls.as_ref().is_some_and(|tls| tls.holds_key);
    if let Some(mode) = open.filter(|_| holds_key || !config.users.is_empty()) {
        let what = if holds_key { "a key" } else { "hashes of passwords" };
        reading.warn(format!(
            "--web.config.file: everybody may read it, and it holds {what} (mode {mode:04o}): take the right from others, chmod o-rwx"
        ));
    }
    if config.tls.is_none() && !config.users.is_empty() {
        reading.warn(
            "basic_auth_users: without tls_server_config passwords come over the network as they are: whoever sees them may use them"
                .to_owned(),
        );
    }
    config.warnings = std::mem::take(&mut reading.warnings);
    Ok(config)
}

fn read_headers(headers: &Entry<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, Fault> {
    let named = headers.named("a header and its value, such as X-Frame-Options: deny")?;
    let read = |(name, entry): (&str, Entry<'_>)| {
        let Some((_, allowed)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            let all = HEADERS.map(|(known, _)| known).join(", ");
            return Err(entry.fault(format!("this header can not be configured: those that can are {all}")));
        };
        let text = entry.text("the header's value")?;
        if !allowed.is_empty() && !allowed.contains(&text) {
            return Err(entry.fault(format!("an invalid value for it: write {}", allowed.join(" or "))));
        }
        // As Go writes headers: a block of YAML ends in a line break.
        let value = HeaderValue::from_str(text.trim_matches([' ', '\t', '\r', '\n']))
            .map_err(|_| entry.fault("no header can hold this: write one line of ASCII"))?;
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| entry.fault("no header has such a name"))?;
        Ok((name, value))
    };
    named.into_iter().map(read).collect()
}

fn read_rate(rate: &Entry<'_>, reading: &mut Reading) -> Result<Option<Rate>, Fault> {
    let section = rate.section(&keys::WEB_RATE)?;
    let example = "a time such as 100ms or 1s, or 0 for no limit";
    let interval = match section.get("interval") {
        Some(entry) => {
            let parse = |text: &str| match text {
                "0" => Ok(0.0),
                _ => duration::parse_seconds(text).map_err(|_| format!("write {example}")),
            };
            entry.parse(example, parse)?.value
        }
        None => 0.0,
    };
    let burst = match section.get("burst") {
        Some(entry) => {
            let wrong = "write how many requests are answered at once, such as 5";
            entry.parse("5", |text| text.parse::<u32>().map_err(|_| wrong.to_owned()))?.value
        }
        None => 0,
    };
    if interval <= 0.0 {
        return Ok(None);
    }
    if burst == 0 {
        reading.warn(format!(
            "{}: with burst 0 every request is refused with 429: write how many are answered at once",
            rate.path()
        ));
    }
    let interval = Duration::try_from_secs_f64(interval)
        .map_err(|_| section.fault(format!("interval: write {example}")))?;
    Ok(Some(Rate { interval, burst }))
}

impl Reading {
    fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Reads a file that the configuration names, relative to its own folder; its name is repeated.
    fn file(&mut self, named: &Located<String>) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let file = self.folder.join(&named.value);
        self.state.see(&file);
        let read = read_regular(&file);
        let (bytes, _) = read.map_err(|error| {
            named.fault(format!("cannot read {}: {error}: {}", told(&file), advice(&error)))
        })?;
        self.state.hold(&bytes);
        Ok(bytes)
    }

    /// The same of a secret: its name is not repeated, for the secret itself may stand there.
    fn secret_file(&mut self, named: &Located<String>) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let file = self.folder.join(&named.value);
        self.state.see(&file);
        let (bytes, found) = read_regular(&file).map_err(|error| {
            named.fault(format!("cannot read the file that is named here: {error}: {}", advice(&error)))
        })?;
        self.state.hold(&bytes);
        if let Some(mode) = open_to_all(&found) {
            self.warn(format!(
                "{}: everybody may read the file with the key (mode {mode:04o}): take the right from others, chmod o-rwx",
                named.path
            ));
        }
        Ok(bytes)
    }
}
