//! `--tap`: Linux itself at both ends. The parent makes the namespaces, hands
//! their TAP devices to the child, and once the driver carries frames lets ping
//! and iperf3 talk through it.
//!
//! Runs concurrently: one thread runs the programs while the main thread listens
//! to the child. Two pipes join it with the child. On the first the child says, a
//! byte each, that frames may flow, that it has read the driver's counters with
//! nothing under way, and that it is done with pausing and restarting under
//! traffic. On the second this side says how many of how many talks are over, two
//! bytes each time; its end says that all is.
//! The kernel ends the programs with the thread, so a killed parent leaves none.

use std::{
    fmt,
    io::{self, PipeReader, PipeWriter, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lab_net::netns::{InterfaceCounters, Lan, Namespace};

use crate::{
    process::FileUse,
    scenario::DROPPED,
    summary::{Counter, Ping, Step, Summary},
    topology::{Place, Topology},
    trouble::Trouble,
};

/// Echo requests each way.
const PINGS: u32 = 100;
/// Bytes that iperf3 sends each way.
const TRANSFER: u64 = 64 << 20;
/// What sockets, queues and the driver hold between both ends at most.
const BUFFERS: u64 = 16 << 20;
/// UDP that iperf3 sends each way: rate and seconds. Little enough for a slow machine.
const UDP: [&str; 5] = ["--udp", "--bitrate", "40M", "--time", "1"];
/// How long one program may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// What the programs are called, and a question that each answers at once.
const PROGRAMS: [(&str, &str); 2] = [("ping", "-V"), ("iperf3", "--version")];

/// One end: a host of the topology in a namespace of its own.
struct Side {
    name: String,
    interface: String,
    namespace: Namespace,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
    above: bool,
}

impl Side {
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.v4.map(IpAddr::V4);
        v4.into_iter().chain(self.v6.map(IpAddr::V6))
    }
}

/// Both ends, before the talk.
pub struct Partners {
    sides: Vec<Side>,
    /// Indices of a side above the driver and the one below that it talks to.
    pairs: Vec<(usize, usize)>,
    ready: PipeReader,
    stop: PipeWriter,
}

/// What the programs said.
#[derive(Default)]
pub struct Talk {
    ping: Vec<Ping>,
    steps: Vec<Step>,
    above: InterfaceCounters,
    below: InterfaceCounters,
    counters: Vec<Counter>,
}

/// Whether every program is there; if not, how to get it.
fn check_programs() -> Result<(), Trouble> {
    let missing: Vec<_> = PROGRAMS
        .into_iter()
        .filter(|(program, question)| {
            let mut command = Command::new(program);
            command.arg(question).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_err()
        })
        .map(|(program, _)| program)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let is = if missing.len() == 1 { "is" } else { "are" };
    Err(
        Trouble::input(format!("--tap: {} {is} not installed", missing.join(", ")))
            .hint("`cargo xtask setup --partners` installs what the lab talks to (as root)"),
    )
}

impl Partners {
    /// Makes namespaces for every host of the topology that is Linux, and the
    /// descriptors that the child needs.
    pub fn set_up(topology: &Topology) -> Result<(Self, Vec<(FileUse, OwnedFd)>), Trouble> {
        check_programs()?;
        let pipe = || io::pipe().map_err(|error| Trouble::host(format!("a pipe: {error}")));
        let (ready, ready_child) = pipe()?;
        let (stop_child, stop) = pipe()?;
        let mut files: Vec<(FileUse, OwnedFd)> = vec![
            (FileUse::Ready, ready_child.into()),
            (FileUse::Stop, stop_child.into()),
        ];
        let mut sides = Vec::new();
        for (index, host) in topology.hosts.iter().enumerate() {
            let port = topology.port(index);
            let lan = Lan::open(&port).map_err(|error| {
                let trouble = if error.is_missing_right() {
                    Trouble::input(format!("--tap: {error}"))
                } else {
                    Trouble::host(error.to_string())
                };
                trouble.at(&host.name).hint(
                    "run it as root, or allow user namespaces and open /dev/net/tun to this user",
                )
            })?;
            let (namespace, tap) = lan.split();
            files.push((FileUse::Tap(host.name.clone()), tap.into()));
            sides.push(Side {
                name: host.name.clone(),
                interface: port.name,
                namespace,
                v4: host.ipv4.map(|(address, _)| address),
                v6: host.ipv6.map(|(address, _)| address),
                above: matches!(host.on, Place::Miniport(_)),
            });
        }
        let pairs = pairs(topology);
        if pairs.is_empty() {
            return Err(Trouble::input(
                "--tap: no two hosts of the topology can talk through the driver",
            )
            .at(topology.file.display())
            .hint(
                "it takes a [[host]] on a miniport and one on the wire below it, both with `ipv4`",
            ));
        }
        Ok((
            Self {
                sides,
                pairs,
                ready,
                stop,
            },
            files,
        ))
    }

    /// Waits until frames may flow, then talks. The child is told when it is over.
    pub fn start(self) -> JoinHandle<Option<Talk>> {
        thread::spawn(move || {
            let mut talk = Talk::default();
            self.wait()?;
            self.talk(&mut talk);
            self.wait()?;
            for side in &self.sides {
                talk.count(side);
            }
            self.disturb(&mut talk)?;
            drop(self.stop);
            Some(talk)
        })
    }

    /// Waits for the child's next word. None: it is gone.
    fn wait(&self) -> Option<()> {
        (&self.ready).read_exact(&mut [0]).ok()
    }

    fn ends(&self) -> impl Iterator<Item = (&Side, &Side)> {
        self.pairs
            .iter()
            .filter_map(|&(above, below)| Some((self.sides.get(above)?, self.sides.get(below)?)))
    }

    fn talk(&self, talk: &mut Talk) {
        // Of each pair: two ways of ping for each kind of address, four of iperf3.
        let total = self
            .ends()
            .map(|(above, below)| 2 * above.addresses().zip(below.addresses()).count() + 4)
            .sum::<usize>();
        let mut done = 0_u8;
        let mut tell = |count: u8| {
            done = done.saturating_add(count);
            let total = u8::try_from(total).unwrap_or(u8::MAX);
            // A child that is gone has no use for it.
            let _ = (&self.stop).write_all(&[done.min(total), total]);
        };
        tell(0);
        for (above, below) in self.ends() {
            for (from, to) in [(above, below), (below, above)] {
                for address in to.addresses() {
                    talk.ping(from, to, address, PINGS, "");
                    tell(1);
                }
            }
            talk.iperf(above, below, &mut tell);
        }
        // Whatever was skipped: all is over.
        tell(u8::MAX);
    }

    /// Keeps frames coming from both sides while the child pauses and restarts the
    /// driver's edges; their answers may be lost. Afterwards none may.
    fn disturb(&self, talk: &mut Talk) -> Option<()> {
        let mut running = Vec::new();
        for (above, below) in self.ends() {
            for (from, to) in [(above, below), (below, above)] {
                let Some(address) = to.v4 else { continue };
                let mut command = from.namespace.command("ping");
                command.args(["-n", "-q", "-i", "0.002", "-w", "60", &address.to_string()]);
                command.stdin(Stdio::null());
                command.stdout(Stdio::null()).stderr(Stdio::null());
                running.extend(command.spawn());
            }
        }
        let word = self.wait();
        for mut program in running {
            let _ = program.kill();
            let _ = program.wait();
        }
        word?;
        for (above, below) in self.ends() {
            for (from, to) in [(above, below), (below, above)] {
                let Some(address) = to.v4 else { continue };
                talk.ping(from, to, address.into(), PINGS / 5, ", after restart");
            }
        }
        Some(())
    }
}

/// Hosts above a miniport and below its adapter, both with an IPv4 address.
fn pairs(topology: &Topology) -> Vec<(usize, usize)> {
    let wire_of = |miniport: &String| {
        let binding = topology
            .bindings
            .iter()
            .find(|binding| binding.upper.contains(miniport))?;
        topology.adapter(&binding.adapter)?.wire.clone()
    };
    let with_address = || {
        topology
            .hosts
            .iter()
            .enumerate()
            .filter(|(_, host)| host.ipv4.is_some())
    };
    let mut pairs = Vec::new();
    for (above, upper) in with_address() {
        let Place::Miniport(miniport) = &upper.on else {
            continue;
        };
        let wire = wire_of(miniport);
        for (below, lower) in with_address() {
            if matches!(&lower.on, Place::Wire(name) if Some(name) == wire.as_ref()) {
                pairs.push((above, below));
            }
        }
    }
    pairs
}

impl Talk {
    fn step(&mut self, name: &str, ok: bool, detail: String) {
        self.steps.push(Step {
            name: name.into(),
            ok,
            detail,
        });
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

    fn iperf(&mut self, above: &Side, below: &Side, tell: &mut impl FnMut(u8)) {
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
        for udp in [false, true] {
            for reverse in [false, true] {
                let (from, to) = if reverse {
                    (below, above)
                } else {
                    (above, below)
                };
                let path = format!("{} -> {}", from.name, to.name);
                let result = transfer(above, address, udp, reverse);
                let name = if udp { "iperf3, UDP" } else { "iperf3, TCP" };
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

    /// Notes an interface's counters.
    fn count(&mut self, side: &Side) {
        match side.namespace.counters(&side.interface) {
            Ok(counters) => {
                for (name, value) in [
                    ("frames sent", counters.frames_out),
                    ("bytes sent", counters.octets_out),
                    ("frames received", counters.frames_in),
                    ("bytes received", counters.octets_in),
                    ("frames dropped", counters.dropped_in + counters.dropped_out),
                ] {
                    self.counters.push(Counter {
                        owner: format!("Linux, {}", side.name),
                        name: name.into(),
                        value,
                    });
                }
                let sum = if side.above {
                    &mut self.above
                } else {
                    &mut self.below
                };
                sum.octets_in += counters.octets_in;
                sum.octets_out += counters.octets_out;
                sum.frames_in += counters.frames_in;
                sum.frames_out += counters.frames_out;
            }
            Err(error) => self.step("interface counters", false, error.to_string()),
        }
    }

    /// Adds the talk to what the child saw, and compares the driver's own
    /// statistics with what Linux counted.
    ///
    /// A TAP device counts a frame as sent when its reader takes it, and as received
    /// when its writer has given it. Above the driver both are what the driver sent
    /// and received, to the byte. At the far end the adapter stands between: what
    /// comes before the binding runs, or finds no room, it drops and counts.
    pub fn join(self, summary: &mut Summary) {
        let total = |name: &str| -> Option<u64> {
            let of_driver = summary
                .counters
                .iter()
                .filter(|counter| counter.name == name);
            let values: Vec<u64> = of_driver.map(|counter| counter.value).collect();
            (!values.is_empty()).then(|| values.iter().sum())
        };
        let (above, below) = (&self.above, &self.below);
        let dropped_above: u64 = summary
            .counters
            .iter()
            .filter(|counter| counter.name.starts_with("dropped: "))
            .map(|counter| counter.value)
            .sum();
        let dropped = total(DROPPED).unwrap_or(0) + dropped_above;
        let mut detail = Vec::new();
        let mut ok = true;
        for (name, allowed, linux, what) in [
            ("sent-bytes", 0, above.octets_out, "above"),
            ("sent-frames", 0, above.frames_out, "above"),
            ("received-bytes", 0, above.octets_in, "above"),
            ("received-frames", 0, above.frames_in, "above"),
            ("sent-frames", 0, below.frames_in, "far end"),
            ("received-frames", dropped, below.frames_out, "far end"),
        ] {
            match total(name) {
                Some(driver) if driver + allowed == linux => {
                    if what == "above" {
                        detail.push(format!("{name} {driver}"));
                    }
                }
                Some(driver) => {
                    ok = false;
                    detail.push(format!(
                        "{name} {driver}, {allowed} dropped, Linux {what} {linux}"
                    ));
                }
                None => {
                    ok = false;
                    detail.push(format!("{name} is missing"));
                }
            }
        }
        if dropped > 0 {
            detail.push(format!(
                "{dropped} frames of the far end were dropped and counted on the way up"
            ));
        }
        summary.steps.push(Step {
            name: AGREE.into(),
            ok,
            detail: detail.join(", "),
        });
        summary.ping.extend(self.ping);
        summary.steps.extend(self.steps);
        summary.counters.extend(self.counters);
    }
}

/// Name of the step that compares counters.
const AGREE: &str = "driver's counters agree with the interfaces";

/// One transfer from or to the server at `address`.
fn transfer(client: &Side, address: Ipv4Addr, udp: bool, reverse: bool) -> Result<Iperf, String> {
    // The server takes a moment to listen, after its start and between two clients;
    // until then the client is refused.
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let mut command = client.namespace.command("iperf3");
        command.args(["--client", &address.to_string(), "--json"]);
        if udp {
            command.args(UDP);
        } else {
            command.args(["--bytes", &TRANSFER.to_string()]);
        }
        if reverse {
            command.arg("--reverse");
        }
        let result = output(command).and_then(|text| {
            Iperf::parse(&text, udp).ok_or_else(|| "its report cannot be read".to_owned())
        });
        if result.is_ok() || Instant::now() > end {
            return result;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Runs a program to its end, not for ever.
fn output(mut command: Command) -> Result<String, String> {
    let failed = |error: io::Error| error.to_string();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let reader = child.stdout.take().map(|mut pipe| {
        thread::spawn(move || {
            let mut text = String::new();
            let _ = pipe.read_to_string(&mut text);
            text
        })
    });
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if Instant::now() > end => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no end after {} s", PATIENCE.as_secs()));
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let text = reader
        .and_then(|reader| reader.join().ok())
        .unwrap_or_default();
    if status.success() {
        return Ok(text);
    }
    let mut why = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        let _ = pipe.read_to_string(&mut why);
    }
    // ping reports lost answers by its exit code, with the numbers on stdout.
    if ping_answers(&text).is_some() {
        return Ok(text);
    }
    let why = if why.trim().is_empty() { text } else { why };
    Err(format!("{status}: {}", why.trim()))
}

/// `100 packets transmitted, 99 received, …` -> 99
fn ping_answers(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find(|line| line.contains("packets transmitted"))?;
    let part = line.split(", ").find(|part| part.contains("received"))?;
    part.split_whitespace().next()?.parse().ok()
}

/// What iperf3 measured.
#[derive(Debug, PartialEq)]
enum Iperf {
    Tcp {
        sent: u64,
        /// What the receiver had read when the sender was done; the rest was under way.
        received: u64,
        bits_per_second: f64,
        retransmits: u64,
    },
    Udp {
        packets: u64,
        lost: u64,
        bits_per_second: f64,
    },
}

impl Iperf {
    fn parse(text: &str, udp: bool) -> Option<Self> {
        let document: serde_json::Value = serde_json::from_str(text).ok()?;
        let end = &document["end"];
        Some(if udp {
            let sum = &end["sum"];
            Self::Udp {
                packets: sum["packets"].as_u64()?,
                lost: u64::try_from(sum["lost_packets"].as_i64()?).unwrap_or(0),
                bits_per_second: sum["bits_per_second"].as_f64()?,
            }
        } else {
            Self::Tcp {
                sent: end["sum_sent"]["bytes"].as_u64()?,
                received: end["sum_received"]["bytes"].as_u64()?,
                bits_per_second: end["sum_received"]["bits_per_second"].as_f64()?,
                retransmits: end["sum_sent"]["retransmits"].as_u64().unwrap_or(0),
            }
        })
    }

    /// TCP: everything was sent, and all but what buffers hold had arrived; that the
    /// bytes are the right ones is TCP's own care here. UDP: most arrived,
    /// for queues that are full for a moment are Linux's own.
    fn ok(&self) -> bool {
        match self {
            Self::Tcp { sent, received, .. } => *sent >= TRANSFER && received + BUFFERS >= *sent,
            Self::Udp { packets, lost, .. } => *packets > 0 && lost.saturating_mul(4) <= *packets,
        }
    }
}

impl fmt::Display for Iperf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp {
                sent,
                received,
                bits_per_second,
                retransmits,
            } => write!(
                f,
                "{} MiB sent, {} MiB read by its end, {:.0} Mbit/s, {retransmits} retransmitted",
                sent >> 20,
                received >> 20,
                bits_per_second / 1e6,
            ),
            Self::Udp {
                packets,
                lost,
                bits_per_second,
            } => write!(
                f,
                "{packets} packets, {lost} lost, {:.0} Mbit/s",
                bits_per_second / 1e6
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ping_is_understood() {
        let text = "--- 10.0.0.2 ping statistics ---\n\
                    100 packets transmitted, 98 received, 2% packet loss, time 1012ms\n";
        assert_eq!(ping_answers(text), Some(98));
        assert_eq!(ping_answers("ping: unknown host"), None);
    }

    #[test]
    fn iperf_is_understood() {
        let text = r#"{"end":{"sum_sent":{"bytes":67108864,"retransmits":3},
            "sum_received":{"bytes":63292080,"bits_per_second":5e8}}}"#;
        let iperf = Iperf::parse(text, false).expect("parses");
        assert!(iperf.ok());
        assert_eq!(
            iperf.to_string(),
            "64 MiB sent, 60 MiB read by its end, 500 Mbit/s, 3 retransmitted"
        );
        let short = text.replace("63292080", "1");
        assert!(!Iperf::parse(&short, false).expect("parses").ok());
        let udp = r#"{"end":{"sum":{"packets":100,"lost_packets":25,"bits_per_second":4e7}}}"#;
        let iperf = Iperf::parse(udp, true).expect("parses");
        assert!(iperf.ok());
        assert_eq!(iperf.to_string(), "100 packets, 25 lost, 40 Mbit/s");
        let worse = udp.replace(":25,", ":26,");
        assert!(!Iperf::parse(&worse, true).expect("parses").ok());
        for udp in [false, true] {
            assert_eq!(Iperf::parse(r#"{"error":"unable to connect"}"#, udp), None);
        }
    }

    #[test]
    fn disagreement_is_a_failure() {
        let driver = [
            ("sent-bytes", 500),
            ("sent-frames", 5),
            ("received-bytes", 700),
            ("received-frames", 7),
            (DROPPED, 1),
            ("dropped: paused", 2),
        ];
        let summary = |change: &str| Summary {
            counters: driver
                .iter()
                .map(|(name, value)| Counter {
                    owner: "p".into(),
                    name: (*name).into(),
                    value: value + u64::from(*name == change),
                })
                .collect(),
            ..Summary::default()
        };
        let talk = || Talk {
            above: InterfaceCounters {
                octets_out: 500,
                frames_out: 5,
                octets_in: 700,
                frames_in: 7,
                ..Default::default()
            },
            below: InterfaceCounters {
                frames_out: 10,
                frames_in: 5,
                ..Default::default()
            },
            ..Talk::default()
        };
        let mut good = summary("");
        talk().join(&mut good);
        assert!(good.failures().is_empty(), "{good:?}");
        for (name, _) in driver {
            let mut bad = summary(name);
            talk().join(&mut bad);
            assert_eq!(bad.failures().len(), 1, "{name}");
        }
        let mut missing = Summary::default();
        talk().join(&mut missing);
        assert_eq!(missing.failures().len(), 1, "missing is not equal");
    }

    #[test]
    fn hosts_are_paired_through_the_driver() {
        let text = r#"
            [[adapter]]
            name = "n"
            wire = "w"
            [[wire]]
            name = "w"
            [[miniport]]
            name = "v"
            [[binding]]
            adapter = "n"
            upper = ["v"]
            [[host]]
            name = "below"
            on = "wire:w"
            ipv4 = "10.0.0.2/24"
            [[host]]
            name = "above"
            on = "miniport:v"
            ipv4 = "10.0.0.1/24"
        "#;
        let topology = Topology::parse("t.toml".as_ref(), text).expect("sound");
        assert_eq!(pairs(&topology), [(1, 0)]);
    }
}
