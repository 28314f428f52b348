//! How the exporter behaves, as a guest on a server and as a server to its own scrapers: pure rules that the
//! loops ask before they act.

pub mod admission;
pub mod health;
pub mod patience;
pub mod proof;
pub mod sight;
pub mod suspension;
