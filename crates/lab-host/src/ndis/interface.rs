//! Network interfaces: the stack of those that NDIS cannot see, and interface providers.
//!
//! All at `PASSIVE_LEVEL`.

use std::collections::{BTreeMap, BTreeSet};

use ndis_sys::{
    NDIS_IF_PROVIDER_CHARACTERISTICS, NDIS_STATUS, NDIS_STATUS_INTERFACE_NOT_FOUND,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
};

use super::Ndis;
use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

/// Index of the first interface that a provider registers.
const FIRST: u32 = 10_000;

/// Interfaces of providers.
#[derive(Default)]
pub(crate) struct Interfaces {
    /// Providers that are registered.
    providers: BTreeSet<u64>,
    /// Interface index: its provider and its NET_LUID.
    live: BTreeMap<u32, (u64, u64)>,
    /// NET_LUID by the provider's context of an interface that was registered once (IFS-4).
    named: BTreeMap<u64, u64>,
    /// NET_LUID indexes that are taken, by interface type.
    luids: BTreeSet<(u16, u32)>,
    count: u32,
}

/// A NET_LUID of an Ethernet interface with this index.
const fn luid_of(index: u32) -> u64 {
    (6 << 48) | ((index as u64) << 24)
}

impl Ndis {
    fn knows_interface(&self, index: u32) -> bool {
        self.interfaces.live.contains_key(&index)
            || self.nics.iter().any(|x| x.config.if_index == index)
            || self.instances.values().any(|i| i.if_index == index)
    }

    /// Whether `from` lies on `to`, through any number of others.
    fn lies_on(&self, from: u32, to: u32) -> bool {
        let mut open = vec![from];
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            if at == to {
                return true;
            }
            if seen.insert(at) {
                let below = self.stack_entries.range((at, 0)..=(at, u32::MAX));
                open.extend(below.map(|&(_, lower)| lower));
            }
        }
        false
    }
}

impl Host {
    /// IFS-4: nothing of a provider is left when the driver is unloaded.
    pub(crate) fn no_provider(&self) {
        let left = self.ndis(|n| std::mem::take(&mut n.interfaces.providers));
        if !left.is_empty() {
            self.violate(
                "IFS-4",
                format!("{} interface providers are left at unload", left.len()),
            );
        }
    }
}

api! { exports:
    /// Tells NDIS that one interface lies on another.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfAddIfStackEntry(host, higher: u32, lower: u32) -> NDIS_STATUS {
        let (known, cycle) = host.ndis(|n| {
            (n.knows_interface(higher) && n.knows_interface(lower), n.lies_on(lower, higher))
        });
        if cycle || higher == 0 || lower == 0 {
            host.violate("IFS-3", format!("interface stack entry {higher} over {lower}"));
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if !known && !cfg!(test) {
            host.violate("IFS-3", format!("interface stack entry {higher} over {lower}: one of them is no interface"));
            return NDIS_STATUS_INTERFACE_NOT_FOUND;
        }
        if host.fails("NdisIfAddIfStackEntry") {
            return NDIS_STATUS_RESOURCES;
        }
        host.ndis(|n| n.stack_entries.insert((higher, lower)));
        NDIS_STATUS_SUCCESS
    }

    /// Takes such an entry back.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfDeleteIfStackEntry(host, higher: u32, lower: u32) -> NDIS_STATUS {
        if host.ndis(|n| n.stack_entries.remove(&(higher, lower))) {
            return NDIS_STATUS_SUCCESS;
        }
        host.violate("IFS-2", format!("there is no interface stack entry {higher} over {lower}"));
        NDIS_STATUS_INVALID_PARAMETER
    }

    /// The interfaces of the adapter of a binding; each pointer may be NULL.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfQueryBindingIfIndex(host, binding: u64, bound: u64, bound_luid: u64, lowest: u64, lowest_luid: u64) -> NDIS_STATUS {
        if !host.check("NdisBindingHandle", binding, Kind::Binding) {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        let index = host.ndis(|n| n.nics[n.bindings[&binding].nic].config.if_index);
        for at in [bound, lowest] {
            if at != 0 {
                host.put(at, index, "pIfIndex");
            }
        }
        for at in [bound_luid, lowest_luid] {
            if at != 0 {
                host.put(at, luid_of(index), "pIfNetLuid");
            }
        }
        NDIS_STATUS_SUCCESS
    }

    /// Registers an interface provider.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfRegisterProvider(host, characteristics: u64, _context: u64, out: u64) -> NDIS_STATUS {
        let c: NDIS_IF_PROVIDER_CHARACTERISTICS = host.get(characteristics, "ProviderCharacteristics");
        if c.QueryObjectHandler.is_none() || c.SetObjectHandler.is_none() {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if host.fails("NdisIfRegisterProvider") {
            return NDIS_STATUS_RESOURCES;
        }
        let provider = host.ndis(|n| {
            let h = n.handles.open(Kind::Provider);
            n.interfaces.providers.insert(h);
            h
        });
        host.put(out, provider, "pNdisIfProviderHandle");
        NDIS_STATUS_SUCCESS
    }

    /// Deregisters it.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfDeregisterProvider(host, provider: u64) {
        if host.ndis(|n| n.handles.check(provider, Kind::Provider)).is_err() {
            host.violate("IFS-4", format!("NdisIfDeregisterProvider of {provider:#x}, which is no provider"));
            return;
        }
        let live = host.ndis(|n| {
            let all = &mut n.interfaces.live;
            let before = all.len();
            all.retain(|_, of| of.0 != provider);
            n.interfaces.providers.remove(&provider);
            n.handles.close(provider);
            before - n.interfaces.live.len()
        });
        if live > 0 {
            host.violate("IFS-4", format!("an interface provider is deregistered with {live} interfaces"));
        }
    }

    /// Registers an interface.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfRegisterInterface(host, provider: u64, luid: u64, context: u64, _information: u64, out: u64) -> NDIS_STATUS {
        if host.ndis(|n| n.handles.check(provider, Kind::Provider)).is_err() {
            host.violate("IFS-4", format!("NdisIfRegisterInterface on {provider:#x}, which is no provider"));
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if host.fails("NdisIfRegisterInterface") {
            return NDIS_STATUS_RESOURCES;
        }
        let before = host.ndis(|n| n.interfaces.named.insert(context, luid));
        if before.is_some_and(|b| b != luid) {
            host.violate("IFS-4", format!("an interface is registered again with NET_LUID {luid:#x}, it had {:#x}", before.unwrap_or(0)));
        }
        let index = host.ndis(|n| {
            n.interfaces.count += 1;
            let index = FIRST + n.interfaces.count;
            n.interfaces.live.insert(index, (provider, luid));
            index
        });
        host.put(out, index, "pfIndex");
        NDIS_STATUS_SUCCESS
    }

    /// Deregisters it.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfDeregisterInterface(host, index: u32) {
        if host.ndis(|n| n.interfaces.live.remove(&index)).is_none() {
            host.violate("IFS-4", format!("interface {index} is deregistered and was not registered"));
        }
    }

    /// Takes an index for a NET_LUID.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfAllocateNetLuidIndex(host, kind: u16, out: u64) -> NDIS_STATUS {
        if host.fails("NdisIfAllocateNetLuidIndex") {
            return NDIS_STATUS_RESOURCES;
        }
        let index = host.ndis(|n| {
            let luids = &mut n.interfaces.luids;
            let index = (1..u32::MAX).find(|i| !luids.contains(&(kind, *i))).unwrap_or(u32::MAX);
            luids.insert((kind, index));
            index
        });
        host.put(out, index, "pNetLuidIndex");
        NDIS_STATUS_SUCCESS
    }

    /// Gives it back.
    "ndis.sys" 0..=0 "IRQ-8"
    fn NdisIfFreeNetLuidIndex(host, kind: u16, index: u32) -> NDIS_STATUS {
        if host.ndis(|n| n.interfaces.luids.remove(&(kind, index))) {
            return NDIS_STATUS_SUCCESS;
        }
        NDIS_STATUS_INVALID_PARAMETER
    }
}
