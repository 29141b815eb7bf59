//! The receive side of a NIC.

use ndis_sys::{
    NDIS_NBL_FLAGS_RECV_READ_ONLY, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL,
    NDIS_RECEIVE_FLAGS_PERFECT_FILTERED, NDIS_RECEIVE_FLAGS_RESOURCES,
    NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE, NDIS_RECEIVE_FLAGS_SINGLE_VLAN,
};

use super::{NicConfig, Split};
use crate::engine::{Job, Level};
use crate::host::Host;
use crate::ndis::EdgeState;
use crate::ndis::filter;
use crate::ndis::ledger::{Owner, Path};
use crate::ndis::list::{Shape, at, link};
use crate::ndis::tag::{self, Tag};

/// A frame as it is indicated.
struct Received {
    list: u64,
    tag: Tag,
    kind: Option<[u8; 2]>,
}

/// Takes the tag out of a frame, if the adapter does.
fn stripped(config: &NicConfig, frame: &mut Vec<u8>) -> Option<Tag> {
    let tag = tag::in_band(frame)?;
    let takes = config.vlan_offload || tag.vlan == 0;
    if takes { tag::strip(frame) } else { None }
}

impl Host {
    /// Starts the DPC that indicates received frames, if it is not under way.
    pub(crate) fn rx_kick(&self, nic: usize) {
        if self.kick_wire(nic) {
            return;
        }
        let start = self.ndis(|n| {
            let x = &mut n.nics[nic];
            let start = !x.rx_busy && !x.rx.is_empty() && x.pool.available() > 0;
            x.rx_busy |= start;
            start
        });
        if start {
            let cpu = self.engine().random(u64::from(self.processors())) as u32;
            self.spawn(Job {
                name: "NIC receive".into(),
                level: Level::Dispatch(Some(cpu)),
                body: Box::new(move |host| host.rx_batch(nic)),
            });
        }
    }

    fn rx_batch(&self, nic: usize) {
        let (binding, batch, lend) = self.ndis(|n| {
            let config = &n.nics[nic].config;
            let binding = n
                .bindings
                .iter()
                .find(|(_, b)| b.nic == nic && b.state == EdgeState::Running && !b.asleep)
                .map_or(0, |(h, _)| *h);
            (binding, config.batch, config.resources)
        });
        let batch = 1 + self.engine().random(batch.max(1));
        let lent = self.chance(lend);
        let mut all = Vec::new();
        while (all.len() as u64) < batch {
            let next = self.ndis(|n| {
                let x = &mut n.nics[nic];
                (x.pool.available() > 0).then(|| x.rx.pop_front()).flatten()
            });
            let Some(frame) = next else { break };
            if self.rx_wants(nic, binding, &frame) {
                all.extend(self.rx_list(nic, frame, lent));
            }
        }
        if !all.is_empty() {
            self.ndis(|n| n.nics[nic].mix.batches += 1);
            let flags = self.rx_flags(nic, &all, lent);
            let lists: Vec<u64> = all.iter().map(|r| r.list).collect();
            self.indicate_up(nic, binding, &lists, flags);
        }
        self.ndis(|n| n.nics[nic].rx_busy = false);
        self.rx_kick(nic);
        self.far_poll(nic);
    }

    /// Whether the binding asked for a frame.
    fn rx_wants(&self, nic: usize, binding: u64, frame: &[u8]) -> bool {
        self.ndis(|n| {
            let x = &mut n.nics[nic];
            let wanted = n.bindings.get(&binding).is_some_and(|b| {
                let short = x.config.rough && frame.len() < 6;
                short || filter::wants(b.packet_filter, x.config.mac, &b.multicast, frame)
            });
            if !wanted {
                x.mix.dropped += 1;
                x.mix.filtered += u64::from(binding != 0);
            }
            wanted
        })
    }

    /// A list with a frame, as this adapter lays it out.
    fn rx_list(&self, nic: usize, mut frame: Vec<u8>, lent: bool) -> Option<Received> {
        let (rough, split, read_only) = self.ndis(|n| {
            let c = &n.nics[nic].config;
            (c.rough, c.split, c.read_only_ratio)
        });
        let tag = self.ndis(|n| {
            let x = &mut n.nics[nic];
            let tag = stripped(&x.config, &mut frame);
            x.mix.tags_stripped += u64::from(tag.is_some());
            tag.unwrap_or_default()
        });
        let mut shape = if rough {
            // RCV-13: one NET_BUFFER in each received list.
            Shape::absurd(self, frame.len(), false)
        } else {
            self.rx_shape(&frame, split)
        };
        shape.tag = tag;
        let read_only = read_only > 0.0 && self.chance(read_only);
        if read_only {
            shape.flags |= NDIS_NBL_FLAGS_RECV_READ_ONLY;
        }
        // The pool is taken out while a list is built: building may allocate.
        let mut pool = self.ndis(|n| std::mem::take(&mut n.nics[nic].pool));
        let list = pool.take(self, &frame, &shape);
        let serial = self.ndis(|n| {
            let x = &mut n.nics[nic];
            x.pool.restore(pool);
            x.serial += 1;
            x.serial
        });
        let list = list?;
        self.tell_beside(list, nic);
        let source = self.ndis(|n| n.nics[nic].sources[(serial % 3) as usize]);
        self.put(
            list + at!(NET_BUFFER_LIST.SourceHandle),
            source,
            "SourceHandle",
        );
        self.ndis(|n| {
            let x = &mut n.nics[nic];
            x.mix.receives += 1;
            x.mix.bytes_received += frame.len() as u64;
            x.mix.lent += u64::from(lent);
            x.mix.read_only += u64::from(read_only);
        });
        Some(Received {
            list,
            tag: if tag.is_none() {
                tag::in_band(&frame).unwrap_or_default()
            } else {
                tag
            },
            kind: frame.get(12..14).and_then(|k| k.first_chunk()).copied(),
        })
    }

    fn rx_shape(&self, frame: &[u8], split: Split) -> Shape {
        let random = |bound: u64| self.engine().random(bound) as usize;
        let at = match split {
            Split::Deep if random(8) == 0 => 1514.min(frame.len() / 2 + 64),
            Split::Deep => 0,
            Split::Headers => {
                let mac = 14 + 4 * usize::from(tag::in_band(frame).is_some());
                let network = match frame.get(mac - 2..mac) {
                    Some([0x08, 0x00]) => frame.get(mac).map_or(0, |b| usize::from(b & 15) * 4),
                    Some([0x86, 0xDD]) => 40,
                    _ => 0,
                };
                [mac, mac + network][random(2)]
            }
            Split::At(at) => at,
            Split::Anywhere => {
                let mut cuts: Vec<usize> = (0..random(5)).map(|_| random(81)).collect();
                cuts.sort_unstable();
                cuts.retain(|&cut| cut < frame.len());
                let mut before = 0;
                for cut in &mut cuts {
                    (*cut, before) = (*cut - before, *cut);
                }
                return Shape {
                    cuts,
                    ..Shape::default()
                };
            }
        };
        Shape::split(at, frame.len())
    }

    /// Flags that are true of a batch; every other time, as they are never required.
    fn rx_flags(&self, nic: usize, all: &[Received], lent: bool) -> u32 {
        let mut flags = NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL;
        if lent {
            flags |= NDIS_RECEIVE_FLAGS_RESOURCES;
        }
        if self.engine().random(2) == 0 {
            return flags;
        }
        if all
            .windows(2)
            .all(|w| w[0].kind.is_some() && w[0].kind == w[1].kind)
        {
            flags |= NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE;
        }
        // What is left in a frame is not looked into.
        let in_band = |r: &Received| matches!(r.kind, Some([0x81, 0x00] | [0x88, 0xA8]));
        let same = all.windows(2).all(|w| w[0].tag.vlan == w[1].tag.vlan);
        if same && !all.iter().any(in_band) {
            flags |= NDIS_RECEIVE_FLAGS_SINGLE_VLAN;
        }
        if !self.ndis(|n| n.nics[nic].config.rough) {
            flags |= NDIS_RECEIVE_FLAGS_PERFECT_FILTERED;
        }
        flags
    }

    /// Indicates lists of a NIC to a binding of the driver.
    pub(crate) fn indicate_up(&self, nic: usize, binding: u64, lists: &[u64], flags: u32) {
        let lent = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
        let found = self.ndis(|n| {
            let b = n.bindings.get_mut(&binding)?;
            // With real threads it may have been paused since the batch was begun.
            if b.state != EdgeState::Running || b.asleep {
                return None;
            }
            // Those that are lent count too: the adapter waits for the call to return.
            b.receives += lists.len() as u64;
            let context = b.context;
            let protocol = b.protocol;
            let handler = n
                .protocols
                .get(&protocol)?
                .chars
                .ReceiveNetBufferListsHandler?;
            Some((context, handler as usize as u64))
        });
        let Some((context, handler)) = found else {
            self.ndis(|n| n.nics[nic].mix.dropped += lists.len() as u64);
            self.take_back(nic, lists);
            return;
        };
        let first = link(self, lists);
        for &list in lists {
            self.hand_in(
                list,
                Path::Receive { nic, binding, lent },
                "ProtocolReceiveNetBufferLists",
            );
        }
        self.call(
            "ProtocolReceiveNetBufferLists",
            binding,
            handler,
            &[context, first, 0, lists.len() as u64, u64::from(flags)],
        );
        if lent {
            self.settle_lent(first, lists);
            self.ndis(|n| {
                if let Some(b) = n.bindings.get_mut(&binding) {
                    b.receives = b.receives.saturating_sub(lists.len() as u64);
                }
            });
            self.take_back(nic, lists);
        }
    }

    /// The adapter indicates what it has after the binding's pause is complete, and before its
    /// own pause: the driver gives that back at once (PBS-3).
    pub(crate) fn receive_late(&self, binding: u64) {
        let found = self.ndis(|n| {
            let b = n.bindings.get(&binding)?;
            let x = &n.nics[b.nic];
            if x.gone || x.rx_busy || x.resetting.is_some() || x.over.is_some() || b.asleep {
                return None;
            }
            let handler = n
                .protocols
                .get(&b.protocol)?
                .chars
                .ReceiveNetBufferListsHandler?;
            let mac = x.config.mac;
            Some((b.nic, b.context, handler as usize as u64, mac))
        });
        let Some((nic, context, handler, mac)) = found else {
            return;
        };
        if cfg!(test) || self.bare.in_use() || !self.engine().is_virtual() || !self.every_other() {
            return;
        }
        let mut frame = vec![0_u8; 60];
        frame[..6].copy_from_slice(&mac);
        // EtherType of local experiments.
        frame[12..14].copy_from_slice(&[0x88, 0xB5]);
        let mut pool = self.ndis(|n| std::mem::take(&mut n.nics[nic].pool));
        let list = pool.take(self, &frame, &Shape::default());
        self.ndis(|n| n.nics[nic].pool.restore(pool));
        let Some(list) = list else { return };
        let source = self.ndis(|n| n.nics[nic].sources[0]);
        self.put(
            list + at!(NET_BUFFER_LIST.SourceHandle),
            source,
            "SourceHandle",
        );
        self.ndis(|n| {
            if let Some(b) = n.bindings.get_mut(&binding) {
                b.receives += 1;
            }
        });
        let first = link(self, &[list]);
        let path = Path::Receive {
            nic,
            binding,
            lent: false,
        };
        self.hand_in(list, path, "ProtocolReceiveNetBufferLists");
        self.call(
            "ProtocolReceiveNetBufferLists",
            binding,
            handler,
            &[context, first, 0, 1, 0],
        );
        let kept = self.ndis(|n| n.ledger.lists.contains_key(&list));
        if kept {
            self.violate(
                "PBS-3",
                format!(
                    "list {list:#x} came while the binding was paused and is not given back at once"
                ),
            );
        }
    }

    /// RCV-2: lists that were lent are NDIS's again, chain and all.
    pub(crate) fn settle_lent(&self, first: u64, lists: &[u64]) {
        let mut expected = first;
        for (i, &list) in lists.iter().enumerate() {
            let record = self.ndis(|n| n.ledger.lists.get(&list).cloned());
            match record {
                Some(r) if r.owner == Owner::Driver => {
                    self.hand_out(list, &r, "RCV-6", "RCV-2");
                    // A driver that keeps it touches it no more.
                    self.guard(list, true);
                    self.note_home(list, "ProtocolReceiveNetBufferLists returned");
                }
                Some(r) => {
                    self.violate(
                        "RCV-2",
                        format!(
                            "lent list {list:#x} is with {:?} after the handler returned",
                            r.owner
                        ),
                    );
                    self.guard(list, false);
                    self.ndis(|n| n.ledger.pop(list));
                }
                None => self.violate(
                    "RCV-2",
                    format!("lent list {list:#x} was returned by NdisReturnNetBufferLists"),
                ),
            }
            let next: u64 = self.get(list + at!(NET_BUFFER_LIST.Next), "Next");
            if expected != list || next != lists.get(i + 1).copied().unwrap_or(0) {
                self.violate("RCV-2", "the chain of lent lists is not as it was".into());
            }
            expected = next;
        }
    }

    /// Lists are back at their NIC.
    pub(crate) fn take_back(&self, nic: usize, lists: &[u64]) {
        if self.return_below(nic, lists) {
            return;
        }
        self.ndis(|n| {
            for &list in lists {
                n.nics[nic].pool.give(list);
            }
        });
        self.rx_kick(nic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(vlan_offload: bool, vlan: u16) -> (Option<Tag>, usize) {
        let config = NicConfig {
            vlan_offload,
            ..NicConfig::default()
        };
        let mut frame = vec![0; 60];
        let tag = Tag {
            vlan,
            priority: 5,
            cfi: false,
        };
        tag::insert(&mut frame, tag);
        (stripped(&config, &mut frame), frame.len())
    }

    #[test]
    fn a_vlan_stays_in_the_frame_unless_the_adapter_can() {
        assert_eq!(received(false, 9), (None, 64));
        let (tag, length) = received(true, 9);
        assert_eq!(
            (tag.map(|t| (t.vlan, t.priority)), length),
            (Some((9, 5)), 60)
        );
    }

    #[test]
    fn a_priority_tag_is_taken_out_by_any_adapter() {
        for able in [false, true] {
            let (tag, length) = received(able, 0);
            assert_eq!(
                (tag.map(|t| (t.vlan, t.priority)), length),
                (Some((0, 5)), 60)
            );
        }
    }
}
