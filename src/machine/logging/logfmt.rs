//! logfmt, as go-logfmt (and so Loki, Promtail and `hutils`) reads it: `key=value` pairs, a value in quotes
//! where it holds anything but plain characters, with the escapes of JSON inside.

use std::fmt::Write as _;

use serde_json::Value;

use super::Fields;

/// One line.
pub(super) fn line(time: &str, level: &str, fields: &Fields) -> String {
    let mut line = format!("time={time} level={level} msg=");
    quote_into(&mut line, &fields.message);
    for (name, value) in &fields.rest {
        line.push(' ');
        line.push_str(name);
        line.push('=');
        match value {
            Value::String(text) => quote_into(&mut line, text),
            other => {
                // Writing to a String cannot fail.
                let _ = write!(line, "{other}");
            }
        }
    }
    line.push('\n');
    line
}

/// Writes a value, in quotes where it needs them. Control characters are escaped whole: those above ASCII
/// would be read as they are, but a terminal obeys them.
fn quote_into(line: &mut String, text: &str) {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
    // A bare `null` is read as no value at all.
    if !text.is_empty() && text != "null" && text.chars().all(is_plain) {
        line.push_str(text);
        return;
    }
    line.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // Line and paragraph separators end a line for some readers.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | char::REPLACEMENT_CHARACTER) => {
                // All of them lie below 0x10000: four digits are enough.
                let _ = write!(line, "\\u{:04x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted(text: &str) -> String {
        let mut line = String::new();
        quote_into(&mut line, text);
        line
    }

    /// Reads one line as go-logfmt's decoder does, written from its rules: a key is what is above a space and
    /// neither `=` nor a quote; a bare value is the same; a quoted one holds no control character, and JSON's
    /// escapes. `None` where it would report a syntax error.
    fn read(line: &str) -> Option<Vec<(String, Option<String>)>> {
        let mut pairs = Vec::new();
        let mut left = line.strip_suffix('\n')?.chars().peekable();
        loop {
            while left.next_if(|c| *c <= ' ').is_some() {}
            if left.peek().is_none() {
                return Some(pairs);
            }
            let mut key = String::new();
            while let Some(c) = left.next_if(|c| *c > ' ' && !matches!(c, '"' | '=')) {
                key.push(c);
            }
            if key.is_empty() {
                return None;
            }
            if left.next_if_eq(&'=').is_none() {
                left.peek().is_none_or(|c| *c <= ' ').then_some(())?;
                pairs.push((key, None));
                continue;
            }
            let value = if left.next_if_eq(&'"').is_some() {
                Some(read_quoted(&mut left)?)
            } else {
                let mut value = String::new();
                while let Some(c) = left.next_if(|c| *c > ' ' && !matches!(c, '"' | '=')) {
                    value.push(c);
                }
                (value != "null").then_some(value)
            };
            left.peek().is_none_or(|c| *c <= ' ').then_some(())?;
            pairs.push((key, value));
        }
    }

    fn read_quoted(left: &mut impl Iterator<Item = char>) -> Option<String> {
        let mut units: Vec<u16> = Vec::new();
        loop {
            let c = left.next()?;
            let plain = match c {
                '"' => return String::from_utf16(&units).ok(),
                '\\' => match left.next()? {
                    c @ ('"' | '\\' | '/') => c,
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let digits: String = left.by_ref().take(4).collect();
                        let whole = digits.len() == 4 && digits.chars().all(|c| c.is_ascii_hexdigit());
                        units.push(whole.then(|| u16::from_str_radix(&digits, 16).ok())??);
                        continue;
                    }
                    _ => return None,
                },
                c if c < ' ' => return None,
                c => c,
            };
            units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
        }
    }

    #[test]
    fn values_are_quoted_where_they_must() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("two words"), "\"two words\"");
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("null"), "\"null\"");
        assert_eq!(quoted("a=b"), "\"a=b\"");
        assert_eq!(quoted("\u{1b}[31m\t\r\u{0}"), "\"\\u001b[31m\\t\\r\\u0000\"");
        assert_eq!(quoted("\u{7f}\u{9b}\u{2028}é𝄞"), "\"\\u007f\\u009b\\u2028é𝄞\"");
        assert_eq!(quoted(&String::from_utf8_lossy(b"\xff")), "\"\\ufffd\"");
    }

    #[test]
    fn the_reader_refuses_what_go_logfmt_refuses() {
        for bad in
            ["a=\"\\u{1b}\"\n", "a=\"\u{1b}\"\n", "a=b=c\n", "a=\"b\n", "=a\n", "a=b\"c\n", "a=\"b\"c\n"]
        {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(read("a b=\n"), Some(vec![("a".to_owned(), None), ("b".to_owned(), Some(String::new()))]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(message in any::<String>(), texts in prop::collection::vec("[\\x00-\\x7f\u{80}-\u{a0}\u{2028}\u{fffd}é𝄞]*", 0..6)) {
            const NAMES: [&str; 6] = ["a", "b", "event", "error_code", "f", "g"];
            let rest = NAMES.into_iter().zip(texts.iter().map(|text| Value::from(text.as_str()))).collect();
            let fields = Fields { message: message.clone(), rest };
            let line = line("2026-01-01T12:00:00.000Z", "INFO", &fields);
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(!line.trim_end_matches('\n').contains(char::is_control));
            let pairs = read(&line).expect("go-logfmt can read it");
            let values: Vec<&str> = pairs.iter().skip(2).filter_map(|(_, value)| value.as_deref()).collect();
            let wanted: Vec<&str> = std::iter::once(&message).chain(&texts).map(String::as_str).collect();
            prop_assert_eq!(values, wanted);
        }
    }
}
