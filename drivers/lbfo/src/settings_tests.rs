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
    device: Vec<u16>,
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

    pub(crate) fn device(mut self, name: &[u16]) -> Self {
        self.device = name.to_vec();
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

    fn device_name(&self) -> &[u16] {
        &self.device
    }
}

fn refusal(key: &Key) -> Option<(usize, Reason)> {
    let refused = TeamSettings::read(key)
        .err()
        .or_else(|| MemberSettings::read(key).err())?;
    Some((usize::from(refused.setting), refused.reason))
}

fn place(name: &str) -> usize {
    TABLE
        .iter()
        .position(|setting| setting.name == name)
        .unwrap()
}

/// A team whose settings are the defaults.
pub(crate) fn team(key: &Key) -> TeamSettings {
    TeamSettings::read(key).unwrap()
}

#[test]
fn names_are_unique_and_places_are_the_ids() {
    let names: BTreeSet<&str> = TABLE.iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), TABLE.len());
    for setting in TABLE {
        assert_eq!(String::from_utf16_lossy(setting.wide), setting.name);
        assert!(setting.text.ends_with('.'), "{}", setting.name);
    }
    assert_eq!(Id::MacMode as usize + 1, TABLE.len());
    assert_eq!(Id::MemberIndex.setting().unwrap().name, "MemberIndex");
    assert_eq!(Id::Strict.setting().unwrap().name, "Strict");
}

/// Members' values come first, so that a place says whose they are.
#[test]
fn scopes_do_not_mix() {
    let team = TABLE
        .iter()
        .position(|setting| setting.scope == Scope::Team)
        .unwrap();
    assert_eq!(team, Id::Mode as usize);
    assert!(
        TABLE[team..]
            .iter()
            .all(|setting| setting.scope == Scope::Team)
    );
}

#[test]
fn nothing_set_is_the_default() {
    let member = MemberSettings::read(&Key::default()).unwrap();
    assert_eq!(
        member,
        MemberSettings {
            index: 0,
            priority: 32768,
            weight: 0,
            primary: false
        }
    );
    let expected = TeamSettings {
        mode: Mode::ActiveBackup,
        hash_policy: Policy::Layer34,
        hash_symmetric: false,
        hash_seed: 0,
        hash_info: true,
        flowlet_gap: 500,
        min_links: 1,
        link_speed: LinkSpeed::Sum,
        lacp_active: true,
        lacp_fast: true,
        system_priority: 32768,
        lacp_key: 1,
        strict: false,
        failback: Failback::Always,
        failback_delay: 0,
        up_delay: 0,
        down_delay: 0,
        monitor: Monitor::Off,
        targets: Stations::new(),
        sources: Stations::new(),
        monitor_interval: 1000,
        monitor_missed: 3,
        notice_count: 1,
        notice_interval: 200,
        keep_duplicates: false,
        mac: MacChoice::Derived,
    };
    assert_eq!(team(&Key::default()), expected);
}

#[test]
fn everything_set() {
    let key = Key::default()
        .number("MemberIndex", 32)
        .number("MemberPriority", 1)
        .number("MemberWeight", 1000)
        .number("Primary", 1)
        .number("Mode", 5)
        .number("HashPolicy", 3)
        .number("HashSymmetric", 1)
        .number("HashSeed", u32::MAX)
        .number("HashInfo", 0)
        .number("FlowletGap", 50)
        .number("MinLinks", 32)
        .number("LinkSpeed", 1)
        .number("LacpActive", 0)
        .number("LacpFast", 0)
        .number("SystemPriority", 7)
        .number("LacpKey", 65535)
        .number("Strict", 1)
        .number("Failback", 2)
        .number("FailbackDelay", 1)
        .number("UpDelay", 2)
        .number("DownDelay", HOUR)
        .number("Monitor", 2)
        .list(
            "MonitorTargets",
            &["192.0.2.1", "192.0.2.1%20", "2001:db8::1%4094"],
        )
        .list("MonitorSource", &["192.0.2.9"])
        .number("MonitorInterval", 100)
        .number("MonitorMissed", 255)
        .number("NoticeCount", 0)
        .number("NoticeInterval", 10)
        .number("KeepDuplicates", 1)
        .address(&[2, 0, 0, 0, 0, 9]);
    let member = MemberSettings::read(&key).unwrap();
    assert_eq!((member.index, member.priority), (32, 1));
    assert_eq!((member.weight, member.primary), (1000, true));
    let team = team(&key);
    assert_eq!(
        (team.mode, team.hash_policy),
        (Mode::Dynamic, Policy::VlanSource)
    );
    assert!(team.hash_symmetric && !team.hash_info);
    assert_eq!((team.hash_seed, team.flowlet_gap), (u32::MAX, 50));
    assert_eq!((team.min_links, team.link_speed), (32, LinkSpeed::Active));
    assert!(!team.lacp_active && !team.lacp_fast && team.strict);
    assert_eq!((team.system_priority, team.lacp_key), (7, 65535));
    assert_eq!(
        (team.failback, team.failback_delay),
        (Failback::OnlyIfBetter, 1)
    );
    assert_eq!((team.up_delay, team.down_delay), (2, HOUR));
    assert_eq!(team.monitor, Monitor::All);
    let vlans: Vec<u16> = team
        .targets
        .iter()
        .map(|target| target.vlan.number())
        .collect();
    assert_eq!(vlans, [0, 20, 4094]);
    assert!(team.targets[2].address.is_ipv6());
    assert_eq!(team.sources.len(), 1);
    assert_eq!((team.monitor_interval, team.monitor_missed), (100, 255));
    assert_eq!((team.notice_count, team.notice_interval), (0, 10));
    assert!(team.keep_duplicates);
    assert_eq!(team.mac, MacChoice::Configured(Mac([2, 0, 0, 0, 0, 9])));
}

#[test]
fn each_choice_has_its_own_meaning() {
    let modes: Vec<Mode> = (0..6)
        .map(|mode| team(&Key::default().number("Mode", mode)).mode)
        .collect();
    assert_eq!(
        modes,
        [
            Mode::ActiveBackup,
            Mode::Hash,
            Mode::Lacp,
            Mode::RoundRobin,
            Mode::Broadcast,
            Mode::Dynamic
        ]
    );
    let ordered = modes.iter().filter(|mode| mode.is_ordered()).count();
    assert_eq!(ordered, 4);
    let policies: Vec<Policy> = (0..4)
        .map(|policy| team(&Key::default().number("HashPolicy", policy)).hash_policy)
        .collect();
    assert_eq!(
        policies,
        [
            Policy::Layer2,
            Policy::Layer23,
            Policy::Layer34,
            Policy::VlanSource
        ]
    );
    let sticky = team(&Key::default().number("Failback", 1)).failback;
    assert_eq!(sticky, Failback::Sticky);
    let first = team(&Key::default().number("MacMode", 1)).mac;
    assert_eq!(first, MacChoice::FirstMember);
}

/// Wrong type, out of range, unknown: which setting it was, and why.
#[test]
fn what_is_refused() {
    for setting in TABLE {
        let refused = |bad: Key| refusal(&bad);
        let because = |reason| Some((place(setting.name), reason));
        let key = Key::default;
        match setting.kind {
            Kind::Integer { min, max, default } => {
                assert!((min..=max).contains(&default), "{}", setting.name);
                let text = key().text(setting.name, "ten");
                assert_eq!(refused(text), because(Reason::WrongType));
                if let Some(below) = min.checked_sub(1) {
                    let bad = key().number(setting.name, below);
                    assert_eq!(refused(bad), because(Reason::OutOfRange));
                }
                if let Some(above) = max.checked_add(1) {
                    let bad = key().number(setting.name, above);
                    assert_eq!(refused(bad), because(Reason::OutOfRange));
                    let bad = key().number(setting.name, u32::MAX);
                    assert_eq!(refused(bad), because(Reason::OutOfRange));
                }
                for good in [min, default, max] {
                    assert_eq!(refused(key().number(setting.name, good)), None);
                }
            }
            Kind::Choice { names, default } => {
                assert!((default as usize) < names.len());
                let text = key().text(setting.name, names[0]);
                assert_eq!(refused(text), because(Reason::WrongType));
                let bad = key().number(setting.name, names.len() as u32);
                assert_eq!(refused(bad), because(Reason::Unknown));
            }
            Kind::Address => {
                for bad in [&[2, 0, 0][..], &[2; 8], &[3, 0, 0, 0, 0, 1], &[0; 6]] {
                    let bad = key().address(bad);
                    assert_eq!(refused(bad), because(Reason::OutOfRange));
                }
            }
            Kind::Stations { most } => {
                let bad = key().text(setting.name, "192.0.2.1");
                assert_eq!(refused(bad), because(Reason::WrongType));
                let bad = key().list(setting.name, &["192.0.2.1", "x"]);
                assert_eq!(refused(bad), because(Reason::OutOfRange));
                let bad = key().list(setting.name, &["192.0.2.1%0"]);
                assert_eq!(refused(bad), because(Reason::OutOfRange));
                let twice = key().list(setting.name, &["192.0.2.1%5", "192.0.2.1%05"]);
                assert_eq!(refused(twice), because(Reason::Duplicate));
                let many: Vec<String> = (0..=most)
                    .map(|n| std::format!("10.0.0.{}", n + 1))
                    .collect();
                let many: Vec<&str> = many.iter().map(String::as_str).collect();
                let bad = key().list(setting.name, &many);
                assert_eq!(refused(bad), because(Reason::OutOfRange));
                assert_eq!(refused(key().list(setting.name, &many[1..])), None);
            }
        }
    }
}

#[test]
fn what_contradicts_itself() {
    let targets = || Key::default().list("MonitorTargets", &["192.0.2.1"]);
    for (bad, id) in [
        (Key::default().number("Monitor", 1), Id::MonitorTargets),
        (
            targets().number("Monitor", 1).number("Mode", 2),
            Id::Monitor,
        ),
        (
            Key::default()
                .address(&[2, 0, 0, 0, 0, 9])
                .number("MacMode", 1),
            Id::MacMode,
        ),
    ] {
        assert_eq!(
            refusal(&bad),
            Some((id as usize, Reason::Conflict)),
            "{bad:?}"
        );
    }
    assert_eq!(refusal(&targets().number("Monitor", 2)), None);
    assert_eq!(
        refusal(&targets().number("Mode", 2)),
        None,
        "nobody asks them"
    );
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0_u32..40).prop_map(Value::Number),
        any::<u32>().prop_map(Value::Number),
        proptest::collection::vec(any::<u16>(), 0..20).prop_map(Value::Text),
        proptest::collection::vec(any::<u16>(), 0..40).prop_map(Value::List),
        "([0-9.:a-f%]{1,12}\u{0}){0,3}".prop_map(|list| Value::List(list.encode_utf16().collect())),
    ]
}

proptest! {
    /// Whatever stands in the registry, the answer is settings within the
    /// table's ranges or a refusal of a setting that is there.
    #[test]
    fn any_registry_is_read_or_refused(
        values in proptest::collection::vec((0..TABLE.len(), value()), 0..6),
        address in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
    ) {
        let mut key = Key { address, ..Key::default() };
        for (place, value) in values {
            key.values.insert(TABLE[place].name.to_string(), value);
        }
        match TeamSettings::read(&key) {
            Ok(team) => {
                prop_assert!((1..=32).contains(&team.min_links));
                prop_assert!((50..=1_000_000).contains(&team.flowlet_gap));
                prop_assert!(team.monitor == Monitor::Off || !team.targets.is_empty());
                if let MacChoice::Configured(mac) = team.mac {
                    prop_assert!(mac.is_station());
                }
            }
            Err(refused) => {
                let setting = &TABLE[usize::from(refused.setting)];
                prop_assert_eq!(setting.scope, Scope::Team);
                prop_assert!(
                    key.values.contains_key(setting.name)
                        || refused.setting == Id::NetworkAddress as u8 && key.address.is_some()
                        || refused.setting == Id::MonitorTargets as u8
                            && key.values.contains_key("Monitor"),
                    "{} was not set", setting.name
                );
            }
        }
        if let Err(refused) = MemberSettings::read(&key) {
            let setting = &TABLE[usize::from(refused.setting)];
            prop_assert_eq!(setting.scope, Scope::Member);
            prop_assert!(key.values.contains_key(setting.name));
        }
    }
}
