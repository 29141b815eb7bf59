//! Teams and switches: what a file may say of them, and every mistake.

use super::tests::{GOOD, messages, parse, with};
use super::*;

const SHIPPED: &str = include_str!("../../../../drivers/lbfo/lab.toml");

fn shipped() -> Topology {
    Topology::parse("lab.toml".as_ref(), SHIPPED).expect("good")
}

/// The messages about the shipped file with one piece replaced, without their places: the
/// file is for people, who may add a line to it.
fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(SHIPPED.contains(from), "{from}");
    without_places(messages(&SHIPPED.replacen(from, to, 1)))
}

fn without_places(messages: Vec<String>) -> Vec<String> {
    let each = messages.into_iter().map(|message| {
        let text = message.split_once(": ").map(|(_, text)| text.to_owned());
        let text = text.unwrap_or(message);
        match text.rsplit_once(" in line ") {
            Some((before, number)) if number.parse::<u32>().is_ok() => format!("{before} before"),
            _ => text,
        }
    });
    each.collect()
}

#[test]
fn a_team_is_a_miniport_and_a_binding_for_each_member() {
    let topology = shipped();
    assert_eq!(topology.teams[0].members, ["nic0", "nic1"]);
    assert_eq!(topology.miniports[0].name, "team0");
    let bound: Vec<_> = topology.bindings.iter().map(|b| &*b.adapter).collect();
    assert_eq!(bound, ["nic0", "nic1"]);
    assert!(topology.bindings.iter().all(|b| b.upper == ["team0"]));
    assert_eq!(
        topology.bindings[1].values["MemberIndex"],
        ConfigValue::Number(2)
    );
    let switch = topology.switch_of("w1").expect("one");
    assert_eq!((switch.bond, switch.partner.active), (Bond::Lacp, true));
    assert_eq!(topology.adapters[0].paced, topology.adapters[1].paced);
    // Who stands above has the team's address, and as much room as every member has.
    assert_eq!(
        topology.host_station(0).mac.to_string(),
        "02:4c:41:42:01:00"
    );
    let small = SHIPPED.replacen("mtu = 1500\nlink", "mtu = 1400\nlink", 1);
    let small = parse(&small).expect("good");
    assert_eq!(small.mtu_above("team0"), 1_400);
}

#[test]
fn it_survives_the_way_to_the_child() {
    let topology = shipped();
    let text = serde_json::to_string(&topology).expect("data");
    let again: Topology = serde_json::from_str(&text).expect("the same");
    assert_eq!(again, topology);
}

#[test]
fn a_member_is_added_beside_the_others() {
    let mut topology = shipped();
    let mut adapter = topology.adapters[1].clone();
    adapter.name = "nic2".into();
    adapter.wire = Some("w2".into());
    let binding = Binding {
        adapter: "nic2".into(),
        upper: vec!["team0".into()],
        values: BTreeMap::new(),
    };
    topology.add_member(0, adapter, binding);
    assert_eq!(topology.switches[0].wires, ["w0", "w1", "w2"]);
    assert_eq!(topology.teams[0].members.len(), 3);
    assert_eq!(topology.wires.len(), 3);
}

#[test]
fn bad_teams_are_named() {
    let member = "{ adapter = \"nic1\", values = { MemberIndex = 2 } }";
    assert_eq!(
        changed(member, "{ adapter = \"nic0\" }"),
        ["`nic0` is already bound before"]
    );
    assert_eq!(
        changed(member, "{ adapter = \"nic7\" }"),
        [
            "there is no adapter or miniport named `nic7`; did you mean `nic0`? (allowed: nic0, nic1, team0)"
        ]
    );
    let none = with("[[team]]\nname = \"t\"\n");
    assert_eq!(none, ["27:8: the team `t` has no member"]);
    let many: Vec<_> = (0..33)
        .map(|n| format!("{{ adapter = \"n{n}\" }}"))
        .collect();
    let adapters: Vec<_> = (0..33)
        .map(|n| format!("[[adapter]]\nname = \"n{n}\"\n"))
        .collect();
    let adapters = adapters.concat();
    let text = format!(
        "{GOOD}\n[[team]]\nname = \"t\"\nmember = [{}]\n{adapters}",
        many.join(", ")
    );
    assert_eq!(
        messages(&text),
        ["27:8: the team `t` has 33 members; 32 is the most"]
    );
    let two = format!("{SHIPPED}\n[[team]]\nname = \"t\"\nmember = [{{ adapter = \"nic0\" }}]\n");
    let said = without_places(messages(&two));
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0], "`nic0` is already bound before");
}

#[test]
fn bad_switches_are_named() {
    assert_eq!(
        changed("bond = \"lacp\"", "bond = \"lcap\""),
        ["`bond` = \"lcap\" in [[switch]] is unknown; did you mean `lacp`? (allowed: bridge, static, lacp)"]
            .map(str::to_owned)
            .into_iter()
            .chain(["the switch `sw0` speaks no LACP: `priority`, `system`, `key`, `active` and `fast` are for `bond` = \"lacp\"".to_owned()])
            .rev()
            .collect::<Vec<_>>()
    );
    assert_eq!(
        changed("wires = [\"w0\", \"w1\"]", "wires = [\"w0\", \"w0\"]"),
        ["wire `w0` already leads to the switch before"]
    );
    assert_eq!(
        changed("on = \"switch:sw0\"\nmac", "on = \"wire:w1\"\nmac"),
        ["wire `w1` leads to a switch: who is behind that stands on \"switch:sw0\""]
    );
    assert_eq!(
        changed("on = \"switch:sw0\"\nmac", "on = \"switch:sw1\"\nmac"),
        ["there is no switch named `sw1`; did you mean `sw0`? (allowed: sw0)"]
    );
}
