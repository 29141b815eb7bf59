//! LACP under conditions: activity and timeouts of both sides, no partner, two partners,
//! a partner that changes its key, a cable between two members, bad weather, bad PDUs.

use lab_host::{Host, RunEnd};
use lab_net::lock;
use lab_net::oracle::SwarmPace;
use lab_net::team::{BadPdu, Mute, Weather, bad_pdu};

use super::again;
use super::plan::{Mode, Plan};
use super::rig::Rig;
use crate::process::RunJob;
use crate::scenario::stage::Files;
use crate::scenario::{leaks, progress, step, teams, tour};
use crate::summary::Summary;
use crate::topology::{Bond, Partner, Switch, Topology};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Members of these teams.
const MEMBERS: usize = 4;
const ALL: u32 = 0b1111;
const FLOWS: u16 = 200;
/// LACPDUs in a second (802.1AX 6.4.16).
const RATE: u64 = 3;

/// What is to be seen.
type Body = fn(&Host, &Rig, &mut Summary) -> Result<String, String>;

/// A life with a name, a plan, changes of the topology, and what is to be seen in it.
struct Case {
    name: &'static str,
    plan: Plan,
    change: fn(&mut Topology),
    body: Body,
}

fn plan() -> Plan {
    Plan::equal(Mode::Lacp, MEMBERS, 1_000)
}

fn partner(topology: &mut Topology) -> &mut Partner {
    &mut topology.switches[0].partner
}

fn cases() -> Vec<Case> {
    let case = |name, plan, change, body| Case {
        name,
        plan,
        change,
        body,
    };
    vec![
        case(
            "slow partner",
            plan(),
            |t| partner(t).fast = false,
            comes_up,
        ),
        case("slow team", plan().with("LacpFast", 0), |_| {}, comes_up),
        case(
            "passive team, active partner",
            plan().with("LacpActive", 0),
            |_| {},
            comes_up,
        ),
        case(
            "active team, passive partner",
            plan(),
            |t| partner(t).active = false,
            comes_up,
        ),
        case(
            "both passive: one link at a time",
            plan().with("LacpActive", 0),
            |t| partner(t).active = false,
            speaks_on_one,
        ),
        case(
            "no partner: one link at a time",
            plan(),
            |t| t.switches[0].bond = Bond::Bridge,
            falls_back,
        ),
        case(
            "no partner, strict: no link",
            plan().with("Strict", 1),
            |t| t.switches[0].bond = Bond::Bridge,
            stays_down,
        ),
        case("two partners", plan(), two_partners, one_of_two),
        case("a partner that flips keys", plan(), |_| {}, flips_keys),
        case("a cable between two members", plan(), |_| {}, loops),
        case("bad weather for PDUs", plan(), |_| {}, weather),
        case("bad PDUs", plan(), |_| {}, bad_pdus),
        case(
            "fewer links than the least",
            plan().with("MinLinks", 3),
            |_| {},
            min_links,
        ),
    ]
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
        let end = host.run("lacp", |host| {
            let Some(bindings) = tour::bring_up(host, &rig.stage, summary) else {
                return;
            };
            let result = (case.body)(host, &rig, summary);
            let (ok, detail) = match result {
                Ok(detail) => (true, detail),
                Err(why) => (false, why),
            };
            step(summary, &format!("LACP: {}", case.name), ok, detail);
            let most = (0..MEMBERS).map(|port| lock(&rig.switch).ports().min(port + 1));
            let most = most.map(|ports| lock(&rig.switch).uplink(ports - 1).pdus_a_second);
            let most = most.max().unwrap_or(0);
            if most > RATE {
                let text = format!("{}: {most} LACPDUs within a second", case.name);
                step(summary, "LACP: at most 3 PDUs a second", false, text);
            }
            tour::bring_down(host, &bindings, summary);
        });
        summary.leaks.extend(leaks(host));
        if end != RunEnd::Done {
            return Ok(());
        }
        progress(host, "cases of LACP", number as u64 + 1, total);
    }
    Ok(())
}

/// Waits until the far end uses exactly these ports.
fn usable(host: &Host, rig: &Rig, ports: u32, seconds: u64) -> Result<(), String> {
    let there = host.wait_until("for the links", MS, seconds * SECOND, |_| {
        lock(&rig.switch).usable() == ports
    });
    if there {
        Ok(())
    } else {
        let seen = lock(&rig.switch).usable();
        Err(format!(
            "links that carry frames: {seen:#b}, not {ports:#b}"
        ))
    }
}

fn link(host: &Host, rig: &Rig, up: bool, seconds: u64) -> Result<(), String> {
    let there = host.wait_until("for the team's link", MS, seconds * SECOND, |host| {
        rig.has_link(host) == up
    });
    there
        .then_some(())
        .ok_or_else(|| format!("the team's link is not {}", if up { "up" } else { "down" }))
}

/// A flood down that has to arrive whole and in order.
fn flood(host: &Host, rig: &Rig) -> Result<String, String> {
    let frames = u64::from(FLOWS) * 10;
    let before = rig.stage.endpoints.ledger.verdict();
    let pace = SwarmPace {
        burst: 16,
        interval: 400_000,
        ..SwarmPace::default()
    };
    if !rig.send(host, frames, pace) {
        return Err("lists are missing".into());
    }
    let v = rig.stage.endpoints.ledger.verdict();
    let lost = v.lost - before.lost;
    let received = v.received - before.received;
    if lost + (v.misordered - before.misordered) + (v.duplicated - before.duplicated) > 0
        || received != frames
    {
        return Err(format!("of {frames} frames: {v}"));
    }
    let used = lock(&rig.book).frames.iter().filter(|n| **n > 0).count();
    Ok(format!(
        "{received} frames over {used} members, all in order"
    ))
}

fn comes_up(host: &Host, rig: &Rig, _: &mut Summary) -> Result<String, String> {
    usable(host, rig, ALL, 120)?;
    link(host, rig, true, 5)?;
    flood(host, rig)
}

fn falls_back(host: &Host, rig: &Rig, _: &mut Summary) -> Result<String, String> {
    link(host, rig, true, 30)?;
    let text = flood(host, rig)?;
    let used = lock(&rig.book).frames.iter().filter(|n| **n > 0).count();
    if used == 1 {
        Ok(text)
    } else {
        Err(format!("{used} members were used"))
    }
}

/// The partner falls back to one link too, and need not choose the same: only what is sent
/// is judged.
fn speaks_on_one(host: &Host, rig: &Rig, _: &mut Summary) -> Result<String, String> {
    link(host, rig, true, 30)?;
    let pace = SwarmPace {
        burst: 16,
        interval: 400_000,
        ..SwarmPace::default()
    };
    if !rig.send(host, 1_000, pace) {
        return Err("lists are missing".into());
    }
    let frames = lock(&rig.book).frames.clone();
    let used = frames.iter().filter(|n| **n > 0).count();
    if used != 1 || frames.iter().sum::<u64>() != 1_000 {
        return Err(format!("frames by member: {frames:?}"));
    }
    Ok(format!("frames by member: {frames:?}"))
}

fn stays_down(host: &Host, rig: &Rig, _: &mut Summary) -> Result<String, String> {
    host.sleep(20 * SECOND);
    if rig.has_link(host) {
        return Err("the team has a link without a partner".into());
    }
    Ok("no link for 20 s".into())
}

fn two_partners(topology: &mut Topology) {
    let rest = topology.switches[0].wires.split_off(2);
    let first = topology.switches[0].clone();
    topology.switches.push(Switch {
        name: format!("{}b", first.name),
        wires: rest,
        partner: Partner {
            system: lab_net::Mac::local(7, 0x200),
            ..first.partner
        },
        ..first
    });
}

fn one_of_two(host: &Host, rig: &Rig, _: &mut Summary) -> Result<String, String> {
    link(host, rig, true, 30)?;
    host.sleep(5 * SECOND);
    let second = rig.stage.topology.switches.get(1).map(|s| s.name.clone());
    let second = second.and_then(|name| rig.stage.switch(&name).cloned());
    let second = second.ok_or("no second switch")?;
    let (a, b) = (lock(&rig.switch).usable(), lock(&second).usable());
    if (a == 0) == (b == 0) {
        return Err(format!("links of the partners: {a:#b} and {b:#b}"));
    }
    if (a | b) != 0b11 {
        return Err(format!("not both links of one partner: {a:#b} and {b:#b}"));
    }
    Ok(format!("links of the partners: {a:#b} and {b:#b}"))
}

fn flips_keys(host: &Host, rig: &Rig, _: &mut Summary) -> Result<String, String> {
    usable(host, rig, ALL, 60)?;
    let before = flood(host, rig)?;
    let mut flips = 0;
    for key in [99, 7, 99, 55] {
        lock(&rig.switch).set_key(host.now(), 1, key);
        rig.kick(host);
        host.sleep(4 * SECOND);
        if !rig.has_link(host) {
            return Err("the team's link went down".into());
        }
        flips += 1;
    }
    usable(host, rig, ALL, 60)?;
    let after = flood(host, rig)?;
    Ok(format!("{flips} times; before: {before}; after: {after}"))
}

fn loops(host: &Host, rig: &Rig, _: &mut Summary) -> Result<String, String> {
    usable(host, rig, ALL, 60)?;
    // The cables of two members go into each other.
    let mute = Mute {
        inward: true,
        outward: true,
    };
    for port in [2, 3] {
        lock(&rig.switch).set_mute(port, mute);
    }
    host.share_wire(2, 3);
    host.sleep(10 * SECOND);
    let usable = lock(&rig.switch).usable();
    if usable != 0b0011 {
        return Err(format!("links that carry frames: {usable:#b}"));
    }
    let text = flood(host, rig)?;
    let team = teams::teams(host)?.into_iter().next().ok_or("no team")?;
    if team.distribute.count_ones() != 2 {
        return Err(format!("the team distributes on {:#b}", team.distribute));
    }
    Ok(text)
}

fn weather(host: &Host, rig: &Rig, _: &mut Summary) -> Result<String, String> {
    usable(host, rig, ALL, 60)?;
    let before = rig.stage.endpoints.ledger.verdict();
    for port in 0..MEMBERS {
        let weather = Weather {
            loss: 300_000,
            duplicate: 200_000,
            delay: 500 * MS,
        };
        lock(&rig.switch).set_weather(port, weather);
    }
    let pace = SwarmPace {
        burst: 8,
        interval: 10 * MS,
        ..SwarmPace::default()
    };
    rig.start(host, u64::MAX / 2, pace);
    host.sleep(60 * SECOND);
    lock(&rig.down).stop();
    if !rig.settle(host, 10 * SECOND) {
        return Err("lists are missing".into());
    }
    let v = rig.stage.endpoints.ledger.verdict();
    let (overtaken, twice) = (
        v.misordered - before.misordered,
        v.duplicated - before.duplicated,
    );
    if overtaken + twice > 0 {
        return Err(format!("{overtaken} overtaken, {twice} twice"));
    }
    for port in 0..MEMBERS {
        lock(&rig.switch).set_weather(port, Weather::default());
    }
    usable(host, rig, ALL, 60)?;
    flood(host, rig)?;
    Ok(format!(
        "60 s of it: {} frames, none overtaken, {} lost in silence",
        v.sent - before.sent,
        v.lost - before.lost
    ))
}

fn bad_pdus(host: &Host, rig: &Rig, _: &mut Summary) -> Result<String, String> {
    const EACH: u64 = 400;
    usable(host, rig, ALL, 60)?;
    let own = rig
        .miniport(host)
        .and_then(|miniport| host.miniport_facts(miniport))
        .map(|facts| lab_net::Mac(facts.mac))
        .ok_or("no miniport")?;
    for index in 0..EACH {
        for port in 0..MEMBERS {
            let source = lab_net::Mac::local(7, 1 + port as u16);
            let (fault, frame) = bad_pdu(3, index * 4 + port as u64, source, own);
            // Those that speak for another system are a partner's change, not a mistake.
            if !matches!(
                fault,
                BadPdu::Version
                    | BadPdu::Noise
                    | BadPdu::Long
                    | BadPdu::TlvLength
                    | BadPdu::TlvType
                    | BadPdu::OwnSystem
            ) {
                lock(&rig.switch).inject(port, frame);
            }
        }
        rig.kick(host);
        host.sleep(MS);
    }
    if !rig.has_link(host) {
        return Err("the team's link went down".into());
    }
    usable(host, rig, ALL, 1)?;
    // The others, on one port alone: the team lives on by the rest.
    for index in 0..EACH {
        let (_, frame) = bad_pdu(5, index, lab_net::Mac::local(7, 1), own);
        lock(&rig.switch).inject(0, frame);
        rig.kick(host);
        host.sleep(MS);
        if !rig.has_link(host) {
            return Err("the team's link went down".into());
        }
    }
    let shown = teams::shown(host, "after bad PDUs")?;
    let counted: u64 = shown
        .iter()
        .flat_map(|team| &team.members)
        .filter_map(|member| member.lacp.as_ref())
        .flat_map(|lacp| &lacp.counters)
        .filter(|(name, _)| name.contains("IllegalRx") || name.contains("UnknownRx"))
        .map(|(_, count)| *count)
        .sum();
    if counted == 0 {
        return Err("none was counted".into());
    }
    usable(host, rig, ALL, 60)?;
    let text = flood(host, rig)?;
    Ok(format!("{counted} counted as illegal or unknown; {text}"))
}

fn min_links(host: &Host, rig: &Rig, _: &mut Summary) -> Result<String, String> {
    usable(host, rig, ALL, 60)?;
    link(host, rig, true, 5)?;
    let set = |port: usize, up: bool| {
        lock(&rig.switch).set_link(host.now(), port, up);
        host.set_link(port, up);
    };
    set(0, false);
    host.sleep(100 * MS);
    link(host, rig, true, 1)?;
    set(1, false);
    link(host, rig, false, 5)?;
    set(1, true);
    link(host, rig, true, 60)?;
    set(0, true);
    usable(host, rig, ALL, 60)?;
    flood(host, rig)
}
