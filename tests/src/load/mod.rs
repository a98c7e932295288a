//! Load on a daemon: many clients at once, some of them rude, and power cuts in the midst of work. Short in the
//! tests, long in the benches.

pub mod crowd;
pub mod cuts;
pub mod reads;
pub mod rude;
