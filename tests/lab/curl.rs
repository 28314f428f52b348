//! curl: what a person or a scraper sees of the pages.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// A request to an exporter's pages.
#[derive(Debug, Clone)]
pub(crate) struct Curl {
    scheme: &'static str,
    address: SocketAddr,
    args: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Seen {
    /// curl's own exit code; none is 0.
    pub(crate) exit: i32,
    /// The status; 0 where there was no answer.
    pub(crate) status: u16,
    /// Head and body as text.
    pub(crate) text: String,
    /// What curl says of the fault.
    pub(crate) fault: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}, status {}, {}\n{}", self.exit, self.status, self.fault, self.text)
    }
}

impl Seen {
    /// The value of a header, whose name is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Curl {
    /// Under TLS, trusting the authority of this file.
    pub(crate) fn https(address: SocketAddr, authority: &Path) -> Self {
        let args = vec!["--cacert".to_owned(), authority.display().to_string()];
        Self { scheme: "https", address, args }
    }

    /// In clear.
    pub(crate) fn http(address: SocketAddr) -> Self {
        Self { scheme: "http", address, args: Vec::new() }
    }

    /// With more arguments.
    pub(crate) fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// As this user, with this password.
    pub(crate) fn logged_in(self, credentials: &str) -> Self {
        self.with(&["--user", credentials])
    }

    /// Showing a certificate.
    pub(crate) fn showing(self, certificate: &Path, key: &Path) -> Self {
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        self.with(&["--cert", &certificate, "--key", &key])
    }

    /// Asks for a page.
    pub(crate) fn get(&self, path: &str) -> Seen {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "20", "--include"])
            .args(["--write-out", "%{stderr}status=%{http_code}\n"])
            .args(&self.args)
            .arg(format!("{}://{}{path}", self.scheme, self.address))
            .env_remove("http_proxy")
            .env_remove("https_proxy")
            .output()
            .expect("curl is installed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let (fault, status): (Vec<&str>, Vec<&str>) =
            said.lines().partition(|line| !line.starts_with("status="));
        Seen {
            exit: output.status.code().expect("nobody killed it"),
            status: status.first().and_then(|line| line["status=".len()..].parse().ok()).unwrap_or_default(),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
            fault: fault.join(" "),
        }
    }
}
