//! The daemon of SkillMeat: watches, caches and serves a person's library of agent artifacts.

pub mod app;
pub mod cli;
pub mod jobs;
pub mod lifecycle;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod upstream;
pub mod watch;
