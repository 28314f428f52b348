//! Names and sentences as they are shown. They come from the configuration and from servers: the templates escape
//! them, and here they are cut, and what would turn the text around them, or hide in it, is written out. The document as
//! JSON has them whole.

use maud::{Markup, Render, html};

use crate::domain::life::duration::format_seconds;

/// So many characters of a name are shown.
const MOST_OF_A_NAME: usize = 60;
/// So many of a sentence.
const MOST_OF_A_SENTENCE: usize = 600;
/// So many in a picture.
const MOST_IN_A_PICTURE: usize = 26;

/// A name, set apart from what surrounds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a>(pub(super) &'a str);

impl Render for Name<'_> {
    fn render(&self) -> Markup {
        html! { bdi { @for part in plain(self.0).split_inclusive(['_', '.']) { (part) wbr; } } }
    }
}

/// A word of a closed set, which breaks between its parts where there is no room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term(pub(super) &'static str);

impl Render for Term {
    fn render(&self) -> Markup {
        html! { @for part in self.0.split_inclusive('_') { (part) wbr; } }
    }
}

/// A sentence, which may hold names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a>(pub(super) &'a str);

impl Render for Words<'_> {
    fn render(&self) -> Markup {
        html! { bdi { (cut(self.0, MOST_OF_A_SENTENCE)) } }
    }
}

/// A name where no element can set it apart: a title.
pub(super) fn plain(name: &str) -> String {
    cut(name, MOST_OF_A_NAME)
}

/// A name in a picture, where characters set it apart that nobody sees.
pub(super) fn in_picture(name: &str) -> String {
    format!("\u{2068}{}\u{2069}", cut(name, MOST_IN_A_PICTURE))
}

fn cut(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for (place, character) in text.chars().enumerate() {
        if place == most {
            shown.push('…');
            break;
        }
        if is_invisible(character) {
            shown.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Controls, marks of direction, and what has no width.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            u32::from(character),
            0x00ad | 0x061c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xe0000..=0xe007f
        )
}

/// An age for a mark on an axis: `10m`, `28.5s`.
pub(super) fn short_age(seconds: f64) -> String {
    if seconds < 60.0 {
        let rounded = (seconds * 10.0).round() / 10.0;
        return if rounded < 60.0 { format!("{rounded}s") } else { "1m".to_owned() };
    }
    let unit = match seconds {
        s if s < 7200.0 => 1.0,
        s if s < 172_800.0 => 60.0,
        _ => 3600.0,
    };
    format_seconds((seconds / unit).round() * unit)
}

/// How long ago, as exact as it matters: `42s`, `12m`, `3h10m`.
pub(super) fn about(seconds: f64) -> String {
    let unit = match seconds {
        s if s < 120.0 => 1.0,
        s if s < 7200.0 => 60.0,
        s if s < 172_800.0 => 600.0,
        _ => 3600.0,
    };
    format_seconds((seconds.max(0.0) / unit).round() * unit)
}

/// A number and its noun: `1 session`, `2 sessions`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{end}")
}

/// A moment as a time that programs read too, and how long ago it was.
pub(super) fn moment(at: f64, now: f64) -> Markup {
    html! {
        @match stamp(at) {
            Some(stamp) => { time datetime=(stamp) title=(stamp) { (about(now - at)) " ago" } }
            None => { (about(now - at)) " ago" }
        }
    }
}

/// Seconds since the Unix epoch as RFC 3339. `None` where no calendar has them.
pub(super) fn stamp(at: f64) -> Option<String> {
    let since = std::time::Duration::try_from_secs_f64(at.floor())
        .ok()
        .filter(|of| of.as_secs() < 253_402_300_800)?;
    Some(humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string())
}
