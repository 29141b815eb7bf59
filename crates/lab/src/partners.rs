//! `--tap`: Linux itself at both ends. The parent makes the namespaces, hands
//! their TAP devices to the child, and once the driver carries frames lets ping
//! and iperf3 talk through it.
//!
//! Runs concurrently: one thread runs the programs while the main thread listens
//! to the child. Two pipes join it with the child: one on which the child says
//! that frames may flow, one whose end tells the child that the talk is over.
//! The kernel ends the programs with the thread, so a killed parent leaves none.

use std::{
    fmt,
    io::{self, PipeReader, PipeWriter, Read},
    net::Ipv4Addr,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lab_net::netns::{InterfaceCounters, Lan, Namespace};

use crate::{
    process::FileUse,
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
/// How long one program may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// One end: a host of the topology in a namespace of its own.
struct Side {
    name: String,
    interface: String,
    namespace: Namespace,
    address: Option<Ipv4Addr>,
    above: bool,
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
    above: Vec<InterfaceCounters>,
    counters: Vec<Counter>,
}

impl Partners {
    /// Makes namespaces for every host of the topology that is Linux, and the
    /// descriptors that the child needs.
    pub fn set_up(topology: &Topology) -> Result<(Self, Vec<(FileUse, OwnedFd)>), Trouble> {
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
                address: host.ipv4.map(|(address, _)| address),
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
            let mut byte = [0];
            let mut ready = &self.ready;
            // An end without a byte: the child is gone.
            ready.read_exact(&mut byte).ok()?;
            let talk = self.talk();
            drop(self.stop);
            Some(talk)
        })
    }

    fn talk(&self) -> Talk {
        let mut talk = Talk::default();
        for &(above, below) in &self.pairs {
            let (Some(above), Some(below)) = (self.sides.get(above), self.sides.get(below)) else {
                continue;
            };
            for (from, to) in [(above, below), (below, above)] {
                talk.ping(from, to);
            }
            talk.iperf(above, below);
        }
        for side in &self.sides {
            talk.close(side);
        }
        talk
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

    fn ping(&mut self, from: &Side, to: &Side) {
        let Some(address) = to.address else { return };
        let path = format!("{} -> {}, Linux", from.name, to.name);
        let mut command = from.namespace.command("ping");
        command.args(["-n", "-q", "-i", "0.01", "-W", "2", "-c"]);
        command.arg(PINGS.to_string()).arg(address.to_string());
        match output(command) {
            Ok(text) => {
                let answered = ping_answers(&text).unwrap_or(0);
                self.ping.push(Ping {
                    path,
                    sent: u64::from(PINGS),
                    answered,
                });
            }
            Err(Missing::Program) => skip(self, "ping"),
            Err(Missing::Result(why)) => self.step("ping", false, format!("{path}: {why}")),
        }
    }

    fn iperf(&mut self, above: &Side, below: &Side) {
        let Some(address) = below.address else { return };
        let mut server = below.namespace.command("iperf3");
        server.args(["--server", "--bind", &address.to_string()]);
        server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = match server.spawn() {
            Ok(server) => server,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return skip(self, "iperf3"),
            Err(error) => return self.step("iperf3", false, error.to_string()),
        };
        for (reverse, path) in [
            (false, format!("{} -> {}", above.name, below.name)),
            (true, format!("{} -> {}", below.name, above.name)),
        ] {
            // The server takes a moment to listen; until then the client is refused.
            let end = Instant::now() + Duration::from_secs(5);
            let result = loop {
                let mut client = above.namespace.command("iperf3");
                client.args(["--client", &address.to_string(), "--json", "--bytes"]);
                client.arg(TRANSFER.to_string());
                if reverse {
                    client.arg("--reverse");
                }
                let result = output(client).map_err(Missing::words).and_then(|text| {
                    Iperf::parse(&text).ok_or_else(|| "its report cannot be read".to_owned())
                });
                if result.is_ok() || Instant::now() > end {
                    break result;
                }
                thread::sleep(Duration::from_millis(100));
            };
            match result {
                Ok(iperf) => self.step("iperf3", iperf.ok(), format!("{path}: {iperf}")),
                Err(why) => self.step("iperf3", false, format!("{path}: {why}")),
            }
        }
        let _ = server.kill();
        let _ = server.wait();
    }

    /// Takes the interface down, so that its counters stand still, and notes them.
    fn close(&mut self, side: &Side) {
        let mut down = side.namespace.command("ip");
        down.args(["link", "set", "dev", &side.interface, "down"]);
        if let Err(why) = output(down) {
            self.step(
                "interface down",
                false,
                format!("{}: {}", side.name, why.words()),
            );
        }
        match side.namespace.counters(&side.interface) {
            Ok(counters) => {
                for (name, value) in [
                    ("octets sent", counters.octets_out),
                    ("octets received", counters.octets_in),
                    ("frames dropped", counters.dropped_in + counters.dropped_out),
                ] {
                    self.counters.push(Counter {
                        owner: format!("Linux, {}", side.name),
                        name: name.into(),
                        value,
                    });
                }
                if side.above {
                    self.above.push(counters);
                }
            }
            Err(error) => self.step("interface counters", false, error.to_string()),
        }
    }

    /// Adds the talk to what the child saw, and compares the driver's own
    /// statistics with what Linux counted.
    pub fn join(self, summary: &mut Summary) {
        let total = |name: &str| -> Option<u64> {
            let of_driver = summary
                .counters
                .iter()
                .filter(|counter| counter.name == name);
            let values: Vec<u64> = of_driver.map(|counter| counter.value).collect();
            (!values.is_empty()).then(|| values.iter().sum())
        };
        let linux =
            |field: fn(&InterfaceCounters) -> u64| -> u64 { self.above.iter().map(field).sum() };
        for (name, driver, octets) in [
            (
                "octets sent",
                total("sent-bytes"),
                linux(|side| side.octets_out),
            ),
            (
                "octets received",
                total("received-bytes"),
                linux(|side| side.octets_in),
            ),
        ] {
            summary.steps.push(match driver {
                Some(driver) => Step {
                    name: format!("{name}: driver and Linux agree"),
                    ok: driver == octets,
                    detail: format!("driver {driver}, Linux {octets}"),
                },
                None => Step {
                    name: format!("{name}: driver and Linux agree"),
                    ok: false,
                    detail: "the driver's own statistics are missing".into(),
                },
            });
        }
        summary.ping.extend(self.ping);
        summary.steps.extend(self.steps);
        summary.counters.extend(self.counters);
    }
}

fn skip(talk: &mut Talk, program: &str) {
    talk.step(
        program,
        true,
        format!("SKIP: {program} is not installed (cargo xtask setup --partners)"),
    );
}

/// Why a program gave no result.
enum Missing {
    Program,
    Result(String),
}

impl Missing {
    fn words(self) -> String {
        match self {
            Self::Program => "not installed".into(),
            Self::Result(why) => why,
        }
    }
}

/// Runs a program to its end, not for ever.
fn output(mut command: Command) -> Result<String, Missing> {
    let failed = |error: io::Error| {
        if error.kind() == io::ErrorKind::NotFound {
            Missing::Program
        } else {
            Missing::Result(error.to_string())
        }
    };
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
                return Err(Missing::Result(format!(
                    "no end after {} s",
                    PATIENCE.as_secs()
                )));
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
    Err(Missing::Result(format!("{status}: {}", why.trim())))
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
struct Iperf {
    sent: u64,
    /// What the receiver had read when the sender was done; the rest was under way.
    received: u64,
    bits_per_second: f64,
    retransmits: u64,
}

impl Iperf {
    fn parse(text: &str) -> Option<Self> {
        let document: serde_json::Value = serde_json::from_str(text).ok()?;
        let end = &document["end"];
        Some(Self {
            sent: end["sum_sent"]["bytes"].as_u64()?,
            received: end["sum_received"]["bytes"].as_u64()?,
            bits_per_second: end["sum_received"]["bits_per_second"].as_f64()?,
            retransmits: end["sum_sent"]["retransmits"].as_u64().unwrap_or(0),
        })
    }

    /// Everything was sent, and all but what buffers hold had arrived. That the
    /// bytes are the right ones is TCP's own care here.
    fn ok(&self) -> bool {
        self.sent >= TRANSFER && self.received + BUFFERS >= self.sent
    }
}

impl fmt::Display for Iperf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} MiB sent, {} MiB read by its end, {:.2} Gbit/s, {} retransmitted",
            self.sent >> 20,
            self.received >> 20,
            self.bits_per_second / 1e9,
            self.retransmits
        )
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
        let iperf = Iperf::parse(text).expect("parses");
        assert!(iperf.ok());
        assert_eq!(
            iperf.to_string(),
            "64 MiB sent, 60 MiB read by its end, 0.50 Gbit/s, 3 retransmitted"
        );
        let short = Iperf {
            received: 1,
            ..iperf
        };
        assert!(!short.ok());
        assert_eq!(Iperf::parse(r#"{"error":"unable to connect"}"#), None);
    }

    #[test]
    fn disagreement_is_a_failure() {
        let counters = |sent| Summary {
            counters: vec![
                Counter {
                    owner: "p".into(),
                    name: "sent-bytes".into(),
                    value: sent,
                },
                Counter {
                    owner: "p".into(),
                    name: "received-bytes".into(),
                    value: 7,
                },
            ],
            ..Summary::default()
        };
        let talk = || Talk {
            above: vec![InterfaceCounters {
                octets_out: 5,
                octets_in: 7,
                ..Default::default()
            }],
            ..Talk::default()
        };
        let mut summary = counters(5);
        talk().join(&mut summary);
        assert!(summary.steps.iter().all(|step| step.ok), "{summary:?}");
        let mut summary = counters(6);
        talk().join(&mut summary);
        assert_eq!(summary.failures().len(), 1);
        let mut summary = Summary::default();
        talk().join(&mut summary);
        assert_eq!(
            summary.failures().len(),
            2,
            "missing statistics do not agree"
        );
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
