//! What `lab trace` and `lab coverage` write, read by the programs that it is for: tshark,
//! Perfetto's own message classes, Mermaid's own parser.
//!
//! `cargo xtask setup --partners` installs them; a test whose reader is missing skips itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use workspace_tests::Bench;

/// A driver, and a folder for what is written of it.
struct Seen {
    bench: Bench,
    out: PathBuf,
}

impl Seen {
    fn of(test: &str, driver: &str) -> Option<Self> {
        let bench = Bench::of(test, driver)?;
        let out = bench.packages.join("../seeing").join(test);
        let _ = std::fs::remove_dir_all(&out);
        std::fs::create_dir_all(&out).expect("a folder in the target folder");
        Some(Self { bench, out })
    }

    fn lab(&self, command: &str, more: &[&str]) -> Output {
        let output = Command::new(&self.bench.lab)
            .arg(command)
            .arg(&self.bench.package)
            .arg("--out")
            .arg(&self.out)
            .args(more)
            .output()
            .expect("the lab runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{text}");
        output
    }

    fn plan(&self, text: &str) -> String {
        let path = self.out.join("plan.toml");
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    fn diagrams(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(&self.out).expect("a folder");
        let paths = all.map(|entry| entry.expect("an entry").path());
        paths
            .filter(|p| p.extension().is_some_and(|e| e == "mmd"))
            .collect()
    }
}

/// One miniport on one adapter, frames both ways, a request.
const ONE: &str = r#"
name = "see"
seed = 7
[shape]
adapter = [{ upper = [0] }]
miniport = [{}]
[[action]]
do = "entry"
[[action]]
do = "bind"
adapter = 0
[[action]]
do = "send"
upper = 0
lists = 8
[[action]]
do = "receive"
adapter = 0
upper = 0
lists = 8
[[action]]
do = "settle"
[[action]]
do = "oid"
upper = 0
oid = 0x20106
output = 128
[[action]]
do = "unbind"
adapter = 0
[[action]]
do = "uninstall"
[[action]]
do = "unload"
"#;

/// Two ports in VLANs of their own on one adapter.
const PORTS: &str = r#"
name = "ports"
seed = 7
[shape]
adapter = [{ upper = [0, 1] }]
miniport = [{ vlan = 10, properties = { VlanID = "10" } }, { vlan = 20, properties = { VlanID = "20" } }]
[[action]]
do = "entry"
[[action]]
do = "bind"
adapter = 0
[[action]]
do = "send"
upper = 0
lists = 4
[[action]]
do = "send"
upper = 1
lists = 4
[[action]]
do = "settle"
[[action]]
do = "receive"
adapter = 0
upper = 1
lists = 4
[[action]]
do = "settle"
"#;

/// What tshark shows of each packet: field values, separated by tabs.
fn tshark(test: &str, capture: &Path, fields: &[&str]) -> Option<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(["-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let Ok(output) = command.output() else {
        println!("SKIP {test}: no tshark");
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines();
    Some(
        lines
            .map(|l| l.split('\t').map(str::to_owned).collect())
            .collect(),
    )
}

/// A folder of a reader that is installed.
fn reader(test: &str, name: &str) -> Option<PathBuf> {
    let place = std::env::var_os("IM_READERS").map(PathBuf::from)?;
    let mut found = std::fs::read_dir(&place)
        .ok()
        .into_iter()
        .flatten()
        .flatten();
    let found = found
        .find(|entry| entry.file_name().to_string_lossy().starts_with(name))
        .map(|entry| entry.path());
    if found.is_none() {
        println!("SKIP {test}: no {name}; cargo xtask setup --partners installs it");
    }
    found
}

#[test]
fn tshark_shows_who_has_each_frame_and_why() {
    let test = "tshark_shows_who_has_each_frame_and_why";
    let Some(seen) = Seen::of(test, "mux") else {
        return;
    };
    let plan = seen.plan(PORTS);
    seen.lab("trace", &["--plan", &plan]);
    let fields = ["frame.comment", "vlan.id", "frame.len"];
    let Some(wire) = tshark(test, &seen.file("wire-of-NIC0.pcapng"), &fields) else {
        return;
    };
    // Down: what the driver gave the adapter, whose it was, and why it went there.
    let down: Vec<_> = wire
        .iter()
        .filter(|p| p[0].contains("owner: wire"))
        .collect();
    for (port, vlan) in [("VM0", "10"), ("VM1", "20")] {
        let of: Vec<_> = down
            .iter()
            .filter(|p| p[0].contains(&format!("sent by the protocol above {port};")))
            .collect();
        assert_eq!(of.len(), 4, "{wire:#?}");
        for packet in of {
            assert_eq!(packet[1], vlan, "{packet:?}");
            assert!(
                packet[0].contains(&format!("only adapter below {port}")),
                "{packet:?}"
            );
        }
    }
    // Up: which port the driver chose, and why.
    let up = tshark(test, &seen.file("miniport-VM1.pcapng"), &["frame.comment"]);
    let up: Vec<_> = up
        .into_iter()
        .flatten()
        .filter(|p| p[0].contains("received by adapter NIC0"))
        .collect();
    assert_eq!(up.len(), 4, "{up:#?}");
    for packet in &up {
        assert!(
            packet[0].contains("owner: the protocol above VM1"),
            "{packet:?}"
        );
        assert!(packet[0].contains("its VLAN is VM1's, 20"), "{packet:?}");
    }
    let adapter = tshark(test, &seen.file("adapter-NIC0.pcapng"), &["frame.comment"]);
    let adapter = adapter.unwrap_or_default();
    let onward = adapter
        .iter()
        .filter(|p| p[0].contains("it goes on to the protocol above VM1"));
    assert_eq!(onward.count(), 4, "{adapter:#?}");
}

/// Reads a timeline with Perfetto's classes and says what is in it, as JSON.
const DECODE: &str = r#"
import collections, json, sys
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
trace = Trace()
trace.ParseFromString(open(sys.argv[1], "rb").read())
tracks, parents, depth = {}, {}, collections.Counter()
kinds, flows, ends, unbalanced, back = collections.Counter(), set(), set(), 0, 0
names, last = collections.defaultdict(set), 0
unknown = 0
for packet in trace.packet:
    if packet.HasField("track_descriptor"):
        d = packet.track_descriptor
        tracks[d.uuid] = d.name
        parents[d.uuid] = d.parent_uuid
    if packet.HasField("track_event"):
        e = packet.track_event
        back += packet.timestamp < last
        last = packet.timestamp
        kinds[TrackEvent.Type.Name(e.type)] += 1
        unknown += e.track_uuid not in tracks
        if e.name:
            names[tracks.get(e.track_uuid, "?")].add(e.name)
        depth[e.track_uuid] += {1: 1, 2: -1}.get(e.type, 0)
        unbalanced += depth[e.track_uuid] < 0
        flows.update(e.flow_ids)
        ends.update(e.terminating_flow_ids)
print(json.dumps({
    "packets": len(trace.packet), "tracks": sorted(tracks.values()),
    "parents": sorted({tracks[p] for p in parents.values() if p}),
    "kinds": kinds, "names": {k: sorted(v) for k, v in names.items()},
    "flows": len(flows), "ended": len(ends & flows), "backwards": back,
    "unbalanced": unbalanced + sum(1 for v in depth.values() if v), "unknown": unknown,
}))
"#;

#[test]
fn perfetto_decodes_the_timeline_and_has_the_tracks() {
    let test = "perfetto_decodes_the_timeline_and_has_the_tracks";
    let (Some(seen), Some(reader)) = (Seen::of(test, "passthrough"), reader(test, "perfetto"))
    else {
        return;
    };
    let plan = seen.plan(ONE);
    seen.lab("trace", &["--plan", &plan]);
    let output = Command::new(reader.join("bin/python"))
        .args(["-c", DECODE])
        .arg(seen.file("timeline.pftrace"))
        .output()
        .expect("python runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let has = |list: &Value, what: &str| {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().any(|v| v == what)
    };
    for track in [
        "processor 0",
        "processor 1",
        "processor 2",
        "processor 3",
        "IRQL of processor 0",
        "miniport VM0",
        "binding to NIC0",
        "wire of NIC0",
    ] {
        assert!(
            has(&said["tracks"], track),
            "no track {track}: {}",
            said["tracks"]
        );
    }
    for group in ["processors", "miniport edge", "protocol edge"] {
        assert!(has(&said["parents"], group), "{}", said["parents"]);
    }
    // Every slice that begins ends, time never runs backwards, no event is on a track that
    // nobody declared.
    for what in ["unbalanced", "backwards", "unknown"] {
        assert_eq!(said[what], 0, "{what}: {said}");
    }
    let kinds = &said["kinds"];
    assert_eq!(kinds["TYPE_SLICE_BEGIN"], kinds["TYPE_SLICE_END"]);
    assert!(kinds["TYPE_COUNTER"].as_u64() > Some(10), "{kinds}");
    // 16 lists went through, each an arrow from its beginning to its end.
    assert!(said["ended"].as_u64() >= Some(16), "{said}");
    let lanes = said["names"].as_object().expect("tracks with events");
    let all: BTreeSet<&str> = lanes
        .iter()
        .filter(|(track, _)| track.starts_with("processor"))
        .flat_map(|(_, names)| names.as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    for name in [
        "DriverEntry",
        "ProtocolBindAdapterEx",
        "MiniportSendNetBufferLists",
        "NdisSendNetBufferLists",
        "NdisMIndicateReceiveNetBufferLists",
        "MiniportOidRequest",
    ] {
        assert!(all.contains(name), "{name} is on no processor: {all:?}");
    }
    assert!(lanes["wire of NIC0"].as_array().map_or(0, Vec::len) >= 2);
}

/// Parses each file with Mermaid; ends badly at the first that is no diagram.
const PARSE: &str = r#"
import mermaid from "MODULE";
import fs from "node:fs";
for (const file of process.argv.slice(2)) {
  const found = await mermaid.parse(fs.readFileSync(file, "utf8"));
  console.log(found.diagramType);
}
"#;

#[test]
fn mermaid_parses_the_sequence_diagrams() {
    let test = "mermaid_parses_the_sequence_diagrams";
    let (Some(seen), Some(reader)) = (Seen::of(test, "passthrough"), reader(test, "mermaid"))
    else {
        return;
    };
    let plan = seen.plan(ONE);
    seen.lab("trace", &["--plan", &plan]);
    // One of a list and one of a request that was cloned.
    let diagrams = seen.diagrams();
    assert_eq!(diagrams.len(), 2, "{diagrams:?}");
    let all: String = diagrams
        .iter()
        .map(|path| std::fs::read_to_string(path).expect("text"))
        .collect();
    for line in [
        "participant above_VM0 as protocol above VM0",
        "participant below_NIC0 as adapter NIC0",
        "above_VM0->>driver: Miniport",
        "driver->>below_NIC0: Ndis",
        "clone of oid",
    ] {
        assert!(all.contains(line), "no {line:?}:\n{all}");
    }
    seen.lab(
        "trace",
        &[
            "--plan",
            &plan,
            "--follow",
            "nbl:1",
            "--follow",
            "oid:0x00020106",
        ],
    );
    let module = reader.join("node_modules/mermaid/dist/mermaid.core.mjs");
    let script = seen.file("parse.mjs");
    let text = PARSE.replace("MODULE", &module.display().to_string());
    std::fs::write(&script, text).expect("written");
    let parse = |files: &[PathBuf]| {
        let mut command = Command::new("node");
        command.arg(&script).args(files);
        command.output()
    };
    let Ok(output) = parse(&seen.diagrams()) else {
        println!("SKIP {test}: no node");
        return;
    };
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.lines().count() >= 2, "{said}");
    assert!(said.lines().all(|line| line == "sequence"), "{said}");
    // And it does not take everything.
    let broken = seen.file("broken.txt");
    std::fs::write(&broken, "sequenceDiagram\n    driver->>>above x\n").expect("written");
    assert!(!parse(&[broken]).expect("node runs").status.success());
}

#[test]
fn equal_runs_have_equal_traces_and_a_trace_changes_nothing() {
    let test = "equal_runs_have_equal_traces_and_a_trace_changes_nothing";
    let Some(seen) = Seen::of(test, "passthrough") else {
        return;
    };
    let plan = seen.plan(ONE);
    let hash = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        let line = text
            .lines()
            .find(|line| line.contains("trace") && line.contains("0x"));
        line.map(str::trim).map(str::to_owned)
    };
    let first = seen.lab("trace", &["--plan", &plan]);
    let table = std::fs::read_to_string(seen.file("table.txt")).expect("a table");
    let second = seen.lab("trace", &["--plan", &plan]);
    assert_eq!(
        std::fs::read_to_string(seen.file("table.txt")).expect("a table"),
        table
    );
    assert_eq!(hash(&first), hash(&second));
    // The coverage of a run is that of the same run: its marks change nothing either.
    let third = seen.lab("coverage", &["--plan", &plan]);
    assert_eq!(hash(&first), hash(&third));
    assert!(table.contains("=> MiniportSendNetBufferLists"), "{table}");
    assert!(table.contains("<- DriverEntry"), "{table}");
}

#[test]
fn coverage_names_lines_and_functions_that_were_reached() {
    let test = "coverage_names_lines_and_functions_that_were_reached";
    let Some(seen) = Seen::of(test, "passthrough") else {
        return;
    };
    let all = seen.plan(ONE);
    seen.lab("coverage", &["--plan", &all]);
    let text = std::fs::read_to_string(seen.file("coverage.json")).expect("JSON");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let files = report["total"]["files"].as_object().expect("files");
    let lines = |report: &Value| -> (usize, usize) {
        let files = report["total"]["files"].as_object().expect("files");
        let own = files.iter().filter(|(path, _)| path.starts_with("crates/"));
        let lines = own.flat_map(|(_, f)| f["lines"].as_object().into_iter().flatten());
        lines.fold((0, 0), |(hit, known), (_, reached)| {
            (hit + usize::from(reached == true), known + 1)
        })
    };
    let whole = lines(&report);
    assert!(whole.1 > 1_000 && whole.0 > whole.1 / 4, "{whole:?}");
    // The send handler was reached; what answers the control device was not.
    let (_, send) = files
        .iter()
        .find(|(path, _)| path.ends_with("im-core/src/data/straight/send.rs"))
        .or_else(|| {
            files
                .iter()
                .find(|(path, _)| path.contains("im-core/src") && path.ends_with("send.rs"))
        })
        .unwrap_or_else(|| panic!("no file with the send handler: {:?}", files.keys()));
    let reached = send["lines"].as_object().expect("lines");
    assert!(reached.values().any(|hit| hit == true), "{send}");
    // A life without frames reaches less.
    let nothing: String = ONE.replace("lists = 8", "lists = 0");
    let plan = seen.plan(&nothing);
    seen.lab("coverage", &["--plan", &plan]);
    let text = std::fs::read_to_string(seen.file("coverage.json")).expect("JSON");
    let less = lines(&serde_json::from_str(&text).expect("JSON"));
    assert_eq!(less.1, whole.1);
    assert!(less.0 < whole.0, "{less:?} of {whole:?}");
    let lcov = std::fs::read_to_string(seen.file("coverage.info")).expect("lcov");
    let count = |start: &str| lcov.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(count("SF:"), count("end_of_record"));
    assert!(count("DA:") > 1_000);
    assert!(count("FNDA:1") > 20);
}
