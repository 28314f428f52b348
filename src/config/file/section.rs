//! Sections of the file as they are read: known keys only, each once, each value with its place and the path of its key.

use super::keys::{self, Keys};
use super::nearest::nearest;
use super::tree::{Node, Place, Value};

/// What is wrong in the file: where, under which key, and what would be right.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    /// Such as `targets[1].paths[0].address`; empty for the whole file.
    pub(super) path: String,
    pub(super) what: String,
}

/// A value that was read, and where it stood: for what is checked later, together with others.
#[derive(Debug, Clone)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
    pub(super) path: String,
}

impl<T> Located<T> {
    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { place: self.place, path: self.path.clone(), what: what.into() }
    }
}

/// A value, and the path of its key.
pub(super) struct Entry<'a> {
    node: &'a Node,
    path: String,
}

/// A section whose keys are all known.
pub(super) struct Section<'a> {
    entries: Vec<(&'a str, &'a Node)>,
    pub(super) place: Place,
    pub(super) path: String,
}

/// The same in the web configuration.
const NO_WEB_PASSWORD: &str = "no password stands in this file: write basic_auth_users, with the bcrypt hash of each user's (hash-password makes one)";

/// What is no key of the account, and what to write instead.
const NO_PASSWORD: &str =
    "no password stands in this file: write password_file: FILE, or password_env: VARIABLE";

impl<'a> Entry<'a> {
    /// The whole file.
    pub(super) fn root(node: &'a Node) -> Self {
        Self { node, path: String::new() }
    }

    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { place: self.node.place, path: self.path.clone(), what: what.into() }
    }

    /// The path of its key.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn locate<T>(&self, value: T) -> Located<T> {
        Located { value, place: self.node.place, path: self.path.clone() }
    }

    /// One word or text.
    pub(super) fn text(&self, example: &str) -> Result<&'a str, Fault> {
        match &self.node.value {
            Value::Text(text) => Ok(text.as_str()),
            Value::Absent => Err(self.fault(format!("nothing stands here: write {example}"))),
            Value::List(_) => {
                Err(self.fault(format!("one value is wanted here, not a list: write {example}")))
            }
            Value::Section(_) => {
                Err(self.fault(format!("one value is wanted here, not a section: write {example}")))
            }
        }
    }

    /// One value that `parse` takes.
    pub(super) fn parse<T>(
        &self,
        example: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Located<T>, Fault> {
        parse(self.text(example)?).map(|value| self.locate(value)).map_err(|what| self.fault(what))
    }

    /// Yes or no.
    pub(super) fn bool(&self) -> Result<bool, Fault> {
        match self.text("true or false")? {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.fault("write true or false")),
        }
    }

    /// The same with all the words that YAML had for it.
    pub(super) fn yaml_bool(&self) -> Result<bool, Fault> {
        match self.text("true or false")? {
            "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Ok(true),
            "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Ok(false),
            _ => self.bool(),
        }
    }

    /// The values of a list.
    pub(super) fn list(&self, example: &str) -> Result<Vec<Entry<'a>>, Fault> {
        match &self.node.value {
            Value::List(list) => {
                let entry = |(index, node)| Entry { node, path: format!("{}[{index}]", self.path) };
                Ok(list.iter().enumerate().map(entry).collect())
            }
            _ => Err(self.fault(format!("a list is wanted here: write {example}"))),
        }
    }

    /// The words of a list, or of a text that commas divide.
    pub(super) fn words(&self, example: &str) -> Result<Vec<Located<&'a str>>, Fault> {
        match &self.node.value {
            Value::List(_) => {
                let list = self.list(example)?;
                list.iter().map(|word| Ok(word.locate(word.text(example)?))).collect()
            }
            _ => Ok(self.text(example)?.split(',').map(|word| self.locate(word.trim())).collect()),
        }
    }

    /// A section whose keys are names that people choose, each once. A name is repeated where it looks like one.
    pub(super) fn named(&self, example: &str) -> Result<Vec<(&'a str, Entry<'a>)>, Fault> {
        let entries = match &self.node.value {
            Value::Section(entries) => entries.as_slice(),
            Value::Absent => &[],
            Value::List(_) | Value::Text(_) => {
                return Err(self.fault(format!("a section is wanted here: write {example}")));
            }
        };
        let mut named = Vec::new();
        for (index, (key, node)) in entries.iter().enumerate() {
            let path = match is_word(&key.name) {
                true => format!("{}.{}", self.path, key.name),
                false => format!("{}[{index}]", self.path),
            };
            if let Some((first, _)) = entries[..index].iter().find(|(other, _)| other.name == key.name) {
                let what = format!("stands twice, first on line {}: keep one of them", first.place.line);
                return Err(Fault { place: key.place, path, what });
            }
            named.push((key.name.as_str(), Entry { node, path }));
        }
        Ok(named)
    }

    /// A section, whose keys are these and no others.
    pub(super) fn section(&self, keys: &'static Keys) -> Result<Section<'a>, Fault> {
        let wanted = || format!("write its keys below it, indented: {}", in_words(keys.keys));
        let entries = match &self.node.value {
            Value::Section(entries) => entries.as_slice(),
            Value::Absent => &[],
            Value::List(_) => {
                return Err(self.fault(format!("a section is wanted here, not a list: {}", wanted())));
            }
            Value::Text(_) => {
                return Err(self.fault(format!("a section is wanted here, not one value: {}", wanted())));
            }
        };
        let mut section = Section { entries: Vec::new(), place: self.node.place, path: self.path.clone() };
        for (index, (key, node)) in entries.iter().enumerate() {
            let Some(known) = keys.keys.iter().copied().find(|known| *known == key.name) else {
                let fault =
                    Fault { place: key.place, path: self.path.clone(), what: unknown(&key.name, keys) };
                return Err(fault);
            };
            if let Some((first, _)) = entries[..index].iter().find(|(other, _)| other.name == key.name) {
                return Err(Fault {
                    place: key.place,
                    path: section.path_of(known),
                    what: format!("stands twice, first on line {}: keep one of them", first.place.line),
                });
            }
            if !matches!(node.value, Value::Absent) {
                section.entries.push((known, node));
            }
        }
        Ok(section)
    }
}

impl<'a> Section<'a> {
    /// What stands under a key; `None` where nothing does.
    pub(super) fn get(&self, key: &str) -> Option<Entry<'a>> {
        let (_, node) = self.entries.iter().find(|(known, _)| *known == key)?;
        Some(Entry { node, path: self.path_of(key) })
    }

    /// Every key that has a value, with it.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'a str, Entry<'a>)> {
        self.entries.iter().map(|&(key, node)| (key, Entry { node, path: self.path_of(key) }))
    }

    /// What stands under a key that must be there.
    pub(super) fn need(&self, key: &str, example: &str) -> Result<Entry<'a>, Fault> {
        self.get(key).ok_or_else(|| self.fault(format!("{key} is missing: write {example}")))
    }

    pub(super) fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { place: self.place, path: self.path.clone(), what: what.into() }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// How much longer than the key it resembles an unknown one may be that is repeated, in bytes: no secret is so short.
const LONGEST_TAIL: usize = 4;

/// What to say of a key that does not stand here. A key that resembles none may be anything, so it is not repeated.
fn unknown(name: &str, keys: &Keys) -> String {
    let of_web = keys::WEB_SECTIONS.iter().any(|section| std::ptr::eq(*section, keys));
    if ["password", "passwd", "pwd", "pass", "secret"].contains(&&*name.to_ascii_lowercase()) {
        return if of_web { NO_WEB_PASSWORD } else { NO_PASSWORD }.to_owned();
    }
    let sections: &[&Keys] = if of_web { &keys::WEB_SECTIONS } else { &keys::SECTIONS };
    // Whoever writes max-connections means the key of that name, wherever it stands.
    let plain = |name: &str| name.replace('-', "_").to_ascii_lowercase();
    let known = sections.iter().flat_map(|section| section.keys).find(|key| **key == plain(name));
    let name = known.copied().filter(|known| !keys.keys.contains(known)).unwrap_or(name);
    let elsewhere = sections.iter().filter(|other| other.keys.contains(&name));
    let elsewhere: Vec<&str> = elsewhere.map(|other| other.name).collect();
    // What is no single word may be a key that swallowed a value.
    let near = if is_word(name) { nearest(name, keys.keys.iter().copied()) } else { Vec::new() };
    let here = in_words(keys.keys);
    match (near.first(), elsewhere.is_empty()) {
        // One that goes on for long after a known key may have swallowed its value.
        (Some(near), true) if name.len() > near.len() + LONGEST_TAIL => {
            format!("unknown key: is {near} meant? The keys here are {here}")
        }
        (Some(near), true) => format!("unknown key {name}: is {near} meant? The keys here are {here}"),
        (None, true) => format!("unknown key: the keys here are {here}"),
        (near, false) => {
            let meant = near.map(|near| format!(": is {near} meant?")).unwrap_or_default();
            format!("{name} does not stand here, but in {}{meant}", in_words(&elsewhere))
        }
    }
}

/// Whether this is one word of reasonable length.
fn is_word(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 40
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

/// Words as a person lists them.
pub(super) fn in_words(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
