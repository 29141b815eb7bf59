//! Passes over a team: one virtual miniport on several adapters.
//!
//! Every list of a pass is a flow of its own, so that a driver that deals out by flow uses all
//! of its members. What goes down is completed by the member it went to; what comes up comes
//! from the members in turn.
//!
//! One processor, DISPATCH_LEVEL, no switching: a benchmark runs alone.

use std::time::Instant;

use super::ports::{STRANGER, run_time};
use super::{BenchPass, FRAME, Handlers, LISTS, call, nic_takes, owner_takes_back, protocol_takes};
use crate::handle::{Handles, Kind};
use crate::host::Host;
use crate::ndis::list::{FrameList, Shape, link};
use crate::vp::DISPATCH;

/// Bytes of the frames' headers: Ethernet, IPv4, UDP.
const HEADERS: usize = 14 + 20 + 8;
/// Port of the first flow.
const FIRST_PORT: u16 = 1024;

/// A team that runs bare, ready to be measured. Made by [`Host::bench_team`].
pub struct TeamBench<'a> {
    host: &'a Host,
    bindings: Vec<u64>,
    handlers: Handlers,
    mac: [u8; 6],
    copies: u64,
    source: u64,
    pool: FrameList,
    /// Lists, and where the frame of each begins.
    lists: Vec<(u64, u64)>,
    rng: fastrand::Rng,
}

/// A frame of a flow, from one address to another.
fn headers(flow: u16, to: [u8; 6], from: [u8; 6]) -> [u8; HEADERS] {
    let mut frame = [0; HEADERS];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    let length = (FRAME - 14) as u16;
    let (ip, udp) = frame[14..].split_at_mut(20);
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    (ip[8], ip[9]) = (64, 17);
    ip[12..16].copy_from_slice(&[192, 0, 2, 1]);
    ip[16..20].copy_from_slice(&[198, 51, 100, 1]);
    let sum: u32 = ip
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let sum = !((sum & 0xFFFF) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    udp[..2].copy_from_slice(&(FIRST_PORT + flow).to_be_bytes());
    udp[2..4].copy_from_slice(&[0x13, 0x89]);
    udp[4..6].copy_from_slice(&(length - 20).to_be_bytes());
    frame
}

impl Host {
    /// Prepares passes over a team that was loaded bare and runs: `miniport` over `bindings`.
    /// `mac` is the team's address, `context` the room of each list's context area.
    ///
    /// # Panics
    /// If the miniport or a binding is not there.
    pub fn bench_team(
        &self,
        bindings: &[u64],
        miniport: u64,
        mac: [u8; 6],
        context: u16,
    ) -> TeamBench<'_> {
        let handlers = self.bare_handlers(miniport, bindings);
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
        TeamBench {
            host: self,
            bindings: bindings.to_vec(),
            handlers,
            mac,
            copies: 1,
            source,
            pool,
            lists,
            rng: fastrand::Rng::with_seed(self.config.seed),
        }
    }
}

impl TeamBench<'_> {
    /// How many adapters there are.
    pub fn members(&self) -> usize {
        self.bindings.len()
    }

    /// A list that is sent goes to so many adapters (broadcast); one without this.
    #[must_use]
    pub fn copies(mut self, copies: usize) -> Self {
        self.copies = copies as u64;
        self
    }

    /// Lists that each adapter took since this was asked last.
    pub fn spread(&mut self) -> Vec<u64> {
        let mut took = self.host.bare.took.borrow_mut();
        self.bindings
            .iter()
            .map(|&binding| std::mem::take(&mut took[Handles::slot(binding)]))
            .collect()
    }

    /// Runs a pass, of which `busy` is how many adapters receive; nanoseconds for each list,
    /// there and back.
    ///
    /// # Errors
    /// What the driver did not do: such figures are of nothing.
    pub fn pass(&mut self, pass: &BenchPass) -> Result<f64, String> {
        let host = self.host;
        let bare = &host.bare;
        let busy = pass.busy.clamp(1, self.bindings.len());
        self.rng.shuffle(&mut self.lists);
        let mut chains: Vec<(u64, usize, u64)> = self
            .lists
            .chunks(pass.batch)
            .enumerate()
            .map(|(turn, chunk)| {
                let lists: Vec<u64> = chunk.iter().map(|(list, _)| *list).collect();
                let below = self.handlers.below[turn % busy];
                (link(host, &lists), chunk.len(), below)
            })
            .collect();
        self.rng.shuffle(&mut chains);
        for (flow, &(_, data)) in self.lists.iter().enumerate() {
            let (to, from) = if pass.receive {
                (self.mac, STRANGER)
            } else {
                (STRANGER, self.mac)
            };
            host.arena
                .write_bytes(data, &headers(flow as u16, to, from))
                .expect("a frame of the benchmark");
        }
        let (back, arrived) = (bare.back.get(), bare.arrived.get());
        let grows = bare.grows.get();
        let irql = host.vp().irql();
        host.vp().set_irql(DISPATCH);
        bare.pass.set(Some(Instant::now()));
        let started = run_time();
        for &(first, count, below) in &chains {
            match (pass.receive, pass.through) {
                (false, true) => call(self.handlers.send, [self.handlers.above, first, 0, 1, 0]),
                (false, false) => {
                    std::hint::black_box(nic_takes(first));
                    owner_takes_back(bare, first);
                }
                (true, true) => call(self.handlers.receive, [below, first, 0, count as u64, 1]),
                (true, false) => {
                    std::hint::black_box(protocol_takes(first));
                    owner_takes_back(bare, first);
                }
            }
        }
        let spent = run_time().saturating_sub(started);
        bare.passes.set(bare.spent());
        bare.pass.set(None);
        host.vp().set_irql(irql);
        let back = bare.back.get() - back;
        let arrived = bare.arrived.get() - arrived;
        if bare.grows.get() != grows {
            return Err("a list had too little room for the driver's context".into());
        }
        if back != LISTS {
            return Err(format!("{back} of {LISTS} lists came back"));
        }
        let all = if pass.receive {
            LISTS
        } else {
            LISTS * self.copies
        };
        if pass.through && arrived != all {
            return Err(format!("{arrived} of {all} lists arrived at the other end"));
        }
        Ok(spent.as_secs_f64() * 1e9 / f64::from(LISTS as u32))
    }
}

impl Drop for TeamBench<'_> {
    fn drop(&mut self) {
        for &(list, _) in &self.lists {
            self.pool.give(list);
        }
        self.pool.drain(self.host);
        self.host.ndis(|n| n.handles.close(self.source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flow_is_a_sound_frame_of_its_own() {
        let (a, b) = (headers(0, [2; 6], [4; 6]), headers(4095, [2; 6], [4; 6]));
        assert_ne!(a, b);
        for frame in [a, b] {
            let sum: u32 = frame[14..34]
                .chunks_exact(2)
                .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
                .sum();
            assert_eq!((sum & 0xFFFF) + (sum >> 16), 0xFFFF);
            assert_eq!(frame[12..15], [8, 0, 0x45]);
        }
    }
}
