//! What every port says of itself: its own address, VLAN, filters and statistics, whatever
//! its neighbours do.

use lab_host::Host;
use lab_host::ndis::OidCall;
use lab_net::Mac;
use ndis_sys as sys;

use super::super::oids::{cancel, hostile, status_name};
use super::super::stage::{Stage, device};
use super::super::step;
use super::matrix::{Posts, STRANGER, settle};
use super::model::Net;
use super::probe;
use crate::summary::Summary;

/// Frames of the statistics' check.
const FRAMES: u32 = 40;
/// Numbers of their probes: those of no matrix.
const FIRST: u32 = 0x4000_0000;

struct Asked<'a> {
    host: &'a Host,
    wrong: Vec<String>,
    queries: u32,
}

impl Asked<'_> {
    /// The answer to a query, which has to succeed.
    fn query(&mut self, port: &str, miniport: u64, oid: sys::NDIS_OID, room: u32) -> Vec<u8> {
        self.queries += 1;
        let reply = self.host.oid(miniport, &OidCall::query(oid, room));
        if reply.status == 0 {
            reply.buffer
        } else {
            let status = status_name(reply.status);
            self.wrong
                .push(format!("{port}: query {:#010x}: {status}", oid.0));
            Vec::new()
        }
    }

    fn expect(&mut self, port: &str, what: &str, got: &[u8], expected: &[u8]) {
        if got.get(..expected.len()) != Some(expected) {
            self.wrong
                .push(format!("{port}: {what} is {got:02x?}, not {expected:02x?}"));
        }
    }
}

/// Asks every port, and sees whose counters count what.
pub fn run(host: &Host, stage: &Stage, posts: &Posts, net: &Net, summary: &mut Summary) {
    let mut asked = Asked {
        host,
        wrong: Vec::new(),
        queries: 0,
    };
    for port in &net.ports {
        let Some(miniport) = host.miniport(&device(&port.name)) else {
            continue;
        };
        let name = port.name.as_str();
        for oid in [
            sys::OID_802_3_CURRENT_ADDRESS,
            sys::OID_802_3_PERMANENT_ADDRESS,
        ] {
            let got = asked.query(name, miniport, oid, 6);
            asked.expect(name, "the address", &got, &port.mac.0);
        }
        let mtu = stage.topology.mtu_above(name);
        let got = asked.query(name, miniport, sys::OID_GEN_MAXIMUM_FRAME_SIZE, 4);
        asked.expect(name, "the largest frame", &got, &mtu.to_le_bytes());
        let groups: Vec<u8> = port.groups.iter().flat_map(|mac| mac.0).collect();
        let set = OidCall::set(sys::OID_802_3_MULTICAST_LIST, &groups);
        let status = host.oid(miniport, &set).status;
        let got = asked.query(name, miniport, sys::OID_802_3_MULTICAST_LIST, 192);
        asked.expect(name, "the multicast list", &got, &groups);
        if status != 0 {
            asked
                .wrong
                .push(format!("{name}: multicast list: {}", status_name(status)));
        }
    }
    counters(host, stage, posts, net, &mut asked);
    let Asked { wrong, queries, .. } = asked;
    let count = wrong.len();
    step(
        summary,
        "OIDs of each port",
        count == 0 && queries > 0,
        wrong.into_iter().next().map_or_else(
            || format!("{queries} queries: addresses, sizes, lists, statistics are the port's own"),
            |first| format!("{count} of {queries} wrong, first: {first}"),
        ),
    );
    let (mut tried, mut bad, mut aborted) = (0, 0, 0);
    for port in &net.ports {
        if let Some(miniport) = host.miniport(&device(&port.name)) {
            let (some, wrong) = hostile(host, miniport);
            tried += some;
            bad += wrong;
            aborted += cancel(host, miniport);
        }
    }
    step(
        summary,
        "hostile OID buffers",
        bad == 0 && tried > 0,
        format!(
            "{tried} requests with short, huge or misaligned buffers, {bad} wrong, {aborted} cancelled"
        ),
    );
}

/// Directed frames and bytes, in and out, as OID_GEN_STATISTICS has them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Counted {
    frames_in: u64,
    frames_out: u64,
    broadcast_in: u64,
}

fn counted(asked: &mut Asked<'_>, port: &str, miniport: u64) -> Counted {
    let size = size_of::<sys::NDIS_STATISTICS_INFO>();
    let bytes = asked.query(port, miniport, sys::OID_GEN_STATISTICS, size as u32);
    let word = |at: usize| {
        let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
        chunk.map_or(0, |chunk| u64::from_le_bytes(*chunk))
    };
    Counted {
        frames_in: word(std::mem::offset_of!(
            sys::NDIS_STATISTICS_INFO,
            ifHCInUcastPkts
        )),
        frames_out: word(std::mem::offset_of!(
            sys::NDIS_STATISTICS_INFO,
            ifHCOutUcastPkts
        )),
        broadcast_in: word(std::mem::offset_of!(
            sys::NDIS_STATISTICS_INFO,
            ifHCInBroadcastPkts
        )),
    }
}

/// One port talks with the stranger on the wire; its counters move, and no other's.
fn counters(host: &Host, stage: &Stage, posts: &Posts, net: &Net, asked: &mut Asked<'_>) {
    let handles: Vec<Option<u64>> = net
        .ports
        .iter()
        .map(|port| host.miniport(&device(&port.name)))
        .collect();
    let all = |asked: &mut Asked<'_>| -> Vec<Counted> {
        let each = net.ports.iter().zip(&handles);
        each.map(|(port, handle)| {
            handle.map_or_else(Counted::default, |handle| {
                counted(asked, &port.name, handle)
            })
        })
        .collect()
    };
    for (index, port) in net.ports.iter().enumerate() {
        settle(host, stage, posts);
        let before = all(asked);
        let tag = (port.vlan != 0).then(|| lab_net::vlan::Tag::vlan(port.vlan));
        for number in 0..FRAMES {
            let serial = FIRST + number;
            posts.ports[index].send(probe::frame(serial, port.mac, STRANGER, None));
            posts
                .wire
                .send(probe::frame(serial, STRANGER, port.mac, tag));
            let all = probe::frame(serial + FRAMES, STRANGER, Mac::BROADCAST, tag);
            posts.wire.send(all);
        }
        settle(host, stage, posts);
        for (other, (was, is)) in before.iter().zip(all(asked)).enumerate() {
            let moved = Counted {
                frames_in: is.frames_in - was.frames_in,
                frames_out: is.frames_out - was.frames_out,
                broadcast_in: is.broadcast_in - was.broadcast_in,
            };
            let frames = u64::from(FRAMES);
            let own = |yes: bool| if yes { frames } else { 0 };
            let expected = Counted {
                frames_in: own(other == index),
                frames_out: own(other == index),
                broadcast_in: own(net.ports[other].vlan == port.vlan),
            };
            // The hosts above may have said something of their own.
            let good = moved.frames_in >= expected.frames_in
                && moved.frames_out >= expected.frames_out
                && moved.broadcast_in >= expected.broadcast_in
                && moved.frames_in + moved.frames_out + moved.broadcast_in
                    < expected.frames_in + expected.frames_out + expected.broadcast_in + frames;
            if !good {
                asked.wrong.push(format!(
                    "while {} talked, {} counted {moved:?} instead of {expected:?}",
                    port.name, net.ports[other].name
                ));
            }
        }
    }
    for post in posts.ports.iter().chain([&posts.wire]) {
        post.take();
    }
}
