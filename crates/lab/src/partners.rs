//! `--tap`: Linux itself at both ends. The parent makes the namespaces, hands
//! their TAP devices to the child, and once the driver carries frames lets ping
//! and iperf3 talk through it. Where a wire has VLANs or several hosts, Open vSwitch
//! stands between them and the adapter.
//!
//! Runs concurrently: one thread runs the programs while the main thread listens
//! to the child. Two pipes join it with the child. On the first the child says, a
//! byte each, that frames may flow, that it has read the driver's counters with
//! nothing under way, and that it is done with pausing and restarting under
//! traffic. On the second this side says how many of how many talks are over, two
//! bytes each time; its end says that all is.
//! The kernel ends the programs with the thread, so a killed parent leaves none.

mod programs;
mod sides;
pub mod switch;
mod talk;
mod team;
pub mod trunk;

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter, Read as _, Seek as _},
    net::{IpAddr, Ipv6Addr},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    thread::{self, JoinHandle},
};

use lab_net::{
    netns::{Lan, NetnsError},
    tap::Tap,
};

use self::{
    sides::{Relations, Side},
    switch::{Access, Switch, SwitchError},
    trunk::Known,
};
use crate::{
    process::FileUse,
    topology::{Place, Topology},
    trouble::Trouble,
};

pub use talk::Talk;
pub use team::{TeamPartners, TeamTalk, has_team, shown_at};

/// What the programs are called, and a question that each answers at once.
const PROGRAMS: [(&str, &str); 2] = [("ping", "-V"), ("iperf3", "--version")];
/// What reads the capture of a trunk.
const READER: (&str, &str) = ("tshark", "--version");

/// Both ends, before the talk.
pub struct Partners {
    sides: Vec<Side>,
    relations: Relations,
    /// For each side who answers what it says to all, where there is a switch.
    audiences: Vec<(usize, Vec<Ipv6Addr>)>,
    trunks: Vec<Trunk>,
    ready: PipeReader,
    stop: PipeWriter,
}

/// A switch, what is known of the hosts on its trunk, and the capture of that.
struct Trunk {
    switch: Switch,
    hosts: Vec<Known>,
    capture: File,
}

/// Whether every program is there; if not, how to get it.
fn check_programs(with_switch: bool) -> Result<(), Trouble> {
    let more = switch::PROGRAMS.into_iter().chain([READER]);
    let missing: Vec<_> = PROGRAMS
        .into_iter()
        .chain(more.filter(|_| with_switch))
        .filter(|(program, question)| {
            let mut command = Command::new(switch::program(program));
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

/// Why there is no namespace, and what to do about it.
fn refused(error: &NetnsError) -> Trouble {
    let trouble = if error.is_missing_right() {
        Trouble::input(format!("--tap: {error}"))
    } else {
        Trouble::host(error.to_string())
    };
    trouble.hint("run it as root, or allow user namespaces and open /dev/net/tun to this user")
}

impl Partners {
    /// Makes namespaces for every host of the topology that is Linux, and the
    /// descriptors that the child needs.
    pub fn set_up(topology: &Topology) -> Result<(Self, Vec<(FileUse, OwnedFd)>), Trouble> {
        let switched = sides::switched(topology);
        check_programs(!switched.is_empty())?;
        let pipe = || io::pipe().map_err(|error| Trouble::host(format!("a pipe: {error}")));
        let (ready, ready_child) = pipe()?;
        let (stop_child, stop) = pipe()?;
        let mut files: Vec<(FileUse, OwnedFd)> = vec![
            (FileUse::Ready, ready_child.into()),
            (FileUse::Stop, stop_child.into()),
        ];
        let mut sides = Vec::new();
        let mut far: Vec<(usize, Tap)> = Vec::new();
        for (index, host) in topology.hosts.iter().enumerate() {
            let port = topology.port(index);
            let lan = Lan::open(&port).map_err(|error| refused(&error).at(&host.name))?;
            let (namespace, tap) = lan.split();
            match &host.on {
                Place::Wire(wire) if switched.contains(wire) => far.push((index, tap)),
                _ => files.push((FileUse::Tap(host.name.clone()), tap.into())),
            }
            sides.push(Side {
                name: host.name.clone(),
                interface: port.name,
                mac: port.mac,
                vlan: sides::vlan(topology, host),
                namespace,
                v4: host.ipv4.map(|(address, _)| address),
                v6: host.ipv6.map(|(address, _)| address),
                port: match &host.on {
                    Place::Miniport(port) => Some(port.clone()),
                    Place::Wire(_) | Place::Adapter(_) | Place::Switch(_) => None,
                },
            });
        }
        let relations = sides::relations(topology);
        if relations.pairs.is_empty() {
            return Err(Trouble::input(
                "--tap: no two hosts of the topology can talk through the driver",
            )
            .at(topology.file.display())
            .hint(
                "it takes a [[host]] on a miniport and one on the wire below it, both with \
                 `ipv4`, in the same VLAN and subnet",
            ));
        }
        let mut trunks = Vec::new();
        for wire in &switched {
            let (trunk, more) = Trunk::start(topology, wire, &mut far)?;
            trunks.push(trunk);
            files.extend(more);
        }
        let audiences = if trunks.is_empty() {
            Vec::new()
        } else {
            audiences(topology)
        };
        Ok((
            Self {
                sides,
                relations,
                audiences,
                trunks,
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
            talk.hold(&self);
            self.wait()?;
            talk.count(&self);
            talk.disturb(&self)?;
            talk.part(self.trunks, self.relations.across);
            drop(self.stop);
            Some(talk)
        })
    }

    /// Waits for the child's next word. None: it is gone.
    fn wait(&self) -> Option<()> {
        (&self.ready).read_exact(&mut [0]).ok()
    }

    fn both(&self, pairs: &[(usize, usize)]) -> impl Iterator<Item = (&Side, &Side)> {
        pairs
            .iter()
            .filter_map(|&(one, other)| Some((self.sides.get(one)?, self.sides.get(other)?)))
    }

    /// Those that have to hear each other, the one above the driver first.
    fn ends(&self) -> impl Iterator<Item = (&Side, &Side)> {
        self.both(&self.relations.pairs)
    }

    /// Those of which the first must not reach the second.
    fn strangers(&self) -> impl Iterator<Item = (&Side, &Side)> {
        self.both(&self.relations.strangers)
    }
}

/// For each host with IPv6 who has to answer it, by link-local address.
fn audiences(topology: &Topology) -> Vec<(usize, Vec<Ipv6Addr>)> {
    let hosts = topology.hosts.iter().enumerate();
    hosts
        .filter(|(_, host)| host.ipv6.is_some())
        .map(|(index, _)| {
            let local = |index| sides::link_local(topology.host_station(index).mac);
            let mut heard: Vec<_> = sides::listeners(topology, index)
                .into_iter()
                .map(local)
                .collect();
            heard.sort_unstable();
            (index, heard)
        })
        .collect()
}

impl Trunk {
    /// Starts the switch of a wire with the hosts that stand on it; what the child needs
    /// of it: the trunk, and where to record that.
    fn start(
        topology: &Topology,
        wire: &str,
        far: &mut Vec<(usize, Tap)>,
    ) -> Result<(Self, Vec<(FileUse, OwnedFd)>), Trouble> {
        let place = Place::Wire(wire.to_owned());
        let here = |(index, _): &mut (usize, Tap)| topology.hosts[*index].on == place;
        let accesses = far
            .extract_if(.., here)
            .map(|(index, far)| {
                let tag = topology.hosts[index].tag.unwrap_or_default();
                Access {
                    vlan: tag.vlan,
                    priority: tag.priority,
                    mtu: topology.port(index).mtu,
                    far,
                }
            })
            .collect();
        let mtu = topology.bottom(&place).map_or(1_500, |adapter| adapter.mtu);
        let (switch, tap) = Switch::start(mtu as u16, accesses).map_err(|error| match error {
            SwitchError::Namespace(error) => refused(&error).at(wire),
            SwitchError::Program(..) => Trouble::host(error.to_string())
                .at(wire)
                .hint("`ovs-vswitchd --version` has to work; the lab needs 2.17 or later"),
        })?;
        let capture = |error: io::Error| Trouble::host(format!("a file for the capture: {error}"));
        let mut files = vec![(FileUse::Trunk(wire.to_owned()), tap.into())];
        let named = topology.wires.iter().find(|known| known.name == wire);
        let file = if let Some(record) = named.and_then(|wire| wire.record.as_ref()) {
            // The child has been given the topology's own.
            File::open(topology.path(record)).map_err(capture)?
        } else {
            let file = tempfile::tempfile().map_err(capture)?;
            let write = file.try_clone().map_err(capture)?;
            files.push((FileUse::Record(wire.to_owned()), write.into()));
            file
        };
        let trunk = Self {
            switch,
            hosts: sides::known(topology, wire),
            capture: file,
        };
        Ok((trunk, files))
    }
}

/// A capture that the child has completed, and what is to be found in it.
struct Capture {
    file: File,
    hosts: Vec<Known>,
    /// Pairs of hosts in different VLANs that asked for each other.
    across: u64,
}

impl Capture {
    fn steps(mut self) -> Result<Vec<crate::summary::Step>, String> {
        // Written through another descriptor of the same file: back to its start.
        self.file.rewind().map_err(|error| error.to_string())?;
        let (version, reading) = trunk::read(self.file, &self.hosts)?;
        Ok(reading.steps(&version, &self.hosts, self.across))
    }
}

/// Whether an address is one of these, as ping writes it.
fn link_locals(answers: Vec<IpAddr>) -> Vec<Ipv6Addr> {
    let v6 = |address| match address {
        IpAddr::V6(address) => Some(address),
        IpAddr::V4(_) => None,
    };
    answers.into_iter().filter_map(v6).collect()
}
