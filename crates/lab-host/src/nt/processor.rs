//! IRQL and processor numbers.

use crate::api::api;
use crate::vp::DISPATCH;

api! { exports:
    /// The current IRQL.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeGetCurrentIrql(host) -> u8 {
        host.vp().irql()
    }

    /// Raises the IRQL; returns the old one.
    "ntoskrnl.exe" 0..=15 "IRQ-12"
    fn KfRaiseIrql(host, irql: u8) -> u8 {
        let old = host.vp().irql();
        if irql < old {
            host.violate("IRQ-12", format!("KeRaiseIrql lowers from {old} to {irql}"));
        }
        host.vp().set_irql(irql);
        old
    }

    /// Raises to DISPATCH_LEVEL; returns the old IRQL.
    "ntoskrnl.exe" 0..=2 "IRQ-12"
    fn KeRaiseIrqlToDpcLevel(host) -> u8 {
        let old = host.vp().irql();
        host.vp().set_irql(DISPATCH);
        old
    }

    /// Lowers the IRQL.
    "ntoskrnl.exe" 0..=15 "IRQ-12"
    fn KeLowerIrql(host, irql: u8) {
        let old = host.vp().irql();
        if irql > old {
            host.violate("IRQ-12", format!("KeLowerIrql raises from {old} to {irql}"));
        }
        host.vp().set_irql(irql);
    }

    /// Number of the processor the caller runs on.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeGetCurrentProcessorNumberEx(host, number: u64) -> u32 {
        let index = host.vp().index;
        if number != 0 {
            // PROCESSOR_NUMBER: group, number in group, reserved.
            host.put(number, [0_u8, 0, index as u8, 0], "ProcNumber");
        }
        index
    }

    /// Active processors of a group, or of all.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeQueryActiveProcessorCountEx(host, _group: u16) -> u32 {
        host.processors()
    }

    /// Most processors there can be.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeQueryMaximumProcessorCountEx(host, _group: u16) -> u32 {
        host.processors()
    }
}
