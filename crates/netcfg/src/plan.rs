//! Plans: what a person wants. The text comes from outside, so nothing in it is believed.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::names::{Guid, Location, Mac, Malformed};
use crate::reason::{Code, Reason};
use crate::state::{Adapter, NAMES_PER_VALUE, UPPER_VALUES, Value, Values, is_upper_name};
use crate::{Driver, Topology};

/// Longest text of a plan, bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// Most adapters of a team.
const MAX_MEMBERS: usize = 32;
/// Longest name of a miniport, and longest name of a value.
const MAX_NAME: usize = 64;
/// Longest text of a value, and most texts in a list.
const MAX_VALUE: usize = 4096;
/// Longest wait for a confirmation, seconds.
const MAX_WAIT: u32 = 3600;

/// How a plan names an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// By the GUID of its interface.
    Guid(Guid),
    /// By its permanent MAC address.
    Mac(Mac),
    /// By its place on the PCI bus.
    Location(Location),
}

impl Selector {
    /// Whether `adapter` is meant.
    pub fn names(&self, adapter: &Adapter) -> bool {
        match self {
            Self::Guid(guid) => adapter.guid == *guid,
            Self::Mac(mac) => adapter.mac == Some(*mac),
            Self::Location(place) => adapter.location == Some(*place),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guid(v) => v.fmt(f),
            Self::Mac(v) => v.fmt(f),
            Self::Location(v) => v.fmt(f),
        }
    }
}

impl FromStr for Selector {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let guid = text.parse().map(Self::Guid);
        let mac = || text.parse().map(Self::Mac);
        guid.or_else(|_| mac())
            .or_else(|_| text.parse().map(Self::Location))
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            D::Error::custom(format!(
                "`{text}` names no adapter: wanted are {{GUID}}, 00-11-22-33-44-55 or pci:BUS:DEVICE.FUNCTION"
            ))
        })
    }
}

/// A virtual miniport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Miniport {
    /// What the plan calls it.
    pub name: String,
    /// Values for its key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: Values,
}

/// An adapter below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lower {
    /// Which.
    pub adapter: Selector,
    /// The names of its miniports.
    #[serde(default)]
    pub miniports: Vec<String>,
    /// Values for the key of the binding.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: Values,
}

/// What is wanted of the machine. Built by [`Plan::read`], or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of the form.
    pub format: u32,
    /// Name of the driver.
    pub driver: String,
    /// How many seconds to wait for a confirmation; none is needed if 0.
    #[serde(default = "default_wait")]
    pub confirm_within: u32,
    /// What is to be done in spite of a reason against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<Code>,
    /// Virtual miniports.
    #[serde(default)]
    pub miniports: Vec<Miniport>,
    /// Adapters below.
    #[serde(default)]
    pub adapters: Vec<Lower>,
}

fn default_wait() -> u32 {
    120
}

impl Plan {
    /// Reads a plan for `driver`. A byte order mark, which editors of Windows like, is
    /// skipped.
    pub fn read(text: &[u8], driver: &Driver<'_>) -> Result<Self, Vec<Reason>> {
        let one = |code, text: String| Err(alloc::vec![Reason::new(code, text)]);
        if text.len() > MAX_TEXT {
            return one(
                Code::PlanSyntax,
                format!("the plan is longer than {MAX_TEXT} bytes"),
            );
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let plan: Self = match serde_json::from_slice(text) {
            Ok(plan) => plan,
            Err(error) => return one(Code::PlanSyntax, format!("the plan: {error}")),
        };
        let reasons = plan.check(driver);
        if reasons.is_empty() {
            Ok(plan)
        } else {
            Err(reasons)
        }
    }

    /// The empty plan for `driver`: all goes back.
    pub fn empty(driver: &Driver<'_>) -> Self {
        Self {
            format: 1,
            driver: driver.name.into(),
            confirm_within: 0,
            ..Self::default()
        }
    }

    /// What it says of `adapter`, if anything.
    pub fn lower(&self, adapter: &Adapter) -> Option<&Lower> {
        self.adapters.iter().find(|l| l.adapter.names(adapter))
    }

    /// Everything that is wrong with it, whatever the machine is.
    pub fn check(&self, driver: &Driver<'_>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut no = |code, text: String| reasons.push(Reason::new(code, text));
        if self.format != 1 {
            no(
                Code::PlanDriver,
                format!("a plan of format {}; this DLL reads 1", self.format),
            );
        }
        if self.driver != driver.name {
            let text = format!(
                "a plan for `{}`; this is {}'s DLL",
                self.driver, driver.name
            );
            no(Code::PlanDriver, text);
        }
        if self.confirm_within > MAX_WAIT {
            no(
                Code::PlanValue,
                format!("confirm_within is more than {MAX_WAIT} seconds"),
            );
        }
        for code in &self.accept {
            if !code.can_be_accepted() {
                no(
                    Code::PlanValue,
                    format!("{code:?} cannot be accepted by a plan"),
                );
            }
        }
        let mut names = BTreeSet::new();
        for miniport in &self.miniports {
            let name = &miniport.name;
            let length = name.chars().count();
            if length == 0 || length > MAX_NAME || name.chars().any(char::is_control) {
                no(
                    Code::PlanValue,
                    format!("the name of a miniport has 1 to {MAX_NAME} characters: {name:?}"),
                );
            }
            if !names.insert(name.as_str()) {
                no(
                    Code::PlanTopology,
                    format!("two miniports are called {name:?}"),
                );
            }
            check_values(&miniport.values, &format!("miniport {name:?}"), &mut no);
        }
        let mut selectors = BTreeSet::new();
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for lower in &self.adapters {
            let adapter = lower.adapter;
            if !selectors.insert(adapter) {
                no(Code::AdapterTwice, format!("{adapter} is named twice"));
            }
            check_values(&lower.values, &format!("adapter {adapter}"), &mut no);
            for name in &lower.miniports {
                if !names.contains(name.as_str()) {
                    no(
                        Code::PlanTopology,
                        format!("adapter {adapter}: no miniport is called {name:?}"),
                    );
                }
                *uses.entry(name).or_default() += 1;
            }
            let count = lower.miniports.len();
            let fits = match driver.topology {
                Topology::OneToOne | Topology::ManyToOne => count == 1,
                Topology::OneToMany => (1..=NAMES_PER_VALUE * UPPER_VALUES).contains(&count),
            };
            if !fits {
                no(
                    Code::PlanTopology,
                    format!(
                        "adapter {adapter} has {count} miniports, which {} does not do",
                        driver.name
                    ),
                );
            }
        }
        let most = if driver.topology == Topology::ManyToOne {
            MAX_MEMBERS
        } else {
            1
        };
        for miniport in &self.miniports {
            let count = uses.get(miniport.name.as_str()).copied().unwrap_or(0);
            if !(1..=most).contains(&count) {
                no(
                    Code::PlanTopology,
                    format!(
                        "miniport {:?} is on {count} adapters; {} has 1 to {most}",
                        miniport.name, driver.name
                    ),
                );
            }
        }
        reasons
    }
}

/// Values of an adapter's key that belong to Windows.
const RESERVED: [&str; 19] = [
    "*IfType",
    "*MediaType",
    "*PhysicalMediaType",
    "BusNumber",
    "Characteristics",
    "ComponentId",
    "DeviceInstanceID",
    "DriverDate",
    "DriverDateData",
    "DriverDesc",
    "DriverVersion",
    "IfTypePreStart",
    "InfPath",
    "InfSection",
    "MatchingDeviceId",
    "NetCfgInstanceId",
    "NetLuidIndex",
    "NetworkInterfaceInstallTimestamp",
    "ProviderName",
];

fn check_values(values: &Values, of: &str, no: &mut impl FnMut(Code, String)) {
    for (name, value) in values {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'*';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
            no(
                Code::PlanValue,
                format!("{of}: {name:?} is no name of a value"),
            );
        }
        if is_upper_name(name) || RESERVED.iter().any(|r| r.eq_ignore_ascii_case(name)) {
            no(
                Code::PlanValue,
                format!("{of}: {name} is not a plan's to set"),
            );
        }
        // A NUL ends a text in the registry, an empty text ends a list.
        let bad = |t: &String| t.len() > MAX_VALUE || t.contains('\0');
        let wrong = match value {
            Value::Number(_) => false,
            Value::Text(text) => bad(text),
            Value::List(list) => {
                list.len() > MAX_VALUE || list.iter().any(|t| t.is_empty() || bad(t))
            }
        };
        if wrong {
            no(
                Code::PlanValue,
                format!("{of}: the value {name} cannot be stored"),
            );
        }
    }
}
