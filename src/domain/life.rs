//! The words that the rest of the core speaks in: what can be seen of one canary, and what is kept of it.

pub mod duration;
pub mod ending;
pub mod kind;
pub mod observation;
pub mod remembered;
pub mod stage;
pub mod tally;
pub mod tolerance;
pub mod void;
pub mod words;
