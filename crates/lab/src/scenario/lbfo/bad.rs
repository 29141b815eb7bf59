//! Configurations that are wrong: what is wrong is left out and told, the rest works, and
//! nothing is left behind.

use std::collections::BTreeMap;

use im_control::{EventKind, EventRecord, Kind, MemberRefusal};
use lab_host::{Host, RunEnd};
use lab_net::oracle::SwarmPace;

use super::again;
use super::plan::{Mode, Plan};
use super::rig::Rig;
use crate::process::RunJob;
use crate::scenario::control::records;
use crate::scenario::stage::{Files, Stage, device};
use crate::scenario::{leaks, progress, step, teams, tour};
use crate::summary::Summary;
use crate::topology::{Binding, ConfigValue, Medium, Miniport, Topology};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const FLOWS: u16 = 100;

/// What has to come of it.
struct Wanted {
    /// Members of the team; none: the team is not there.
    members: Option<usize>,
    /// An event of one of these kinds, with this value if one is named.
    events: Vec<(EventKind, Option<u64>)>,
}

struct Case {
    name: &'static str,
    plan: Plan,
    change: fn(&mut Topology),
    wanted: Wanted,
}

fn refused(members: usize, why: &[MemberRefusal]) -> Wanted {
    let of = |why: &MemberRefusal| (EventKind::MemberRefused, Some(u64::from(why.code())));
    Wanted {
        members: Some(members),
        events: why.iter().map(of).collect(),
    }
}

fn no_team() -> Wanted {
    Wanted {
        members: None,
        events: vec![(EventKind::BadSetting, None)],
    }
}

/// An adapter whose list of miniports makes no sense is left out.
fn bad_list() -> Wanted {
    Wanted {
        members: Some(1),
        events: vec![
            (EventKind::DoubledNames, None),
            (EventKind::TooManyMiniports, None),
            (
                EventKind::MemberRefused,
                Some(u64::from(MemberRefusal::OtherTeam.code())),
            ),
        ],
    }
}

fn second_team(topology: &mut Topology) {
    topology.miniports.push(Miniport {
        name: "team1".into(),
        fold_tags: false,
        window: None,
        properties: BTreeMap::from([(
            "NetworkAddress".to_owned(),
            ConfigValue::Text("024C41420199".into()),
        )]),
        protocol: None,
    });
    topology.bindings[0].upper.push("team1".into());
}

fn cases() -> Vec<Case> {
    let plan = |members| Plan::equal(Mode::Hash, members, 1_000);
    let case = |name, plan, change, wanted| Case {
        name,
        plan,
        change,
        wanted,
    };
    let mut cases = vec![
        case(
            "no member",
            plan(2),
            |t| t.bindings.clear(),
            Wanted {
                members: None,
                events: Vec::new(),
            },
        ),
        case(
            "33 members",
            plan(33),
            |_| {},
            refused(32, &[MemberRefusal::TooMany]),
        ),
        case(
            "the same member twice",
            plan(2),
            |t| {
                let name = t.bindings[0].upper[0].clone();
                t.bindings[0].upper.push(name);
            },
            bad_list(),
        ),
        case(
            "two teams claim one adapter",
            plan(2),
            second_team,
            bad_list(),
        ),
        case(
            "a member with another MTU",
            plan(3),
            |t| t.adapters[2].mtu = 1_400,
            refused(2, &[MemberRefusal::Mtu]),
        ),
        case(
            "a member on Wi-Fi",
            plan(3),
            |t| t.adapters[2].medium = Medium::Wifi,
            Wanted {
                members: Some(2),
                // One address only: it is not even bound.
                events: vec![(EventKind::BindFailed, None)],
            },
        ),
        case(
            "two members of one number",
            plan(3),
            |t| {
                let number = ConfigValue::Number(1);
                t.bindings[2].values.insert("MemberIndex".into(), number);
            },
            refused(2, &[MemberRefusal::Number]),
        ),
        case(
            "a member without a weight that it could have",
            plan(3),
            |t| {
                set(
                    &mut t.bindings[2],
                    "MemberWeight",
                    ConfigValue::Number(1_001),
                );
            },
            Wanted {
                members: Some(2),
                events: vec![(EventKind::BadSetting, None)],
            },
        ),
    ];
    for (name, key, value) in [
        ("mode 6", "Mode", ConfigValue::Number(6)),
        ("mode in words", "Mode", ConfigValue::Text("lacp".into())),
        ("hash policy 4", "HashPolicy", ConfigValue::Number(4)),
        ("no links at least", "MinLinks", ConfigValue::Number(0)),
        ("33 links at least", "MinLinks", ConfigValue::Number(33)),
        ("flowlets of 49 us", "FlowletGap", ConfigValue::Number(49)),
        ("key 0", "LacpKey", ConfigValue::Number(0)),
        ("monitor without targets", "Monitor", ConfigValue::Number(1)),
        (
            "a group's address",
            "NetworkAddress",
            ConfigValue::Text("034C41420100".into()),
        ),
    ] {
        let mut plan = plan(2);
        plan.settings.push((key, value));
        cases.push(case(name, plan, |_| {}, no_team()));
    }
    cases
}

fn set(binding: &mut Binding, name: &str, value: ConfigValue) {
    binding.values.insert(name.to_owned(), value);
}

/// Runs all cases.
pub fn run(host: &Host, job: &RunJob, summary: &mut Summary) -> Result<(), Trouble> {
    let cases = cases();
    let total = cases.len() as u64;
    for (number, case) in cases.iter().enumerate() {
        if number > 0 {
            again(host, job, summary)?;
        }
        let mut topology = case.plan.topology(&job.topology)?;
        (case.change)(&mut topology);
        let seed = job.seed;
        let rig = Rig::on(host, job, &topology, &case.plan, FLOWS, seed, Files::new())?;
        let end = host.run("bad configuration", |host| {
            let result = life(host, &rig, &case.wanted, summary);
            let (ok, detail) = match result {
                Ok(detail) => (true, detail),
                Err(why) => (false, why),
            };
            step(summary, &format!("bad: {}", case.name), ok, detail);
        });
        summary.leaks.extend(leaks(host));
        if end != RunEnd::Done {
            return Ok(());
        }
        progress(host, "bad configurations", number as u64 + 1, total);
    }
    Ok(())
}

fn bind(host: &Host, stage: &Stage) -> Vec<u64> {
    let mut bindings = Vec::new();
    for request in stage.bind_requests() {
        // A refused bind is an answer too.
        if let Ok(binding) = host.bind(request) {
            host.restart_binding(binding);
            bindings.push(binding);
        }
    }
    bindings
}

fn life(host: &Host, rig: &Rig, wanted: &Wanted, summary: &mut Summary) -> Result<String, String> {
    let status = host.driver_entry(&rig.stage.service);
    if status < 0 {
        return Err(format!("DriverEntry: status {status:#x}"));
    }
    let bindings = bind(host, &rig.stage);
    let result = seen(host, rig, wanted);
    tour::bring_down(host, &bindings, summary);
    result
}

fn seen(host: &Host, rig: &Rig, wanted: &Wanted) -> Result<String, String> {
    let is_up = |host: &Host| host.miniport(&device(&rig.team)).is_some() && rig.has_link(host);
    let mut said = Vec::new();
    match wanted.members {
        None => {
            host.sleep(200 * MS);
            if is_up(host) {
                return Err("the team is there".into());
            }
            said.push("no team".to_owned());
        }
        Some(count) => {
            if !host.wait_until("for the team", MS, 10 * SECOND, is_up) {
                return Err("the team does not come up".into());
            }
            host.sleep(200 * MS);
            let all = teams::teams(host)?;
            let wide = device(&rig.team);
            let name = |team: &im_control::TeamRecord| {
                let name = String::from_utf16_lossy(&team.name);
                name.trim_end_matches('\0').to_uppercase()
            };
            let team = all.iter().find(|team| wide.ends_with(&name(team)));
            let team = team
                .or(all.first())
                .ok_or("the control device has no team")?;
            let members = team.members.count_ones() as usize;
            if members != count {
                return Err(format!("{members} members, not {count}"));
            }
            let pace = SwarmPace {
                burst: 8,
                interval: 400_000,
                ..SwarmPace::default()
            };
            if !rig.send(host, 500, pace) {
                return Err("lists are missing".into());
            }
            let v = rig.stage.endpoints.ledger.verdict();
            if v.received != 500 || v.misordered + v.duplicated > 0 {
                return Err(format!("the others do not carry everything: {v}"));
            }
            said.push(format!("{members} members carry everything"));
        }
    }
    if !wanted.events.is_empty() {
        let found = events(host)?;
        let right = found.iter().find(|event| {
            let mut kinds = wanted.events.iter();
            kinds.any(|(kind, value)| {
                event.kind == kind.code() && value.is_none_or(|value| value == event.value)
            })
        });
        let Some(event) = right else {
            let kinds: Vec<String> = found.iter().rev().take(12).map(kind_name).collect();
            let wanted: Vec<&str> = wanted.events.iter().map(|(kind, _)| kind.name()).collect();
            return Err(format!(
                "no event {}; the last: {}",
                wanted.join(" or "),
                kinds.join(", ")
            ));
        };
        said.push(format!("event {}", kind_name(event)));
    }
    Ok(said.join(", "))
}

fn kind_name(event: &EventRecord) -> String {
    let name = EventKind::from_code(event.kind).map_or("?", EventKind::name);
    format!("{name} {:#x}", event.value)
}

fn events(host: &Host) -> Result<Vec<EventRecord>, String> {
    records(host, Kind::Events, 0)
}
