//! A small honest intermediate driver, one virtual miniport on each adapter, that breaks one
//! rule when it is asked to.
//!
//! It is written straight on `ndis-sys`, without the layers that the workspace's drivers
//! share, so that a mistake in those is not made here too. The host writes the key of a
//! [`Misdeed`] into [`MISDEED`], an exported variable, before it calls `DriverEntry`; what
//! is no key behaves. One image, one run for each misdeed.
//!
//! A misdeed is a line or a few in a file of [`misdeeds`]: which rule, in which plan, and what
//! is done instead of the honest handler ([`table::Hook`]). Off Windows the same table has
//! only the words, for whoever runs the misdeeds.
//!
//! | File | What is in it |
//! |---|---|
//! | `entry` | `DriverEntry`, both registrations, uninstall, unload |
//! | `lane` | an adapter and its miniport: states, counts, waits |
//! | `bind` | bind, open, close, unbind, configuration |
//! | `miniport` | ask for the device, initialise, attributes, pause, restart, halt |
//! | `data` | sends, receives and their ways back |
//! | `requests` | OIDs from above, and the driver's own |
//! | `events` | status, PnP, power |
#![cfg_attr(windows, no_std)]
#![allow(
    clippy::wildcard_imports,
    reason = "the names of the ABI, most of them"
)]
#![allow(clippy::unnecessary_wraps, reason = "handlers are optional in the ABI")]
#![allow(non_upper_case_globals, reason = "constants of the ABI in patterns")]
// Off Windows nothing calls the driver: it is only compiled.
#![cfg_attr(not(windows), allow(dead_code, unused_imports))]

pub mod misdeeds;
pub mod table;

mod bind;
mod data;
mod entry;
mod events;
mod lane;
mod miniport;
mod raw;
mod requests;

#[cfg(windows)]
mod kernel;

pub use table::Misdeed;

use core::sync::atomic::AtomicU32;

/// The key of the misdeed; the host finds the variable by its exported name.
// SAFETY: no other symbol has this name.
#[unsafe(no_mangle)]
/// Not zero, so that it lies in the file, where a test may write it too.
pub static MISDEED: AtomicU32 = AtomicU32::new(u32::MAX);
