//! The terminal that a password is typed on.

use std::io::{self, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Standard input without its echo, where it is a terminal; as it was, when this is dropped. Ctrl-C is a character
/// meanwhile, so that nobody is left without an echo.
#[derive(Debug)]
pub struct Unechoed(Option<Termios>);

impl Unechoed {
    /// Begins; nothing changes where standard input is no terminal.
    #[must_use]
    pub fn begin() -> Self {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok().filter(|_| stdin.is_terminal());
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
            // What was typed ahead was seen: it is thrown away.
            let _ = tcsetattr(&stdin, OptionalActions::Flush, &quiet);
        }
        Self(before)
    }

    /// Whether there is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Unechoed {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
