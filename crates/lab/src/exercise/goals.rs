//! What an exercise demands, asked of what the run found out. Pure functions.

use super::list::{Exercise, Given};
use super::{Found, Goal};
use crate::compare::report::{Cell, Effect, Life};

/// The far station, as the matrix names it.
const FAR: &str = "far";
/// A flow that is silent for no longer has not noticed, in microseconds.
const UNNOTICED_US: u64 = 1_000;

/// The goals of an exercise, each with whether it is reached.
pub(super) fn goals(exercise: &Exercise, found: &Found) -> Vec<Goal> {
    match (exercise.given, exercise.name) {
        (Given::Order, _) => vec![order(found, "unbind")],
        (Given::Omission { call, .. }, _) => vec![rule(found), forgotten(found, call)],
        (Given::Topology, "passthrough-1") => {
            let mut goals = vec![clean(found)];
            goals.extend(second_miniport(&found.life));
            goals
        }
        (Given::Topology, "mux-1") => {
            let mut goals = vec![clean(found)];
            goals.extend(table(&found.life));
            goals
        }
        (Given::Topology, "mux-2") => {
            let mut goals = vec![clean(found)];
            goals.extend(no_promiscuous(&found.life));
            goals
        }
        (Given::Topology, "lbfo-1") => {
            let mut goals = vec![clean(found)];
            goals.extend(unnoticed(&found.life));
            goals
        }
        (Given::Topology, "lbfo-2") => {
            let mut goals = vec![clean(found)];
            goals.extend(spread(&found.life));
            goals
        }
        (Given::Topology, _) => Vec::new(),
    }
}

fn goal(wanted: impl Into<String>, ok: bool, seen: impl Into<String>) -> Goal {
    Goal {
        wanted: wanted.into(),
        ok,
        seen: seen.into(),
    }
}

/// The run came to its end, and nothing was wrong with it.
fn clean(found: &Found) -> Goal {
    let all = found.said.iter().chain(&found.life.failures);
    let first = all.into_iter().next().cloned();
    let ended = !found.life.acts.is_empty();
    goal(
        "the run is clean",
        ended && first.is_none(),
        first.unwrap_or_else(|| found.how.clone()),
    )
}

fn act<'a>(life: &'a Life, name: &str) -> Option<&'a Effect> {
    life.acts.iter().find(|act| act.name == name)
}

/// What a listener heard of a speaker; nothing of somebody who is not there.
fn heard(life: &Life, speaker: &str, listener: &str) -> Cell {
    let at = life.hears.listeners.iter().position(|l| l == listener);
    let row = life.hears.rows.iter().find(|row| row.speaker == speaker);
    let cell = at.and_then(|at| row?.heard.get(at).copied());
    cell.unwrap_or_default()
}

/// Whether both hear each other: what is sent to them, and broadcasts.
fn talk(life: &Life, a: &str, b: &str) -> bool {
    let hears = |speaker, listener| {
        let cell = heard(life, speaker, listener);
        cell.unicast > 0 && cell.broadcast > 0
    };
    hears(a, b) && hears(b, a)
}

/// Whether neither hears anything of the other.
fn strangers(life: &Life, a: &str, b: &str) -> bool {
    heard(life, a, b) == Cell::default() && heard(life, b, a) == Cell::default()
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

fn talks(life: &Life, a: &str, b: &str) -> Goal {
    let ok = talk(life, a, b);
    goal(
        format!("`{a}` and `{b}` hear each other"),
        ok,
        yes_or_no(ok),
    )
}

fn apart(life: &Life, a: &str, b: &str) -> Goal {
    // Who is not there hears nothing either: that is no isolation.
    let there = |name: &str| life.hears.listeners.iter().any(|l| l == name);
    let ok = there(a) && there(b) && strangers(life, a, b);
    goal(
        format!("`{a}` and `{b}` hear nothing of each other"),
        ok,
        yes_or_no(ok),
    )
}

/// passthrough-1.
fn second_miniport(life: &Life) -> Vec<Goal> {
    let shape = &life.shape;
    vec![
        goal(
            "two bindings",
            shape.bindings == 2,
            shape.bindings.to_string(),
        ),
        goal(
            "each carries one virtual miniport",
            (shape.miniports, shape.miniports_per_binding) == (2, 1),
            format!("{} run", shape.miniports),
        ),
        talks(life, "vm0", FAR),
        talks(life, "vm1", FAR),
        talks(life, "vm0", "vm1"),
    ]
}

/// mux-1.
fn table(life: &Life) -> Vec<Goal> {
    let shape = &life.shape;
    vec![
        goal(
            "one binding with three ports",
            (shape.bindings, shape.miniports) == (1, 3),
            format!("{} bindings, {} ports", shape.bindings, shape.miniports),
        ),
        talks(life, "red1", "red2"),
        apart(life, "red1", "blue"),
        apart(life, "red2", "blue"),
        talks(life, "red1", FAR),
        talks(life, "red2", FAR),
        talks(life, "blue", FAR),
    ]
}

/// mux-2.
fn no_promiscuous(life: &Life) -> Vec<Goal> {
    let shape = &life.shape;
    let mut goals = vec![
        goal(
            "one binding with four ports",
            (shape.bindings, shape.miniports) == (1, 4),
            format!("{} bindings, {} ports", shape.bindings, shape.miniports),
        ),
        goal(
            "the adapter is not in promiscuous mode",
            shape.bindings > 0 && shape.promiscuous == 0,
            format!("{} adapters are", shape.promiscuous),
        ),
    ];
    goals.extend(["a", "b", "c", "d"].map(|port| talks(life, port, FAR)));
    goals
}

/// lbfo-1.
fn unnoticed(life: &Life) -> Vec<Goal> {
    let shape = &life.shape;
    let cable = act(life, "cable pulled").cloned().unwrap_or_default();
    vec![
        goal(
            "one miniport",
            shape.miniports == 1,
            shape.miniports.to_string(),
        ),
        goal(
            format!("no flow is silent for {UNNOTICED_US} µs while a cable is pulled"),
            cable.sent > 0 && cable.silence_us <= UNNOTICED_US,
            format!("{} µs, {} frames lost", cable.silence_us, cable.lost),
        ),
        goal(
            "the miniport survives an unbind of an adapter",
            life.unbind.miniports_before == 1 && life.unbind.miniports_gone == 0,
            format!(
                "{} of {} gone",
                life.unbind.miniports_gone, life.unbind.miniports_before
            ),
        ),
    ]
}

/// lbfo-2.
fn spread(life: &Life) -> Vec<Goal> {
    let steady = act(life, "steady").cloned().unwrap_or_default();
    let all: u64 = steady.ports.iter().sum();
    let least = steady.ports.iter().min().copied().unwrap_or(0);
    let share = (100 * least).checked_div(all).unwrap_or(0);
    let by_ports = life
        .decides
        .rows
        .iter()
        .any(|row| row.way == "down" && row.part == "UDP ports" && row.decides);
    vec![
        goal(
            "one miniport on two adapters",
            (life.shape.miniports, life.shape.bindings) == (1, 2),
            format!(
                "{} miniports, {} bindings",
                life.shape.miniports, life.shape.bindings
            ),
        ),
        goal(
            "each adapter carries a quarter of the frames at least",
            share >= 25,
            format!("{:?}, so {share} in a hundred", steady.ports),
        ),
        goal(
            "flows that differ in their UDP ports alone can part",
            by_ports,
            life.decides.down.clone(),
        ),
        goal(
            "no frame overtakes another of its flow",
            all > 0 && life.total.reordered == 0,
            format!("{} did", life.total.reordered),
        ),
        goal(
            "no frame arrives twice",
            all > 0 && life.total.duplicated == 0,
            format!("{} did", life.total.duplicated),
        ),
    ]
}

/// Calls of the answer against those of the trace, where both have them.
fn order(found: &Found, name: &str) -> Goal {
    let calls = act(&found.life, name).map_or(&[][..], |act| &act.order);
    let answer = &found.answer.order;
    let mut seen: Vec<&str> = Vec::new();
    for call in calls {
        let known = answer.contains(&call.name) && !seen.contains(&call.name.as_str());
        if known {
            seen.push(&call.name);
        }
    }
    let right = answer.iter().zip(&seen).take_while(|(a, b)| a == b).count();
    // An answer that leaves calls out is none.
    let all = calls.iter().map(|call| call.name.as_str());
    let essential = ["ProtocolUnbindAdapterEx", "MiniportPause", "MiniportHaltEx"];
    let mut all: Vec<&str> = all.filter(|call| essential.contains(call)).collect();
    all.dedup();
    let whole = !all.is_empty() && all.iter().all(|call| answer.iter().any(|a| a == call));
    goal(
        "the calls are in the order of the host's trace",
        whole && answer.len() >= 7 && right == answer.len() && seen.len() == answer.len(),
        format!("the first {right} of {} are", answer.len()),
    )
}

/// The rule of the first finding.
fn rule(found: &Found) -> Goal {
    let first = found.said.first().and_then(|said| said.split_once(": "));
    let right = first.is_some_and(|(rule, _)| rule == found.answer.rule);
    let said = match found.answer.rule.as_str() {
        "" => "no rule is named".to_owned(),
        rule => format!("you say {rule}"),
    };
    goal("the rule that is broken first", right, said)
}

/// The call that the driver forgets.
fn forgotten(found: &Found, call: &str) -> Goal {
    let said = match found.answer.call.as_str() {
        "" => "no call is named".to_owned(),
        call => format!("you say {call}"),
    };
    goal(
        "the call that is forgotten",
        found.answer.call == call,
        said,
    )
}
