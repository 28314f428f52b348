//! The configuration file: several servers, several ways to each, in YAML.
//!
//! Read in four steps: the text as a tree that knows its places (`tree`), sections whose keys are known (`section`, `keys`),
//! what each level says (`layer`), and what that comes to for each path: nearest wins, of path, target, global and default.
//! The web configuration (`web`) is another file, in the exporter-toolkit's format, read by the same steps.

mod auth;
mod budget;
mod declared;
pub mod keys;
mod layer;
mod nearest;
mod section;
mod tls;
mod tree;
pub mod web;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::address::Address;
use crate::config::naming::told;
use crate::config::settings::{PathSettings, TargetSettings};
use crate::config::source::{advice, read_regular_text};
use crate::domain::layers::pool::check_name;
use crate::session::Account;
use auth::Login;
use layer::Layer;
use section::{Entry, Fault, Located, Section};

/// What a path has where nobody says otherwise: as the flags' defaults.
const MAX_CONNECTIONS: usize = 12;
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
const PRECISION: f64 = 0.01;
const SERVER_INTERVAL: Duration = Duration::from_secs(15);

/// Why a configuration file is not taken. No message repeats what may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{flag}: cannot read {}: {source}: {}", told(file), advice(source))]
    Unreadable {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{}:{line}:{column}: {path}{what}", told(file))]
    Bad {
        /// The file.
        file: PathBuf,
        /// The line, from one.
        line: usize,
        /// The column in characters, from one.
        column: usize,
        /// The key and a colon, such as `targets[1].paths[0].address: `; nothing where the file itself is wrong.
        path: String,
        /// What is wrong, and what would be right.
        what: String,
    },
}

/// What a configuration file says.
#[derive(Debug)]
pub(super) struct Configured {
    pub(super) targets: Vec<TargetSettings>,
    /// What is no error and should be mended all the same.
    pub(super) warnings: Vec<String>,
}

/// Where relative names of files begin, and what is to be told of the files.
struct Files {
    folder: PathBuf,
    warnings: Vec<String>,
}

impl Files {
    /// A file that the configuration names: relative to its own folder.
    fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Reads a configuration file and the files that it names, anew each time.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn read(file: &Path) -> Result<Configured, FileError> {
    let (text, _) = read_regular_text(file).map_err(|source| FileError::Unreadable {
        flag: "--config.file",
        file: file.to_owned(),
        source,
    })?;
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    configure(&text, Files { folder, warnings: Vec::new() }).map_err(|fault| fault.of(file))
}

impl Fault {
    /// What is wrong with the text itself.
    fn of_text(trouble: tree::Trouble) -> Self {
        Self { place: trouble.place, path: String::new(), what: trouble.what }
    }

    /// The same, with the name of the file.
    fn of(self, file: &Path) -> FileError {
        let Self { place, path, what } = self;
        FileError::Bad {
            file: file.to_owned(),
            line: place.line,
            column: place.column,
            path: if path.is_empty() { path } else { format!("{path}: ") },
            what,
        }
    }
}

fn configure(text: &str, mut files: Files) -> Result<Configured, Fault> {
    let root = tree::parse(text).map_err(|mut trouble| {
        if trouble.is_shared {
            trouble.what.push_str(", or put it under global");
        }
        Fault::of_text(trouble)
    })?;
    let root = Entry::root(&root).section(&keys::FILE)?;
    let global = match root.get("global") {
        Some(global) => Layer::read(&global.section(&keys::GLOBAL)?, &keys::CANARY)?,
        None => Layer::default(),
    };
    let example = "targets: and below it, for each server, - with name, auth and paths";
    let listed = root.need("targets", example)?.list(example)?;
    if listed.is_empty() {
        return Err(root.fault(format!("there is no target: write {example}")));
    }
    let mut names = Names::of("targets");
    let mut targets = Vec::new();
    for target in listed {
        let target = target.section(&keys::TARGET)?;
        let name = names.take(&target, "orders")?;
        targets.push(configure_target(&target, name, &global, &mut files)?);
    }
    Ok(Configured { targets, warnings: files.warnings })
}

fn configure_target(
    section: &Section<'_>,
    name: String,
    global: &Layer,
    files: &mut Files,
) -> Result<TargetSettings, Fault> {
    let layer = Layer::read(section, &keys::CANARY)?.over(global);
    let example = "paths: and below it, for each way to the server, - with name and address";
    let listed = section.need("paths", example)?.list(example)?;
    if listed.is_empty() {
        return Err(section.fault(format!("target {name} has no path: write {example}")));
    }
    let mut names = Names::of("paths");
    let mut ways = Vec::new();
    for path in listed {
        let path = path.section(&keys::PATH)?;
        let name = names.take(&path, "direct")?;
        let example =
            "host:port, such as db.example.org:3306, or \"[2001:db8::10]:3306\" with its quotation marks";
        let address = path
            .need("address", example)?
            .parse(example, |text| text.parse::<Address>().map_err(|error| error.to_string()))?;
        ways.push(Way {
            name,
            address: address.value,
            layer: Layer::read(&path, &keys::PATH_CANARY)?.over(&layer),
        });
    }
    let known: Vec<&str> = ways.iter().map(|way| way.name.as_str()).collect();
    let view_path = match &layer.server.path {
        Some(path) if known.contains(&path.value.as_str()) => path.value.clone(),
        Some(path) => return Err(path.fault(no_such_path(&name, &known))),
        None => known[0].to_owned(),
    };
    for pool in layer.pools.iter().flatten() {
        if let Some(path) = &pool.value.path
            && !known.contains(&path.as_str())
        {
            return Err(pool.fault(format!("path: {}", no_such_path(&name, &known))));
        }
    }
    let budgets = budget::divide(&name, &view_path, &ways)?;
    let login = match &layer.auth {
        Some(auth) => auth.log_in(files)?,
        None => {
            let accounts = "auth is missing: write username and password_file, username and password_env, or defaults_file below auth, here or under global";
            return Err(section.fault(accounts));
        }
    };
    let paths = ways
        .into_iter()
        .zip(budgets)
        .map(|(way, max_connections)| way.configure(max_connections, &login, files))
        .collect::<Result<_, _>>()?;
    Ok(TargetSettings {
        name,
        paths,
        view_path,
        server_interval: layer.server.interval.unwrap_or(SERVER_INTERVAL),
        excluded_users: layer.server.excluded_users.unwrap_or_default().into_iter().collect::<BTreeSet<_>>(),
        pools: layer.pools.unwrap_or_default().into_iter().map(|pool| pool.value).collect(),
        ladder: layer.ages.unwrap_or_default(),
    })
}

fn no_such_path(target: &str, known: &[&str]) -> String {
    format!("target {target} has no path of this name: write one that it has ({})", section::in_words(known))
}

/// A path as it stands, with what the levels above it say.
struct Way {
    name: String,
    address: Address,
    layer: Layer,
}

impl Way {
    fn configure(
        self,
        max_connections: usize,
        login: &Login,
        files: &mut Files,
    ) -> Result<PathSettings, Fault> {
        let Self { name, address, layer } = self;
        let tls = layer.tls.check(files)?;
        let Login { username, password, password_file } = login.clone();
        let probe_timeout = layer.probe_timeout.unwrap_or(PROBE_TIMEOUT);
        Ok(PathSettings {
            name,
            address,
            account: Account {
                username,
                password,
                password_file,
                tls_mode: tls.mode,
                tls_ca: tls.ca_file,
                tls_identity: tls.identity,
                tls_server_name: tls.server_name,
                get_server_public_key: tls.get_server_public_key,
            },
            max_connections,
            connect_timeout: layer.connect_timeout.unwrap_or(probe_timeout),
            probe_timeout,
            precision: layer.precision.unwrap_or(PRECISION),
            kill_ghosts: layer.kill_ghosts.unwrap_or(true),
            devices: layer.devices.unwrap_or_default(),
        })
    }
}

/// The names of one list, each once.
struct Names {
    list: &'static str,
    taken: Vec<Located<String>>,
}

impl Names {
    fn of(list: &'static str) -> Self {
        Self { list, taken: Vec::new() }
    }

    /// The name of one more of them.
    fn take(&mut self, section: &Section<'_>, example: &str) -> Result<String, Fault> {
        let example = format!("name: {example}");
        let name = section
            .need("name", &example)?
            .parse(&example, |text| check_name(text).map_err(|error| error.to_string()))?;
        if let Some(first) = self.taken.iter().find(|taken| taken.value == name.value) {
            return Err(name.fault(format!(
                "two of these {} are named {}, the first on line {}: give each its own name",
                self.list, name.value, first.place.line
            )));
        }
        self.taken.push(name.clone());
        Ok(name.value)
    }
}

#[cfg(test)]
mod tests;
