//! Protocols above: what sits on a virtual miniport and talks through it.

use lab_net::Endpoint;
use ndis_sys::{NDIS_RETURN_FLAGS_DISPATCH_LEVEL, NDIS_SEND_FLAGS_DISPATCH_LEVEL};

use super::EdgeState;
use super::ledger::Path;
use super::list::{FrameList, Shape, at, link};
use crate::engine::{Job, Level};
use crate::handle::Kind;
use crate::host::Host;
use crate::vp::DISPATCH;

/// Where a list carries its cancel id.
const CANCEL_ID: u64 =
    at!(NET_BUFFER_LIST.NetBufferListInfo) + 8 * ndis_sys::NetBufferListCancelId.0 as u64;

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
    /// Share of its lists (0 to 1) that lack the context room the miniport asked for.
    pub without_room: f64,
    /// Packet filter it sets.
    pub packet_filter: u32,
    /// Sends frames of any length in MDL chains that no sound protocol makes.
    pub rough: bool,
}

impl Default for UpperConfig {
    fn default() -> Self {
        Self {
            name: "upper".into(),
            device: "\\DEVICE\\VM0".into(),
            window: 256,
            hold: 0.25,
            without_room: 0.02,
            packet_filter: ndis_sys::NDIS_PACKET_TYPE_DIRECTED
                | ndis_sys::NDIS_PACKET_TYPE_MULTICAST
                | ndis_sys::NDIS_PACKET_TYPE_BROADCAST,
            rough: false,
        }
    }
}

/// A protocol of the host.
pub struct Upper {
    /// Its configuration.
    pub config: UpperConfig,
    /// Its `SourceHandle`.
    pub(crate) handle: u64,
    pub(crate) endpoint: Option<Box<dyn Endpoint>>,
    pub(crate) miniport: Option<u64>,
    pub(crate) running: bool,
    with_room: FrameList,
    without_room: FrameList,
    in_flight: u64,
    polling: bool,
    again: bool,
    due: Option<u64>,
    held: Vec<u64>,
    /// Cancel id of what it sends from now on; 0 is none.
    cancel_id: u64,
    /// Lists sent.
    pub sent: u64,
    /// Lists completed with success.
    pub completed: u64,
    /// Lists completed with failure.
    pub failed: u64,
    /// Lists received.
    pub received: u64,
    /// Bytes of frames sent and received.
    pub bytes: (u64, u64),
}

impl Host {
    /// Adds a protocol that binds to its device as soon as that is initialised; returns its index.
    pub fn add_upper(&self, config: UpperConfig, endpoint: Box<dyn Endpoint>) -> usize {
        self.ndis(|n| {
            let handle = n.handles.open(Kind::Upper);
            n.uppers.push(Upper {
                config,
                handle,
                endpoint: Some(endpoint),
                miniport: None,
                running: false,
                with_room: FrameList::default(),
                without_room: FrameList::default(),
                in_flight: 0,
                polling: false,
                again: false,
                due: None,
                held: Vec::new(),
                cancel_id: 0,
                sent: 0,
                completed: 0,
                failed: 0,
                received: 0,
                bytes: (0, 0),
            });
            n.uppers.len() - 1
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

    /// Bytes of frames a protocol sent and received.
    pub fn upper_bytes(&self, upper: usize) -> (u64, u64) {
        self.ndis(|n| n.uppers[upper].bytes)
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
            self.call("MiniportCancelSend", miniport, handler, &[context, id]);
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

    /// Protocols that want this miniport's device bind to it; then it is restarted.
    pub(crate) fn attach_uppers(&self, miniport: u64) {
        let attached = self.ndis(|n| {
            let m = &n.miniports[&miniport];
            let (name, facts) = (m.name.clone(), m.facts.clone());
            let mut any = Vec::new();
            for (i, u) in n.uppers.iter_mut().enumerate() {
                if u.config.device.eq_ignore_ascii_case(&name) {
                    u.miniport = Some(miniport);
                    let frame = facts.mtu + 18;
                    let room = facts.context_backfill as u16;
                    let back = facts.data_backfill;
                    u.with_room = FrameList::new(u.handle, u.config.window, frame, back, room);
                    u.without_room = FrameList::new(u.handle, u.config.window, frame, back, 0);
                    if u.config.rough {
                        u.with_room = std::mem::take(&mut u.with_room).rough();
                        u.without_room = std::mem::take(&mut u.without_room).rough();
                    }
                    any.push(i);
                }
            }
            any
        });
        self.spawn(Job::thread("bind protocols above", move |host| {
            if host.ndis(|n| {
                n.miniports
                    .get(&miniport)
                    .is_none_or(|m| m.state != EdgeState::Paused)
            }) {
                return;
            }
            // Before any traffic, as protocols do: an answer to the first frame must get through.
            for upper in attached {
                let filter = host.ndis(|n| n.uppers[upper].config.packet_filter);
                let _ = host.oid_set_u32(miniport, ndis_sys::OID_GEN_CURRENT_PACKET_FILTER, filter);
            }
            host.restart_miniport(miniport);
        }));
    }

    /// Protocols above stop sending and wait for their sends.
    pub(crate) fn pause_uppers(&self, miniport: u64) {
        let uppers = self.stop_uppers(miniport);
        // Until the last completion is back the miniport above is still Running.
        let done = self.wait_until(
            "for the protocols' own sends",
            1_000_000,
            10_000_000_000,
            |h| {
                h.ndis(|n| {
                    uppers
                        .iter()
                        .all(|&i| n.uppers[i].in_flight == 0 && !n.uppers[i].polling)
                })
            },
        );
        if !done {
            self.violate(
                "SND-20",
                format!("sends are not completed: {}", self.who_has_it()),
            );
        }
    }

    fn stop_uppers(&self, miniport: u64) -> Vec<usize> {
        self.ndis(|n| {
            let mut all = Vec::new();
            for (i, u) in n.uppers.iter_mut().enumerate() {
                if u.miniport == Some(miniport) {
                    u.running = false;
                    all.push(i);
                }
            }
            all
        })
    }

    /// Protocols above may send again.
    pub(crate) fn resume_uppers(&self, miniport: u64) {
        let uppers = self.ndis(|n| {
            let mut all = Vec::new();
            for (i, u) in n.uppers.iter_mut().enumerate() {
                if u.miniport == Some(miniport) {
                    u.running = true;
                    all.push(i);
                }
            }
            all
        });
        for upper in uppers {
            self.upper_kick(upper);
        }
    }

    /// Protocols above let go of a miniport that halts.
    pub(crate) fn detach_uppers(&self, miniport: u64) {
        self.pause_uppers(miniport);
        self.return_held(miniport);
        let filter = self.ndis(|n| {
            n.miniports
                .get(&miniport)
                .is_some_and(|m| m.state == EdgeState::Running)
        });
        if filter {
            let _ = self.oid_set_u32(miniport, ndis_sys::OID_GEN_CURRENT_PACKET_FILTER, 0);
        }
        let pools = self.ndis(|n| {
            let mut pools = Vec::new();
            for u in &mut n.uppers {
                if u.miniport == Some(miniport) {
                    u.miniport = None;
                    pools.push(std::mem::take(&mut u.with_room));
                    pools.push(std::mem::take(&mut u.without_room));
                }
            }
            pools
        });
        for mut pool in pools {
            pool.drain(self);
        }
    }

    /// Lets a protocol send what it has, and comes back when it wants to.
    pub fn upper_kick(&self, upper: usize) {
        let start = self.ndis(|n| {
            let u = &mut n.uppers[upper];
            if u.polling {
                u.again = true;
                return false;
            }
            u.polling = u.running;
            u.running
        });
        if start {
            let level = if self.engine().random(2) == 0 {
                Level::Passive
            } else {
                Level::Dispatch(None)
            };
            self.spawn(Job {
                name: "protocol sends".into(),
                level,
                body: Box::new(move |host| host.upper_poll(upper)),
            });
        }
    }

    fn upper_poll(&self, upper: usize) {
        loop {
            let now = self.now();
            let taken = self.ndis(|n| {
                let u = &mut n.uppers[upper];
                u.again = false;
                let room = u.config.window.saturating_sub(u.in_flight).min(64);
                let mut frames = Vec::new();
                if u.running
                    && room > 0
                    && let Some(endpoint) = &mut u.endpoint
                {
                    endpoint.poll(now, &mut |frame| {
                        frames.push(frame);
                        (frames.len() as u64) < room
                    });
                }
                frames
            });
            if !taken.is_empty() {
                self.upper_send(upper, &taken);
                continue;
            }
            let (stop, due) = self.ndis(|n| {
                let u = &mut n.uppers[upper];
                if u.again && u.running {
                    return (false, None);
                }
                u.polling = false;
                let full = u.in_flight >= u.config.window;
                let next = if u.running && !full {
                    u.endpoint.as_mut().and_then(|e| e.next_poll(now))
                } else {
                    None
                };
                let next = next.map(|at| at.max(now + 1_000));
                let next = next.filter(|&at| u.due.is_none_or(|d| d <= now || at < d));
                if next.is_some() {
                    u.due = next;
                }
                (true, next)
            });
            if let Some(at) = due {
                self.spawn_after(
                    at - now,
                    Job::thread("protocol timer", move |host| {
                        let now = host.now();
                        host.ndis(|n| {
                            let u = &mut n.uppers[upper];
                            if u.due.is_some_and(|d| d <= now) {
                                u.due = None;
                            }
                        });
                        host.upper_kick(upper);
                    }),
                );
            }
            if stop {
                return;
            }
        }
    }

    fn upper_send(&self, upper: usize, frames: &[Vec<u8>]) {
        let mut lists = Vec::new();
        for frame in frames {
            let (bare, rough, cancel) = self.ndis(|n| {
                let u = &n.uppers[upper];
                (u.config.without_room, u.config.rough, u.cancel_id)
            });
            let bare = self.chance(bare);
            let split = if self.engine().random(4) == 0 {
                14.max(frame.len() / 3)
            } else {
                0
            };
            let shape = if rough {
                Shape::absurd(self, frame.len(), true)
            } else {
                Shape::split(split, frame.len())
            };
            let mut pool = self.ndis(|n| {
                let u = &mut n.uppers[upper];
                std::mem::take(if bare {
                    &mut u.without_room
                } else {
                    &mut u.with_room
                })
            });
            let list = pool.take(self, frame, &shape);
            if let Some(list) = list {
                self.put(list + CANCEL_ID, cancel, "cancel id");
            }
            self.ndis(|n| {
                let u = &mut n.uppers[upper];
                (if bare {
                    &mut u.without_room
                } else {
                    &mut u.with_room
                })
                .restore(pool);
                if list.is_some() {
                    u.in_flight += 1;
                    u.sent += 1;
                    u.bytes.0 += frame.len() as u64;
                }
            });
            lists.extend(list);
        }
        let (miniport, found) = self.ndis(|n| {
            let miniport = n.uppers[upper].miniport.unwrap_or(0);
            let found = n.miniports.get(&miniport).and_then(|m| {
                let handler = n.drivers.get(&m.driver)?.chars.SendNetBufferListsHandler?;
                Some((m.context, handler as usize as u64))
            });
            (miniport, found)
        });
        let Some((context, handler)) = found else {
            return;
        };
        let first = link(self, &lists);
        for &list in &lists {
            self.hand_in(
                list,
                Path::Send { upper, miniport },
                "MiniportSendNetBufferLists",
            );
        }
        self.ndis(|n| {
            if let Some(m) = n.miniports.get_mut(&miniport) {
                m.sends += lists.len() as u64;
            }
        });
        let mut flags = if self.vp().irql() >= DISPATCH {
            NDIS_SEND_FLAGS_DISPATCH_LEVEL
        } else {
            0
        };
        if self.engine().random(16) == 0 {
            flags |= ndis_sys::NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK;
        }
        self.call(
            "MiniportSendNetBufferLists",
            miniport,
            handler,
            &[context, first, 0, u64::from(flags)],
        );
    }

    /// A list of a protocol is complete.
    pub(crate) fn upper_completed(&self, upper: usize, list: u64, success: bool, room: bool) {
        self.ndis(|n| {
            let u = &mut n.uppers[upper];
            u.in_flight = u.in_flight.saturating_sub(1);
            if success {
                u.completed += 1;
            } else {
                u.failed += 1;
            }
            if u.miniport.is_some() {
                (if room {
                    &mut u.with_room
                } else {
                    &mut u.without_room
                })
                .give(list);
            }
        });
    }

    /// Frames for the protocols on a miniport. Returns whether each list is kept for a while.
    pub(crate) fn upper_receive(&self, miniport: u64, frames: &[Vec<u8>]) -> bool {
        let now = self.now();
        let (hold, uppers) = self.ndis(|n| {
            let mut hold = 0.0;
            let mut all = Vec::new();
            for (i, u) in n.uppers.iter_mut().enumerate() {
                if u.miniport != Some(miniport) {
                    continue;
                }
                hold = u.config.hold;
                u.received += frames.len() as u64;
                u.bytes.1 += frames.iter().map(Vec::len).sum::<usize>() as u64;
                if let Some(endpoint) = &mut u.endpoint {
                    for frame in frames {
                        endpoint.on_frame(now, frame);
                    }
                }
                all.push(i);
            }
            (hold, all)
        });
        for upper in uppers {
            self.upper_kick(upper);
        }
        self.chance(hold)
    }

    /// Keeps lists for a while; a DPC or a thread returns them later, mixed.
    pub(crate) fn hold(&self, miniport: u64, lists: &[u64]) {
        self.ndis(|n| {
            for u in &mut n.uppers {
                if u.miniport == Some(miniport) {
                    u.held.extend_from_slice(lists);
                    break;
                }
            }
        });
        let delay = self.engine().random(30_000);
        let job = move |host: &Self| host.return_held(miniport);
        let job = if self.engine().random(2) == 0 {
            Job::dpc("protocol returns", job)
        } else {
            Job::thread("protocol returns", job)
        };
        self.spawn_after(delay, job);
    }

    /// Returns what the protocols on a miniport keep.
    pub(crate) fn return_held(&self, miniport: u64) {
        let lists = self.ndis(|n| {
            let mut all = Vec::new();
            for u in &mut n.uppers {
                if u.miniport == Some(miniport) {
                    all.append(&mut u.held);
                }
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
