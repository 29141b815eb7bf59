//! Software NICs: the adapters below.
//!
//! A NIC takes lists from bindings, puts their frames on its wire, and completes the lists
//! at once or later, out of order, mixed from several sends, on any processor. Frames from
//! the wire are indicated by one DPC at a time, so that their order is kept.

use std::collections::VecDeque;

use lab_net::Endpoint;
use ndis_sys::{
    MediaConnectStateConnected, MediaConnectStateDisconnected, NDIS_MEDIA_CONNECT_STATE,
    NDIS_OBJECT_TYPE_DEFAULT, NDIS_OBJECT_TYPE_OFFLOAD, NDIS_OBJECT_TYPE_RSS_CAPABILITIES,
    NDIS_OFFLOAD, NDIS_PACKET_TYPE_ALL_MULTICAST, NDIS_PACKET_TYPE_BROADCAST,
    NDIS_PACKET_TYPE_DIRECTED, NDIS_PACKET_TYPE_MULTICAST, NDIS_PACKET_TYPE_PROMISCUOUS,
    NDIS_PM_CAPABILITIES, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RECEIVE_FLAGS_RESOURCES,
    NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL, NDIS_STATUS_FAILURE,
    NDIS_STATUS_SUCCESS, NdisDeviceStateD2,
};

use super::EdgeState;
use super::binding::header;
use super::ledger::{Owner, Path};
use super::list::{FrameList, Shape, at, buffers, frame_of, link};
use crate::engine::{Job, Level};
use crate::handle::Kind;
use crate::host::Host;

/// What a NIC is.
#[derive(Clone, Debug)]
pub struct NicConfig {
    /// Name; its device is `\DEVICE\<name>`.
    pub name: String,
    /// Permanent and current address.
    pub mac: [u8; 6],
    /// MTU without the Ethernet header.
    pub mtu: u32,
    /// Bits per second.
    pub link_speed: u64,
    /// One-way latency of the wire in nanoseconds.
    pub latency: u64,
    /// Lists for receives.
    pub receive_lists: u64,
    /// Frames that wait for a receive list before more are dropped.
    pub queue_depth: usize,
    /// Share of sends (0 to 1) that pend.
    pub pend: f64,
    /// Share of receive batches (0 to 1) that are lent with RESOURCES.
    pub resources: f64,
    /// Whether pended sends complete out of order.
    pub out_of_order: bool,
    /// Largest receive batch.
    pub batch: u64,
    /// Data backfill it wants of senders.
    pub data_backfill: u32,
    /// Context backfill it wants of senders.
    pub context_backfill: u32,
    /// Context room of the lists it indicates.
    pub receive_context: u16,
    /// Reports power management capabilities.
    pub pm: bool,
    /// Reports RSS.
    pub rss: bool,
    /// Reports checksum offload.
    pub offload: bool,
    /// Interface index.
    pub if_index: u32,
    /// Cable plugged in.
    pub connected: bool,
    /// Indicates frames of any length, even none, in MDL chains that no sound adapter makes.
    pub rough: bool,
}

impl Default for NicConfig {
    fn default() -> Self {
        Self {
            name: "NIC0".into(),
            mac: [0x02, 0, 0, 0, 0, 0x01],
            mtu: 1500,
            link_speed: 10_000_000_000,
            latency: 5_000,
            receive_lists: 256,
            queue_depth: 4096,
            pend: 0.5,
            resources: 0.1,
            out_of_order: true,
            batch: 32,
            data_backfill: 0,
            context_backfill: 0,
            receive_context: 64,
            pm: true,
            rss: true,
            offload: true,
            if_index: 1,
            connected: true,
            rough: false,
        }
    }
}

impl NicConfig {
    /// Whether frames come up split where no sound adapter splits them.
    pub(crate) const fn splits_anywhere(&self) -> bool {
        self.rough
    }

    pub(crate) const fn connect_state(&self) -> NDIS_MEDIA_CONNECT_STATE {
        if self.connected {
            MediaConnectStateConnected
        } else {
            MediaConnectStateDisconnected
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "a property of this NIC, whatever it depends on"
    )]
    pub(crate) const fn packet_filters(&self) -> u32 {
        NDIS_PACKET_TYPE_DIRECTED
            | NDIS_PACKET_TYPE_MULTICAST
            | NDIS_PACKET_TYPE_ALL_MULTICAST
            | NDIS_PACKET_TYPE_BROADCAST
            | NDIS_PACKET_TYPE_PROMISCUOUS
    }

    #[expect(
        clippy::unused_self,
        reason = "a property of this NIC, whatever it depends on"
    )]
    pub(crate) fn pm_capabilities(&self) -> NDIS_PM_CAPABILITIES {
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut pm: NDIS_PM_CAPABILITIES = unsafe { std::mem::zeroed() };
        pm.Header = header(
            NDIS_OBJECT_TYPE_DEFAULT,
            2,
            size_of::<NDIS_PM_CAPABILITIES>(),
        );
        pm.SupportedWoLPacketPatterns = 1;
        pm.NumTotalWoLPatterns = 8;
        pm.MaxWoLPatternSize = 128;
        pm.MinMagicPacketWakeUp = NdisDeviceStateD2;
        pm.MinPatternWakeUp = NdisDeviceStateD2;
        pm
    }

    #[expect(
        clippy::unused_self,
        reason = "a property of this NIC, whatever it depends on"
    )]
    pub(crate) fn rss_capabilities(&self) -> NDIS_RECEIVE_SCALE_CAPABILITIES {
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut rss: NDIS_RECEIVE_SCALE_CAPABILITIES = unsafe { std::mem::zeroed() };
        rss.Header = header(
            NDIS_OBJECT_TYPE_RSS_CAPABILITIES,
            2,
            size_of::<NDIS_RECEIVE_SCALE_CAPABILITIES>(),
        );
        rss.NumberOfInterruptMessages = 1;
        rss.NumberOfReceiveQueues = 1;
        rss.NumberOfIndirectionTableEntries = 128;
        rss
    }

    #[expect(
        clippy::unused_self,
        reason = "a property of this NIC, whatever it depends on"
    )]
    pub(crate) fn offload_capabilities(&self) -> NDIS_OFFLOAD {
        // SAFETY: plain data of the ABI; all zero (nothing offloaded) is a value of it.
        let mut o: NDIS_OFFLOAD = unsafe { std::mem::zeroed() };
        o.Header = header(NDIS_OBJECT_TYPE_OFFLOAD, 6, size_of::<NDIS_OFFLOAD>());
        o
    }
}

/// What a NIC did, for the summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct NicMix {
    /// Lists that came down.
    pub sends: u64,
    /// Of them completed before the send call returned.
    pub completed_inside: u64,
    /// Completed later.
    pub pended: u64,
    /// Of them out of the order they came in.
    pub out_of_order: u64,
    /// Of them on another processor than they came on.
    pub other_processor: u64,
    /// Lists indicated.
    pub receives: u64,
    /// Of them lent with RESOURCES.
    pub lent: u64,
    /// Receive batches.
    pub batches: u64,
    /// Frames dropped: link down, paused, filtered, no receive list.
    pub dropped: u64,
    /// Bytes down.
    pub bytes_sent: u64,
    /// Bytes up.
    pub bytes_received: u64,
}

struct Pending {
    list: u64,
    binding: u64,
    cpu: u32,
    serial: u64,
    fail: bool,
}

/// A software NIC.
pub struct Nic {
    /// Its configuration.
    pub config: NicConfig,
    /// What it did.
    pub mix: NicMix,
    pub(crate) far: Option<Box<dyn Endpoint>>,
    pub(crate) wire: VecDeque<(u64, Vec<u8>)>,
    wire_busy: bool,
    /// When the wire is free again for the next frame, each way.
    free_at: [u64; 2],
    up: VecDeque<(u64, Vec<u8>)>,
    up_busy: bool,
    pub(crate) rx: VecDeque<Vec<u8>>,
    rx_busy: bool,
    pool: FrameList,
    /// SourceHandles its lists carry in turn, so that a constant is caught.
    sources: [u64; 3],
    pending: Vec<Pending>,
    completing: bool,
    serial: u64,
    far_due: Option<u64>,
    /// Removed by surprise.
    pub(crate) gone: bool,
    /// Keeps every send until told otherwise.
    pub(crate) stuck: bool,
    /// It resets; the number of crossings when the driver had been told.
    pub(crate) resetting: Option<u64>,
    /// Records of frames, when somebody listens.
    pub(crate) tap: Option<FrameTap>,
    /// Value of the private scratch OID.
    pub(crate) scratch: [u8; 16],
}

impl Nic {
    /// Puts a frame on the wire at the link's speed; when it arrives at the other end.
    fn transmit(&mut self, way: usize, now: u64, len: usize) -> u64 {
        let bits = 8 * (len as u64 + 24);
        let time = bits.saturating_mul(1_000_000_000) / self.config.link_speed.max(1);
        self.free_at[way] = self.free_at[way].max(now) + time;
        self.free_at[way] + self.config.latency
    }

    pub(crate) const fn sources(&self) -> [u64; 3] {
        self.sources
    }
}

/// Called with each frame on a wire: time, up (towards the host)?, bytes.
pub type FrameTap = Box<dyn FnMut(u64, bool, &[u8]) + Send>;

impl Host {
    /// Adds a NIC whose wire ends at `far`; returns its index.
    pub fn add_nic(&self, config: NicConfig, far: Box<dyn Endpoint>) -> usize {
        let frame = config.mtu + 18;
        self.ndis(|n| {
            let sources = [(); 3].map(|()| n.handles.open(Kind::Nic));
            let pool = FrameList::new(
                sources[0],
                config.receive_lists,
                frame,
                0,
                config.receive_context,
            );
            let pool = if config.rough { pool.rough() } else { pool };
            n.nics.push(Nic {
                config,
                mix: NicMix::default(),
                far: Some(far),
                wire: VecDeque::new(),
                wire_busy: false,
                free_at: [0; 2],
                up: VecDeque::new(),
                up_busy: false,
                rx: VecDeque::new(),
                rx_busy: false,
                pool,
                sources,
                pending: Vec::new(),
                completing: false,
                serial: 0,
                far_due: None,
                gone: false,
                stuck: false,
                resetting: None,
                tap: None,
                scratch: [0; 16],
            });
            n.nics.len() - 1
        })
    }

    /// What a NIC did so far.
    pub fn nic_mix(&self, nic: usize) -> NicMix {
        self.ndis(|n| n.nics[nic].mix)
    }

    /// A NIC's configuration as it is now.
    pub fn nic_config(&self, nic: usize) -> NicConfig {
        self.ndis(|n| n.nics[nic].config.clone())
    }

    /// Records each frame on a NIC's wire.
    pub fn listen(&self, nic: usize, tap: FrameTap) {
        self.ndis(|n| n.nics[nic].tap = Some(tap));
    }

    /// Keeps every send from now on (true) or lets them go (false).
    pub fn nic_stick(&self, nic: usize, stuck: bool) {
        self.ndis(|n| n.nics[nic].stuck = stuck);
        if !stuck {
            self.complete_later(nic);
        }
    }

    /// Lets the far end speak and pending work go on.
    pub fn nic_kick(&self, nic: usize) {
        self.far_poll(nic);
        self.rx_kick(nic);
    }

    /// Lists of a binding come down from the driver.
    pub(crate) fn nic_send(&self, nic: usize, binding: u64, lists: &[u64]) {
        let cpu = self.vp().index;
        let mut inside = Vec::new();
        for &list in lists {
            let mut frames = Vec::new();
            for buffer in buffers(self, list) {
                frames.push(frame_of(self, buffer));
            }
            let now = self.now();
            let share = self.ndis(|n| n.nics[nic].config.pend);
            let pend = self.chance(share);
            self.ndis(|n| {
                let x = &mut n.nics[nic];
                x.mix.sends += 1;
                let up = x.config.connected && !x.gone;
                for frame in frames {
                    if up {
                        x.mix.bytes_sent += frame.len() as u64;
                        if let Some(tap) = &mut x.tap {
                            tap(now, false, &frame);
                        }
                        let due = x.transmit(0, now, frame.len());
                        x.wire.push_back((due, frame));
                    } else {
                        x.mix.dropped += 1;
                    }
                }
                x.serial += 1;
                if pend || x.stuck {
                    x.mix.pended += 1;
                    x.pending.push(Pending {
                        list,
                        binding,
                        cpu,
                        serial: x.serial,
                        fail: !up,
                    });
                } else {
                    x.mix.completed_inside += 1;
                    inside.push((list, !up));
                }
            });
        }
        self.wire_kick(nic);
        self.complete_sends(binding, &inside);
        self.complete_later(nic);
    }

    /// Completes sends toward the driver's protocol edge.
    pub(crate) fn complete_sends(&self, binding: u64, lists: &[(u64, bool)]) {
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
        for &(list, fail) in lists {
            if fail {
                self.child_failed(list);
            }
            self.hand_back(list, "ProtocolSendNetBufferListsComplete");
            let status = if fail {
                NDIS_STATUS_FAILURE
            } else {
                NDIS_STATUS_SUCCESS
            };
            self.put(list + at!(NET_BUFFER_LIST.Status), status.0, "Status");
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

    /// Starts the DPC that completes what pends, if it is not under way.
    fn complete_later(&self, nic: usize) {
        let start = self.ndis(|n| {
            let x = &mut n.nics[nic];
            let start = !x.completing && !x.pending.is_empty() && !x.stuck;
            x.completing |= start;
            start
        });
        if start {
            let delay = 500 + self.engine().random(20_000);
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
        let (binding, chain) = self.ndis(|n| {
            let x = &mut n.nics[nic];
            x.completing = false;
            if x.stuck {
                return (0, Vec::new());
            }
            let Some(binding) = x.pending.first().map(|p| p.binding) else {
                return (0, Vec::new());
            };
            let shuffle = x.config.out_of_order && order;
            let mut due: Vec<Pending> = Vec::new();
            let mut keep = Vec::new();
            for (i, p) in x.pending.drain(..).enumerate() {
                // Out of order: about half of them, the later ones first.
                let take = p.binding == binding && (!shuffle || (pick >> (i % 29)) & 1 == 0);
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

    /// Starts delivery of what is on the wire.
    fn wire_kick(&self, nic: usize) {
        let due = self.ndis(|n| {
            let x = &mut n.nics[nic];
            if x.wire_busy {
                return None;
            }
            let due = x.wire.front().map(|f| f.0);
            x.wire_busy = due.is_some();
            due
        });
        if let Some(due) = due {
            let delay = due.saturating_sub(self.now());
            self.spawn_after(
                delay,
                Job::thread("wire", move |host| host.wire_deliver(nic)),
            );
        }
    }

    fn wire_deliver(&self, nic: usize) {
        let now = self.now();
        self.ndis(|n| {
            let x = &mut n.nics[nic];
            x.wire_busy = false;
            while x.wire.front().is_some_and(|f| f.0 <= now) {
                let (_, frame) = x.wire.pop_front().expect("front");
                if let Some(far) = &mut x.far {
                    far.on_frame(now, &frame);
                }
            }
        });
        self.wire_kick(nic);
        self.far_poll(nic);
    }

    /// Lets the far end send, and comes back when it wants to.
    pub(crate) fn far_poll(&self, nic: usize) {
        let now = self.now();
        let next = self.ndis(|n| {
            let x = &mut n.nics[nic];
            let mut arrived = Vec::new();
            let room = x.config.queue_depth.saturating_sub(x.rx.len() + x.up.len());
            if let Some(far) = &mut x.far
                && room > 0
            {
                let room = room.min(512);
                far.poll(now, &mut |frame| {
                    arrived.push(frame);
                    arrived.len() < room
                });
            }
            let next = x.far.as_mut().and_then(|f| f.next_poll(now));
            // A poll that ended for lack of room is repeated when there is some.
            let next = next.filter(|&at| at > now || arrived.len() < room);
            let due = next.map(|at| at.max(now + 1_000));
            let due = due.filter(|&at| x.far_due.is_none_or(|d| d <= now || at < d));
            if due.is_some() {
                x.far_due = due;
            }
            for frame in arrived {
                let due = x.transmit(1, now, frame.len());
                x.up.push_back((due, frame));
            }
            due
        });
        self.up_kick(nic);
        if let Some(at) = next {
            self.spawn_after(
                at - now,
                Job::thread("far end timer", move |host| {
                    let now = host.now();
                    host.ndis(|n| {
                        let x = &mut n.nics[nic];
                        if x.far_due.is_some_and(|d| d <= now) {
                            x.far_due = None;
                        }
                    });
                    host.far_poll(nic);
                }),
            );
        }
    }

    /// Starts the arrival of what comes up the wire; one at a time, so that order is kept.
    fn up_kick(&self, nic: usize) {
        let due = self.ndis(|n| {
            let x = &mut n.nics[nic];
            if x.up_busy {
                return None;
            }
            let due = x.up.front().map(|f| f.0);
            x.up_busy = due.is_some();
            due
        });
        if let Some(due) = due {
            let delay = due.saturating_sub(self.now());
            self.spawn_after(
                delay,
                Job::thread("wire up", move |host| host.up_deliver(nic)),
            );
        }
    }

    fn up_deliver(&self, nic: usize) {
        let now = self.now();
        self.ndis(|n| {
            let x = &mut n.nics[nic];
            x.up_busy = false;
            while x.up.front().is_some_and(|f| f.0 <= now) {
                let (_, frame) = x.up.pop_front().expect("front");
                if let Some(tap) = &mut x.tap {
                    tap(now, true, &frame);
                }
                if x.config.connected && !x.gone {
                    x.rx.push_back(frame);
                } else {
                    x.mix.dropped += 1;
                }
            }
        });
        self.up_kick(nic);
        self.rx_kick(nic);
        self.far_poll(nic);
    }

    /// Starts the DPC that indicates received frames, if it is not under way.
    pub(crate) fn rx_kick(&self, nic: usize) {
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
        let (binding, filter, batch, lend) = self.ndis(|n| {
            let config = &n.nics[nic].config;
            let binding = n
                .bindings
                .iter()
                .find(|(_, b)| b.nic == nic && b.state == EdgeState::Running && !b.asleep)
                .map(|(h, b)| (*h, b.packet_filter));
            let (binding, filter) = binding.map_or((0, 0), |(h, f)| (h, f));
            (binding, filter, config.batch, config.resources)
        });
        let batch = 1 + self.engine().random(batch.max(1));
        let lent = self.chance(lend);
        let mut lists = Vec::new();
        while (lists.len() as u64) < batch {
            let next = self.ndis(|n| {
                let x = &mut n.nics[nic];
                (x.pool.available() > 0).then(|| x.rx.pop_front()).flatten()
            });
            let Some(frame) = next else { break };
            let (wanted, rough) = self.ndis(|n| {
                let x = &mut n.nics[nic];
                let rough = x.config.rough;
                let short = rough && frame.len() < 6;
                let wanted = binding != 0 && (short || wants(filter, x.config.mac, &frame));
                if !wanted {
                    x.mix.dropped += 1;
                }
                (wanted, rough)
            });
            if !wanted {
                continue;
            }
            let split = if self.engine().random(8) == 0 {
                1514.min(frame.len() / 2 + 64)
            } else {
                0
            };
            let shape = if rough {
                // RCV-13: one NET_BUFFER in each received list.
                Shape::absurd(self, frame.len(), false)
            } else {
                Shape::split(split, frame.len())
            };
            // The pool is taken out while a list is built: building may allocate.
            let mut pool = self.ndis(|n| std::mem::take(&mut n.nics[nic].pool));
            let list = pool.take(self, &frame, &shape);
            let serial = self.ndis(|n| {
                let x = &mut n.nics[nic];
                x.pool.restore(pool);
                x.serial += 1;
                x.serial
            });
            if let Some(list) = list {
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
                });
                lists.push(list);
            }
        }
        if !lists.is_empty() {
            self.ndis(|n| n.nics[nic].mix.batches += 1);
            self.indicate_up(nic, binding, &lists, lent);
        }
        self.ndis(|n| n.nics[nic].rx_busy = false);
        self.rx_kick(nic);
        self.far_poll(nic);
    }

    /// Indicates lists of a NIC to a binding of the driver.
    pub(crate) fn indicate_up(&self, nic: usize, binding: u64, lists: &[u64], lent: bool) {
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
        let mut flags = NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL;
        if lent {
            flags |= NDIS_RECEIVE_FLAGS_RESOURCES;
        }
        self.call(
            "ProtocolReceiveNetBufferLists",
            binding,
            handler,
            &[context, first, 0, lists.len() as u64, u64::from(flags)],
        );
        if lent {
            // RCV-2: the lists are NDIS's again, chain and all.
            let mut expected = first;
            for (i, &list) in lists.iter().enumerate() {
                let record = self.ndis(|n| n.ledger.lists.get(&list).cloned());
                match record {
                    Some(r) if r.owner == Owner::Driver => {
                        self.hand_out(list, &r, "RCV-6", "RCV-2");
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
                        self.ndis(|n| n.ledger.lists.remove(&list));
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
            self.ndis(|n| {
                if let Some(b) = n.bindings.get_mut(&binding) {
                    b.receives = b.receives.saturating_sub(lists.len() as u64);
                }
            });
            self.take_back(nic, lists);
        }
    }

    /// Lists are back at their NIC.
    pub(crate) fn take_back(&self, nic: usize, lists: &[u64]) {
        self.ndis(|n| {
            for &list in lists {
                n.nics[nic].pool.give(list);
            }
        });
        self.rx_kick(nic);
    }
}

/// Whether a packet filter lets a frame through.
fn wants(filter: u32, mac: [u8; 6], frame: &[u8]) -> bool {
    let Some(to) = frame.get(..6) else {
        return false;
    };
    if filter & NDIS_PACKET_TYPE_PROMISCUOUS != 0 {
        return true;
    }
    if to == [0xFF; 6] {
        return filter & NDIS_PACKET_TYPE_BROADCAST != 0;
    }
    if to[0] & 1 != 0 {
        return filter & (NDIS_PACKET_TYPE_ALL_MULTICAST | NDIS_PACKET_TYPE_MULTICAST) != 0;
    }
    to == &mac[..] && filter & NDIS_PACKET_TYPE_DIRECTED != 0
}

impl Host {
    /// Completes what pends on a binding with a cancel id.
    pub(crate) fn nic_cancel(&self, binding: u64, id: u64) {
        let Some(nic) = self.ndis(|n| n.bindings.get(&binding).map(|b| b.nic)) else {
            return;
        };
        let info =
            at!(NET_BUFFER_LIST.NetBufferListInfo) + 8 * ndis_sys::NetBufferListCancelId.0 as u64;
        let due = self.ndis(|n| {
            let mut due = Vec::new();
            n.nics[nic].pending.retain(|p| {
                let matches = p.binding == binding
                    && self
                        .arena
                        .read::<u64>(p.list + info)
                        .is_ok_and(|cancel| cancel == id);
                if matches {
                    due.push((p.list, true));
                }
                !matches
            });
            due
        });
        self.complete_sends(binding, &due);
    }

    /// Whether nothing is on a NIC's wire, in its queues or in its hands.
    pub fn nic_is_idle(&self, nic: usize) -> bool {
        self.ndis(|n| {
            let x = &n.nics[nic];
            x.wire.is_empty()
                && x.up.is_empty()
                && x.rx.is_empty()
                && x.pending.is_empty()
                && !x.rx_busy
        })
    }

    /// Lists that pend at a NIC.
    pub fn nic_pending(&self, nic: usize) -> usize {
        self.ndis(|n| n.nics[nic].pending.len())
    }
}
