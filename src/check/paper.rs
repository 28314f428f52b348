//! What lines are printed on: their width, their colours, and what names may not do to a terminal.

use std::env::var_os;
use std::io::{IsTerminal, Stdout};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use crate::domain::life::words::is_odd;

/// The width of what is printed where no terminal says one.
const PIPED: usize = 100;
/// Between these.
const WIDTHS: (usize, usize) = (40, 120);
/// The longest word from outside that is printed, in characters.
const LONGEST: usize = 400;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const DIM: Style = Style::new().dimmed();

/// How wide the lines on standard output may be, in columns.
pub(super) fn width() -> usize {
    let out = std::io::stdout();
    let columns = out.is_terminal().then(|| rustix::termios::tcgetwinsize(out).ok()).flatten();
    let columns = columns.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
    columns.map_or(PIPED, |columns| columns.clamp(WIDTHS.0, WIDTHS.1))
}

/// Whether the terminal knows no more than lines: nothing moves its cursor, and it shows no colours.
pub(super) fn is_dumb() -> bool {
    var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Standard output, in colours where they are wanted: on a terminal that shows them, unless `NO_COLOR` is set, and wherever
/// `CLICOLOR_FORCE` asks for them. Where `CI` is set, the library would colour a dumb terminal too.
pub(super) fn stdout() -> AutoStream<Stdout> {
    let out = std::io::stdout();
    let forced = var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    if is_dumb() && !forced { AutoStream::new(out, ColorChoice::Never) } else { AutoStream::auto(out) }
}

/// A text from outside as it may be printed: what moves a cursor or turns a line around is shown, not done.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::new();
    for (place, c) in text.chars().enumerate() {
        if place == LONGEST {
            clean.push('…');
            break;
        }
        if is_odd(c) { clean.extend(c.escape_unicode()) } else { clean.push(c) }
    }
    clean
}

/// A text in lines of a width, the first after `first` and the others indented by as many spaces.
pub(super) fn wrap(first: &str, text: &str, width: usize) -> String {
    let indent = first.chars().count();
    let mut lines = String::from(first);
    let mut column = indent;
    for (place, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if place > 0 && column + 1 + length > width {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            column = indent;
        } else if place > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines.push('\n');
    lines
}

/// A text in a style.
pub(super) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(clean("a\u{1b}[2J\u{202e}b\n"), "a\\u{1b}[2J\\u{202e}b\\u{a}");
        assert_eq!(clean(&"x".repeat(4000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn lines_are_as_wide_as_they_may_be() {
        assert_eq!(wrap("- ", "one two three", 9), "- one two\n  three\n");
        assert_eq!(wrap("", "averylongword b", 5), "averylongword\nb\n");
    }
}
