//! Clocks and sleeping.

use crate::api::api;
use crate::host::Host;

/// 100 ns units between 1601 and the moment virtual time starts (2026-01-01).
const EPOCH: u64 = 134_117_568_000_000_000;

/// Wall-clock time in 100 ns units since 1601.
pub(crate) fn system_time(host: &Host) -> u64 {
    EPOCH + host.now() / 100
}

api! { exports:
    /// A counter of 10 MHz.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeQueryPerformanceCounter(host, frequency: u64) -> i64 {
        if frequency != 0 {
            host.put(frequency, 10_000_000_i64, "PerformanceFrequency");
        }
        (host.now() / 100) as i64
    }

    /// 100 ns units of uptime without sleep.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeQueryUnbiasedInterruptTime(host) -> u64 {
        host.now() / 100
    }

    /// 100 ns units of uptime.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeQueryInterruptTime(host) -> u64 {
        host.now() / 100
    }

    /// 100 ns units of uptime, and the counter of that moment.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeQueryInterruptTimePrecise(host, stamp: u64) -> u64 {
        let now = host.now() / 100;
        host.put(stamp, now, "QpcTimeStamp");
        now
    }

    /// Wall-clock time in 100 ns units since 1601.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeQuerySystemTimePrecise(host, time: u64) {
        host.put(time, system_time(host), "CurrentTime");
    }

    /// Sleeps.
    "ntoskrnl.exe" 0..=1 "IRQ-22"
    fn KeDelayExecutionThread(host, _mode: u8, _alertable: u8, interval: u64) -> i32 {
        let interval: i64 = host.get(interval, "Interval");
        if interval < 0 {
            host.sleep(interval.unsigned_abs().saturating_mul(100));
        }
        0
    }

    /// Busy-waits for microseconds.
    "ntoskrnl.exe" 0..=15 "IRQ-23"
    fn KeStallExecutionProcessor(host, micros: u32) {
        if micros > 50 {
            host.violate("IRQ-23", format!("KeStallExecutionProcessor({micros})"));
        }
        let until = host.now() + u64::from(micros) * 1000;
        while host.now() < until {
            if host.engine().is_virtual() {
                // Each look at the clock costs virtual time.
                host.engine().switch();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}
