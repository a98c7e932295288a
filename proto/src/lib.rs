//! The wire of SkillMeat: generated messages and services, and conversions to and from the domain.
//!
//! Additive only: fields and calls are never renumbered or reused; a change that old programs can't
//! read raises the major number of [`PROTOCOL`].

#[cfg(feature = "client")]
pub mod call;
#[cfg(feature = "server")]
mod encoded;
mod error;

#[cfg(feature = "server")]
pub use encoded::Encoded;
pub use error::{error_to_status, status_to_error};

/// Protocol spoken by this program, as major.minor. Programs of one major number understand each other.
pub const PROTOCOL: &str = "1.0";

/// What came after the first daemons, and the version that brought it. A client asks before it relies on one.
pub const CAPABILITIES: &[(&str, &str)] = &[
    ("hello", "0.1.0"),
    ("shutdown.mode", "0.1.0"),
    ("events.instance", "0.1.0"),
];

/// Largest message that either side accepts, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The encoded descriptor set of all `.proto` files, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Messages, clients and servers of `skillmeat.v1`.
#[allow(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    reason = "generated; the .proto files are the documentation"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/skillmeat.v1.rs"));
    #[cfg(feature = "server")]
    include!(concat!(env!("OUT_DIR"), "/servers/skillmeat.v1.rs"));
}

include!(concat!(env!("OUT_DIR"), "/messages.rs"));
