//! Many ports, VLANs and timelines: what is read, and every kind of mistake.

use super::tests::{messages, parse, with};
use super::*;

const PORTS: &str = r#"
[[adapter]]
name = "nic0"
vlan_offload = true
refuse_promiscuous = true
medium = "wifi"
read_only_ratio = 0.25
split_headers = true

[[binding]]
adapter = "nic0"
upper = []
values = { Mode = 2 }

[[ports]]
name = "p{n}"
adapter = "nic0"
count = 3
first = 7
vlan_from = 100
properties = { LinkMode = 1 }

[[sink]]
name = "s"
on = "miniport:p9"
"#;

fn ports_with(from: &str, to: &str) -> Vec<String> {
    assert!(PORTS.contains(from), "{from}");
    messages(&PORTS.replacen(from, to, 1))
}

#[test]
fn a_pattern_is_written_out() {
    let topology = parse(PORTS).expect("good");
    let adapter = &topology.adapters[0];
    assert!(adapter.vlan_offload && adapter.refuse_promiscuous && adapter.split_headers);
    assert_eq!(adapter.medium, Medium::Wifi);
    assert!((adapter.read_only_ratio - 0.25).abs() < f64::EPSILON);
    let names: Vec<_> = topology.miniports.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["p7", "p8", "p9"]);
    assert_eq!(topology.bindings[0].upper, names);
    assert_eq!(topology.bindings[0].values["Mode"], ConfigValue::Number(2));
    for (port, vlan) in topology.miniports.iter().zip(100..) {
        assert_eq!(port.properties["VlanID"], ConfigValue::Number(vlan));
        assert_eq!(port.properties["LinkMode"], ConfigValue::Number(1));
    }
}

#[test]
fn every_vlan_fits_and_not_one_more() {
    let all = PORTS.replacen("count = 3", "count = 4094", 1).replacen(
        "vlan_from = 100",
        "vlan_from = 1",
        1,
    );
    assert_eq!(parse(&all).expect("good").miniports.len(), 4094);
    assert_eq!(
        ports_with("vlan_from = 100", "vlan_from = 4093"),
        ["20:13: `vlan_from` = 4093 in [[ports]] is out of range (1 to 4092)"]
    );
    assert_eq!(
        ports_with("count = 3", "count = 4095")[0],
        "18:9: `count` = 4095 in [[ports]] is out of range (1 to 4094)"
    );
}

#[test]
fn a_pattern_needs_its_number_and_its_binding() {
    assert_eq!(
        ports_with("p{n}", "p")[0],
        "16:8: the name `p` in [[ports]] needs {n} where the number goes"
    );
    assert_eq!(
        ports_with("adapter = \"nic0\"\ncount", "adapter = \"nic1\"\ncount")[0],
        "17:11: no binding has `nic1` as its adapter; did you mean `nic0`? (allowed: nic0)"
    );
    assert_eq!(
        ports_with("LinkMode = 1", "VlanID = 1"),
        ["20:13: `VlanID` of [[ports]] comes from `vlan_from`: not both"]
    );
    assert_eq!(
        ports_with("[[sink]]\nname = \"s\"", "[[sink]]\nname = \"p8\""),
        ["24:8: the name `p8` is taken by the miniport in line 16"]
    );
}

#[test]
fn endpoints_stand_behind_a_tag() {
    let text = r#"
[[host]]
name = "h"
on = "wire:w0"
ipv4 = "10.1.0.2/24"
vlan = 10
priority = 5

[[generator]]
name = "g"
on = "miniport:vm0"
to = "s"
priority = 3

[[sink]]
name = "s"
on = "wire:w0"
vlan = 4094
"#;
    let topology = parse(&format!("{}\n{text}", super::tests::GOOD)).expect("good");
    let tag = |vlan, priority| Some(Tag { vlan, priority });
    assert_eq!(topology.hosts[2].tag, tag(10, 5));
    assert_eq!(topology.generators[0].tag, tag(0, 3));
    assert_eq!(topology.sinks[0].tag, tag(4094, 0));
    assert_eq!(topology.hosts[0].tag, None);
    assert_eq!(
        with(&text.replacen("4094", "4095", 1)),
        ["43:8: `vlan` = 4095 in [[sink]] is out of range (0 to 4094)"]
    );
    assert_eq!(
        with(&text.replacen("priority = 5", "priority = 8", 1)),
        ["32:12: `priority` = 8 in [[host]] is out of range (0 to 7)"]
    );
    assert_eq!(
        with(&text.replacen("priority = 3", "vlan = 3", 1)),
        [
            "38:8: `vlan` in [[generator]] is for endpoints on a wire: on miniport:vm0 the driver \
             puts the tag"
        ]
    );
}

#[test]
fn a_timeline_is_read() {
    let text = r#"
[[miniport]]
name = "guest"

[[timeline]]
at_us = 500
action = "add"
port = "guest"
adapter = "nic0"

[[timeline]]
after_frames = 10
action = "change"
port = "guest"
properties = { VlanID = 30 }

[[timeline]]
at_us = 900
action = "link-down"
adapter = "nic0"

[[timeline]]
at_us = 950
action = "sleep"
port = "vm0"

[[timeline]]
at_us = 960
action = "mac"
adapter = "nic0"
mac = "02:00:00:00:00:77"
"#;
    let topology = parse(&format!("{}\n{text}", super::tests::GOOD)).expect("good");
    let said: Vec<_> = topology
        .timeline
        .iter()
        .map(|event| event.action.to_string())
        .collect();
    assert_eq!(
        said,
        [
            "add guest above nic0",
            "change guest: VlanID = 30",
            "nic0: link down",
            "sleep vm0",
            "nic0: address 02:00:00:00:00:77",
        ]
    );
    assert_eq!(topology.timeline[1].when, When::After(10));
    assert_eq!(topology.timeline[2].when, When::At(900));
    assert_eq!(topology.timeline[1].action.port(), Some("guest"));
    assert_eq!(topology.timeline[2].action.port(), None);
}

#[test]
fn mistakes_in_a_timeline() {
    let event = |keys: &str| with(&format!("[[timeline]]\n{keys}"));
    assert_eq!(
        event("at_us = 1\naction = \"ad\"\n"),
        [
            "28:10: `action` = \"ad\" in [[timeline]] is unknown; did you mean `add`? (allowed: add, \
             remove, change, restart, pause, sleep, wake, link-down, link-up, mac)"
        ]
    );
    assert_eq!(
        event("at_us = 1\naction = \"remove\"\n"),
        ["28:10: `remove` in [[timeline]] needs the key `port`"]
    );
    assert_eq!(
        event("at_us = 1\naction = \"remove\"\nport = \"vn0\"\n"),
        ["29:8: there is no miniport named `vn0`; did you mean `vm0`? (allowed: vm0)"]
    );
    assert_eq!(
        event("at_us = 1\nafter_frames = 2\naction = \"pause\"\nport = \"vm0\"\n"),
        ["29:10: an event of [[timeline]] has either `at_us` or `after_frames`"]
    );
    assert_eq!(
        event("action = \"pause\"\nport = \"vm0\"\n"),
        ["27:10: an event of [[timeline]] has either `at_us` or `after_frames`"]
    );
    assert_eq!(
        event("at_us = 1\naction = \"change\"\nport = \"vm0\"\n"),
        ["28:10: `change` in [[timeline]] needs the key `properties`"]
    );
    assert_eq!(
        event("at_us = 1\naction = \"mac\"\nadapter = \"nic0\"\n"),
        ["28:10: `mac` in [[timeline]] needs the key `mac`"]
    );
    assert_eq!(
        event("at_us = -1\naction = \"link-up\"\nadapter = \"vm0\"\n"),
        [
            "27:9: `at_us` = -1 in [[timeline]] is out of range (0 to 60000000)",
            "29:11: `vm0` names a miniport, but an adapter is needed here (allowed: nic0)",
        ]
    );
    assert_eq!(
        event("at_us = 1\naction = \"pause\"\nport = \"vm0\"\nadapter = \"nic0\"\n"),
        ["30:11: `pause` in [[timeline]] has no use for `adapter`"]
    );
}

#[test]
fn a_scenario_is_named() {
    let lab = |name: &str| format!("{}\n[lab]\nscenario = \"{name}\"\n", super::tests::GOOD);
    let topology = parse(&lab("cycles")).expect("good");
    assert_eq!(topology.lab.scenario.as_deref(), Some("cycles"));
    let wrong = &messages(&lab("cycle"))[0];
    assert!(
        wrong.starts_with(
            "27:12: `scenario` = \"cycle\" in [lab] is unknown; did you mean `cycles`?"
        ),
        "{wrong}"
    );
}
