//! When the driver, or the host under it, dies: a record written by a signal
//! handler in the child, read and explained by the parent.

pub mod bugcheck;
pub mod explain;
pub mod handler;
pub mod record;
pub mod stack;
