//! The trunk as tshark reads it: every frame of the lab's own capture, judged by where its
//! sender is.
//!
//! Pure functions on tshark's lines, but for [`read`], which runs it.

use std::{
    collections::BTreeMap,
    fs::File,
    net::IpAddr,
    process::{Command, Stdio},
};

use lab_net::Mac;

use super::programs::output;
use super::switch::program;
use crate::summary::Step;

/// Asked for with each frame, in this order.
const FIELDS: [&str; 16] = [
    "eth.src",
    "vlan.id",
    "vlan.priority",
    "arp.opcode",
    "arp.src.proto_ipv4",
    "arp.dst.proto_ipv4",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "_ws.malformed",
    "ip.checksum.status",
    "tcp.checksum.status",
    "udp.checksum.status",
    "frame.protocols",
    "tcp.checksum",
];
/// What a checksum's status is when it is wrong.
const BAD: &str = "0";
/// A TCP checksum that Linux writes for zero, as UDP demands it; both mean the same sum,
/// and one segment in 65,536 has it.
const OTHER_ZERO: &str = "0xffff";

/// A host: where its frames belong.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Its address on the trunk.
    pub mac: Mac,
    /// Its VLAN; 0: untagged.
    pub vlan: u16,
    /// The priority that its frames have to have there.
    pub priority: u8,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// One frame, as tshark understands it.
#[derive(Debug, Default, PartialEq)]
struct Row {
    source: Option<Mac>,
    vlans: Vec<u16>,
    priority: u8,
    sender: Option<IpAddr>,
    target: Option<IpAddr>,
    /// An ARP message: a request?
    arp: Option<bool>,
    malformed: bool,
    bad_checksum: bool,
    /// What is in it, from the outside in.
    protocols: String,
}

/// A MAC address as tshark writes it.
fn mac(text: &str) -> Option<Mac> {
    let mut octets = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut octets {
        *octet = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(Mac(octets))
}

/// A number as tshark writes it: decimal or 0x….
fn number(text: &str) -> Option<u16> {
    match text.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// One of its lines.
fn row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.split('\t').collect();
    let field = |name: &str| {
        let at = FIELDS.iter().position(|known| *known == name)?;
        fields.get(at).copied()
    };
    // Of several the first: the others are in what an ICMP error quotes.
    let first = |name: &str| {
        field(name)?
            .split(',')
            .next()
            .filter(|text| !text.is_empty())
    };
    let address = |names: [&str; 3]| {
        let mut texts = names.into_iter().filter_map(first);
        texts.find_map(|text| text.parse().ok())
    };
    let is_bad = |name: &str| first(name) == Some(BAD);
    // An ICMP error quotes what it is about, with checksums that are of the past.
    let quotes = ["ip.src", "ipv6.src"]
        .into_iter()
        .any(|name| field(name).is_some_and(|all| all.contains(',')));
    if fields.len() != FIELDS.len() {
        return None;
    }
    let protocols = first("frame.protocols").unwrap_or_default();
    // What iperf3 carries are arbitrary bytes: a protocol that tshark takes them for may
    // call them malformed, the headers before them are judged.
    let guessed = [":tcp:", ":udp:"].iter().any(|end| protocols.contains(end));
    let bad_tcp = is_bad("tcp.checksum.status") && first("tcp.checksum") != Some(OTHER_ZERO);
    Some(Row {
        source: first("eth.src").and_then(mac),
        vlans: field("vlan.id")?.split(',').filter_map(number).collect(),
        priority: first("vlan.priority")
            .and_then(number)
            .unwrap_or(0)
            .try_into()
            .ok()?,
        sender: address(["arp.src.proto_ipv4", "ip.src", "ipv6.src"]),
        target: address(["arp.dst.proto_ipv4", "ip.dst", "ipv6.dst"]),
        arp: first("arp.opcode").and_then(number).map(|code| code == 1),
        malformed: first("_ws.malformed").is_some() && !guessed,
        bad_checksum: is_bad("ip.checksum.status")
            || !quotes && (bad_tcp || is_bad("udp.checksum.status")),
        protocols: protocols.to_owned(),
    })
}

/// What is wrong with frames of one kind: how many, and the first.
#[derive(Debug, Default)]
struct Wrong {
    count: u64,
    first: Option<String>,
}

impl Wrong {
    fn note(&mut self, number: u64, row: &Row, why: impl FnOnce() -> String) {
        self.count += 1;
        self.first
            .get_or_insert_with(|| format!("frame {number}: {}: {row:?}", why()));
    }
}

/// All that was read.
#[derive(Debug, Default)]
pub struct Reading {
    frames: u64,
    by_vlan: BTreeMap<u16, u64>,
    /// Frames of each host, by its place among the known.
    by_host: BTreeMap<usize, u64>,
    tags: Wrong,
    priorities: Wrong,
    damaged: Wrong,
    crossed: Wrong,
    /// ARP requests from one VLAN for a host of another.
    asked_across: u64,
    unread: u64,
}

impl Reading {
    fn add(&mut self, line: &str, hosts: &[Known]) {
        self.frames += 1;
        let at = self.frames;
        let Some(row) = row(line) else {
            self.unread += 1;
            return;
        };
        let vlan = row.vlans.first().copied().unwrap_or(0);
        *self.by_vlan.entry(vlan).or_default() += 1;
        if row.malformed || row.bad_checksum {
            self.damaged
                .note(at, &row, || "malformed or a bad checksum".into());
        }
        if row.vlans.len() > 1 {
            self.tags.note(at, &row, || "a tag behind a tag".into());
        }
        let host_of = |address: &Option<IpAddr>| {
            let address = address.as_ref()?;
            hosts
                .iter()
                .position(|host| host.addresses.contains(address))
        };
        let sender = host_of(&row.sender);
        if let Some(at_host) = sender {
            let host = &hosts[at_host];
            *self.by_host.entry(at_host).or_default() += 1;
            if host.vlan != vlan {
                let why = || format!("of {} in VLAN {}", host.name, host.vlan);
                self.tags.note(at, &row, why);
            }
            if host.priority != row.priority {
                let why = || format!("of {} with priority {}", host.name, host.priority);
                self.priorities.note(at, &row, why);
            }
        } else {
            // Without an address of its own, such as one with a link-local one: of one of
            // the hosts with the frame's MAC address.
            let mut same = hosts.iter().filter(|host| Some(host.mac) == row.source);
            if !same.any(|host| host.vlan == vlan) {
                self.tags.note(at, &row, || "of nobody in this VLAN".into());
            } else if !hosts.iter().any(|host| {
                Some(host.mac) == row.source && (host.vlan, host.priority) == (vlan, row.priority)
            }) {
                self.priorities
                    .note(at, &row, || "of nobody with this priority".into());
            }
        }
        let target = host_of(&row.target);
        if let (Some(sender), Some(target)) = (sender, target)
            && hosts[sender].vlan != hosts[target].vlan
        {
            if row.arp == Some(true) {
                self.asked_across += 1;
            } else {
                let why = || format!("from {} to {}", hosts[sender].name, hosts[target].name);
                self.crossed.note(at, &row, why);
            }
        }
    }

    /// Whether it is as it must be, step by step. `across` says how many pairs of hosts in
    /// different VLANs asked for each other over the trunk.
    pub fn steps(&self, version: &str, hosts: &[Known], across: u64) -> Vec<Step> {
        let step = |name: &str, ok: bool, detail: String| Step {
            name: name.into(),
            ok,
            detail,
        };
        let wrong = |wrong: &Wrong| match &wrong.first {
            None => "0 wrong".to_owned(),
            Some(first) => format!("{} wrong, the first: {first}", wrong.count),
        };
        let by_vlan: Vec<String> = self
            .by_vlan
            .iter()
            .map(|(vlan, count)| match vlan {
                0 => format!("untagged {count}"),
                vlan => format!("VLAN {vlan} {count}"),
            })
            .collect();
        let silent: Vec<&str> = (0..hosts.len())
            .filter(|at| !self.by_host.contains_key(at))
            .map(|at| hosts[at].name.as_str())
            .collect();
        let heard = if silent.is_empty() {
            String::new()
        } else {
            format!(", nothing from {}", silent.join(", "))
        };
        let priorities: Vec<String> = hosts
            .iter()
            .filter(|host| host.priority > 0)
            .map(|host| format!("{} {}", host.name, host.priority))
            .collect();
        let priorities = if priorities.is_empty() {
            "all 0".to_owned()
        } else {
            format!("{}, others 0", priorities.join(", "))
        };
        vec![
            step(
                "trunk: every frame has the tag of its VLAN",
                self.tags.count == 0 && self.unread == 0 && self.frames > 0 && silent.is_empty(),
                format!(
                    "{} frames read by {version}: {}; {}{heard}",
                    self.frames,
                    by_vlan.join(", "),
                    wrong(&self.tags),
                ),
            ),
            step(
                "trunk: every frame has its priority",
                self.priorities.count == 0 && self.frames > 0,
                format!("{priorities}; {}", wrong(&self.priorities)),
            ),
            step(
                "trunk: nothing is malformed",
                self.damaged.count == 0 && self.unread == 0 && self.frames > 0,
                format!("lengths and checksums; {}", wrong(&self.damaged)),
            ),
            step(
                "trunk: nothing between VLANs",
                self.crossed.count == 0 && self.asked_across >= across,
                format!(
                    "{} ARP requests for a host of another VLAN; answers and others: {}",
                    self.asked_across,
                    wrong(&self.crossed)
                ),
            ),
        ]
    }
}

/// Has tshark read a capture.
pub fn read(capture: File, hosts: &[Known]) -> Result<(String, Reading), String> {
    let mut command = Command::new(program("tshark"));
    let version = {
        let mut command = Command::new(program("tshark"));
        command.arg("--version");
        let text = output(command)?;
        let line = text.lines().next().unwrap_or_default();
        // `TShark (Wireshark) 4.0.17 (Git …)`
        let line = line.replace(" (Wireshark)", "");
        line.split(" (").next().unwrap_or_default().to_owned()
    };
    // From the descriptor: the file has no name.
    command.args(["-n", "-r", "-", "-T", "fields", "-E", "occurrence=a"]);
    for checked in ["ip", "tcp", "udp"] {
        command.args(["-o", &format!("{checked}.check_checksum:TRUE")]);
    }
    for field in FIELDS {
        command.args(["-e", field]);
    }
    command.stdin(Stdio::from(capture));
    let text = super::programs::output_of(command)?;
    let mut reading = Reading::default();
    for line in text.lines() {
        reading.add(line, hosts);
    }
    Ok((version, reading))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<Known> {
        let host = |name: &str, mac: u8, vlan, priority, address: &str| Known {
            name: name.into(),
            mac: Mac([2, 0, 0, 0, 0, mac]),
            vlan,
            priority,
            addresses: vec![address.parse().expect("an address")],
        };
        vec![
            host("a10", 1, 10, 0, "10.10.0.1"),
            host("b10", 2, 10, 0, "10.10.0.2"),
            // The same MAC address in another VLAN.
            host("a20", 1, 20, 5, "10.20.0.1"),
            host("plain", 3, 0, 0, "10.0.0.1"),
        ]
    }

    /// A line: MAC, VLANs, priority, ARP, sender, target, the rest.
    fn line(mac: u8, tag: [&str; 2], arp: &str, ends: [&str; 2], rest: &str) -> String {
        let [vlan, priority] = tag;
        let [from, to] = ends;
        let (arp_ends, ip_ends) = match arp {
            "" => (["", ""], [from, to]),
            _ => ([from, to], ["", ""]),
        };
        format!(
            "02:00:00:00:00:{mac:02x}\t{vlan}\t{priority}\t{arp}\t{}\t{}\t{}\t{}\t\t\t{rest}\teth:ip\t",
            arp_ends[0], arp_ends[1], ip_ends[0], ip_ends[1]
        )
    }

    const FINE: &str = "\t1\t1\t";

    fn sound() -> Vec<String> {
        vec![
            line(1, ["10", "0"], "1", ["10.10.0.1", "10.10.0.2"], FINE),
            line(2, ["10", "0"], "2", ["10.10.0.2", "10.10.0.1"], FINE),
            line(1, ["20", "5"], "", ["10.20.0.1", "10.20.0.9"], FINE),
            line(3, ["", ""], "", ["10.0.0.1", "10.0.0.9"], FINE),
            // Link-local: by its MAC address, in either VLAN.
            line(1, ["20", "5"], "", ["", ""], FINE),
            line(1, ["10", "0"], "", ["", ""], FINE),
            // Asked, not answered.
            line(1, ["10", "0"], "1", ["10.10.0.1", "10.20.0.1"], FINE),
            // An ICMP error quotes another sender.
            line(
                1,
                ["10", "0"],
                "",
                ["10.10.0.1,10.99.0.1", "10.10.0.2,10.10.0.1"],
                FINE,
            ),
            // What that quotes may be wrong.
            line(
                1,
                ["10", "0"],
                "",
                ["10.10.0.1,10.99.0.1", "10.10.0.2,10.10.0.1"],
                "\t1,0\t\t0",
            ),
        ]
    }

    fn failures(lines: &[String], across: u64) -> Vec<String> {
        let mut reading = Reading::default();
        for line in lines {
            reading.add(line, &hosts());
        }
        let steps = reading.steps("tshark", &hosts(), across);
        let failed = steps.into_iter().filter(|step| !step.ok);
        failed
            .map(|step| format!("{}: {}", step.name, step.detail))
            .collect()
    }

    #[test]
    fn a_sound_trunk_has_no_failure() {
        assert_eq!(failures(&sound(), 1), Vec::<String>::new());
        // Nobody asked: nothing is proven.
        assert_eq!(failures(&sound(), 2).len(), 1);
        assert!(
            !failures(&[], 0).is_empty(),
            "an empty capture proves nothing"
        );
    }

    /// Bytes that tshark takes for some protocol over TCP are no damage; a malformed header is.
    #[test]
    fn guesses_about_payload_do_not_count() {
        for (protocols, failed) in [("eth:ip:tcp:q931", 0), ("eth:ip:tcp", 1)] {
            let ends = ["10.10.0.1", "10.10.0.2"];
            let whole = line(1, ["10", "0"], "", ends, "q931\t1\t1\t");
            let mut lines = sound();
            lines.push(whole.replace("eth:ip", protocols));
            assert_eq!(failures(&lines, 1).len(), failed, "{protocols}");
        }
    }

    /// Linux writes 0xffff where the sum is zero; any other value that tshark calls bad is.
    #[test]
    fn zero_may_be_written_in_two_ways() {
        for (checksum, failed) in [("0xffff", 0), ("0xfffe", 1)] {
            let mut lines = sound();
            let ends = ["10.10.0.1", "10.10.0.2"];
            lines.push(line(1, ["10", "0"], "", ends, "\t1\t0\t") + checksum);
            assert_eq!(failures(&lines, 1).len(), failed, "{checksum}");
        }
    }

    #[test]
    fn each_kind_of_wrong_frame_is_found() {
        for (bad, word) in [
            (
                line(1, ["20", "0"], "", ["10.10.0.1", "10.10.0.2"], FINE),
                "of a10 in VLAN 10",
            ),
            (
                line(1, ["", ""], "", ["10.10.0.1", "10.10.0.2"], FINE),
                "of a10 in VLAN 10",
            ),
            (
                line(3, ["10", "0"], "", ["", ""], FINE),
                "of nobody in this VLAN",
            ),
            (
                line(9, ["10", "0"], "", ["", ""], FINE),
                "of nobody in this VLAN",
            ),
            (
                line(1, ["10,20", "0,0"], "", ["10.10.0.1", "10.10.0.2"], FINE),
                "behind a tag",
            ),
            (
                line(1, ["20", "0"], "", ["10.20.0.1", "10.20.0.9"], FINE),
                "of a20 with priority 5",
            ),
            (
                line(1, ["10", "5"], "", ["", ""], FINE),
                "of nobody with this priority",
            ),
            (
                line(1, ["10", "0"], "", ["10.10.0.1", "10.10.0.2"], "1\t1\t1\t"),
                "malformed",
            ),
            (
                line(1, ["10", "0"], "", ["10.10.0.1", "10.10.0.2"], "\t1\t0\t"),
                "checksum",
            ),
            (
                line(1, ["10", "0"], "", ["10.10.0.1", "10.10.0.2"], "\t0\t1\t"),
                "checksum",
            ),
            (
                line(2, ["10", "0"], "2", ["10.10.0.2", "10.20.0.1"], FINE),
                "from b10 to a20",
            ),
        ] {
            let mut lines = sound();
            lines.push(bad.clone());
            let found = failures(&lines, 1);
            assert_eq!(found.len(), 1, "{bad}: {found:?}");
            assert!(found[0].contains(word), "{bad}: {found:?}");
        }
        let mut cut = sound();
        cut.push("02:00:00:00:00:01\t10".into());
        assert_eq!(failures(&cut, 1).len(), 2, "a line that cannot be read");
        let mut quiet = sound();
        quiet.remove(3);
        assert!(failures(&quiet, 1)[0].contains("nothing from plain"));
    }
}
