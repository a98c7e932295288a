//! The domain of SkillMeat: types, file formats, rules and planning.
//!
//! Synchronous and free of frameworks. What needs a computer beyond files comes in through a port: a
//! plain trait beside the code that needs it. Nothing here prints, logs, or knows of the daemon.
#![forbid(unsafe_code)]

pub mod artifact;
pub mod bundle;
pub mod child;
pub mod collection;
pub mod config;
pub mod deployment;
pub mod doctor;
pub mod document;
pub mod error;
pub mod failpoint;
pub mod fs;
pub mod health;
pub mod history;
pub mod id;
pub mod kind;
pub mod maintenance;
pub mod paths;
pub mod reconcile;
pub mod rendezvous;
pub mod search;
pub mod service;
pub mod source;
pub mod thread;
pub mod time;
pub mod version;

pub use error::{Code, Error, ErrorKind, Result};
pub use id::ArtifactId;
pub use kind::Kind;
