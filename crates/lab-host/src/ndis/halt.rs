//! How a virtual miniport ends: shut down, halted, or never initialised; and what it must not
//! leave behind (HLT-2, HLT-3, VMI-7, UNB-7, IFS-2). Everything here runs at `PASSIVE_LEVEL` but
//! a shutdown by a bug check.

use ndis_sys::{NDIS_STATUS_NOT_ACCEPTED, NdisHaltDeviceInstanceDeInitialized};

use super::EdgeState;
use super::Ndis;
use crate::host::Host;

/// IRQL of a bug check.
const HIGH_LEVEL: u8 = 15;
/// How long requests may hold up the halt of their miniport.
const OID_LIMIT: u64 = 60_000_000_000;

impl Ndis {
    /// What was made with a handle that is gone is gone too, but for what still runs.
    fn disown(&mut self, owner: u64) {
        let mut gone: Vec<u64> = Vec::new();
        let mine = |of: u64| of == owner;
        gone.extend(
            self.pools
                .iter()
                .filter(|(_, p)| mine(p.owner))
                .map(|(h, _)| *h),
        );
        gone.extend(
            self.buffer_pools
                .iter()
                .filter(|(_, p)| mine(p.owner))
                .map(|(h, _)| *h),
        );
        let configurations = self.configurations.iter();
        gone.extend(
            configurations
                .filter(|(_, c)| mine(c.owner))
                .map(|(h, _)| *h),
        );
        let idle = self
            .work_items
            .iter()
            .filter(|(_, w)| mine(w.owner) && !w.queued);
        gone.extend(idle.map(|(h, _)| *h));
        for handle in gone {
            self.pools.remove(&handle);
            self.buffer_pools.remove(&handle);
            self.configurations.remove(&handle);
            self.work_items.remove(&handle);
            self.handles.close(handle);
        }
        self.mdls.retain(|_, of| *of != owner);
    }
}

impl Host {
    /// MiniportInitializeEx failed: nothing of the adapter may be left (VMI-7), and a driver
    /// that asked for the device is ready for it inside that call (VMI-3).
    pub(super) fn judge_failed(&self, miniport: u64, status: i32) {
        let left = self.ndis(|n| {
            let mine = |owner: u64| owner == miniport;
            let counts = [
                (
                    n.pools.values().filter(|p| mine(p.owner)).count(),
                    "pools of lists",
                ),
                (
                    n.buffer_pools.values().filter(|p| mine(p.owner)).count(),
                    "pools of buffers",
                ),
                (
                    n.timers.values().filter(|t| mine(t.owner)).count(),
                    "timers",
                ),
                (
                    n.work_items.values().filter(|w| mine(w.owner)).count(),
                    "work items",
                ),
                (
                    n.configurations.values().filter(|c| mine(c.owner)).count(),
                    "configurations",
                ),
            ];
            let left: Vec<_> = counts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, what)| format!("{count} {what}"))
                .collect();
            n.disown(miniport);
            left.join(", ")
        });
        if !left.is_empty() {
            self.violate(
                "VMI-7",
                format!("after a failed MiniportInitializeEx {left} of the adapter are left"),
            );
        }
        let frames = self.local().frames.borrow();
        let inside = frames
            .iter()
            .any(|f| f.name == "NdisIMInitializeDeviceInstanceEx");
        drop(frames);
        if inside && status == NDIS_STATUS_NOT_ACCEPTED.0 {
            self.violate(
                "VMI-3",
                "MiniportInitializeEx inside NdisIMInitializeDeviceInstanceEx finds nothing ready for it: NOT_ACCEPTED".into(),
            );
        }
    }

    /// The driver of a virtual miniport is told that the system stops, by a bug check or not
    /// (DPE-3).
    pub fn shut_down_miniport(&self, miniport: u64, bug_check: bool) {
        let found = self.ndis(|n| {
            let m = n.miniports.get(&miniport)?;
            let handler = n.drivers.get(&m.driver)?.chars.ShutdownHandlerEx?;
            Some((m.context, handler as usize as u64))
        });
        let Some((context, handler)) = found else {
            return;
        };
        let action = if bug_check {
            ndis_sys::NdisShutdownBugCheck
        } else {
            ndis_sys::NdisShutdownPowerOff
        };
        let before = self.vp().irql();
        if bug_check {
            self.vp().set_irql(HIGH_LEVEL);
        }
        self.call(
            "MiniportShutdownEx",
            miniport,
            handler,
            &[context, action.0 as u64],
        );
        if bug_check {
            self.vp().set_irql(before);
        }
    }

    /// The device of a virtual miniport is disabled: NDIS halts it though nobody asked the
    /// driver, which keeps its bindings.
    pub fn disable_device(&self, miniport: u64) {
        self.halt_miniport(miniport);
    }

    /// IFS-2: what lay on an edge that is gone, or it on others, is withdrawn.
    pub(crate) fn no_stack_entry(&self, after: &str, of_edge: impl Fn(&(u32, u32)) -> bool) {
        let left = self.ndis(|n| {
            let left: Vec<_> = n.stack_entries.iter().copied().filter(of_edge).collect();
            for entry in &left {
                n.stack_entries.remove(entry);
            }
            left
        });
        for (higher, lower) in left {
            self.violate(
                "IFS-2",
                format!(
                    "the interface stack entry {higher} over {lower} is left after the {after}"
                ),
            );
        }
    }

    /// Halts a virtual miniport: protocols above let go, it is paused, then halted. Of two who
    /// want that the second waits for the first.
    pub(crate) fn halt_miniport(&self, miniport: u64) {
        let first = self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport);
            m.is_some_and(|m| !std::mem::replace(&mut m.halting, true))
        });
        if !first {
            self.wait_until("for a halt that is under way", 10_000, OID_LIMIT, |h| {
                h.ndis(|n| !n.miniports.contains_key(&miniport))
            });
            return;
        }
        self.disturb();
        self.detach_uppers(miniport);
        self.pause_miniport(miniport);
        // NDIS halts a miniport when the requests that it has are complete.
        self.wait_until("for the last requests", 10_000, OID_LIMIT, |h| {
            h.ndis(|n| !n.has_requests(miniport))
        });
        let found = self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport)?;
            m.state = EdgeState::Closing;
            let context = m.context;
            let driver = m.driver;
            let handler = n.drivers.get(&driver)?.chars.HaltHandlerEx? as usize as u64;
            Some((context, handler))
        });
        let Some((context, handler)) = found else {
            return;
        };
        // No other request comes; the one that is under way ends first.
        self.wait_until("for the last request", 10_000, 60_000_000_000, |h| {
            h.ndis(|n| n.miniports.get(&miniport).is_none_or(|m| !m.oid_busy))
        });
        self.call(
            "MiniportHaltEx",
            miniport,
            handler,
            &[context, NdisHaltDeviceInstanceDeInitialized.0 as u64],
        );
        self.adapter_left(miniport, "MiniportHaltEx");
        let (out, timers, if_index) = self.ndis(|n| {
            let m = n.miniports.remove(&miniport).expect("miniport");
            n.handles.close(miniport);
            let mut if_index = 0;
            if let Some(i) = n.instances.get_mut(&m.name) {
                i.miniport = None;
                i.starting = false;
                if_index = i.if_index;
            }
            let timers = n.timers.values().filter(|t| t.owner == miniport).count();
            (m.receives, timers, if_index)
        });
        if out > 0 {
            self.violate(
                "HLT-3",
                format!("{out} indicated lists are out after MiniportHaltEx"),
            );
        }
        let pools = self.ndis(|n| {
            let lists = n.pools.values().filter(|p| p.owner == miniport).count();
            let buffers = n.buffer_pools.values();
            lists + buffers.filter(|p| p.owner == miniport).count()
        });
        let mdls = self.ndis(|n| n.mdls.values().filter(|&&owner| owner == miniport).count());
        if mdls > 0 {
            self.violate(
                "NBL-9",
                format!("{mdls} MDLs of the adapter are left after MiniportHaltEx"),
            );
        }
        if pools > 0 {
            self.violate(
                "HLT-2",
                format!("{pools} pools of the adapter are left after MiniportHaltEx"),
            );
        }
        if timers > 0 {
            self.violate(
                "TMR-1",
                format!("{timers} timers of the adapter are left after MiniportHaltEx"),
            );
        }
        let (items, queued) = self.ndis(|n| {
            let items = n.work_items.values().filter(|w| w.owner == miniport);
            items.fold((0, 0), |(all, queued), w| {
                (all + 1, queued + u32::from(w.queued))
            })
        });
        if items > 0 {
            self.violate(
                if queued > 0 { "HLT-3" } else { "HLT-2" },
                format!("{items} work items of the adapter, {queued} of them queued, are left after MiniportHaltEx"),
            );
        }
        if self.ndis(|n| n.configurations.values().any(|c| c.owner == miniport)) {
            self.violate(
                "CFG-1",
                "a configuration handle is open after MiniportHaltEx".into(),
            );
        }
        self.disturb();
        self.no_ports_left(miniport, "MiniportHaltEx");
        // What was found is not found again at unload.
        self.ndis(|n| n.disown(miniport));
        if if_index != 0 {
            self.no_stack_entry("halt", |&(higher, _)| higher == if_index);
        }
    }

    /// UNB-7: inside the unbind of one adapter a miniport goes down that the driver said lies
    /// on others too.
    pub(super) fn needed_by_others(&self, miniport: u64) {
        let inside = self
            .local()
            .frames
            .borrow()
            .iter()
            .any(|f| f.name == "ProtocolUnbindAdapterEx");
        let others = self.ndis(|n| {
            let name = &n.miniports[&miniport].name;
            let index = n.instances.get(name).map_or(0, |i| i.if_index);
            let below = |b: u64| n.nics[n.bindings[&b].nic].config.if_index;
            let needs = |&b: &u64| n.stack_entries.contains(&(index, below(b)));
            n.serving(name).filter(needs).count()
        });
        if inside && others > 0 {
            self.violate(
                "UNB-7",
                format!("a virtual miniport goes with one adapter, {others} more are below it"),
            );
        }
    }
}
