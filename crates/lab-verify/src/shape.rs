//! What is around a driver in a plan: adapters with their bindings below, virtual miniports with
//! their protocols above, who is at the far ends of the wires, and what may be expected of frames.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The machine around the driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Shape {
    /// Adapters below, each with a binding.
    #[serde(rename = "adapter")]
    pub adapters: Vec<Adapter>,
    /// Virtual miniports above, each with a protocol.
    #[serde(rename = "miniport")]
    pub miniports: Vec<Miniport>,
    /// Requests that its control device takes.
    #[serde(default, rename = "ask", skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<Ask>,
    /// Who is at the far ends of all wires, if they belong together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<Partner>,
}

/// A switch at the far ends of all wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partner {
    /// It aggregates them by LACP, and speaks first.
    Lacp,
}

/// What becomes of frames that a protocol sends, by the driver's own configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Frames {
    /// Each arrives once, in its flow's order.
    #[default]
    Kept,
    /// Each arrives once, in any order: several adapters take turns.
    Free,
    /// Each arrives on several wires, once on each.
    Copies,
}

impl Frames {
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "the shape serde asks for"
    )]
    fn is_default(&self) -> bool {
        *self == Self::Kept
    }
}

/// A request to a control device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ask {
    /// Control code.
    pub code: u32,
    /// What goes in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<u8>,
    /// Room for what comes out.
    #[serde(default)]
    pub output: u32,
}

/// An adapter and the binding to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Adapter {
    /// Indices of the miniports above it: its `UpperBindings`.
    pub upper: Vec<usize>,
    /// Values of the binding's registry key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Setting>,
    /// MTU without the Ethernet header.
    #[serde(default = "mtu")]
    pub mtu: u32,
    /// Percent of sends that are not complete when the call returns.
    #[serde(default = "half")]
    pub pend: u8,
    /// Percent of receive chains that are lent with RESOURCES.
    #[serde(default = "tenth")]
    pub resources: u8,
    /// Takes and gives 802.1Q tags beside the frame.
    #[serde(default)]
    pub vlan_offload: bool,
    /// Shows wake-up capabilities.
    #[serde(default)]
    pub wakes: bool,
    /// Shows checksum offload.
    #[serde(default)]
    pub offload: bool,
    /// Percent of received lists that are read-only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub read_only: u8,
    /// Cuts received frames behind their MAC or network headers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub split: bool,
    /// What it does in the stack's place.
    #[serde(default, skip_serializing_if = "Tasks::is_none")]
    pub tasks: Tasks,
    /// Queues of its receive filters (VMQ), 0 for none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub queues: u32,
    /// Ports of its NIC switch (SR-IOV), 0 for none; with them it has no queues.
    #[serde(default, skip_serializing_if = "is_none")]
    pub vports: u32,
}

/// Offloads of an adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Tasks {
    /// Checksums.
    pub checksums: bool,
    /// Largest packet that it segments, 0 for none.
    pub large_send: u32,
    /// Received segments are coalesced.
    pub coalesce: bool,
}

impl Tasks {
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "the shape serde asks for"
    )]
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde calls"
)]
const fn is_zero(value: &u8) -> bool {
    *value == 0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde calls"
)]
const fn is_none(value: &u32) -> bool {
    *value == 0
}

const fn mtu() -> u32 {
    1500
}

const fn half() -> u8 {
    50
}

const fn tenth() -> u8 {
    10
}

impl Default for Adapter {
    fn default() -> Self {
        Self {
            upper: vec![0],
            values: BTreeMap::new(),
            mtu: mtu(),
            pend: half(),
            resources: tenth(),
            vlan_offload: false,
            wakes: false,
            offload: false,
            read_only: 0,
            split: false,
            tasks: Tasks::default(),
            queues: 0,
            vports: 0,
        }
    }
}

/// A virtual miniport and the protocol above it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Miniport {
    /// Values of its device's registry key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, Setting>,
    /// VLAN that its frames have on the wire, if the driver puts it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// When it starts after it is asked for.
    #[serde(default, skip_serializing_if = "Start::is_default")]
    pub start: Start,
    /// Percent of received chains that the protocol above keeps for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<u8>,
    /// The protocol above sets no packet filter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// The protocol above asks for large sends if the miniport offers offloads.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub large_sends: bool,
    /// What becomes of the frames that it sends.
    #[serde(default, skip_serializing_if = "Frames::is_default")]
    pub frames: Frames,
}

/// When a device starts after it is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Inside the call or later, by the seed.
    #[default]
    Either,
    /// Inside the call.
    Inside,
    /// Later.
    Later,
    /// Never.
    Never,
}

impl Start {
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "the shape serde asks for"
    )]
    fn is_default(&self) -> bool {
        *self == Self::Either
    }
}

/// A registry value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// REG_DWORD.
    Integer(u32),
    /// REG_SZ.
    Text(String),
    /// REG_MULTI_SZ.
    List(Vec<String>),
    /// REG_BINARY.
    Binary {
        /// Octets, two digits each.
        binary: String,
    },
    /// REG_MULTI_SZ of these very UTF-16 units.
    Units {
        /// The units.
        units: Vec<u16>,
        /// Bytes that it says it has, if those are others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        length: Option<u16>,
    },
}

/// Octets as text, two digits each.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// Octets of such a text, up to what is none.
pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .map_while(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            adapters: vec![Adapter::default()],
            miniports: vec![Miniport::default()],
            asks: Vec::new(),
            partner: None,
        }
    }
}

impl Shape {
    /// Whether a miniport lies on several adapters.
    pub fn is_team(&self, miniport: usize) -> bool {
        self.adapters_of(miniport).nth(1).is_some()
    }

    /// Adapters that a miniport lies on.
    pub fn adapters_of(&self, miniport: usize) -> impl Iterator<Item = usize> + '_ {
        let below = move |a: &(usize, &Adapter)| a.1.upper.contains(&miniport);
        self.adapters
            .iter()
            .enumerate()
            .filter(below)
            .map(|(i, _)| i)
    }
}
