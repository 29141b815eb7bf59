//! IRQL and processor numbers.

use crate::api::api;
use crate::host::Host;
use crate::vp::DISPATCH;

/// Callbacks whose flags tell the IRQL.
const FLAGGED: [&str; 4] = [
    "MiniportSendNetBufferLists",
    "MiniportReturnNetBufferLists",
    "ProtocolReceiveNetBufferLists",
    "ProtocolSendNetBufferListsComplete",
];

impl Host {
    /// IRQ-20: the driver asks for the IRQL where a flag tells it.
    pub(crate) fn asks_irql(&self) {
        let inside = {
            let frames = self.local().frames.borrow();
            frames.iter().rfind(|f| f.callback).map(|f| f.name)
        };
        if let Some(name) = inside.filter(|name| FLAGGED.contains(name)) {
            self.violate(
                "IRQ-20",
                format!("the current IRQL is asked for inside {name}, whose flags tell it"),
            );
        }
    }
}

api! { exports:
    /// The current IRQL.
    "ntoskrnl.exe" 0..=15 "IRQ-11"
    fn KeGetCurrentIrql(host) -> u8 {
        host.asks_irql();
        host.vp().irql()
    }

    /// Raises the IRQL; returns the old one.
    "ntoskrnl.exe" 0..=15 "IRQ-12"
    fn KfRaiseIrql(host, irql: u8) -> u8 {
        let old = host.vp().irql();
        if irql < old {
            host.violate("IRQ-12", format!("KeRaiseIrql lowers from {old} to {irql}"));
        }
        host.local().raised.borrow_mut().push(old);
        host.vp().set_irql(irql);
        old
    }

    /// Raises to DISPATCH_LEVEL; returns the old IRQL.
    "ntoskrnl.exe" 0..=2 "IRQ-12"
    fn KeRaiseIrqlToDpcLevel(host) -> u8 {
        let old = host.vp().irql();
        host.local().raised.borrow_mut().push(old);
        host.vp().set_irql(DISPATCH);
        old
    }

    /// Lowers the IRQL.
    "ntoskrnl.exe" 0..=15 "IRQ-12"
    fn KeLowerIrql(host, irql: u8) {
        let old = host.vp().irql();
        let saved = host.local().raised.borrow_mut().pop();
        if irql > old {
            host.violate("IRQ-12", format!("KeLowerIrql raises from {old} to {irql}"));
        } else if saved != Some(irql) {
            host.violate("IRQ-12", match saved {
                Some(saved) => format!("KeLowerIrql to {irql}, the raise saved {saved}"),
                None => format!("KeLowerIrql to {irql} without a raise"),
            });
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
