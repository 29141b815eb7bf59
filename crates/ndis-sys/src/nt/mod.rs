//! The part of the NT kernel that NDIS drivers and a host of them use.

pub mod debug;
pub mod device;
pub mod dispatcher;
pub mod dpc;
pub mod driver;
pub mod executive;
pub mod file;
pub mod io;
pub mod io_codes;
pub mod io_stack;
pub mod irp;
pub mod irql;
pub mod lookaside;
pub mod mdl;
pub mod pool;
pub mod processor;
pub mod rundown;
pub mod spin_lock;
pub mod status;
pub mod string;
pub mod time;
pub mod types;
