//! Every kind of mistake, with the exact message.

use super::*;

pub(super) const GOOD: &str = r#"
[[adapter]]
name = "nic0"
wire = "w0"

[[wire]]
name = "w0"

[[miniport]]
name = "vm0"

[[binding]]
adapter = "nic0"
upper = ["vm0"]

[[host]]
name = "upper"
on = "miniport:vm0"
ipv4 = "10.0.0.1/24"

[[host]]
name = "peer"
on = "wire:w0"
ipv4 = "10.0.0.2/24"
"#;

pub(super) fn parse(text: &str) -> Result<Topology, BadTopology> {
    Topology::parse("x/lab.toml".as_ref(), text)
}

/// The messages about a text, without the file's name.
pub(super) fn messages(text: &str) -> Vec<String> {
    let bad = parse(text).expect_err("a bad topology");
    assert!(!bad.problems.is_empty());
    bad.problems.iter().map(ToString::to_string).collect()
}

/// The messages about [`GOOD`] with one piece replaced.
fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    messages(&GOOD.replacen(from, to, 1))
}

/// The messages about [`GOOD`] with something after it, which is line 26 on.
pub(super) fn with(more: &str) -> Vec<String> {
    messages(&format!("{GOOD}\n{more}"))
}

#[test]
fn defaults_are_filled_in() {
    let topology = parse(GOOD).expect("good");
    assert_eq!(
        topology.lab,
        Lab {
            seed: None,
            processors: 4,
            ndis_version: NdisVersion {
                major: 6,
                minor: 87
            },
            engine: Engine::Deterministic,
            scenario: None,
        }
    );
    assert_eq!(
        topology.adapters,
        [Adapter {
            name: "nic0".to_owned(),
            mac: Mac::local(0, 0),
            mtu: 1500,
            link_speed_mbps: 10_000,
            latency_us: 10,
            queue_depth: 4_096,
            pend_ratio: 0.5,
            resources_ratio: 0.1,
            out_of_order: true,
            capabilities: Vec::new(),
            wire: Some("w0".to_owned()),
            vlan_offload: false,
            refuse_promiscuous: false,
            medium: Medium::Ethernet,
            read_only_ratio: 0.0,
            split_headers: false,
            paced: false,
            driver: None,
        }]
    );
    assert_eq!(topology.hosts[1].on, Place::Wire("w0".to_owned()));
    assert_eq!(
        topology.hosts[1].ipv4,
        Some((Ipv4Addr::new(10, 0, 0, 2), 24))
    );
    assert_eq!(topology.hosts[1].stack, Stack::Embedded);
    assert_eq!(
        topology
            .adapter_on_wire("w0")
            .map(|adapter| adapter.name.as_str()),
        Some("nic0")
    );
    assert_eq!(topology.adapter("nic1"), None);
    assert_eq!(topology.path("a.pcapng".as_ref()), Path::new("x/a.pcapng"));
}

#[test]
fn everything_can_be_written_down() {
    let text = r#"
        [lab]
        seed = 7
        processors = 2
        ndis_version = "6.89"
        engine = "real-time"

        [[adapter]]
        name = "nic0"
        mac = "02:00:00:00:00:07"
        mtu = 9000
        link_speed_mbps = 25000
        latency_us = 0
        queue_depth = 1
        pend_ratio = 0
        resources_ratio = 1.0
        out_of_order = false
        capabilities = ["rss", "offload", "rss"]
        wire = "w0"

        [[wire]]
        name = "w0"
        record = "w0.pcapng"

        [[miniport]]
        name = '\Device\{4D36E972-0001}'
        [miniport.properties]
        NetworkAddress = "020000000009"
        Trace = true
        Depth = 16
        Peers = ["a", "b"]

        [[miniport]]
        name = "top"

        [[binding]]
        adapter = "nic0"
        upper = ['\Device\{4D36E972-0001}']
        values = { Level = 3 }

        [[binding]]
        adapter = '\Device\{4D36E972-0001}'
        upper = ["top"]

        [[host]]
        name = "linux"
        on = "wire:w0"
        mac = "02:00:00:00:00:08"
        mtu = 1400
        ipv6 = "fd00::1/64"
        stack = "linux"

        [[generator]]
        name = "g"
        on = "adapter:nic0"
        to = "s"
        frames = 5
        burst = 1
        interval_us = 9
        carrier = "udp"

        [[sink]]
        name = "s"
        on = "miniport:top"

        [[replay]]
        name = "r"
        on = "wire:w0"
        file = "old.pcapng"
    "#;
    let topology = parse(text).expect("good");
    assert_eq!(topology.lab.seed, Some(7));
    assert_eq!(topology.lab.engine, Engine::RealTime);
    assert_eq!(topology.lab.ndis_version.to_string(), "6.89");
    assert_eq!(
        topology.adapters[0].capabilities,
        [Capability::Offload, Capability::Rss]
    );
    assert!(topology.adapters[0].pend_ratio.abs() < f64::EPSILON);
    let properties = &topology.miniports[0].properties;
    assert_eq!(properties["Trace"], ConfigValue::Number(1));
    assert_eq!(properties["Depth"], ConfigValue::Number(16));
    assert_eq!(
        properties["Peers"],
        ConfigValue::List(vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(
        properties["NetworkAddress"],
        ConfigValue::Text("020000000009".to_owned())
    );
    assert_eq!(topology.bindings[0].values["Level"], ConfigValue::Number(3));
    assert_eq!(topology.hosts[0].stack, Stack::Linux);
    assert_eq!(topology.generators[0].carrier, Carrier::Udp);
    assert_eq!(topology.generators[0].on.to_string(), "adapter:nic0");
    assert_eq!(topology.replays[0].file, Path::new("old.pcapng"));

    // It survives the way to another process.
    let json = serde_json::to_string(&topology).expect("serialisable");
    assert_eq!(
        serde_json::from_str::<Topology>(&json).expect("the same"),
        topology
    );
}

#[test]
fn the_shipped_topology_is_good() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers/passthrough/lab.toml");
    let topology = Topology::load(&file).expect("good");
    assert_eq!(topology.adapters.len(), 1);
    let adapter = &topology.adapters[0];
    assert!((adapter.pend_ratio - 0.5).abs() < f64::EPSILON);
    assert!((adapter.resources_ratio - 0.1).abs() < f64::EPSILON);
    assert!(adapter.out_of_order);
    assert_eq!(topology.bindings.len(), 1);
    assert_eq!(topology.hosts.len(), 2);
}

#[test]
fn a_file_that_cannot_be_read() {
    let error = Topology::load("/nonexistent/lab.toml".as_ref()).expect_err("no such file");
    assert_eq!(
        error.to_string(),
        "/nonexistent/lab.toml: No such file or directory (os error 2)"
    );
}

#[test]
fn messages_begin_with_the_file() {
    let bad = parse("a = 1\nb = 2\n").expect_err("unknown sections");
    let sections = "lab, adapter, wire, miniport, ports, binding, host, generator, sink, replay, timeline, team, switch, image, variant";
    assert_eq!(
        bad.to_string(),
        format!(
            "x/lab.toml:1:1: unknown section `a` (allowed: {sections})\n\
             x/lab.toml:2:1: unknown section `b` (allowed: {sections})"
        )
    );
}

#[test]
fn broken_syntax() {
    assert_eq!(messages("[lab\n"), ["1:5: unclosed table, expected `]`"]);
    // Every broken line, not only the first.
    assert_eq!(messages("[lab]\nseed = \nprocessors = x\n").len(), 2);
}

#[test]
fn unknown_section_and_key() {
    assert_eq!(
        changed("[[adapter]]", "[[adaptor]]")[0],
        "2:3: unknown section `adaptor`; did you mean `adapter`? (allowed: lab, adapter, wire, \
         miniport, ports, binding, host, generator, sink, replay, timeline, team, switch, image, variant)"
    );
    assert_eq!(
        changed("wire = \"w0\"", "wire = \"w0\"\nmtuu = 1500"),
        [
            "5:1: unknown key `mtuu` in [[adapter]]; did you mean `mtu`? (allowed: name, mac, mtu, \
             link_speed_mbps, latency_us, queue_depth, pend_ratio, resources_ratio, out_of_order, \
             capabilities, wire, vlan_offload, refuse_promiscuous, medium, read_only_ratio, \
             split_headers, paced, driver)"
        ]
    );
    assert_eq!(
        with("[lab]\ncolour = 1\n"),
        [
            "27:1: unknown key `colour` in [lab] (allowed: seed, processors, ndis_version, engine, \
             scenario)"
        ]
    );
}

#[test]
fn wrong_shape_of_a_section() {
    assert_eq!(
        changed("[[miniport]]", "[miniport]")[0],
        "9:2: `miniport` has to be a list of tables, each under [[miniport]]"
    );
    assert_eq!(
        with("[[lab]]\n"),
        ["26:3: `lab` has to be one table, [lab]"]
    );
}

#[test]
fn missing_key() {
    // Only the mistake itself, not what refers to the nameless.
    assert_eq!(
        changed("name = \"nic0\"\n", ""),
        ["2:1: [[adapter]] needs the key `name`"]
    );
    assert_eq!(
        changed("upper = [\"vm0\"]\n", ""),
        ["12:1: [[binding]] needs the key `upper`"]
    );
    assert_eq!(
        changed("name = \"nic0\"", "name = 5"),
        ["3:8: `name` in [[adapter]]: invalid type: integer `5`, expected a string"]
    );
}

#[test]
fn wrong_type() {
    assert_eq!(
        with("[lab]\nprocessors = \"four\"\nengine = 3\n"),
        [
            "27:14: `processors` in [lab]: invalid type: string \"four\", expected a whole number",
            "28:10: `engine` in [lab]: invalid type: integer `3`, expected a string",
        ]
    );
    assert_eq!(
        changed("name = \"vm0\"", "name = \"vm0\"\nproperties = { A = -1 }"),
        [
            "11:20: `properties` in [[miniport]]: invalid value: integer `-1`, expected a string, a \
             number from 0 to 4294967295, true, false or a list of strings"
        ]
    );
}

#[test]
fn out_of_range() {
    assert_eq!(
        changed(
            "wire = \"w0\"",
            "wire = \"w0\"\nmtu = 1279\nqueue_depth = 0\nlatency_us = -1\npend_ratio = 1.5\n\
             resources_ratio = nan"
        ),
        [
            "5:7: `mtu` = 1279 in [[adapter]] is out of range (1280 to 16110)",
            "6:15: `queue_depth` = 0 in [[adapter]] is out of range (1 to 65536)",
            "7:14: `latency_us` = -1 in [[adapter]] is out of range (0 to 10000000)",
            "8:14: `pend_ratio` = 1.5 in [[adapter]] is out of range (0 to 1)",
            "9:19: `resources_ratio` = NaN in [[adapter]] is out of range (0 to 1)",
        ]
    );
    assert_eq!(
        with("[lab]\nprocessors = 65\nseed = -1\n"),
        [
            "27:14: `processors` = 65 in [lab] is out of range (1 to 64)",
            "28:8: `seed` = -1 in [lab] is out of range (0 to 9223372036854775807)",
        ]
    );
}

#[test]
fn unknown_choice() {
    assert_eq!(
        with("[lab]\nengine = \"realtime\"\nndis_version = \"6.83\"\n"),
        [
            "27:10: `engine` = \"realtime\" in [lab] is unknown; did you mean `real-time`? (allowed: \
             deterministic, real-time)",
            "28:16: `ndis_version` = \"6.83\" in [lab] is unknown; did you mean `6.84`? (allowed: 6.84, \
             6.85, 6.86, 6.87, 6.89)",
        ]
    );
    assert_eq!(
        changed(
            "wire = \"w0\"",
            "wire = \"w0\"\ncapabilities = [\"rss\", \"rrs\"]"
        ),
        [
            "5:24: `capabilities` = \"rrs\" in [[adapter]] is unknown; did you mean `rss`? (allowed: \
             offload, rss, pm, vmq, sriov)"
        ]
    );
    assert_eq!(
        changed("name = \"peer\"", "name = \"peer\"\nstack = \"windows\""),
        ["23:9: `stack` = \"windows\" in [[host]] is unknown (allowed: embedded, linux)"]
    );
}

#[test]
fn dangling_names() {
    assert_eq!(
        changed("adapter = \"nic0\"", "adapter = \"nic1\""),
        [
            "13:11: there is no adapter or miniport named `nic1`; did you mean `nic0`? (allowed: nic0, vm0)"
        ]
    );
    assert_eq!(
        changed("upper = [\"vm0\"]", "upper = [\"vm0\", \"vn0\"]"),
        ["14:17: there is no miniport named `vn0`; did you mean `vm0`? (allowed: vm0)"]
    );
    assert_eq!(
        changed("on = \"miniport:vm0\"", "on = \"miniport:nic0\""),
        ["18:6: `nic0` names an adapter, but a miniport is needed here (allowed: vm0)"]
    );
    assert_eq!(
        changed("on = \"wire:w0\"", "on = \"wires:w0\""),
        [
            "23:6: `on` = \"wires:w0\" in [[host]] is no place, as in \"wire:w0\"; did you mean `wire`? \
             (allowed: miniport, wire, adapter, switch)"
        ]
    );
    assert_eq!(
        changed("wire = \"w0\"", "wire = \"w1\""),
        [
            "4:8: there is no wire named `w1`; did you mean `w0`? (allowed: w0)",
            "7:8: no adapter is plugged into wire `w0`",
        ]
    );
    assert_eq!(
        with("[[generator]]\nname = \"g\"\non = \"wire:w0\"\nto = \"nobody\"\n"),
        ["29:6: there is no sink named `nobody`"]
    );
}

#[test]
fn names_are_unique_and_sane() {
    assert_eq!(
        changed("name = \"peer\"", "name = \"nic0\""),
        ["22:8: the name `nic0` is taken by the adapter in line 3"]
    );
    let rule = r"a name is 1 to 128 letters, digits or one of - _ . { } \";
    assert_eq!(
        changed("name = \"peer\"", "name = \"\""),
        [format!("22:8: host name ``: {rule}")]
    );
    assert_eq!(
        changed("name = \"peer\"", "name = \"a b\""),
        [format!("22:8: host name `a b`: {rule}")]
    );
}

#[test]
fn a_binding_to_itself() {
    assert_eq!(
        with("[[binding]]\nadapter = \"vm0\"\nupper = [\"vm0\"]\n"),
        ["28:10: the binding on `vm0` is bound to itself"]
    );
}

#[test]
fn cycles() {
    let two = r#"
[[miniport]]
name = "vm1"
[[binding]]
adapter = "vm0"
upper = ["vm1"]
[[binding]]
adapter = "vm1"
upper = ["vm0"]
"#;
    assert_eq!(
        with(two),
        ["34:10: the bindings form a cycle: vm0 -> vm1 -> vm0"]
    );
    let three = r#"
[[miniport]]
name = "vm1"
[[miniport]]
name = "vm2"
[[binding]]
adapter = "vm0"
upper = ["vm1"]
[[binding]]
adapter = "vm1"
upper = ["vm2"]
[[binding]]
adapter = "vm2"
upper = ["vm0"]
"#;
    assert_eq!(
        with(three),
        ["39:10: the bindings form a cycle: vm0 -> vm1 -> vm2 -> vm0"]
    );
}

#[test]
fn a_diamond_is_no_cycle() {
    // Two adapters below one miniport, as a team has them.
    let team = r#"
[[adapter]]
name = "nic1"
[[binding]]
adapter = "nic1"
upper = ["vm0"]
"#;
    assert!(parse(&format!("{GOOD}{team}")).is_ok());
}

#[test]
fn what_is_used_twice_or_not_at_all() {
    assert_eq!(
        with("[[binding]]\nadapter = \"nic0\"\nupper = [\"vm0\", \"vm0\"]\n"),
        [
            "27:11: `nic0` is already bound in line 13",
            "28:17: `vm0` is in `upper` twice"
        ]
    );
    assert_eq!(
        changed("upper = [\"vm0\"]", "upper = []"),
        [
            "10:8: no binding has miniport `vm0` in `upper`: nothing would create it",
            "14:9: the binding on `nic0` has no miniport in `upper`",
        ]
    );
    assert_eq!(
        with("[[adapter]]\nname = \"nic1\"\nwire = \"w0\"\n"),
        ["28:8: wire `w0` is taken by the adapter in line 4: a wire has one adapter"]
    );
    assert_eq!(
        changed("10.0.0.2/24", "10.0.0.1/16"),
        ["24:8: the address 10.0.0.1 is already in line 19"]
    );
}

#[test]
fn addresses() {
    assert_eq!(
        changed("10.0.0.2/24", "10.0.0.2/33"),
        [
            "24:8: `ipv4` = \"10.0.0.2/33\" in [[host]] is not an address with a prefix, as in \
             10.0.0.1/24"
        ]
    );
    assert_eq!(
        changed("ipv4 = \"10.0.0.2/24\"", "ipv6 = \"10.0.0.2\""),
        [
            "24:8: `ipv6` = \"10.0.0.2\" in [[host]] is not an address with a prefix, as in fd00::1/64"
        ]
    );
    assert_eq!(
        changed("ipv4 = \"10.0.0.2/24\"\n", ""),
        ["22:8: host `peer` needs an address: `ipv4` or `ipv6`"]
    );
    assert_eq!(
        changed("on = \"wire:w0\"", "on = \"wire:w0\"\nmac = \"02-00\""),
        [
            "24:7: `mac` in [[host]]: `02-00` is not a MAC address (six hexadecimal octets, as in \
             02:00:00:00:00:01)"
        ]
    );
    assert_eq!(
        changed(
            "on = \"wire:w0\"",
            "on = \"wire:w0\"\nmac = \"03:00:00:00:00:01\""
        ),
        ["24:7: `mac` = \"03:00:00:00:00:01\" in [[host]] is not a unicast address"]
    );
    assert_eq!(
        changed(
            "on = \"miniport:vm0\"",
            "on = \"miniport:vm0\"\nmac = \"02:00:00:00:00:01\""
        ),
        ["19:7: a host on miniport:vm0 has the address of what it stands on: no `mac` here"]
    );
}

#[test]
fn several_mistakes_at_once_in_the_order_of_the_file() {
    let text = GOOD
        .replacen("wire = \"w0\"", "wire = \"w9\"\nmtu = 1", 1)
        .replacen("10.0.0.2/24", "x", 1);
    let lines: Vec<_> = parse(&text)
        .expect_err("bad")
        .problems
        .iter()
        .map(|p| p.at.line)
        .collect();
    assert_eq!(lines, [4, 5, 8, 25]);
}

#[test]
fn any_text_is_survived() {
    for odd in [
        "lab = []",
        "lab = 1",
        "adapter = []",
        "adapter = [1]",
        "wire = {}",
        "[a.b]",
        "\u{feff}",
    ] {
        let _ = parse(odd);
    }
    // Every prefix, and every byte of the text replaced by a few others.
    for end in 0..GOOD.len() {
        let _ = parse(&GOOD[..end]);
    }
    for at in 0..GOOD.len() {
        for byte in ["\"", "[", "]", "=", "\n", "é", "9"] {
            let mut text = GOOD.to_owned();
            text.replace_range(at..=at, byte);
            let _ = parse(&text);
        }
    }
}
