//! What the metrics page says so far: how many canaries lived and died, and the limit between them. Read
//! as anybody would, so that the demonstration can say nothing that the page does not.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::stage::PATHS;

/// How long the page may take; it comes from memory.
const PATIENCE: Duration = Duration::from_secs(2);

/// The demonstration in numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tally {
    lived: u64,
    died: u64,
    limits: Vec<Limit>,
}

/// A limit of a path: two ages in seconds, and who ends what is idle for longer.
#[derive(Debug, Clone, PartialEq)]
struct Limit {
    path: String,
    lower: f64,
    upper: f64,
    culprit: String,
    is_confirmed: bool,
}

impl Tally {
    /// Reads the page. `None` when it does not come.
    pub(super) async fn read(web: SocketAddr) -> Option<Self> {
        let fetch = async {
            let mut socket = TcpStream::connect(web).await?;
            socket.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
            let mut page = String::new();
            socket.read_to_string(&mut page).await?;
            Ok::<_, std::io::Error>(page)
        };
        let page = timeout(PATIENCE, fetch).await.ok()?.ok()?;
        page.starts_with("HTTP/1.0 200").then(|| Self::parse(&page))
    }

    /// Whether each path has its limit, confirmed, and somebody who does it.
    pub(super) fn is_complete(&self) -> bool {
        self.all(|limit| limit.is_confirmed && limit.culprit != UNKNOWN)
    }

    /// Whether each path's limit is found as sharp as it is worth waiting for. A close that is heard dates itself; what only
    /// probes find is closed in on.
    pub(super) fn is_sharp(&self) -> bool {
        /// As a share of the limit.
        const SHARP: f64 = 0.05;
        self.all(|limit| limit.culprit != SILENT || limit.upper - limit.lower <= SHARP * limit.upper)
    }

    fn all(&self, is_so: impl Fn(&Limit) -> bool) -> bool {
        PATHS.iter().all(|path| self.limits.iter().any(|limit| limit.path == *path && is_so(limit)))
    }

    fn parse(page: &str) -> Self {
        let sum = |name| series(page, name).map(|(_, value)| value as u64).sum::<u64>();
        let died = sum("mysql_canary_deaths_total");
        let limit = |path: &&str| {
            let of_path = |name| {
                series(page, name).find(|(labels, _)| {
                    label(labels, "path") == Some(path)
                        && label(labels, "kind").is_none_or(|kind| kind == "idle")
                })
            };
            let value = |name| of_path(name).map(|(_, value)| value);
            let upper = value("mysql_canary_idle_limit_upper_seconds")?;
            let culprit = of_path("mysql_canary_idle_limit_info")
                .and_then(|(labels, _)| label(labels, "culprit"))
                .unwrap_or(UNKNOWN);
            Some(Limit {
                path: (*path).to_owned(),
                lower: value("mysql_canary_idle_limit_lower_seconds").unwrap_or_default(),
                upper,
                culprit: culprit.to_owned(),
                is_confirmed: value("mysql_canary_idle_limit_confirmed") == Some(1.0),
            })
        };
        Self {
            lived: sum("mysql_canary_lives_total").saturating_sub(died),
            died,
            limits: PATHS.iter().filter_map(limit).collect(),
        }
    }
}

/// The culprit that is nobody.
const UNKNOWN: &str = "unknown";
/// The culprit whose deaths nobody hears.
const SILENT: &str = "network_idle_timeout";

/// The series of one metric: the text between the braces, and the value.
fn series<'a>(page: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    page.lines().filter_map(move |line| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} ")?;
        Some((labels, value.parse().ok()?))
    })
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [lower, upper] = [self.lower, self.upper].map(|age| format!("{age:.2} s"));
        let Self { path, culprit, .. } = self;
        if lower == upper {
            write!(f, "{path}: sessions die of {upper} of idleness, by {culprit}")
        } else {
            write!(f, "{path}: sessions live {lower} of idleness and die of {upper}, by {culprit}")
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} canaries lived and {} died", self.lived, self.died)?;
        if self.limits.is_empty() {
            return write!(f, "; no idle limit was found");
        }
        self.limits.iter().try_for_each(|limit| write!(f, "\n{limit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_summed_up() {
        let mut page = "HTTP/1.0 200 OK\r\n\r\n# TYPE mysql_canary_lives_total counter\n\
            mysql_canary_lives_total{kind=\"idle\",path=\"direct\",target=\"demo\"} 7\n\
            mysql_canary_deaths_total{culprit=\"server_idle_timeout\",ending=\"reset\",kind=\"idle\",path=\"direct\"} 2\n\
            mysql_canary_deaths_total{culprit=\"proxy_idle_timeout\",ending=\"fin\",kind=\"idle\",path=\"balancer\"} 1\n"
            .to_owned();
        let limit = |path: &str, culprit: &str| {
            format!(
                "mysql_canary_idle_limit_lower_seconds{{kind=\"keepalive\",path=\"{path}\",target=\"demo\"}} 3\n\
                 mysql_canary_idle_limit_lower_seconds{{kind=\"idle\",path=\"{path}\",target=\"demo\"}} 4\n\
                 mysql_canary_idle_limit_upper_seconds{{kind=\"idle\",path=\"{path}\",target=\"demo\"}} 5.004\n\
                 mysql_canary_idle_limit_confirmed{{kind=\"idle\",path=\"{path}\",target=\"demo\"}} 1\n\
                 mysql_canary_idle_limit_info{{culprit=\"{culprit}\",layer=\"server\",path=\"{path}\"}} 1\n"
            )
        };
        page += &limit("direct", "server_idle_timeout");
        page += &limit("nat", "unknown");
        let tally = Tally::parse(&page);
        assert_eq!(
            tally.to_string(),
            "4 canaries lived and 3 died\n\
             direct: sessions live 4.00 s of idleness and die of 5.00 s, by server_idle_timeout\n\
             nat: sessions live 4.00 s of idleness and die of 5.00 s, by unknown"
        );
        assert!(!tally.is_complete(), "one is unknown, and one is missing");
        let all = ["direct", "nat", "balancer"].map(|path| limit(path, "proxy_idle_timeout")).concat();
        assert!(Tally::parse(&all).is_complete());
        assert!(Tally::parse(&all).is_sharp(), "each was heard");
        let silent = all.replace("proxy_idle_timeout", "network_idle_timeout");
        assert!(!Tally::parse(&silent).is_sharp());
        assert!(Tally::parse(&silent.replace("} 4\n", "} 4.9\n")).is_sharp());
        let unconfirmed = all.replace(
            "_confirmed{kind=\"idle\",path=\"nat\",target=\"demo\"} 1",
            "_confirmed{kind=\"idle\",path=\"nat\",target=\"demo\"} 0",
        );
        assert!(!Tally::parse(&unconfirmed).is_complete());
        assert_eq!(Tally::parse("").to_string(), "0 canaries lived and 0 died; no idle limit was found");
    }
}
