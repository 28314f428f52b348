//! A YAML text as a tree in which everything knows its place. Nothing is guessed: a value is the words that stand there.
//! The only file that knows the parser.

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};
use zeroize::Zeroizing;

/// How deep sections and lists may be nested: the configuration needs seven.
const DEEPEST: usize = 16;
/// How many values there may be: a thousand targets of two paths have about forty thousand.
const MOST_NODES: usize = 200_000;

/// Where something stands; both count from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What is wrong, and where. It repeats nothing of the text but single characters.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) place: Place,
    pub(super) what: String,
    /// The text means one value for several places.
    pub(super) is_shared: bool,
}

/// A value and its place. It may be a secret, so it cannot be printed.
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value.
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Absent,
    /// A word, a number, a text: wiped when it is dropped, for it may be a secret.
    Text(Zeroizing<String>),
    List(Vec<Node>),
    /// A section; a key may stand twice in it.
    Section(Vec<(Key, Node)>),
}

/// A key and its place.
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) name: String,
}

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

impl Place {
    fn trouble(self, what: &str) -> Trouble {
        Trouble { place: self, what: what.to_owned(), is_shared: false }
    }
}

/// Reads one document.
///
/// # Errors
/// The first thing that is no YAML, or that is more than a configuration needs: anchors, aliases, tags, a second
/// document, too many values, nested too deeply.
pub(super) fn parse(text: &str) -> Result<Node, Trouble> {
    // The parser takes a NUL for the end of the text.
    if let Some(at) = text.find('\0') {
        let line = text[..at].matches('\n').count() + 1;
        let column = text[..at].chars().rev().take_while(|&c| c != '\n').count() + 1;
        return Err(Place { line, column }.trouble("a NUL byte: this is no text file"));
    }
    let mut reader = Reader { text, parser: Parser::new_from_str(text), nodes: 0 };
    let mut document = None;
    loop {
        let (event, span) = reader.next()?;
        let place = Place::from(span.start);
        match event {
            Event::StreamStart | Event::DocumentEnd => {}
            Event::DocumentStart(..) if document.is_some() => {
                return Err(place.trouble("a second document begins here: write one file for one exporter"));
            }
            Event::DocumentStart(..) => {
                let (event, span) = reader.next()?;
                document = Some(reader.node(event, span, 0)?);
            }
            Event::StreamEnd => {
                let nothing = Node { place: Place { line: 1, column: 1 }, value: Value::Absent };
                return Ok(document.unwrap_or(nothing));
            }
            _ => return Err(place.trouble("no YAML: a value stands outside of the document")),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Trouble> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(explain(&error, self.text)),
            None => Err(Place::default().trouble("no YAML: the text ends too soon")),
        }
    }

    /// The node that begins with this event.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Trouble> {
        let place = Place::from(span.start);
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(place.trouble("more than 200000 values: this is no configuration of an exporter"));
        }
        if depth > DEEPEST {
            return Err(place.trouble("nested more than 16 deep: this is no configuration of an exporter"));
        }
        let value = match event {
            Event::Scalar(text, style, 0, None) => match (&*text, style) {
                ("" | "~" | "null" | "Null" | "NULL", ScalarStyle::Plain) => Value::Absent,
                _ => Value::Text(Zeroizing::new(text.into_owned())),
            },
            Event::SequenceStart(_, 0, None) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break Value::List(list),
                        (event, span) => list.push(self.node(event, span, depth + 1)?),
                    }
                }
            }
            Event::MappingStart(_, 0, None) => {
                let mut section = Vec::new();
                loop {
                    let key = match self.next()? {
                        (Event::MappingEnd, _) => break Value::Section(section),
                        (Event::Scalar(name, _, 0, None), span) => {
                            Key { place: span.start.into(), name: name.into_owned() }
                        }
                        (event, span) => return Err(refused(span.start.into(), &event, true)),
                    };
                    let (event, span) = self.next()?;
                    section.push((key, self.node(event, span, depth + 1)?));
                }
            }
            other => return Err(refused(place, &other, false)),
        };
        Ok(Node { place, value })
    }
}

fn refused(place: Place, event: &Event<'_>, key: bool) -> Trouble {
    let what = refusal(event, key);
    Trouble { is_shared: what == ALIAS || what == ANCHOR, ..place.trouble(what) }
}

const ALIAS: &str = "an alias (*name): write the value out where it is needed";
const ANCHOR: &str = "an anchor (&name): write the value out where it is needed";

/// Why an event that is good YAML has no place here.
fn refusal(event: &Event<'_>, key: bool) -> &'static str {
    match event {
        Event::Alias(_) => ALIAS,
        Event::Scalar(_, _, 0, _) | Event::SequenceStart(_, 0, _) | Event::MappingStart(_, 0, _) if !key => {
            "a tag (!name): leave it out, the exporter knows what each key takes"
        }
        Event::Scalar(_, _, 0, Some(_)) => "a tag (!name): leave it out",
        Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) if !key => ANCHOR,
        _ => "this is no key: write a word and a colon, such as name: orders",
    }
}

/// What the parser says, in the words of whoever writes the file.
fn explain(error: &ScanError, text: &str) -> Trouble {
    let place = Place::from(*error.marker());
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    if line.contains("]:") && !line.contains(['"', '\'']) {
        return place
            .trouble("an IPv6 address without quotation marks is a list: write \"[2001:db8::10]:3306\"");
    }
    let what = match error.kind() {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            "a tab: YAML indents with spaces only".to_owned()
        }
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::DocumentIndicatorInQuotedScalar
        | ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            "a quotation mark that is not closed, or something behind the closing one: a value stands whole between two of them".to_owned()
        }
        ErrorKind::UnknownAnchor => {
            "an alias (*name) without its anchor: write the value out, or put it between quotation marks if it begins with *".to_owned()
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "a colon where none can stand: write a space behind the colon of a key, indent the keys of one section alike, and put a value that has a colon and a space between quotation marks"
                .to_owned()
        }
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockSequenceEntry => {
            "what stands here is indented as nothing before it: indent the keys of one section alike, and the - of one list"
                .to_owned()
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            "no key: write a word, a colon and a space, such as name: orders".to_owned()
        }
        ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::UnclosedFlowCollection { .. } => "a [ or { that is not closed: close it".to_owned(),
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => {
            "a comma or a bracket is missing: write {key: value, key: value} or [value, value]".to_owned()
        }
        ErrorKind::RecursionLimitExceeded => {
            "nested more than 16 deep: this is no configuration of an exporter".to_owned()
        }
        // None of these words come from the text.
        other => format!("no YAML: {other}"),
    };
    Trouble { place, what, is_shared: false }
}
