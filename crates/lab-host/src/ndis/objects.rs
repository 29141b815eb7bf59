//! Events, locks, work items and the event log.

use crate::api::api;
use crate::engine::Job;
use crate::handle::Kind;
use crate::host::Host;
use crate::nt::{initialize_event, set_event, wait_object};
use crate::vp::{DISPATCH, HeldLock};

/// A work item.
pub(crate) struct WorkItem {
    /// Handle it was made with.
    pub(crate) owner: u64,
    pub(crate) queued: bool,
    pub(crate) freed: bool,
    /// The adapter that initialised when it was made, or 0 (MEM-5).
    pub(crate) adapter: u64,
}

/// Who holds a read-write lock: the task, its LOCK_STATE_EX and the processor.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Hold {
    task: u64,
    state: u64,
    cpu: u32,
}

/// A read-write lock.
#[derive(Default)]
pub(crate) struct RwLock {
    readers: Vec<Hold>,
    writer: Option<Hold>,
    waiters: Vec<u64>,
}

impl Host {
    /// A read-write lock that a callback left held is freed for this thread.
    pub(crate) fn let_go_shared(&self, lock: u64) {
        let me = self.local().id;
        let waiters = self.ndis(|n| {
            let l = n.rw_locks.get_mut(&lock)?;
            l.readers.retain(|r| r.task != me);
            l.writer = l.writer.filter(|w| w.task != me);
            Some(std::mem::take(&mut l.waiters))
        });
        for task in waiters.unwrap_or_default() {
            self.engine().wake(task);
        }
    }
}

fn rw_acquire(host: &Host, lock: u64, state: u64, write: bool, flags: u8) {
    if !host.check("Lock", lock, Kind::RwLock) {
        return;
    }
    host.dispatch_flag("a read-write lock", flags & 1 != 0);
    let old = host.vp().irql();
    host.vp().set_irql(old.max(DISPATCH));
    let me = host.local().id;
    let (reads, writes) = host.ndis(|n| {
        let l = &n.rw_locks[&lock];
        (
            l.readers.iter().any(|r| r.task == me),
            l.writer.is_some_and(|w| w.task == me),
        )
    });
    if reads && write {
        host.fatal("LCK-7", "a read lock is upgraded to a write lock");
    }
    if writes {
        host.fatal(
            "LCK-7",
            "a read-write lock is acquired by the thread that holds it for writing",
        );
    }
    crate::nt::note_order(host, lock);
    let hold = Hold {
        task: me,
        state,
        cpu: host.vp().index,
    };
    loop {
        let taken = host.ndis(|n| {
            let l = n.rw_locks.get_mut(&lock).expect("checked handle");
            let free = l.writer.is_none() && (!write || l.readers.is_empty());
            if free {
                if write {
                    l.writer = Some(Hold {
                        cpu: host.vp().index,
                        ..hold
                    });
                } else {
                    l.readers.push(Hold {
                        cpu: host.vp().index,
                        ..hold
                    });
                }
            } else {
                l.waiters.push(me);
            }
            free
        });
        if taken {
            break;
        }
        if host.engine().is_virtual() {
            *host.local().waiting.borrow_mut() = Some(format!("for the read-write lock {lock:#x}"));
            host.engine().wait(None);
            *host.local().waiting.borrow_mut() = None;
        } else {
            std::thread::yield_now();
        }
        host.ndis(|n| {
            if let Some(l) = n.rw_locks.get_mut(&lock) {
                l.waiters.retain(|&t| t != me);
            }
        });
    }
    host.put(state, [old, 1 + u8::from(write), flags], "LockState");
    host.local().locks.borrow_mut().push(HeldLock {
        address: lock,
        dpr: flags & 1 != 0,
        since: host.now(),
        old,
        shared: true,
    });
}

api! { exports:
    /// Makes an event, not signalled.
    "ndis.sys" 0..=15 "IRQ-9"
    fn NdisInitializeEvent(host, event: u64) {
        initialize_event(host, event, 0, false);
    }

    /// Signals an event.
    "ndis.sys" 0..=2 "IRQ-9"
    fn NdisSetEvent(host, event: u64) {
        set_event(host, event);
    }

    /// Resets an event.
    "ndis.sys" 0..=2 "IRQ-9"
    fn NdisResetEvent(host, event: u64) {
        host.put(event + 4, 0_i32, "Event");
    }

    /// Waits for an event; milliseconds, 0 for ever.
    "ndis.sys" 0..=0 "IRQ-22"
    fn NdisWaitEvent(host, event: u64, ms: u32) -> u8 {
        let held = host.local().locks.borrow().len();
        if held > 0 {
            host.violate("IRQ-22", "NdisWaitEvent with a spin lock held".into());
        }
        let limit = (ms != 0).then(|| u64::from(ms) * 1_000_000);
        u8::from(wait_object(host, event, limit))
    }

    /// Sleeps.
    "ndis.sys" 0..=1 "IRQ-22"
    fn NdisMSleep(host, micros: u32) {
        if micros > 30_000_000 {
            host.violate("IRQ-22", format!("NdisMSleep({micros})"));
        }
        host.sleep(u64::from(micros) * 1000);
    }

    /// Makes a work item.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisAllocateIoWorkItem(host, owner: u64) -> u64 {
        let kind = host.ndis(|n| n.handles.kind(owner));
        if !matches!(kind, Ok(Kind::Miniport | Kind::MiniportDriver)) {
            host.violate("MEM-6", format!("NdisAllocateIoWorkItem on {owner:#x} ({kind:?})"));
        }
        if host.fails("NdisAllocateIoWorkItem") {
            return 0;
        }
        let adapter = host.initializing_adapter();
        host.ndis(|n| {
            let h = n.handles.open(Kind::WorkItem);
            n.work_items.insert(h, WorkItem { owner, queued: false, freed: false, adapter });
            h
        })
    }

    /// Queues a work item.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisQueueIoWorkItem(host, item: u64, routine: u64, context: u64) {
        if !host.check("NdisIoWorkItemHandle", item, Kind::WorkItem) {
            return;
        }
        let twice = host.ndis(|n| {
            let w = n.work_items.get_mut(&item).expect("checked handle");
            std::mem::replace(&mut w.queued, true)
        });
        if twice {
            host.violate("MEM-6", "a work item is queued while it is queued".into());
            return;
        }
        let delay = host.engine().random(20_000);
        host.spawn_after(delay, Job::thread("work item", move |host| {
            host.ndis(|n| if let Some(w) = n.work_items.get_mut(&item) { w.queued = false; });
            host.call("NdisIoWorkItemFunction", item, routine, &[context, item]);
        }));
    }

    /// Frees a work item.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisFreeIoWorkItem(host, item: u64) {
        if !host.check("NdisIoWorkItemHandle", item, Kind::WorkItem) {
            return;
        }
        let queued = host.ndis(|n| {
            n.handles.close(item);
            n.work_items.remove(&item).is_some_and(|w| w.queued && !w.freed)
        });
        if queued {
            host.violate("MEM-6", "a work item is freed while it is queued".into());
        }
    }

    /// Makes a read-write lock.
    "ndis.sys" 0..=2 "IRQ-9"
    fn NdisAllocateRWLock(host, _handle: u64) -> u64 {
        if host.fails("NdisAllocateRWLock") {
            return 0;
        }
        host.ndis(|n| {
            let h = n.handles.open(Kind::RwLock);
            n.rw_locks.insert(h, RwLock::default());
            h
        })
    }

    /// Frees it.
    "ndis.sys" 0..=2 "IRQ-9"
    fn NdisFreeRWLock(host, lock: u64) {
        if !host.check("Lock", lock, Kind::RwLock) {
            return;
        }
        host.nt.lock().expect("nt").lock_order.forget(lock, lock + 1);
        let held = host.ndis(|n| {
            n.handles.close(lock);
            n.rw_locks.remove(&lock).is_some_and(|l| l.writer.is_some() || !l.readers.is_empty())
        });
        if held {
            host.violate("LCK-7", "a read-write lock is freed while it is held".into());
        }
    }

    /// Acquires for reading.
    "ndis.sys" 0..=2 "IRQ-9"
    fn NdisAcquireRWLockRead(host, lock: u64, state: u64, flags: u8) {
        rw_acquire(host, lock, state, false, flags);
    }

    /// Acquires for writing.
    "ndis.sys" 0..=2 "IRQ-9"
    fn NdisAcquireRWLockWrite(host, lock: u64, state: u64, flags: u8) {
        rw_acquire(host, lock, state, true, flags);
    }

    /// Releases.
    "ndis.sys" 2..=2 "IRQ-9"
    fn NdisReleaseRWLock(host, lock: u64, state: u64) {
        if !host.check("Lock", lock, Kind::RwLock) {
            return;
        }
        let me = host.local().id;
        let old: [u8; 3] = host.get(state, "LockState");
        let (held, waiters) = host.ndis(|n| {
            let l = n.rw_locks.get_mut(&lock).expect("checked handle");
            let held = if l.writer.is_some_and(|w| w.task == me) {
                l.writer.take()
            } else {
                // A thread may read more than once: that with this state, else the last.
                let mine = |r: &Hold| r.task == me;
                let at = l.readers.iter().rposition(|r| mine(r) && r.state == state);
                let at = at.or_else(|| l.readers.iter().rposition(mine));
                at.map(|at| l.readers.remove(at))
            };
            (held, std::mem::take(&mut l.waiters))
        });
        let Some(held) = held else {
            host.fatal("LCK-7", "a read-write lock is released by a thread that does not hold it");
        };
        {
            let mut locks = host.local().locks.borrow_mut();
            if let Some(at) = locks.iter().rposition(|l| l.shared && l.address == lock) {
                locks.remove(at);
            }
        }
        if held.state != state {
            host.violate("LCK-7", format!("a read-write lock acquired with LOCK_STATE_EX {:#x} is released with {state:#x}", held.state));
        }
        if held.cpu != host.vp().index {
            host.violate("LCK-7", format!("a read-write lock acquired on processor {} is released on {}", held.cpu, host.vp().index));
        }
        for task in waiters {
            host.engine().wake(task);
        }
        host.vp().set_irql(old[0].min(DISPATCH));
    }

    /// Busy-waits for microseconds.
    "ndis.sys" 0..=15 "IRQ-23"
    fn NdisStallExecution(host, micros: u32) {
        if micros > 50 {
            host.violate("IRQ-23", format!("NdisStallExecution({micros})"));
        }
        let until = host.now() + u64::from(micros) * 1000;
        while host.now() < until {
            host.engine().switch();
        }
    }

    /// Milliseconds of uptime.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisGetSystemUpTimeEx(host, out: u64) {
        host.put(out, host.now() / 1_000_000, "pSystemUpTime");
    }

    /// Writes an entry into the event log; up to five words are shown.
    "ndis.sys" 0..=2 "IRQ-11"
    fn NdisWriteErrorLogEntry(host, owner: u64, code: u32, count: u32, a: u64, b: u64, c: u64) {
        host.check("NdisAdapterHandle", owner, Kind::Miniport);
        let values: Vec<String> = [a, b, c].iter().take(count as usize).map(|v| format!("{:#x}", *v as u32)).collect();
        host.log(1, "event log", format!("code {code:#x}: {}", values.join(", ")));
    }
}
