//! What protocols above send and receive.

use ndis_sys::{
    Ieee8021QNetBufferListInfo, NDIS_NBL_FLAGS_SEND_READ_ONLY, NDIS_PACKET_TYPE_ALL_LOCAL,
    NDIS_PACKET_TYPE_NO_LOCAL, NDIS_PACKET_TYPE_PROMISCUOUS, NDIS_SEND_FLAGS_DISPATCH_LEVEL,
    NetBufferListCancelId, TcpLargeSendNetBufferListInfo,
};

use crate::engine::{Job, Level};
use crate::host::Host;
use crate::ndis::filter;
use crate::ndis::ledger::Path;
use crate::ndis::list::{Shape, link};
use crate::ndis::nbl::info;
use crate::ndis::nbl::look::headers;
use crate::ndis::tag::{self, Tag};
use crate::vp::DISPATCH;

impl Host {
    /// Lets a protocol send what it has, and comes back when it wants to.
    pub fn upper_kick(&self, upper: usize) {
        if self.kick_above(upper) {
            return;
        }
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
                self.upper_send(upper, taken);
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

    /// A list with a frame, as this protocol lays it out.
    fn upper_list(&self, upper: usize, mut frame: Vec<u8>) -> Option<u64> {
        let now = self.now();
        let (bare, rough, cancel, mut tag, fold, read_only) = self.ndis(|n| {
            let u = &n.uppers[upper];
            let c = &u.config;
            (
                c.without_room,
                c.rough,
                u.cancel_id,
                c.tag,
                c.fold_tags,
                c.read_only,
            )
        });
        if fold {
            tag = tag::strip(&mut frame).unwrap_or(tag);
        }
        let bare = self.chance(bare);
        let split = if self.engine().random(4) == 0 {
            // Behind all headers, as stacks do: SND-17 asks for the MAC header only, but a driver
            // that shows the frame to another miniport over the same MDLs is bound by RCV-13.
            let headers = headers(&frame).last().map_or(0, |&(_, end)| end);
            headers.min(frame.len()).max(frame.len() / 3)
        } else {
            0
        };
        let mut shape = if rough {
            Shape::absurd(self, frame.len(), true)
        } else {
            Shape::split(split, frame.len())
        };
        shape.tag = tag;
        if read_only > 0.0 && self.chance(read_only) {
            shape.flags |= NDIS_NBL_FLAGS_SEND_READ_ONLY;
        }
        let mut pool = self.ndis(|n| {
            let u = &mut n.uppers[upper];
            std::mem::take(if bare {
                &mut u.without_room
            } else {
                &mut u.with_room
            })
        });
        let list = pool.take(self, &frame, &shape);
        if let Some(list) = list {
            self.put(info(list, NetBufferListCancelId), cancel, "cancel id");
            self.ask_large_send(upper, list);
        }
        self.ndis(|n| {
            let u = &mut n.uppers[upper];
            (if bare {
                &mut u.without_room
            } else {
                &mut u.with_room
            })
            .restore(pool);
            if let Some(list) = list {
                u.out.insert(list, bare);
                u.in_flight += 1;
                u.sent += 1;
                u.bytes.0 += frame.len() as u64;
                if let Some(tap) = &mut u.tap {
                    tap(now, false, &frame, tag);
                }
            }
        });
        list
    }

    /// A list of a protocol with a frame that is nobody's.
    pub(crate) fn lend_from_upper(&self, upper: usize, frame: &[u8], shape: &Shape) -> Option<u64> {
        let mut pool = self.ndis(|n| std::mem::take(&mut n.uppers[upper].with_room));
        let list = pool.take(self, frame, shape);
        self.ndis(|n| {
            let u = &mut n.uppers[upper];
            u.with_room.restore(pool);
            if let Some(list) = list {
                u.out.insert(list, false);
            }
        });
        list
    }

    /// Asks for a large send, if this protocol does and the miniport offers them.
    fn ask_large_send(&self, upper: usize, list: u64) {
        const V2: u64 = 1 << 30;
        let mss = self.ndis(|n| {
            let u = &n.uppers[upper];
            let offers = u.miniport.and_then(|m| n.miniports.get(&m));
            offers
                .filter(|m| m.facts.tasks)
                .map_or(0, |_| u.config.large_send)
        });
        if mss != 0 {
            let entry = info(list, TcpLargeSendNetBufferListInfo);
            self.put(entry, V2 | u64::from(mss), "large send");
        }
    }

    /// What a protocol sends, NDIS shows to the others on the miniport that want to see
    /// everything, as the miniport has no loopback of its own.
    fn loop_back(&self, upper: usize, frames: &[Vec<u8>]) {
        let now = self.now();
        let others = self.ndis(|n| {
            let miniport = n.uppers[upper].miniport;
            let bound = miniport.and_then(|m| n.miniports.get(&m));
            let mut others = Vec::new();
            for &i in bound.map_or(&[][..], |m| &m.uppers) {
                let u = &mut n.uppers[i];
                let filter = u.config.packet_filter;
                let sees =
                    filter & (NDIS_PACKET_TYPE_PROMISCUOUS | NDIS_PACKET_TYPE_ALL_LOCAL) != 0;
                if i == upper || !sees || filter & NDIS_PACKET_TYPE_NO_LOCAL != 0 {
                    continue;
                }
                u.looped += frames.len() as u64;
                if let Some(endpoint) = &mut u.endpoint {
                    for frame in frames {
                        endpoint.on_frame(now, frame);
                    }
                }
                others.push(i);
            }
            others
        });
        for other in others {
            self.upper_kick(other);
        }
    }

    fn upper_send(&self, upper: usize, frames: Vec<Vec<u8>>) {
        self.loop_back(upper, &frames);
        let mut lists = Vec::new();
        for frame in frames {
            lists.extend(self.upper_list(upper, frame));
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
            n.uppers[upper].batches += 1;
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
    pub(crate) fn upper_completed(&self, upper: usize, list: u64, success: bool) {
        self.ndis(|n| {
            let odd = n.judge.odd_sends.contains_key(&list) || n.judge.odd_late.remove(&list);
            let u = &mut n.uppers[upper];
            if odd {
                // It is nobody's.
            } else if success {
                u.in_flight = u.in_flight.saturating_sub(1);
                u.completed += 1;
            } else {
                u.in_flight = u.in_flight.saturating_sub(1);
                u.failed += 1;
            }
            // Another thread may have the pool in its hands and be making a list: what it
            // finds when it puts the pool back is kept.
            match u.out.remove(&list) {
                Some(true) => u.without_room.give(list),
                Some(false) => u.with_room.give(list),
                None => {}
            }
        });
    }

    /// A list of a protocol is lost in the driver.
    pub(crate) fn upper_lost(&self, upper: usize, list: u64) {
        self.ndis(|n| {
            let u = &mut n.uppers[upper];
            if u.out.remove(&list).is_some() {
                u.in_flight = u.in_flight.saturating_sub(1);
                u.failed += 1;
            }
        });
    }

    /// Lists for the protocols on a miniport, which NDIS filters for each. Returns whether the
    /// lists are kept for a while, and how many of them nobody asked for.
    pub(crate) fn upper_receive(
        &self,
        miniport: u64,
        lists: &[u64],
        frames: &[Vec<u8>],
        lent: bool,
    ) -> (bool, u64) {
        let now = self.now();
        let tags: Vec<Tag> = lists
            .iter()
            .map(|&list| Tag::from_info(self.get(info(list, Ieee8021QNetBufferListInfo), "8021Q")))
            .collect();
        let (hold, uppers, unasked) = self.ndis(|n| {
            let Some(m) = n.miniports.get(&miniport) else {
                return (0.0, Vec::new(), 0);
            };
            let mut hold = 0.0;
            let mut unasked = 0;
            for &i in &m.uppers {
                let u = &mut n.uppers[i];
                hold = u.config.hold;
                for (frame, &tag) in frames.iter().zip(&tags) {
                    if let Some(tap) = &mut u.tap {
                        tap(now, true, frame, tag);
                    }
                    // What has no address is the protocol's to judge.
                    let asked = frame.len() < 6
                        || filter::wants(u.config.packet_filter, m.facts.mac, &u.groups, frame);
                    if !asked {
                        u.unasked += 1;
                        unasked += 1;
                        continue;
                    }
                    u.received += 1;
                    u.lent += u64::from(lent);
                    u.bytes.1 += frame.len() as u64;
                    if !tag.is_none() {
                        *u.tags.entry(tag).or_default() += 1;
                    }
                    let Some(endpoint) = &mut u.endpoint else {
                        continue;
                    };
                    if u.config.fold_tags && !tag.is_none() {
                        let mut whole = frame.clone();
                        tag::insert(&mut whole, tag);
                        endpoint.on_frame(now, &whole);
                    } else {
                        endpoint.on_frame(now, frame);
                    }
                }
            }
            (hold, m.uppers.clone(), unasked)
        });
        for upper in uppers {
            self.upper_kick(upper);
        }
        (self.chance(hold), unasked)
    }
}
