//! The file as it stands: tables with the places of their values, nothing
//! checked but keys and types.
//!
//! serde stops at the first mistake of a table. To report all of them, a key
//! whose value does not fit is reported, taken out of a copy of the table, and
//! the rest is read again.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::ConfigValue;
use super::problem::Report;

/// A whole number. Signed, so that the range check can name what was written.
type Number = Option<Spanned<i64>>;
type Ratio = Option<Spanned<f64>>;
type Text = Option<Spanned<String>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lab {
    pub seed: Number,
    pub processors: Number,
    pub ndis_version: Text,
    pub engine: Text,
    pub scenario: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Adapter {
    pub name: Spanned<String>,
    pub mac: Text,
    pub mtu: Number,
    pub link_speed_mbps: Number,
    pub latency_us: Number,
    pub queue_depth: Number,
    pub pend_ratio: Ratio,
    pub resources_ratio: Ratio,
    pub out_of_order: Option<bool>,
    #[serde(default)]
    pub capabilities: Vec<Spanned<String>>,
    pub wire: Text,
    pub vlan_offload: Option<bool>,
    pub refuse_promiscuous: Option<bool>,
    pub medium: Text,
    pub read_only_ratio: Ratio,
    pub split_headers: Option<bool>,
    pub paced: Option<bool>,
    pub driver: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    pub name: Spanned<String>,
    pub file: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wire {
    pub name: Spanned<String>,
    pub record: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Miniport {
    pub name: Spanned<String>,
    pub fold_tags: Option<bool>,
    pub window: Number,
    #[serde(default)]
    pub properties: BTreeMap<String, ConfigValueText>,
    pub protocol: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ports {
    pub name: Spanned<String>,
    pub adapter: Spanned<String>,
    pub count: Spanned<i64>,
    pub first: Number,
    pub vlan_from: Number,
    #[serde(default)]
    pub properties: BTreeMap<String, ConfigValueText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Team {
    pub name: Spanned<String>,
    #[serde(default)]
    pub member: Vec<Member>,
    pub fold_tags: Option<bool>,
    pub window: Number,
    #[serde(default)]
    pub properties: BTreeMap<String, ConfigValueText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Member {
    pub adapter: Spanned<String>,
    #[serde(default)]
    pub values: BTreeMap<String, ConfigValueText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    pub name: Spanned<String>,
    pub wires: Spanned<Vec<Spanned<String>>>,
    pub bond: Text,
    pub spread: Text,
    pub priority: Number,
    pub system: Text,
    pub key: Number,
    pub active: Option<bool>,
    pub fast: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    pub at_us: Number,
    pub after_frames: Number,
    pub action: Spanned<String>,
    pub port: Text,
    pub adapter: Text,
    pub properties: Option<BTreeMap<String, ConfigValueText>>,
    pub mac: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Binding {
    pub adapter: Spanned<String>,
    pub upper: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    pub values: BTreeMap<String, ConfigValueText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    pub name: Spanned<String>,
    pub on: Spanned<String>,
    pub mac: Text,
    pub mtu: Number,
    pub ipv4: Text,
    pub ipv6: Text,
    pub stack: Text,
    pub vlan: Number,
    pub priority: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Generator {
    pub name: Spanned<String>,
    pub on: Spanned<String>,
    pub to: Spanned<String>,
    pub frames: Number,
    pub burst: Number,
    pub interval_us: Number,
    pub carrier: Text,
    pub vlan: Number,
    pub priority: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sink {
    pub name: Spanned<String>,
    pub on: Spanned<String>,
    pub vlan: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    pub name: Spanned<String>,
    pub on: Spanned<String>,
    pub file: Spanned<String>,
}

/// [`ConfigValue`] as it is written.
#[derive(Clone)]
pub(super) struct ConfigValueText(pub ConfigValue);

impl<'de> Deserialize<'de> for ConfigValueText {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ConfigValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a string, a number from 0 to 4294967295, true, false or a list of strings",
                )
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<ConfigValue, E> {
                Ok(ConfigValue::Number(value.into()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<ConfigValue, E> {
                u32::try_from(value)
                    .map(ConfigValue::Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<ConfigValue, E> {
                Ok(ConfigValue::Text(value.to_owned()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<ConfigValue, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(ConfigValue::List(texts))
            }
        }

        deserializer.deserialize_any(Visitor).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    pub name: Spanned<String>,
    #[serde(default)]
    pub properties: BTreeMap<String, ConfigValueText>,
    #[serde(default)]
    pub values: BTreeMap<String, ConfigValueText>,
    #[serde(default)]
    pub bond: Option<super::Bond>,
    #[serde(default)]
    pub frames: lab_verify::shape::Frames,
}

/// The whole file.
#[derive(Default)]
pub(super) struct File {
    pub lab: Lab,
    pub adapters: Vec<Adapter>,
    pub wires: Vec<Wire>,
    pub miniports: Vec<Miniport>,
    pub ports: Vec<Ports>,
    pub bindings: Vec<Binding>,
    pub hosts: Vec<Host>,
    pub generators: Vec<Generator>,
    pub sinks: Vec<Sink>,
    pub replays: Vec<Replay>,
    pub timeline: Vec<Event>,
    pub teams: Vec<Team>,
    pub switches: Vec<Switch>,
    pub images: Vec<Image>,
    pub variants: Vec<Variant>,
    /// A table could not be read at all: what refers to it is not at fault.
    pub incomplete: bool,
}

const SECTIONS: [&str; 15] = [
    "lab",
    "adapter",
    "wire",
    "miniport",
    "ports",
    "binding",
    "host",
    "generator",
    "sink",
    "replay",
    "timeline",
    "team",
    "switch",
    "image",
    "variant",
];

/// Reads the file's tables. Returns nothing if the text is no TOML: what a
/// broken text seems to say is not worth a message.
pub(super) fn read(text: &str, report: &mut Report) -> Option<File> {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        report.add(
            &span,
            error.message().lines().next().unwrap_or("this is not TOML"),
        );
    }
    if !errors.is_empty() {
        return None;
    }
    let mut file = File::default();
    let tables_before = count(root.get_ref());
    for (key, value) in root.into_inner() {
        let section = key.get_ref().as_ref();
        let place = key.span();
        match section {
            "lab" => {
                let title = "[lab]";
                if let DeValue::Table(table) = value.get_ref() {
                    if let Some(lab) = table_of(title, &value.span(), table, report) {
                        file.lab = lab;
                    }
                } else {
                    report.add(&place, format!("`lab` has to be one table, {title}"));
                }
            }
            "adapter" => file.adapters = tables_of(section, &place, &value, report),
            "wire" => file.wires = tables_of(section, &place, &value, report),
            "miniport" => file.miniports = tables_of(section, &place, &value, report),
            "ports" => file.ports = tables_of(section, &place, &value, report),
            "timeline" => file.timeline = tables_of(section, &place, &value, report),
            "team" => file.teams = tables_of(section, &place, &value, report),
            "switch" => file.switches = tables_of(section, &place, &value, report),
            "image" => file.images = tables_of(section, &place, &value, report),
            "variant" => file.variants = tables_of(section, &place, &value, report),
            "binding" => file.bindings = tables_of(section, &place, &value, report),
            "host" => file.hosts = tables_of(section, &place, &value, report),
            "generator" => file.generators = tables_of(section, &place, &value, report),
            "sink" => file.sinks = tables_of(section, &place, &value, report),
            "replay" => file.replays = tables_of(section, &place, &value, report),
            other => report.unknown(
                &place,
                format!("unknown section `{other}`"),
                other,
                SECTIONS,
            ),
        }
    }
    let tables = file.adapters.len()
        + file.wires.len()
        + file.miniports.len()
        + file.bindings.len()
        + file.hosts.len()
        + file.generators.len()
        + file.sinks.len()
        + file.replays.len()
        + file.ports.len()
        + file.timeline.len()
        + file.teams.len()
        + file.switches.len()
        + file.images.len()
        + file.variants.len();
    file.incomplete = tables < tables_before;
    Some(file)
}

/// Tables under [[…]] of known and unknown sections.
fn count(root: &DeTable<'_>) -> usize {
    let lists = root.values().map(|value| match value.get_ref() {
        DeValue::Array(list) => list.len(),
        // A single table where a list belongs.
        _ => 1,
    });
    lists
        .sum::<usize>()
        .saturating_sub(usize::from(root.contains_key("lab")))
}

fn tables_of<T: DeserializeOwned>(
    section: &str,
    place: &Range<usize>,
    value: &Spanned<DeValue<'_>>,
    report: &mut Report,
) -> Vec<T> {
    let title = format!("[[{section}]]");
    let mut tables = Vec::new();
    let mut wrong = false;
    match value.get_ref() {
        DeValue::Array(list) => {
            for item in list {
                match item.get_ref() {
                    DeValue::Table(table) => {
                        tables.extend(table_of(&title, &item.span(), table, report));
                    }
                    _ => wrong = true,
                }
            }
        }
        _ => wrong = true,
    }
    if wrong {
        report.add(
            place,
            format!("`{section}` has to be a list of tables, each under {title}"),
        );
    }
    tables
}

/// The names within backquotes in one of serde's messages.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

fn table_of<T: DeserializeOwned>(
    title: &str,
    place: &Range<usize>,
    table: &DeTable<'_>,
    report: &mut Report,
) -> Option<T> {
    let mut rest = table.clone();
    let mut spoiled: Vec<String> = Vec::new();
    loop {
        let value = Spanned::new(place.clone(), DeValue::Table(rest.clone()));
        let error = match T::deserialize(ValueDeserializer::from(value)) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let message = error.message();
        let names = quoted(message);
        if message.starts_with("missing field") {
            let key = names.first().copied().unwrap_or_default();
            if !spoiled.iter().any(|name| name == key) {
                report.add(place, format!("{title} needs the key `{key}`"));
            }
            return None;
        }
        let span = error.span().unwrap_or_else(|| place.clone());
        let inside = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
        let found = rest
            .iter()
            .find(|(key, value)| inside(key.span()) || inside(value.span()));
        let Some(key) = found.map(|(key, _)| key.get_ref().to_string()) else {
            report.add(&span, format!("{title}: {message}"));
            return None;
        };
        if message.starts_with("unknown field") {
            let allowed = names.get(1..).unwrap_or_default();
            report.unknown(
                &span,
                format!("unknown key `{key}` in {title}"),
                &key,
                allowed.iter().copied(),
            );
        } else {
            report.add(&span, format!("`{key}` in {title}: {}", plain(message)));
            spoiled.push(key.clone());
        }
        rest.remove(key.as_str());
    }
}

/// serde's message in the words of a file's author.
fn plain(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    for (rust, word) in [
        ("expected i64", "expected a whole number"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
        ("expected a sequence", "expected a list"),
        ("expected a map", "expected a table"),
    ] {
        if let Some(start) = message.strip_suffix(rust) {
            return format!("{start}{word}");
        }
    }
    message.to_owned()
}
