//! Calls that are made to fail.
//!
//! A fault site is a place in the driver that calls a function which can fail; its n-th hit in
//! a run is one fault. Every such function asks [`Host::fails`] once, before it does anything.

use super::Host;

/// Functions that can fail and ask [`Host::fails`].
pub const FALLIBLE: &[&str] = &[
    "ExAllocatePool",
    "ExAllocatePool2",
    "ExAllocatePool3",
    "ExAllocatePoolWithQuotaTag",
    "ExAllocatePoolWithTag",
    "ExAllocatePoolWithTagPriority",
    "ExInitializeLookasideListEx",
    "ExUuidCreate",
    "IoAllocateIrp",
    "IoAllocateMdl",
    "IoAllocateWorkItem",
    "IoBuildDeviceIoControlRequest",
    "IoCreateDevice",
    "IoCreateNotificationEvent",
    "IoCreateSymbolicLink",
    "IoCreateSynchronizationEvent",
    "IoCreateUnprotectedSymbolicLink",
    "IoGetDeviceObjectPointer",
    "MmMapLockedPagesSpecifyCache",
    "MmProbeAndLockPages",
    "NdisAllocateCloneNetBufferList",
    "NdisAllocateCloneOidRequest",
    "NdisAllocateFragmentNetBufferList",
    "NdisAllocateGenericObject",
    "NdisAllocateIoWorkItem",
    "NdisAllocateMdl",
    "NdisAllocateMemoryWithTag",
    "NdisAllocateMemoryWithTagPriority",
    "NdisAllocateNetBuffer",
    "NdisAllocateNetBufferAndNetBufferList",
    "NdisAllocateNetBufferList",
    "NdisAllocateNetBufferListContext",
    "NdisAllocateNetBufferListPool",
    "NdisAllocateNetBufferMdlAndData",
    "NdisAllocateNetBufferPool",
    "NdisAllocateRWLock",
    "NdisAllocateReassembledNetBufferList",
    "NdisAllocateTimerObject",
    "NdisCopyFromNetBufferToNetBuffer",
    "NdisDirectOidRequest",
    "NdisGetDataBuffer",
    "NdisIMInitializeDeviceInstanceEx",
    "NdisIfAddIfStackEntry",
    "NdisIfAllocateNetLuidIndex",
    "NdisIfRegisterInterface",
    "NdisIfRegisterProvider",
    "NdisInitializeString",
    "NdisMAllocatePort",
    "NdisMRegisterMiniportDriver",
    "NdisMSetMiniportAttributes",
    "NdisOidRequest",
    "NdisOpenAdapterEx",
    "NdisOpenConfigurationEx",
    "NdisOpenConfigurationKeyByIndex",
    "NdisOpenConfigurationKeyByName",
    "NdisQueryAdapterInstanceName",
    "NdisQueryBindInstanceName",
    "NdisReadConfiguration",
    "NdisReadNetworkAddress",
    "NdisRegisterDeviceEx",
    "NdisRegisterProtocolDriver",
    "NdisRetreatNetBufferDataStart",
    "ObReferenceObjectByHandle",
    "ObReferenceObjectByHandleWithTag",
    "PsCreateSystemThread",
    "PsSetCreateProcessNotifyRoutine",
    "RtlAnsiStringToUnicodeString",
    "RtlQueryRegistryValues",
    "RtlQueryRegistryValuesEx",
    "RtlStringFromGUID",
    "RtlUnicodeStringToAnsiString",
    "RtlUpcaseUnicodeString",
    "RtlUpcaseUnicodeStringToAnsiString",
    "SeAccessCheck",
    "ZwCreateKey",
    "ZwOpenKey",
    "ZwOpenKeyEx",
    "ZwQueryValueKey",
];

/// Hits that are remembered of one run.
const MOST: usize = 100_000;

/// A fallible call that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultHit {
    /// The function.
    pub name: &'static str,
    /// Where the driver goes on after it; 0 if that is not known.
    pub site: u64,
}

/// Which call is to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultOrder {
    /// Only calls of this function, if one is named.
    pub name: Option<String>,
    /// Only calls from here, if a place is named.
    pub site: Option<u64>,
    /// The n-th of them, from 1.
    pub nth: u64,
}

/// How what may be done at once or later is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// Either, by the seed.
    #[default]
    Any,
    /// Before the call returns, which says so.
    Inline,
    /// Later: the call returns PENDING.
    Pending,
    /// The call returns PENDING, and was complete before that.
    Early,
}

struct Pending {
    order: FaultOrder,
    /// Calls that fitted so far.
    seen: u64,
}

/// Which fallible calls are made to fail.
#[derive(Default)]
pub(super) struct Faults {
    orders: Vec<Pending>,
    /// Of those, calls that did fail.
    failed: u64,
    /// Fallible calls in order, as far as they were reached.
    hits: Vec<FaultHit>,
    manner: Manner,
}

impl Host {
    /// Says how opens, closes, requests, sends and starts of devices are done from now on.
    pub fn set_manner(&self, manner: Manner) {
        self.faults.lock().expect("faults").manner = manner;
    }

    /// Whether something that the seed would do later (`drawn`) is.
    pub(crate) fn later(&self, drawn: bool) -> bool {
        match self.faults.lock().expect("faults").manner {
            Manner::Any => drawn,
            Manner::Inline => false,
            Manner::Pending | Manner::Early => true,
        }
    }

    /// After a job was spawned that completes a call: with [`Manner::Early`] it gets time to end
    /// before that call returns.
    pub(crate) fn let_finish(&self, done: impl Fn(&Self) -> bool) {
        const TRIES: u32 = 400;
        if self.faults.lock().expect("faults").manner != Manner::Early {
            return;
        }
        for _ in 0..TRIES {
            if done(self) {
                return;
            }
            self.engine().switch();
        }
    }

    /// How long something takes that is done later.
    pub(crate) fn takes(&self, drawn: u64) -> u64 {
        match self.faults.lock().expect("faults").manner {
            Manner::Early => 0,
            _ => drawn,
        }
    }

    /// Fails the n-th fallible call from now on (1 = the next).
    pub fn fail_nth(&self, nth: Option<u64>) {
        let order = |nth| FaultOrder {
            name: None,
            site: None,
            nth,
        };
        self.fail_these(nth.map(order).into_iter().collect());
    }

    /// Fails these calls from now on; what is counted starts anew.
    pub fn fail_these(&self, orders: Vec<FaultOrder>) {
        let pending = |order| Pending { order, seen: 0 };
        let mut faults = self.faults.lock().expect("faults");
        *faults = Faults {
            orders: orders.into_iter().map(pending).collect(),
            manner: faults.manner,
            ..Faults::default()
        };
    }

    /// Names of the fallible calls that were reached since [`Host::fail_these`].
    pub fn fault_sites(&self) -> Vec<&'static str> {
        let faults = self.faults.lock().expect("faults");
        faults.hits.iter().map(|hit| hit.name).collect()
    }

    /// The fallible calls that were reached since then, and how many were made to fail.
    pub fn fault_hits(&self) -> (Vec<FaultHit>, u64) {
        let faults = self.faults.lock().expect("faults");
        (faults.hits.clone(), faults.failed)
    }

    /// How many calls were made to fail since [`Host::fail_these`].
    pub(crate) fn injected(&self) -> u64 {
        self.faults.lock().expect("faults").failed
    }

    /// Whether the fallible call `name` is to fail this time.
    pub(crate) fn fails(&self, name: &'static str) -> bool {
        let site = self.local().frames.borrow().last().map_or(0, |f| f.site);
        let mut faults = self.faults.lock().expect("faults");
        if faults.hits.len() < MOST {
            faults.hits.push(FaultHit { name, site });
        }
        let mut fails = false;
        for pending in &mut faults.orders {
            let order = &pending.order;
            let fits = order.name.as_deref().is_none_or(|wanted| wanted == name)
                && order.site.is_none_or(|wanted| wanted == site);
            pending.seen += u64::from(fits);
            fails |= fits && pending.seen == order.nth;
        }
        faults.failed += u64::from(fails);
        fails
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::FALLIBLE;

    fn search(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("sources") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                search(&path, found);
            } else {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                for rest in text.split(concat!(".fa", "ils(")).skip(1) {
                    let name = rest.trim_start().strip_prefix('"').unwrap_or_default();
                    found.extend(name.split_once('"').map(|(name, _)| name.to_owned()));
                }
            }
        }
    }

    #[test]
    fn every_function_that_may_be_failed_is_in_the_list_once() {
        let mut asked = BTreeSet::new();
        search(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut asked,
        );
        let known: BTreeSet<String> = FALLIBLE.iter().map(|&name| name.into()).collect();
        assert_eq!(known.len(), FALLIBLE.len());
        let missing: Vec<_> = asked.difference(&known).collect();
        assert!(missing.is_empty(), "not in FALLIBLE: {missing:?}");
        assert!(asked.len() > 20, "{asked:?}");
    }
}
