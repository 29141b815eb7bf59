//! Ports whose values are wrong, and adapters that cannot do everything: the port
//! concerned is left out and an event says so; the others run.

use std::collections::BTreeMap;

use im_control::{EventKind, EventRecord, Kind};
use lab_host::ndis::EdgeState;
use lab_host::{Host, RunEnd};

use super::super::stage::{Files, Stage, device};
use super::super::{control, progress, step};
use crate::process::RunJob;
use crate::summary::Summary;
use crate::topology::{ConfigValue, Medium, Miniport, Topology};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
/// The port that is added to the topology's.
const EXTRA: &str = "pextra";

/// A topology, and which of its ports must be left out.
struct Case {
    name: String,
    topology: Topology,
    left_out: Vec<String>,
    /// Of the last port and this one the later to start must be left out.
    rival: Option<String>,
}

/// The topology with one more port of these values.
fn with_port(
    topology: &Topology,
    name: &str,
    properties: &[(&str, ConfigValue)],
    left_out: bool,
) -> Case {
    let mut topology = topology.clone();
    let properties: BTreeMap<_, _> = properties
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    topology.miniports.push(Miniport {
        name: EXTRA.to_owned(),
        fold_tags: false,
        window: None,
        properties,
        protocol: None,
    });
    if let Some(binding) = topology.bindings.first_mut() {
        binding.upper.push(EXTRA.to_owned());
    }
    Case {
        name: name.to_owned(),
        topology,
        left_out: left_out.then(|| EXTRA.to_owned()).into_iter().collect(),
        rival: None,
    }
}

fn cases(topology: &Topology) -> Vec<Case> {
    let text = |text: &str| ConfigValue::Text(text.to_owned());
    let number = ConfigValue::Number;
    let vlan = |value| ("VlanID", value);
    let mut cases = vec![with_port(topology, "sound", &[vlan(number(77))], false)];
    let mut bad = |name: &str, properties: &[(&str, ConfigValue)]| {
        cases.push(with_port(topology, name, properties, true));
    };
    bad("VlanID 4095", &[vlan(number(4_095))]);
    bad("VlanID 65546", &[vlan(number(65_546))]);
    bad("VlanID 4294967295", &[vlan(number(u32::MAX))]);
    // A word is no case: NDIS makes the number 0 of it before the driver sees it.
    bad(
        "VlanID is a list",
        &[vlan(ConfigValue::List(vec!["10".into()]))],
    );
    let on_77 = |key: &'static str, value| [vlan(number(77)), (key, value)];
    bad(
        "NetworkAddress is a group",
        &on_77("NetworkAddress", text("014C41420099")),
    );
    bad(
        "NetworkAddress is zero",
        &on_77("NetworkAddress", text("000000000000")),
    );
    bad(
        "NetworkAddress is short",
        &on_77("NetworkAddress", text("024C41")),
    );
    bad("MacMode 3", &on_77("MacMode", number(3)));
    bad("PortIndex 65536", &on_77("PortIndex", number(65_536)));
    bad("AcceptUntagged 2", &on_77("AcceptUntagged", number(2)));
    bad(
        "PriorityIn of four digits",
        &on_77("PriorityIn", text("0123")),
    );
    bad(
        "PriorityOut with an 8",
        &on_77("PriorityOut", text("01234568")),
    );
    bad("DefaultPriority 8", &on_77("DefaultPriority", number(8)));
    bad("ReceiveShare 15", &on_77("ReceiveShare", number(15)));
    bad(
        "AllowedMacs with a word",
        &on_77("AllowedMacs", ConfigValue::List(vec!["nobody".into()])),
    );
    // The later of two with one address in one VLAN.
    let listed = topology.bindings.first().map_or(&[][..], |b| &b.upper);
    let first = listed.iter().find(|name| topology.vlan_of(name) != 0);
    let taken = first.and_then(|first| topology.miniports.iter().find(|m| m.name == *first));
    if let Some(taken) = taken {
        let twice: Vec<_> = taken
            .properties
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        let name = "the VLAN and address of another port";
        cases.push(Case {
            rival: Some(taken.name.clone()),
            ..with_port(topology, name, &twice, true)
        });
    }
    cases.push(wifi(topology));
    cases
}

/// An adapter with one address only: ports with another one are left out.
fn wifi(topology: &Topology) -> Case {
    let mut topology = topology.clone();
    for adapter in &mut topology.adapters {
        adapter.medium = Medium::Wifi;
    }
    let own = |name: &&String| {
        let port = topology.miniports.iter().find(|port| port.name == **name);
        port.is_some_and(|port| {
            let configured = port.properties.contains_key("NetworkAddress");
            configured || port.vlan() == 0
        })
    };
    let listed = topology.bindings.first().map_or(&[][..], |b| &b.upper);
    let left_out = listed.iter().filter(own).cloned().collect();
    Case {
        name: "an adapter with one address".into(),
        left_out,
        topology,
        rival: None,
    }
}

/// Binds with every case.
pub fn run(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<(), Trouble> {
    let cases = cases(&job.topology);
    let mut wrong = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        host.reset(job.seed)
            .map_err(|error| Trouble::host(error.to_string()))?;
        host.set_quiet(true);
        let stage = Stage::new(host, job, &case.topology, job.seed, Files::new())?;
        let mut outcome = Err("the driver was stopped".to_owned());
        let end = host.run("settings", |host| outcome = bind(host, &stage, case));
        if let Some(finding) = host.findings().first() {
            wrong.push(format!(
                "{}: {}: {}",
                case.name, finding.rule, finding.message
            ));
        }
        if let Err(why) = outcome {
            wrong.push(format!("{}: {why}", case.name));
        }
        summary.leaks.extend(super::super::leaks(host));
        progress(host, "wrong settings", at as u64 + 1, cases.len() as u64);
        if end != RunEnd::Done {
            break;
        }
    }
    for text in &wrong {
        host.log(0, "lab", text.clone());
    }
    let count = wrong.len();
    step(
        summary,
        "wrong settings",
        count == 0,
        wrong.into_iter().next().map_or_else(
            || {
                format!(
                    "{} cases: the port concerned is left out with an event, the others run",
                    cases.len()
                )
            },
            |first| format!("{count} of {} wrong, first: {first}", cases.len()),
        ),
    );
    Ok(())
}

fn bind(host: &Host, stage: &Stage, case: &Case) -> Result<(), String> {
    let entry = host.driver_entry(&stage.service);
    if entry < 0 {
        return Err(format!("DriverEntry: {entry:#x}"));
    }
    let mut bindings = Vec::new();
    for request in stage.bind_requests() {
        let binding = host
            .bind(request)
            .map_err(|status| format!("bind: {status:#x}"))?;
        host.restart_binding(binding);
        bindings.push(binding);
    }
    let is_up = |host: &Host, name: &str| {
        let miniport = host.miniport(&device(name));
        miniport.and_then(|m| host.miniport_state(m)) == Some(EdgeState::Running)
    };
    let listed = stage
        .topology
        .bindings
        .first()
        .map_or(&[][..], |b| &b.upper);
    let wanted: Vec<&String> = listed
        .iter()
        .filter(|name| !case.left_out.contains(name))
        .collect();
    let rivals: Vec<&str> = case
        .rival
        .iter()
        .map(String::as_str)
        .chain([EXTRA])
        .collect();
    let is_rival = |name: &str| case.rival.is_some() && rivals.contains(&name);
    let up = host.wait_until("for the ports", MS / 10, 20 * MS, |host| {
        wanted
            .iter()
            .all(|name| is_rival(name) || is_up(host, name))
    });
    host.sleep(5 * MS);
    let started = rivals.iter().filter(|name| is_up(host, name)).count();
    let told = events(host);
    let mut outcome = Ok(());
    if !up {
        let down: Vec<_> = wanted.iter().filter(|name| !is_up(host, name)).collect();
        outcome = Err(format!("{down:?} do not run"));
    } else if case.rival.is_some() && started != 1 {
        outcome = Err(format!("{started} of {rivals:?} run"));
    } else if let Some(name) = case
        .left_out
        .iter()
        .find(|name| !is_rival(name) && is_up(host, name))
    {
        outcome = Err(format!("{name} runs"));
    } else if !case.left_out.is_empty() && told == 0 {
        outcome = Err("no event says why".into());
    }
    for binding in bindings {
        host.unbind(binding);
    }
    host.uninstall();
    host.unload();
    outcome
}

/// How many events tell of something that was refused.
fn events(host: &Host) -> usize {
    let events = control::records::<EventRecord>(host, Kind::Events, 0).unwrap_or_default();
    events
        .iter()
        .filter_map(|event| EventKind::from_code(event.kind))
        .filter(|kind| {
            matches!(
                kind,
                EventKind::BadSetting | EventKind::MiniportRefused | EventKind::MiniportFailed
            )
        })
        .count()
}
