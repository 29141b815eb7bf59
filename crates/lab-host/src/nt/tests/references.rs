//! References that a driver takes, released as they were taken and otherwise (BUG-2).

use std::sync::Arc;

use super::super::{object, process, reference, rundown, thread, variables};
use super::with_both;
use crate::host::{Config, Host};
use crate::report::Collect;

const A: u32 = u32::from_le_bytes(*b"TagA");
const B: u32 = u32::from_le_bytes(*b"TagB");

/// The rules that `body` breaks, each as often as it does.
fn broken(body: impl FnOnce(&Host, u64) + Send) -> Vec<String> {
    let host = Host::new(Config::default(), Arc::new(Collect::default())).expect("host");
    host.run("test", |host| {
        let block = host.allocate(4096, 1, "test");
        body(host, block);
    });
    host.findings().into_iter().map(|f| f.rule).collect()
}

/// An event that a handle keeps alive, and the handle.
fn event(host: &Host, block: u64) -> (u64, u64) {
    let event = object::IoCreateNotificationEvent(0, block);
    (event, host.get(block, "test"))
}

#[test]
fn what_is_released_as_it_was_taken_is_no_finding() {
    with_both(|host, block| {
        let (event, handle) = event(host, block);
        let of = variables::object_type(&host.arena, "ExEventObjectType");
        let out = block + 8;
        let by_handle = reference::ObReferenceObjectByHandleWithTag;
        assert_eq!(by_handle(handle, 0, of, 0, A, out, 0), 0);
        assert_eq!(host.get::<u64>(out, "test"), event);
        let by_pointer = reference::ObReferenceObjectByPointerWithTag;
        assert_eq!(by_pointer(event, 0, of, 0, B), 0);
        assert!(by_pointer(event, 0, of + 1, 0, B) < 0, "another type");
        reference::ObfReferenceObjectWithTag(event, A);
        reference::ObfReferenceObject(event);
        // In any order.
        reference::ObfDereferenceObjectWithTag(event, A);
        reference::ObDereferenceObjectDeferDelete(event);
        reference::ObDereferenceObjectDeferDeleteWithTag(event, B);
        assert_eq!(object::ZwClose(handle), 0);
        reference::ObfDereferenceObjectWithTag(event, A);
        assert!(host.heap().find(event).is_none(), "that was the last");
    });
}

#[test]
fn a_reference_without_a_tag_has_the_default_one() {
    let rules = broken(|host, block| {
        let (event, _) = event(host, block);
        reference::ObfReferenceObject(event);
        reference::ObfDereferenceObjectWithTag(event, u32::from_le_bytes(*b"Dflt"));
    });
    assert_eq!(rules, [""; 0]);
}

#[test]
fn a_release_with_another_tag_is_found() {
    let rules = broken(|host, block| {
        let (event, handle) = event(host, block);
        reference::ObfReferenceObjectWithTag(event, A);
        reference::ObfDereferenceObjectWithTag(event, B);
        // It was released all the same: nothing but the handle is left.
        assert_eq!(object::ZwClose(handle), 0);
        assert!(host.heap().find(event).is_none());
    });
    assert_eq!(rules, ["BUG-2"]);
}

#[test]
fn one_release_too_many_is_found_while_others_refer_to_the_object() {
    let rules = broken(|host, block| {
        let (event, handle) = event(host, block);
        reference::ObfReferenceObject(event);
        reference::ObfDereferenceObject(event);
        reference::ObfDereferenceObject(event);
        // The handle's reference is not the driver's to release.
        assert_eq!(object::ZwClose(handle), 0);
    });
    assert_eq!(rules, ["BUG-2"]);
}

#[test]
fn one_release_too_many_is_found_when_the_object_is_gone() {
    let rules = broken(|host, block| {
        let (event, handle) = event(host, block);
        reference::ObfReferenceObject(event);
        object::ZwClose(handle);
        reference::ObfDereferenceObject(event);
        reference::ObfDereferenceObject(event);
    });
    assert_eq!(rules, ["BUG-2"]);
    // What never was an object, or has become something else, is another mistake.
    let rules = broken(|_, block| {
        reference::ObfDereferenceObject(block);
    });
    assert_eq!(rules, ["HOST-OBJECT"]);
}

#[test]
fn what_functions_hand_out_counts_as_taken() {
    let rules = broken(|host, block| {
        for number in [4, process::PROGRAM] {
            assert_eq!(process::PsLookupProcessByProcessId(number, block), 0);
            reference::ObfDereferenceObject(host.get(block, "test"));
        }
        // The calling thread lives for ever, and has no record.
        let me = thread::KeGetCurrentThread();
        let by_handle = reference::ObReferenceObjectByHandle;
        assert_eq!(by_handle(0xFFFF_FFFF_FFFF_FFFE, 0, 0, 0, block, 0), 0);
        assert_eq!(host.get::<u64>(block, "test"), me);
        reference::ObfDereferenceObject(me);
    });
    assert_eq!(rules, [""; 0]);
    let rules = broken(|_, _| {
        reference::ObfDereferenceObject(thread::KeGetCurrentThread());
    });
    assert_eq!(rules, ["BUG-2"]);
}

#[test]
fn a_remove_lock_is_released_with_the_tags_it_was_acquired_with() {
    let lock = |host: &Host, block| {
        rundown::IoInitializeRemoveLockEx(block, 1, 0, 0, 32);
        for tag in [7, 8] {
            assert_eq!(rundown::IoAcquireRemoveLockEx(block, tag, 0, 0, 32), 0);
        }
        host.get::<i32>(block + 4, "test")
    };
    let rules = broken(|host, block| {
        assert_eq!(lock(host, block), 3);
        rundown::IoReleaseRemoveLockEx(block, 7, 32);
        rundown::IoReleaseRemoveLockEx(block, 9, 32);
        assert_eq!(
            host.get::<i32>(block + 4, "test"),
            1,
            "released all the same"
        );
    });
    assert_eq!(rules, ["BUG-2"]);
    // What a lock had before it was made anew is forgotten.
    let rules = broken(|host, block| {
        lock(host, block);
        rundown::IoInitializeRemoveLockEx(block, 1, 0, 0, 32);
        rundown::IoReleaseRemoveLockEx(block, 7, 32);
    });
    assert_eq!(rules, ["LCK-5"]);
}
