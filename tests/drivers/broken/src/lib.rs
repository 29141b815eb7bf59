//! A driver that is passthrough except for one misdeed, to prove that the host
//! catches it by the rule's id.
//!
//! It wraps the topology of `im-core`: same decisions, but one handler is put in
//! front of the core's own and misbehaves. Which one is a number in the image
//! ([`MISDEED`]) that the test writes into a copy of the file; zero behaves.
//! Nothing of this is in the drivers or in the core.
#![cfg_attr(windows, no_std)]

extern crate alloc;

pub mod misdeeds;

#[cfg(windows)]
mod kernel;

use core::sync::atomic::AtomicU32;

/// The test finds this word in the file by its upper half and writes the number
/// of a [`misdeeds::Misdeed`] into the lower one.
// SAFETY: no other symbol has this name.
#[unsafe(no_mangle)]
pub static MISDEED: AtomicU32 = AtomicU32::new(0xBAD5_0000);
