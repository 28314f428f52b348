//! Configuration values: parsed once at the door, good from then on.

pub mod address;
pub mod check;
pub mod credentials;
pub mod error;
pub mod file;
pub mod flags;
pub mod hashing;
pub mod naming;
pub mod secret;
pub mod settings;
mod source;
mod values;
