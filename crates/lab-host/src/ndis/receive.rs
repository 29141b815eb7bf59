//! The receive path: lists the driver indicates upward, and returns below.

use ndis_sys::{
    NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RECEIVE_FLAGS_PERFECT_FILTERED,
    NDIS_RECEIVE_FLAGS_RESOURCES, NDIS_RETURN_FLAGS_DISPATCH_LEVEL,
};

use super::EdgeState;
use super::ledger::{Owner, Path};
use super::list::{at, buffers, chain, frame_of};
use crate::api::api;
use crate::handle::Kind;

api! { exports:
    /// Lists go up through a virtual miniport.
    "ndis.sys" 0..=2 "IRQ-4"
    fn NdisMIndicateReceiveNetBufferLists(host, miniport: u64, first: u64, port: u32, count: u32, flags: u32) {
        if !host.check("MiniportAdapterHandle", miniport, Kind::Miniport) {
            return;
        }
        host.judge_port("NdisMIndicateReceiveNetBufferLists", port);
        host.dispatch_flag("NdisMIndicateReceiveNetBufferLists", flags & NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL != 0);
        let (state, asleep, filter) = host.ndis(|n| {
            let m = &n.miniports[&miniport];
            (m.state, m.asleep, m.packet_filter)
        });
        if filter.is_none() && !host.filter_under_way(miniport) {
            host.violate("RCV-14", "a receive is indicated before a packet filter is set".into());
        }
        if !matches!(state, EdgeState::Running | EdgeState::Restarting | EdgeState::Pausing) {
            let rule = match state {
                EdgeState::Paused => "MPS-5",
                _ => "MPS-1",
            };
            host.violate(rule, format!("a receive is indicated while the virtual miniport is {state:?}"));
        }
        if asleep {
            host.violate("PWR-2", "a receive is indicated while the virtual miniport is asleep".into());
        }
        let all = chain(host, first);
        if all.len() != count as usize {
            host.violate("RCV-4", format!("NumberOfNetBufferLists is {count}, the chain has {}", all.len()));
        }
        let lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
        let mut frames = Vec::new();
        for &list in &all {
            let source: u64 = host.get(list + at!(NET_BUFFER_LIST.SourceHandle), "NetBufferList");
            if source != miniport {
                host.violate("RCV-5", format!("list {list:#x} goes up with SourceHandle {source:#x}, the virtual miniport is {miniport:#x}"));
            }
            let from = host.ndis(|n| n.ledger.lists.get(&list).and_then(|r| match r.path {
                Path::Receive { nic, .. } => Some(nic),
                Path::Send { .. } | Path::Own => None,
            }));
            if let Some(nic) = from {
                host.not_in_reset(nic, "NdisMIndicateReceiveNetBufferLists");
            }
            let below_lent = host.ndis(|n| n.ledger.lists.get(&list).is_some_and(|r| matches!(r.path, Path::Receive { lent: true, .. })));
            if below_lent && !lent {
                host.violate("RCV-3", format!("list {list:#x} was lent with RESOURCES and goes up without"));
            }
            let bs = buffers(host, list);
            if bs.len() != 1 {
                host.violate("RCV-13", format!("list {list:#x} goes up with {} NET_BUFFERs", bs.len()));
            }
            frames.push(bs.first().map_or_else(Vec::new, |&b| frame_of(host, b)));
            host.check_indicated(list, miniport, lent);
        }
        host.check_flags(&all, &frames, flags);
        let mut taken = Vec::new();
        for &list in &all {
            if host.hand_over(list, Owner::Above(miniport), "NdisMIndicateReceiveNetBufferLists", "BUG-3").is_some() {
                taken.push(list);
            }
        }
        host.ndis(|n| {
            if let Some(m) = n.miniports.get_mut(&miniport) {
                m.indicating += 1;
                if !lent {
                    m.receives += taken.len() as u64;
                }
            }
        });
        let accepts = state == EdgeState::Running && !asleep;
        let above = host.receive_above(miniport, &taken, &frames, flags);
        let (hold, unasked) = if accepts && above.is_none() { host.upper_receive(miniport, &all, &frames, lent) } else { (false, 0) };
        if unasked > 0 && flags & NDIS_RECEIVE_FLAGS_PERFECT_FILTERED != 0 {
            host.violate("RCV-12", format!("PERFECT_FILTERED is set, {unasked} frames do not match the packet filter"));
        }
        if lent {
            for &list in &taken {
                host.hand_back(list, "NdisMIndicateReceiveNetBufferLists returned");
            }
        } else if let Some(back) = above {
            host.give_up(miniport, &back);
        } else if hold {
            host.hold(miniport, &taken);
        } else {
            // The protocol returns them before the indication returns (RCV-7).
            host.give_up(miniport, &taken);
        }
        host.ndis(|n| {
            if let Some(m) = n.miniports.get_mut(&miniport) {
                m.indicating -= 1;
            }
        });
    }

    /// Lists go back to the adapter below.
    "ndis.sys" 0..=2 "IRQ-4"
    fn NdisReturnNetBufferLists(host, binding: u64, first: u64, flags: u32) {
        if !host.check("NdisBindingHandle", binding, Kind::Binding) {
            return;
        }
        host.dispatch_flag("NdisReturnNetBufferLists", flags & NDIS_RETURN_FLAGS_DISPATCH_LEVEL != 0);
        let nic = host.ndis(|n| n.bindings[&binding].nic);
        let mut back = Vec::new();
        for list in chain(host, first) {
            let Some(record) = host.hand_over(list, Owner::Below(binding), "NdisReturnNetBufferLists", "RCV-1") else {
                continue;
            };
            match record.path {
                Path::Receive { binding: from, lent, .. } => {
                    if lent {
                        // It stays the adapter's, which takes it back when the handler returns.
                        host.violate("RCV-2", format!("list {list:#x} was lent with RESOURCES and is returned by NdisReturnNetBufferLists"));
                    }
                    if from != binding {
                        host.violate("RCV-9", format!("list {list:#x} is returned on another binding than it came from"));
                    }
                    host.hand_out(list, &record, "RCV-6", "RCV-7");
                    if lent {
                        continue;
                    }
                    host.ndis(|n| {
                        if let Some(b) = n.bindings.get_mut(&from) {
                            b.receives = b.receives.saturating_sub(1);
                        }
                    });
                    back.push(list);
                }
                Path::Send { .. } | Path::Own => {
                    host.violate("RCV-1", format!("list {list:#x} was not indicated by an adapter"));
                }
            }
        }
        host.take_back(nic, &back);
    }
}
