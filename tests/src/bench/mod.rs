//! What the benches share: a home whose daemon is measured, the programs as they are shipped, the table.

pub mod daemon;
pub mod programs;
pub mod table;
