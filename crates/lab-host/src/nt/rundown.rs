//! Rundown protection and remove locks: counts of who uses something, and waits for the last.

use super::reference::Released;
use super::wait::{kind, put_header};
use super::{set_event, wait_object};
use crate::api::api;
use crate::host::Host;

/// Bit of a rundown reference that says its owner is gone.
const GONE: u64 = 1;
/// One user.
const USE: u64 = 2;
const STATUS_DELETE_PENDING: i32 = 0xC000_0056_u32 as i32;
// IO_REMOVE_LOCK: Removed, IoCount, RemoveEvent.
const COUNT: u64 = 4;
const EVENT: u64 = 8;

/// Changes a rundown reference; users left.
fn uses(host: &Host, reference: u64, change: impl FnOnce(u64) -> Option<u64>) -> Option<u64> {
    let value: u64 = host.get(reference, "RunRef");
    let next = change(value)?;
    host.put(reference, next, "RunRef");
    Some(next)
}

fn enter(host: &Host, reference: u64, count: u32) -> bool {
    uses(host, reference, |v| {
        (v & GONE == 0).then(|| v + USE * u64::from(count))
    })
    .is_some()
}

fn exit(host: &Host, reference: u64, count: u32) {
    let left = uses(host, reference, |v| v.checked_sub(USE * u64::from(count)));
    match left {
        None => host.fatal(
            "LCK-5",
            &format!("rundown protection at {reference:#x} is released more often than acquired"),
        ),
        Some(GONE) => {
            let waiters = host.nt.lock().expect("nt").waiters.remove(&reference);
            for task in waiters.unwrap_or_default() {
                host.engine().wake(task);
            }
        }
        Some(_) => {}
    }
}

fn acquire_remove(host: &Host, lock: u64, tag: u64) -> i32 {
    let count: i32 = host.get(lock + COUNT, "RemoveLock");
    let removed: u8 = host.get(lock, "RemoveLock");
    if removed != 0 {
        return STATUS_DELETE_PENDING;
    }
    host.put(lock + COUNT, count + 1, "RemoveLock");
    host.nt.lock().expect("nt").removals.take(lock, tag);
    0
}

/// The driver gives back what it acquired with a tag. That there is nothing to give back is
/// [`release_remove`]'s to say.
fn release_tagged(host: &Host, lock: u64, tag: u64) {
    let released = host.nt.lock().expect("nt").removals.release(lock, tag);
    if let Released::OtherTag(other) = released {
        host.violate(
            "BUG-2",
            format!(
                "the remove lock at {lock:#x} is released with tag {tag:#x}, which nobody has: it was acquired with tag {other:#x}"
            ),
        );
    }
    release_remove(host, lock);
}

fn release_remove(host: &Host, lock: u64) {
    let left = host.get::<i32>(lock + COUNT, "RemoveLock") - 1;
    let removed: u8 = host.get(lock, "RemoveLock");
    if left < i32::from(removed == 0) {
        host.fatal(
            "LCK-5",
            &format!("the remove lock at {lock:#x} is released more often than acquired"),
        );
    }
    host.put(lock + COUNT, left, "RemoveLock");
    if left == 0 {
        set_event(host, lock + EVENT);
    }
}

api! { exports:
    /// Makes rundown protection.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExInitializeRundownProtection(host, reference: u64) {
        host.put(reference, 0_u64, "RunRef");
    }

    /// Makes it usable again after it was run down.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExReInitializeRundownProtection(host, reference: u64) {
        if host.get::<u64>(reference, "RunRef") != GONE {
            host.violate("HOST-OBJECT", format!("rundown protection at {reference:#x} is made anew while it is in use"));
        }
        host.put(reference, 0_u64, "RunRef");
    }

    /// Counts a user in; FALSE if the owner is gone.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExAcquireRundownProtection(host, reference: u64) -> u8 {
        u8::from(enter(host, reference, 1))
    }

    /// Counts users in.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExAcquireRundownProtectionEx(host, reference: u64, count: u32) -> u8 {
        u8::from(enter(host, reference, count))
    }

    /// Counts a user out.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExReleaseRundownProtection(host, reference: u64) {
        exit(host, reference, 1);
    }

    /// Counts users out.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExReleaseRundownProtectionEx(host, reference: u64, count: u32) {
        exit(host, reference, count);
    }

    /// Lets nobody in any more and waits for the last to leave.
    "ntoskrnl.exe" 0..=1 "IRQ-22"
    fn ExWaitForRundownProtectionRelease(host, reference: u64) {
        uses(host, reference, |v| Some(v | GONE));
        let me = host.local().id;
        while host.get::<u64>(reference, "RunRef") != GONE {
            host.nt.lock().expect("nt").waiters.entry(reference).or_default().push(me);
            *host.local().waiting.borrow_mut() = Some(format!("for the rundown at {reference:#x}"));
            host.engine().wait(None);
            *host.local().waiting.borrow_mut() = None;
        }
    }

    /// Says that the rundown is over.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn ExRundownCompleted(host, reference: u64) {
        host.put(reference, GONE, "RunRef");
    }

    /// Makes a remove lock.
    "ntoskrnl.exe" 0..=0 "IRQ-9"
    fn IoInitializeRemoveLockEx(host, lock: u64, _tag: u32, _minutes: u32, _mark: u32, size: u32) {
        if size < 32 {
            host.violate("HOST-OBJECT", format!("IoInitializeRemoveLock with {size} bytes"));
        }
        host.nt.lock().expect("nt").removals.forget(lock);
        host.put(lock, [0_u8; 32], "RemoveLock");
        host.put(lock + COUNT, 1_i32, "RemoveLock");
        put_header(host, lock + EVENT, kind::EVENT_SYNCHRONIZATION, 6, 0, "RemoveLock");
    }

    /// Counts a user in; STATUS_DELETE_PENDING once removal began.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn IoAcquireRemoveLockEx(host, lock: u64, tag: u64, _file: u64, _line: u32, _size: u32) -> i32 {
        acquire_remove(host, lock, tag)
    }

    /// Counts a user out.
    "ntoskrnl.exe" 0..=2 "IRQ-9"
    fn IoReleaseRemoveLockEx(host, lock: u64, tag: u64, _size: u32) {
        release_tagged(host, lock, tag);
    }

    /// Counts the caller out, lets nobody in any more and waits for the last.
    "ntoskrnl.exe" 0..=0 "IRQ-22"
    fn IoReleaseRemoveLockAndWaitEx(host, lock: u64, tag: u64, _size: u32) {
        host.put(lock, 1_u8, "RemoveLock");
        // The caller's own, and the one that the lock began with.
        release_tagged(host, lock, tag);
        let left = host.get::<i32>(lock + COUNT, "RemoveLock");
        if left > 0 {
            release_remove(host, lock);
            if left > 1 {
                wait_object(host, lock + EVENT, None);
            }
        }
    }
}
