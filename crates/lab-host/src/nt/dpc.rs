//! Deferred procedure calls of the driver's own.
//!
//! A DPC is queued once until it runs. What is queued is the host's record, by the object's
//! address; the object itself shows what the driver gave it.

use crate::api::api;
use crate::engine::{Job, Level};
use crate::host::Host;
use crate::vp::{DISPATCH, PASSIVE};

const NUMBER: u64 = 2;
const ROUTINE: u64 = 24;
const CONTEXT: u64 = 32;
const ARGUMENTS: u64 = 40;
/// `KDPC.Type` of an initialised object.
const DPC_OBJECT: u8 = 19;
/// Target processors are noted from here on; 0 is the one that queues.
const TARGETED: u16 = 0x800;
const STATUS_INVALID_PARAMETER: i32 = 0xC000_000D_u32 as i32;

/// Queues a DPC; false if it is queued.
pub(super) fn queue_dpc(host: &Host, dpc: u64, first: u64, second: u64) -> bool {
    let object: [u8; 2] = host.get(dpc, "Dpc");
    if object[0] != DPC_OBJECT {
        host.fatal(
            "HOST-OBJECT",
            &format!("the DPC at {dpc:#x} was never initialised"),
        );
    }
    let number: u16 = host.get(dpc + NUMBER, "Dpc");
    let cpu = number
        .checked_sub(TARGETED)
        .map_or(host.vp().index, u32::from);
    let fresh = {
        let mut nt = host.nt.lock().expect("nt");
        let fresh = !nt.dpcs.contains_key(&dpc);
        if fresh {
            let job = Job {
                name: "DPC".into(),
                level: Level::Dispatch(Some(cpu)),
                body: Box::new(move |host: &Host| run(host, dpc)),
            };
            // Noted before it can run: it takes the note away.
            let task = host.engine().spawn(None, job);
            nt.dpcs.insert(dpc, task);
        }
        fresh
    };
    if fresh {
        host.put(dpc + ARGUMENTS, [first, second], "Dpc");
    }
    fresh
}

fn run(host: &Host, dpc: u64) {
    let queued = host.nt.lock().expect("nt").dpcs.remove(&dpc).is_some();
    if !queued {
        return;
    }
    let words: [u64; 4] = host.get(dpc + ROUTINE, "Dpc");
    let [routine, context, first, second] = words;
    host.call(
        "KDEFERRED_ROUTINE",
        dpc,
        routine,
        &[dpc, context, first, second],
    );
}

/// Takes a DPC out of the queue; whether it was there.
pub(super) fn remove_dpc(host: &Host, dpc: u64) -> bool {
    let task = host.nt.lock().expect("nt").dpcs.remove(&dpc);
    task.inspect(|&task| {
        host.engine().cancel(task);
    })
    .is_some()
}

api! { exports:
    /// Makes a DPC.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeInitializeDpc(host, dpc: u64, routine: u64, context: u64) {
        host.put(dpc, [0_u8; 64], "Dpc");
        // Type and medium importance.
        host.put(dpc, [DPC_OBJECT, 1], "Dpc");
        host.put(dpc + ROUTINE, routine, "Dpc");
        host.put(dpc + CONTEXT, context, "Dpc");
    }

    /// Queues a DPC; FALSE if it is queued.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeInsertQueueDpc(host, dpc: u64, first: u64, second: u64) -> u8 {
        u8::from(queue_dpc(host, dpc, first, second))
    }

    /// Takes it out of the queue; TRUE if it was there.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeRemoveQueueDpc(host, dpc: u64) -> u8 {
        u8::from(remove_dpc(host, dpc))
    }

    /// Waits until every DPC that is queued has run.
    "ntoskrnl.exe" 0..=0 "IRQ-22"
    fn KeFlushQueuedDpcs(host) {
        if host.vp().irql() > PASSIVE {
            return;
        }
        let queued: Vec<(u64, u64)> = {
            let nt = host.nt.lock().expect("nt");
            nt.dpcs.iter().map(|(&dpc, &task)| (dpc, task)).collect()
        };
        host.wait_until("for queued DPCs", 10_000, u64::MAX, |host| {
            let nt = host.nt.lock().expect("nt");
            queued.iter().all(|(dpc, task)| nt.dpcs.get(dpc) != Some(task))
        });
    }

    /// Says how urgent a DPC is; the order of the host's queues is the seed's.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeSetImportanceDpc(host, dpc: u64, importance: i32) {
        host.put(dpc + 1, importance as u8, "Dpc");
    }

    /// Ties a DPC to a processor.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeSetTargetProcessorDpc(host, dpc: u64, number: i8) {
        host.put(dpc + NUMBER, TARGETED + u16::from(number as u8), "Dpc");
    }

    /// Ties a DPC to a processor.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeSetTargetProcessorDpcEx(host, dpc: u64, processor: u64) -> i32 {
        let [group_low, group_high, number, _]: [u8; 4] = host.get(processor, "ProcNumber");
        if group_low != 0 || group_high != 0 || u32::from(number) >= host.processors() {
            return STATUS_INVALID_PARAMETER;
        }
        host.put(dpc + NUMBER, TARGETED + u16::from(number), "Dpc");
        0
    }

    /// How long the running DPC, and DPCs on this processor, may still take.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeQueryDpcWatchdogInformation(host, out: u64) -> i32 {
        // Time limits of one DPC and of all, in 100 ns: 20 and 120 s; nothing is used up.
        let limits = [200_000_000_u32, 200_000_000, 1_200_000_000, 1_200_000_000];
        if host.vp().irql() < DISPATCH {
            return 0xC000_0001_u32 as i32;
        }
        host.put(out, limits, "WatchdogInformation");
        host.put(out + 16, 0_u32, "WatchdogInformation");
        0
    }
}
