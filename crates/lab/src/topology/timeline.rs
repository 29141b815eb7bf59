//! `[[timeline]]`: what happens under traffic, and when.
//!
//! ```toml
//! [[timeline]]
//! at_us = 500                  # or after_frames = 10000, of all generators
//! action = "add"
//! port = "p5"
//! adapter = "nic0"
//!
//! [[timeline]]
//! at_us = 900
//! action = "change"
//! port = "p5"
//! properties = { VlanID = 30 }
//! ```
//!
//! Events happen in the order of the file: one that is due waits for those before it.

use std::collections::BTreeMap;
use std::fmt;

use lab_net::Mac;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::check::{Field, Kind, Names, values};
use super::problem::Report;
use super::{ConfigValue, raw};

/// When an event is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum When {
    /// So many microseconds after traffic began.
    At(u64),
    /// When the generators have sent so many frames, all together.
    After(u64),
}

/// What happens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Action {
    /// `add`: the port is listed in the binding's `UpperBindings`.
    Add {
        /// Which port.
        port: String,
        /// Above which adapter.
        adapter: String,
    },
    /// `remove`: it is listed no more.
    Remove {
        /// Which port.
        port: String,
    },
    /// `change`: its values are changed, then its device is restarted.
    Change {
        /// Which port.
        port: String,
        /// The values that change.
        properties: BTreeMap<String, ConfigValue>,
    },
    /// `restart`: its device is restarted.
    Restart {
        /// Which port.
        port: String,
    },
    /// `pause`: it is paused, and restarted at once.
    Pause {
        /// Which port.
        port: String,
    },
    /// `sleep` and `wake`: to low power and back.
    Power {
        /// A port or an adapter.
        name: String,
        /// Up again?
        up: bool,
    },
    /// `link-down` and `link-up`.
    Link {
        /// Which adapter.
        adapter: String,
        /// Up again?
        up: bool,
    },
    /// `mac`: the adapter gets another address.
    Mac {
        /// Which adapter.
        adapter: String,
        /// The address.
        mac: Mac,
    },
}

impl Action {
    /// The port whose frames may be lost over it; nothing: everybody's.
    pub fn port(&self) -> Option<&str> {
        match self {
            Self::Add { port, .. }
            | Self::Remove { port }
            | Self::Change { port, .. }
            | Self::Restart { port }
            | Self::Pause { port } => Some(port),
            Self::Power { name, .. } => Some(name),
            Self::Link { .. } | Self::Mac { .. } => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up = |up: &bool, words: [&'static str; 2]| words[usize::from(*up)];
        match self {
            Self::Add { port, adapter } => write!(f, "add {port} above {adapter}"),
            Self::Remove { port } => write!(f, "remove {port}"),
            Self::Change { port, properties } => {
                write!(f, "change {port}:")?;
                for (name, value) in properties {
                    write!(f, " {name} = {value}")?;
                }
                Ok(())
            }
            Self::Restart { port } => write!(f, "restart {port}"),
            Self::Pause { port } => write!(f, "pause {port}"),
            Self::Power { name, up: on } => write!(f, "{} {name}", up(on, ["sleep", "wake"])),
            Self::Link { adapter, up: on } => {
                write!(f, "{adapter}: link {}", up(on, ["down", "up"]))
            }
            Self::Mac { adapter, mac } => write!(f, "{adapter}: address {mac}"),
        }
    }
}

/// One event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub when: When,
    /// What.
    pub action: Action,
}

const TITLE: &str = "[[timeline]]";

/// Words of a file.
#[derive(Clone, Copy)]
enum Word {
    Add,
    Remove,
    Change,
    Restart,
    Pause,
    Power(bool),
    Link(bool),
    Mac,
}

const WORDS: [(&str, Word); 10] = [
    ("add", Word::Add),
    ("remove", Word::Remove),
    ("change", Word::Change),
    ("restart", Word::Restart),
    ("pause", Word::Pause),
    ("sleep", Word::Power(false)),
    ("wake", Word::Power(true)),
    ("link-down", Word::Link(false)),
    ("link-up", Word::Link(true)),
    ("mac", Word::Mac),
];

/// From tables to events; what is wrong is reported and left out.
pub(super) fn check(raw: &mut Vec<raw::Event>, names: &Names, report: &mut Report) -> Vec<Event> {
    let raw = std::mem::take(raw);
    raw.into_iter()
        .filter_map(|event| one(event, names, report))
        .collect()
}

/// A key that an action needs.
fn needed(
    key: &str,
    value: Option<&Spanned<String>>,
    kinds: &[Kind],
    action: &Spanned<String>,
    names: &Names,
    report: &mut Report,
) -> Option<String> {
    let Some(value) = value else {
        let what = format!("`{}` in {TITLE} needs the key `{key}`", action.get_ref());
        report.add(&action.span(), what);
        return None;
    };
    let name = value.get_ref();
    names
        .refer(kinds, name, &value.span(), report)
        .then(|| name.clone())
}

fn one(event: raw::Event, names: &Names, report: &mut Report) -> Option<Event> {
    let raw::Event {
        at_us,
        after_frames,
        action: word,
        port,
        adapter,
        properties,
        mac,
    } = event;
    let mut field = Field(report, TITLE);
    let given_mac = field.mac(mac.as_ref());
    let at = at_us
        .as_ref()
        .map(|at| field.number("at_us", Some(at), 0..=60_000_000, 0));
    let after = after_frames
        .as_ref()
        .map(|n| field.number("after_frames", Some(n), 0..=1_000_000_000, 0));
    let chosen = field.choice("action", &word, &WORDS);
    let when = match (at, after) {
        (Some(at), None) => Some(When::At(at as u64)),
        (None, Some(frames)) => Some(When::After(frames as u64)),
        _ => {
            let what = format!("an event of {TITLE} has either `at_us` or `after_frames`");
            report.add(&word.span(), what);
            None
        }
    };
    let chosen = chosen?;
    let needs_port = matches!(
        chosen,
        Word::Add | Word::Remove | Word::Change | Word::Restart | Word::Pause
    );
    let needs_adapter = matches!(chosen, Word::Add | Word::Link(_) | Word::Mac);
    let either = matches!(chosen, Word::Power(_));
    for (key, given, takes) in [
        (
            "port",
            port.as_ref().map(Spanned::span),
            needs_port || either,
        ),
        (
            "adapter",
            adapter.as_ref().map(Spanned::span),
            needs_adapter || either,
        ),
        (
            "mac",
            mac.as_ref().map(Spanned::span),
            matches!(chosen, Word::Mac),
        ),
        (
            "properties",
            properties.as_ref().map(|_| word.span()),
            matches!(chosen, Word::Change),
        ),
    ] {
        if let (Some(span), false) = (given, takes) {
            let what = format!("`{}` in {TITLE} has no use for `{key}`", word.get_ref());
            report.add(&span, what);
        }
    }
    let mut find = |key, value: Option<&Spanned<String>>, kind| {
        needed(key, value, &[kind], &word, names, report)
    };
    let mut port_name = || find("port", port.as_ref(), Kind::Miniport);
    let action = match chosen {
        Word::Add => {
            let port = port_name();
            let adapter = find("adapter", adapter.as_ref(), Kind::Adapter);
            Action::Add {
                port: port?,
                adapter: adapter?,
            }
        }
        Word::Remove => Action::Remove { port: port_name()? },
        Word::Restart => Action::Restart { port: port_name()? },
        Word::Pause => Action::Pause { port: port_name()? },
        Word::Change => {
            let port = port_name();
            let Some(properties) = properties else {
                let what = format!("`change` in {TITLE} needs the key `properties`");
                report.add(&word.span(), what);
                return None;
            };
            Action::Change {
                port: port?,
                properties: values(properties),
            }
        }
        Word::Power(up) => {
            let name = match &adapter {
                Some(_) => find("adapter", adapter.as_ref(), Kind::Adapter),
                None => port_name(),
            };
            Action::Power { name: name?, up }
        }
        Word::Link(up) => Action::Link {
            adapter: find("adapter", adapter.as_ref(), Kind::Adapter)?,
            up,
        },
        Word::Mac => {
            let adapter = find("adapter", adapter.as_ref(), Kind::Adapter);
            if mac.is_none() {
                let what = format!("`mac` in {TITLE} needs the key `mac`");
                report.add(&word.span(), what);
            }
            Action::Mac {
                adapter: adapter?,
                mac: given_mac?,
            }
        }
    };
    Some(Event {
        when: when?,
        action,
    })
}
