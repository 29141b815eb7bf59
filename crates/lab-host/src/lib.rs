//! The NDIS host: loads a compiled driver into this process and plays Windows for it.
//!
//! From the bottom up: [`arena`] and [`heap`] are the memory a driver sees, [`engine`] and
//! [`vp`] decide what runs when, [`image`] loads the file, [`host`] is the crossing between
//! driver and host, `nt` and [`ndis`] are what the two system images export.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("the host runs x64 driver code on x86-64 Linux");

pub(crate) mod api;
pub mod arena;
pub mod code;
pub mod engine;
pub mod handle;
pub mod heap;
pub mod host;
pub mod image;
pub mod ndis;
mod nt;
pub mod report;
pub mod rules;
pub mod signals;
pub mod surface;
pub mod trace;
pub mod trap;
pub mod vp;

pub use api::called;
pub use engine::{Engine, Job, Level, RunEnd, Schedule, Step};
pub use host::{Config, EngineKind, FALLIBLE, FaultHit, FaultOrder, Host, Manner, exports};
pub use image::{Image, LoadError};
pub use ndis::Breach;
pub use nt::{DeviceFile, PendingRequest};
