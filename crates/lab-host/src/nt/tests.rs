//! The NT part's functions, called as a driver calls them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

mod devices;
mod locks;
mod memory;
mod references;
mod strings;
mod time;

use super::{avl, csq, device, dpc, irp, list, lookaside, mdl, mutex, object, printf, registry};
use super::{reference, rundown, rwlock, spin, string, thread, timer, version, wait};
use crate::EngineKind;
use crate::host::{Config, Host};
use crate::ndis::Value;
use crate::report::Collect;
use crate::vp::{DISPATCH, PASSIVE};

const SECOND: i64 = 10_000_000;

/// Runs `body` with a block of memory; no rule may be broken.
fn with(body: impl FnOnce(&Host, u64) + Send) {
    with_engine(EngineKind::Deterministic, body);
}

/// The same on each engine.
fn with_both(body: impl Fn(&Host, u64) + Send + Sync) {
    with_engine(EngineKind::Deterministic, &body);
    with_engine(EngineKind::RealTime, &body);
}

fn with_engine(engine: EngineKind, body: impl FnOnce(&Host, u64) + Send) {
    let config = Config {
        engine,
        ..Config::default()
    };
    let host = Host::new(config, Arc::new(Collect::default())).expect("host");
    let end = host.run("test", |host| {
        let block = host.allocate(4096, 1, "test");
        body(host, block);
        host.release(block);
    });
    assert_eq!(host.findings(), []);
    assert_eq!(end, crate::RunEnd::Done);
}

/// A `UNICODE_STRING` at `at` with its characters behind it.
fn unicode(host: &Host, at: u64, text: &str, room: u16) -> u64 {
    let units: Vec<u16> = text.encode_utf16().collect();
    host.put(at, [2 * units.len() as u16, room], "test");
    host.put(at + 8, at + 16, "test");
    for (i, unit) in units.iter().enumerate() {
        host.put(at + 16 + 2 * i as u64, *unit, "test");
    }
    at
}

/// An `ANSI_STRING` at `at` with its characters behind it.
fn ansi(host: &Host, at: u64, text: &str, room: u16) -> u64 {
    host.put(at, [text.len() as u16, room], "test");
    host.put(at + 8, at + 16, "test");
    let _ = host.arena.write_bytes(at + 16, text.as_bytes());
    at
}

/// The characters of an `ANSI_STRING`.
fn ansi_text(host: &Host, at: u64) -> String {
    let (length, buffer) = (host.get::<u16>(at, "test"), host.get(at + 8, "test"));
    String::from_utf8(host.get_bytes(buffer, length.into(), "test")).expect("ASCII")
}

fn address(f: *const ()) -> u64 {
    f as u64
}

#[test]
fn waits_end_by_signals_and_by_time() {
    with(|host, block| {
        let (event, semaphore, mutex, list, due) =
            (block, block + 64, block + 128, block + 256, block + 512);
        super::sync::KeInitializeEvent(event, 1, 0);
        mutex::KeInitializeSemaphore(semaphore, 1, 2);
        mutex::KeInitializeMutex(mutex, 0);
        host.put(due, -SECOND, "test");
        let before = host.now();
        assert_eq!(wait::KeWaitForSingleObject(event, 0, 0, 0, due), 0x102);
        assert!(host.now() - before >= 1_000_000_000);
        // Until a time of the clock.
        host.put(due, super::system_time(host) as i64 + 2 * SECOND, "test");
        let before = host.now();
        assert_eq!(wait::KeWaitForSingleObject(event, 0, 0, 0, due), 0x102);
        assert!((1_990_000_000..2_010_000_000).contains(&(host.now() - before)));
        host.put(list, [event, semaphore, mutex], "test");
        // Any: the semaphore is the first that is signalled.
        assert_eq!(wait::KeWaitForMultipleObjects(3, list, 1, 0, 0, 0, 0, 0), 1);
        // All: the semaphore is used up.
        host.put(due, 0_i64, "test");
        assert_eq!(
            wait::KeWaitForMultipleObjects(3, list, 0, 0, 0, 0, due, 0),
            0x102
        );
        assert_eq!(mutex::KeReleaseSemaphore(semaphore, 0, 2, 0), 0);
        super::sync::KeSetEvent(event, 0, 0);
        assert_eq!(
            wait::KeWaitForMultipleObjects(3, list, 0, 0, 0, 0, due, 0),
            0
        );
        // The mutex is ours now, and may be taken again.
        assert_eq!(mutex::KeReadStateMutex(mutex), 0);
        assert_eq!(wait::KeWaitForSingleObject(mutex, 0, 0, 0, 0), 0);
        assert_eq!(mutex::KeReleaseMutex(mutex, 0), -1);
        assert_eq!(mutex::KeReleaseMutex(mutex, 0), 0);
        assert_eq!(mutex::KeReadStateMutex(mutex), 1);
        assert_eq!(mutex::KeReadStateSemaphore(semaphore), 1);
    });
}

static CALLS: AtomicU64 = AtomicU64::new(0);

unsafe extern "win64" fn deferred(_: u64, context: u64, first: u64, _: u64) {
    let host = crate::api::host();
    assert_eq!(host.vp().irql(), DISPATCH);
    CALLS.fetch_add(context + first % 2, Ordering::Relaxed);
}

unsafe extern "win64" fn start(context: u64) {
    let host = crate::api::host();
    // The block's first event, then the end without a return.
    super::sync::KeSetEvent(context, 0, 0);
    host.sleep(1000);
    thread::PsTerminateSystemThread(0);
    panic!("a thread that has ended goes on");
}

#[test]
fn timers_queue_dpcs_and_threads_can_be_waited_for() {
    with(|host, block| {
        let (timer, dpc, event, out) = (block, block + 64, block + 128, block + 192);
        dpc::KeInitializeDpc(dpc, address(deferred as *const ()), 2);
        timer::KeInitializeTimerEx(timer, 1);
        assert_eq!(timer::KeSetTimerEx(timer, -SECOND, 0, dpc), 0);
        assert_eq!(
            timer::KeSetTimerEx(timer, -SECOND, 1000, dpc),
            1,
            "it was armed"
        );
        for _ in 0..3 {
            assert_eq!(wait::KeWaitForSingleObject(timer, 0, 0, 0, 0), 0);
        }
        assert_eq!(timer::KeCancelTimer(timer), 1);
        dpc::KeFlushQueuedDpcs();
        assert!(CALLS.load(Ordering::Relaxed) >= 6, "three times two");
        let before = CALLS.load(Ordering::Relaxed);
        // Queued by hand: once, and not at all when it is taken back.
        host.vp().set_irql(DISPATCH);
        assert_eq!(dpc::KeInsertQueueDpc(dpc, 1, 0), 1);
        assert_eq!(dpc::KeInsertQueueDpc(dpc, 1, 0), 0);
        assert_eq!(dpc::KeRemoveQueueDpc(dpc), 1);
        host.vp().set_irql(PASSIVE);
        assert_eq!(dpc::KeInsertQueueDpc(dpc, 1, 0), 1);
        dpc::KeFlushQueuedDpcs();
        assert_eq!(CALLS.load(Ordering::Relaxed), before + 3);

        super::sync::KeInitializeEvent(event, 0, 0);
        let routine = address(start as *const ());
        assert_eq!(
            thread::PsCreateSystemThread(out, 0, 0, 0, 0, routine, event),
            0
        );
        let handle: u64 = host.get(out, "test");
        let of = super::variables::object_type(&host.arena, "PsThreadType");
        assert_eq!(
            reference::ObReferenceObjectByHandle(handle, 0, of, 0, out, 0),
            0
        );
        let other = super::variables::object_type(&host.arena, "ExEventObjectType");
        assert!(reference::ObReferenceObjectByHandle(handle, 0, other, 0, out + 8, 0) < 0);
        assert_eq!(object::ZwClose(handle), 0);
        let object: u64 = host.get(out, "test");
        assert_eq!(wait::KeWaitForSingleObject(object, 0, 0, 0, 0), 0);
        assert_eq!(super::sync::KeReadStateEvent(event), 1);
        reference::ObfDereferenceObject(object);
        assert!(
            host.heap().find(object).is_none(),
            "the last reference frees it"
        );
    });
}

#[test]
fn locks_let_readers_in_together_and_writers_alone() {
    with(|host, block| {
        let (lock, resource, state, queued) = (block, block + 64, block + 256, block + 320);
        let old = rwlock::ExAcquireSpinLockShared(lock);
        assert_eq!((old, host.vp().irql()), (PASSIVE, DISPATCH));
        assert_eq!(rwlock::ExTryConvertSharedSpinLockExclusive(lock), 1);
        rwlock::ExReleaseSpinLockExclusive(lock, old);
        assert_eq!(host.vp().irql(), PASSIVE);
        assert_eq!(rwlock::ExInitializeResourceLite(resource), 0);
        assert_eq!(rwlock::ExAcquireResourceExclusiveLite(resource, 1), 1);
        assert_eq!(
            rwlock::ExAcquireResourceSharedLite(resource, 0),
            1,
            "a writer may read"
        );
        assert_eq!(rwlock::ExIsResourceAcquiredExclusiveLite(resource), 1);
        rwlock::ExReleaseResourceLite(resource);
        rwlock::ExReleaseResourceLite(resource);
        assert_eq!(rwlock::ExDeleteResourceLite(resource), 0);
        rwlock::NdisInitializeReadWriteLock(block + 1024);
        rwlock::NdisAcquireReadWriteLock(block + 1024, 1, state);
        rwlock::NdisReleaseReadWriteLock(block + 1024, state);
        host.put(lock, 0_u64, "test");
        spin::KeAcquireInStackQueuedSpinLock(lock, queued);
        assert_eq!(spin::KeTryToAcquireSpinLockAtDpcLevel(lock), 0);
        spin::KeReleaseInStackQueuedSpinLock(queued);
        assert_eq!(host.vp().irql(), PASSIVE);
        rundown::ExInitializeRundownProtection(lock);
        assert_eq!(rundown::ExAcquireRundownProtection(lock), 1);
        rundown::ExReleaseRundownProtection(lock);
        rundown::ExWaitForRundownProtectionRelease(lock);
        assert_eq!(rundown::ExAcquireRundownProtection(lock), 0);
        rundown::IoInitializeRemoveLockEx(state, 1, 0, 0, 32);
        assert_eq!(rundown::IoAcquireRemoveLockEx(state, 0, 0, 0, 32), 0);
        rundown::IoReleaseRemoveLockAndWaitEx(state, 0, 32);
        assert!(rundown::IoAcquireRemoveLockEx(state, 0, 0, 0, 32) < 0);
    });
}

#[test]
fn lists_and_lookaside_lists_give_back_what_they_got() {
    with(|host, block| {
        let (head, a, b) = (block, block + 64, block + 128);
        list::InitializeSListHead(head);
        assert_eq!(list::ExpInterlockedPushEntrySList(head, a), 0);
        assert_eq!(list::ExpInterlockedPushEntrySList(head, b), a);
        assert_eq!(list::ExQueryDepthSList(head), 2);
        assert_eq!(list::ExpInterlockedPopEntrySList(head), b);
        assert_eq!(list::ExpInterlockedFlushSList(head), a);
        assert_eq!(list::ExpInterlockedPopEntrySList(head), 0);
        let (lock, head) = (block + 256, block + 320);
        host.put(lock, 0_u64, "test");
        host.put(head, [head, head], "test");
        assert_eq!(list::ExInterlockedInsertTailList(head, a, lock), 0);
        assert_eq!(list::ExInterlockedInsertHeadList(head, b, lock), a);
        assert_eq!(list::ExInterlockedRemoveHeadList(head, lock), b);
        assert_eq!(list::ExInterlockedRemoveHeadList(head, lock), a);
        assert_eq!(list::ExInterlockedRemoveHeadList(head, lock), 0);
        let lookaside = block + 1024;
        lookaside::ExInitializeNPagedLookasideList(lookaside, 0, 0, 512, 100, 7, 0);
        assert_eq!(host.get::<[u32; 3]>(lookaside + 36, "test"), [512, 7, 100]);
        let entry = super::pool::ExAllocatePoolWithTag(512, 100, 7);
        // What the inline function of the headers does with an entry that is freed.
        list::ExpInterlockedPushEntrySList(lookaside, entry);
        lookaside::ExDeleteNPagedLookasideList(lookaside);
        assert!(host.heap().find(entry).is_none());
    });
}

#[test]
fn strings_are_made_compared_and_converted() {
    with(|host, block| {
        let a = unicode(host, block, "Häuser", 60);
        let b = unicode(host, block + 100, "häUSER", 60);
        assert_eq!(string::RtlEqualUnicodeString(a, b, 1), 1);
        assert_eq!(string::RtlEqualUnicodeString(a, b, 0), 0);
        assert_eq!(string::RtlAppendUnicodeStringToString(a, b), 0);
        assert_eq!(host.get_string(a, "test"), "HäuserhäUSER");
        let upper = unicode(host, block + 200, "", 60);
        assert_eq!(string::RtlUpcaseUnicodeString(upper, b, 0), 0);
        assert_eq!(host.get_string(upper, "test"), "HÄUSER");
        let ansi = block + 400;
        assert_eq!(string::RtlUnicodeStringToAnsiString(ansi, b, 1), 0);
        assert_eq!(host.get::<[u16; 2]>(ansi, "test"), [6, 7]);
        string::RtlFreeAnsiString(ansi);
        let n = unicode(host, block + 500, "  -0x1F", 60);
        assert_eq!(string::RtlUnicodeStringToInteger(n, 0, block + 600), 0);
        assert_eq!(host.get::<i32>(block + 600, "test"), -31);
        let guid = unicode(
            host,
            block + 700,
            "{01234567-89AB-CDEF-0123-456789ABCDEF}",
            100,
        );
        assert_eq!(string::RtlGUIDFromString(guid, block + 900), 0);
        assert_eq!(host.get::<u32>(block + 900, "test"), 0x0123_4567);
        assert_eq!(host.get::<u8>(block + 915, "test"), 0xEF);
        assert_eq!(string::RtlStringFromGUID(block + 900, block + 1000), 0);
        assert_eq!(
            host.get_string(block + 1000, "test"),
            "{01234567-89AB-CDEF-0123-456789ABCDEF}"
        );
        string::RtlFreeUnicodeString(block + 1000);
    });
}

#[test]
fn formats_say_what_the_runtime_says() {
    with(|host, block| {
        let (text, args, to, wide) = (block, block + 512, block + 1024, block + 2048);
        unicode(host, wide, "wide", 60);
        let _ = host.arena.write_bytes(block + 300, b"narrow\0");
        for (format, words, wanted) in [
            (
                "%d|%5d|%-5d|%05d|%+d",
                vec![-1_i64 as u64, 42, 42, 42, 42],
                "-1|   42|42   |00042|+42",
            ),
            (
                "%u %x %X %#x %o",
                vec![u64::MAX, 255, 255, 255, 8],
                "4294967295 ff FF 0xff 10",
            ),
            (
                "%I64x %llu %lu %hu",
                vec![u64::MAX, 1 << 40, 1 << 33 | 5, 65537],
                "ffffffffffffffff 1099511627776 5 1",
            ),
            (
                "%s %S %ws %wZ %.3s",
                vec![block + 300, wide + 16, wide + 16, wide, block + 300],
                "narrow wide wide wide nar",
            ),
            ("%c%%%8.3d|%*d", vec![65, 7, 4, 9], "A%     007|   9"),
            ("%p", vec![0x1234], "0000000000001234"),
            (
                "%.2f %e %g",
                vec![1.5_f64.to_bits(), 1500.0_f64.to_bits(), 0.25_f64.to_bits()],
                "1.50 1.500000e+03 0.25",
            ),
        ] {
            host.put(wide + 16 + 8, 0_u16, "test");
            let _ = host
                .arena
                .write_bytes(text, format!("{format}\0").as_bytes());
            for (i, word) in words.iter().enumerate() {
                host.put(args + 8 * i as u64, *word, "test");
            }
            let n = printf::_vsnprintf(to, 200, text, args);
            let bytes = host.get_bytes(to, wanted.len() + 1, "test");
            assert_eq!(
                String::from_utf8_lossy(&bytes[..wanted.len()]),
                wanted,
                "{format}"
            );
            assert_eq!((n as usize, bytes[wanted.len()]), (wanted.len(), 0));
        }
        // No room: as much as fits, without an end.
        let _ = host.arena.write_bytes(text, b"12345\0");
        let _ = host.arena.write_bytes(to, b"......");
        assert_eq!(printf::_vsnprintf(to, 3, text, args), -1);
        assert_eq!(host.get_bytes(to, 4, "test"), b"123.");
    });
}

unsafe extern "win64" fn compare(_: u64, a: u64, b: u64) -> i32 {
    let host = crate::api::host();
    match host.get::<u32>(a, "a").cmp(&host.get::<u32>(b, "b")) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Greater => 1,
        std::cmp::Ordering::Equal => 2,
    }
}

unsafe extern "win64" fn take(_: u64, size: u32) -> u64 {
    super::pool::ExAllocatePoolWithTag(512, u64::from(size), 7)
}

unsafe extern "win64" fn give(_: u64, node: u64) {
    super::memory::ExFreePoolWithTag(node, 7);
}

#[test]
fn tables_are_in_order() {
    with(|host, block| {
        let (table, key, is_new) = (block, block + 200, block + 300);
        let [c, t, g] = [compare as *const (), take as *const (), give as *const ()].map(address);
        avl::RtlInitializeGenericTableAvl(table, c, t, g, 0);
        for n in [5_u32, 1, 4, 2, 3, 4] {
            host.put(key, n, "test");
            avl::RtlInsertElementGenericTableAvl(table, key, 4, is_new);
        }
        assert_eq!(host.get::<u8>(is_new, "test"), 0, "the second 4 is not new");
        assert_eq!(avl::RtlNumberGenericTableElementsAvl(table), 5);
        let mut seen = Vec::new();
        let mut at = avl::RtlEnumerateGenericTableAvl(table, 1);
        while at != 0 {
            seen.push(host.get::<u32>(at, "test"));
            at = avl::RtlEnumerateGenericTableAvl(table, 0);
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
        for n in 1..=5_u32 {
            host.put(key, n, "test");
            assert_ne!(avl::RtlLookupElementGenericTableAvl(table, key), 0);
            assert_eq!(avl::RtlDeleteElementGenericTableAvl(table, key), 1);
            assert_eq!(avl::RtlDeleteElementGenericTableAvl(table, key), 0);
        }
        assert_eq!(avl::RtlIsGenericTableEmptyAvl(table), 1);
    });
}

#[test]
fn mdls_describe_the_registry_reads_and_the_version_is_told() {
    with(|host, block| {
        let mdl = mdl::IoAllocateMdl(block + 10, 100, 0, 0, 0);
        mdl::MmBuildMdlForNonPagedPool(mdl);
        assert_eq!(
            mdl::MmMapLockedPagesSpecifyCache(mdl, 0, 0, 0, 0, 0),
            block + 10
        );
        let part = mdl::IoAllocateMdl(block + 20, 50, 0, 0, 0);
        mdl::IoBuildPartialMdl(mdl, part, block + 20, 50);
        assert_eq!(host.get::<u64>(part + 24, "test"), block + 20);
        mdl::IoFreeMdl(part);
        mdl::IoFreeMdl(mdl);
        assert_eq!(mdl::MmIsAddressValid(block), 1);
        assert_eq!(mdl::MmIsAddressValid(8), 0);

        host.ndis(|n| n.service = "drv".into());
        let path = "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\drv\\Parameters";
        host.set_registry_value(path, "Count", Value::Integer(77));
        let name = unicode(host, block + 100, path, 300);
        host.put(block + 500, [48_u64, 0, name, 0x40, 0, 0], "test");
        assert_eq!(registry::ZwOpenKey(block + 600, 0x2_0019, block + 500), 0);
        let key: u64 = host.get(block + 600, "test");
        let name = unicode(host, block + 700, "count", 60);
        assert_eq!(
            registry::ZwQueryValueKey(key, name, 2, block + 800, 15, block + 900),
            0x8000_0005_u32 as i32
        );
        assert_eq!(
            registry::ZwQueryValueKey(key, name, 2, block + 800, 16, block + 900),
            0
        );
        assert_eq!(host.get::<[u32; 4]>(block + 800, "test"), [0, 4, 4, 77]);
        assert!(registry::ZwSetValueKey(key, name, 0, 4, block, 4) < 0);
        assert_eq!(object::ZwClose(key), 0);

        host.put(block + 1000, 284_u32, "test");
        assert_eq!(version::RtlGetVersion(block + 1000), 0);
        assert_eq!(host.get::<[u32; 2]>(block + 1004, "test"), [10, 0]);
        let at_least = version::VerSetConditionMask(version::VerSetConditionMask(0, 2, 3), 1, 3);
        host.put(block + 1004, [6_u32, 3], "test");
        assert_eq!(version::RtlVerifyVersionInfo(block + 1000, 3, at_least), 0);
        host.put(block + 1004, [11_u32, 0], "test");
        assert_ne!(version::RtlVerifyVersionInfo(block + 1000, 3, at_least), 0);
    });
}

/// IRPs that the driver under test keeps.
static KEPT: AtomicU64 = AtomicU64::new(0);

unsafe extern "win64" fn dispatch(_: u64, request: u64) -> i32 {
    let host = crate::api::host();
    let stack: u64 = host.get(request + irp::at::STACK, "Irp");
    let major: u8 = host.get(stack, "stack");
    let code: u32 = host.get(stack + 24, "stack");
    if major == 14 && code == 0x22_2004 {
        // Kept until it is cancelled.
        let control: u8 = host.get(stack + 3, "stack");
        host.put(stack + 3, control | 1, "stack");
        host.put(
            request + irp::at::CANCEL_ROUTINE,
            address(cancelled as *const ()),
            "Irp",
        );
        KEPT.store(request, Ordering::Relaxed);
        return 0x103;
    }
    let mut length = 0;
    if major == 14 {
        let buffer: u64 = host.get(request + irp::at::SYSTEM_BUFFER, "Irp");
        let value: u32 = host.get(buffer, "SystemBuffer");
        host.put(buffer, value + 1, "SystemBuffer");
        length = 4;
        assert_eq!(
            super::process::PsGetCurrentProcessId(),
            super::process::PROGRAM
        );
    }
    host.put(request + irp::at::STATUS, 0_i32, "Irp");
    host.put(request + irp::at::INFORMATION, length as u64, "Irp");
    irp::IofCompleteRequest(request, 0);
    0
}

unsafe extern "win64" fn cancelled(_: u64, request: u64) {
    let host = crate::api::host();
    irp::IoReleaseCancelSpinLock(host.get(request + irp::at::CANCEL_IRQL, "Irp"));
    host.put(request + irp::at::STATUS, 0xC000_0120_u32 as i32, "Irp");
    irp::IofCompleteRequest(request, 0);
}

#[test]
fn programs_open_devices_by_links_and_cancel_what_they_asked() {
    with(|host, block| {
        let driver = host.allocate(336, 1, "driver object");
        for major in [0, 2, 14] {
            host.put(
                driver + 112 + 8 * major,
                address(dispatch as *const ()),
                "test",
            );
        }
        let name = unicode(host, block, "\\Device\\Tried", 60);
        let link = unicode(host, block + 200, "\\DosDevices\\Tried", 60);
        assert_eq!(
            device::IoCreateDevice(driver, 16, name, 0x22, 0, 0, block + 400),
            0
        );
        assert!(
            device::IoCreateDevice(driver, 16, name, 0x22, 0, 0, block + 408) < 0,
            "it exists"
        );
        assert_eq!(device::IoCreateSymbolicLink(link, name), 0);
        assert!(
            host.open_device("\\\\.\\Tried").is_err(),
            "DriverEntry is not over"
        );
        host.devices_are_ready(driver);
        let file = host.open_device("\\\\.\\tried").expect("a device");
        let reply = host.control_file(&file, 0x22_2000, &41_u32.to_le_bytes(), 4);
        assert_eq!(
            (reply.status, reply.output),
            (0, 42_u32.to_le_bytes().to_vec())
        );
        let pending = host.start_control(&file, 0x22_2004, &[], 0);
        assert!(pending.is_pending() && !host.request_is_over(&pending));
        assert!(host.cancel_request(&pending));
        assert_eq!(host.vp().irql(), PASSIVE);
        assert_eq!(
            host.finish_request(pending, 1).status,
            0xC000_0120_u32 as i32
        );
        let object: u64 = host.get(block + 400, "test");
        assert_eq!(
            host.left_in_nt(driver, true).len(),
            2,
            "a device and a link"
        );
        device::IoDeleteDevice(object);
        assert!(host.heap().find(object).is_some(), "a program has it open");
        host.close_file(file);
        assert!(host.heap().find(object).is_none());
        assert_eq!(device::IoDeleteSymbolicLink(link), 0);
        assert_eq!(host.left_in_nt(driver, true), []);
        host.release(driver);
        let _ = csq::exports();
    });
}
