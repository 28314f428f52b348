//! The configuration file of a test, with the password file beside it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::lab::account::DEFAULT_PASSWORD;
use crate::lab::place::PrivateDir;

/// A folder with a configuration file; it goes with the test.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    folder: PrivateDir,
    password: PasswordIn,
}

/// Where the password of the targets stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordIn {
    /// `password_file`.
    PasswordFile,
    /// `defaults_file`, as MySQL's own clients read it.
    DefaultsFile,
}

impl PasswordIn {
    const fn file(self) -> &'static str {
        match self {
            Self::PasswordFile => "password",
            Self::DefaultsFile => "my.cnf",
        }
    }

    const fn auth(self) -> &'static str {
        match self {
            Self::PasswordFile => "{username: canary, password_file: password}",
            Self::DefaultsFile => "{defaults_file: my.cnf}",
        }
    }

    fn text(self, password: &str) -> String {
        match self {
            Self::PasswordFile => format!("{password}\n"),
            Self::DefaultsFile => format!("[client]\nuser = canary\npassword = \"{password}\"\n"),
        }
    }
}

/// One target of the file.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    name: &'static str,
    ages: &'static str,
    /// More lines, such as `pools: []`.
    lines: Vec<String>,
    /// More keys of `canary`, in flow style.
    canary: String,
    paths: Vec<(&'static str, String, String)>,
}

impl Target {
    /// One with these idle ages and no path yet.
    pub(crate) fn new(name: &'static str, ages: &'static str) -> Self {
        Self { name, ages, lines: Vec::new(), canary: String::new(), paths: Vec::new() }
    }

    /// With a path.
    pub(crate) fn path(mut self, name: &'static str, address: impl ToString) -> Self {
        self.paths.push((name, address.to_string(), String::new()));
        self
    }

    /// With a path that has keys of its own.
    pub(crate) fn path_with(mut self, name: &'static str, address: impl ToString, keys: &str) -> Self {
        self.paths.push((name, address.to_string(), format!(", {keys}")));
        self
    }

    /// With one more line.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// With more keys of `canary`.
    pub(crate) fn canary(mut self, keys: &str) -> Self {
        write!(self.canary, ", {keys}").expect("text takes text");
        self
    }

    /// With other idle ages.
    pub(crate) fn ages(self, ages: &'static str) -> Self {
        Self { ages, ..self }
    }
}

impl ConfigFile {
    /// A folder with the password of the lab's accounts, and no file yet.
    pub(crate) fn new() -> Self {
        Self::with_password_in(PasswordIn::PasswordFile)
    }

    /// The same, with the password in such a file.
    pub(crate) fn with_password_in(password: PasswordIn) -> Self {
        let file = Self { folder: PrivateDir::new(), password };
        file.set_password(DEFAULT_PASSWORD);
        file
    }

    /// One that says this.
    pub(crate) fn of(targets: &[Target]) -> Self {
        let file = Self::new();
        file.write(targets);
        file
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("canary.yml")
    }

    /// Another password in the password's file. Nobody reads half of it.
    pub(crate) fn set_password(&self, password: &str) {
        let draft = self.folder.path().join("new password");
        fs::write(&draft, self.password.text(password)).expect("the folder is ours");
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        fs::rename(&draft, self.folder.path().join(self.password.file())).expect("the folder is ours");
    }

    /// Any text at all.
    pub(crate) fn write_text(&self, text: &str) {
        // As an editor does it: nobody reads half a file.
        let draft = self.folder.path().join("draft");
        fs::write(&draft, text).expect("the folder is ours");
        fs::rename(&draft, self.path()).expect("the folder is ours");
    }

    /// These targets and no others.
    pub(crate) fn write(&self, targets: &[Target]) {
        let mut text = format!(
            "global:\n  auth: {}\n  server: {{interval: 1s}}\n  tls_config: {{get_server_public_key: true}}\ntargets:\n",
            self.password.auth()
        );
        let mut say = |line: String| writeln!(text, "{line}").expect("text takes text");
        for Target { name, ages, lines, canary, paths } in targets {
            say(format!("  - name: {name}"));
            for line in lines {
                say(format!("    {line}"));
            }
            say(format!("    canary: {{ages: '{ages}', probe_timeout: 2s{canary}}}"));
            say("    paths:".to_owned());
            for (name, address, keys) in paths {
                say(format!("      - {{name: {name}, address: '{address}'{keys}}}"));
            }
        }
        self.write_text(&text);
    }
}
