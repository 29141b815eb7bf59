//! Ports with partners of others: Linux above each, Open vSwitch below, tshark for the trunk;
//! and the benchmark of ports, of which no figure is judged here.
//!
//! `cargo xtask test` builds the lab and the packages and names them in `IM_LAB` and
//! `IM_PACKAGES_DIR`. Without them, without a partner or without the right to make network
//! namespaces each test skips itself.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// The lab and the folder of packages.
fn made(test: &str) -> Option<(PathBuf, PathBuf)> {
    let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(lab), Some(packages)) = (path("IM_LAB"), path("IM_PACKAGES_DIR")) else {
        println!("SKIP {test}: no lab or packages; `cargo xtask test` makes them");
        return None;
    };
    if !packages.join("mux").join("manifest.json").is_file() {
        println!("SKIP {test}: no package of mux");
        return None;
    }
    Some((lab, packages))
}

fn run<A: AsRef<OsStr>>(lab: &PathBuf, args: impl IntoIterator<Item = A>) -> Output {
    Command::new(lab).args(args).output().expect("the lab runs")
}

/// Whether a run ended because this machine has not what it takes; says so.
fn is_refused(test: &str, output: &Output) -> bool {
    let text = String::from_utf8_lossy(&output.stderr);
    let why = if text.contains("not installed") {
        "a partner is not installed"
    } else if text.contains("allow user namespaces") {
        "no right to make network namespaces and TAP devices"
    } else {
        return false;
    };
    let refused = output.status.code() == Some(2);
    if refused {
        println!("SKIP {test}: {why}");
    }
    refused
}

/// The JSON document of a run.
fn report(output: &Output) -> (Value, String) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no report: {error}\n{text}"));
    (report, text)
}

/// A `--tap` run of a package that has to be clean; none if this machine refuses.
fn tap(test: &str, package: &str, topology: Option<&str>, pcap: &str) -> Option<Tap> {
    let (lab, packages) = made(test)?;
    let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let pcap = place.join(pcap);
    let mut args = vec![
        "run".into(),
        "--json".into(),
        "--tap".into(),
        "--package".into(),
        packages.join(package).into_os_string(),
        "--pcap".into(),
        pcap.clone().into_os_string(),
    ];
    if let Some(text) = topology {
        let path = place.join(format!("{test}.toml"));
        std::fs::write(&path, text).expect("written");
        args.extend(["--topology".into(), path.into_os_string()]);
    }
    let output = run(&lab, args);
    if is_refused(test, &output) {
        return None;
    }
    let (report, text) = report(&output);
    assert_eq!(output.status.code(), Some(0), "{text}\n{report:#}");
    assert_eq!(report["violations"], 0, "{text}");
    Some(Tap { report, text, pcap })
}

struct Tap {
    report: Value,
    text: String,
    pcap: PathBuf,
}

impl Tap {
    /// Details of the steps of a name; each went as it must.
    fn steps(&self, name: &str) -> Vec<&str> {
        let steps = self.report["summary"]["steps"].as_array().expect("steps");
        let named = steps.iter().filter(|step| step["name"] == name);
        named
            .map(|step| {
                assert_eq!(step["ok"], true, "{step}");
                step["detail"].as_str().expect("a text")
            })
            .collect()
    }

    fn pings(&self) -> Vec<(&str, u64, u64)> {
        let pings = self.report["summary"]["ping"].as_array().expect("pings");
        let number = |value: &Value| value.as_u64().expect("a number");
        pings
            .iter()
            .map(|ping| {
                let path = ping["path"].as_str().expect("a path");
                (path, number(&ping["sent"]), number(&ping["answered"]))
            })
            .collect()
    }

    /// Different values of some fields in the frames of the capture that a filter takes, by
    /// a run of tshark of our own.
    fn seen(&self, filter: &str, fields: &[&str]) -> BTreeSet<String> {
        let mut command = Command::new("tshark");
        command.args(["-n", "-r"]).arg(&self.pcap);
        command.args(["-Y", filter, "-T", "fields"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command.output().expect("tshark runs");
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(str::to_owned).collect()
    }
}

/// Acceptance: with Open vSwitch's access and trunk ports as the partner, ping and iperf3
/// on each VLAN, nothing between VLANs, the right tags and priorities on the trunk.
#[test]
fn linux_talks_through_ports_and_open_vswitch() {
    let test = "linux_talks_through_ports_and_open_vswitch";
    let Some(run) = tap(test, "mux", None, "mux-trunk.pcapng") else {
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
    let text = r#"
        [lab]
        processors = 4
        ndis_version = "6.87"
        engine = "deterministic"
        [[adapter]]
        name = "nic0"
        mac = "02:4c:41:42:00:01"
        queue_depth = 4096
        capabilities = ["offload", "rss", "pm"]
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
        ipv6 = "fd00:6c61:6200::1/64"
        [[host]]
        name = "peer"
        on = "wire:w0"
        mac = "02:4c:41:42:00:02"
        ipv4 = "10.0.0.2/24"
        ipv6 = "fd00:6c61:6200::2/64"
        [[host]]
        name = "other"
        on = "wire:w0"
        vlan = 10
        mac = "02:4c:41:42:00:03"
        ipv4 = "10.0.0.3/24"
        ipv6 = "fd00:6c61:6200::3/64"
    "#;
    let Some(run) = tap(test, "passthrough", Some(text), "plain-trunk.pcapng") else {
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
    let Some((lab, packages)) = made(test) else {
        return;
    };
    let (one, many) = (packages.join("passthrough"), packages.join("mux"));
    let args = |more: &[&str]| {
        let mut args = vec![
            "bench-ports".into(),
            "--one".into(),
            one.clone().into_os_string(),
            "--many".into(),
            many.clone().into_os_string(),
            "--ports".into(),
            "1,16,64".into(),
            "--passes".into(),
            "2".into(),
        ];
        args.extend(more.iter().map(Into::into));
        args
    };
    let output = run(&lab, args(&["--json"]));
    let (report, text) = report(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
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

    let output = run(&lab, args(&[]));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("cost with 64 ports / cost with 16 (hot), receive"));
    assert!(text.contains("limit 1.2"));
}

/// Process ids of the children of a process that have a name.
fn children(parent: u32, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").expect("readable").flatten() {
        let path = process.path();
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        // `1 (name) S 2 …`: the parent is the second behind the name.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let is_child = fields.split(' ').nth(1) == Some(&parent.to_string());
        if is_child && stat.contains(&format!("({name})")) {
            found.push(path);
        }
    }
    found
}

/// However a run ends, no daemon, no file of the switch is left.
#[test]
fn an_ended_lab_leaves_no_switch() {
    let test = "an_ended_lab_leaves_no_switch";
    let Some((lab, packages)) = made(test) else {
        return;
    };
    for signal in ["KILL", "INT", "TERM"] {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("switch-{signal}"));
        std::fs::create_dir_all(&place).expect("made");
        let files = || std::fs::read_dir(&place).expect("readable").count();
        let mut running = Command::new(&lab)
            .args(["run", "--tap", "--json", "--package"])
            .arg(packages.join("mux"))
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
