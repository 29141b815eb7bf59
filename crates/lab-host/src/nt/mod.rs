//! The NT part: what `ntoskrnl.exe` exports to a network driver.

mod avl;
mod csq;
mod debug;
mod device;
mod dpc;
mod io;
mod irp;
mod list;
mod lookaside;
pub(crate) mod mdl;
mod memory;
mod mutex;
mod object;
mod order;
mod pool;
mod printf;
mod process;
mod processor;
mod raw;
mod reference;
mod registry;
mod rundown;
mod rwlock;
mod security;
pub(crate) mod seh;
mod spin;
mod string;
mod sync;
#[cfg(test)]
mod tests;
mod thread;
mod time;
mod timer;
mod variables;
mod version;
mod wait;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::Api;
use crate::vp::TaskId;

pub use device::DeviceFile;
pub(crate) use irp::IrpResult;
pub use irp::PendingRequest;
pub(crate) use memory::free_pool;
pub(crate) use raw::raw_code;
pub(crate) use sync::{initialize_event, let_go, note_order, set_event};
pub(crate) use time::system_time;
pub(crate) use variables::names as variable_names;
pub(crate) use variables::{variable, write_shared_data, write_variables};
pub(crate) use wait::wait_object;

/// State of the NT part.
#[derive(Default)]
pub(crate) struct Nt {
    /// Tasks that wait on a dispatcher object, by its address.
    waiters: BTreeMap<u64, Vec<TaskId>>,
    /// Spin locks that are held, by address.
    locks: BTreeMap<u64, SpinLock>,
    /// DPCs that are queued, by address, and the task of each.
    dpcs: BTreeMap<u64, TaskId>,
    /// Timers that are armed, by address.
    timers: BTreeMap<u64, timer::Armed>,
    /// Tells one arming of a timer from the next.
    serial: u64,
    /// Locks with readers and writers that are in use.
    shared: rwlock::Locks,
    /// `ERESOURCE`s.
    resources: BTreeSet<u64>,
    /// Depths of critical and guarded regions, by task.
    regions: BTreeMap<TaskId, [i32; 2]>,
    /// System threads: the way back out of each, and its object.
    threads: BTreeMap<TaskId, (u64, u64)>,
    priorities: BTreeMap<u64, i32>,
    objects: object::Objects,
    /// Acquisitions of remove locks that the driver did not release.
    removals: reference::Taken,
    /// Tasks that run as a program.
    programs: BTreeSet<TaskId>,
    process_routines: Vec<u64>,
    /// Elements of generic tables, in order.
    tables: BTreeMap<u64, Vec<u64>>,
    /// Device objects, by address.
    devices: BTreeMap<u64, device::Device>,
    /// Symbolic links and what they lead to.
    links: BTreeMap<String, String>,
    /// Values of keys, by path.
    registry: BTreeMap<String, registry::Values>,
    /// I/O work items that were not freed.
    work_items: usize,
    /// IRPs that a program's request is made of.
    requests: BTreeSet<u64>,
    /// Orders in which locks were taken while others were held.
    pub(crate) lock_order: order::LockOrder,
    /// IRPs that were completed, by address.
    pub(crate) completed: BTreeMap<u64, IrpResult>,
    /// Tasks that wait for the end of an IRP, by its address.
    pub(crate) irp_waiters: BTreeMap<u64, TaskId>,
}

#[derive(Default)]
struct SpinLock {
    owner: TaskId,
    waiters: Vec<TaskId>,
}

/// Functions of this part.
pub(crate) fn exports() -> Vec<Api> {
    let mut all = printf::all();
    for part in [
        avl::exports(),
        csq::exports(),
        debug::exports(),
        device::exports(),
        dpc::exports(),
        io::exports(),
        irp::exports(),
        list::exports(),
        lookaside::exports(),
        mdl::exports(),
        memory::exports(),
        mutex::exports(),
        object::exports(),
        pool::exports(),
        process::exports(),
        processor::exports(),
        raw::exports(),
        reference::exports(),
        registry::exports(),
        rundown::exports(),
        rwlock::exports(),
        security::exports(),
        seh::exports(),
        spin::exports(),
        string::exports(),
        sync::exports(),
        thread::exports(),
        time::exports(),
        timer::exports(),
        version::exports(),
        wait::exports(),
    ] {
        all.extend(part);
    }
    all
}
