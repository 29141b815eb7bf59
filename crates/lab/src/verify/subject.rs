//! What is judged: a package, or a bare image.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::Path;

use im_control::{IOCTL_QUERY, Kind, Request};
use lab_host::report::StackSnapshot;
use lab_verify::faults::Site;
use lab_verify::shape::Partner;
use lab_verify::{Adapter, Ask, Miniport, Setting, Shape};
use serde::Deserialize;

use super::Place;
use crate::crash::stack::{Pointer, Symbols};
use crate::package::{Package, Role, Verified, sha256};
use crate::process::memory_file;
use crate::run::bad_topology;
use crate::topology::{self, Bond, ConfigValue, Topology};
use crate::trouble::Trouble;

/// Ports above an adapter that take part; the scenarios with thousands are `lab run`'s.
const PORTS: usize = 4;
/// Room for a reply of the control device.
const ROOM: u32 = 4096;

/// What is judged.
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Service of the protocol edge.
    pub service: String,
    /// Bytes of the image.
    pub image: Vec<u8>,
    /// Their hash.
    pub sha256: String,
    /// Configurations: that of the topology (without a name) and its variants.
    pub shapes: Vec<(String, Shape)>,
    symbols: Symbols,
    reasons: Vec<Reason>,
}

/// Why a fault site cannot be reached: an entry of `unreached.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// The function that is called.
    call: String,
    /// The driver's function that calls it: a part of its name.
    within: String,
    /// Which of its calls, in the order of the code, from 1; without it all of them.
    nth: Option<usize>,
    /// Why.
    #[allow(clippy::struct_field_names, reason = "the key in the file")]
    reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reasons {
    #[serde(default)]
    site: Vec<Reason>,
}

fn settings(values: &BTreeMap<String, ConfigValue>) -> BTreeMap<String, Setting> {
    let one = |(name, value): (&String, &ConfigValue)| {
        let setting = match value {
            ConfigValue::Text(text) => Setting::Text(text.clone()),
            ConfigValue::Number(number) => Setting::Integer(*number),
            ConfigValue::List(list) => Setting::List(list.clone()),
        };
        (name.clone(), setting)
    };
    values.iter().map(one).collect()
}

/// The shape of a topology: its adapters with a binding, at most [`PORTS`] miniports on each, and
/// the switch, if their wires lead to one that speaks LACP.
pub fn shape(topology: &Topology) -> Shape {
    shape_with(topology, None)
}

fn shape_with(topology: &Topology, bond: Option<Bond>) -> Shape {
    let bound: Vec<&str> = (topology.bindings.iter())
        .map(|b| b.adapter.as_str())
        .collect();
    let mut below = (topology.adapters.iter()).filter(|a| bound.contains(&&*a.name));
    let aggregated = below.all(|a| {
        let switch = a.wire.as_deref().and_then(|wire| topology.switch_of(wire));
        switch.is_some_and(|switch| bond.unwrap_or(switch.bond) == Bond::Lacp)
    });
    let mut names: Vec<&str> = Vec::new();
    let mut adapters = Vec::new();
    for binding in &topology.bindings {
        let Some(below) = topology.adapters.iter().find(|a| a.name == binding.adapter) else {
            continue;
        };
        let mut upper = Vec::new();
        for name in binding.upper.iter().take(PORTS) {
            let at = names.iter().position(|known| known == name);
            upper.push(at.unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            }));
        }
        adapters.push(Adapter {
            upper,
            values: settings(&binding.values),
            mtu: below.mtu,
            vlan_offload: below.vlan_offload,
            ..Adapter::default()
        });
    }
    let miniport = |name: &&str| {
        let known = topology.miniports.iter().find(|m| m.name == **name);
        let vlan = topology.vlan_of(name);
        Miniport {
            properties: known.map(|m| settings(&m.properties)).unwrap_or_default(),
            vlan: (vlan > 0).then_some(vlan),
            ..Miniport::default()
        }
    };
    Shape {
        miniports: names.iter().map(miniport).collect(),
        adapters,
        asks: asks(),
        partner: (aggregated && !bound.is_empty()).then_some(Partner::Lacp),
    }
}

/// Every kind of question in the control device's format, and some that are none.
fn asks() -> Vec<Ask> {
    const KINDS: [Kind; 6] = [
        Kind::Version,
        Kind::Ports,
        Kind::Counters,
        Kind::Drops,
        Kind::Events,
        Kind::Teams,
    ];
    let ask = |kind| Ask {
        code: IOCTL_QUERY,
        input: Request { kind, index: 0 }.to_bytes().to_vec(),
        output: ROOM,
    };
    let mut all: Vec<Ask> = KINDS.into_iter().map(ask).collect();
    all.push(Ask {
        code: IOCTL_QUERY,
        input: vec![1, 2, 3],
        output: 8,
    });
    all.push(Ask {
        code: IOCTL_QUERY ^ 4,
        input: Vec::new(),
        output: 0,
    });
    all
}

impl Subject {
    /// Opens a package or a `.sys` file.
    pub fn open(
        target: &Path,
        service: Option<&str>,
        topology: Option<&Path>,
    ) -> Result<Self, Trouble> {
        let bare = target.is_file();
        let (mut own, mut unreached) = (None, None);
        let (name, registered, image, sha, pdb) = if bare {
            let bytes = std::fs::read(target).map_err(|error| {
                Trouble::input(format!("cannot read the image: {error}")).at(target.display())
            })?;
            let stem = target.file_stem().unwrap_or_default();
            let name = stem.to_string_lossy().into_owned();
            let pdb = std::fs::read(target.with_extension("pdb")).ok();
            let sha = sha256(&bytes);
            (name.clone(), name, bytes, sha, pdb)
        } else {
            let package = Package::open(target)?;
            let image = package.required(Role::Image)?;
            own = package.optional(Role::Topology)?;
            unreached = package.optional(Role::Unreached)?;
            let pdb = package.optional(Role::Pdb)?.map(|pdb| pdb.bytes);
            let manifest = package.manifest();
            (
                manifest.driver.clone(),
                manifest.protocol.clone(),
                image.bytes,
                image.sha256,
                pdb,
            )
        };
        let read = match (topology, own) {
            (Some(path), _) => Some(Topology::load(path).map_err(|error| match error {
                topology::LoadError::Unreadable { file, error } => {
                    Trouble::input(format!("cannot read the topology: {error}")).at(file.display())
                }
                topology::LoadError::Bad(bad) => bad_topology(&bad),
            })?),
            (None, Some(own)) => {
                let text = String::from_utf8(own.bytes).map_err(|error| {
                    Trouble::input(format!("the topology is not UTF-8: {error}"))
                        .at(own.path.display())
                })?;
                Some(Topology::parse(&own.path, &text).map_err(|bad| bad_topology(&bad))?)
            }
            (None, None) => None,
        };
        let shapes = match &read {
            None => vec![(String::new(), Shape::default())],
            Some(topology) => shapes(topology),
        };
        Ok(Self {
            symbols: Symbols::new(&image, pdb),
            service: service.map_or(registered, str::to_owned),
            reasons: reasons(topology, unreached)?,
            sha256: sha,
            name,
            image,
            shapes,
        })
    }

    /// The image for a child.
    pub fn sealed(&self) -> Result<OwnedFd, Trouble> {
        memory_file(c"lab-image", &self.image, true)
            .map(OwnedFd::from)
            .map_err(|error| Trouble::host(format!("cannot hand the image over: {error}")))
    }

    /// The fault sites of the image. Its code is read, none of it is run.
    pub fn sites(&self) -> Result<BTreeSet<Site>, Trouble> {
        super::child::book(&self.image).map(|book| book.known())
    }

    /// Where sites are, in the order of the code, and why nothing reaches them.
    pub fn places<'a>(&mut self, sites: impl IntoIterator<Item = &'a Site>) -> Vec<Place> {
        let mut counts = vec![0; self.reasons.len()];
        let mut all = Vec::new();
        for site in sites {
            let (place, named) = self.place(site);
            let mut reason = None;
            for (entry, count) in self.reasons.iter().zip(&mut counts) {
                let fits = entry.call == site.call
                    && named.iter().any(|name| name.contains(&entry.within));
                if !fits {
                    continue;
                }
                *count += 1;
                if entry.nth.is_none_or(|nth| nth == *count) && reason.is_none() {
                    reason = Some(entry.reason.clone());
                }
            }
            all.push(Place {
                site: site.clone(),
                place,
                reason,
            });
        }
        all
    }

    /// Entries of `unreached.toml` that are about no call of the image.
    pub fn idle_reasons(&mut self, sites: &BTreeSet<Site>) -> Vec<String> {
        let named: Vec<(&Site, Vec<String>)> = sites
            .iter()
            .map(|site| (site, self.place(site).1))
            .collect();
        let about = |entry: &Reason| {
            let fits = named.iter().filter(|(site, names)| {
                entry.call == site.call && names.iter().any(|n| n.contains(&entry.within))
            });
            fits.count() >= entry.nth.unwrap_or(1)
        };
        let idle = self.reasons.iter().filter(|entry| !about(entry));
        idle.map(|entry| format!("{} in {}", entry.call, entry.within))
            .collect()
    }

    /// Where a site is, and the functions that it lies in.
    fn place(&mut self, site: &Site) -> (String, Vec<String>) {
        let snapshot = StackSnapshot {
            rip: u64::from(site.at),
            image_size: u64::from(u32::MAX),
            ..StackSnapshot::default()
        };
        let frames = self.symbols.frames(&snapshot, Pointer::Instruction);
        let place = frames.iter().find_map(|frame| {
            let file = frame.file.as_deref()?;
            // What a driver calls through is rarely what is of interest.
            let own = !file.contains("/rustc/") && !file.contains("library/core");
            own.then(|| {
                let function = frame.function.as_deref().unwrap_or("?");
                let outer = frames.last().and_then(|frame| frame.function.as_deref());
                let outer = outer.filter(|outer| *outer != function);
                let outer = outer.map_or(String::new(), |outer| format!(", part of {outer}"));
                format!("{function} at {file}:{}{outer}", frame.line.unwrap_or(0))
            })
        });
        let named = frames.into_iter().filter_map(|f| f.function);
        (
            place.unwrap_or_else(|| format!("image+{:#x}", site.at)),
            named.collect(),
        )
    }
}

/// The configurations of a topology.
fn shapes(topology: &Topology) -> Vec<(String, Shape)> {
    let mut all = vec![(String::new(), shape(topology))];
    for variant in &topology.variants {
        let mut shape = shape_with(topology, variant.bond);
        for miniport in &mut shape.miniports {
            miniport.frames = variant.frames;
            miniport.properties.extend(settings(&variant.properties));
        }
        for adapter in &mut shape.adapters {
            adapter.values.extend(settings(&variant.values));
        }
        all.push((variant.name.clone(), shape));
    }
    all
}

/// The package's `unreached.toml`, or the one beside the topology file that was named.
fn reasons(named: Option<&Path>, own: Option<Verified>) -> Result<Vec<Reason>, Trouble> {
    let beside = named.map(|topology| topology.with_file_name("unreached.toml"));
    let (path, text) = match (beside.filter(|path| path.is_file()), own) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                Trouble::input(format!("cannot read the reasons: {error}")).at(path.display())
            })?;
            (path, text)
        }
        (None, Some(own)) => {
            let text = String::from_utf8_lossy(&own.bytes).into_owned();
            (own.path, text)
        }
        (None, None) => return Ok(Vec::new()),
    };
    toml::from_str::<Reasons>(&text)
        .map(|reasons| reasons.site)
        .map_err(|error| Trouble::input(error.to_string()).at(path.display()))
}
