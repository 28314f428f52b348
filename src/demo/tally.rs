//! What the metrics page says so far: how many canaries lived and died, and the limit between them. Read
//! as anybody would, so that the demonstration can say nothing that the page does not.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the page may take; it comes from memory.
const PATIENCE: Duration = Duration::from_secs(2);

/// The demonstration in numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tally {
    lived: u64,
    died: u64,
    limit: Option<Limit>,
}

/// Two ages in seconds, and who ends what is idle for longer.
#[derive(Debug, Clone, PartialEq)]
struct Limit {
    lower: f64,
    upper: f64,
    culprit: String,
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

    fn parse(page: &str) -> Self {
        let sum = |name| series(page, name).map(|(_, value)| value as u64).sum::<u64>();
        let of_idle = |name| {
            series(page, name)
                .find(|(labels, _)| label(labels, "kind") == Some("idle"))
                .map(|(_, value)| value)
        };
        let died = sum("mysql_canary_deaths_total");
        let culprit = series(page, "mysql_canary_idle_limit_info")
            .find_map(|(labels, _)| label(labels, "culprit").map(str::to_owned));
        let limit = of_idle("mysql_canary_idle_limit_upper_seconds").map(|upper| Limit {
            lower: of_idle("mysql_canary_idle_limit_lower_seconds").unwrap_or_default(),
            upper,
            culprit: culprit.unwrap_or_else(|| "unknown".to_owned()),
        });
        Self { lived: sum("mysql_canary_lives_total").saturating_sub(died), died, limit }
    }
}

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
        if lower == upper {
            write!(f, "sessions die of {upper} of idleness, by {}", self.culprit)
        } else {
            write!(f, "sessions live {lower} of idleness and die of {upper}, by {}", self.culprit)
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} canaries lived and {} died", self.lived, self.died)?;
        match &self.limit {
            Some(limit) => write!(f, "; {limit}"),
            None => write!(f, "; no idle limit was found"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_summed_up() {
        let page = "HTTP/1.0 200 OK\r\n\r\n# TYPE mysql_canary_lives_total counter\n\
            mysql_canary_lives_total{kind=\"idle\",path=\"default\",target=\"default\"} 7\n\
            mysql_canary_deaths_total{culprit=\"server_idle_timeout\",ending=\"reset\",kind=\"idle\"} 2\n\
            mysql_canary_deaths_total{culprit=\"server_kill\",ending=\"fin\",kind=\"idle\"} 1\n\
            mysql_canary_idle_limit_lower_seconds{kind=\"idle\",path=\"default\",target=\"default\"} 4\n\
            mysql_canary_idle_limit_upper_seconds{kind=\"idle\",path=\"default\",target=\"default\"} 5.004\n\
            mysql_canary_idle_limit_info{culprit=\"server_idle_timeout\",layer=\"server\"} 1\n";
        assert_eq!(
            Tally::parse(page).to_string(),
            "4 canaries lived and 3 died; sessions live 4.00 s of idleness and die of 5.00 s, by server_idle_timeout"
        );
        assert_eq!(Tally::parse("").to_string(), "0 canaries lived and 0 died; no idle limit was found");
    }
}
