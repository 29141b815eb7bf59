//! The notify object: a COM in-process server that Windows' network configuration loads
//! to tell the protocol edge of an intermediate driver that bindings change, and that
//! makes and removes the virtual miniports. The same DLL has functions for rundll32
//! that carry out a plan by hand. All decisions are `netcfg`'s.
//!
//! One source, one DLL for each driver: `cargo xtask` passes the driver's names in the
//! environment (module `own`). No standard library and no C runtime: memory comes from the
//! process's heap, everything else from `kernel32`, `advapi32`, `ole32` and their like.
//!
//! # Threads
//! The network configuration calls an object on the thread of one apartment; an object
//! has no lock and is not agile. Counters of the module are atomic.
#![cfg_attr(all(windows, feature = "dll"), no_std)]

#[cfg(any(test, all(windows, feature = "dll")))]
extern crate alloc;

#[cfg(all(windows, feature = "dll"))]
mod answer;
#[cfg(all(windows, feature = "dll"))]
mod device;
#[cfg(all(windows, feature = "dll"))]
mod exports;
#[cfg(all(windows, feature = "dll"))]
mod files;
#[cfg(all(windows, feature = "dll"))]
mod interfaces;
#[cfg(all(windows, feature = "dll"))]
mod object;
#[cfg(all(windows, feature = "dll"))]
mod own;
#[cfg(all(windows, feature = "dll"))]
mod registry;
#[cfg(any(test, all(windows, feature = "dll")))]
mod report;
#[cfg(all(windows, feature = "dll"))]
mod rt;
#[cfg(all(windows, feature = "dll"))]
mod server;
#[cfg(all(windows, feature = "dll"))]
mod session;
#[cfg(all(windows, feature = "dll"))]
mod system;
#[cfg(all(windows, feature = "dll"))]
mod wide;
