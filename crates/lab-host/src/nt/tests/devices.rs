//! IRPs that a driver makes, passes on and queues; work items; devices by name.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::irp::{at, location};
use super::super::{csq, device, io, irp, process, reference, sync, wait};
use super::{address, unicode, with};
use crate::host::Host;
use crate::image::Image;
use crate::vp::{DISPATCH, PASSIVE};

const CANCELLED: i32 = 0xC000_0120_u32 as i32;
const DEVICE_CONTROL: u64 = 14;

/// A driver object with one dispatch routine, and a device of its with a name.
fn device(host: &Host, block: u64, routine: *const (), name: &str) -> (u64, u64) {
    let driver = host.allocate(336, 1, "driver object");
    for major in [0, 2, DEVICE_CONTROL] {
        host.put(driver + 112 + 8 * major, address(routine), "test");
    }
    let name = unicode(host, block, name, 60);
    let out = block + 120;
    let status = device::IoCreateDevice(driver, 16, name, 0x22, 0, 0, out);
    assert_eq!(status, 0);
    (driver, host.get(out, "test"))
}

/// Completes at once, with the buffer's word one more.
unsafe extern "win64" fn adds(_: u64, request: u64) -> i32 {
    let host = crate::api::host();
    let stack: u64 = host.get(request + at::STACK, "Irp");
    if host.get::<u8>(stack, "stack") == 14 {
        let buffer: u64 = host.get(request + at::SYSTEM_BUFFER, "Irp");
        let value: u32 = host.get(buffer, "SystemBuffer");
        host.put(buffer, value + 1, "SystemBuffer");
        host.put(request + at::INFORMATION, 4_u64, "Irp");
    }
    host.put(request + at::STATUS, 0_i32, "Irp");
    irp::IofCompleteRequest(request, 0);
    0
}

#[test]
fn a_driver_asks_another_device() {
    with(|host, block| {
        let (driver, target) = device(host, block, adds as *const (), "\\Device\\Adds");
        host.devices_are_ready(driver);
        // By its name, with a file object that is given back.
        let name = unicode(host, block + 200, "\\Device\\Adds", 60);
        let (file, found) = (block + 300, block + 308);
        assert_eq!(device::IoGetDeviceObjectPointer(name, 0, file, found), 0);
        assert_eq!(host.get::<u64>(found, "test"), target);
        let none = unicode(host, block + 400, "\\Device\\None", 60);
        assert!(device::IoGetDeviceObjectPointer(none, 0, file + 16, found) < 0);

        let (event, iosb, input, output) = (block + 512, block + 544, block + 576, block + 584);
        sync::KeInitializeEvent(event, 0, 0);
        host.put(input, 41_u32, "test");
        let request = irp::IoBuildDeviceIoControlRequest(
            0x22_2000, target, input, 4, output, 4, 0, event, iosb,
        );
        assert_ne!(request, 0);
        assert_eq!(irp::IoGetRequestorProcessId(request), 4, "the system");
        assert_eq!(process::IoIs32bitProcess(request), 0);
        assert_eq!(irp::IofCallDriver(target, request), 0);
        assert_eq!(wait::KeWaitForSingleObject(event, 0, 0, 0, 0), 0);
        assert_eq!(host.get::<u32>(output, "test"), 42);
        assert_eq!(host.get::<u64>(iosb + 8, "test"), 4, "bytes");

        reference::ObfDereferenceObject(host.get(file, "test"));
        device::IoDeleteDevice(target);
        host.release(driver);
    });
}

#[test]
fn an_irp_can_be_used_again() {
    with(|host, _| {
        let request = irp::IoAllocateIrp(2, 0);
        assert_ne!(request, 0);
        assert_eq!(host.get::<u8>(request + at::STACK_COUNT, "test"), 2);
        assert_eq!(
            host.get::<u8>(request + at::LOCATION, "test"),
            3,
            "above them all"
        );
        host.put(request + at::LOCATION, 1_u8, "test");
        host.put(request + at::CANCEL, 1_u8, "test");
        irp::IoReuseIrp(request, CANCELLED);
        assert_eq!(host.get::<u8>(request + at::LOCATION, "test"), 3);
        assert_eq!(host.get::<u8>(request + at::CANCEL, "test"), 0);
        assert_eq!(host.get::<i32>(request + at::STATUS, "test"), CANCELLED);
        irp::IoFreeIrp(request);
        assert!(host.heap().find(request).is_none());
    });
}

#[test]
fn the_cancel_lock_raises_and_restores() {
    with(|host, block| {
        irp::IoAcquireCancelSpinLock(block);
        assert_eq!(host.vp().irql(), DISPATCH);
        assert_eq!(host.get::<u8>(block, "test"), PASSIVE);
        irp::IoReleaseCancelSpinLock(host.get(block, "test"));
        assert_eq!(host.vp().irql(), PASSIVE);
    });
}

// A queue of one: what is in it, and what was completed because it was cancelled.
static QUEUED: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

unsafe extern "win64" fn insert(_: u64, request: u64) {
    QUEUED.store(request, Ordering::SeqCst);
}

unsafe extern "win64" fn insert_or_fail(_: u64, request: u64, extra: u64) -> i32 {
    if extra == 0 {
        QUEUED.store(request, Ordering::SeqCst);
    }
    -(extra as i32)
}

unsafe extern "win64" fn remove(_: u64, request: u64) {
    let was = QUEUED.swap(0, Ordering::SeqCst);
    assert_eq!(was, request);
}

unsafe extern "win64" fn peek(_: u64, after: u64, _: u64) -> u64 {
    if after == 0 {
        QUEUED.load(Ordering::SeqCst)
    } else {
        0
    }
}

unsafe extern "win64" fn acquire(_: u64, irql: u64) {
    let host = crate::api::host();
    host.put(irql, host.vp().irql(), "Irql");
    host.vp().set_irql(DISPATCH);
}

unsafe extern "win64" fn release(_: u64, irql: u8) {
    crate::api::host().vp().set_irql(irql);
}

unsafe extern "win64" fn complete_cancelled(_: u64, request: u64) {
    ENDED.store(request, Ordering::SeqCst);
}

#[test]
fn a_cancel_safe_queue_gives_each_irp_once() {
    with(|host, queue| {
        // The routine that cancels is an import's stub, which comes with an image.
        host.adopt(Image::of_code(host.arena.image(), &[], &[]));
        let of = [
            insert as *const (),
            remove as *const (),
            peek as *const (),
            acquire as *const (),
            release as *const (),
            complete_cancelled as *const (),
        ]
        .map(address);
        let new = || {
            let request = irp::IoAllocateIrp(1, 0);
            // Its own location is the current one.
            let stack: u64 = host.get(request + at::STACK, "test");
            host.put(request + at::STACK, stack - 72, "test");
            host.put(request + at::LOCATION, 1_u8, "test");
            request
        };
        let (first, context) = (new(), queue + 128);
        assert_eq!(
            csq::IoCsqInitialize(queue, of[0], of[1], of[2], of[3], of[4], of[5]),
            0
        );
        csq::IoCsqInsertIrp(queue, first, 0);
        let stack: u64 = host.get(first + at::STACK, "test");
        let control: u8 = host.get(stack + location::CONTROL, "test");
        assert_eq!(control & 1, 1, "marked pending");
        assert_eq!(csq::IoCsqRemoveNextIrp(queue, 0), first);
        assert_eq!(csq::IoCsqRemoveNextIrp(queue, 0), 0);
        // By its context.
        csq::IoCsqInsertIrp(queue, first, context);
        assert_eq!(csq::IoCsqRemoveIrp(queue, context), first);
        assert_eq!(csq::IoCsqRemoveIrp(queue, context), 0);
        // Cancelled while it waits: the queue's own completion gets it.
        csq::IoCsqInsertIrp(queue, first, context);
        assert_eq!(irp::IoCancelIrp(first), 1);
        assert_eq!(ENDED.swap(0, Ordering::SeqCst), first);
        assert_eq!(csq::IoCsqRemoveIrp(queue, context), 0);
        assert_eq!(irp::IoCancelIrp(first), 0, "nothing to call");
        irp::IoFreeIrp(first);
        // An insertion that can fail leaves the IRP to the caller.
        let second = new();
        let fails = address(insert_or_fail as *const ());
        assert_eq!(
            csq::IoCsqInitializeEx(queue, fails, of[1], of[2], of[3], of[4], of[5]),
            0
        );
        assert!(csq::IoCsqInsertIrpEx(queue, second, 0, 5) < 0);
        assert_eq!(csq::IoCsqRemoveNextIrp(queue, 0), 0);
        assert_eq!(csq::IoCsqInsertIrpEx(queue, second, 0, 0), 0);
        assert_eq!(csq::IoCsqRemoveNextIrp(queue, 0), second);
        irp::IoFreeIrp(second);
    });
}

static WORKED: AtomicU64 = AtomicU64::new(0);

unsafe extern "win64" fn work(object: u64, event: u64) {
    assert_eq!(crate::api::host().vp().irql(), PASSIVE);
    WORKED.store(object, Ordering::SeqCst);
    sync::KeSetEvent(event, 0, 0);
}

unsafe extern "win64" fn work_with_item(object: u64, event: u64, item: u64) {
    WORKED.store(object + item, Ordering::SeqCst);
    sync::KeSetEvent(event, 0, 0);
}

#[test]
fn work_items_run_once_at_passive_level() {
    with(|host, block| {
        let (driver, made) = device(host, block, adds as *const (), "\\Device\\Works");
        let event = block + 512;
        sync::KeInitializeEvent(event, 1, 0);
        let item = device::IoAllocateWorkItem(made);
        assert_ne!(item, 0);
        host.vp().set_irql(DISPATCH);
        device::IoQueueWorkItem(item, address(work as *const ()), 1, event);
        host.vp().set_irql(PASSIVE);
        wait::KeWaitForSingleObject(event, 0, 0, 0, 0);
        assert_eq!(WORKED.load(Ordering::SeqCst), made);
        // The newer form gets the item too.
        device::IoQueueWorkItemEx(item, address(work_with_item as *const ()), 1, event);
        wait::KeWaitForSingleObject(event, 0, 0, 0, 0);
        assert_eq!(WORKED.load(Ordering::SeqCst), made + item);
        device::IoFreeWorkItem(item);
        device::IoDeleteDevice(made);
        host.release(driver);
    });
}

#[test]
fn links_may_be_unprotected_and_routines_are_found_by_name() {
    with(|host, block| {
        let (driver, made) = device(host, block, adds as *const (), "\\Device\\Linked");
        let link = unicode(host, block + 200, "\\DosDevices\\Linked", 60);
        let name = unicode(host, block + 300, "\\Device\\Linked", 60);
        assert_eq!(device::IoCreateUnprotectedSymbolicLink(link, name), 0);
        assert!(
            device::IoCreateUnprotectedSymbolicLink(link, name) < 0,
            "it exists"
        );
        assert_eq!(device::IoDeleteSymbolicLink(link), 0);
        device::IoDeleteDevice(made);
        host.release(driver);
        let known = unicode(host, block + 400, "ExAllocatePool2", 60);
        assert_ne!(io::MmGetSystemRoutineAddress(known), 0);
        let unknown = unicode(host, block + 500, "ExNoSuchRoutine", 60);
        assert_eq!(io::MmGetSystemRoutineAddress(unknown), 0);
    });
}
