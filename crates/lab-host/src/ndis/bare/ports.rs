//! Passes over the ports of one adapter, for the comparison of many ports with few.
//!
//! A pass is short, and whoever orders it may order others elsewhere in between: so several
//! processes with a driver each are measured in turn, and what disturbs the machine meanwhile
//! disturbs all alike.
//!
//! One processor, DISPATCH_LEVEL, no switching: a benchmark runs alone.

use std::time::Duration;

use ndis_sys::Ieee8021QNetBufferListInfo;

use super::{FRAME, LISTS, call, nic_takes, owner_takes_back, protocol_takes};
use crate::handle::Kind;
use crate::host::Host;
use crate::ndis::list::{FrameList, Shape, at, link};
use crate::ndis::tag::Tag;
use crate::vp::DISPATCH;

/// A port to be measured.
#[derive(Clone, Copy, Debug)]
pub struct BenchPort {
    /// The virtual miniport.
    pub miniport: u64,
    /// Its VLAN, told beside the frame; 0: none.
    pub vlan: u16,
    /// Its address.
    pub mac: [u8; 6],
}

/// One pass over 4,096 lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BenchPass {
    /// Receive path (else send).
    pub receive: bool,
    /// Lists in a chain.
    pub batch: usize,
    /// How many ports have traffic: evenly spread over all of them.
    pub busy: usize,
    /// Through the driver (else the same path without it).
    pub through: bool,
}

/// Where the frames of the benchmark come from and go to.
pub(super) const STRANGER: [u8; 6] = [0x02, 0x4C, 0x41, 0x42, 0xFF, 0xFE];

/// A driver that runs bare, ready to be measured. Made by [`Host::bench_ports`].
pub struct PortsBench<'a> {
    host: &'a Host,
    ports: Vec<BenchPort>,
    /// Context of each port's miniport, for the bare functions.
    contexts: Vec<u64>,
    binding: u64,
    send_handler: u64,
    receive_handler: u64,
    source: u64,
    pool: FrameList,
    /// Lists, and where the frame of each begins.
    lists: Vec<(u64, u64)>,
    rng: fastrand::Rng,
}

impl Host {
    /// Prepares passes over `ports`, which run above `binding`, of a driver that was loaded
    /// bare. `context` is the room of each list's context area.
    ///
    /// # Panics
    /// If a port or the binding is not there.
    pub fn bench_ports(&self, binding: u64, ports: Vec<BenchPort>, context: u16) -> PortsBench<'_> {
        let contexts: Vec<u64> = self.ndis(|n| {
            ports
                .iter()
                .map(|p| n.miniports[&p.miniport].context)
                .collect()
        });
        let first = ports.first().expect("a port at least").miniport;
        let handlers = self.bare_handlers(first, &[binding]);
        for (port, &context) in ports.iter().zip(&contexts) {
            self.bare.set_context(port.miniport, context);
        }
        let source = self.ndis(|n| n.handles.open(Kind::Upper));
        let mut pool = FrameList::new(source, LISTS, FRAME as u32, 0, context);
        let lists = (0..LISTS)
            .map(|_| {
                let list = pool
                    .take(self, &[0x5A; FRAME], &Shape::default())
                    .expect("as many as the limit");
                (list, self.frame_address(list))
            })
            .collect();
        PortsBench {
            host: self,
            ports,
            contexts,
            binding: handlers.below[0],
            send_handler: handlers.send,
            receive_handler: handlers.receive,
            source,
            pool,
            lists,
            rng: fastrand::Rng::with_seed(self.config.seed),
        }
    }

    /// Address of the first byte of a list's frame.
    pub(super) fn frame_address(&self, list: u64) -> u64 {
        let buffer: u64 = self.get(list + at!(NET_BUFFER_LIST.FirstNetBuffer), "host list");
        let mdl: u64 = self.get(buffer + at!(NET_BUFFER.CurrentMdl), "host list");
        let offset: u32 = self.get(buffer + at!(NET_BUFFER.CurrentMdlOffset), "host list");
        let start: u64 = self.get(mdl + at!(MDL.MappedSystemVa), "host list");
        start + u64::from(offset)
    }
}

impl PortsBench<'_> {
    /// How many ports there are.
    pub fn ports(&self) -> usize {
        self.ports.len()
    }

    /// Runs a pass; nanoseconds for each list, there and back.
    ///
    /// # Errors
    /// What the driver did not do: such figures are of nothing.
    pub fn pass(&mut self, pass: &BenchPass) -> Result<f64, String> {
        let host = self.host;
        let bare = &host.bare;
        let busy = pass.busy.clamp(1, self.ports.len());
        // Evenly over all of them, so that few busy ones among many are not neighbours.
        let port_of = |turn: usize| turn % busy * self.ports.len() / busy;
        self.rng.shuffle(&mut self.lists);
        let mut turns: Vec<usize> = (0..self.lists.len()).collect();
        self.rng.shuffle(&mut turns);
        let chains: Vec<(u64, usize, usize)> = self
            .lists
            .chunks(pass.batch)
            .zip(&turns)
            .map(|(chunk, &turn)| {
                let lists: Vec<u64> = chunk.iter().map(|(list, _)| *list).collect();
                (link(host, &lists), chunk.len(), port_of(turn))
            })
            .collect();
        for (at, &(list, data)) in self.lists.iter().enumerate() {
            // A received list is for a port of its own, a sent one from its chain's.
            let port = if pass.receive {
                port_of(turns[at])
            } else {
                chains[at / pass.batch].2
            };
            let port = &self.ports[port];
            let (to, from) = if pass.receive {
                (port.mac, STRANGER)
            } else {
                (STRANGER, port.mac)
            };
            let vlan = if pass.receive { port.vlan } else { 0 };
            let header = [to.as_slice(), &from, &[0x08, 0x00]].concat();
            host.arena
                .write_bytes(data, &header)
                .expect("a frame of the benchmark");
            let tag = Tag {
                vlan,
                ..Tag::default()
            };
            let info = list
                + at!(NET_BUFFER_LIST.NetBufferListInfo)
                + 8 * Ieee8021QNetBufferListInfo.0 as u64;
            host.put(info, tag.to_info(), "host list");
        }
        let (back, arrived) = (bare.back.get(), bare.arrived.get());
        let grows = bare.grows.get();
        let irql = host.vp().irql();
        host.vp().set_irql(DISPATCH);
        let started = run_time();
        for &(first, count, port) in &chains {
            match (pass.receive, pass.through) {
                (false, true) => call(self.send_handler, [self.contexts[port], first, 0, 1, 0]),
                (false, false) => {
                    std::hint::black_box(nic_takes(first));
                    owner_takes_back(bare, first);
                }
                (true, true) => call(
                    self.receive_handler,
                    [self.binding, first, 0, count as u64, 1],
                ),
                (true, false) => {
                    std::hint::black_box(protocol_takes(first));
                    owner_takes_back(bare, first);
                }
            }
        }
        let spent = run_time().saturating_sub(started);
        host.vp().set_irql(irql);
        let back = bare.back.get() - back;
        let arrived = bare.arrived.get() - arrived;
        if bare.grows.get() != grows {
            return Err("a list had too little room for the driver's context".into());
        }
        if back != LISTS {
            return Err(format!("{back} of {LISTS} lists came back"));
        }
        if pass.through && arrived != LISTS {
            return Err(format!(
                "{arrived} of {LISTS} lists arrived at the other end"
            ));
        }
        Ok(spent.as_secs_f64() * 1e9 / f64::from(LISTS as u32))
    }
}

/// How long this thread has run. Unlike a clock on the wall that stands still while the
/// machine is busy with something else.
pub(super) fn run_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call fills in the structure, and this clock is there on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl Drop for PortsBench<'_> {
    fn drop(&mut self) {
        for &(list, _) in &self.lists {
            self.pool.give(list);
        }
        self.pool.drain(self.host);
        self.host.ndis(|n| n.handles.close(self.source));
    }
}
