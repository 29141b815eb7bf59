//! The checks on lists that a driver made or rebuilt: NBL-1, NBL-3, SND-10, SND-11, SND-14,
//! SND-17, RCV-3, RCV-10, RCV-12, RCV-13.

use ndis_sys::{
    Ieee8021QNetBufferListInfo, NDIS_RECEIVE_FLAGS_SHARED_MEMORY_INFO_VALID,
    NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE, NDIS_RECEIVE_FLAGS_SINGLE_VLAN, NET_BUFFER,
    NetBufferListCancelId, TcpLargeSendNetBufferListInfo, UdpSegmentationOffloadInfo,
};

use super::derived::info;
use super::look::{Uses, bytes, cuts, flow, headers, layout, longest, mac_header, uses};
use crate::handle::Kind;
use crate::host::Host;
use crate::ndis::ledger::{Owner, Path, Record};
use crate::ndis::list::{at, buffers, frame_of};
use crate::ndis::tag;

impl Host {
    /// The kind of handle that the pool of a list of the driver's was made with.
    fn pool_kind(&self, list: u64) -> Option<Kind> {
        self.ndis(|n| {
            let pool = n.ledger.made.get(&list)?.pool;
            n.pools.get(&pool)?.kind
        })
    }

    /// Whether the driver made this list, or changed its NET_BUFFERs or MDLs.
    fn is_rebuilt(&self, list: u64, record: &Record) -> bool {
        match record.path {
            Path::Own => {
                let born = self.ndis(|n| n.ledger.made.get(&list).map(|m| (m.clone, m.layout)));
                // A clone that is as it was made is split where the original is.
                !matches!(born, Some((Some(_), born)) if born == layout(self, list))
            }
            Path::Send { .. } | Path::Receive { .. } => layout(self, list) != record.layout,
        }
    }

    /// Reports memory that is not the driver's to use: NBL-1, SND-3, RCV-3.
    fn check_uses(&self, list: u64, uses: &Uses, up: bool, lent: bool) {
        for stray in &uses.strays {
            self.violate("NBL-1", format!("list {list:#x} has {stray}"));
        }
        for &of in &uses.lists {
            let r = self.ndis(|n| n.ledger.lists.get(&of).cloned());
            match r {
                None => self.violate(
                    if up { "RCV-3" } else { "SND-3" },
                    format!("list {list:#x} uses memory of list {of:#x}, which went back before"),
                ),
                Some(r) if r.owner != Owner::Driver => self.violate(
                    if up { "RCV-11" } else { "SND-3" },
                    format!(
                        "list {list:#x} uses memory of list {of:#x}, which {:?} has",
                        r.owner
                    ),
                ),
                Some(r) if up && !lent && matches!(r.path, Path::Receive { lent: true, .. }) => {
                    self.violate(
                        "RCV-3",
                        format!("list {list:#x} goes up without RESOURCES over list {of:#x}, which was lent"),
                    );
                }
                Some(_) => {}
            }
        }
    }

    /// Checks a list that goes down. The driver still has it.
    pub(crate) fn check_sent(&self, list: u64, nic: usize) {
        let Some(record) = self.ndis(|n| n.ledger.lists.get(&list).cloned()) else {
            return;
        };
        if record.owner != Owner::Driver {
            return;
        }
        let mut sources = vec![list];
        self.check_cancel_id(list, &record);
        self.check_tasks(list, nic, &record);
        if record.path == Path::Own {
            let uses = uses(self, list);
            self.check_uses(list, &uses, false, false);
            if matches!(
                self.pool_kind(list),
                Some(Kind::Miniport | Kind::MiniportDriver)
            ) {
                self.violate(
                    "NBL-3",
                    format!("list {list:#x} of a pool made with a miniport handle is sent"),
                );
            }
            self.check_child(list, &uses);
            sources = uses.lists;
        }
        if self.is_rebuilt(list, &record) {
            self.check_ethernet(list);
            if !self.any_hostile(&sources) && !self.any_too_long(&sources) {
                self.check_length(list, nic);
            }
        }
    }

    /// SND-14: the id that a protocol set is kept, and one of the driver's own has the high
    /// byte that NDIS gave it.
    fn check_cancel_id(&self, list: u64, record: &Record) {
        let id: u64 = self.get(info(list, NetBufferListCancelId), "cancel id");
        match record.path {
            Path::Send { .. } if id != record.rest.cancel => self.violate(
                "SND-14",
                format!(
                    "list {list:#x} came with cancel id {}, goes down with {id}",
                    record.rest.cancel
                ),
            ),
            Path::Own if id != 0 => {
                let parent: u64 = self.get(
                    list + at!(NET_BUFFER_LIST.ParentNetBufferList),
                    "NET_BUFFER_LIST",
                );
                let made = self.ndis(|n| n.ledger.partial_ids.contains(&((id >> 56) as u8)));
                if parent == 0 && !made {
                    self.violate(
                        "SND-14",
                        format!("list {list:#x} of the driver has cancel id {id:#x}, whose high byte is not of NdisGeneratePartialCancelId"),
                    );
                }
            }
            Path::Send { .. } | Path::Receive { .. } | Path::Own => {}
        }
    }

    /// SND-5: lists of one connection leave in the order in which they came.
    pub(crate) fn check_order(&self, list: u64, binding: u64) {
        let parent: u64 = self.get(
            list + at!(NET_BUFFER_LIST.ParentNetBufferList),
            "NET_BUFFER_LIST",
        );
        let overtaken = self.ndis(|n| {
            let own = n.ledger.lists.get(&list)?;
            let source = if own.path == Path::Own {
                n.ledger.lists.get(&parent)?
            } else {
                own
            };
            let (order, flow) = (source.order, source.flow);
            let Path::Send { upper, .. } = source.path else {
                return None;
            };
            if n.uppers[upper].edge.is_some() || n.uppers[upper].config.unordered {
                // Its own threads may race each other; or the topology keeps no order.
                return None;
            }
            let last = n.ledger.sent.entry((binding, upper, flow)).or_default();
            let before = *last;
            *last = before.max(order);
            (order < before).then_some((order, before))
        });
        if let Some((order, before)) = overtaken {
            self.violate(
                "SND-5",
                format!("list {list:#x}, number {order} of what was sent, goes down after number {before} of the same connection"),
            );
        }
    }

    /// SND-18: what was sent on a miniport does not come up on it by the driver's doing.
    fn check_loop(&self, list: u64, miniport: u64, record: &Record, uses: &[u64]) {
        let sent_here = |n: &crate::ndis::Ndis, of: u64| {
            let r = n.ledger.lists.get(&of);
            r.is_some_and(|r| matches!(r.path, Path::Send { miniport: m, .. } if m == miniport))
        };
        let of = match record.path {
            Path::Send { miniport: m, .. } => (m == miniport).then_some(list),
            Path::Receive { .. } => None,
            Path::Own => self.ndis(|n| uses.iter().copied().find(|&of| sent_here(n, of))),
        };
        let copied = || {
            // A copy of a received frame says so (RCV-10).
            let of_received = self
                .ndis(|n| n.ledger.made.get(&list)?.receive_info)
                .is_some();
            // A list over somebody's data was judged by whose they are.
            if record.path != Path::Own || of_received || !uses.is_empty() {
                return None;
            }
            let bytes = bytes(self, list);
            self.ndis(|n| {
                let same = |r: &Record| r.bytes == Some(bytes);
                let here =
                    |r: &Record| matches!(r.path, Path::Send { miniport: m, .. } if m == miniport);
                let mut all = n.ledger.lists.iter();
                // Another miniport, or the adapter, has the same bytes under way: it is theirs.
                if all
                    .clone()
                    .any(|(_, r)| same(r) && !here(r) && r.path != Path::Own)
                {
                    return None;
                }
                all.find(|(_, r)| same(r) && here(r)).map(|(&of, _)| of)
            })
        };
        if let Some(of) = of.or_else(copied) {
            self.violate(
                "SND-18",
                format!(
                    "list {list:#x} loops back {of:#x}, which was sent on the same virtual miniport"
                ),
            );
        }
    }

    /// SND-10, SND-11, SND-14: a list over what a protocol above sent.
    fn check_child(&self, list: u64, uses: &Uses) {
        let parent: u64 = self.get(
            list + at!(NET_BUFFER_LIST.ParentNetBufferList),
            "NET_BUFFER_LIST",
        );
        let sent = |of: u64| {
            self.ndis(|n| {
                n.ledger
                    .lists
                    .get(&of)
                    .is_some_and(|r| matches!(r.path, Path::Send { .. }))
            })
        };
        for &of in uses.lists.iter().filter(|&&of| sent(of)) {
            if of != parent && !self.ndis(|n| n.ledger.stems(parent, of)) {
                self.violate(
                    "SND-11",
                    format!("list {list:#x} over the data of {of:#x} goes down, its ParentNetBufferList is {parent:#x}"),
                );
            }
        }
        if parent == 0 || !sent(parent) {
            return;
        }
        let children: i32 = self.get(
            parent + at!(NET_BUFFER_LIST.ChildRefCount),
            "ParentNetBufferList",
        );
        if children < 1 {
            self.violate(
                "SND-11",
                format!(
                    "list {list:#x} goes down, its parent {parent:#x} counts {children} children"
                ),
            );
        }
        let copied = self.ndis(|n| n.ledger.made.get(&list).and_then(|m| m.send_info));
        if copied != Some(parent) {
            self.violate(
                "SND-10",
                format!("list {list:#x} goes down without NdisCopySendNetBufferListInfo"),
            );
        }
        let id = |of: u64| -> u64 { self.get(info(of, NetBufferListCancelId), "cancel id") };
        if id(list) != id(parent) {
            self.violate(
                "SND-14",
                format!("list {list:#x} goes down without the cancel id of its parent"),
            );
        }
    }

    /// Whether a protocol sent more than its miniport takes.
    fn any_too_long(&self, lists: &[u64]) -> bool {
        self.ndis(|n| {
            lists.iter().any(|of| {
                let r = n.ledger.lists.get(of);
                r.is_some_and(|r| match r.path {
                    Path::Send { miniport, .. } => {
                        let m = n.miniports.get(&miniport);
                        m.is_none_or(|m| r.longest > m.facts.mtu + 14)
                    }
                    Path::Receive { .. } | Path::Own => false,
                })
            })
        })
    }

    /// What the driver makes longer is no longer than the adapter takes: MTU and MAC header.
    fn check_length(&self, list: u64, nic: usize) {
        let most = self.ndis(|n| n.nics[nic].config.mtu) + 14;
        let segmented = [TcpLargeSendNetBufferListInfo, UdpSegmentationOffloadInfo]
            .iter()
            .any(|&entry| self.get::<u64>(info(list, entry), "large send") != 0);
        let length = longest(self, list);
        if length > most && !segmented {
            self.violate(
                "HOST-LENGTH",
                format!("list {list:#x} goes down with {length} bytes, the adapter takes {most}"),
            );
        }
    }

    /// SND-17: the MAC header lies in one MDL, and is that of the whole list.
    fn check_ethernet(&self, list: u64) {
        let mut first: Option<([u8; 14], u64)> = None;
        for buffer in buffers(self, list) {
            let nb: NET_BUFFER = self.get(buffer, "NET_BUFFER");
            let frame = frame_of(self, buffer);
            if frame.len() < nb.DataLength as usize {
                self.violate(
                    "SND-17",
                    format!(
                        "list {list:#x} describes {} bytes, its MDLs hold {}",
                        nb.DataLength,
                        frame.len()
                    ),
                );
            }
            let header = mac_header(&frame).min(frame.len());
            if cuts(self, &nb).first().is_some_and(|&cut| cut < header) {
                self.violate(
                    "SND-17",
                    format!("the MAC header of list {list:#x} is split over MDLs"),
                );
            }
            if let Some(&mac) = frame.first_chunk::<14>() {
                let this = (mac, flow(&frame));
                if first.is_some_and(|first| first != this) {
                    self.violate(
                        "SND-17",
                        format!("the NET_BUFFERs of list {list:#x} differ in addresses, type or connection"),
                    );
                }
                first = Some(this);
            }
        }
    }

    /// Checks a list that goes up. The driver still has it.
    pub(crate) fn check_indicated(&self, list: u64, miniport: u64, lent: bool) {
        let Some(record) = self.ndis(|n| n.ledger.lists.get(&list).cloned()) else {
            return;
        };
        if record.owner != Owner::Driver {
            return;
        }
        let mut sources = vec![list];
        if record.path == Path::Own {
            let uses = uses(self, list);
            self.check_uses(list, &uses, true, lent);
            if matches!(
                self.pool_kind(list),
                Some(Kind::ProtocolDriver | Kind::Binding)
            ) {
                self.violate(
                    "NBL-3",
                    format!("list {list:#x} of a pool made with a protocol handle goes up"),
                );
            }
            let received: Vec<u64> = self.ndis(|n| {
                let is = |of: &&u64| {
                    let r = n.ledger.lists.get(of);
                    r.is_some_and(|r| matches!(r.path, Path::Receive { .. }))
                };
                uses.lists.iter().filter(is).copied().collect()
            });
            let copied = self.ndis(|n| n.ledger.made.get(&list).and_then(|m| m.receive_info));
            let stems = |from: u64| {
                let made_of = |&of: &u64| self.ndis(|n| n.ledger.stems(from, of));
                received.contains(&from) || received.iter().any(made_of)
            };
            if !received.is_empty() && copied.is_none_or(|from| !stems(from)) {
                self.violate(
                    "RCV-10",
                    format!("list {list:#x} goes up without NdisCopyReceiveNetBufferListInfo"),
                );
            }
            sources = uses.lists;
        }
        self.check_beside(list, &record);
        self.check_loop(list, miniport, &record, &sources);
        if self.is_rebuilt(list, &record) && !self.any_hostile(&sources) {
            self.check_split(list, miniport);
        }
    }

    /// Whether a list came from an adapter that splits frames where no sound one does.
    fn any_hostile(&self, lists: &[u64]) -> bool {
        self.ndis(|n| {
            lists.iter().any(|of| {
                n.ledger.lists.get(of).is_some_and(|r| match r.path {
                    Path::Receive { nic, .. } => n.nics[nic].config.splits_anywhere(),
                    Path::Send { upper, .. } => n.uppers[upper].config.rough,
                    Path::Own => false,
                })
            })
        })
    }

    /// RCV-13: no header is split, unless the first MDL holds as much as the lookahead size.
    fn check_split(&self, list: u64, miniport: u64) {
        let lookahead = self.ndis(|n| n.miniports.get(&miniport).map_or(0, |m| m.facts.lookahead));
        for buffer in buffers(self, list) {
            let nb: NET_BUFFER = self.get(buffer, "NET_BUFFER");
            let cuts = cuts(self, &nb);
            if cuts
                .first()
                .is_none_or(|&first| first >= lookahead as usize)
            {
                continue;
            }
            let frame = frame_of(self, buffer);
            let split = headers(&frame)
                .into_iter()
                .find_map(|(from, to)| cuts.iter().find(|&&cut| from < cut && cut < to).copied());
            if let Some(cut) = split {
                self.violate(
                    "RCV-13",
                    format!("list {list:#x} goes up with a header split over MDLs at byte {cut}"),
                );
            }
        }
    }

    /// RCV-12: what the flags of an indication say is true of the chain.
    pub(crate) fn check_flags(&self, lists: &[u64], frames: &[Vec<u8>], flags: u32) {
        if flags & NDIS_RECEIVE_FLAGS_SHARED_MEMORY_INFO_VALID != 0 {
            let without = lists.iter().find(|&&list| {
                let shared = |buffer: u64| -> u64 {
                    self.get(buffer + at!(NET_BUFFER.ScatterGatherList), "NET_BUFFER")
                };
                buffers(self, list).into_iter().any(|b| shared(b) == 0)
            });
            if let Some(list) = without {
                self.violate(
                    "RCV-12",
                    format!("SHARED_MEMORY_INFO_VALID is set, list {list:#x} has none"),
                );
            }
        }
        if flags & NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE != 0 {
            let kind = |f: &Vec<u8>| f.get(12..14).map(<[u8]>::to_vec);
            if frames
                .windows(2)
                .any(|pair| kind(&pair[0]) != kind(&pair[1]))
            {
                self.violate(
                    "RCV-12",
                    "SINGLE_ETHER_TYPE is set on a chain with several".into(),
                );
            }
        }
        if flags & NDIS_RECEIVE_FLAGS_SINGLE_VLAN != 0 {
            let vlans: Vec<u16> = lists
                .iter()
                .zip(frames)
                .map(|(&list, frame)| {
                    let out_of_band: u64 =
                        self.get(info(list, Ieee8021QNetBufferListInfo), "8021Q");
                    match tag::Tag::from_info(out_of_band).vlan {
                        0 => tag::in_band(frame).map_or(0, |t| t.vlan),
                        vlan => vlan,
                    }
                })
                .collect();
            if vlans.windows(2).any(|pair| pair[0] != pair[1]) {
                self.violate(
                    "RCV-12",
                    "SINGLE_VLAN is set on a chain with several".into(),
                );
            }
        }
    }
}
