//! Files that settings are read from: whole, bounded, and never waited for. What they held is wiped: it may be a password.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// The longest file that is read, in bytes.
pub(super) const LONGEST_FILE: u64 = 1 << 20;

/// Reads a regular file of at most [`LONGEST_FILE`]. What is none is refused without waiting for it: a pipe may never
/// have a writer.
pub(super) fn read_regular(file: &Path) -> io::Result<(Zeroizing<Vec<u8>>, Metadata)> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(file).map_err(|error| {
        // A socket cannot be opened at all.
        match std::fs::metadata(file) {
            Ok(found) if found.file_type().is_socket() => kind_error(&found),
            _ => error,
        }
    })?;
    let found = opened.metadata()?;
    if !found.is_file() {
        return Err(kind_error(&found));
    }
    Ok((read_bounded(opened, found.len())?, found))
}

/// The same of a text.
pub(super) fn read_regular_text(file: &Path) -> io::Result<(Zeroizing<String>, Metadata)> {
    let (bytes, found) = read_regular(file)?;
    Ok((into_text(bytes)?, found))
}

/// Reads a text of at most [`LONGEST_FILE`] from whatever it is.
pub(super) fn read_text(file: &Path) -> io::Result<Zeroizing<String>> {
    into_text(read_bounded(File::open(file)?, LONGEST_FILE)?)
}

/// The mode of a file that everybody may read, where it is such a one.
pub(super) fn open_to_all(found: &Metadata) -> Option<u32> {
    let mode = found.permissions().mode() & 0o777;
    (mode & 0o004 != 0).then_some(mode)
}

/// Reads it into room for what is expected: a Vec that grows leaves copies behind, which nobody wipes.
fn read_bounded(file: File, expected: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let room = usize::try_from(expected.min(LONGEST_FILE)).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let read = file.take(LONGEST_FILE + 1).read_to_end(&mut bytes)?;
    if read as u64 > LONGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB"));
    }
    Ok(bytes)
}

fn into_text(mut bytes: Zeroizing<Vec<u8>>) -> io::Result<Zeroizing<String>> {
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        // The library's error holds the bytes.
        let valid = error.utf8_error().valid_up_to();
        let bytes = Zeroizing::new(error.into_bytes());
        let line = 1 + bytes[..valid].iter().filter(|&&b| b == b'\n').count();
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not valid UTF-8"))
    })
}

fn kind_error(found: &Metadata) -> io::Error {
    let kind = found.file_type();
    let what = if kind.is_dir() {
        "it is a directory"
    } else if kind.is_fifo() {
        "it is a pipe"
    } else if kind.is_socket() {
        "it is a socket"
    } else {
        "it is a device"
    };
    io::Error::other(format!("{what}, not a file"))
}

/// What to do where a file cannot be read.
pub(super) fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::InvalidData => "write it in UTF-8",
        io::ErrorKind::FileTooLarge => "name the file that was meant",
        _ => "name a file that the exporter's user may read",
    }
}
