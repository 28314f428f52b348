//! The password of one path: as it was read at the start, and read anew once it was refused, for it may have
//! been changed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::login::Account;
use crate::config::credentials::PasswordFile;
use crate::config::secret::Secret;

/// How long a file may take to be read.
const PATIENCE: Duration = Duration::from_secs(3);

/// A password, and where it came from.
#[derive(Debug)]
pub(super) struct Password {
    now: Mutex<Option<Secret>>,
    file: Option<PasswordFile>,
    /// The file is being read: on a dead network file system that may last.
    reading: Arc<AtomicBool>,
    /// Who asks for a reading while another one's is under way waits for its end.
    turn: tokio::sync::Mutex<()>,
}

impl Password {
    /// The password of an account.
    pub(super) fn of(account: &Account) -> Self {
        let now = Mutex::new(account.password.clone());
        Self {
            now,
            file: account.password_file.clone(),
            reading: Arc::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The password as it is known now.
    pub(super) fn now(&self) -> Option<Secret> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It is this one from now on.
    pub(super) fn set(&self, password: Option<Secret>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = password;
    }

    /// Reads the file anew, where it came from one. What cannot be read is told, and the old password kept.
    pub(super) async fn read_anew(&self) {
        let Some(file) = self.file.clone() else { return };
        let _turn = self.turn.lock().await;
        if self.reading.swap(true, Ordering::AcqRel) {
            return;
        }
        let reading = Arc::clone(&self.reading);
        let read = tokio::task::spawn_blocking(move || {
            let read = file.read_anew();
            reading.store(false, Ordering::Release);
            read
        });
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(Ok(password))) => {
                let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
                if now.as_ref() != Some(&password) {
                    *now = Some(password);
                    tracing::info!(
                        event = "password_changed",
                        "the file holds another password than the one that was refused: the next login is made with it"
                    );
                }
            }
            Ok(Ok(Err(error))) => tracing::warn!(
                event = "password_unreadable",
                "the password was refused and cannot be read anew, the old one is kept: {error}"
            ),
            Ok(Err(_)) | Err(_) => tracing::warn!(
                event = "password_unreadable",
                "the password was refused and its file cannot be read anew within {} s: the old one is kept",
                PATIENCE.as_secs()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::session::TlsMode;

    fn password(file: &Path) -> Password {
        Password::of(&Account {
            username: "canary".to_owned(),
            password: Some(Secret::new("old")),
            password_file: Some(PasswordFile::Password(file.to_owned())),
            tls_mode: TlsMode::Preferred,
            tls_ca: None,
            tls_identity: None,
            tls_server_name: None,
            get_server_public_key: false,
        })
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_leaves_the_old_password() {
        let dir = std::env::temp_dir().join(format!("mysql-canary-password-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the directory is ours");
        let file = dir.join("password");
        let known = password(&file);
        let is = |text: &str| assert_eq!(known.now(), Some(Secret::new(text)));
        known.read_anew().await;
        is("old");
        for (text, expected) in [("new\n", "new"), ("", "new"), ("\n", "new"), ("newer\r\nx", "newer")] {
            std::fs::write(&file, text).expect("the directory is ours");
            known.read_anew().await;
            is(expected);
        }
        std::fs::write(&file, "x".repeat(2 << 20)).expect("the directory is ours");
        known.read_anew().await;
        is("newer");
        std::fs::remove_file(&file).expect("it is there");
        let fifo = std::process::Command::new("mkfifo").arg(&file).status();
        assert!(fifo.is_ok_and(|status| status.success()), "mkfifo can be run");
        // To open it would wait for a writer.
        tokio::time::timeout(Duration::from_secs(2), known.read_anew()).await.expect("it is not opened");
        is("newer");
        std::fs::remove_dir_all(&dir).expect("it is ours");
    }
}
