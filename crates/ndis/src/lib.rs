//! The safe layer over [`ndis_sys`]: what an intermediate driver needs of
//! NDIS and the kernel, with ownership, lengths and IRQL in the types.
//!
//! Nothing here knows a topology or keeps global state. Each module states
//! which calls may run concurrently. Functions that call into NDIS can only be
//! linked into a driver image; the pure parts are tested on any host.
// C constants are matched under their C names.
#![allow(non_upper_case_globals)]
#![no_std]

#[cfg(test)]
extern crate std;

pub mod config;
pub mod cpu;
pub mod device;
pub mod event;
pub mod handle;
pub mod header;
pub mod lock;
pub mod mdl;
pub mod memory;
pub mod multi_sz;
pub mod mutex;
pub mod nbl;
pub mod nbl_context;
pub mod oid;
pub mod rundown;
pub mod status;
pub mod string;
pub mod timer;
pub mod work;

pub use ndis_sys as sys;
pub use status::Error;

/// What most functions of this crate return.
pub type Result<T> = core::result::Result<T, Error>;
