//! What runs: one target is a server view and its paths, one path is a connector, a prober and a diagnosis.

pub mod diagnosis;
pub mod state_file;
