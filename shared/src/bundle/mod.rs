//! What artifacts travel in: archives of others, read with suspicion, and ours, written so that they can be read.

pub mod archive;
pub mod packer;
