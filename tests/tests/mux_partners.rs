//! Ports with partners of others: Linux above each, Open vSwitch below, tshark for the trunk;
//! and the benchmark of ports, of which no figure is judged here.
//!
//! `cargo xtask test` builds the lab and the packages; without them, without a partner or
//! without the right to make network namespaces each test skips itself.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use workspace_tests::Bench;
use workspace_tests::tap::{Tap, children, is_refused};

fn place() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

fn tap(test: &str, driver: &str, topology: Option<&str>) -> Option<Tap> {
    Tap::run(test, &Bench::of(test, driver)?, &place(), topology, &[])
}

/// Acceptance: with Open vSwitch's access and trunk ports as the partner, ping and iperf3
/// on each VLAN, nothing between VLANs, the right tags and priorities on the trunk.
#[test]
fn linux_talks_through_ports_and_open_vswitch() {
    let test = "linux_talks_through_ports_and_open_vswitch";
    let Some(run) = tap(test, "mux", None) else {
        return;
    };
    // Four pairs: both ways with IPv4 and IPv6, and both ways after the restarts.
    let pings = run.pings();
    assert_eq!(pings.len(), 4 * 6, "{}", run.text);
    for (path, sent, answered) in pings {
        assert_eq!(sent, answered, "{path}");
        assert!(sent >= 20, "{path}");
    }
    for name in ["iperf3, TCP", "iperf3, UDP"] {
        assert_eq!(run.steps(name).len(), 4 * 2, "{name}");
    }
    assert_eq!(run.steps("who answers a multicast").len(), 8);
    assert_eq!(run.steps("ping between VLANs and between ports").len(), 1);
    assert_eq!(run.steps("pause and restart under traffic").len(), 1);
    assert_eq!(
        run.steps("driver's counters agree with the interfaces")
            .len(),
        1
    );
    let switch = run.steps("Open vSwitch");
    assert!(switch[0].contains("datapath netdev"), "{switch:?}");
    let tags = run.steps("trunk: every frame has the tag of its VLAN");
    for vlan in ["VLAN 10 ", "VLAN 20 ", "untagged "] {
        assert!(tags[0].contains(vlan), "{tags:?}");
    }
    assert_eq!(run.steps("trunk: every frame has its priority").len(), 1);
    assert_eq!(run.steps("trunk: nothing is malformed").len(), 1);
    assert_eq!(run.steps("trunk: nothing between VLANs").len(), 1);

    // The same once more by tshark alone, from the file that a user gets.
    let tags = |source: &str| {
        let filter = format!("ip.src == {source} && !(icmp.type == 3)");
        run.seen(&filter, &["vlan.id", "vlan.priority"])
    };
    let only = |tag: &str| BTreeSet::from([tag.to_owned()]);
    assert_eq!(tags("10.10.0.1"), only("10\t0"));
    assert_eq!(tags("10.10.0.2"), only("10\t0"));
    assert_eq!(tags("10.20.0.1"), only("20\t0"));
    assert_eq!(tags("10.20.1.1"), only("20\t3"), "its DefaultPriority");
    assert_eq!(tags("10.20.1.2"), only("20\t5"), "the switch's");
    assert_eq!(tags("10.0.0.1"), only("\t"), "no tag");
    let malformed = run.seen("_ws.malformed", &["frame.number"]);
    assert!(malformed.is_empty(), "{malformed:?}");
    let replies = run.seen(
        "vlan.id == 10 && arp.opcode == 2 && !(arp.src.proto_ipv4 == 10.10.0.0/24)",
        &["frame.number"],
    );
    assert!(replies.is_empty(), "{replies:?}");
}

/// The same partner below a driver with one port and no VLAN: the hosts of a VLAN on the
/// trunk stay out of its reach.
#[test]
fn the_switch_keeps_its_vlans_from_a_plain_port() {
    let test = "the_switch_keeps_its_vlans_from_a_plain_port";
    let Some(bench) = Bench::of(test, "passthrough") else {
        return;
    };
    let shipped = std::fs::read_to_string(bench.package.join("lab.toml")).expect("a topology");
    let text = format!(
        r#"{shipped}
        [[host]]
        name = "other"
        on = "wire:w0"
        vlan = 10
        mac = "02:4c:41:42:00:03"
        ipv4 = "10.0.0.3/24"
        ipv6 = "fd00:6c61:6200::3/64"
    "#
    );
    let Some(run) = tap(test, "passthrough", Some(&text)) else {
        return;
    };
    assert_eq!(run.pings().len(), 6, "{}", run.text);
    let across = run.steps("ping between VLANs and between ports");
    assert_eq!(across, ["2 ways tried, no answer"]);
    let asked = run.steps("trunk: nothing between VLANs");
    assert!(!asked[0].starts_with("0 ARP"), "{asked:?}");
    // The trunk carried the VLAN's questions, with its tag.
    let sources = run.seen("vlan.id == 10", &["arp.src.proto_ipv4"]);
    assert!(sources.contains("10.0.0.3"), "{sources:?}");
}

/// The benchmark measures every kind of pass with every number of ports, in both forms.
#[test]
fn the_benchmark_of_ports_has_every_figure() {
    let test = "the_benchmark_of_ports_has_every_figure";
    let Some(bench) = Bench::of(test, "mux") else {
        return;
    };
    let run = |more: &[&str]| {
        let mut command = Command::new(&bench.lab);
        command.args(["bench-ports", "--ports", "1,16,64", "--passes", "2"]);
        command.arg("--one").arg(bench.packages.join("passthrough"));
        command.arg("--many").arg(&bench.package).args(more);
        command.output().expect("the lab runs")
    };
    let output = run(&["--json"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let figures = report["figures"].as_array().expect("figures");
    // Two directions, three batches; with more than 16 ports hot and spread.
    assert_eq!(figures.len(), 6 + 6 + 6 + 12);
    for figure in figures {
        for name in ["through", "without", "ratio"] {
            let value = figure[name].as_f64().expect("a number");
            assert!(value.is_finite() && value > 0.0, "{figure}");
        }
    }
    let growth = report["growth"].as_array().expect("growth");
    assert_eq!(growth.len(), 6);
    assert!(growth.iter().all(|g| g["from"] == 16 && g["to"] == 64));
    assert!(report["within_limit"].is_boolean());

    let output = run(&[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("cost with 64 ports / cost with 16 (hot), receive"));
    assert!(text.contains("limit 1.2"));
}

/// However a run ends, no daemon, no file of the switch is left.
#[test]
fn an_ended_lab_leaves_no_switch() {
    let test = "an_ended_lab_leaves_no_switch";
    let Some(bench) = Bench::of(test, "mux") else {
        return;
    };
    for signal in ["KILL", "INT", "TERM"] {
        let place = place().join(format!("switch-{signal}"));
        std::fs::create_dir_all(&place).expect("made");
        let files = || std::fs::read_dir(&place).expect("readable").count();
        let mut running = bench
            .command(&["--tap"])
            .env("TMPDIR", &place)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the lab starts");
        let deadline = Instant::now() + Duration::from_mins(1);
        // In the middle: the switch is set up, and a program runs in a namespace.
        let daemons = loop {
            let switch = children(running.id(), "ovs-vswitchd");
            let database = children(running.id(), "ovsdb-server");
            let talking = !children(running.id(), "ping").is_empty();
            if talking && switch.len() == 1 && database.len() == 1 && files() == 0 {
                break [switch, database].concat();
            }
            if running.try_wait().expect("waited").is_some() {
                let output = running.wait_with_output().expect("waited");
                if is_refused(test, &output) {
                    return;
                }
                panic!("it ended by itself: {output:?}");
            }
            assert!(Instant::now() < deadline, "no switch, or no ping");
            std::thread::sleep(Duration::from_millis(5));
        };
        let sent = Command::new("kill")
            .args(["-s", signal, &running.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
        let status = running.wait().expect("waited");
        let expected = match signal {
            "INT" => Some(130),
            "TERM" => Some(143),
            _ => None,
        };
        assert_eq!(status.code(), expected, "{signal}");
        let deadline = Instant::now() + Duration::from_secs(10);
        while daemons.iter().any(|daemon| daemon.exists()) {
            assert!(Instant::now() < deadline, "{signal}: {daemons:?} are left");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(files(), 0, "{signal}");
    }
}
