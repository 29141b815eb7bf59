//! Operations, and carrying them out: each one's undo is noted before the next is tried,
//! and a failure undoes what was done, last first.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::names::Guid;
use crate::state::{Made, Record, Value, device_name};

/// A key of the registry that operations write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The protocol's binding to an adapter: `Parameters\Adapters\{GUID}` of its service.
    Below(Guid),
    /// A virtual miniport's own.
    Miniport(Guid),
}

/// The system that operations are carried out on.
pub trait NetCfg {
    /// What a call that failed says.
    type Error: fmt::Display;

    /// Installs a virtual miniport and tells its interface GUID.
    fn create_miniport(&mut self) -> Result<Guid, Self::Error>;
    /// Removes one.
    fn remove_miniport(&mut self, guid: Guid) -> Result<(), Self::Error>;
    /// Whether `component` uses `adapter`; `None` if it has no binding to it.
    fn binding(&mut self, component: &str, adapter: Guid) -> Result<Option<bool>, Self::Error>;
    /// Enables or disables that binding.
    fn set_binding(
        &mut self,
        component: &str,
        adapter: Guid,
        enabled: bool,
    ) -> Result<(), Self::Error>;
    /// A value, if it is there and of a type that [`Value`] has.
    fn value(&mut self, key: Key, name: &str) -> Result<Option<Value>, Self::Error>;
    /// Writes a value, or deletes it.
    fn set_value(&mut self, key: Key, name: &str, value: Option<&Value>)
    -> Result<(), Self::Error>;
    /// What was remembered.
    fn record(&mut self) -> Result<Option<Record>, Self::Error>;
    /// Remembers, or forgets.
    fn set_record(&mut self, record: Option<&Record>) -> Result<(), Self::Error>;
}

/// A device in a list: one that is there, or a miniport of the plan, which may have to be
/// made first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// By the device's name.
    Named(String),
    /// By the plan's.
    Miniport(String),
}

/// What a value is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Just this.
    Plain(Value),
    /// REG_MULTI_SZ of device names.
    Devices(Vec<Device>),
    /// REG_SZ of one device name: only ever an old value that is put back.
    Device(Device),
}

/// The lower end of a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lower {
    /// An adapter.
    Adapter(Guid),
    /// A miniport of the plan.
    Miniport(String),
}

/// One step. Miniports go by their names in the plan: their GUIDs change when they are
/// made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Install a miniport.
    Create {
        /// The plan's name.
        name: String,
    },
    /// Remove a miniport; `again` is what makes it the same again, but for its GUID.
    Remove {
        /// The plan's name.
        name: String,
        /// What follows its creation if the removal is undone.
        again: Vec<Op>,
    },
    /// Write a value of a miniport's key.
    SetMiniport {
        /// The plan's name.
        miniport: String,
        /// The value's name.
        name: String,
        /// What it is to be; deleted if `None`.
        value: Option<Value>,
    },
    /// Write a value of a binding's key.
    SetBelow {
        /// The adapter below.
        adapter: Guid,
        /// The value's name.
        name: String,
        /// What it is to be; deleted if `None`.
        value: Option<Written>,
    },
    /// Enable or disable a binding. One that does not exist counts as disabled.
    SetBinding {
        /// The upper end.
        component: String,
        /// The lower end.
        lower: Lower,
        /// In use.
        enabled: bool,
    },
    /// Remember; the GUIDs of miniports are filled in from those made.
    SetRecord(Option<Record>),
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = |set: bool| if set { "set" } else { "delete" };
        match self {
            Self::Create { name } => write!(f, "create miniport {name:?}"),
            Self::Remove { name, .. } => write!(f, "remove miniport {name:?}"),
            Self::SetMiniport {
                miniport,
                name,
                value,
            } => {
                write!(
                    f,
                    "{} {name} of miniport {miniport:?}",
                    verb(value.is_some())
                )
            }
            Self::SetBelow {
                adapter,
                name,
                value,
            } => {
                write!(
                    f,
                    "{} {name} of the binding to {adapter}",
                    verb(value.is_some())
                )
            }
            Self::SetBinding {
                component,
                lower,
                enabled,
            } => {
                let verb = if *enabled { "enable" } else { "disable" };
                match lower {
                    Lower::Adapter(guid) => write!(f, "{verb} {component} on {guid}"),
                    Lower::Miniport(name) => write!(f, "{verb} {component} on miniport {name:?}"),
                }
            }
            Self::SetRecord(Some(_)) => f.write_str("remember the plan"),
            Self::SetRecord(None) => f.write_str("forget the plan"),
        }
    }
}

/// What was done, so that it can be undone.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// Undo of each operation, in the order of those.
    undo: Vec<Op>,
    /// GUIDs of the plan's miniports.
    names: BTreeMap<String, Guid>,
}

/// An operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which, and what the system said.
    pub text: String,
    /// What could not be undone after that; nothing, if the old state was reached.
    pub left: Vec<String>,
}

/// Carries out `ops` in order. `made` are the miniports that are there before.
pub fn carry_out<N: NetCfg>(cfg: &mut N, made: &[Made], ops: &[Op]) -> Result<Journal, Failure> {
    let mut journal = Journal::default();
    for made in made {
        journal.names.insert(made.name.clone(), made.guid);
    }
    for op in ops {
        if let Err(error) = journal.step(cfg, op) {
            let text = format!("{op}: {error}");
            let left = journal.undo(cfg);
            return Err(Failure { text, left });
        }
    }
    Ok(journal)
}

/// Why a step was not done.
enum Fault<E> {
    System(E),
    /// The plan's name of a miniport that there is none of.
    NoMiniport(String),
}

impl<E> From<E> for Fault<E> {
    fn from(error: E) -> Self {
        Self::System(error)
    }
}

impl<E: fmt::Display> fmt::Display for Fault<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::NoMiniport(name) => write!(f, "there is no miniport {name:?}"),
        }
    }
}

impl Journal {
    /// GUIDs of the plan's miniports, now.
    pub fn miniports(&self) -> &BTreeMap<String, Guid> {
        &self.names
    }

    /// Takes over what another journal, of operations done after these, can undo.
    pub fn append(&mut self, later: Self) {
        self.undo.extend(later.undo);
        self.names = later.names;
    }

    /// Undoes everything, last first, and goes on after a failure. Returns what is left.
    pub fn undo<N: NetCfg>(&mut self, cfg: &mut N) -> Vec<String> {
        let mut left = Vec::new();
        while let Some(op) = self.undo.pop() {
            let depth = self.undo.len();
            if let Err(error) = self.step(cfg, &op) {
                left.push(format!("{op}: {error}"));
            }
            // The undo of an undo is of no use.
            self.undo.truncate(depth);
        }
        left
    }

    fn guid<E>(&self, name: &str) -> Result<Guid, Fault<E>> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| Fault::NoMiniport(name.to_owned()))
    }

    /// Does one operation and notes its undo.
    fn step<N: NetCfg>(&mut self, cfg: &mut N, op: &Op) -> Result<(), Fault<N::Error>> {
        match op {
            Op::Create { name } => {
                let guid = cfg.create_miniport()?;
                self.names.insert(name.clone(), guid);
                self.undo.push(Op::Remove {
                    name: name.clone(),
                    again: Vec::new(),
                });
            }
            Op::Remove { name, again } => {
                cfg.remove_miniport(self.guid(name)?)?;
                self.names.remove(name);
                // Undone from the end: first it is created, then it is made the same.
                self.undo.extend(again.iter().rev().cloned());
                self.undo.push(Op::Create { name: name.clone() });
            }
            Op::SetMiniport {
                miniport,
                name,
                value,
            } => {
                let key = Key::Miniport(self.guid(miniport)?);
                let old = cfg.value(key, name)?;
                cfg.set_value(key, name, value.as_ref())?;
                let (miniport, name) = (miniport.clone(), name.clone());
                self.undo.push(Op::SetMiniport {
                    miniport,
                    name,
                    value: old,
                });
            }
            Op::SetBelow {
                adapter,
                name,
                value,
            } => {
                let key = Key::Below(*adapter);
                let old = cfg.value(key, name)?.map(|v| self.symbolic(v));
                let new = value.as_ref().map(|v| self.literal(v)).transpose()?;
                cfg.set_value(key, name, new.as_ref())?;
                let (adapter, name) = (*adapter, name.clone());
                self.undo.push(Op::SetBelow {
                    adapter,
                    name,
                    value: old,
                });
            }
            Op::SetBinding {
                component,
                lower,
                enabled,
            } => {
                let guid = match lower {
                    Lower::Adapter(guid) => *guid,
                    Lower::Miniport(name) => self.guid(name)?,
                };
                let old = cfg.binding(component, guid)?;
                // A binding that does not exist counts as disabled.
                if old.unwrap_or(false) != *enabled {
                    cfg.set_binding(component, guid, *enabled)?;
                    let (component, lower) = (component.clone(), lower.clone());
                    self.undo.push(Op::SetBinding {
                        component,
                        lower,
                        enabled: !enabled,
                    });
                }
            }
            Op::SetRecord(record) => {
                let old = cfg.record()?;
                let mut new = record.clone();
                for made in new.iter_mut().flat_map(|r| &mut r.miniports) {
                    made.guid = self.guid(&made.name)?;
                }
                cfg.set_record(new.as_ref())?;
                self.undo.push(Op::SetRecord(old));
            }
        }
        Ok(())
    }

    /// A value with the plan's names for its devices, so that it can be put back after a
    /// miniport was removed and made again.
    fn symbolic(&self, value: Value) -> Written {
        let device = |text: &String| {
            let found = self
                .names
                .iter()
                .find(|(_, g)| device_name(**g).eq_ignore_ascii_case(text));
            found.map_or_else(
                || Device::Named(text.clone()),
                |(n, _)| Device::Miniport(n.clone()),
            )
        };
        match &value {
            Value::List(list) => Written::Devices(list.iter().map(device).collect()),
            Value::Text(text) => Written::Device(device(text)),
            Value::Number(_) => Written::Plain(value),
        }
    }

    fn literal<E>(&self, value: &Written) -> Result<Value, Fault<E>> {
        let device = |device: &Device| match device {
            Device::Named(name) => Ok(name.clone()),
            Device::Miniport(name) => self.guid(name).map(device_name),
        };
        Ok(match value {
            Written::Plain(value) => value.clone(),
            Written::Devices(list) => {
                Value::List(list.iter().map(device).collect::<Result<_, _>>()?)
            }
            Written::Device(one) => Value::Text(device(one)?),
        })
    }
}
