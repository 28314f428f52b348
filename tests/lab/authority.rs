//! An authority that signs certificates, by openssl.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::PrivateDir;
use super::process::run;

/// A directory with an authority's certificate, and whatever it signs; removed when dropped.
#[derive(Debug)]
pub(crate) struct Authority(PrivateDir);

impl Authority {
    /// A new one, with its certificate in `ca.pem`.
    pub(crate) fn new() -> Self {
        Self::called("authority of the pages")
    }

    /// One of another name.
    pub(crate) fn called(name: &str) -> Self {
        let new = Self(PrivateDir::new());
        new.openssl(&format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca-key.pem -out ca.pem \
             -days 30 -subj '/CN={name}'"
        ));
        new
    }

    /// Signs a certificate for these names, such as `DNS:localhost`, good for so many days: with less than none, it has
    /// expired. It stands in `NAME.pem`, its key in `NAME-key.pem`.
    pub(crate) fn sign(&self, name: &str, names: &str, days: i32) {
        let script = format!(
            "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {name}-key.pem -out {name}.req -subj '/CN={name}'
             printf 'subjectAltName={names}\\n' > {name}.ext
             openssl x509 -req -in {name}.req -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days {days} -extfile {name}.ext -out {name}.pem
             chmod 600 {name}-key.pem"
        );
        self.openssl(&script);
    }

    /// A certificate that is its own authority.
    pub(crate) fn sign_itself(&self, name: &str) {
        self.openssl(&format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp384r1 -nodes -keyout {name}-key.pem -out {name}.pem \
             -days 30 -subj '/CN=test'; chmod 600 {name}-key.pem"
        ));
    }

    fn openssl(&self, script: &str) {
        run(Command::new("sh").args(["-ec", script]).current_dir(self.0.path()));
    }

    /// Where its files are.
    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }

    /// One of its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file beside them, at once: whoever reads it sees the old one or the new one.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let new = self.file(&format!("{name}.new"));
        std::fs::write(&new, text).expect("the directory is ours");
        run(Command::new("chmod").arg("600").arg(&new));
        std::fs::rename(new, self.file(name)).expect("the directory is ours");
    }
}
