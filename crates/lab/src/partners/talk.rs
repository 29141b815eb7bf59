//! What the sides say to each other once frames may flow, and what came of it.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv6Addr},
    process::Stdio,
    thread,
};

use lab_net::netns::InterfaceCounters;

use super::programs::{output, ping_answers, responders, transfer};
use super::sides::{Side, link_local};
use super::{Capture, Partners, Trunk, link_locals};
use crate::{
    scenario::{DROPPED, INDICATED, device},
    summary::{Counter, Ping, Step, Summary},
};

/// Echo requests each way.
const PINGS: u32 = 100;
/// Bytes that iperf3 sends each way.
const TRANSFER: u64 = 64 << 20;
/// The same where every frame is recorded and read again.
const RECORDED: u64 = 8 << 20;
/// Name of the step that compares counters.
const AGREE: &str = "driver's counters agree with the interfaces";
/// Octets of a tag.
const TAG: u64 = 4;
/// All nodes of a link.
const EVERYBODY: &str = "ff02::1";

/// What the programs said.
#[derive(Default)]
pub struct Talk {
    ping: Vec<Ping>,
    steps: Vec<Step>,
    /// Interfaces above the driver.
    above: Vec<Above>,
    /// Sum of the interfaces at the other end of the wire: the hosts', or the trunks'.
    below: InterfaceCounters,
    counters: Vec<Counter>,
    captures: Vec<Capture>,
}

/// An interface above the driver.
#[derive(Clone)]
struct Above {
    /// The miniport's device.
    device: String,
    /// Whether the miniport has a VLAN.
    tagged: bool,
    /// What Linux counted.
    linux: InterfaceCounters,
}

fn add(sum: &mut InterfaceCounters, counters: InterfaceCounters) {
    sum.octets_in += counters.octets_in;
    sum.octets_out += counters.octets_out;
    sum.frames_in += counters.frames_in;
    sum.frames_out += counters.frames_out;
}

impl Talk {
    fn step(&mut self, name: &str, ok: bool, detail: String) {
        self.steps.push(Step {
            name: name.into(),
            ok,
            detail,
        });
    }

    /// The talk itself. The child hears how far it is.
    pub(super) fn hold(&mut self, partners: &Partners) {
        // Of each pair: two ways of ping for each kind of address, four of iperf3.
        let total = partners
            .ends()
            .map(|(above, below)| 2 * above.addresses().zip(below.addresses()).count() + 4)
            .sum::<usize>()
            + partners.audiences.len()
            + usize::from(!partners.relations.strangers.is_empty());
        let mut done = 0_u8;
        let mut tell = |count: u8| {
            done = done.saturating_add(count);
            let total = u8::try_from(total).unwrap_or(u8::MAX);
            // A child that is gone has no use for it.
            let _ = (&partners.stop).write_all(&[done.min(total), total]);
        };
        tell(0);
        let bytes = if partners.trunks.is_empty() {
            TRANSFER
        } else {
            RECORDED
        };
        for (above, below) in partners.ends() {
            for (from, to) in [(above, below), (below, above)] {
                for address in to.addresses() {
                    self.ping(from, to, address, PINGS, "");
                    tell(1);
                }
            }
            self.iperf(above, below, bytes, &mut tell);
        }
        self.everybody(partners, &mut tell);
        self.strangers(partners);
        // Whatever was skipped: all is over.
        tell(u8::MAX);
    }

    /// Keeps frames coming from both sides while the child pauses and restarts the
    /// driver's edges; their answers may be lost. Afterwards none may.
    pub(super) fn disturb(&mut self, partners: &Partners) -> Option<()> {
        let mut running = Vec::new();
        for (above, below) in partners.ends() {
            for (from, to) in [(above, below), (below, above)] {
                let Some(address) = to.v4 else { continue };
                let mut command = from.namespace.command("ping");
                command.args(["-n", "-q", "-i", "0.002", "-w", "60", &address.to_string()]);
                command.stdin(Stdio::null());
                command.stdout(Stdio::null()).stderr(Stdio::null());
                running.extend(command.spawn());
            }
        }
        let word = partners.wait();
        for mut program in running {
            let _ = program.kill();
            let _ = program.wait();
        }
        word?;
        for (above, below) in partners.ends() {
            for (from, to) in [(above, below), (below, above)] {
                let Some(address) = to.v4 else { continue };
                self.ping(from, to, address.into(), PINGS / 5, ", after restart");
            }
        }
        Some(())
    }

    /// The end of the switches; what they carried is judged when the child has ended.
    pub(super) fn part(&mut self, trunks: Vec<Trunk>, across: u64) {
        for mut trunk in trunks {
            let ended = trunk.switch.ended();
            let what = trunk.switch.describe();
            let ok = ended.is_empty();
            let detail = [vec![what], ended].concat().join("; ");
            self.step("Open vSwitch", ok, detail);
            self.captures.push(Capture {
                file: trunk.capture,
                hosts: trunk.hosts,
                across,
            });
        }
    }

    fn ping(&mut self, from: &Side, to: &Side, address: IpAddr, count: u32, when: &str) {
        let path = format!("{} -> {address} ({}{when})", from.name, to.name);
        let mut command = from.namespace.command("ping");
        command.args(["-n", "-q", "-i", "0.01", "-W", "2", "-c"]);
        command.arg(count.to_string()).arg(address.to_string());
        match output(command) {
            Ok(text) => {
                let answered = ping_answers(&text).unwrap_or(0);
                self.ping.push(Ping {
                    path,
                    sent: u64::from(count),
                    answered,
                });
            }
            Err(why) => self.step("ping", false, format!("{path}: {why}")),
        }
    }

    fn iperf(&mut self, above: &Side, below: &Side, bytes: u64, tell: &mut impl FnMut(u8)) {
        let Some(address) = below.v4 else { return };
        let mut server = below.namespace.command("iperf3");
        server.args(["--server", "--bind", &address.to_string()]);
        server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = match server.spawn() {
            Ok(server) => server,
            Err(error) => return self.step("iperf3", false, error.to_string()),
        };
        for tcp in [Some(bytes), None] {
            for reverse in [false, true] {
                let (from, to) = if reverse {
                    (below, above)
                } else {
                    (above, below)
                };
                let path = format!("{} -> {}", from.name, to.name);
                let result = transfer(above, address, tcp, reverse);
                let name = if tcp.is_some() {
                    "iperf3, TCP"
                } else {
                    "iperf3, UDP"
                };
                match result {
                    Ok(iperf) => self.step(name, iperf.ok(), format!("{path}: {iperf}")),
                    Err(why) => self.step(name, false, format!("{path}: {why}")),
                }
                tell(1);
            }
        }
        let _ = server.kill();
        let _ = server.wait();
    }

    /// Each says something to all nodes of its link: exactly those answer that are in its
    /// VLAN, once each.
    fn everybody(&mut self, partners: &Partners, tell: &mut impl FnMut(u8)) {
        for (index, expected) in &partners.audiences {
            let Some(side) = partners.sides.get(*index) else {
                continue;
            };
            let mut command = side.namespace.command("ping");
            // The second request gives the first one's answers the time to come.
            command.args(["-6", "-n", "-c", "2", "-i", "0.5", "-W", "1", "-I"]);
            command.arg(&side.interface).arg(EVERYBODY);
            let name = "who answers a multicast";
            match output(command) {
                Ok(text) => {
                    let mut heard = link_locals(responders(&text));
                    let own = link_local(side.mac);
                    // Linux answers itself, once.
                    if let Some(at) = heard.iter().position(|address| *address == own) {
                        heard.remove(at);
                    }
                    heard.sort_unstable();
                    let ok = heard == *expected;
                    let detail = format!("{}: {}", side.name, compared(&heard, expected));
                    self.step(name, ok, detail);
                }
                Err(why) => self.step(name, false, format!("{}: {why}", side.name)),
            }
            tell(1);
        }
    }

    /// Everybody tries to reach those that it must not: no answer, not even to ARP.
    fn strangers(&mut self, partners: &Partners) {
        let tries: Vec<_> = partners
            .strangers()
            .filter_map(|(from, to)| Some((from, to, to.v4?)))
            .collect();
        if tries.is_empty() {
            return;
        }
        let answers: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = tries
                .iter()
                .map(|(from, _, address)| {
                    let mut command = from.namespace.command("ping");
                    // Bound to the interface: Linux asks for the address on that link,
                    // whatever its subnet.
                    command.args(["-n", "-q", "-c", "3", "-i", "0.2", "-W", "1", "-I"]);
                    command.arg(&from.interface).arg(address.to_string());
                    scope.spawn(move || output(command))
                })
                .collect();
            running
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect()
        });
        let mut wrong = Vec::new();
        for ((from, to, _), answer) in tries.iter().zip(answers) {
            let path = format!("{} -> {}", from.name, to.name);
            match answer {
                Ok(Ok(text)) if ping_answers(&text) == Some(0) => {}
                Ok(Ok(text)) => {
                    let count = ping_answers(&text).unwrap_or(0);
                    wrong.push(format!("{path}: {count} answers"));
                }
                Ok(Err(why)) => wrong.push(format!("{path}: {why}")),
                Err(_) => wrong.push(format!("{path}: no word of ping")),
            }
        }
        let ok = wrong.is_empty();
        let detail = if ok {
            format!("{} ways tried, no answer", tries.len())
        } else {
            wrong.join("; ")
        };
        self.step("ping between VLANs and between ports", ok, detail);
    }

    /// Notes what the interfaces have counted.
    pub(super) fn count(&mut self, partners: &Partners) {
        for side in &partners.sides {
            match side.namespace.counters(&side.interface) {
                Ok(counters) => {
                    self.note(&format!("Linux, {}", side.name), &counters);
                    match &side.port {
                        Some(port) => self.above.push(Above {
                            device: device(port),
                            tagged: side.vlan != 0,
                            linux: counters,
                        }),
                        None if partners.trunks.is_empty() => add(&mut self.below, counters),
                        None => {}
                    }
                }
                Err(error) => self.step("interface counters", false, error.to_string()),
            }
        }
        for trunk in &partners.trunks {
            match trunk.switch.trunk() {
                Ok(counters) => {
                    self.note("Open vSwitch, trunk", &counters);
                    add(&mut self.below, counters);
                }
                Err(error) => self.step("interface counters", false, error.to_string()),
            }
        }
    }

    fn note(&mut self, owner: &str, counters: &InterfaceCounters) {
        for (name, value) in [
            ("frames sent", counters.frames_out),
            ("bytes sent", counters.octets_out),
            ("frames received", counters.frames_in),
            ("bytes received", counters.octets_in),
            ("frames dropped", counters.dropped_in + counters.dropped_out),
        ] {
            self.counters.push(Counter {
                owner: owner.into(),
                name: name.into(),
                value,
            });
        }
    }

    /// Adds the talk to what the child saw, compares the driver's own statistics with what
    /// Linux counted, and has the captures of the trunks read.
    pub fn join(mut self, summary: &mut Summary) {
        for capture in std::mem::take(&mut self.captures) {
            match capture.steps() {
                Ok(steps) => self.steps.extend(steps),
                Err(why) => self.step("tshark", false, why),
            }
        }
        self.agree(summary);
        summary.ping.extend(self.ping);
        summary.steps.extend(self.steps);
        summary.counters.extend(self.counters);
    }

    /// A TAP device counts a frame as sent when its reader takes it, and as received
    /// when its writer has given it. Above the driver both are what each port sent
    /// and received, to the byte. At the far end the adapter stands between: what
    /// comes before the binding runs, or finds no room, it drops and counts. What the
    /// driver drops on the way up, it counts by reason; a frame for several ports it
    /// counts for each of them.
    fn agree(&self, summary: &mut Summary) {
        let of = |owner: Option<&str>, name: &str| -> Option<u64> {
            let counters = summary.counters.iter().filter(|counter| {
                let device = counter.owner.to_uppercase();
                counter.name == name && owner.is_none_or(|owner| device == owner)
            });
            let values: Vec<u64> = counters.map(|counter| counter.value).collect();
            (!values.is_empty()).then(|| values.iter().sum())
        };
        let mut detail = Vec::new();
        let mut ok = !self.above.is_empty();
        for above in &self.above {
            let (device, linux) = (&above.device, &above.linux);
            // The driver counts what it hands to the adapter: with a VLAN's tag if that is
            // in the frame by then.
            let tags = if above.tagged {
                TAG * linux.frames_out
            } else {
                0
            };
            for (name, linux, tags) in [
                ("sent-bytes", linux.octets_out, tags),
                ("sent-frames", linux.frames_out, 0),
                ("received-bytes", linux.octets_in, 0),
                ("received-frames", linux.frames_in, 0),
            ] {
                match of(Some(device), name) {
                    Some(driver) if driver == linux || driver == linux + tags => {
                        detail.push(format!("{device} {name} {driver}"));
                    }
                    Some(driver) => {
                        ok = false;
                        detail.push(format!("{device} {name} {driver}, Linux above {linux}"));
                    }
                    None => {
                        ok = false;
                        detail.push(format!("{device} {name} is missing"));
                    }
                }
            }
        }
        let dropped = of(None, DROPPED).unwrap_or(0);
        let dropped_above: u64 = summary
            .counters
            .iter()
            .filter(|counter| counter.name.starts_with("dropped: "))
            .map(|counter| counter.value)
            .sum();
        let sent = of(None, "sent-frames").unwrap_or(0);
        let received = of(None, "received-frames").unwrap_or(0) + dropped_above;
        let indicated = of(None, INDICATED).unwrap_or(0);
        let below = &self.below;
        // With one port above, each frame is received or dropped once.
        let counted = if self.above.len() == 1 {
            received == indicated
        } else {
            received >= indicated
        };
        for (right, what) in [
            (
                sent == below.frames_in,
                format!("sent {sent}, far end got {}", below.frames_in),
            ),
            (
                indicated + dropped == below.frames_out,
                format!(
                    "adapter indicated {indicated}, dropped {dropped}, far end sent {}",
                    below.frames_out
                ),
            ),
            (
                counted,
                format!("received or dropped {received}, adapter indicated {indicated}"),
            ),
        ] {
            if !right {
                ok = false;
                detail.push(what);
            }
        }
        if dropped + dropped_above > 0 {
            detail.push(format!(
                "{} frames of the far end were dropped and counted on the way up",
                dropped + dropped_above
            ));
        }
        summary.steps.push(Step {
            name: AGREE.into(),
            ok,
            detail: detail.join(", "),
        });
    }
}

/// Who answered, against who was to.
fn compared(heard: &[Ipv6Addr], expected: &[Ipv6Addr]) -> String {
    let list = |addresses: &[Ipv6Addr]| {
        let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        if texts.is_empty() {
            "nobody".to_owned()
        } else {
            texts.join(", ")
        }
    };
    if heard == expected {
        format!(
            "{} of its VLAN and nobody else ({})",
            heard.len(),
            list(heard)
        )
    } else {
        format!("heard {}, expected {}", list(heard), list(expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = "\\DEVICE\\P";

    fn driver() -> Vec<(&'static str, u64)> {
        vec![
            ("sent-bytes", 500),
            ("sent-frames", 5),
            ("received-bytes", 700),
            ("received-frames", 7),
            ("dropped: paused", 2),
            (DROPPED, 1),
            (INDICATED, 9),
        ]
    }

    fn summary(change: &str) -> Summary {
        Summary {
            counters: driver()
                .iter()
                .map(|(name, value)| Counter {
                    owner: DEVICE.into(),
                    name: (*name).into(),
                    value: value + u64::from(*name == change),
                })
                .collect(),
            ..Summary::default()
        }
    }

    fn talk(ports: usize) -> Talk {
        let linux = InterfaceCounters {
            octets_out: 500,
            frames_out: 5,
            octets_in: 700,
            frames_in: 7,
            ..Default::default()
        };
        Talk {
            above: vec![
                Above {
                    device: DEVICE.into(),
                    tagged: false,
                    linux,
                };
                ports
            ],
            below: InterfaceCounters {
                frames_out: 10,
                frames_in: 5,
                ..Default::default()
            },
            ..Talk::default()
        }
    }

    #[test]
    fn disagreement_is_a_failure() {
        let mut good = summary("");
        talk(1).join(&mut good);
        assert!(good.failures().is_empty(), "{good:?}");
        for (name, _) in driver() {
            let mut bad = summary(name);
            talk(1).join(&mut bad);
            assert_eq!(bad.failures().len(), 1, "{name}");
        }
        let mut missing = Summary::default();
        talk(1).join(&mut missing);
        assert_eq!(missing.failures().len(), 1, "missing is not equal");
        let mut nothing = summary("");
        talk(0).join(&mut nothing);
        assert_eq!(nothing.failures().len(), 1, "no interface proves nothing");
    }

    #[test]
    fn a_frame_for_several_ports_counts_for_each() {
        let mut twice = summary("dropped: paused");
        talk(2).join(&mut twice);
        assert!(twice.failures().is_empty(), "{twice:?}");
        // But none may be lost without a word.
        let mut lost = summary(INDICATED);
        lost.counters
            .retain(|counter| counter.name != "dropped: paused");
        talk(2).join(&mut lost);
        assert_eq!(lost.failures().len(), 1);
    }

    #[test]
    fn a_tag_counts_where_there_is_a_vlan() {
        let mut tagged = summary("");
        for counter in &mut tagged.counters {
            if counter.name == "sent-bytes" {
                counter.value += 5 * TAG;
            }
        }
        let mut of_vlan = talk(1);
        of_vlan.above[0].tagged = true;
        let mut good = tagged.clone();
        of_vlan.join(&mut good);
        assert!(good.failures().is_empty(), "{good:?}");
        talk(1).join(&mut tagged);
        assert_eq!(tagged.failures().len(), 1);
    }

    #[test]
    fn who_answered_is_compared() {
        let [one, two]: [Ipv6Addr; 2] = ["fe80::1", "fe80::2"].map(|a| a.parse().expect("good"));
        assert!(compared(&[one], &[one]).starts_with("1 of its VLAN"));
        let text = compared(&[one, two], &[one]);
        assert_eq!(text, "heard fe80::1, fe80::2, expected fe80::1");
        assert!(compared(&[], &[one]).starts_with("heard nobody"));
    }
}
