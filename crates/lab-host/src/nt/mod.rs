//! The NT part: what `ntoskrnl.exe` exports to a network driver.

mod debug;
mod io;
mod memory;
mod processor;
mod raw;
pub(crate) mod seh;
mod string;
mod sync;
mod time;
mod variables;
mod wait;

use std::collections::BTreeMap;

use crate::api::Api;
use crate::vp::TaskId;

pub(crate) use io::IrpResult;
pub(crate) use memory::free_pool;
pub(crate) use raw::raw_code;
pub(crate) use sync::{initialize_event, set_event};
pub(crate) use time::system_time;
pub(crate) use variables::{variable, write_shared_data, write_variables};
pub(crate) use wait::wait_object;

/// State of the NT part.
#[derive(Default)]
pub(crate) struct Nt {
    /// Tasks that wait on a dispatcher object, by its address.
    waiters: BTreeMap<u64, Vec<TaskId>>,
    /// Spin locks that are held, by address.
    locks: BTreeMap<u64, SpinLock>,
    /// Orders in which one lock was taken while another was held: (outer, inner).
    lock_order: std::collections::BTreeSet<(u64, u64)>,
    /// IRPs that were completed, by address.
    pub(crate) completed: BTreeMap<u64, IrpResult>,
}

#[derive(Default)]
struct SpinLock {
    owner: TaskId,
    waiters: Vec<TaskId>,
}

/// Functions of this part.
pub(crate) fn exports() -> Vec<Api> {
    let mut all = debug::exports();
    all.extend(io::exports());
    all.extend(memory::exports());
    all.extend(processor::exports());
    all.extend(raw::exports());
    all.extend(seh::exports());
    all.extend(string::exports());
    all.extend(sync::exports());
    all.extend(time::exports());
    all.extend(wait::exports());
    all
}
