//! Work that the daemon does by itself.

pub mod due;
pub mod jump;
pub mod scheduler;
