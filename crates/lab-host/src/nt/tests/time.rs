//! Time, threads, processors and versions.

use std::sync::atomic::{AtomicU64, Ordering};

use super::super::{dpc, process, processor, sync, thread, time, timer, version, wait};
use super::{SECOND, address, with, with_both};
use crate::vp::{DISPATCH, PASSIVE};

const INVALID_PARAMETER: i32 = 0xC000_000D_u32 as i32;

#[test]
fn clocks_run_together() {
    with_both(|host, block| {
        let performance = || time::KeQueryPerformanceCounter(block);
        let system = || {
            time::KeQuerySystemTimePrecise(block + 8);
            host.get::<i64>(block + 8, "test")
        };
        let before = (performance(), system());
        assert_eq!(host.get::<i64>(block, "test"), SECOND, "its frequency");
        // A hundredth of a second, relative; STATUS_SUCCESS.
        host.put(block + 16, -SECOND / 100, "test");
        assert_eq!(time::KeDelayExecutionThread(0, 0, block + 16), 0);
        let after = (performance(), system());
        for passed in [after.0 - before.0, after.1 - before.1] {
            assert!(passed >= SECOND / 100, "{passed}");
        }
        // Without a place for the frequency.
        assert!(time::KeQueryPerformanceCounter(0) >= after.0);
        assert_eq!(timer::KeQueryTimeIncrement(), 156_250);
        for (wanted, given) in [(10_000, 10_000), (1, 5_000), (1_000_000, 156_250)] {
            assert_eq!(timer::ExSetTimerResolution(wanted, 1), given);
        }
    });
}

#[test]
fn a_timer_is_signalled_when_it_is_due() {
    with_both(|_, timer| {
        timer::KeInitializeTimerEx(timer, 0);
        assert_eq!(timer::KeReadStateTimer(timer), 0);
        // 100 ms before it may be 50 ms late.
        let due = -SECOND / 10;
        assert_eq!(timer::KeSetCoalescableTimer(timer, due, 0, 50, 0), 0);
        assert_eq!(
            timer::KeSetCoalescableTimer(timer, due, 0, 50, 0),
            1,
            "it was set"
        );
        assert_eq!(timer::KeReadStateTimer(timer), 0);
        assert_eq!(wait::KeWaitForSingleObject(timer, 0, 0, 0, 0), 0);
        assert_eq!(
            timer::KeReadStateTimer(timer),
            1,
            "a notification timer stays"
        );
        assert_eq!(timer::KeCancelTimer(timer), 0, "it is no longer set");
    });
}

/// Where a DPC ran: its processor, one more.
static RAN_ON: AtomicU64 = AtomicU64::new(0);

unsafe extern "win64" fn note(_: u64, event: u64, _: u64, _: u64) {
    let host = crate::api::host();
    RAN_ON.store(u64::from(host.vp().index) + 1, Ordering::SeqCst);
    sync::KeSetEvent(event, 0, 0);
}

#[test]
fn dpcs_run_where_they_were_told_to() {
    with(|host, block| {
        let (dpc, event, number) = (block, block + 64, block + 128);
        sync::KeInitializeEvent(event, 1, 0);
        dpc::KeInitializeDpc(dpc, address(note as *const ()), event);
        dpc::KeSetImportanceDpc(dpc, 2);
        let runs = || {
            assert_eq!(dpc::KeInsertQueueDpc(dpc, 0, 0), 1);
            wait::KeWaitForSingleObject(event, 0, 0, 0, 0);
            RAN_ON.load(Ordering::SeqCst)
        };
        for n in [2_u8, 0, 3] {
            dpc::KeSetTargetProcessorDpc(dpc, n as i8);
            assert_eq!(runs(), u64::from(n) + 1);
            host.put(number, [0_u8, 0, 3 - n, 0], "test");
            assert_eq!(dpc::KeSetTargetProcessorDpcEx(dpc, number), 0);
            assert_eq!(runs(), u64::from(3 - n) + 1);
        }
        host.put(number, [0_u8, 0, 99, 0], "test");
        assert_eq!(
            dpc::KeSetTargetProcessorDpcEx(dpc, number),
            INVALID_PARAMETER
        );
        host.put(number, [7_u8, 0, 0, 0], "test");
        assert_eq!(
            dpc::KeSetTargetProcessorDpcEx(dpc, number),
            INVALID_PARAMETER
        );
        // STATUS_UNSUCCESSFUL below DISPATCH_LEVEL: there is no DPC that could be watched.
        assert!(dpc::KeQueryDpcWatchdogInformation(block + 256) < 0);
        host.vp().set_irql(DISPATCH);
        assert_eq!(dpc::KeQueryDpcWatchdogInformation(block + 256), 0);
        host.vp().set_irql(PASSIVE);
    });
}

#[test]
fn threads_and_processes_know_who_they_are() {
    with_both(|host, block| {
        let me = thread::KeGetCurrentThread();
        assert_eq!(me, thread::PsGetCurrentThread());
        assert_eq!(thread::PsGetThreadId(me), thread::PsGetCurrentThreadId());
        let before = thread::KeQueryPriorityThread(me);
        assert_eq!(thread::KeSetPriorityThread(me, 12), before);
        assert_eq!(thread::KeQueryPriorityThread(me), 12);
        assert!(thread::ZwYieldExecution() >= 0);
        host.put(block, [1_u64, 0], "test");
        thread::KeSetSystemGroupAffinityThread(block, block + 16);
        assert_eq!(
            host.get::<u64>(block + 16, "test"),
            0b1111,
            "all four, before"
        );
        thread::KeRevertToUserGroupAffinityThread(block + 16);

        let system = process::PsGetCurrentProcess();
        assert_eq!(process::IoGetCurrentProcess(), system);
        let number = process::PsGetProcessId(system);
        assert_eq!(process::PsLookupProcessByProcessId(number, block), 0);
        assert_eq!(host.get::<u64>(block, "test"), system);
        assert!(process::PsLookupProcessByProcessId(12_345, block) < 0);
        assert_eq!(process::PsIsSystemThread(me), 1);
        assert_eq!(process::ExGetPreviousMode(), 0, "KernelMode");
        process::KeStackAttachProcess(system, block);
        process::KeUnstackDetachProcess(block);
    });
}

#[test]
fn processors_have_an_index_and_a_number() {
    with_both(|host, block| {
        assert_eq!(version::KeQueryActiveGroupCount(), 1);
        assert_eq!(version::KeQueryActiveProcessorCount(block), 4);
        assert_eq!(host.get::<u64>(block, "test"), 0b1111);
        assert_eq!(version::KeQueryActiveProcessorCount(0), 4);
        assert_eq!(processor::KeQueryMaximumProcessorCountEx(0), 4);
        for index in 0..4 {
            assert_eq!(version::KeGetProcessorNumberFromIndex(index, block), 0);
            assert_eq!(version::KeGetProcessorIndexFromNumber(block), index);
        }
        let status = version::KeGetProcessorNumberFromIndex(4, block);
        assert_eq!(status, INVALID_PARAMETER);
        host.put(block, [1_u8, 0, 0, 0], "test");
        let index = version::KeGetProcessorIndexFromNumber(block);
        assert_eq!(index, u32::MAX, "INVALID_PROCESSOR_INDEX");
        let old = processor::KeRaiseIrqlToDpcLevel();
        assert_eq!((old, host.vp().irql()), (PASSIVE, DISPATCH));
        host.vp().set_irql(PASSIVE);
    });
}

#[test]
fn versions_are_those_of_windows_10() {
    with(|host, block| {
        assert_eq!(
            version::PsGetVersion(block, block + 4, block + 8, 0),
            0,
            "not checked"
        );
        assert_eq!(host.get::<[u32; 2]>(block, "test"), [10, 0]);
        assert!(host.get::<u32>(block + 8, "test") >= 10_240);
        for (wanted, available) in [
            (0x0601_0000, 1), // NTDDI_WIN7
            (0x0A00_0000, 1), // NTDDI_WIN10
            (0x0B00_0000, 0),
        ] {
            assert_eq!(
                version::RtlIsNtDdiVersionAvailable(wanted),
                available,
                "{wanted:#x}"
            );
        }
        // SystemBasicInformation, with room and without.
        let needed = block + 256;
        let status = version::ZwQuerySystemInformation(0, block, 64, needed);
        assert_eq!((status, host.get::<u32>(needed, "test")), (0, 64));
        assert_eq!(host.get::<u32>(block + 8, "test"), 4096, "a page");
        assert_eq!(host.get::<u8>(block + 56, "test"), 4, "processors");
        let status = version::ZwQuerySystemInformation(0, block, 8, needed);
        assert_eq!(
            status, 0xC000_0004_u32 as i32,
            "STATUS_INFO_LENGTH_MISMATCH"
        );
        let status = version::ZwQuerySystemInformation(9999, block, 64, needed);
        assert_eq!(status, 0xC000_0003_u32 as i32, "STATUS_INVALID_INFO_CLASS");
    });
}
