//! A machine's network configuration, as far as a notify object looks at it.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::names::{Guid, Location, Mac};
use crate::plan::Plan;

/// A registry value of one of the types that the drivers read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// REG_DWORD.
    Number(u32),
    /// REG_SZ.
    Text(String),
    /// REG_MULTI_SZ.
    List(Vec<String>),
}

/// Values of one key by name.
pub type Values = BTreeMap<String, Value>;

/// What an adapter is made of, as far as it matters whether to put a driver on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Wired Ethernet.
    Ethernet,
    /// Native 802.11 and what came before it.
    Wifi,
    /// Hyper-V's: the host's virtual adapters and a guest's synthetic ones.
    HyperV,
    /// Software: tunnels, loopback, other vendors' virtual adapters.
    Virtual,
    /// Neither Ethernet nor any of these.
    Other,
}

/// A component of class Net.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// Interface GUID.
    pub guid: Guid,
    /// Component id, lower case: `pci\ven_8086&dev_100e`.
    pub id: String,
    /// What people see.
    pub name: String,
    /// Permanent MAC address, if the system knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Place on the PCI bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// What it is.
    pub kind: Kind,
    /// Problem code of the device; 0 if it works.
    #[serde(default)]
    pub problem: u32,
    /// A virtual miniport of this driver.
    #[serde(default)]
    pub own: bool,
    /// Values in the key of the protocol's binding to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub below: Values,
}

/// Class of a component that is no adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// NetTrans.
    Protocol,
    /// NetService.
    Service,
    /// NetClient.
    Client,
}

/// A component that binds to adapters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Component id, lower case: `ms_tcpip`.
    pub id: String,
    /// Class.
    pub class: Class,
    /// A filter: it stays where it is when protocols move.
    #[serde(default)]
    pub filter: bool,
}

/// A binding of a component directly to an adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The component's id.
    pub component: String,
    /// The adapter.
    pub adapter: Guid,
    /// In use.
    pub enabled: bool,
}

/// A virtual miniport that was made for a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Its name in the plan.
    pub name: String,
    /// Its interface GUID.
    pub guid: Guid,
}

/// A binding that was moved away from an adapter below.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moved {
    /// The component's id.
    pub component: String,
    /// The adapter.
    pub adapter: Guid,
}

/// What the notify object remembers, in the key of the protocol's parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The plan in force.
    pub plan: Plan,
    /// The miniports made for it.
    #[serde(default)]
    pub miniports: Vec<Made>,
    /// The bindings that are to be given back.
    #[serde(default)]
    pub moved: Vec<Moved>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Adapters, own miniports among them.
    pub adapters: Vec<Adapter>,
    /// What binds to them.
    pub components: Vec<Component>,
    /// Direct bindings.
    pub bindings: Vec<Binding>,
    /// What was remembered.
    #[serde(default)]
    pub record: Option<Record>,
}

/// How many device names a value `UpperBindings` holds: 39 bytes of GUID and `\Device\`
/// in UTF-16 each, within what the drivers read of one value. The next names go on in
/// `UpperBindings2`.
pub const NAMES_PER_VALUE: usize = 697;

/// `UpperBindings` to `UpperBindings9`.
pub const UPPER_VALUES: usize = 9;

/// The name of the `index`th value of a list of devices.
pub fn upper_name(index: usize) -> String {
    match index {
        0 => "UpperBindings".to_owned(),
        i => format!("UpperBindings{}", i + 1),
    }
}

/// Whether `name` is one of a list of devices'.
pub fn is_upper_name(name: &str) -> bool {
    name.get(..13)
        .is_some_and(|head| head.eq_ignore_ascii_case("UpperBindings"))
}

/// The device's name by which NDIS knows a virtual miniport.
pub fn device_name(guid: Guid) -> String {
    format!("\\Device\\{guid}")
}

/// The parts of a list of devices by the names of their values.
pub fn upper_values<T: Clone>(devices: &[T]) -> Vec<(String, Vec<T>)> {
    let chunks = devices.chunks(NAMES_PER_VALUE).enumerate();
    chunks.map(|(i, c)| (upper_name(i), c.to_vec())).collect()
}

impl Value {
    /// As a list of texts: a REG_SZ is a list of one (or none, if it is empty).
    pub fn list(&self) -> &[String] {
        match self {
            Self::List(list) => list,
            Self::Text(text) if !text.is_empty() => core::slice::from_ref(text),
            Self::Text(_) | Self::Number(_) => &[],
        }
    }
}

impl Adapter {
    /// The device names in `UpperBindings` and its continuations.
    pub fn upper_bindings(&self) -> Vec<String> {
        let values = (0..UPPER_VALUES).filter_map(|i| self.below.get(&upper_name(i)));
        values.flat_map(|v| v.list().to_vec()).collect()
    }
}

impl State {
    /// The adapter of that GUID.
    pub fn adapter(&self, guid: Guid) -> Option<&Adapter> {
        self.adapters.iter().find(|a| a.guid == guid)
    }

    /// Whether `component` has a binding to `adapter`, and whether that is in use. Ids know
    /// no case.
    pub fn binding(&self, component: &str, adapter: Guid) -> Option<bool> {
        let of = |b: &&Binding| b.adapter == adapter && b.component.eq_ignore_ascii_case(component);
        // A component may have several paths to one adapter.
        let mut all = self.bindings.iter().filter(of).map(|b| b.enabled);
        all.next().map(|first| first || all.any(|e| e))
    }

    /// In an order of its own, whatever the order was that the system told it in.
    pub fn sort(&mut self) {
        insert_sorted(&mut self.adapters, |a, b| a.guid <= b.guid);
        insert_sorted(&mut self.components, |a, b| a.id <= b.id);
        insert_sorted(&mut self.bindings, |a, b| {
            (&a.component, a.adapter) <= (&b.component, b.adapter)
        });
    }
}

/// The library's sorts have 4 KiB on the stack, which takes stack probes that a DLL
/// without a C runtime lacks; these lists are short.
fn insert_sorted<T>(list: &mut [T], in_order: impl Fn(&T, &T) -> bool) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0 && !in_order(&list[at - 1], &list[at]) {
            list.swap(at - 1, at);
            at -= 1;
        }
    }
}
