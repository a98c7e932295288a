//! What artifacts travel in: archives of others, read with suspicion.

pub mod archive;
