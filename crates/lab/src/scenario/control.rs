//! The driver's control device, asked as an administrator's tool would, and as an attacker would.

use im_control::{
    Counter, CounterRecord, DropReason, DropRecord, EventRecord, IOCTL_QUERY, Kind, PortRecord,
    Record, Reply, Request, VersionRecord,
};
use lab_host::Host;

use super::stage::Stage;
use super::step;
use crate::summary::{self, Summary};

/// Room for a reply.
const ROOM: usize = 16 << 10;

/// One request; the reply's bytes when it succeeded.
pub(super) fn query(host: &Host, kind: Kind, index: u32) -> Result<Vec<u8>, String> {
    let request = Request { kind, index }.to_bytes();
    let reply = host
        .control(IOCTL_QUERY, &request, ROOM)
        .map_err(|e| e.to_string())?;
    if reply.status < 0 {
        return Err(format!("{kind:?}: status {:#x}", reply.status));
    }
    Ok(reply.output)
}

/// All records that the reply to one request has.
pub(super) fn records<R: Record>(host: &Host, kind: Kind, index: u32) -> Result<Vec<R>, String> {
    let bytes = query(host, kind, index)?;
    let malformed = |e| format!("{kind:?}: {e:?}");
    let (reply, records) = Reply::of(kind, &bytes).map_err(malformed)?;
    let all: Vec<R> = records
        .records()
        .collect::<Result<_, _>>()
        .map_err(malformed)?;
    if all.len() as u32 != reply.available {
        return Err(format!(
            "{kind:?}: {} of {} records",
            all.len(),
            reply.available
        ));
    }
    Ok(all)
}

/// Asks everything, fills the counters, and tries malformed requests.
pub fn ask(host: &Host, stage: &Stage, summary: &mut Summary) {
    match read(host, summary) {
        Ok(detail) => step(summary, "control device", true, detail),
        Err(why) => step(summary, "control device", false, why),
    }
    let (tried, accepted) = hostile(host, stage.topology.lab.seed.unwrap_or(1));
    step(
        summary,
        "hostile control requests",
        accepted == 0 && tried > 0,
        format!("{tried} malformed requests, {accepted} accepted"),
    );
}

fn read(host: &Host, summary: &mut Summary) -> Result<String, String> {
    let versions: Vec<VersionRecord> = records(host, Kind::Version, 0)?;
    let version = versions.first().ok_or("no version record")?;
    if version.lost_chains != 0 {
        return Err(format!("the driver lost {} chains", version.lost_chains));
    }
    let ports: Vec<PortRecord> = records(host, Kind::Ports, 0)?;
    for port in &ports {
        let name = String::from_utf16_lossy(&port.name);
        let owner = name.trim_end_matches('\0').to_owned();
        for c in records::<CounterRecord>(host, Kind::Counters, port.index)? {
            summary.counters.push(summary::Counter {
                owner: owner.clone(),
                name: Counter::from_code(c.id)
                    .map_or_else(|| c.id.to_string(), |c| c.name().into()),
                value: c.value,
            });
        }
        for d in records::<DropRecord>(host, Kind::Drops, port.index)? {
            if d.lists > 0 {
                summary.counters.push(summary::Counter {
                    owner: owner.clone(),
                    name: DropReason::from_code(d.id)
                        .map_or_else(|| d.id.to_string(), |r| format!("dropped: {}", r.name())),
                    value: d.lists,
                });
            }
        }
    }
    let events: Vec<EventRecord> = records(host, Kind::Events, 0)?;
    Ok(format!(
        "version {}.{}, {} ports, {} events",
        version.driver_major,
        version.driver_minor,
        ports.len(),
        events.len()
    ))
}

/// Malformed requests: every truncation, every flipped byte of the head, wrong codes, short
/// output. Returns how many were tried and how many were wrongly accepted.
fn hostile(host: &Host, seed: u64) -> (u64, u64) {
    let good = Request {
        kind: Kind::Version,
        index: 0,
    }
    .to_bytes();
    let mut tried = 0;
    let mut accepted = 0;
    let mut attempt = |code: u32, input: &[u8], room: usize, may: bool| {
        if let Ok(reply) = host.control(code, input, room) {
            tried += 1;
            if reply.status >= 0 && !may {
                accepted += 1;
            }
        }
    };
    for len in 0..good.len() {
        attempt(IOCTL_QUERY, &good[..len], ROOM, false);
    }
    let mut long = good.to_vec();
    long.push(0);
    attempt(IOCTL_QUERY, &long, ROOM, false);
    for at in [0, 1, 3, 8, 9, 10, 11] {
        let mut bad = good;
        bad[at] ^= 0xA5;
        attempt(IOCTL_QUERY, &bad, ROOM, false);
    }
    for code in [0, IOCTL_QUERY ^ 4, IOCTL_QUERY | 3, u32::MAX] {
        attempt(code, &good, ROOM, false);
    }
    for room in 0..Reply::BYTES {
        attempt(IOCTL_QUERY, &good, room, false);
    }
    // An index far out of range is well-formed: refused or empty, never a fault.
    for index in [u32::MAX, 1 << 31, seed as u32 | 0x8000] {
        let bytes = Request {
            kind: Kind::Counters,
            index,
        }
        .to_bytes();
        attempt(IOCTL_QUERY, &bytes, ROOM, true);
    }
    (tried, accepted)
}
