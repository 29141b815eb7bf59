//! Protocols above: what sits on a virtual miniport and talks through it.

mod traffic;

use std::collections::BTreeMap;

use lab_net::Endpoint;
use ndis_sys::{
    NDIS_RETURN_FLAGS_DISPATCH_LEVEL, NDIS_STATUS_RESET_IN_PROGRESS, OID_802_3_MULTICAST_LIST,
    OID_GEN_CURRENT_PACKET_FILTER,
};

use super::EdgeState;
use super::instance::Miniport;
use super::list::{FrameList, link};
use super::oid::OidCall;
use super::tag::Tag;
use crate::engine::Job;
use crate::handle::Kind;
use crate::host::Host;
use crate::vp::DISPATCH;

/// Bytes that a frame may have beyond the MTU: MAC header and two tags.
const BEYOND_MTU: u32 = 22;

/// How long a protocol that lets go of a miniport waits for its sends, and one that pauses,
/// whose sends have their own limit (SND-20).
const HALT: u64 = 5_000_000_000;
const PAUSE: u64 = 60_000_000_000;

/// How long a protocol that binds waits for the reset of an adapter below.
const RESET_LIMIT: u64 = 5_000_000_000;

/// What a protocol is.
#[derive(Clone, Debug)]
pub struct UpperConfig {
    /// For reports.
    pub name: String,
    /// Device name of the virtual miniport it binds to.
    pub device: String,
    /// Lists it may have under way.
    pub window: u64,
    /// Share of received lists (0 to 1) that it keeps for a while.
    pub hold: f64,
    /// Longest time it keeps them, in nanoseconds.
    pub hold_for: u64,
    /// Share of its lists (0 to 1) that lack the context room and the data backfill the miniport
    /// asked for.
    pub without_room: f64,
    /// Packet filter it sets.
    pub packet_filter: u32,
    /// Multicast addresses it sets.
    pub multicast: Vec<[u8; 6]>,
    /// The topology promises no order, not even within a connection (SND-5): round-robin does not.
    pub unordered: bool,
    /// Sends frames of any length in MDL chains that no sound protocol makes.
    pub rough: bool,
    /// What stands beside the frames it sends.
    pub tag: Tag,
    /// The endpoint gives and gets tags in its frames; the protocol turns them into information
    /// beside the frame and back.
    pub fold_tags: bool,
    /// Share of its lists (0 to 1) that are read-only, their data on protected pages.
    pub read_only: f64,
    /// Asks for large sends with this MSS, where the miniport offers offloads; 0 for none.
    pub large_send: u32,
}

impl Default for UpperConfig {
    fn default() -> Self {
        Self {
            name: "upper".into(),
            device: "\\DEVICE\\VM0".into(),
            window: 256,
            hold: 0.25,
            hold_for: 30_000,
            without_room: 0.02,
            packet_filter: ndis_sys::NDIS_PACKET_TYPE_DIRECTED
                | ndis_sys::NDIS_PACKET_TYPE_MULTICAST
                | ndis_sys::NDIS_PACKET_TYPE_ALL_MULTICAST
                | ndis_sys::NDIS_PACKET_TYPE_BROADCAST,
            multicast: Vec::new(),
            unordered: false,
            rough: false,
            tag: Tag::default(),
            fold_tags: false,
            read_only: 0.0,
            large_send: 0,
        }
    }
}

/// Called with each frame of a protocol: time, up (received)?, bytes as they lay in the list,
/// and what stood beside them.
pub type UpperTap = Box<dyn FnMut(u64, bool, &[u8], Tag) + Send>;

/// A protocol of the host.
pub struct Upper {
    /// Its configuration.
    pub config: UpperConfig,
    /// Its `SourceHandle`.
    handle: u64,
    endpoint: Option<Box<dyn Endpoint>>,
    /// It stands for the protocol edge of another driver.
    pub(crate) edge: Option<super::stack::Edge>,
    pub(crate) miniport: Option<u64>,
    running: bool,
    with_room: FrameList,
    /// Lists that are out, and whether they came without room.
    out: BTreeMap<u64, bool>,
    without_room: FrameList,
    in_flight: u64,
    polling: bool,
    again: bool,
    due: Option<u64>,
    /// Lists it keeps, and until when.
    held: Vec<(u64, u64)>,
    /// Cancel id of what it sends from now on; 0 is none.
    cancel_id: u64,
    /// Its multicast list as NDIS has it.
    groups: Vec<u8>,
    tap: Option<UpperTap>,
    /// Received frames with something beside them.
    tags: BTreeMap<Tag, u64>,
    /// Chains sent: calls of MiniportSendNetBufferLists.
    pub batches: u64,
    /// Lists sent.
    pub sent: u64,
    /// Lists completed with success.
    pub completed: u64,
    /// Lists completed with failure.
    pub failed: u64,
    /// Lists received.
    pub received: u64,
    /// Of them lent for the time of the indication only.
    pub lent: u64,
    /// Lists indicated that its packet filter does not ask for: NDIS keeps them from it.
    pub unasked: u64,
    /// Frames of other protocols on the miniport that NDIS looped back to it.
    pub looped: u64,
    /// Bytes of frames sent and received.
    pub bytes: (u64, u64),
}

impl Upper {
    /// `SourceHandle` of the lists it sends.
    pub(crate) const fn source(&self) -> u64 {
        self.handle
    }
}

impl Host {
    /// Adds a protocol that binds to its device as soon as that is initialised; returns its index.
    pub fn add_upper(&self, config: UpperConfig, endpoint: Box<dyn Endpoint>) -> usize {
        self.ndis(|n| {
            let handle = n.handles.open(Kind::Upper);
            let index = n.uppers.len();
            let device = config.device.to_uppercase();
            n.upper_devices.entry(device).or_default().push(index);
            n.uppers.push(Upper {
                groups: config.multicast.concat(),
                config,
                handle,
                endpoint: Some(endpoint),
                edge: None,
                miniport: None,
                running: false,
                with_room: FrameList::default(),
                out: BTreeMap::new(),
                without_room: FrameList::default(),
                in_flight: 0,
                polling: false,
                again: false,
                due: None,
                held: Vec::new(),
                cancel_id: 0,
                tap: None,
                tags: BTreeMap::new(),
                batches: 0,
                sent: 0,
                completed: 0,
                failed: 0,
                received: 0,
                lent: 0,
                unasked: 0,
                looped: 0,
                bytes: (0, 0),
            });
            index
        })
    }

    /// How many protocols there are.
    pub fn uppers(&self) -> usize {
        self.ndis(|n| n.uppers.len())
    }

    /// Counters of a protocol: sent, completed, failed, received.
    pub fn upper_counts(&self, upper: usize) -> (u64, u64, u64, u64) {
        self.ndis(|n| {
            let u = &n.uppers[upper];
            (u.sent, u.completed, u.failed, u.received)
        })
    }

    /// How often a protocol called MiniportSendNetBufferLists.
    pub fn upper_batches(&self, upper: usize) -> u64 {
        self.ndis(|n| n.uppers[upper].batches)
    }

    /// Bytes of frames a protocol sent and received.
    pub fn upper_bytes(&self, upper: usize) -> (u64, u64) {
        self.ndis(|n| n.uppers[upper].bytes)
    }

    /// Lists that were indicated to a protocol's miniport and that its packet filter does not
    /// ask for. NDIS filters for each protocol, so they do not reach it.
    pub fn upper_unasked(&self, upper: usize) -> u64 {
        self.ndis(|n| n.uppers[upper].unasked)
    }

    /// Lists a protocol received with RESOURCES: it could not keep them.
    pub fn upper_lent(&self, upper: usize) -> u64 {
        self.ndis(|n| n.uppers[upper].lent)
    }

    /// What stood beside the frames a protocol received, and how often; frames with nothing
    /// beside them are not counted.
    pub fn upper_tags(&self, upper: usize) -> Vec<(Tag, u64)> {
        self.ndis(|n| {
            let tags = &n.uppers[upper].tags;
            tags.iter().map(|(tag, count)| (*tag, *count)).collect()
        })
    }

    /// Sets what stands beside the frames a protocol sends from now on.
    pub fn set_upper_tag(&self, upper: usize, tag: Tag) {
        self.ndis(|n| n.uppers[upper].config.tag = tag);
    }

    /// Records each frame of a protocol as it lies in its list.
    pub fn listen_upper(&self, upper: usize, tap: UpperTap) {
        self.ndis(|n| n.uppers[upper].tap = Some(tap));
    }

    /// Gives what a protocol sends from now on a cancel id (SND-14); 0 takes it away.
    pub fn upper_cancel_id(&self, upper: usize, id: u64) {
        self.ndis(|n| n.uppers[upper].cancel_id = id);
    }

    /// Lists of a protocol that are not complete.
    pub fn upper_in_flight(&self, upper: usize) -> u64 {
        self.ndis(|n| n.uppers[upper].in_flight)
    }

    /// A protocol cancels its sends with this id (SND-13).
    pub fn cancel_sends(&self, upper: usize, id: u64) {
        let found = self.ndis(|n| {
            let miniport = n.uppers[upper].miniport?;
            let m = n.miniports.get(&miniport)?;
            let handler = n.drivers.get(&m.driver)?.chars.CancelSendHandler?;
            Some((miniport, m.context, handler as usize as u64))
        });
        if let Some((miniport, context, handler)) = found {
            self.judge_cancel(miniport, id, || {
                self.call("MiniportCancelSend", miniport, handler, &[context, id]);
            });
        }
    }

    /// Whether a protocol neither sends, waits for completions nor keeps what it received.
    pub fn upper_is_idle(&self, upper: usize) -> bool {
        self.ndis(|n| {
            let u = &n.uppers[upper];
            u.in_flight == 0 && !u.polling && u.held.is_empty()
        })
    }

    /// Whether a protocol may send now.
    pub fn upper_running(&self, upper: usize) -> bool {
        self.ndis(|n| n.uppers[upper].running)
    }

    /// The one protocol of a miniport sets another packet filter and multicast list; the status
    /// of the request that failed, or 0.
    pub fn set_upper_filter(&self, upper: usize, filter: u32, multicast: &[[u8; 6]]) -> i32 {
        let Some(miniport) = self.ndis(|n| n.uppers[upper].miniport) else {
            return ndis_sys::NDIS_STATUS_NOT_ACCEPTED.0;
        };
        // While a request is under way either answer is right: what was asked for counts as
        // asked for until it is refused, and what was until it is withdrawn.
        let before = self.ndis(|n| {
            let u = &mut n.uppers[upper];
            let before = (u.groups.clone(), u.config.packet_filter);
            u.groups.extend(multicast.concat());
            u.config.packet_filter |= filter;
            before
        });
        let call = OidCall::set(OID_802_3_MULTICAST_LIST, &multicast.concat());
        let listed = self.oid(miniport, &call).status;
        let status = if listed == 0 {
            self.oid_set_u32(miniport, OID_GEN_CURRENT_PACKET_FILTER, filter)
        } else {
            listed
        };
        self.ndis(|n| {
            let u = &mut n.uppers[upper];
            (u.groups, u.config.packet_filter) = before;
            if listed == 0 {
                u.groups = multicast.concat();
                u.config.multicast = multicast.to_vec();
            }
            if status == 0 {
                u.config.packet_filter = filter;
            }
        });
        status
    }

    /// The protocols bound to a miniport.
    pub(crate) fn uppers_of(&self, miniport: u64) -> Vec<usize> {
        self.ndis(|n| {
            let m = n.miniports.get(&miniport);
            m.map(|m| m.uppers.clone()).unwrap_or_default()
        })
    }

    /// Protocols that want this miniport's device bind to it; then it is restarted.
    pub(crate) fn attach_uppers(&self, miniport: u64) {
        let attached = self.ndis(|n| {
            let Some(m) = n.miniports.get_mut(&miniport) else {
                return Vec::new();
            };
            let facts = &m.facts;
            let attached = n.upper_devices.get(&m.name).cloned().unwrap_or_default();
            for &i in &attached {
                let u = &mut n.uppers[i];
                u.miniport = Some(miniport);
                let frame = facts.mtu + BEYOND_MTU;
                let room = facts.context_backfill as u16;
                let back = facts.data_backfill;
                let make = |back, room| {
                    let mut list = FrameList::new(u.handle, u.config.window, frame, back, room);
                    if u.config.rough {
                        list = list.rough();
                    }
                    if u.config.read_only > 0.0 {
                        list = list.apart();
                    }
                    list
                };
                u.with_room = make(back, room);
                u.without_room = make(0, 0);
            }
            m.uppers.clone_from(&attached);
            attached
        });
        self.show_above(miniport);
        self.enqueue(Job::thread("bind protocols above", move |host| {
            host.bind_uppers(miniport, &attached);
        }));
    }

    /// Protocols bind to a miniport, and NDIS restarts it. One that sleeps they bind to when it
    /// wakes.
    pub(crate) fn bind_uppers(&self, miniport: u64, uppers: &[usize]) {
        let ready =
            |m: &Miniport| m.state == EdgeState::Paused && !m.asleep && !m.waking && !m.halting;
        let is_ready = || self.ndis(|n| n.miniports.get(&miniport).is_some_and(ready));
        if !is_ready() {
            return;
        }
        // Before any traffic, as protocols do: an answer to the first frame must get through.
        // NDIS joins what several want.
        let (filter, mut groups) = self.ndis(|n| {
            let mut filter = 0;
            let mut groups = Vec::new();
            for &i in uppers.iter().filter(|&&i| n.uppers[i].edge.is_none()) {
                filter |= n.uppers[i].config.packet_filter;
                groups.extend_from_slice(&n.uppers[i].config.multicast);
            }
            (filter, groups)
        });
        groups.sort_unstable();
        groups.dedup();
        if !groups.is_empty() {
            let list = OidCall::set(OID_802_3_MULTICAST_LIST, &groups.concat());
            let _ = self.oid(miniport, &list);
        }
        if filter != 0 {
            // While an adapter resets it takes none; a protocol asks again when that is over.
            self.wait_until("for a reset below", 10_000, RESET_LIMIT, |h| {
                h.oid_set_u32(miniport, OID_GEN_CURRENT_PACKET_FILTER, filter)
                    != NDIS_STATUS_RESET_IN_PROGRESS.0
            });
        }
        // A bind at start and one at waking may both have come here: protocols bind once.
        let first = self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport).filter(|m| ready(m));
            m.is_some_and(|m| !std::mem::replace(&mut m.bound, true))
        });
        if !first {
            return;
        }
        self.bind_above(miniport);
        self.restart_miniport(miniport);
    }

    /// Protocols above stop sending and wait for nothing.
    pub(crate) fn hush_uppers(&self, miniport: u64) {
        self.pause_above(miniport);
        let uppers = self.uppers_of(miniport);
        self.ndis(|n| {
            for &i in &uppers {
                n.uppers[i].running = false;
            }
        });
        self.wait_until("for the protocols' own calls", 10_000, 1_000_000, |h| {
            h.ndis(|n| uppers.iter().all(|&i| !n.uppers[i].polling))
        });
    }

    /// Protocols above stop sending and wait for their sends.
    pub(crate) fn pause_uppers(&self, miniport: u64) {
        if !self.stop_uppers(miniport, PAUSE) {
            self.violate(
                "SND-20",
                format!("sends are not completed: {}", self.who_has_it()),
            );
        }
    }

    /// The same; whether all sends came back in that time.
    fn stop_uppers(&self, miniport: u64, limit: u64) -> bool {
        self.pause_above(miniport);
        let uppers = self.uppers_of(miniport);
        self.ndis(|n| {
            for &i in &uppers {
                n.uppers[i].running = false;
            }
        });
        // Until the last completion is back the miniport above is still Running.
        self.wait_until("for the protocols' own sends", 1_000_000, limit, |h| {
            h.ndis(|n| {
                uppers
                    .iter()
                    .all(|&i| n.uppers[i].in_flight == 0 && !n.uppers[i].polling)
            })
        })
    }

    /// Protocols above may send again.
    pub(crate) fn resume_uppers(&self, miniport: u64) {
        let uppers = self.uppers_of(miniport);
        self.ndis(|n| {
            for &i in &uppers {
                n.uppers[i].running = true;
            }
        });
        self.restart_above(miniport);
        for upper in uppers {
            self.upper_kick(upper);
        }
    }

    /// Protocols above let go of a miniport that halts.
    pub(crate) fn detach_uppers(&self, miniport: u64) {
        self.unbind_above(miniport);
        if !self.stop_uppers(miniport, HALT) {
            self.blame_sends(miniport);
        }
        self.return_held(miniport);
        let filter = self.ndis(|n| {
            n.miniports
                .get(&miniport)
                .is_some_and(|m| m.state == EdgeState::Running)
        });
        if filter {
            let _ = self.oid_set_u32(miniport, OID_GEN_CURRENT_PACKET_FILTER, 0);
        }
        let (pools, late) = self.ndis(|n| {
            let (mut pools, mut late) = (Vec::new(), Vec::new());
            let Some(m) = n.miniports.get_mut(&miniport) else {
                return (pools, late);
            };
            for i in std::mem::take(&mut m.uppers) {
                let u = &mut n.uppers[i];
                u.miniport = None;
                pools.push(std::mem::take(&mut u.with_room));
                pools.push(std::mem::take(&mut u.without_room));
                late.extend(u.held.drain(..).map(|held| held.1));
            }
            (pools, late)
        });
        // What came since the others went back: nobody finds it after this.
        self.give_up(miniport, &late);
        for mut pool in pools {
            pool.drain(self);
        }
    }

    /// Keeps lists for a while; a DPC or a thread returns them later, mixed.
    pub(crate) fn hold(&self, miniport: u64, lists: &[u64]) {
        let Some(&first) = self.uppers_of(miniport).first() else {
            // It let go of the miniport meanwhile.
            self.give_up(miniport, lists);
            return;
        };
        let longest = self.ndis(|n| n.uppers[first].config.hold_for);
        let delay = self.engine().random(longest.max(1));
        let until = self.now().saturating_add(delay);
        self.ndis(|n| {
            let held = &mut n.uppers[first].held;
            held.extend(lists.iter().map(|&list| (until, list)));
        });
        // Some of the others go back with them, before their time.
        let mixed = self.engine().random(longest / 2 + 1);
        let job = move |host: &Self| host.return_kept(miniport, host.now() + mixed);
        let job = if self.engine().random(2) == 0 {
            Job::dpc("protocol returns", job)
        } else {
            Job::thread("protocol returns", job)
        };
        self.spawn_after(delay, job);
    }

    /// Returns all that the protocols on a miniport keep.
    pub(crate) fn return_held(&self, miniport: u64) {
        self.return_kept(miniport, u64::MAX);
    }

    /// Returns what the protocols on a miniport keep until then.
    fn return_kept(&self, miniport: u64, until: u64) {
        let uppers = self.uppers_of(miniport);
        let lists: Vec<u64> = self.ndis(|n| {
            let mut all = Vec::new();
            for i in uppers {
                let due = n.uppers[i].held.extract_if(.., |held| held.0 <= until);
                all.extend(due.map(|held| held.1));
            }
            all
        });
        self.give_up(miniport, &lists);
    }

    /// Calls MiniportReturnNetBufferLists.
    pub(crate) fn give_up(&self, miniport: u64, lists: &[u64]) {
        if lists.is_empty() {
            return;
        }
        let found = self.ndis(|n| {
            let m = n.miniports.get_mut(&miniport)?;
            m.receives = m.receives.saturating_sub(lists.len() as u64);
            let (context, driver) = (m.context, m.driver);
            let handler = n.drivers.get(&driver)?.chars.ReturnNetBufferListsHandler?;
            Some((context, handler as usize as u64))
        });
        let Some((context, handler)) = found else {
            return;
        };
        for &list in lists {
            self.hand_back(list, "MiniportReturnNetBufferLists");
        }
        let first = link(self, lists);
        let flags = if self.vp().irql() >= DISPATCH {
            NDIS_RETURN_FLAGS_DISPATCH_LEVEL
        } else {
            0
        };
        self.call(
            "MiniportReturnNetBufferLists",
            miniport,
            handler,
            &[context, first, u64::from(flags)],
        );
    }
}
