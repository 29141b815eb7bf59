//! Topology files: which adapters, wires, miniports, bindings and endpoints a
//! lab run has, and how they are joined.
//!
//! # Use
//!
//! ```no_run
//! let topology = lab::topology::Topology::load("drivers/passthrough/lab.toml".as_ref())?;
//! for binding in &topology.bindings {
//!     println!("{} below {:?}", binding.adapter, binding.upper);
//! }
//! # Ok::<(), lab::topology::LoadError>(())
//! ```
//!
//! A file is TOML. This one has everything that has no default:
//!
//! ```
//! let text = r#"
//! [[adapter]]
//! name = "nic0"
//! wire = "w0"
//!
//! [[wire]]
//! name = "w0"
//!
//! [[miniport]]
//! name = "vm0"
//!
//! [[binding]]
//! adapter = "nic0"
//! upper = ["vm0"]
//!
//! [[host]]
//! name = "upper"
//! on = "miniport:vm0"
//! ipv4 = "10.0.0.1/24"
//!
//! [[host]]
//! name = "peer"
//! on = "wire:w0"
//! ipv4 = "10.0.0.2/24"
//! "#;
//! let topology = lab::topology::Topology::parse("lab.toml".as_ref(), text).unwrap();
//! assert_eq!(topology.adapters[0].pend_ratio, 0.5);
//! ```
//!
//! Every table refuses unknown keys. All mistakes of a file are reported at
//! once, each with file, line, column, the key, what is allowed there and, where
//! something similar exists, what was probably meant ([`Problem`]).
//!
//! The types here belong to the file. They know nothing of NDIS; whoever builds
//! the host from them converts. They are `Serialize`, so that the process that
//! reads the file can hand its contents to the one that may open no files.
//!
//! Pure functions of their input, except [`Topology::load`], which reads a file.

mod check;
pub mod endpoints;
mod images;
pub mod ports;
mod problem;
mod raw;
mod stacking;
pub mod teams;
pub mod timeline;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use lab_net::Mac;
use lab_net::vlan::Tag;
use serde::{Deserialize, Serialize};

pub use problem::{BadTopology, Problem};
pub use teams::{Bond, Partner, Spread, Switch, Team};
pub use timeline::{Action, Event, When};

/// A topology: everything a file says, with defaults filled in and references
/// checked.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Topology {
    /// The file it came from.
    pub file: PathBuf,
    /// Settings of the run.
    pub lab: Lab,
    /// Software NICs.
    pub adapters: Vec<Adapter>,
    /// What the NICs are plugged into.
    pub wires: Vec<Wire>,
    /// Virtual miniports of the driver.
    pub miniports: Vec<Miniport>,
    /// Bindings of the driver's protocol edge.
    pub bindings: Vec<Binding>,
    /// TCP/IP hosts.
    pub hosts: Vec<Host>,
    /// Senders of the oracle.
    pub generators: Vec<Generator>,
    /// Receivers of the oracle.
    pub sinks: Vec<Sink>,
    /// Captures that are played back.
    pub replays: Vec<Replay>,
    /// What happens under traffic, in the order of the file.
    pub timeline: Vec<Event>,
    /// Which of the miniports are teams.
    pub teams: Vec<Team>,
    /// What several wires lead to.
    pub switches: Vec<Switch>,
    /// Images in place of the lab's adapters and protocols.
    pub images: Vec<Image>,
    /// Other configurations in which `verify` judges the driver.
    pub variants: Vec<Variant>,
}

/// `[[image]]`: a driver that is an adapter's or the protocol above a miniport.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Image {
    /// Its name, which adapters and miniports refer to: the driver's service.
    pub name: String,
    /// The `.sys`, relative to the topology; the command line can name another.
    pub file: PathBuf,
}

/// `[[variant]]`: a configuration beside that of the file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// Values that every miniport has.
    pub properties: BTreeMap<String, ConfigValue>,
    /// Values that every binding has.
    pub values: BTreeMap<String, ConfigValue>,
    /// What the ports of the switch are to it, if not what the switch says.
    pub bond: Option<Bond>,
    /// What becomes of frames in this configuration.
    pub frames: lab_verify::shape::Frames,
}

/// `[lab]`: settings of the run. The command line overrides each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lab {
    /// Decides every choice of the run. Without one, the command picks it.
    pub seed: Option<u64>,
    /// Virtual processors.
    pub processors: u32,
    /// The NDIS version that the host says it is.
    pub ndis_version: NdisVersion,
    /// What runs the driver's threads.
    pub engine: Engine,
    /// What is done when the command line names no scenario.
    pub scenario: Option<String>,
}

/// An NDIS version, such as 6.87.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct NdisVersion {
    /// Before the point.
    pub major: u16,
    /// After it.
    pub minor: u16,
}

impl fmt::Display for NdisVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What runs the driver's threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Engine {
    /// One thread, virtual time, everything from the seed.
    Deterministic,
    /// A thread for each of the driver's, real time.
    RealTime,
}

/// Something that an adapter can do besides carrying frames.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Capability {
    /// Task offload: the capability structures, with nothing in them offloaded.
    Offload,
    /// Receive side scaling.
    Rss,
    /// Wake-up patterns and protocol offloads.
    Pm,
    /// Receive filters with queues for virtual machines.
    Vmq,
    /// A NIC switch with ports for virtual machines.
    Sriov,
}

/// What an adapter's frames travel on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Medium {
    /// Wired Ethernet.
    Ethernet,
    /// 802.11 that shows itself as Ethernet: one address only.
    Wifi,
}

/// `[[adapter]]`: a software NIC.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Adapter {
    /// Its name, which bindings and endpoints refer to.
    pub name: String,
    /// Its permanent address.
    pub mac: Mac,
    /// The largest packet.
    pub mtu: u32,
    /// Megabits per second, both directions.
    pub link_speed_mbps: u64,
    /// Microseconds to the far end of the wire.
    pub latency_us: u64,
    /// Frames from the wire that wait for a receive list before more are dropped.
    pub queue_depth: u32,
    /// Share of sends that are not completed within the call.
    pub pend_ratio: f64,
    /// Share of receives that are indicated with NDIS_RECEIVE_FLAGS_RESOURCES.
    pub resources_ratio: f64,
    /// Whether sends that pend are completed in another order. On which processor
    /// is up to the engine: mostly another one.
    pub out_of_order: bool,
    /// What else it can do, sorted.
    pub capabilities: Vec<Capability>,
    /// The wire it is plugged into; without one its link is down.
    pub wire: Option<String>,
    /// Whether it takes and gives 802.1Q tags out of band.
    pub vlan_offload: bool,
    /// Whether it refuses a packet filter with the promiscuous bit.
    pub refuse_promiscuous: bool,
    /// What its frames travel on.
    pub medium: Medium,
    /// Share of received lists that are marked as not to be written.
    pub read_only_ratio: f64,
    /// Whether it cuts frames into MDLs anywhere within their headers.
    pub split_headers: bool,
    /// Whether a send is complete only when its frame has left at the link's speed.
    pub paced: bool,
    /// The image that it is, in place of the lab's own adapter.
    pub driver: Option<String>,
}

/// `[[wire]]`: what one adapter is plugged into. Endpoints at the far end name
/// it in `on`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wire {
    /// Its name.
    pub name: String,
    /// A pcapng file that its frames are recorded in, relative to the topology.
    pub record: Option<PathBuf>,
}

/// A configuration value, as the registry has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ConfigValue {
    /// REG_SZ.
    Text(String),
    /// REG_DWORD; true and false are 1 and 0.
    Number(u32),
    /// REG_MULTI_SZ.
    List(Vec<String>),
}

impl ConfigValue {
    /// A number, whether written as one or as text.
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::List(_) => None,
        }
    }
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Number(number) => write!(f, "{number}"),
            Self::List(list) => write!(f, "{list:?}"),
        }
    }
}

/// `[[miniport]]`: a virtual miniport.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Miniport {
    /// Its device name.
    pub name: String,
    /// Whether the protocol above has tags beside its frames and not in them.
    pub fold_tags: bool,
    /// Lists that the protocol above may have under way.
    pub window: Option<u64>,
    /// Values of its configuration.
    pub properties: BTreeMap<String, ConfigValue>,
    /// The image above it, in place of the lab's own protocol.
    pub protocol: Option<String>,
}

impl Miniport {
    /// Its VLAN by its values; 0: none.
    pub fn vlan(&self) -> u16 {
        let value = self.properties.get(ports::VLAN_ID);
        let number = value.and_then(ConfigValue::number).unwrap_or(0);
        u16::try_from(number).unwrap_or(0)
    }
}

/// Whether two addresses are in one network of this prefix length.
pub fn same_network(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    let (a, b, bits) = match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128_u32),
        _ => return false,
    };
    let host = bits.saturating_sub(u32::from(prefix));
    a.checked_shr(host).unwrap_or(0) == b.checked_shr(host).unwrap_or(0)
}

/// `[[binding]]`: the driver's protocol edge on an adapter, or on a virtual
/// miniport of another binding.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Binding {
    /// The adapter or miniport below.
    pub adapter: String,
    /// The miniports above: the binding's `UpperBindings`.
    pub upper: Vec<String>,
    /// Further values of its configuration.
    pub values: BTreeMap<String, ConfigValue>,
}

/// Where an endpoint stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Place {
    /// A protocol above a virtual miniport.
    Miniport(String),
    /// The far end of a wire.
    Wire(String),
    /// A protocol above an adapter, beside the driver.
    Adapter(String),
    /// Behind a switch.
    Switch(String),
}

impl Place {
    /// The name of what it stands on.
    pub fn name(&self) -> &str {
        let (Self::Miniport(name) | Self::Wire(name) | Self::Adapter(name) | Self::Switch(name)) =
            self;
        name
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Miniport(_) => "miniport",
            Self::Wire(_) => "wire",
            Self::Adapter(_) => "adapter",
            Self::Switch(_) => "switch",
        };
        write!(f, "{kind}:{}", self.name())
    }
}

/// Whose TCP/IP stack a host is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stack {
    /// The one built into the lab: no root, virtual time.
    Embedded,
    /// Linux itself, behind a TAP device in a network namespace.
    Linux,
}

/// `[[host]]`: a TCP/IP host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub on: Place,
    /// Its address on a wire. Above an adapter or a miniport a host has theirs.
    pub mac: Option<Mac>,
    /// Its largest packet; without one, that of what it stands on.
    pub mtu: Option<u32>,
    /// IPv4 address and prefix length.
    pub ipv4: Option<(Ipv4Addr, u8)>,
    /// IPv6 address and prefix length.
    pub ipv6: Option<(Ipv6Addr, u8)>,
    /// Whose stack.
    pub stack: Stack,
    /// The tag of its frames: on a wire its VLAN, above a miniport a priority alone.
    pub tag: Option<Tag>,
}

/// How the oracle's frames travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Carrier {
    /// Straight in Ethernet.
    Private,
    /// As UDP over IPv4.
    Udp,
}

/// `[[generator]]`: a sender of the oracle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Generator {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub on: Place,
    /// The sink that its frames go to.
    pub to: String,
    /// How many frames.
    pub frames: u64,
    /// Frames in a burst.
    pub burst: u32,
    /// Microseconds from burst to burst; 0: as fast as frames are taken.
    pub interval_us: u64,
    /// How they travel.
    pub carrier: Carrier,
    /// Their tag, as a host's.
    pub tag: Option<Tag>,
}

/// `[[sink]]`: a receiver of the oracle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub on: Place,
    /// The tag of what it takes.
    pub tag: Option<Tag>,
}

/// `[[replay]]`: a capture that is played back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replay {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub on: Place,
    /// The pcapng file, relative to the topology.
    pub file: PathBuf,
}

/// Why there is no topology.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: {error}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is wrong.
    #[error(transparent)]
    Bad(#[from] BadTopology),
}

impl Topology {
    /// Reads and checks a file.
    pub fn load(file: &Path) -> Result<Self, LoadError> {
        let unreadable = |error| LoadError::Unreadable {
            file: file.to_owned(),
            error,
        };
        let bytes = std::fs::read(file).map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let place =
                problem::Lines::new(&String::from_utf8_lossy(&bytes)).at(error.valid_up_to());
            BadTopology {
                file: file.to_owned(),
                problems: vec![Problem::new(place, "this is not UTF-8 text")],
            }
        })?;
        Ok(Self::parse(file, text)?)
    }

    /// Checks a file's text. `file` is for messages and relative paths.
    pub fn parse(file: &Path, text: &str) -> Result<Self, BadTopology> {
        let mut report = problem::Report::new(text);
        let raw = raw::read(text, &mut report);
        let topology = raw.map(|raw| check::check(file, raw, &mut report));
        match topology {
            Some(topology) if report.is_empty() => Ok(topology),
            _ => Err(report.into_error(file)),
        }
    }

    /// The adapter of this name.
    pub fn adapter(&self, name: &str) -> Option<&Adapter> {
        self.adapters.iter().find(|adapter| adapter.name == name)
    }

    /// The adapter that is plugged into a wire.
    pub fn adapter_on_wire(&self, wire: &str) -> Option<&Adapter> {
        self.adapters
            .iter()
            .find(|adapter| adapter.wire.as_deref() == Some(wire))
    }

    /// The VLAN of a miniport by its values; 0: none, or the driver knows of none.
    pub fn vlan_of(&self, miniport: &str) -> u16 {
        let known = self.miniports.iter().find(|known| known.name == miniport);
        known.map_or(0, Miniport::vlan)
    }

    /// A path that the file names, as seen from where the command runs.
    pub fn path(&self, named: &Path) -> PathBuf {
        self.file
            .parent()
            .map_or_else(|| named.to_owned(), |parent| parent.join(named))
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_images;
#[cfg(test)]
mod tests_many;
#[cfg(test)]
mod tests_teams;
