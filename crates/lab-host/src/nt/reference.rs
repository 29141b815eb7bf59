//! Counted references: what the object manager counts for drivers, and whose each is (BUG-2).
//!
//! An object has one count, of everybody who refers to it. Windows sees that a driver gave back
//! what is somebody else's only when the object dies under that one, and the tags only when
//! references are traced. Here those that the driver took are counted apart from the system's
//! own, by the tag that each was taken with, so that one too many, or one with another tag, is
//! found where it is released.

use std::collections::BTreeMap;

use super::object::{
    Dropped, ObjectKind, Objects, STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, is_permanent,
};
use super::variables::object_type;
use crate::api::api;
use crate::host::Host;

/// The tag of references that are taken or released without one.
pub(super) const DEFAULT: u32 = u32::from_le_bytes(*b"Dflt");

/// What a driver has taken and not given back: by owner (an object, a remove lock) and tag.
#[derive(Default)]
pub(super) struct Taken(BTreeMap<(u64, u64), u64>);

/// What came of a release.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// It was taken with that tag.
    Fine,
    /// It was taken, with this tag and no longer with the one that was named.
    OtherTag(u64),
    /// The driver has none.
    TooOften,
}

impl Taken {
    /// One more.
    pub(super) fn take(&mut self, of: u64, tag: impl Into<u64>) {
        *self.0.entry((of, tag.into())).or_default() += 1;
    }

    /// One less: of that tag if there is one, or else of any.
    pub(super) fn release(&mut self, of: u64, tag: impl Into<u64>) -> Released {
        let key = (of, tag.into());
        let mut all = self.0.range((of, 0)..=(of, u64::MAX)).map(|(&key, _)| key);
        let Some(first) = all.next() else {
            return Released::TooOften;
        };
        let same = self.0.contains_key(&key);
        let found = if same { key } else { first };
        if let Some(count) = self.0.get_mut(&found) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&found);
            }
        }
        if same {
            Released::Fine
        } else {
            Released::OtherTag(found.1)
        }
    }

    /// The owner is gone, or begins anew.
    pub(super) fn forget(&mut self, of: u64) {
        self.0.retain(|key, _| key.0 != of);
    }
}

impl Objects {
    /// The driver gets a reference, if it is to; what lives for ever has no count of its own.
    fn take_if(&mut self, may: bool, object: u64, tag: u32) -> bool {
        if may {
            self.reference(object);
            self.taken.take(object, tag);
        }
        may
    }
}

/// A tag as its characters.
fn text(tag: u64) -> String {
    let bytes = (tag as u32).to_le_bytes();
    format!("'{}'", String::from_utf8_lossy(&bytes))
}

impl Host {
    /// The driver gets a reference to an object that a function found for it.
    pub(super) fn give_reference(&self, object: u64, tag: u32) {
        self.objects(|o| o.take_if(true, object, tag));
    }

    /// The driver gives a reference back; whether others are left.
    fn release_reference(&self, object: u64, tag: u32, name: &str) -> i64 {
        let (known, gone) = self.objects(|o| (o.all.contains_key(&object), o.is_gone(object)));
        if !known && !is_permanent(self, object) {
            // What lives where an object was is no object: somebody else has the memory now.
            let gone = gone && self.heap().find(object).is_none();
            let rule = if gone { "BUG-2" } else { "HOST-OBJECT" };
            self.fatal(
                rule,
                &format!("{name} on {object:#x}: {}", self.describe(object)),
            );
        }
        // At once: on real threads others count meanwhile.
        let (released, dropped) = self.objects(|o| {
            let released = o.taken.release(object, tag);
            // Those that are left are the system's, which would miss it.
            let dropped = match released {
                Released::TooOften => Dropped::Kept,
                _ => o.dereference(object),
            };
            (released, dropped)
        });
        let with = format!("{name} on {object:#x} with tag {}", text(tag.into()));
        match released {
            Released::Fine => {}
            Released::OtherTag(other) => self.violate(
                "BUG-2",
                format!("{with}: the reference was taken with tag {}", text(other)),
            ),
            Released::TooOften => self.violate(
                "BUG-2",
                format!("{with}: the driver has released every reference that it took"),
            ),
        }
        match dropped {
            Dropped::Free(memory) => {
                self.release(memory);
                0
            }
            Dropped::Kept | Dropped::Unknown => 1,
        }
    }
}

/// Whether a kind is the one that a driver asks for, if it asks for any.
fn is_of(host: &Host, kind: ObjectKind, of: u64) -> bool {
    of == 0 || of == object_type(&host.arena, kind.variable())
}

fn reference(host: &Host, object: u64, tag: u32, name: &str) -> i64 {
    let taken = host.objects(|o| {
        let known = o.all.contains_key(&object) || is_permanent(host, object);
        o.take_if(known, object, tag)
    });
    if !taken {
        let what = host.describe(object);
        host.fatal("HOST-OBJECT", &format!("{name} on {object:#x}: {what}"));
    }
    1
}

fn by_handle(host: &Host, handle: u64, of: u64, tag: u32, out: u64, name: &'static str) -> i32 {
    if host.fails(name) {
        return STATUS_INVALID_HANDLE;
    }
    // NtCurrentThread() and NtCurrentProcess().
    let address = match handle {
        u64::MAX => Some(super::process::current(host)),
        0xFFFF_FFFF_FFFF_FFFE => Some(super::wait::current_thread(host)),
        _ => host.objects(|o| o.handles.get(&handle).copied()),
    };
    let Some(address) = address else {
        return STATUS_INVALID_HANDLE;
    };
    let fits = host.objects(|o| {
        // Threads of the host have no record.
        let kind = o.all.get(&address).map_or(ObjectKind::Thread, |v| v.kind);
        o.take_if(is_of(host, kind, of), address, tag)
    });
    if !fits {
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    host.put(out, address, "Object");
    0
}

fn by_pointer(host: &Host, object: u64, of: u64, tag: u32) -> i32 {
    let fits = host.objects(|o| {
        let kind = o.all.get(&object).map(|v| v.kind);
        let fits = kind.map_or(is_permanent(host, object), |kind| is_of(host, kind, of));
        o.take_if(fits, object, tag)
    });
    if fits { 0 } else { STATUS_OBJECT_TYPE_MISMATCH }
}

api! { exports:
    /// A counted pointer to what a handle stands for.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ObReferenceObjectByHandle(host, handle: u64, _access: u32, of: u64, _mode: u8, out: u64,
        _information: u64) -> i32 {
        by_handle(host, handle, of, DEFAULT, out, "ObReferenceObjectByHandle")
    }

    /// The same with a tag.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ObReferenceObjectByHandleWithTag(host, handle: u64, _access: u32, of: u64, _mode: u8,
        tag: u32, out: u64, _information: u64) -> i32 {
        by_handle(host, handle, of, tag, out, "ObReferenceObjectByHandleWithTag")
    }

    /// A counted pointer, if the object is of that type.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ObReferenceObjectByPointer(host, object: u64, _access: u32, of: u64, _mode: u8) -> i32 {
        by_pointer(host, object, of, DEFAULT)
    }

    /// The same with a tag.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ObReferenceObjectByPointerWithTag(host, object: u64, _access: u32, of: u64, _mode: u8,
        tag: u32) -> i32 {
        by_pointer(host, object, of, tag)
    }

    /// One more counted pointer.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ObfReferenceObject(host, object: u64) -> i64 {
        reference(host, object, DEFAULT, "ObReferenceObject")
    }

    /// The same with a tag.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ObfReferenceObjectWithTag(host, object: u64, tag: u32) -> i64 {
        reference(host, object, tag, "ObReferenceObjectWithTag")
    }

    /// One counted pointer less.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ObfDereferenceObject(host, object: u64) -> i64 {
        host.release_reference(object, DEFAULT, "ObDereferenceObject")
    }

    /// The same with a tag.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ObfDereferenceObjectWithTag(host, object: u64, tag: u32) -> i64 {
        host.release_reference(object, tag, "ObDereferenceObjectWithTag")
    }

    /// One counted pointer less; a worker deletes the object if it was the last.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ObDereferenceObjectDeferDelete(host, object: u64) {
        host.release_reference(object, DEFAULT, "ObDereferenceObjectDeferDelete");
    }

    /// The same with a tag.
    "ntoskrnl.exe" 0..=2 "IRQ-11"
    fn ObDereferenceObjectDeferDeleteWithTag(host, object: u64, tag: u32) {
        host.release_reference(object, tag, "ObDereferenceObjectDeferDeleteWithTag");
    }
}
