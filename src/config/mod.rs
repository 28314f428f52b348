//! Configuration values: parsed once at the door, good from then on.

pub mod address;
pub mod credentials;
pub mod flags;
pub mod secret;
pub mod settings;
