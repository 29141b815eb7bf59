//! Objects with references, and handles to them: what the object manager does for drivers.
//!
//! An object lives while anything refers to it: a handle, a counted pointer, or the system
//! itself (a thread that runs). Its body is memory of the arena, so that its address can be waited for.

use std::collections::{BTreeMap, BTreeSet};

use super::reference::Taken;
use super::wait::{kind, put_header};
use crate::api::api;
use crate::host::Host;

pub(super) const STATUS_INVALID_HANDLE: i32 = 0xC000_0008_u32 as i32;
pub(super) const STATUS_OBJECT_TYPE_MISMATCH: i32 = 0xC000_0024_u32 as i32;
pub(super) const STATUS_INVALID_PARAMETER: i32 = 0xC000_000D_u32 as i32;
pub(super) const STATUS_INSUFFICIENT_RESOURCES: i32 = 0xC000_009A_u32 as i32;
/// Handles of the kernel have their highest bit set.
const FIRST_HANDLE: u64 = 0xFFFF_FFFF_8000_0004;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Event,
    Thread,
    Key,
    File,
    Process,
}

impl ObjectKind {
    /// The variable that names its type.
    pub(super) const fn variable(self) -> &'static str {
        match self {
            Self::Event => "ExEventObjectType",
            Self::Thread => "PsThreadType",
            Self::Key => "CmKeyObjectType",
            Self::File => "IoFileObjectType",
            Self::Process => "PsProcessType",
        }
    }
}

/// An object.
pub(super) struct Object {
    pub(super) kind: ObjectKind,
    /// Name, or path of a key.
    pub(super) name: String,
    references: u64,
    /// Whether the memory goes with it.
    owned: bool,
}

/// What came of a reference that was dropped.
pub(super) enum Dropped {
    /// There is no such object.
    Unknown,
    /// Others refer to it.
    Kept,
    /// It was the last: the memory is to be freed.
    Free(u64),
}

/// Objects by address, and handles.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) all: BTreeMap<u64, Object>,
    pub(super) handles: BTreeMap<u64, u64>,
    /// References that the driver took.
    pub(super) taken: Taken,
    /// Where objects were.
    gone: BTreeSet<u64>,
    next: u64,
}

impl Objects {
    /// Takes note of an object with one reference.
    pub(super) fn insert(&mut self, address: u64, kind: ObjectKind, name: &str, owned: bool) {
        let name = name.to_owned();
        self.gone.remove(&address);
        self.all.insert(
            address,
            Object {
                kind,
                name,
                references: 1,
                owned,
            },
        );
    }

    /// A handle to an object; it holds a reference.
    pub(super) fn open(&mut self, address: u64) -> u64 {
        let handle = FIRST_HANDLE + 4 * self.next;
        self.next += 1;
        self.reference(address);
        self.handles.insert(handle, address);
        handle
    }

    pub(super) fn reference(&mut self, address: u64) -> bool {
        let object = self.all.get_mut(&address);
        if let Some(object) = object {
            object.references += 1;
            return true;
        }
        false
    }

    /// Drops a reference.
    pub(super) fn dereference(&mut self, address: u64) -> Dropped {
        let Some(object) = self.all.get_mut(&address) else {
            return Dropped::Unknown;
        };
        object.references -= 1;
        if object.references > 0 {
            return Dropped::Kept;
        }
        self.taken.forget(address);
        self.gone.insert(address);
        match self.all.remove(&address) {
            Some(gone) if gone.owned => Dropped::Free(address),
            _ => Dropped::Kept,
        }
    }

    /// Whether there was an object that is not there any more.
    pub(super) fn is_gone(&self, address: u64) -> bool {
        self.gone.contains(&address)
    }
}

impl Host {
    pub(super) fn objects<R>(&self, f: impl FnOnce(&mut Objects) -> R) -> R {
        f(&mut self.nt.lock().expect("nt").objects)
    }

    /// Drops a reference of the host's own.
    pub(super) fn drop_reference(&self, address: u64) {
        if let Dropped::Free(memory) = self.objects(|o| o.dereference(address)) {
            self.release(memory);
        }
    }

    /// The object of a handle, if it is of that kind.
    pub(super) fn by_handle(&self, handle: u64, kind: ObjectKind) -> Result<u64, i32> {
        self.objects(|o| {
            let address = *o.handles.get(&handle).ok_or(STATUS_INVALID_HANDLE)?;
            match o.all.get(&address) {
                Some(object) if object.kind == kind => Ok(address),
                _ => Err(STATUS_OBJECT_TYPE_MISMATCH),
            }
        })
    }

    /// An event that a program made and whose handle it passes to the driver; as a program sees
    /// it, `kind` 0 stays signalled.
    pub fn create_event_handle(&self, synchronization: bool) -> u64 {
        let event = self.allocate(24, u32::from_le_bytes(*b"Even"), "event object");
        let kind = if synchronization {
            kind::EVENT_SYNCHRONIZATION
        } else {
            kind::EVENT_NOTIFICATION
        };
        put_header(self, event, kind, 6, 0, "Event");
        self.objects(|o| {
            o.insert(event, ObjectKind::Event, "", true);
            let handle = o.open(event);
            o.dereference(event);
            handle
        })
    }

    /// Waits for what a handle stands for; false when `limit` nanoseconds have passed, or the
    /// handle is none.
    pub fn wait_handle(&self, handle: u64, limit: u64) -> bool {
        let object = self.objects(|o| o.handles.get(&handle).copied());
        object.is_some_and(|object| super::wait_object(self, object, Some(limit)))
    }

    /// Closes a handle as a program does.
    pub fn close_handle(&self, handle: u64) -> bool {
        let object = self.objects(|o| o.handles.remove(&handle));
        object
            .inspect(|&object| self.drop_reference(object))
            .is_some()
    }

    fn close(&self, handle: u64, name: &str) -> i32 {
        if self.close_handle(handle) {
            return 0;
        }
        // What a bad handle in kernel mode is on Windows with Driver Verifier.
        self.violate(
            "HOST-HANDLE",
            format!("{name}: {handle:#x} is not an open handle"),
        );
        STATUS_INVALID_HANDLE
    }
}

/// Whether an object is one that is always there: a thread of the host, the system process.
pub(super) fn is_permanent(host: &Host, object: u64) -> bool {
    let variables = host.arena.variables();
    host.arena.is_thread(object)
        || (variables..variables + crate::arena::VARIABLE_SIZE).contains(&object)
}

/// Makes an event object with a handle, for `IoCreateNotificationEvent` and the like.
fn create_event(host: &Host, name: u64, out: u64, kind: u8, by: &'static str) -> u64 {
    let name = if name == 0 {
        String::new()
    } else {
        host.get_string(name, "EventName")
    };
    let known = host.objects(|o| {
        let mut all = o.all.iter();
        all.find(|(_, v)| {
            v.kind == ObjectKind::Event && !name.is_empty() && v.name.eq_ignore_ascii_case(&name)
        })
        .map(|(&at, _)| at)
    });
    if host.fails(by) {
        return 0;
    }
    let event = known.unwrap_or_else(|| {
        let event = host.allocate(24, u32::from_le_bytes(*b"Even"), "event object");
        put_header(host, event, kind, 6, 1, "Event");
        host.objects(|o| o.insert(event, ObjectKind::Event, &name, true));
        event
    });
    let handle = host.objects(|o| {
        let handle = o.open(event);
        if known.is_none() {
            o.dereference(event);
        }
        handle
    });
    host.put(out, handle, "EventHandle");
    event
}

api! { exports:
    /// Closes a handle.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwClose(host, handle: u64) -> i32 {
        host.close(handle, "ZwClose")
    }

    /// Closes a handle.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ObCloseHandle(host, handle: u64, _mode: u8) -> i32 {
        host.close(handle, "ObCloseHandle")
    }

    /// Makes or opens a named event that stays signalled; it is signalled at first.
    "ntoskrnl.exe" 0..=0 "IRQ-9"
    fn IoCreateNotificationEvent(host, name: u64, out: u64) -> u64 {
        create_event(host, name, out, kind::EVENT_NOTIFICATION, "IoCreateNotificationEvent")
    }

    /// Makes or opens a named event that one waiter resets; it is signalled at first.
    "ntoskrnl.exe" 0..=0 "IRQ-9"
    fn IoCreateSynchronizationEvent(host, name: u64, out: u64) -> u64 {
        create_event(host, name, out, kind::EVENT_SYNCHRONIZATION, "IoCreateSynchronizationEvent")
    }

    /// Waits for what a handle stands for.
    "ntoskrnl.exe" 0..=1 "IRQ-22"
    fn ZwWaitForSingleObject(host, handle: u64, _alertable: u8, limit: u64) -> i32 {
        let Some(object) = host.objects(|o| o.handles.get(&handle).copied()) else {
            return STATUS_INVALID_HANDLE;
        };
        let limit = super::wait::timeout(host, limit);
        if super::wait_object(host, object, limit) { 0 } else { 0x102 }
    }
}
