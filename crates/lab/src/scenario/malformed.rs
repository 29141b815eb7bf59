//! What no sound neighbour would do: malformed frames in absurd MDL chains from above and from
//! below, and registry values that are not what they say.
//!
//! A driver may carry a malformed frame or drop it. It may not change it, nor lose or damage
//! anything else over it: the generators' frames run beside them and are all accounted for.

use std::collections::BTreeMap;

use im_control::{EventKind, EventRecord, Kind};
use lab_host::ndis::{EdgeState, Value};
use lab_host::{Host, RunEnd};
use lab_net::Mac;
use lab_net::gate::{Gate, Gated, Watch};
use lab_net::oracle::malformed::{self, Addresses, Fault};

use super::stage::Stage;
use super::{control, progress, step, tour};
use crate::process::RunJob;
use crate::summary::{Counter, Summary};
use crate::topology::{Place, Topology};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Malformed frames each way.
const FRAMES: u64 = 2_600;

/// The scenario.
pub fn run(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<(), Trouble> {
    let mut topology = job.topology.clone();
    for g in &mut topology.generators {
        g.frames = g.frames.min(5_000);
    }
    let mut watchers = Vec::new();
    let stage = Stage::rough(host, job, &topology, |endpoints| {
        watchers = neighbours(endpoints, &topology, job.seed);
    })?;
    let end = host.run("malformed frames", |host| {
        frames(host, &stage, &watchers, summary);
    });
    stage.finish(host, summary);
    if end == RunEnd::Done {
        registry(host, job, &topology, summary)?;
    }
    Ok(())
}

/// One way that malformed frames take.
struct Way {
    name: String,
    seed: u64,
    addresses: Addresses,
    far: Watch,
    gate: Gate,
}

/// Sources of malformed frames at both ends of each adapter, and who watches for them at the
/// other end.
fn neighbours(
    endpoints: &mut crate::topology::endpoints::Endpoints,
    topology: &Topology,
    seed: u64,
) -> Vec<Way> {
    let mut ways = Vec::new();
    for (i, m) in topology.miniports.iter().enumerate() {
        let above = Place::Miniport(m.name.clone());
        let Some(adapter) = topology.bottom(&above) else {
            continue;
        };
        let Some(wire) = adapter.wire.clone() else {
            continue;
        };
        let below = Place::Wire(wire);
        let stranger = topology
            .hosts
            .iter()
            .position(|h| h.on == below)
            .map_or(Mac::local(9, i as u16), |at| topology.host_station(at).mac);
        let mtu = adapter.mtu.min(u32::from(u16::MAX)) as u16;
        let mut add = |name: String, from: &Place, to: &Place, source, destination, salt: u64| {
            let addresses = Addresses {
                source,
                destination,
                mtu,
            };
            let seed = seed ^ (salt << 32);
            let (far, gate) = (Watch::default(), Gate::default());
            let source = malformed::Source::new(seed, FRAMES, addresses);
            endpoints.attach(from, None, Gated::new(source, gate.clone()));
            endpoints.attach(to, None, far.clone());
            ways.push(Way {
                name,
                seed,
                addresses,
                far,
                gate,
            });
        };
        let salt = 2 * i as u64;
        add(
            format!("{}, down", m.name),
            &above,
            &below,
            adapter.mac,
            stranger,
            salt,
        );
        add(
            format!("{}, up", m.name),
            &below,
            &above,
            stranger,
            adapter.mac,
            salt + 1,
        );
    }
    ways
}

/// Malformed frames both ways beside sound ones.
fn frames(host: &Host, stage: &Stage, ways: &[Way], summary: &mut Summary) {
    let Some(bindings) = tour::bring_up(host, stage, summary) else {
        return;
    };
    for way in ways {
        way.gate.open();
    }
    stage.endpoints.start_generators(host.now());
    stage.kick(host);
    let end = host.now() + 60 * SECOND;
    loop {
        let done = host.wait_until("for the frames", MS / 4, 20 * MS, |_| {
            stage.endpoints.generators_done() && stage.endpoints.ledger.missing() == 0
        });
        let sent: u64 = stage.endpoints.generated().map(|(_, n)| n).sum();
        progress(host, "sound frames beside malformed ones", sent, 0);
        if done || host.now() > end {
            break;
        }
    }
    // The last of the malformed ones are on their way.
    host.sleep(20 * MS);
    for way in ways {
        let mut carried: BTreeMap<Fault, (u64, u64)> = BTreeMap::new();
        let far = way.far.seen();
        for index in 0..FRAMES {
            let (fault, frame) = malformed::frame(way.seed, index, &way.addresses);
            let entry = carried.entry(fault).or_default();
            entry.0 += 1;
            // An empty frame is like every other, and like an empty NET_BUFFER.
            entry.1 += u64::from(far.contains(&frame));
        }
        let (sent, arrived) = carried
            .values()
            .fold((0, 0), |sum, v| (sum.0 + v.0, sum.1 + v.1));
        for (fault, (sent, arrived)) in &carried {
            summary.counters.push(Counter {
                owner: format!("malformed, {}", way.name),
                name: format!("{fault}: carried of {sent}"),
                value: *arrived,
            });
        }
        step(
            summary,
            &format!("malformed frames, {}", way.name),
            sent == FRAMES,
            format!("{sent} sent, {arrived} carried unchanged, the others dropped"),
        );
    }
    let v = stage.endpoints.ledger.verdict();
    step(
        summary,
        "sound frames beside them",
        v.is_clean() && v.sent > 0 && v.received == v.sent,
        format!("{} of {} arrived", v.received, v.sent),
    );
    let answered = tour::still_answers(host, stage, summary);
    step(
        summary,
        "traffic after malformed frames",
        answered,
        "every echo answered",
    );
    control::ask(host, stage, summary);
    tour::bring_down(host, &bindings, summary);
}

/// A value of `UpperBindings`, and how many of the topology's miniports of the binding a driver
/// must make of it: all (`Some(true)`), none (`Some(false)`), or it may choose.
struct Case {
    name: &'static str,
    value: Option<Value>,
    must: Option<bool>,
}

fn cases(names: &[String]) -> Vec<Case> {
    let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
    let all: Vec<u16> = names
        .iter()
        .flat_map(|n| n.encode_utf16().chain([0]))
        .collect();
    let ended = [all.clone(), vec![0]].concat();
    let bare = all[..all.len().saturating_sub(1)].to_vec();
    let bytes = |units: &[u16]| (2 * units.len()) as u16;
    let first = names.first().cloned().unwrap_or_default();
    let case = |name, value, must| Case {
        name,
        value: Some(value),
        must,
    };
    let mut many = all.clone();
    while many.len() < 32_000 {
        many.extend(units(&format!("\\DEVICE\\N{}\0", many.len())));
    }
    vec![
        case("sound", Value::RawStrings(ended.clone()), Some(true)),
        case(
            "without the last terminator",
            Value::RawStrings(all.clone()),
            Some(true),
        ),
        case(
            "without any terminator",
            Value::RawStrings(bare.clone()),
            Some(true),
        ),
        case(
            "every name twice",
            Value::RawStrings([all.clone(), ended.clone()].concat()),
            Some(true),
        ),
        case(
            "more after the end",
            Value::RawStrings([ended.clone(), units("x\0y\0\0")].concat()),
            Some(true),
        ),
        case(
            "one byte less",
            Value::CutStrings(ended.clone(), bytes(&ended).saturating_sub(1)),
            Some(true),
        ),
        case(
            "odd, inside a name",
            Value::CutStrings(bare.clone(), bytes(&bare).saturating_sub(1)),
            // Of several, those before the cut are whole; which is the driver's to decide.
            (names.len() == 1).then_some(false),
        ),
        case(
            "length zero",
            Value::CutStrings(ended.clone(), 0),
            Some(false),
        ),
        case("one byte", Value::CutStrings(ended.clone(), 1), Some(false)),
        case("empty", Value::RawStrings(Vec::new()), Some(false)),
        case("one zero", Value::RawStrings(vec![0]), Some(false)),
        case("zeroes", Value::RawStrings(vec![0; 30_000]), Some(false)),
        case(
            "empty name first",
            Value::RawStrings([vec![0], ended.clone()].concat()),
            Some(false),
        ),
        case("thousands of names", Value::RawStrings(many), Some(true)),
        case(
            "a name of 32,766 units",
            Value::RawStrings(vec![u16::from(b'n'); 32_767]),
            Some(false),
        ),
        case(
            "a long name before the right one",
            Value::RawStrings([vec![u16::from(b'n'); 20_000], vec![0], ended.clone()].concat()),
            None,
        ),
        case(
            "half a surrogate pair",
            Value::RawStrings(vec![0xD800, 0xDC00, 0xD800, 0, 0]),
            Some(false),
        ),
        case(
            "names of nothing",
            Value::Strings(vec!["\\DEVICE\\".into(), "\\".into(), " ".into()]),
            Some(false),
        ),
        case("REG_SZ", Value::String(first), None),
        case("REG_SZ, empty", Value::String(String::new()), Some(false)),
        case("REG_DWORD", Value::Integer(0xFFFF_FFFF), Some(false)),
        case("REG_BINARY", Value::Binary(vec![0xFF; 33]), Some(false)),
        Case {
            name: "absent",
            value: None,
            must: Some(false),
        },
    ]
}

/// Binds with every hostile value: what is valid of it works, or the driver says why not.
fn registry(
    host: &Host,
    job: &RunJob,
    topology: &Topology,
    summary: &mut Summary,
) -> Result<(), Trouble> {
    let count = cases(&[]).len();
    for at in 0..count {
        host.reset(job.seed)
            .map_err(|e| Trouble::host(e.to_string()))?;
        host.set_quiet(true);
        let stage = Stage::new(host, job, topology, job.seed, Vec::new())?;
        let mut name = "";
        let mut outcome = Err("the driver was stopped".to_owned());
        let end = host.run("UpperBindings", |host| {
            (name, outcome) = bind_with(host, &stage, at);
        });
        if end != RunEnd::Done {
            step(
                summary,
                "UpperBindings",
                false,
                format!("case {at}: the driver was stopped"),
            );
            return Ok(());
        }
        if let (Ok(_), Some(first)) = (&outcome, host.findings().first()) {
            outcome = Err(format!("{}: {}", first.rule, first.message));
        }
        let ok = outcome.is_ok();
        let (Ok(detail) | Err(detail)) = outcome;
        step(summary, &format!("UpperBindings {name}"), ok, detail);
        progress(host, "hostile registry values", at as u64 + 1, count as u64);
    }
    host.set_quiet(false);
    Ok(())
}

fn bind_with(host: &Host, stage: &Stage, at: usize) -> (&'static str, Result<String, String>) {
    let Some(mut request) = stage.bind_requests().into_iter().next() else {
        return ("", Err("the topology has no binding".into()));
    };
    let names = match request
        .values
        .iter()
        .find(|(key, _)| key == "UpperBindings")
    {
        Some((_, Value::Strings(names))) => names.clone(),
        _ => Vec::new(),
    };
    let Case { name, value, must } = cases(&names).swap_remove(at);
    request.values.retain(|(key, _)| key != "UpperBindings");
    request
        .values
        .extend(value.map(|v| ("UpperBindings".into(), v)));
    let entry = host.driver_entry(&stage.service);
    if entry < 0 {
        return (name, Err(format!("DriverEntry: {entry:#x}")));
    }
    let bound = host.bind(request);
    if let Ok(binding) = bound {
        host.restart_binding(binding);
    }
    let running = |host: &Host| {
        names
            .iter()
            .filter_map(|n| host.miniport(n))
            .filter(|&m| host.miniport_state(m) == Some(EdgeState::Running))
            .count()
    };
    host.wait_until("for the virtual miniports", MS / 10, 2 * MS, |host| {
        running(host) == names.len()
    });
    let up = running(host);
    let told = events(host);
    if let Ok(binding) = bound {
        host.unbind(binding);
    }
    host.uninstall();
    host.unload();
    let wrong = match must {
        Some(true) => bound.is_err() || up != names.len(),
        Some(false) => up != 0,
        None => false,
    };
    // A driver with a control device says what came of it; one without cannot be asked.
    let silent = told.as_ref().is_some_and(Vec::is_empty);
    let result = format!(
        "{}, {up} of {} miniports; events: {}",
        bound.map_or_else(|s| format!("refused with {s:#010x}"), |_| "bound".into()),
        names.len(),
        told.map_or("not asked".into(), |t| t.join(", "))
    );
    (
        name,
        if wrong || silent {
            Err(result)
        } else {
            Ok(result)
        },
    )
}

/// Names of the events the driver keeps, apart from those of every life.
fn events(host: &Host) -> Option<Vec<String>> {
    let events = control::records::<EventRecord>(host, Kind::Events, 0).ok()?;
    let mut names: Vec<String> = events
        .iter()
        .filter(|e| e.kind != EventKind::Loaded as u32)
        .map(|e| {
            EventKind::from_code(e.kind).map_or_else(|| e.kind.to_string(), |k| k.name().into())
        })
        .collect();
    names.dedup();
    names.truncate(6);
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::super::stage::device;
    use super::*;

    #[test]
    fn every_case_has_a_name_and_the_first_is_sound() {
        let all = cases(&[device("vm0")]);
        assert_eq!(all[0].must, Some(true));
        let mut names: Vec<_> = all.iter().map(|c| c.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }
}
