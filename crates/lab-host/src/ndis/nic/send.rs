//! The send side of a NIC.

use ndis_sys::{
    Ieee8021QNetBufferListInfo, NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL, NDIS_STATUS_FAILURE,
    NDIS_STATUS_SEND_ABORTED, NDIS_STATUS_SUCCESS, NetBufferListCancelId,
};

use super::{Medium, Nic, NicConfig, Way};
use crate::engine::Job;
use crate::host::Host;
use crate::ndis::list::{at, buffers, frame_of, link};
use crate::ndis::nbl::info;
use crate::ndis::tag::{self, Tag};

/// Foreign addresses that a NIC names in the log.
const NAMED: u64 = 4;

/// A list that the NIC completes later.
pub(super) struct Pending {
    list: u64,
    binding: u64,
    cpu: u32,
    serial: u64,
    fail: bool,
    /// When its last frame has left, on a paced NIC.
    due: u64,
}

impl Pending {
    /// The cable is out: what has not left never will.
    pub(super) fn cut(&mut self, now: u64) {
        if self.due > now {
            self.due = now;
            self.fail = true;
        }
    }
}

/// What becomes of a frame with this information beside it.
fn tagged(config: &NicConfig, frame: &mut Vec<u8>, tag: Tag) -> bool {
    if tag.is_none() || (!config.vlan_offload && (tag.vlan != 0 || tag::in_band(frame).is_some())) {
        return false;
    }
    tag::insert(frame, tag)
}

impl Nic {
    /// Takes a frame to the wire; when it has left, or a line for the log when it is dropped
    /// for its sender.
    pub(crate) fn take_frame(
        &mut self,
        now: u64,
        mut frame: Vec<u8>,
        tag: Tag,
    ) -> (u64, Option<String>) {
        if !self.config.connected || self.gone {
            self.mix.dropped += 1;
            // It came before the driver was told: as lost as those that were here already.
            self.mix.cut += u64::from(self.config.paced);
            self.trace_frame(now, false, true, &frame);
            return (now, None);
        }
        let from = frame.get(6..12);
        if self.config.medium == Medium::Wifi && from.is_some_and(|from| from != self.config.mac) {
            self.mix.foreign += 1;
            self.mix.dropped += 1;
            let say = self.mix.foreign <= NAMED;
            let line = say.then(|| {
                format!(
                    "a frame from {:02x?} is dropped: this adapter has one address only",
                    from.unwrap_or_default()
                )
            });
            return (now, line);
        }
        self.mix.tags_inserted += u64::from(tagged(&self.config, &mut frame, tag));
        self.mix.bytes_sent += frame.len() as u64;
        self.trace_frame(now, false, false, &frame);
        if let Some(tap) = &mut self.tap {
            tap(now, false, &frame);
        }
        (self.transmit(Way::Down, now, frame), None)
    }
}

impl Host {
    /// Lists of a binding come down from the driver.
    pub(crate) fn nic_send(&self, nic: usize, binding: u64, lists: &[u64]) {
        if self.send_below(nic, binding, lists) {
            return;
        }
        let cpu = self.vp().index;
        let mut inside = Vec::new();
        for &list in lists {
            let mut frames = Vec::new();
            for buffer in buffers(self, list) {
                frames.push(frame_of(self, buffer));
            }
            let tag = Tag::from_info(self.get(info(list, Ieee8021QNetBufferListInfo), "8021Q"));
            self.check_out_of_band(nic, list, tag);
            let now = self.now();
            let share = self.ndis(|n| n.nics[nic].config.pend);
            let pend = self.chance(share);
            let pend = self.later(pend);
            let (said, name) = self.ndis(|n| {
                let x = &mut n.nics[nic];
                x.mix.sends += 1;
                let up = x.config.connected && !x.gone;
                let mut said = Vec::new();
                let mut due = now;
                for frame in frames {
                    let (left, line) = x.take_frame(now, frame, tag);
                    due = due.max(left);
                    said.extend(line);
                }
                x.serial += 1;
                if pend || x.stuck || x.config.paced {
                    x.mix.pended += 1;
                    x.pending.push(Pending {
                        list,
                        binding,
                        cpu,
                        serial: x.serial,
                        fail: !up,
                        due,
                    });
                } else {
                    x.mix.completed_inside += 1;
                    inside.push((list, !up));
                }
                let name = if said.is_empty() {
                    String::new()
                } else {
                    x.config.name.clone()
                };
                (said, name)
            });
            for line in said {
                self.log(1, &name, line);
            }
        }
        self.wire_kick(nic, Way::Down);
        self.complete_sends(binding, &inside);
        self.complete_later(nic);
    }

    /// An adapter that does not offer VLAN tags takes no VLAN beside a frame.
    pub(crate) fn check_out_of_band(&self, nic: usize, list: u64, tag: Tag) {
        if tag.vlan == 0 {
            return;
        }
        let able = self.ndis(|n| n.nics[nic].config.vlan_offload);
        if !able {
            self.violate(
                "HOST-8021Q",
                format!(
                    "list {list:#x} goes down with VLAN {} beside it, the adapter's MacOptions lack 8021Q_VLAN",
                    tag.vlan
                ),
            );
        }
    }

    /// Completes sends toward the driver's protocol edge.
    pub(crate) fn complete_sends(&self, binding: u64, lists: &[(u64, bool)]) {
        let status = |fail| {
            if fail {
                NDIS_STATUS_FAILURE.0
            } else {
                NDIS_STATUS_SUCCESS.0
            }
        };
        let done: Vec<_> = lists
            .iter()
            .map(|&(list, fail)| (list, status(fail)))
            .collect();
        self.complete_with(binding, &done);
    }

    /// The same with the status of each list.
    pub(crate) fn complete_with(&self, binding: u64, lists: &[(u64, i32)]) {
        if lists.is_empty() {
            return;
        }
        let found = self.ndis(|n| {
            let b = n.bindings.get_mut(&binding)?;
            b.sends = b.sends.saturating_sub(lists.len() as u64);
            let context = b.context;
            let protocol = b.protocol;
            let handler = n
                .protocols
                .get(&protocol)?
                .chars
                .SendNetBufferListsCompleteHandler?;
            Some((context, handler as usize as u64))
        });
        let Some((context, handler)) = found else {
            return;
        };
        for &(list, status) in lists {
            self.child_done(list, status == NDIS_STATUS_SUCCESS.0);
            self.finish_large_send(list);
            self.hand_back(list, "ProtocolSendNetBufferListsComplete");
            self.put(list + at!(NET_BUFFER_LIST.Status), status, "Status");
        }
        let chain: Vec<u64> = lists.iter().map(|l| l.0).collect();
        let first = link(self, &chain);
        let flags = if self.vp().irql() >= crate::vp::DISPATCH {
            NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL
        } else {
            0
        };
        self.call(
            "ProtocolSendNetBufferListsComplete",
            binding,
            handler,
            &[context, first, u64::from(flags)],
        );
    }

    /// Completes what pends at a NIC with a status.
    pub(crate) fn nic_abort(&self, nic: usize, status: i32) {
        let mut by_binding: Vec<(u64, Vec<(u64, i32)>)> = Vec::new();
        let back = self.ndis(|n| std::mem::take(&mut n.nics[nic].pending));
        for p in &back {
            match by_binding.iter_mut().find(|(b, _)| *b == p.binding) {
                Some((_, lists)) => lists.push((p.list, status)),
                None => by_binding.push((p.binding, vec![(p.list, status)])),
            }
        }
        self.ndis(|n| n.judge.reset_back.extend(back.iter().map(|p| p.list)));
        for (binding, lists) in by_binding {
            self.complete_with(binding, &lists);
        }
    }

    /// Starts the DPC that completes what pends, if it is not under way.
    pub(super) fn complete_later(&self, nic: usize) {
        let start = self.ndis(|n| {
            let x = &mut n.nics[nic];
            let start = !x.completing && !x.pending.is_empty() && !x.stuck;
            x.completing |= start;
            let first = x.pending.iter().map(|p| p.due).min();
            start.then(|| first.filter(|_| x.config.paced))
        });
        if let Some(first) = start {
            let moderation = 500 + self.engine().random(20_000);
            let delay = first.map_or(0, |due| due.saturating_sub(self.now())) + moderation;
            self.spawn_after(
                delay,
                Job::dpc("NIC send completion", move |host| {
                    host.complete_pending(nic);
                }),
            );
        }
    }

    fn complete_pending(&self, nic: usize) {
        let order = self.engine().random(2) == 0;
        let pick = self.engine().random(1 << 30);
        let cpu = self.vp().index;
        let now = self.now();
        let (binding, chain) = self.ndis(|n| {
            let x = &mut n.nics[nic];
            x.completing = false;
            if x.stuck {
                return (0, Vec::new());
            }
            let Some(binding) = x.pending.first().map(|p| p.binding) else {
                return (0, Vec::new());
            };
            let paced = x.config.paced;
            let shuffle = x.config.out_of_order && order;
            let mut due: Vec<Pending> = Vec::new();
            let mut keep = Vec::new();
            for (i, p) in x.pending.drain(..).enumerate() {
                // Out of order: about half of them, the later ones first.
                let due_now = !paced || p.due <= now;
                let take =
                    p.binding == binding && due_now && (!shuffle || (pick >> (i % 29)) & 1 == 0);
                if take {
                    due.push(p);
                } else {
                    keep.push(p);
                }
            }
            if shuffle {
                due.reverse();
            }
            let oldest_kept = keep.first().map_or(u64::MAX, |p| p.serial);
            let mut last = 0;
            for p in &due {
                if p.serial > oldest_kept || p.serial < last {
                    x.mix.out_of_order += 1;
                }
                last = p.serial;
                if p.cpu != cpu {
                    x.mix.other_processor += 1;
                }
            }
            x.pending = keep;
            (binding, due.into_iter().map(|p| (p.list, p.fail)).collect())
        });
        self.complete_sends(binding, &chain);
        self.complete_later(nic);
    }

    /// Completes what pends on a binding with a cancel id, as MiniportCancelSend of the adapter
    /// does: with NDIS_STATUS_SEND_ABORTED.
    pub(crate) fn nic_cancel(&self, binding: u64, id: u64) {
        let Some(nic) = self.ndis(|n| n.bindings.get(&binding).map(|b| b.nic)) else {
            return;
        };
        if self.cancel_below(nic, id) {
            return;
        }
        let due = self.ndis(|n| {
            let mut due = Vec::new();
            n.nics[nic].pending.retain(|p| {
                let matches = p.binding == binding
                    && self
                        .arena
                        .read::<u64>(info(p.list, NetBufferListCancelId))
                        .is_ok_and(|cancel| cancel == id);
                if matches {
                    due.push((p.list, NDIS_STATUS_SEND_ABORTED.0));
                }
                !matches
            });
            due
        });
        self.complete_with(binding, &due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(vlan_offload: bool, tag: Tag) -> Vec<u8> {
        let config = NicConfig {
            vlan_offload,
            ..NicConfig::default()
        };
        let mut frame = vec![0; 60];
        tagged(&config, &mut frame, tag);
        frame
    }

    #[test]
    fn only_an_adapter_that_can_puts_a_vlan_in() {
        let tag = Tag {
            vlan: 7,
            priority: 3,
            cfi: false,
        };
        assert_eq!(tag::in_band(&sent(true, tag)), Some(tag));
        assert_eq!(tag::in_band(&sent(false, tag)), None);
    }

    #[test]
    fn what_comes_after_the_cable_went_counts_as_cut_with_it() {
        let paced = NicConfig {
            paced: true,
            ..NicConfig::default()
        };
        let host = crate::host::Host::new(
            crate::host::Config::default(),
            std::sync::Arc::new(crate::report::Collect::default()),
        )
        .expect("host");
        let nic = host.add_nic(paced, Box::new(crate::ndis::tests::Talker::default()));
        host.ndis(|n| {
            let x = &mut n.nics[nic];
            x.config.link_speed = 1_000_000;
            let (left, _) = x.take_frame(0, vec![0; 60], Tag::default());
            assert!(left > 1_000);
            x.config.connected = false;
            x.cut(1_000);
            assert_eq!(x.mix.cut, 1);
            x.take_frame(1_100, vec![0; 60], Tag::default());
            assert_eq!((x.mix.cut, x.mix.dropped), (2, 2));
        });
    }

    #[test]
    fn priority_makes_a_priority_tag_on_any_adapter() {
        let tag = Tag {
            priority: 6,
            ..Tag::default()
        };
        assert_eq!(tag::in_band(&sent(false, tag)), Some(tag));
        assert_eq!(tag::in_band(&sent(true, tag)), Some(tag));
        assert_eq!(sent(true, Tag::default()).len(), 60);
    }
}
