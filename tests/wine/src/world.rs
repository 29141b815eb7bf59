//! The scripted machine: what its network configuration holds, and which call fails.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicIsize, Ordering};

use netcfg::{Guid, Value};
use windows::Win32::Foundation::E_ABORT;
use windows::Win32::System::Registry::HKEY_CURRENT_USER;
use windows::core::{Error, GUID, Result};

use crate::registry::Key;
use crate::run::Args;

pub const NET: GUID = GUID::from_u128(0x4d36e972_e325_11ce_bfc1_08002be10318);
pub const NET_SERVICE: GUID = GUID::from_u128(0x4d36e974_e325_11ce_bfc1_08002be10318);
pub const NET_TRANS: GUID = GUID::from_u128(0x4d36e975_e325_11ce_bfc1_08002be10318);

/// NCF_PHYSICAL, NCF_VIRTUAL, NCF_LW_FILTER.
const PHYSICAL: u32 = 4;
const VIRTUAL: u32 = 1;
const FILTER: u32 = 0x4_0000;

/// Scripted objects that are alive.
pub static LIVE: AtomicIsize = AtomicIsize::new(0);

/// Counts a scripted object.
pub struct Token(());

impl Token {
    pub fn new() -> Self {
        LIVE.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Clone)]
pub struct Item {
    pub guid: Guid,
    pub id: String,
    pub class: GUID,
    pub flags: u32,
    pub wifi: bool,
}

#[derive(Clone)]
pub struct Bind {
    pub upper: Guid,
    pub lower: Guid,
    pub enabled: bool,
}

pub struct World {
    pub items: RefCell<Vec<Item>>,
    pub binds: RefCell<Vec<Bind>>,
    pub miniport: &'static str,
    pub protocol: &'static str,
    pub locked: Cell<bool>,
    /// Someone else has the lock.
    pub taken: Cell<bool>,
    pub initialised: Cell<bool>,
    pub applied: Cell<u32>,
    pub calls: Cell<u32>,
    pub fails_at: Cell<u32>,
    /// Adapters whose driver was told that its keys changed.
    pub told: RefCell<Vec<String>>,
    next: Cell<u128>,
}

/// The first adapters of the machine.
pub const FIRST: Guid = Guid(0xA001);
pub const SECOND: Guid = Guid(0xA002);
pub const WIFI: Guid = Guid(0xA003);
pub const TCPIP: Guid = Guid(0xB001);
pub const PACER: Guid = Guid(0xB002);
pub const OWN: Guid = Guid(0xB003);

const ROOT: &str = "Software\\NotifyDriverTest";

impl World {
    /// Three adapters, TCP/IP and a filter on each; our protocol's bindings as they are
    /// after an installation.
    pub fn new(args: &Args) -> Rc<Self> {
        let item = |guid, id: &str, class, flags| Item {
            guid,
            id: id.into(),
            class,
            flags,
            wifi: guid == WIFI,
        };
        let items = vec![
            item(FIRST, "PCI\\VEN_8086&DEV_0001", NET, PHYSICAL),
            item(SECOND, "PCI\\VEN_8086&DEV_0002", NET, PHYSICAL),
            item(WIFI, "PCI\\VEN_8086&DEV_0003", NET, PHYSICAL),
            item(TCPIP, "MS_TCPIP", NET_TRANS, 0),
            item(PACER, "ms_pacer", NET_SERVICE, FILTER),
            item(OWN, args.protocol, NET_TRANS, 0),
        ];
        let mut binds = Vec::new();
        for lower in [FIRST, SECOND, WIFI] {
            for upper in [TCPIP, PACER, OWN] {
                binds.push(Bind {
                    upper,
                    lower,
                    enabled: upper != OWN,
                });
            }
        }
        let world = Rc::new(Self {
            items: RefCell::new(items),
            binds: RefCell::new(binds),
            miniport: args.miniport,
            protocol: args.protocol,
            locked: Cell::new(false),
            taken: Cell::new(false),
            initialised: Cell::new(false),
            applied: Cell::new(0),
            calls: Cell::new(0),
            fails_at: Cell::new(0),
            told: RefCell::new(Vec::new()),
            next: Cell::new(0xF000),
        });
        if let Some(key) = world.key(WIFI) {
            let _ = key.set("*PhysicalMediaType", &Value::Number(9));
        }
        world
    }

    /// Every scripted call begins with this: one of them fails.
    pub fn call(&self) -> Result<()> {
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() == self.fails_at.get() {
            Err(Error::from_hresult(E_ABORT))
        } else {
            Ok(())
        }
    }

    /// From now on the `n`th call fails; none if it is 0.
    pub fn fail_at(&self, n: u32) {
        self.calls.set(0);
        self.fails_at.set(n);
    }

    pub fn path(guid: Guid) -> String {
        format!("{ROOT}\\{guid}")
    }

    /// The key of a component's parameters.
    pub fn key(&self, guid: Guid) -> Option<Key> {
        Key::create_at(HKEY_CURRENT_USER, &Self::path(guid)).ok()
    }

    pub fn is_enabled(&self, upper: Guid, lower: Guid) -> Option<bool> {
        let binds = self.binds.borrow();
        binds
            .iter()
            .find(|b| b.upper == upper && b.lower == lower)
            .map(|b| b.enabled)
    }

    pub fn set_enabled(&self, upper: Guid, lower: Guid, enabled: bool) {
        for bind in self.binds.borrow_mut().iter_mut() {
            if bind.upper == upper && bind.lower == lower {
                bind.enabled = enabled;
            }
        }
    }

    /// As Windows does: every protocol is bound to the new adapter.
    pub fn install(&self, id: &str) -> Option<Guid> {
        if !id.eq_ignore_ascii_case(self.miniport) {
            return None;
        }
        self.next.set(self.next.get() + 1);
        let guid = Guid(self.next.get());
        let uppers: Vec<Guid> = self
            .items
            .borrow()
            .iter()
            .filter(|i| i.class != NET)
            .map(|i| i.guid)
            .collect();
        let item = Item {
            guid,
            id: id.into(),
            class: NET,
            flags: VIRTUAL,
            wifi: false,
        };
        self.items.borrow_mut().push(item);
        let binds = uppers.into_iter().map(|upper| Bind {
            upper,
            lower: guid,
            enabled: true,
        });
        self.binds.borrow_mut().extend(binds);
        Some(guid)
    }

    pub fn remove(&self, guid: Guid) {
        self.items.borrow_mut().retain(|i| i.guid != guid);
        self.binds.borrow_mut().retain(|b| b.lower != guid);
        Key::delete(HKEY_CURRENT_USER, &Self::path(guid));
    }

    pub fn miniports(&self) -> Vec<Guid> {
        let items = self.items.borrow();
        items
            .iter()
            .filter(|i| i.id.eq_ignore_ascii_case(self.miniport))
            .map(|i| i.guid)
            .collect()
    }

    /// The record, as text.
    pub fn record(&self) -> Option<String> {
        match self.key(OWN)?.value("NotifyObject").ok()?? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A value of the key of our protocol's binding.
    pub fn below(&self, adapter: Guid, name: &str) -> Option<Value> {
        let key = self
            .key(OWN)?
            .open(&format!("Adapters\\{adapter}"))
            .ok()??;
        key.value(name).ok()?
    }

    /// Everything, as text; miniports by their place in the record.
    pub fn picture(&self) -> String {
        let mut lines = Vec::new();
        let dump = |key: Option<Key>, of: &str, lines: &mut Vec<String>| {
            for (name, value) in key.and_then(|k| k.values().ok()).unwrap_or_default() {
                lines.push(format!("value {of} {name} = {value:?}"));
            }
        };
        for item in self.items.borrow().iter() {
            lines.push(format!("item {} {}", item.guid, item.id));
            // The others have no values that anybody writes.
            if item.guid == OWN || item.id.eq_ignore_ascii_case(self.miniport) {
                dump(self.key(item.guid), &format!("{}", item.guid), &mut lines);
            }
            if item.class != NET {
                continue;
            }
            let adapters = self
                .key(OWN)
                .and_then(|k| k.open("Adapters").ok().flatten());
            let below = adapters.and_then(|k| k.open(&format!("{}", item.guid)).ok().flatten());
            dump(below, &format!("below {}", item.guid), &mut lines);
        }
        for bind in self.binds.borrow().iter() {
            lines.push(format!(
                "bind {} {} {}",
                bind.upper, bind.lower, bind.enabled
            ));
        }
        let record = self.record().unwrap_or_default();
        let mut miniports: Vec<_> = self.miniports().iter().map(|g| format!("{g}")).collect();
        miniports.sort_by_key(|g| record.find(g.as_str()));
        for line in &mut lines {
            for (place, guid) in miniports.iter().enumerate() {
                *line = line.replace(guid.as_str(), &format!("M{place}"));
            }
        }
        lines.sort();
        lines.join("\n")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let below = format!("{}\\Adapters", Self::path(OWN));
        for item in self.items.borrow().iter() {
            Key::delete(HKEY_CURRENT_USER, &format!("{below}\\{}", item.guid));
        }
        Key::delete(HKEY_CURRENT_USER, &below);
        for item in self.items.borrow().iter() {
            Key::delete(HKEY_CURRENT_USER, &Self::path(item.guid));
        }
    }
}
