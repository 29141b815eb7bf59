//! From tables to a topology: ranges, names, references, cycles. Goes on after
//! a mistake, so that a file's mistakes are reported together; what it returns
//! then is thrown away by the caller.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lab_net::Mac;
use lab_net::vlan::{LAST_VLAN, Tag};
use toml::Spanned;

use super::problem::Report;
use super::raw::{self, ConfigValueText, File};
use super::{
    Adapter, Binding, Capability, Carrier, ConfigValue, Engine, Generator, Host, Lab, Medium,
    Miniport, NdisVersion, Place, Replay, Sink, Stack, Topology, Variant, Wire, images, ports,
    stacking, teams, timeline,
};

/// Versions that the host can pretend to be.
const NDIS_VERSIONS: [(&str, NdisVersion); 5] = [
    (
        "6.84",
        NdisVersion {
            major: 6,
            minor: 84,
        },
    ),
    (
        "6.85",
        NdisVersion {
            major: 6,
            minor: 85,
        },
    ),
    (
        "6.86",
        NdisVersion {
            major: 6,
            minor: 86,
        },
    ),
    (
        "6.87",
        NdisVersion {
            major: 6,
            minor: 87,
        },
    ),
    (
        "6.89",
        NdisVersion {
            major: 6,
            minor: 89,
        },
    ),
];

const ENGINES: [(&str, Engine); 2] = [
    ("deterministic", Engine::Deterministic),
    ("real-time", Engine::RealTime),
];

const CAPABILITIES: [(&str, Capability); 5] = [
    ("offload", Capability::Offload),
    ("rss", Capability::Rss),
    ("pm", Capability::Pm),
    ("vmq", Capability::Vmq),
    ("sriov", Capability::Sriov),
];

const STACKS: [(&str, Stack); 2] = [("embedded", Stack::Embedded), ("linux", Stack::Linux)];

const CARRIERS: [(&str, Carrier); 2] = [("private", Carrier::Private), ("udp", Carrier::Udp)];

const MEDIA: [(&str, Medium); 2] = [("ethernet", Medium::Ethernet), ("wifi", Medium::Wifi)];

const PLACES: [&str; 4] = ["miniport", "wire", "adapter", "switch"];

/// RFC 8200 asks for 1280; the upper end is the largest jumbo frame in use.
const MTU: RangeInclusive<i64> = 1280..=16_110;

/// The longest name: NDIS device names are longer than anything sensible.
const LONGEST_NAME: usize = 128;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Adapter,
    Wire,
    Miniport,
    Host,
    Generator,
    Sink,
    Replay,
    Switch,
    Image,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Adapter => "adapter",
            Self::Wire => "wire",
            Self::Miniport => "miniport",
            Self::Host => "host",
            Self::Generator => "generator",
            Self::Sink => "sink",
            Self::Replay => "replay",
            Self::Switch => "switch",
            Self::Image => "image",
        }
    }

    fn with_article(self) -> String {
        let vowel = matches!(self, Self::Adapter | Self::Image);
        let article = if vowel { "an" } else { "a" };
        format!("{article} {}", self.word())
    }
}

/// All names of a file. They share one space: a message or a report names a
/// thing without saying what kind of thing it is.
pub(super) struct Names {
    known: BTreeMap<String, (Kind, Range<usize>)>,
    /// There are names that could not be read: none is called unknown.
    incomplete: bool,
}

impl Names {
    fn declare(&mut self, kind: Kind, name: &Spanned<String>, report: &mut Report) {
        let (text, span) = (name.get_ref(), name.span());
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.{}\\".contains(c);
        if text.is_empty() || text.len() > LONGEST_NAME || !text.chars().all(fits) {
            let rule = r"1 to 128 letters, digits or one of - _ . { } \";
            report.add(
                &span,
                format!("{} name `{text}`: a name is {rule}", kind.word()),
            );
        } else if let Some((other, first)) = self.known.get(text) {
            let line = report.line(first);
            report.add(
                &span,
                format!(
                    "the name `{text}` is taken by the {} in line {line}",
                    other.word()
                ),
            );
        } else {
            self.known.insert(text.clone(), (kind, span));
        }
    }

    fn of(&self, kinds: &[Kind]) -> impl Iterator<Item = &str> {
        self.known
            .iter()
            .filter(|(_, (kind, _))| kinds.contains(kind))
            .map(|(name, _)| name.as_str())
    }

    /// Whether a reference leads to something of these kinds.
    pub(super) fn refer(
        &self,
        kinds: &[Kind],
        name: &str,
        span: &Range<usize>,
        report: &mut Report,
    ) -> bool {
        let words: Vec<_> = kinds.iter().map(|kind| kind.word()).collect();
        match self.known.get(name) {
            Some((kind, _)) if kinds.contains(kind) => return true,
            Some((kind, _)) => {
                let what = format!(
                    "`{name}` names {}, but {} is needed here",
                    kind.with_article(),
                    kinds
                        .iter()
                        .map(|kind| kind.with_article())
                        .collect::<Vec<_>>()
                        .join(" or ")
                );
                report.unknown(span, what, name, self.of(kinds));
            }
            None if self.incomplete => {}
            None => {
                let what = format!("there is no {} named `{name}`", words.join(" or "));
                report.unknown(span, what, name, self.of(kinds));
            }
        }
        false
    }
}

/// A value of one table, by key, for the messages.
pub(super) struct Field<'r>(pub &'r mut Report, pub &'static str);

impl Field<'_> {
    pub(super) fn number(
        &mut self,
        key: &str,
        value: Option<&Spanned<i64>>,
        range: RangeInclusive<i64>,
        default: i64,
    ) -> i64 {
        let Some(value) = value else {
            return default;
        };
        let number = *value.get_ref();
        if !range.contains(&number) {
            let (low, high, title) = (range.start(), range.end(), self.1);
            let what = format!("`{key}` = {number} in {title} is out of range ({low} to {high})");
            self.0.add(&value.span(), what);
            return default;
        }
        number
    }

    fn ratio(&mut self, key: &str, value: Option<&Spanned<f64>>, default: f64) -> f64 {
        let Some(value) = value else {
            return default;
        };
        let ratio = *value.get_ref();
        if !(0.0..=1.0).contains(&ratio) {
            let what = format!("`{key}` = {ratio} in {} is out of range (0 to 1)", self.1);
            self.0.add(&value.span(), what);
            return default;
        }
        ratio
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &str,
        value: &Spanned<String>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let given = value.get_ref();
        let found = choices
            .iter()
            .find(|(name, _)| name == given)
            .map(|(_, choice)| *choice);
        if found.is_none() {
            let what = format!("`{key}` = \"{given}\" in {} is unknown", self.1);
            self.0.unknown(
                &value.span(),
                what,
                given,
                choices.iter().map(|(name, _)| *name),
            );
        }
        found
    }

    fn choice_or<T: Copy>(
        &mut self,
        key: &str,
        value: Option<&Spanned<String>>,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        value
            .and_then(|value| self.choice(key, value, choices))
            .unwrap_or(default)
    }

    pub(super) fn mac(&mut self, value: Option<&Spanned<String>>) -> Option<Mac> {
        let value = value?;
        match value.get_ref().parse::<Mac>() {
            Ok(mac) if mac.is_unicast() => Some(mac),
            Ok(mac) => {
                let what = format!("`mac` = \"{mac}\" in {} is not a unicast address", self.1);
                self.0.add(&value.span(), what);
                None
            }
            Err(error) => {
                self.0
                    .add(&value.span(), format!("`mac` in {}: {error}", self.1));
                None
            }
        }
    }

    fn cidr<A: FromStr>(
        &mut self,
        key: &str,
        value: Option<&Spanned<String>>,
        longest: u8,
        example: &str,
    ) -> Option<(A, u8)> {
        let value = value?;
        let text = value.get_ref();
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let prefix = prefix.parse().ok().filter(|prefix| *prefix <= longest)?;
            Some((address.parse().ok()?, prefix))
        });
        if parsed.is_none() {
            let what = format!(
                "`{key}` = \"{text}\" in {} is not an address with a prefix, as in {example}",
                self.1
            );
            self.0.add(&value.span(), what);
        }
        parsed
    }

    fn place(&mut self, value: &Spanned<String>, names: &Names) -> Place {
        let (text, span) = (value.get_ref(), value.span());
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let (kind, place) = match kind {
            "miniport" => (Kind::Miniport, Place::Miniport(name.to_owned())),
            "wire" => (Kind::Wire, Place::Wire(name.to_owned())),
            "adapter" => (Kind::Adapter, Place::Adapter(name.to_owned())),
            "switch" => (Kind::Switch, Place::Switch(name.to_owned())),
            _ => {
                let what = format!(
                    "`on` = \"{text}\" in {} is no place, as in \"wire:w0\"",
                    self.1
                );
                self.0.unknown(&span, what, kind, PLACES);
                return Place::Wire(String::new());
            }
        };
        names.refer(&[kind], name, &span, self.0);
        place
    }
}

pub(super) fn values(raw: BTreeMap<String, ConfigValueText>) -> BTreeMap<String, ConfigValue> {
    raw.into_iter()
        .map(|(name, value)| (name, value.0))
        .collect()
}

/// Reports what an earlier table said already.
pub(super) struct Once<K>(Vec<(K, Range<usize>)>);

impl<K: PartialEq> Once<K> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn claim(
        &mut self,
        key: K,
        span: Range<usize>,
        report: &mut Report,
        what: impl FnOnce(usize) -> String,
    ) {
        if let Some((_, first)) = self.0.iter().find(|(known, _)| *known == key) {
            let line = report.line(first);
            report.add(&span, what(line));
        } else {
            self.0.push((key, span));
        }
    }
}

pub(super) fn check(file: &Path, mut raw: File, report: &mut Report) -> Topology {
    ports::expand(&mut raw, report);
    let teams = teams::expand(&mut raw, report);
    let mut names = Names {
        known: BTreeMap::new(),
        incomplete: raw.incomplete,
    };
    for (kind, name) in declarations(&raw) {
        names.declare(kind, name, report);
    }
    stacking::check(&raw, &names, report);
    let images = images::check(&raw, &names, report);
    let mut macs = Once::new();
    let lab = lab(&raw.lab, report);
    let adapters = adapters(&raw.adapters, &names, &mut macs, report);
    for wire in &raw.wires {
        let name = wire.name.get_ref();
        if !raw.incomplete
            && !adapters
                .iter()
                .any(|adapter| adapter.wire.as_ref() == Some(name))
        {
            report.add(
                &wire.name.span(),
                format!("no adapter is plugged into wire `{name}`"),
            );
        }
    }
    let switches = teams::switches(&raw.switches, &names, report);
    let places = raw.hosts.iter().map(|host| &host.on);
    let places = places.chain(raw.generators.iter().map(|generator| &generator.on));
    let places = places.chain(raw.sinks.iter().map(|sink| &sink.on));
    let places = places.chain(raw.replays.iter().map(|replay| &replay.on));
    teams::check_places(&switches, places, report);
    let hosts = hosts(&raw.hosts, &names, &mut macs, report);
    let generators = raw
        .generators
        .iter()
        .map(|raw| generator(raw, &names, report))
        .collect();
    let mut known = Once::new();
    for variant in &raw.variants {
        let name = variant.name.get_ref();
        known.claim(name.clone(), variant.name.span(), report, |line| {
            format!("variant `{name}` is there already, in line {line}")
        });
    }
    Topology {
        variants: raw
            .variants
            .into_iter()
            .map(|variant| Variant {
                name: variant.name.into_inner(),
                properties: values(variant.properties),
                values: values(variant.values),
                bond: variant.bond,
                frames: variant.frames,
            })
            .collect(),
        file: file.to_owned(),
        timeline: timeline::check(&mut raw.timeline, &names, report),
        lab,
        adapters,
        images,
        teams,
        switches,
        hosts,
        generators,
        sinks: raw
            .sinks
            .iter()
            .map(|sink| Sink {
                name: sink.name.get_ref().clone(),
                on: Field(report, "[[sink]]").place(&sink.on, &names),
                tag: tag("[[sink]]", &sink.on, (&sink.vlan, &None), report),
            })
            .collect(),
        replays: raw
            .replays
            .iter()
            .map(|replay| Replay {
                name: replay.name.get_ref().clone(),
                on: Field(report, "[[replay]]").place(&replay.on, &names),
                file: PathBuf::from(replay.file.get_ref()),
            })
            .collect(),
        wires: raw
            .wires
            .into_iter()
            .map(|wire| Wire {
                name: wire.name.into_inner(),
                record: wire.record.map(|record| record.into_inner().into()),
            })
            .collect(),
        miniports: raw
            .miniports
            .into_iter()
            .map(|miniport| Miniport {
                name: miniport.name.into_inner(),
                fold_tags: miniport.fold_tags.unwrap_or(false),
                window: miniport.window.as_ref().map(|window| {
                    let mut field = Field(report, "[[miniport]]");
                    field.number("window", Some(window), 1..=1 << 16, 256) as u64
                }),
                properties: values(miniport.properties),
                protocol: miniport.protocol.map(Spanned::into_inner),
            })
            .collect(),
        bindings: raw
            .bindings
            .into_iter()
            .map(|binding| Binding {
                adapter: binding.adapter.into_inner(),
                upper: binding
                    .upper
                    .into_inner()
                    .into_iter()
                    .map(Spanned::into_inner)
                    .collect(),
                values: values(binding.values),
            })
            .collect(),
    }
}

fn declarations(raw: &File) -> Vec<(Kind, &Spanned<String>)> {
    let mut list = Vec::new();
    list.extend(raw.adapters.iter().map(|item| (Kind::Adapter, &item.name)));
    list.extend(raw.wires.iter().map(|item| (Kind::Wire, &item.name)));
    list.extend(
        raw.miniports
            .iter()
            .map(|item| (Kind::Miniport, &item.name)),
    );
    list.extend(raw.hosts.iter().map(|item| (Kind::Host, &item.name)));
    list.extend(
        raw.generators
            .iter()
            .map(|item| (Kind::Generator, &item.name)),
    );
    list.extend(raw.sinks.iter().map(|item| (Kind::Sink, &item.name)));
    list.extend(raw.replays.iter().map(|item| (Kind::Replay, &item.name)));
    list.extend(raw.switches.iter().map(|item| (Kind::Switch, &item.name)));
    list.extend(raw.images.iter().map(|item| (Kind::Image, &item.name)));
    // In the order of the file, so that "taken by" names the earlier one.
    list.sort_by_key(|(_, name)| name.span().start);
    list
}

fn lab(raw: &raw::Lab, report: &mut Report) -> Lab {
    let mut field = Field(report, "[lab]");
    let default = NDIS_VERSIONS[3].1;
    Lab {
        seed: raw
            .seed
            .as_ref()
            .map(|seed| field.number("seed", Some(seed), 0..=i64::MAX, 0) as u64),
        processors: field.number("processors", raw.processors.as_ref(), 1..=64, 4) as u32,
        ndis_version: field.choice_or(
            "ndis_version",
            raw.ndis_version.as_ref(),
            &NDIS_VERSIONS,
            default,
        ),
        engine: field.choice_or(
            "engine",
            raw.engine.as_ref(),
            &ENGINES,
            Engine::Deterministic,
        ),
        scenario: raw
            .scenario
            .as_ref()
            .and_then(|name| scenario(name, report)),
    }
}

fn scenario(name: &Spanned<String>, report: &mut Report) -> Option<String> {
    let given = name.get_ref();
    if crate::drive::scenarios().any(|known| known == given) {
        return Some(given.clone());
    }
    let what = format!("`scenario` = \"{given}\" in [lab] is unknown");
    report.unknown(&name.span(), what, given, crate::drive::scenarios());
    None
}

/// The tag of an endpoint: on a wire a VLAN, a priority or both, elsewhere a priority.
fn tag(
    title: &'static str,
    on: &Spanned<String>,
    (vlan, priority): (&Option<Spanned<i64>>, &Option<Spanned<i64>>),
    report: &mut Report,
) -> Option<Tag> {
    if let Some(text) = vlan
        && !on.get_ref().starts_with("wire:")
        && !on.get_ref().starts_with("switch:")
    {
        let what = format!(
            "`vlan` in {title} is for endpoints on a wire: on {} the driver puts the tag",
            on.get_ref()
        );
        report.add(&text.span(), what);
        return None;
    }
    let mut field = Field(report, title);
    let number = |field: &mut Field<'_>, key, value: &Option<Spanned<i64>>, high| {
        let value = value.as_ref();
        value.map(|value| field.number(key, Some(value), 0..=high, 0))
    };
    let vlan = number(&mut field, "vlan", vlan, i64::from(LAST_VLAN));
    let priority = number(&mut field, "priority", priority, 7);
    (vlan.is_some() || priority.is_some()).then(|| Tag {
        vlan: vlan.unwrap_or(0) as u16,
        priority: priority.unwrap_or(0) as u8,
    })
}

fn adapters(
    raw: &[raw::Adapter],
    names: &Names,
    macs: &mut Once<Mac>,
    report: &mut Report,
) -> Vec<Adapter> {
    let mut plugged = Once::new();
    let mut adapters = Vec::new();
    for (index, raw) in raw.iter().enumerate() {
        let mut field = Field(report, "[[adapter]]");
        let mut capabilities: Vec<_> = raw
            .capabilities
            .iter()
            .filter_map(|name| field.choice("capabilities", name, &CAPABILITIES))
            .collect();
        capabilities.sort_unstable();
        capabilities.dedup();
        let mac = field.mac(raw.mac.as_ref());
        adapters.push(Adapter {
            name: raw.name.get_ref().clone(),
            mac: mac.unwrap_or(Mac::local(0, index as u16)),
            mtu: field.number("mtu", raw.mtu.as_ref(), MTU, 1_500) as u32,
            link_speed_mbps: field.number(
                "link_speed_mbps",
                raw.link_speed_mbps.as_ref(),
                1..=1_000_000,
                10_000,
            ) as u64,
            latency_us: field.number("latency_us", raw.latency_us.as_ref(), 0..=10_000_000, 10)
                as u64,
            queue_depth: field.number("queue_depth", raw.queue_depth.as_ref(), 1..=65_536, 4_096)
                as u32,
            pend_ratio: field.ratio("pend_ratio", raw.pend_ratio.as_ref(), 0.5),
            resources_ratio: field.ratio("resources_ratio", raw.resources_ratio.as_ref(), 0.1),
            out_of_order: raw.out_of_order.unwrap_or(true),
            capabilities,
            wire: raw.wire.as_ref().map(|wire| wire.get_ref().clone()),
            vlan_offload: raw.vlan_offload.unwrap_or(false),
            refuse_promiscuous: raw.refuse_promiscuous.unwrap_or(false),
            medium: field.choice_or("medium", raw.medium.as_ref(), &MEDIA, Medium::Ethernet),
            read_only_ratio: field.ratio("read_only_ratio", raw.read_only_ratio.as_ref(), 0.0),
            split_headers: raw.split_headers.unwrap_or(false),
            paced: raw.paced.unwrap_or(false),
            driver: raw.driver.as_ref().map(|driver| driver.get_ref().clone()),
        });
        if let (Some(mac), Some(text)) = (mac, &raw.mac) {
            claim_mac(macs, mac, text, report);
        }
        if let Some(wire) = &raw.wire
            && names.refer(&[Kind::Wire], wire.get_ref(), &wire.span(), report)
        {
            let name = wire.get_ref();
            plugged.claim(name.clone(), wire.span(), report, |line| {
                format!(
                    "wire `{name}` is taken by the adapter in line {line}: a wire has one adapter"
                )
            });
        }
    }
    adapters
}

fn claim_mac(macs: &mut Once<Mac>, mac: Mac, text: &Spanned<String>, report: &mut Report) {
    macs.claim(mac, text.span(), report, |line| {
        format!("the address {mac} is already in line {line}")
    });
}

fn hosts(raw: &[raw::Host], names: &Names, macs: &mut Once<Mac>, report: &mut Report) -> Vec<Host> {
    let mut addresses = Once::new();
    let mut hosts = Vec::new();
    for raw in raw {
        let mut field = Field(report, "[[host]]");
        let on = field.place(&raw.on, names);
        let mac = field.mac(raw.mac.as_ref());
        let mtu = raw
            .mtu
            .as_ref()
            .map(|mtu| field.number("mtu", Some(mtu), MTU, 1_500) as u32);
        let ipv4: Option<(Ipv4Addr, u8)> = field.cidr("ipv4", raw.ipv4.as_ref(), 32, "10.0.0.1/24");
        let ipv6: Option<(Ipv6Addr, u8)> = field.cidr("ipv6", raw.ipv6.as_ref(), 128, "fd00::1/64");
        let stack = field.choice_or("stack", raw.stack.as_ref(), &STACKS, Stack::Embedded);
        if raw.ipv4.is_none() && raw.ipv6.is_none() {
            let what = format!(
                "host `{}` needs an address: `ipv4` or `ipv6`",
                raw.name.get_ref()
            );
            report.add(&raw.name.span(), what);
        }
        if let (Some(mac), Some(text)) = (mac, &raw.mac) {
            if matches!(on, Place::Wire(_) | Place::Switch(_)) {
                claim_mac(macs, mac, text, report);
            } else {
                let what =
                    format!("a host on {on} has the address of what it stands on: no `mac` here");
                report.add(&text.span(), what);
            }
        }
        for (text, address) in [
            (&raw.ipv4, ipv4.map(|(address, _)| address.to_string())),
            (&raw.ipv6, ipv6.map(|(address, _)| address.to_string())),
        ] {
            if let (Some(text), Some(address)) = (text, address) {
                addresses.claim(address.clone(), text.span(), report, |line| {
                    format!("the address {address} is already in line {line}")
                });
            }
        }
        hosts.push(Host {
            name: raw.name.get_ref().clone(),
            on,
            mac,
            mtu,
            ipv4,
            ipv6,
            stack,
            tag: tag("[[host]]", &raw.on, (&raw.vlan, &raw.priority), report),
        });
    }
    hosts
}

fn generator(raw: &raw::Generator, names: &Names, report: &mut Report) -> Generator {
    names.refer(&[Kind::Sink], raw.to.get_ref(), &raw.to.span(), report);
    let tag = tag("[[generator]]", &raw.on, (&raw.vlan, &raw.priority), report);
    let mut field = Field(report, "[[generator]]");
    Generator {
        tag,
        name: raw.name.get_ref().clone(),
        on: field.place(&raw.on, names),
        to: raw.to.get_ref().clone(),
        frames: field.number("frames", raw.frames.as_ref(), 1..=1_000_000_000, 10_000) as u64,
        burst: field.number("burst", raw.burst.as_ref(), 1..=65_536, 32) as u32,
        interval_us: field.number("interval_us", raw.interval_us.as_ref(), 0..=60_000_000, 0)
            as u64,
        carrier: field.choice_or("carrier", raw.carrier.as_ref(), &CARRIERS, Carrier::Private),
    }
}
