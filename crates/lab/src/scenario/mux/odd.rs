//! Adapters that do not do what ports ask for: one that refuses promiscuous mode, one
//! whose address changes while ports stand on it.

use im_control::{EventKind, EventRecord, Kind};
use lab_host::Host;
use lab_net::Mac;
use ndis_sys as sys;

use super::super::stage::{Files, Stage, device};
use super::super::{control, step, tour};
use super::ports::Ports;

use super::{Posts, matrix, net, stage};
use crate::process::RunJob;
use crate::summary::Summary;
use crate::topology::Action;
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
/// The address that the adapter changes to.
const NEW: Mac = Mac([0x02, 0x4c, 0x41, 0x42, 0x00, 0x7e]);

/// Both lives, one after the other.
pub fn run(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<(), Trouble> {
    let mut refusing = job.topology.clone();
    for adapter in &mut refusing.adapters {
        adapter.refuse_promiscuous = true;
    }
    for (name, topology) in [("refusing", &refusing), ("moving", &job.topology)] {
        summary.virtual_ns += host.now();
        host.reset(job.seed)
            .map_err(|error| Trouble::host(error.to_string()))?;
        host.set_quiet(true);
        let (stage, posts) = stage(host, job, topology, Files::new())?;
        host.run(name, |host| {
            let Some(bindings) = tour::bring_up(host, &stage, summary) else {
                return;
            };
            if name == "refusing" {
                refuses(host, &stage, summary);
            } else {
                moves(host, &stage, &posts, &bindings, summary);
            }
            tour::bring_down(host, &bindings, summary);
        });
        summary.leaks.extend(super::super::leaks(host));
    }
    Ok(())
}

/// Ports with the adapter's address need no promiscuous mode and get their filter; those
/// with another one are told that they do not, and an event says why.
fn refuses(host: &Host, stage: &Stage, summary: &mut Summary) {
    let adapter = stage.topology.adapters.first().map(|a| a.mac);
    let mut wrong = Vec::new();
    let mut refused = 0;
    for port in &net::net(host, stage).ports {
        let Some(upper) = stage.upper_of(&port.name) else {
            continue;
        };
        let filter = sys::NDIS_PACKET_TYPE_DIRECTED | sys::NDIS_PACKET_TYPE_BROADCAST;
        let good = host.set_upper_filter(upper, filter, &[]) == 0;
        refused += usize::from(!good);
        if good != (Some(port.mac) == adapter) {
            wrong.push(format!("{} ({}): {good}", port.name, port.mac));
        }
    }
    let told = events(host, EventKind::PromiscuousRefused);
    step(
        summary,
        "an adapter that refuses promiscuous mode",
        wrong.is_empty() && refused > 0 && told > 0,
        if wrong.is_empty() {
            format!("{refused} ports with an address of their own refused, {told} events")
        } else {
            format!("filters set: {}", wrong.join(", "))
        },
    );
}

/// Ports with the adapter's address take the new one; the others stay as they are; then
/// everybody hears what he should.
fn moves(host: &Host, stage: &Stage, posts: &Posts, bindings: &[u64], summary: &mut Summary) {
    let Some(adapter) = stage.topology.adapters.first() else {
        return;
    };
    let before = net::net(host, stage);
    let handles: Vec<_> = before
        .ports
        .iter()
        .map(|port| host.miniport(&device(&port.name)))
        .collect();
    let mut ports = Ports::new(host, stage, bindings);
    let action = Action::Mac {
        adapter: adapter.name.clone(),
        mac: NEW,
    };
    let acted = ports.act(&action);
    let follows = |port: &super::model::Port| port.mac == adapter.mac;
    let expected = |port: &super::model::Port| if follows(port) { NEW } else { port.mac };
    let moved = host.wait_until("for the new address", MS, 5_000 * MS, |host| {
        let now = net::net(host, stage);
        before.ports.iter().all(|port| {
            let same = now.ports.iter().find(|other| other.name == port.name);
            same.is_some_and(|other| other.mac == expected(port)) && ports.is_up(&port.name)
        })
    });
    // Who keeps its address is not halted.
    let disturbed: Vec<_> = before
        .ports
        .iter()
        .zip(&handles)
        .filter(|(port, handle)| !follows(port) && host.miniport(&device(&port.name)) != **handle)
        .map(|(port, _)| port.name.as_str())
        .collect();
    let count = before.ports.iter().filter(|port| follows(port)).count();
    step(
        summary,
        "an adapter whose address changes",
        acted.is_ok() && moved && count > 0 && disturbed.is_empty(),
        match acted {
            Err(why) => why,
            Ok(()) if !disturbed.is_empty() => format!("{disturbed:?} were halted too"),
            Ok(()) => format!("{count} ports took {NEW}, the others ran on"),
        },
    );
    if moved {
        let now = net::net(host, stage);
        matrix::run(host, stage, posts, &now, "after a new address", summary);
    }
}

/// How many events of a kind the driver remembers.
fn events(host: &Host, wanted: EventKind) -> usize {
    let events = control::records::<EventRecord>(host, Kind::Events, 0).unwrap_or_default();
    events
        .iter()
        .filter(|event| EventKind::from_code(event.kind) == Some(wanted))
        .count()
}
