//! `KTIMER`: timers that signal themselves and queue a DPC.
//!
//! What a timer is armed for is the host's record, by the object's address. Whoever finds it
//! armed there has it: the moment it is due, or the one who sets or cancels it.

use super::dpc::{queue_dpc, remove_dpc};
use super::wait::{SIGNAL, kind, put_header, signal, until};
use crate::api::api;
use crate::engine::Job;
use crate::host::Host;

const DUE: u64 = 24;
const DPC: u64 = 48;
const PERIOD: u64 = 60;

/// An armed timer.
#[derive(Clone, Copy)]
pub(super) struct Armed {
    task: u64,
    serial: u64,
    due: u64,
    period: u64,
}

fn arm(host: &Host, timer: u64, due: u64, period: u64) {
    let mut nt = host.nt.lock().expect("nt");
    nt.serial += 1;
    let serial = nt.serial;
    let job = Job::dpc("timer", move |host: &Host| expire(host, timer, serial));
    let task = host.engine().spawn(Some(due), job);
    nt.timers.insert(
        timer,
        Armed {
            task,
            serial,
            due,
            period,
        },
    );
}

fn expire(host: &Host, timer: u64, serial: u64) {
    let armed = {
        let mut nt = host.nt.lock().expect("nt");
        match nt.timers.get(&timer) {
            Some(armed) if armed.serial == serial => nt.timers.remove(&timer),
            _ => None,
        }
    };
    let Some(armed) = armed else {
        return;
    };
    if armed.period > 0 {
        arm(host, timer, armed.due + armed.period, armed.period);
    }
    let dpc: u64 = host.get(timer + DPC, "Timer");
    signal(host, timer, |arena| {
        let _ = arena.write(timer + SIGNAL, 1_i32);
        ((), true)
    });
    if dpc != 0 {
        let time = super::system_time(host);
        queue_dpc(host, dpc, time & 0xFFFF_FFFF, time >> 32);
    }
}

fn disarm(host: &Host, timer: u64) -> bool {
    let armed = host.nt.lock().expect("nt").timers.remove(&timer);
    if let Some(armed) = armed {
        host.engine().cancel(armed.task);
    }
    armed.is_some()
}

fn set(host: &Host, timer: u64, due: i64, period: i32, dpc: u64) -> bool {
    let header: u8 = host.get(timer, "Timer");
    if !matches!(
        header,
        kind::TIMER_NOTIFICATION | kind::TIMER_SYNCHRONIZATION
    ) {
        host.fatal(
            "HOST-OBJECT",
            &format!("the timer at {timer:#x} was never initialised"),
        );
    }
    let before = disarm(host, timer);
    // Setting a timer again takes back the DPC that its expiry has queued.
    let old: u64 = host.get(timer + DPC, "Timer");
    if before && old != 0 {
        remove_dpc(host, old);
    }
    host.put(timer + SIGNAL, 0_i32, "Timer");
    host.put(timer + DPC, dpc, "Timer");
    host.put(timer + PERIOD, period as u32, "Timer");
    let at = host.now().saturating_add(until(host, due));
    host.put(timer + DUE, at / 100, "Timer");
    arm(
        host,
        timer,
        at,
        u64::try_from(period).unwrap_or(0) * 1_000_000,
    );
    before
}

api! { exports:
    /// Makes a timer that stays signalled when it is due.
    "ntoskrnl.exe" 0..=15 "IRQ-10"
    fn KeInitializeTimer(host, timer: u64) {
        host.put(timer, [0_u8; 64], "Timer");
        put_header(host, timer, kind::TIMER_NOTIFICATION, 16, 0, "Timer");
    }

    /// Makes a timer of either type.
    "ntoskrnl.exe" 0..=15 "IRQ-10"
    fn KeInitializeTimerEx(host, timer: u64, of: i32) {
        host.put(timer, [0_u8; 64], "Timer");
        let kind = if of == 0 { kind::TIMER_NOTIFICATION } else { kind::TIMER_SYNCHRONIZATION };
        put_header(host, timer, kind, 16, 0, "Timer");
    }

    /// Arms a timer; TRUE if it was armed.
    "ntoskrnl.exe" 0..=2 "IRQ-10"
    fn KeSetTimer(host, timer: u64, due: i64, dpc: u64) -> u8 {
        u8::from(set(host, timer, due, 0, dpc))
    }

    /// Arms a timer, once or every so many milliseconds; TRUE if it was armed.
    "ntoskrnl.exe" 0..=2 "IRQ-10"
    fn KeSetTimerEx(host, timer: u64, due: i64, period: i32, dpc: u64) -> u8 {
        u8::from(set(host, timer, due, period, dpc))
    }

    /// Arms a timer with a tolerance, which is not used.
    "ntoskrnl.exe" 0..=2 "IRQ-10"
    fn KeSetCoalescableTimer(host, timer: u64, due: i64, period: u32, _tolerance: u32, dpc: u64) -> u8 {
        u8::from(set(host, timer, due, period as i32, dpc))
    }

    /// Disarms a timer; TRUE if it was armed. Its DPC may be queued or running all the same.
    "ntoskrnl.exe" 0..=2 "IRQ-10"
    fn KeCancelTimer(host, timer: u64) -> u8 {
        u8::from(disarm(host, timer))
    }

    /// Whether a timer is signalled.
    "ntoskrnl.exe" 0..=2 "IRQ-10"
    fn KeReadStateTimer(host, timer: u64) -> u8 {
        u8::from(host.get::<i32>(timer + SIGNAL, "Timer") > 0)
    }

    /// Asks for finer clock ticks; virtual time has none.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ExSetTimerResolution(host, desired: u32, _set: u8) -> u32 {
        let _ = host;
        desired.clamp(5_000, 156_250)
    }

    /// 100 ns units between clock ticks.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeQueryTimeIncrement(host) -> u32 {
        let _ = host;
        156_250
    }
}
