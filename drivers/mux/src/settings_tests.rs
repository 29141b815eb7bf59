//! The table and the check, against a registry in memory.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::string::{String, ToString};
use std::vec::Vec;

/// A value as NDIS gives it out.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(u32),
    Text(Vec<u16>),
    List(Vec<u16>),
}

/// A key of the registry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Key {
    values: BTreeMap<String, Value>,
    pub(crate) address: Option<Vec<u8>>,
}

impl Key {
    pub(crate) fn number(mut self, name: &str, number: u32) -> Self {
        self.values.insert(name.to_string(), Value::Number(number));
        self
    }

    pub(crate) fn text(mut self, name: &str, text: &str) -> Self {
        let units = text.encode_utf16().collect();
        self.values.insert(name.to_string(), Value::Text(units));
        self
    }

    pub(crate) fn list(mut self, name: &str, list: &[&str]) -> Self {
        let mut units: Vec<u16> = Vec::new();
        for text in list {
            units.extend(text.encode_utf16());
            units.push(0);
        }
        units.push(0);
        self.values.insert(name.to_string(), Value::List(units));
        self
    }

    pub(crate) fn address(mut self, bytes: &[u8]) -> Self {
        self.address = Some(bytes.to_vec());
        self
    }

    fn get(&self, name: &[u16]) -> Option<&Value> {
        self.values.get(&String::from_utf16_lossy(name))
    }
}

impl Values for Key {
    fn integer(&self, name: &[u16]) -> Result<Option<u32>, Reason> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(Reason::WrongType),
        }
    }

    fn string(&self, name: &[u16]) -> Result<Option<&[u16]>, Reason> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(units)) => Ok(Some(units)),
            Some(_) => Err(Reason::WrongType),
        }
    }

    fn strings(&self, name: &[u16]) -> Result<Option<&[u16]>, Reason> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::List(units)) => Ok(Some(units)),
            Some(_) => Err(Reason::WrongType),
        }
    }

    fn network_address(&self) -> Option<&[u8]> {
        self.address.as_deref()
    }
}

fn refusal(key: &Key) -> Option<(Id, Reason)> {
    let refused = Port::read(0, key)
        .err()
        .or_else(|| Adapter::read(key).err())?;
    let ids = [
        Id::Mode,
        Id::InBandTags,
        Id::VlanId,
        Id::NetworkAddress,
        Id::MacMode,
        Id::PortIndex,
        Id::AcceptUntagged,
        Id::AntiSpoof,
        Id::AllowedMacs,
        Id::PriorityIn,
        Id::PriorityOut,
        Id::DefaultPriority,
        Id::AdminState,
        Id::LinkMode,
        Id::ReceiveShare,
    ];
    Some((ids[usize::from(refused.setting)], refused.reason))
}

#[test]
fn names_are_unique_and_places_are_the_ids() {
    let names: BTreeSet<&str> = TABLE.iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), TABLE.len());
    for setting in TABLE {
        assert_eq!(String::from_utf16_lossy(setting.wide), setting.name);
        assert!(setting.text.ends_with('.'), "{}", setting.name);
    }
    assert_eq!(Id::ReceiveShare as usize + 1, TABLE.len());
    assert_eq!(Id::VlanId.setting().unwrap().name, "VlanID");
    assert_eq!(Id::AllowedMacs.setting().unwrap().name, "AllowedMacs");
}

#[test]
fn nothing_set_is_the_default() {
    assert_eq!(Adapter::read(&Key::default()), Ok(Adapter::default()));
    let port = Port::read(7, &Key::default()).unwrap();
    assert_eq!(port.vlan, Vlan::NONE);
    assert_eq!((port.mac, port.index), (MacChoice::Derived, 7));
    assert!(!port.accept_untagged && !port.anti_spoof && port.allowed.is_empty());
    assert!(port.priority_in.is_identity() && port.priority_out.is_identity());
    assert_eq!(port.default_priority, Priority::BEST_EFFORT);
    assert!(port.up && !port.loose);
    assert_eq!(port.share, 256);
    for setting in TABLE {
        if let Kind::Priorities { default } = setting.kind {
            let units: Vec<u16> = default.encode_utf16().collect();
            assert_eq!(PriorityMap::from_text(&units), Some(PriorityMap::IDENTITY));
        }
    }
}

#[test]
fn everything_set() {
    let key = Key::default()
        .number("Mode", 2)
        .number("InBandTags", 1)
        .number("VlanID", 4094)
        .address(&[2, 0, 0, 0, 0, 9])
        .number("MacMode", 2)
        .number("PortIndex", 65535)
        .number("AcceptUntagged", 1)
        .number("AntiSpoof", 1)
        .list("AllowedMacs", &["02-00-00-00-00-0A", "02000000000b"])
        .text("PriorityIn", "77777777")
        .text("PriorityOut", "00000000")
        .number("DefaultPriority", 7)
        .number("AdminState", 0)
        .number("LinkMode", 1)
        .number("ReceiveShare", 16);
    let adapter = Adapter::read(&key).unwrap();
    assert_eq!((adapter.mode, adapter.in_band), (Mode::Bridge, true));
    let port = Port::read(0, &key).unwrap();
    assert_eq!(port.vlan.number(), 4094);
    assert_eq!(
        port.mac,
        MacChoice::Configured(Mac([2, 0, 0, 0, 0, 9])),
        "an address that is set comes first"
    );
    assert_eq!(port.index, 65535);
    assert!(port.accept_untagged && port.anti_spoof && port.loose && !port.up);
    assert_eq!(port.allowed.len(), 2);
    assert!(port.allowed.get(Mac([2, 0, 0, 0, 0, 0xB])).is_some());
    assert_eq!(port.default_priority.number(), 7);
    assert_eq!(port.share, 16);
}

#[test]
fn which_address_a_port_takes() {
    let choice = |key: Key| Port::read(0, &key).unwrap().mac;
    let key = Key::default;
    assert_eq!(choice(key().number("VlanID", 10)), MacChoice::Adapter);
    assert_eq!(
        choice(key().number("VlanID", 10).number("MacMode", 2)),
        MacChoice::Derived
    );
    assert_eq!(choice(key().number("MacMode", 1)), MacChoice::Adapter);
    assert_eq!(choice(key().number("MacMode", 0)), MacChoice::Derived);
}

/// Wrong type, out of range, unknown: which setting it was, and why.
#[test]
fn what_is_refused() {
    let key = Key::default;
    for (bad, id, reason) in [
        (key().number("Mode", 4), Id::Mode, Reason::Unknown),
        (key().text("Mode", "bridge"), Id::Mode, Reason::WrongType),
        (
            key().number("InBandTags", 2),
            Id::InBandTags,
            Reason::Unknown,
        ),
        (key().number("VlanID", 4095), Id::VlanId, Reason::OutOfRange),
        (key().number("VlanID", 4096), Id::VlanId, Reason::OutOfRange),
        (
            key().number("VlanID", u32::MAX),
            Id::VlanId,
            Reason::OutOfRange,
        ),
        (key().text("VlanID", "ten"), Id::VlanId, Reason::WrongType),
        (
            key().address(&[2, 0, 0]),
            Id::NetworkAddress,
            Reason::OutOfRange,
        ),
        (
            key().address(&[2; 8]),
            Id::NetworkAddress,
            Reason::OutOfRange,
        ),
        (
            key().address(&[3, 0, 0, 0, 0, 1]),
            Id::NetworkAddress,
            Reason::OutOfRange,
        ),
        (
            key().address(&[0; 6]),
            Id::NetworkAddress,
            Reason::OutOfRange,
        ),
        (key().number("MacMode", 3), Id::MacMode, Reason::Unknown),
        (
            key().number("PortIndex", 65536),
            Id::PortIndex,
            Reason::OutOfRange,
        ),
        (
            key().number("AcceptUntagged", 7),
            Id::AcceptUntagged,
            Reason::Unknown,
        ),
        (key().number("AntiSpoof", 2), Id::AntiSpoof, Reason::Unknown),
        (
            key().text("AllowedMacs", "02-00-00-00-00-0A"),
            Id::AllowedMacs,
            Reason::WrongType,
        ),
        (
            key().list("AllowedMacs", &["02-00-00-00-00"]),
            Id::AllowedMacs,
            Reason::OutOfRange,
        ),
        (
            key().list("AllowedMacs", &["01-00-5E-00-00-01"]),
            Id::AllowedMacs,
            Reason::OutOfRange,
        ),
        (
            key().number("PriorityIn", 1_234_567),
            Id::PriorityIn,
            Reason::WrongType,
        ),
        (
            key().text("PriorityIn", "01234568"),
            Id::PriorityIn,
            Reason::OutOfRange,
        ),
        (
            key().text("PriorityOut", "0"),
            Id::PriorityOut,
            Reason::OutOfRange,
        ),
        (
            key().number("DefaultPriority", 8),
            Id::DefaultPriority,
            Reason::OutOfRange,
        ),
        (
            key().number("AdminState", 2),
            Id::AdminState,
            Reason::Unknown,
        ),
        (key().number("LinkMode", 2), Id::LinkMode, Reason::Unknown),
        (
            key().number("ReceiveShare", 15),
            Id::ReceiveShare,
            Reason::OutOfRange,
        ),
        (
            key().number("ReceiveShare", 65536),
            Id::ReceiveShare,
            Reason::OutOfRange,
        ),
    ] {
        assert_eq!(refusal(&bad), Some((id, reason)), "{bad:?}");
    }
    assert!(Port::read(65536, &key()).is_err(), "no index for the place");
    assert!(Port::read(65536, &key().number("PortIndex", 1)).is_ok());
}

#[test]
fn lists_have_an_end() {
    let many: Vec<String> = (0..=MOST_ALLOWED)
        .map(|n| std::format!("02000000{n:04X}"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let key = Key::default().list("AllowedMacs", &many);
    assert_eq!(refusal(&key), Some((Id::AllowedMacs, Reason::OutOfRange)));
    let key = Key::default().list("AllowedMacs", &many[1..]);
    assert_eq!(
        Port::read(0, &key).unwrap().allowed.len(),
        MOST_ALLOWED as usize
    );
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0_u32..10).prop_map(Value::Number),
        any::<u32>().prop_map(Value::Number),
        proptest::collection::vec(any::<u16>(), 0..20).prop_map(Value::Text),
        proptest::collection::vec(any::<u16>(), 0..40).prop_map(Value::List),
    ]
}

proptest! {
    /// Whatever stands in the registry, the answer is settings within the
    /// table's ranges or a refusal of a setting that is there.
    #[test]
    fn any_registry_is_read_or_refused(
        values in proptest::collection::vec((0_usize..15, value()), 0..6),
        address in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
        position: u32,
    ) {
        let mut key = Key { address, ..Key::default() };
        for (place, value) in values {
            key.values.insert(TABLE[place].name.to_string(), value);
        }
        match Port::read(position, &key) {
            Ok(port) => {
                prop_assert!(!port.vlan.is_reserved());
                prop_assert!((16..=65535).contains(&port.share));
                if let MacChoice::Configured(mac) = port.mac {
                    prop_assert!(mac.is_station());
                }
            }
            Err(refused) => {
                let setting = &TABLE[usize::from(refused.setting)];
                prop_assert!(
                    key.values.contains_key(setting.name)
                        || refused.setting == Id::NetworkAddress as u8 && key.address.is_some()
                        || refused.setting == Id::PortIndex as u8 && position > 65535,
                    "{} was not set", setting.name
                );
            }
        }
    }
}
