//! Repairs of what older programs left in manifests: what is wrong with an entry, and what it should say.

mod origin;
mod place;

pub use self::origin::platform_of;
pub use self::place::{Home, moved_path, normal_path};
