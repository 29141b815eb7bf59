//! Software NICs: the adapters below.
//!
//! A NIC takes lists from bindings, puts their frames on its wire, and completes the lists
//! at once or later, out of order, mixed from several sends, on any processor. Frames from
//! the wire are indicated by one DPC at a time, so that their order is kept. On the wire, and
//! for whoever listens there, tags are always in the frame.

mod assist;
mod config;
mod receive;
mod send;
mod wire;

use std::collections::VecDeque;
use std::sync::Arc;

use lab_net::Endpoint;
use ndis_sys::NDIS_STATUS_CURRENT_MAC_ADDRESS_CHANGE;

use crate::handle::Kind;
use crate::host::Host;
use crate::ndis::list::FrameList;

pub use assist::Assist;
pub use config::{Medium, NicConfig, Split};

use send::Pending;
use wire::{Lane, Way};

/// Bytes that a frame may have beyond the MTU: MAC header and two tags.
const BEYOND_MTU: u32 = 22;

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
    /// Of them read-only.
    pub read_only: u64,
    /// Receive batches.
    pub batches: u64,
    /// Frames dropped: link down, paused, filtered, no receive list.
    pub dropped: u64,
    /// Of them frames that a paced NIC was given to send and lost with its cable: those it had,
    /// and those that came before its driver knew.
    pub cut: u64,
    /// Of them because nobody asked for them: packet filter and multicast list.
    pub filtered: u64,
    /// Frames sent with a MAC address that is not the adapter's, and dropped for it.
    pub foreign: u64,
    /// Frames sent with a tag beside them, which the adapter put in.
    pub tags_inserted: u64,
    /// Frames received with a tag, which the adapter took out.
    pub tags_stripped: u64,
    /// Bytes down.
    pub bytes_sent: u64,
    /// Bytes up.
    pub bytes_received: u64,
}

/// A software NIC.
pub struct Nic {
    /// Its configuration.
    pub config: NicConfig,
    /// What it did.
    pub mix: NicMix,
    far: Option<Box<dyn Endpoint>>,
    /// The wire, down and up.
    lanes: [Lane; 2],
    rx: VecDeque<Vec<u8>>,
    rx_busy: bool,
    pool: FrameList,
    /// SourceHandles its lists carry in turn, so that a constant is caught.
    sources: [u64; 3],
    pending: Vec<Pending>,
    completing: bool,
    serial: u64,
    far_due: Option<u64>,
    /// It is a virtual miniport of another driver: the protocol that stands for the driver
    /// above.
    pub(crate) over: Option<usize>,
    /// Other NICs on the same wire.
    peers: Vec<usize>,
    /// Other NICs whose far ends are ports of the same device.
    beside: Vec<usize>,
    /// Removed by surprise.
    pub(crate) gone: bool,
    /// Keeps every send until told otherwise.
    stuck: bool,
    /// It resets; the number of crossings when the driver had been told.
    pub(crate) resetting: Option<u64>,
    /// Somebody resets it, and has not finished: another has to wait.
    pub(crate) reset_begun: bool,
    /// From before the first driver is told of a reset until the last one knows of its end.
    pub(crate) in_reset: bool,
    /// Records of frames, when somebody listens.
    tap: Option<FrameTap>,
    /// Its number, and who writes down what is on its wire.
    tracer: Option<(usize, Arc<crate::trace::Tracer>)>,
    /// Value of the private scratch OID.
    pub(crate) scratch: [u8; 16],
}

impl Nic {
    pub(crate) const fn sources(&self) -> [u64; 3] {
        self.sources
    }

    /// Changes what its wire ends at.
    pub(crate) fn set_far(&mut self, far: Box<dyn Endpoint>) {
        self.far = Some(far);
    }

    /// Takes frames that came by the wire, `most` at a time.
    pub(crate) fn take_received(&mut self, most: usize) -> Vec<Vec<u8>> {
        let count = self.rx.len().min(most);
        self.rx.drain(..count).collect()
    }

    /// Its frames go into the trace.
    pub(crate) fn trace_with(&mut self, index: usize, tracer: Option<&Arc<crate::trace::Tracer>>) {
        self.tracer = tracer.map(|tracer| (index, Arc::clone(tracer)));
    }

    /// Writes a frame on the wire into the trace, if there is one.
    fn trace_frame(&self, now: u64, up: bool, dropped: bool, frame: &[u8]) {
        if let Some((index, tracer)) = &self.tracer {
            tracer.wire(*index, &self.config.name, now, up, dropped, frame);
        }
    }
}

/// Called with each frame on a wire: time, up (towards the host)?, bytes.
pub type FrameTap = Box<dyn FnMut(u64, bool, &[u8]) + Send>;

impl Host {
    /// Adds a NIC whose wire ends at `far`; returns its index.
    pub fn add_nic(&self, config: NicConfig, far: Box<dyn Endpoint>) -> usize {
        let frame = config.mtu + BEYOND_MTU;
        self.ndis(|n| {
            let sources = [(); 3].map(|()| n.handles.open(Kind::Nic));
            let mut pool = FrameList::new(
                sources[0],
                config.receive_lists,
                frame,
                config.receive_backfill,
                config.receive_context,
            )
            .with_mdls(5);
            if config.rough {
                pool = pool.rough();
            }
            if config.read_only_ratio > 0.0 {
                pool = pool.apart();
            }
            n.nics.push(Nic {
                config,
                mix: NicMix::default(),
                far: Some(far),
                lanes: [Lane::default(), Lane::default()],
                rx: VecDeque::new(),
                rx_busy: false,
                pool,
                sources,
                pending: Vec::new(),
                completing: false,
                serial: 0,
                far_due: None,
                over: None,
                peers: Vec::new(),
                beside: Vec::new(),
                gone: false,
                stuck: false,
                resetting: None,
                reset_begun: false,
                in_reset: false,
                tap: None,
                tracer: self.tracer.get().map(|t| (n.nics.len(), Arc::clone(t))),
                scratch: [0; 16],
            });
            n.nics.len() - 1
        })
    }

    /// Puts two NICs on one wire: each hears what the other sends, and so does the far end of
    /// either.
    pub fn share_wire(&self, one: usize, other: usize) {
        self.ndis(|n| {
            n.nics[one].peers.push(other);
            n.nics[other].peers.push(one);
        });
    }

    /// The far ends of these NICs are ports of one device: what comes in by one may go out by
    /// any, so all are polled then.
    pub fn share_far(&self, nics: &[usize]) {
        self.ndis(|n| {
            for &nic in nics {
                let others = nics.iter().copied().filter(|&other| other != nic);
                n.nics[nic].beside = others.collect();
            }
        });
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

    /// The adapter's MAC address changes: its bindings are paused and restarted, as when the
    /// adapter's own driver takes a new address. They find it by `OID_802_3_CURRENT_ADDRESS`; the
    /// status that newer adapters indicate comes too.
    pub fn set_nic_mac(&self, nic: usize, mac: [u8; 6]) {
        self.change_nic(nic, |config| config.mac = mac);
    }

    /// Changes properties of an adapter while its bindings are paused, and restarts those with
    /// its attributes as they are then.
    pub fn change_nic(&self, nic: usize, change: impl FnOnce(&mut NicConfig)) {
        let bindings = self.ndis(|n| {
            let all = n.bindings.iter().filter(|(_, b)| b.nic == nic);
            all.map(|(&h, _)| h).collect::<Vec<_>>()
        });
        for &binding in &bindings {
            self.pause_binding(binding);
        }
        let (mac, assist) = self.ndis(|n| {
            let config = &mut n.nics[nic].config;
            let (mac, assist) = (config.mac, config.assist);
            change(config);
            ((config.mac != mac).then_some(config.mac), assist)
        });
        if let Some(mac) = mac {
            self.nic_status(nic, NDIS_STATUS_CURRENT_MAC_ADDRESS_CHANGE.0, &mac);
        }
        for binding in bindings {
            self.restart_with(binding, true);
        }
        // The attributes of a restart have no member for these.
        self.tell_assist(nic, &assist);
    }

    /// Changes how an adapter behaves, not what it is: nobody has to be told.
    pub fn tune_nic(&self, nic: usize, change: impl FnOnce(&mut NicConfig)) {
        self.ndis(|n| change(&mut n.nics[nic].config));
    }

    /// Whether nothing is on a NIC's wire, in its queues or in its hands.
    pub fn nic_is_idle(&self, nic: usize) -> bool {
        self.ndis(|n| {
            let x = &n.nics[nic];
            x.lanes.iter().all(Lane::is_empty)
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
