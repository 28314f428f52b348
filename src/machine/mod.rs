//! What the machine below says, and what is said to it: calendar, kernel, open files, signals, log lines.

pub mod calendar;
pub mod descriptors;
pub mod kernel;
pub mod logging;
pub mod service;
pub mod signals;
pub mod terminal;
