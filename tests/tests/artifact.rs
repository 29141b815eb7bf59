//! The packaged driver file as a test subject: what Windows demands of a kernel image,
//! and what this project promises of its own.
//!
//! `cargo xtask test` makes the packages and names them in `IM_PACKAGES_DIR`. Without
//! that there is nothing to look at, and the tests say so. The slow ones build the
//! project in other folders; they are ignored unless asked for.

#[path = "artifact/arm64.rs"]
mod arm64;
#[path = "artifact/image.rs"]
mod image;
#[path = "artifact/kit.rs"]
mod kit;
#[path = "artifact/panics.rs"]
mod panics;
#[path = "artifact/pe.rs"]
mod pe;
#[path = "artifact/rebuild.rs"]
mod rebuild;
#[path = "artifact/stack.rs"]
mod stack;
