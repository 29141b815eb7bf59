//! Waits for dispatcher objects: events, mutexes, semaphores, timers, threads.
//!
//! The state in the driver's memory is what Windows would have there (`SignalState` of the
//! dispatcher header, the owner of a mutex); who waits is the host's own record. State and
//! waiters change together under the NT part's lock.

use crate::api::api;
use crate::arena::Arena;
use crate::host::Host;
use crate::vp::DISPATCH;

/// Types of a `DISPATCHER_HEADER`.
pub(super) mod kind {
    pub(crate) const EVENT_NOTIFICATION: u8 = 0;
    pub(crate) const EVENT_SYNCHRONIZATION: u8 = 1;
    pub(crate) const MUTANT: u8 = 2;
    pub(crate) const SEMAPHORE: u8 = 5;
    pub(crate) const THREAD: u8 = 6;
    pub(crate) const TIMER_NOTIFICATION: u8 = 8;
    pub(crate) const TIMER_SYNCHRONIZATION: u8 = 9;
}

/// Offset of `SignalState`.
pub(super) const SIGNAL: u64 = 4;
/// Offset of a mutant's `OwnerThread`.
pub(super) const OWNER: u64 = 40;
const MAXIMUM_WAIT_OBJECTS: u32 = 64;
const THREAD_WAIT_OBJECTS: u32 = 3;
const STATUS_TIMEOUT: i32 = 0x102;
const STATUS_INVALID_PARAMETER_1: i32 = 0xC000_00EF_u32 as i32;
const WAIT_ALL: i32 = 0;

/// Writes a dispatcher header: type, size in 32-bit words, state, an empty wait list.
pub(super) fn put_header(host: &Host, object: u64, kind: u8, words: u8, state: i32, what: &str) {
    host.put(object, [kind, 0, words, 0], what);
    host.put(object + SIGNAL, state, what);
    host.put(object + 8, [object + 8, object + 8], what);
}

/// Changes an object's state by `change`, which returns what the caller wants to know and
/// whether somebody may go on now.
pub(super) fn signal<R>(host: &Host, object: u64, change: impl FnOnce(&Arena) -> (R, bool)) -> R {
    let (result, waiters) = {
        let mut nt = host.nt.lock().expect("nt");
        let (result, wakes) = change(&host.arena);
        let waiters = if wakes {
            nt.waiters.remove(&object).unwrap_or_default()
        } else {
            Vec::new()
        };
        (result, waiters)
    };
    for task in waiters {
        host.engine().wake(task);
    }
    result
}

/// The calling task's `KTHREAD`.
pub(crate) fn current_thread(host: &Host) -> u64 {
    host.vp().thread_of(host.local())
}

fn is_signaled(arena: &Arena, object: u64, thread: u64) -> bool {
    let kind: u8 = arena.read(object).unwrap_or(0);
    let state: i32 = arena.read(object + SIGNAL).unwrap_or(0);
    state > 0 || (kind == kind::MUTANT && arena.read(object + OWNER) == Ok(thread))
}

/// What a satisfied wait does to the object.
fn take(arena: &Arena, object: u64, thread: u64) {
    let kind: u8 = arena.read(object).unwrap_or(0);
    let state: i32 = arena.read(object + SIGNAL).unwrap_or(0);
    let left = match kind {
        kind::EVENT_SYNCHRONIZATION | kind::TIMER_SYNCHRONIZATION => 0,
        kind::SEMAPHORE => state - 1,
        kind::MUTANT => {
            let _ = arena.write(object + OWNER, thread);
            state - 1
        }
        _ => return,
    };
    let _ = arena.write(object + SIGNAL, left);
}

/// Waits for one of the objects, or for all of them; which one it was, or `None` on time-out.
/// `limit` in nanoseconds.
pub(crate) fn wait_objects(
    host: &Host,
    objects: &[u64],
    all: bool,
    limit: Option<u64>,
) -> Option<usize> {
    let deadline = limit.map(|ns| host.now().saturating_add(ns));
    let me = host.local().id;
    let thread = current_thread(host);
    loop {
        // Touch them first: a wild pointer is found before the lock is taken.
        for &object in objects {
            let header: u8 = host.get(object, "Object");
            if !matches!(header, 0..=2 | 5 | 6 | 8 | 9) {
                host.fatal(
                    "HOST-OBJECT",
                    &format!(
                        "a wait for {object:#x}, whose type is {header}: not an initialised dispatcher object"
                    ),
                );
            }
        }
        let expired = deadline.is_some_and(|d| host.now() >= d);
        {
            let mut nt = host.nt.lock().expect("nt");
            let signaled = |&&object: &&u64| is_signaled(&host.arena, object, thread);
            let done = if all {
                objects.iter().all(|o| signaled(&o)).then_some(0)
            } else {
                objects.iter().position(|o| signaled(&o))
            };
            if let Some(index) = done {
                for &object in if all {
                    objects
                } else {
                    &objects[index..=index]
                } {
                    take(&host.arena, object, thread);
                }
                return Some(index);
            }
            if expired {
                return None;
            }
            for &object in objects {
                let waiters = nt.waiters.entry(object).or_default();
                if !waiters.contains(&me) {
                    waiters.push(me);
                }
            }
        }
        let list: Vec<String> = objects.iter().map(|o| format!("{o:#x}")).collect();
        *host.local().waiting.borrow_mut() = Some(format!("for the object at {}", list.join(", ")));
        host.engine().wait(deadline);
        *host.local().waiting.borrow_mut() = None;
        let mut nt = host.nt.lock().expect("nt");
        for object in objects {
            if let Some(waiters) = nt.waiters.get_mut(object) {
                waiters.retain(|&t| t != me);
                if waiters.is_empty() {
                    nt.waiters.remove(object);
                }
            }
        }
    }
}

/// Waits for a dispatcher object; false on time-out. `limit` in nanoseconds.
pub(crate) fn wait_object(host: &Host, object: u64, limit: Option<u64>) -> bool {
    wait_objects(host, &[object], false, limit).is_some()
}

/// Nanoseconds until a time-out: negative is relative, else since 1601; none is for ever.
pub(super) fn timeout(host: &Host, timeout: u64) -> Option<u64> {
    (timeout != 0).then(|| until(host, host.get(timeout, "Timeout")))
}

/// Nanoseconds until a due time in 100 ns units: negative is relative, else since 1601.
pub(super) fn until(host: &Host, due: i64) -> u64 {
    let left = if due < 0 {
        due.unsigned_abs()
    } else {
        due.unsigned_abs().saturating_sub(super::system_time(host))
    };
    left.saturating_mul(100)
}

fn check_level(host: &Host, limit: Option<u64>, name: &str) {
    if limit == Some(0) {
        return;
    }
    if host.vp().irql() >= DISPATCH {
        host.violate("IRQ-22", format!("{name} waits at DISPATCH_LEVEL"));
    }
}

api! { exports:
    /// Waits for an object.
    "ntoskrnl.exe" 0..=2 "IRQ-22"
    fn KeWaitForSingleObject(host, object: u64, _reason: i32, _mode: u8, _alertable: u8,
        limit: u64) -> i32 {
        let limit = timeout(host, limit);
        check_level(host, limit, "KeWaitForSingleObject");
        if wait_object(host, object, limit) { 0 } else { STATUS_TIMEOUT }
    }

    /// Waits for one of several objects (which one is the result), or for all of them.
    "ntoskrnl.exe" 0..=2 "IRQ-22"
    fn KeWaitForMultipleObjects(host, count: u32, objects: u64, wait: i32, _reason: i32, _mode: u8,
        _alertable: u8, limit: u64, blocks: u64) -> i32 {
        let most = if blocks == 0 { THREAD_WAIT_OBJECTS } else { MAXIMUM_WAIT_OBJECTS };
        if count == 0 || count > most {
            host.fatal("HOST-OBJECT", &format!(
                "KeWaitForMultipleObjects for {count} objects; {most} are possible {} wait blocks",
                if blocks == 0 { "without" } else { "with" }
            ));
        }
        let limit = timeout(host, limit);
        check_level(host, limit, "KeWaitForMultipleObjects");
        let list: Vec<u64> = (0..u64::from(count)).map(|i| host.get(objects + 8 * i, "Object")).collect();
        if wait == WAIT_ALL && (1..list.len()).any(|i| list[..i].contains(&list[i])) {
            return STATUS_INVALID_PARAMETER_1;
        }
        match wait_objects(host, &list, wait == WAIT_ALL, limit) {
            Some(index) => index as i32,
            None => STATUS_TIMEOUT,
        }
    }
}
