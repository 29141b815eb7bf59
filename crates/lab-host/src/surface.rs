//! What of the system images' exports the host provides, and which groups it leaves out.

use std::collections::BTreeSet;

/// A group of functions that is left out as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// In a few words, `filter drivers`.
    pub name: &'static str,
    /// Why.
    pub reason: &'static str,
    prefixes: &'static [&'static str],
    names: &'static [&'static str],
}

/// The groups.
pub const GROUPS: [Group; 5] = [
    Group {
        name: "filter drivers",
        reason: "the host builds stacks of miniports and protocols only",
        prefixes: &["NdisF"],
        names: &[],
    },
    Group {
        name: "CoNDIS",
        reason: "connection-oriented media and call managers are not Ethernet",
        prefixes: &[
            "NdisCl", "NdisCm", "NdisCo", "NdisMCm", "NdisMCo", "NdisMWan",
        ],
        names: &[],
    },
    Group {
        name: "WLAN",
        reason: "native 802.11 and WDI miniports need a radio",
        prefixes: &["NdisMWdi", "NdisWdi", "Dot11", "NdisMWlan"],
        names: &[],
    },
    Group {
        name: "interrupts",
        reason: "the host has no hardware that interrupts",
        prefixes: &["IoConnectInterrupt", "IoDisconnectInterrupt"],
        names: &[
            "KeSynchronizeExecution",
            "NdisMDeregisterInterruptEx",
            "NdisMNetworkInterfaceInterrupt",
            "NdisMQueueDpc",
            "NdisMQueueDpcEx",
            "NdisMRegisterInterruptEx",
            "NdisMSynchronizeWithInterruptEx",
            "NdisMConfigMSIXTableEntry",
        ],
    },
    Group {
        name: "DMA and hardware",
        reason: "the host has no bus, ports, or registers",
        prefixes: &[
            "HalAllocate",
            "HalGet",
            "HalSet",
            "HalTranslate",
            "IoGetDmaAdapter",
            "MmAllocateContiguous",
            "MmFreeContiguous",
            "MmMapIoSpace",
            "MmUnmapIoSpace",
            "NdisAllocateSharedMemory",
            "NdisFreeSharedMemory",
            "NdisImmediateReadPci",
            "NdisImmediateWritePci",
            "NdisMAllocateSharedMemory",
            "NdisMFreeSharedMemory",
            "NdisMGetBusData",
            "NdisMGetDma",
            "NdisMMapIoSpace",
            "NdisMReadDma",
            "NdisMRegisterDma",
            "NdisMDeregisterDma",
            "NdisMRegisterIoPortRange",
            "NdisMDeregisterIoPortRange",
            "NdisMRegisterScatterGatherDma",
            "NdisMDeregisterScatterGatherDma",
            "NdisMSetBusData",
            "NdisMUnmapIoSpace",
            "NdisReadPci",
            "NdisReadPcmcia",
            "NdisWritePci",
            "NdisWritePcmcia",
        ],
        names: &[
            "NdisMAllocateNetBufferSGList",
            "NdisMFreeNetBufferSGList",
            "NdisMQueryAdapterResources",
            "NdisBuildScatterGatherList",
        ],
    },
];

/// The group that a function belongs to, if the host leaves it out.
pub fn group(name: &str) -> Option<&'static Group> {
    // `NdisFIndicateStatus` is of filters, `NdisFreeMdl` is not.
    let begins = |prefix: &&str| {
        name.strip_prefix(*prefix)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    GROUPS
        .iter()
        .find(|g| g.prefixes.iter().any(begins) || g.names.contains(&name))
}

/// Names of all that the host provides: functions and variables, with the image each is in.
pub fn provided() -> BTreeSet<(&'static str, &'static str)> {
    let functions = crate::host::exports();
    let variables = crate::nt::variable_names().map(|name| ("ntoskrnl.exe", name));
    functions
        .iter()
        .map(|api| (api.dll, api.name))
        .chain(variables)
        .collect()
}

/// What a missing import is called: with its group, if it is of one.
pub(crate) fn describe(import: &str) -> String {
    let name = import.split_once('!').map_or(import, |(_, name)| name);
    match group(name) {
        Some(g) => format!("{import} ({}: {})", g.name, g.reason),
        None => import.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_provided_and_left_out() {
        for (dll, name) in provided() {
            assert!(group(name).is_none(), "{dll}!{name}");
        }
    }

    #[test]
    fn groups_are_told_from_what_begins_alike() {
        let name = |n| group(n).map(|g| g.name);
        assert_eq!(name("NdisFSendNetBufferLists"), Some("filter drivers"));
        assert_eq!(name("NdisFreeMdl"), None);
        assert_eq!(name("NdisCoSendNetBufferLists"), Some("CoNDIS"));
        assert_eq!(name("NdisMRegisterInterruptEx"), Some("interrupts"));
        assert_eq!(name("NdisAllocateSharedMemory"), Some("DMA and hardware"));
        assert!(describe("ndis.sys!NdisFSetAttributes").contains("(filter drivers: "));
    }

    #[test]
    fn no_name_is_exported_twice() {
        let mut seen = BTreeSet::new();
        for api in crate::host::exports() {
            assert!(seen.insert((api.dll, api.name)), "{}!{}", api.dll, api.name);
        }
    }
}
