//! NT kernel types.

pub mod driver;
pub mod ex;
pub mod io;
pub mod io_stack;
pub mod irp;
pub mod irp_consts;
pub mod ke;
pub mod ke_fns;
pub mod mdl;
pub mod pool;
pub mod status;
pub mod string;
pub mod types;
