//! Where agents keep artifacts, and what stands there.

pub mod agents;
pub mod found;
