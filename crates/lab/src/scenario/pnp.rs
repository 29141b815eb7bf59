//! Everything that is not data: PnP events, status indications, resets below, direct OIDs,
//! cancelled sends, device events.
//!
//! What must come of each is written down here as the rules have it; the host checks the rest
//! at every call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lab_host::Host;
use lab_host::engine::{Job, Level};
use lab_host::ndis::oid::{OID_LAB_REVERSE, OID_LAB_SCRATCH};
use lab_host::ndis::{EdgeState, OidCall};
use lab_host::report::CallKind;
use ndis_sys as sys;
use ndis_sys::{NDIS_STATUS, NET_PNP_EVENT_CODE};

use super::stage::{Stage, device};
use super::{step, tour};
use crate::summary::Summary;
use crate::topology::{Capability, Place, Topology};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// What each event must lead to above is known where one miniport stands for one adapter.
pub fn fits(topology: &Topology) -> Result<(), Trouble> {
    let bindings = &topology.bindings;
    let adapters: BTreeSet<_> = bindings.iter().map(|binding| &binding.adapter).collect();
    let miniports: BTreeSet<_> = bindings.iter().flat_map(|binding| &binding.upper).collect();
    let one_to_one = bindings.iter().all(|binding| binding.upper.len() == 1)
        && adapters.len() == bindings.len()
        && miniports.len() == bindings.len();
    if one_to_one {
        return Ok(());
    }
    let trouble = "scenario `pnp` is for one miniport above one adapter; this topology has more";
    Err(Trouble::input(trouble)
        .hint("choose another with --scenario, or a topology with --topology"))
}

/// The scenario.
pub fn pnp(host: &Host, stage: &Stage, summary: &mut Summary) {
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    // Before any step that may lose frames: what is lost later is not the reset's doing.
    resets(host, stage, &bindings, summary);
    events(host, stage, &bindings, summary);
    statuses(host, stage, summary);
    direct_oids(host, stage, summary);
    cancelled_sends(host, stage, summary);
    re_enable(host, stage, summary);
    let answered = tour::still_answers(host, stage, summary);
    step(
        summary,
        "traffic after all that",
        answered,
        "every echo answered",
    );
    device_events(host, stage, summary);
    last_reset(host, stage, &bindings, summary);
    tour::bring_down(host, &bindings, summary);
}

fn miniports(host: &Host, stage: &Stage) -> Vec<(usize, u64)> {
    stage
        .topology
        .miniports
        .iter()
        .filter_map(|m| Some((stage.nic_of(&m.name)?, host.miniport(&device(&m.name))?)))
        .collect()
}

/// What a PnP event must lead to above.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Above {
    /// The protocols above are asked; their answer is the driver's (PNP-4, PNP-6).
    Asked,
    /// They are told; the driver succeeds whatever they say (PNP-2).
    Told,
    /// They hear nothing (PNP-5).
    Never,
    /// No rule.
    Any,
}

const ON_BINDING: [(NET_PNP_EVENT_CODE, &str, Above); 12] = [
    (sys::NetEventQueryPower, "QueryPower", Above::Asked),
    (
        sys::NetEventQueryRemoveDevice,
        "QueryRemoveDevice",
        Above::Asked,
    ),
    (
        sys::NetEventCancelRemoveDevice,
        "CancelRemoveDevice",
        Above::Told,
    ),
    (sys::NetEventPnPCapabilities, "PnPCapabilities", Above::Told),
    (sys::NetEventReconfigure, "Reconfigure", Above::Any),
    (sys::NetEventBindList, "BindList", Above::Any),
    (sys::NetEventBindsComplete, "BindsComplete", Above::Never),
    (sys::NetEventPortActivation, "PortActivation", Above::Never),
    (
        sys::NetEventPortDeactivation,
        "PortDeactivation",
        Above::Never,
    ),
    (NET_PNP_EVENT_CODE(77), "unknown event 77", Above::Any),
    (NET_PNP_EVENT_CODE(-1), "unknown event -1", Above::Any),
    (
        NET_PNP_EVENT_CODE(0x7FFF_FFFF),
        "unknown event 0x7fffffff",
        Above::Any,
    ),
];

const WITHOUT_BINDING: [(NET_PNP_EVENT_CODE, &str); 6] = [
    (sys::NetEventReconfigure, "Reconfigure"),
    (sys::NetEventBindList, "BindList"),
    (sys::NetEventBindsComplete, "BindsComplete"),
    (sys::NetEventPnPCapabilities, "PnPCapabilities"),
    (
        sys::NetEventIMReEnableDevice,
        "IMReEnableDevice without a name",
    ),
    (NET_PNP_EVENT_CODE(99), "unknown event 99"),
];

/// Each event with buffers from none to far too long (PNP-10), first with willing protocols
/// above, then with ones that refuse.
fn events(host: &Host, stage: &Stage, bindings: &[u64], summary: &mut Summary) {
    let mut wrong = Vec::new();
    let mut sent = 0_u64;
    // Reconfigure and BindList carry a string list, the others a number or nothing.
    let buffers: [Vec<u8>; 5] = [
        Vec::new(),
        vec![4, 0, 0, 0],
        vec![0xFF; 3],
        vec![0; 8],
        vec![0xFF; 60_000],
    ];
    let refusal = sys::NDIS_STATUS_FAILURE.0;
    host.take_propagated();
    for answer in [0, refusal] {
        host.uppers_answer(answer);
        for &binding in bindings {
            for (code, name, above) in ON_BINDING {
                for buffer in &buffers {
                    let status = host.pnp_event(binding, code, buffer);
                    sent += 1;
                    let passed = host.take_propagated().contains(&code.0);
                    let good = match above {
                        Above::Asked => passed && status == answer,
                        Above::Told => passed && status == 0,
                        Above::Never => !passed && status == 0,
                        Above::Any => status == 0,
                    };
                    if !good {
                        wrong.push(format!(
                            "{name} with {} bytes, protocols above say {answer:#x}: {status:#x}, passed up {passed}",
                            buffer.len()
                        ));
                    }
                }
            }
        }
        for (code, name) in WITHOUT_BINDING {
            for buffer in &buffers {
                // A name's pointer out of a buffer like these would be wild: not a case.
                if code == sys::NetEventIMReEnableDevice && buffer.len() >= 16 {
                    continue;
                }
                let status = host.global_event(code, buffer);
                sent += 1;
                let passed = !host.take_propagated().is_empty();
                if status != 0 || passed {
                    wrong.push(format!(
                        "{name} without a binding: {status:#x}, passed up {passed}"
                    ));
                }
                let looked = host.calls().iter().any(|call| {
                    call.kind == CallKind::Import && call.name == "NdisReEnumerateProtocolBindings"
                });
                if code == sys::NetEventReconfigure && !looked {
                    wrong.push("PNP-8: Reconfigure without a binding looks for no bindings".into());
                }
            }
        }
    }
    host.uppers_answer(0);
    let up = miniports(host, stage).len() == stage.topology.miniports.len();
    if !up {
        wrong.push("a virtual miniport is gone".into());
    }
    let count = wrong.len();
    step(
        summary,
        "PnP events",
        count == 0,
        wrong.into_iter().next().map_or_else(
            || format!("{sent} events with buffers of 0 to 60,000 bytes"),
            |first| format!("{count} of {sent} wrong, first: {first}"),
        ),
    );
}

/// What must arrive above of a status from below.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// The same code with the same bytes (STS-7).
    Same,
    /// The code, once.
    Once,
    /// Nothing (STS-3, or no change: STS-4).
    Kept,
    /// No rule: it must only be survived.
    Any,
}

fn link_state(connected: bool, speed: u64) -> Vec<u8> {
    let mut bytes = vec![0_u8; size_of::<sys::NDIS_LINK_STATE>()];
    // Type, revision, size; then connect state, duplex state, both speeds.
    bytes[0] = sys::NDIS_OBJECT_TYPE_DEFAULT;
    bytes[1] = 1;
    bytes[2..4].copy_from_slice(&(size_of::<sys::NDIS_LINK_STATE>() as u16).to_le_bytes());
    bytes[4..8].copy_from_slice(&if connected { 1_i32 } else { 2 }.to_le_bytes());
    bytes[8..12].copy_from_slice(&2_i32.to_le_bytes());
    bytes[16..24].copy_from_slice(&speed.to_le_bytes());
    bytes[24..32].copy_from_slice(&speed.to_le_bytes());
    bytes
}

fn offload(kind: u8) -> Vec<u8> {
    let size = size_of::<sys::NDIS_OFFLOAD>();
    let mut bytes = vec![0_u8; size];
    bytes[0] = kind;
    bytes[1] = 6;
    bytes[2..4].copy_from_slice(&(size as u16).to_le_bytes());
    bytes
}

/// Section 15's table, and buffers that are not what the code says.
fn statuses(host: &Host, stage: &Stage, summary: &mut Summary) {
    let mut wrong = Vec::new();
    let mut sent = 0_u64;
    for (nic, miniport) in miniports(host, stage) {
        let can = |c: Capability| stage.topology.adapters[nic].capabilities.contains(&c);
        let speed = host.nic_config(nic).link_speed;
        let shown_with = |yes: bool| if yes { Shown::Same } else { Shown::Kept };
        let task = sys::NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG;
        let vendor = NDIS_STATUS(0x4001_7ABC);
        let odd = NDIS_STATUS(0xC001_0BAD_u32 as i32);
        let table: Vec<(&str, NDIS_STATUS, Vec<u8>, Shown)> = vec![
            (
                "link slower",
                sys::NDIS_STATUS_LINK_STATE,
                link_state(true, speed / 10),
                Shown::Once,
            ),
            (
                "the same again",
                sys::NDIS_STATUS_LINK_STATE,
                link_state(true, speed / 10),
                Shown::Kept,
            ),
            (
                "link down",
                sys::NDIS_STATUS_LINK_STATE,
                link_state(false, 0),
                Shown::Once,
            ),
            (
                "link down again",
                sys::NDIS_STATUS_LINK_STATE,
                link_state(false, 0),
                Shown::Kept,
            ),
            (
                "link cut short",
                sys::NDIS_STATUS_LINK_STATE,
                vec![0xFF; 3],
                Shown::Kept,
            ),
            (
                "link without bytes",
                sys::NDIS_STATUS_LINK_STATE,
                Vec::new(),
                Shown::Kept,
            ),
            (
                "link as it was",
                sys::NDIS_STATUS_LINK_STATE,
                link_state(true, speed),
                Shown::Once,
            ),
            (
                "OPER_STATUS",
                sys::NDIS_STATUS_OPER_STATUS,
                vec![0; 16],
                Shown::Kept,
            ),
            (
                "PM_CAPABILITIES_CHANGE",
                sys::NDIS_STATUS_PM_CAPABILITIES_CHANGE,
                vec![0; 16],
                Shown::Kept,
            ),
            (
                "NETWORK_CHANGE",
                sys::NDIS_STATUS_NETWORK_CHANGE,
                vec![1, 0, 0, 0],
                Shown::Same,
            ),
            (
                "MEDIA_SPECIFIC",
                sys::NDIS_STATUS_MEDIA_SPECIFIC_INDICATION,
                (0..64).collect(),
                Shown::Same,
            ),
            (
                "MEDIA_SPECIFIC, empty",
                sys::NDIS_STATUS_MEDIA_SPECIFIC_INDICATION,
                Vec::new(),
                Shown::Same,
            ),
            (
                "MEDIA_SPECIFIC, 60,000 bytes",
                sys::NDIS_STATUS_MEDIA_SPECIFIC_INDICATION,
                vec![7; 60_000],
                Shown::Same,
            ),
            ("an unknown code", vendor, vec![1, 2, 3], Shown::Same),
            ("an unknown failure code", odd, vec![9; 33], Shown::Same),
            (
                "offload as configured",
                task,
                offload(sys::NDIS_OBJECT_TYPE_OFFLOAD),
                shown_with(can(Capability::Offload)),
            ),
            (
                "offload cut short",
                task,
                vec![sys::NDIS_OBJECT_TYPE_OFFLOAD, 6, 0xFF],
                Shown::Any,
            ),
            (
                "offload of another type",
                task,
                offload(sys::NDIS_OBJECT_TYPE_DEFAULT),
                Shown::Any,
            ),
            (
                "wake-up capabilities cut short",
                sys::NDIS_STATUS_PM_HARDWARE_CAPABILITIES,
                vec![0x80, 2],
                Shown::Any,
            ),
        ];
        host.take_statuses(miniport);
        for (name, code, buffer, must) in table {
            host.nic_status(nic, code.0, &buffer);
            sent += 1;
            let seen = host.take_statuses(miniport);
            let good = match must {
                Shown::Same => seen == [(code.0, buffer)],
                Shown::Once => seen.len() == 1 && seen[0].0 == code.0,
                Shown::Kept => seen.is_empty(),
                Shown::Any => seen.iter().all(|(c, _)| *c == code.0),
            };
            if !good {
                let seen: Vec<_> = seen
                    .iter()
                    .map(|(c, b)| format!("{c:#x} with {} bytes", b.len()))
                    .collect();
                wrong.push(format!("{name}: above saw [{}]", seen.join(", ")));
            }
        }
        // STS-5: nothing while it sleeps; the link's last state afterwards.
        host.set_miniport_power(miniport, false);
        host.take_statuses(miniport);
        host.nic_status(
            nic,
            sys::NDIS_STATUS_LINK_STATE.0,
            &link_state(true, speed / 100),
        );
        host.nic_status(nic, sys::NDIS_STATUS_NETWORK_CHANGE.0, &[1, 0, 0, 0]);
        sent += 2;
        let asleep = host.take_statuses(miniport).len();
        host.set_miniport_power(miniport, true);
        let link = host
            .take_statuses(miniport)
            .iter()
            .filter(|(c, _)| *c == sys::NDIS_STATUS_LINK_STATE.0)
            .count();
        if asleep != 0 || link != 1 {
            wrong.push(format!(
                "asleep {asleep} statuses above, after waking the link {link} times"
            ));
        }
        host.nic_status(nic, sys::NDIS_STATUS_LINK_STATE.0, &link_state(true, speed));
    }
    let count = wrong.len();
    step(
        summary,
        "statuses from below",
        count == 0 && sent > 0,
        wrong.into_iter().next().map_or_else(
            || format!("{sent} statuses relayed or kept as section 15 says"),
            |first| format!("{count} of {sent} wrong, first: {first}"),
        ),
    );
}

/// Frames sent from above in flows that nothing may lose, and how many are missing.
fn from_above(stage: &Stage) -> (u64, u64) {
    let names: Vec<_> = stage
        .topology
        .generators
        .iter()
        .filter(|g| matches!(g.on, Place::Miniport(_)))
        .map(|g| g.name.as_str())
        .collect();
    let mut sum = (0, 0);
    for (name, v) in stage.endpoints.ledger.flow_verdicts() {
        if names.iter().any(|n| name.contains(n)) {
            sum.0 += v.sent;
            sum.1 += v.sent - v.received;
        }
    }
    sum
}

/// The adapter resets again and again under traffic: sends are held and go on (RST-2, RST-3).
fn resets(host: &Host, stage: &Stage, bindings: &[u64], summary: &mut Summary) {
    // What comes up lent during a reset cannot be kept.
    stage
        .endpoints
        .ledger
        .open_window("reset below", host.now(), u64::MAX);
    stage.endpoints.start_generators(host.now());
    stage.kick(host);
    let start = sys::NDIS_STATUS_RESET_START.0;
    let end = sys::NDIS_STATUS_RESET_END.0;
    let nics = stage.topology.adapters.len();
    let mut rounds = 0_u64;
    while rounds < 20 {
        rounds += 1;
        host.sleep(MS / 8 + host.engine().random(MS / 4));
        for nic in 0..nics {
            host.nic_status(nic, start, &[]);
        }
        // Somebody asks while the adapter resets.
        for (_, miniport) in miniports(host, stage) {
            host.spawn(Job::thread("OID during a reset", move |host| {
                host.oid(miniport, &OidCall::query(OID_LAB_SCRATCH, 16));
            }));
        }
        host.sleep(host.engine().random(MS / 2));
        for nic in 0..nics {
            // Every third time it says so twice.
            if rounds.is_multiple_of(3) {
                host.nic_status(nic, start, &[]);
            }
            host.nic_status(nic, end, &[]);
            if rounds.is_multiple_of(5) {
                host.nic_status(nic, end, &[]);
            }
            host.nic_kick(nic);
        }
    }
    host.wait_until("for the flood", MS / 4, 60 * SECOND, |_| {
        stage.endpoints.generators_done() && from_above(stage).1 == 0
    });
    let failed: u64 = (0..host.uppers()).map(|u| host.upper_counts(u).2).sum();
    let (sent, missing) = from_above(stage);
    let v = stage.endpoints.ledger.verdict();
    step(
        summary,
        "resets below under traffic",
        missing == 0 && failed == 0 && sent > 0 && v.duplicated + v.corrupted + v.alien == 0,
        format!("{rounds} resets; of {sent} frames from above {missing} missing, {failed} failed"),
    );
    // A binding that is paused in the middle gives back what was held.
    for nic in 0..nics {
        host.nic_status(nic, start, &[]);
    }
    let answered_late = tour::ask_without_waiting(stage);
    stage.kick(host);
    host.sleep(MS);
    for &binding in bindings {
        host.pause_binding(binding);
    }
    for nic in 0..nics {
        host.nic_status(nic, end, &[]);
    }
    for &binding in bindings {
        host.restart_binding(binding);
    }
    let running = bindings
        .iter()
        .all(|&b| host.binding_state(b) == Some(EdgeState::Running));
    step(
        summary,
        "pause during a reset",
        running,
        format!("{answered_late} echo requests were held"),
    );
}

/// Direct requests, many at once from threads and DPCs, beside regular ones (OID-28).
fn direct_oids(host: &Host, stage: &Stage, summary: &mut Summary) {
    const EACH: u64 = 16;
    for (_, miniport) in miniports(host, stage) {
        let done = Arc::new(AtomicU64::new(0));
        let right = Arc::new(AtomicU64::new(0));
        // A request that pends keeps its thread; in a DPC it would keep its processor.
        let dpcs = u64::from(host.processors() / 2);
        for i in 0..2 * EACH {
            let (done, right) = (Arc::clone(&done), Arc::clone(&right));
            let regular = i % 4 == 3;
            let level = if i < dpcs && !regular {
                Level::Dispatch(None)
            } else {
                Level::Passive
            };
            host.spawn(Job {
                name: "direct OID".into(),
                level,
                body: Box::new(move |host| {
                    let text = format!("request {i:04}");
                    let mut call =
                        OidCall::method(OID_LAB_REVERSE, text.as_bytes(), text.len() as u32);
                    call.direct = !regular;
                    let reply = host.oid(miniport, &call);
                    let reversed: Vec<u8> = text.bytes().rev().collect();
                    let good = reply.status == 0 && reply.buffer == reversed;
                    right.fetch_add(u64::from(good), Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                }),
            });
        }
        let all = host.wait_until("for direct OIDs", MS / 10, 10 * SECOND, |_| {
            done.load(Ordering::Relaxed) == 2 * EACH
        });
        let right = right.load(Ordering::Relaxed);
        step(
            summary,
            "direct OIDs",
            all && right == 2 * EACH,
            format!(
                "{right} of {} answered with their own data, a quarter of them regular",
                2 * EACH
            ),
        );

        // Kept below for ever, cancelled at many moments, all at once.
        host.oids_stick(true);
        let done = Arc::new(AtomicU64::new(0));
        let aborted = Arc::new(AtomicU64::new(0));
        for i in 0..EACH {
            let (done, aborted) = (Arc::clone(&done), Arc::clone(&aborted));
            host.spawn(Job::thread("direct OID", move |host| {
                let mut call = OidCall::query(OID_LAB_SCRATCH, 16);
                call.direct = true;
                call.cancel_after = Some(100 + i * i * 700);
                let reply = host.oid(miniport, &call);
                let gone = reply.status == sys::NDIS_STATUS_REQUEST_ABORTED.0;
                aborted.fetch_add(u64::from(gone), Ordering::Relaxed);
                done.fetch_add(1, Ordering::Relaxed);
            }));
        }
        let over = |host: &Host, limit: u64| {
            host.wait_until("for cancelled OIDs", MS / 10, limit, |_| {
                done.load(Ordering::Relaxed) == EACH
            })
        };
        over(host, 100 * MS);
        // A cancel that came before the request had gone down may find nothing (OID-18): the
        // adapter completes such a one in the end.
        host.oids_stick(false);
        let all = over(host, 10 * SECOND);
        let aborted = aborted.load(Ordering::Relaxed);
        step(
            summary,
            "cancelled direct OIDs",
            all && 2 * aborted > EACH,
            format!("{aborted} of {EACH} ended as aborted, the others were completed"),
        );
    }
}

/// Sends that the adapter keeps are cancelled by id: those with the id come back, and no other.
fn cancelled_sends(host: &Host, stage: &Stage, summary: &mut Summary) {
    const ID: u64 = 0x4200_0000_0000_0042;
    // The hosts know their neighbours afterwards: what they send goes out at once.
    tour::still_answers(host, stage, summary);
    for (upper, m) in stage.topology.miniports.iter().enumerate() {
        let Some(nic) = stage.nic_of(&m.name) else {
            continue;
        };
        if upper >= host.uppers()
            || stage
                .hosts()
                .all(|(h, _)| h.on != Place::Miniport(m.name.clone()))
        {
            continue;
        }
        host.wait_until("for older sends", MS / 10, SECOND, |h| {
            h.upper_in_flight(upper) == 0
        });
        host.nic_stick(nic, true);
        let before = host.upper_counts(upper);
        host.upper_cancel_id(upper, ID);
        tour::ask_without_waiting(stage);
        stage.kick(host);
        host.sleep(2 * MS);
        let marked = host.upper_in_flight(upper);
        host.upper_cancel_id(upper, 0);
        tour::ask_without_waiting(stage);
        stage.kick(host);
        host.sleep(2 * MS);
        // The adapter completes nothing now, and the hosts go on to send: what comes back comes
        // back because it was cancelled.
        let back = |host: &Host| {
            let (_, completed, failed, _) = host.upper_counts(upper);
            completed + failed - before.1 - before.2
        };
        // Nobody sent under this one.
        host.cancel_sends(upper, ID ^ 1);
        host.sleep(MS);
        let stranger = back(host);
        host.cancel_sends(upper, ID);
        host.sleep(MS);
        let cancelled = back(host);
        let others = host.upper_in_flight(upper);
        host.nic_stick(nic, false);
        let drained = host.wait_until("for the sends", MS / 10, SECOND, |h| {
            h.upper_in_flight(upper) == 0
        });
        step(
            summary,
            "sends cancelled by id",
            drained && stranger == 0 && marked > 0 && cancelled == marked && others > 0,
            format!(
                "{marked} with the id, {cancelled} came back; {stranger} for a wrong id; {others} without one stayed"
            ),
        );
    }
}

/// The virtual device is disabled and enabled again (PNP-9).
fn re_enable(host: &Host, stage: &Stage, summary: &mut Summary) {
    for m in &stage.topology.miniports {
        let name = device(&m.name);
        let Some(miniport) = host.miniport(&name) else {
            continue;
        };
        let unknown = host.re_enable_event("\\DEVICE\\NOBODY");
        // It is still there: nothing may happen.
        let early = host.re_enable_event(&name);
        let same = host.miniport(&name) == Some(miniport);
        host.disable_device(miniport);
        let gone = host.miniport(&name).is_none();
        let status = host.re_enable_event(&name);
        let back = host.wait_until("for the virtual miniport", MS / 10, SECOND, |h| {
            h.miniport(&name)
                .is_some_and(|m| h.miniport_state(m) == Some(EdgeState::Running))
        });
        step(
            summary,
            "device disabled and enabled",
            (unknown, early, status) == (0, 0, 0) && same && gone && back,
            format!("{}: gone {gone}, back {back}", m.name),
        );
    }
}

/// Device events on the upper edge (DPE-1, DPE-2).
fn device_events(host: &Host, stage: &Stage, summary: &mut Summary) {
    for (_, miniport) in miniports(host, stage) {
        let profile = sys::NdisDevicePnPEventPowerProfileChanged.0;
        for (code, buffer) in [
            (profile, vec![1, 0, 0, 0]),
            (profile, vec![1]),
            (profile, Vec::new()),
            (profile, vec![0xFF; 4096]),
            (0, Vec::new()),
            (1234, vec![0xFF; 3]),
            (-1, vec![0; 64]),
        ] {
            host.device_event(miniport, code, &buffer);
        }
    }
    let answered = tour::still_answers(host, stage, summary);
    step(
        summary,
        "device events",
        answered,
        "power profile and unknown ones",
    );
    for (_, miniport) in miniports(host, stage) {
        host.device_event(miniport, sys::NdisDevicePnPEventSurpriseRemoved.0, &[]);
        let status = host
            .oid(miniport, &OidCall::query(OID_LAB_SCRATCH, 16))
            .status;
        step(
            summary,
            "OIDs after surprise removal",
            status == sys::NDIS_STATUS_NOT_ACCEPTED.0,
            format!("status {status:#x}"),
        );
    }
    // Sends come back at once.
    let before: u64 = (0..host.uppers()).map(|u| host.upper_counts(u).2).sum();
    tour::ask_without_waiting(stage);
    stage.kick(host);
    host.sleep(2 * MS);
    // At any moment one may be on its way through the driver; none may stay there.
    let flight = |host: &Host| -> u64 { (0..host.uppers()).map(|u| host.upper_in_flight(u)).sum() };
    host.wait_until("for refused sends", MS / 10, 50 * MS, |host| {
        flight(host) == 0
    });
    let flight = flight(host);
    let failed: u64 = (0..host.uppers()).map(|u| host.upper_counts(u).2).sum();
    step(
        summary,
        "sends after surprise removal",
        flight == 0 && failed > before,
        format!("{} refused, {flight} kept", failed - before),
    );
}

/// A reset that never ends: the unbind must not wait for it.
fn last_reset(host: &Host, stage: &Stage, bindings: &[u64], summary: &mut Summary) {
    for nic in 0..stage.topology.adapters.len() {
        host.nic_status(nic, sys::NDIS_STATUS_RESET_START.0, &[]);
    }
    tour::ask_without_waiting(stage);
    stage.kick(host);
    host.sleep(MS);
    let began = host.now();
    for &binding in bindings {
        host.unbind(binding);
    }
    let took = (host.now() - began) / MS;
    step(
        summary,
        "unbind during a reset",
        host.bindings().is_empty() && took < 1_000,
        format!("in {took} ms"),
    );
}
