//! Users and passwords: `Authorization: Basic`, checked against bcrypt hashes.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use ring::hmac;
use ring::rand::SystemRandom;
use zeroize::Zeroizing;

use super::turns::{Busy, Turns};
use crate::config::file::web::Users;
use crate::web::clients::Origin;

/// How many checks of one address may wait, and how many of all.
const MOST_WAITING: (usize, usize) = (8, 64);
/// How many good passwords are remembered, so that the next request with one costs no check.
const MOST_REMEMBERED: usize = 1000;

/// A user's name and password as a request has them.
pub(super) struct Credentials {
    user: Zeroizing<String>,
    password: Zeroizing<Vec<u8>>,
}

impl Credentials {
    /// Reads them from the header's value, as RFC 7617 has it.
    pub(super) fn of(header: &HeaderValue) -> Option<Self> {
        const SCHEME: &[u8] = b"basic ";
        let (scheme, rest) = header.as_bytes().split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let text = Zeroizing::new(STANDARD.decode(rest).ok()?);
        let colon = text.iter().position(|&byte| byte == b':')?;
        let user = str::from_utf8(&text[..colon]).ok()?;
        Some(Self {
            user: Zeroizing::new(user.to_owned()),
            password: Zeroizing::new(text[colon + 1..].to_vec()),
        })
    }
}

/// Checks passwords.
#[derive(Debug)]
pub(super) struct Checker {
    turns: Arc<Turns<Origin>>,
    /// Under which what is remembered is digested: known to this process alone.
    key: hmac::Key,
    good: Mutex<HashSet<[u8; 32]>>,
}

impl Checker {
    /// Nothing where the system gives no random numbers.
    pub(super) fn new() -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        Some(Self { turns: Turns::new(MOST_WAITING), key, good: Mutex::default() })
    }

    /// Whether one of the users has this password. A user that there is not takes as long as one that there is.
    pub(super) async fn check(
        &self,
        users: &Users,
        credentials: Credentials,
        from: Origin,
    ) -> Result<bool, Busy> {
        let Credentials { user, password } = credentials;
        let known = users.get(&user);
        let of_user = self.digest(&[user.as_bytes()]);
        let number = u64::from_le_bytes(of_user.first_chunk().copied().unwrap_or_default());
        // For the same name always the same hash.
        let Some(hash) = known.or_else(|| users.anybody(number)).cloned() else { return Ok(false) };
        let digest = self.digest(&[user.as_bytes(), hash.reveal().as_bytes(), &password]);
        let is_known = known.is_some();
        if is_known && self.good.lock().unwrap_or_else(PoisonError::into_inner).contains(&digest) {
            return Ok(true);
        }
        let is_right = self.turns.work(from, move || hash.is_of(&password)).await?;
        if is_known && is_right {
            let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
            // Of a password 72 bytes count, so whoever knows one knows many.
            if good.len() >= MOST_REMEMBERED {
                good.clear();
            }
            good.insert(digest);
        }
        Ok(is_known && is_right)
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        context.sign().as_ref().first_chunk().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_rfc_7617_has_it() {
        let of = |text: &str| {
            Credentials::of(&HeaderValue::from_str(text).expect("a good value")).map(
                |Credentials { user, password }| {
                    (user.to_string(), String::from_utf8_lossy(&password).into_owned())
                },
            )
        };
        let encoded = |text: &str| STANDARD.encode(text);
        for (text, user, password) in
            [("dave:dave123", "dave", "dave123"), ("a:b:c", "a", "b:c"), (":", "", ""), ("ü:ß", "ü", "ß")]
        {
            let read = Some((user.to_owned(), password.to_owned()));
            assert_eq!(of(&format!("Basic {}", encoded(text))), read, "{text}");
            assert_eq!(of(&format!("bASIC {}", encoded(text))), read, "{text}");
        }
        for bad in [
            "",
            "Basic",
            "Basic ",
            "Basic !",
            "Bearer ZGF2ZTpkYXZl",
            "Basic ZGF2ZQ==",
            "Basic ZGF2ZTpkYXZl=",
            "Basic /zo=",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
