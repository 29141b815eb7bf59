//! What is judged: a package, or a bare image.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::Path;

use im_control::{IOCTL_QUERY, Kind, Request};
use lab_host::report::StackSnapshot;
use lab_verify::faults::Site;
use lab_verify::{Adapter, Ask, Miniport, Setting, Shape};
use serde::Deserialize;

use super::Place;
use crate::crash::stack::{Pointer, Symbols};
use crate::package::{Package, Role, sha256};
use crate::process::memory_file;
use crate::run::bad_topology;
use crate::topology::{self, ConfigValue, Topology};
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

/// Why a fault site cannot be reached: an entry of `unreached.toml` beside the topology.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// The function that is called.
    call: String,
    /// The driver's function that calls it: the end of its name.
    within: String,
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

/// The shape of a topology: its adapters with a binding, and at most [`PORTS`] miniports on
/// each.
fn shape(topology: &Topology) -> Shape {
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
        let mut own = None;
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
            reasons: reasons(read.as_ref())?,
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

    /// Where a site is, and why nothing reaches it.
    pub fn place(&mut self, site: &Site) -> Place {
        let snapshot = StackSnapshot {
            rip: u64::from(site.at),
            image_size: u64::from(u32::MAX),
            ..StackSnapshot::default()
        };
        let frames = self.symbols.frames(&snapshot, Pointer::Instruction);
        let named: Vec<&str> = frames
            .iter()
            .filter_map(|f| f.function.as_deref())
            .collect();
        let reason = self.reasons.iter().find(|reason| {
            reason.call == site.call && named.iter().any(|name| name.ends_with(&reason.within))
        });
        let reason = reason.map(|reason| reason.reason.clone());
        let place = frames.iter().find_map(|frame| {
            let file = frame.file.as_deref()?;
            // What a driver calls through is rarely what is of interest.
            let own = !file.contains("/rustc/") && !file.contains("library/core");
            own.then(|| {
                let function = frame.function.as_deref().unwrap_or("?");
                format!("{function} at {file}:{}", frame.line.unwrap_or(0))
            })
        });
        Place {
            place: place.unwrap_or_else(|| format!("image+{:#x}", site.at)),
            site: site.clone(),
            reason,
        }
    }
}

/// The configurations of a topology.
fn shapes(topology: &Topology) -> Vec<(String, Shape)> {
    let own = shape(topology);
    let mut all = vec![(String::new(), own.clone())];
    for variant in &topology.variants {
        let mut shape = own.clone();
        for miniport in &mut shape.miniports {
            miniport.properties.extend(settings(&variant.properties));
        }
        for adapter in &mut shape.adapters {
            adapter.values.extend(settings(&variant.values));
        }
        all.push((variant.name.clone(), shape));
    }
    all
}

/// `unreached.toml` beside the topology, if there is one.
fn reasons(topology: Option<&Topology>) -> Result<Vec<Reason>, Trouble> {
    let Some(path) = topology.map(|topology| topology.path(Path::new("unreached.toml"))) else {
        return Ok(Vec::new());
    };
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(Vec::new());
    };
    toml::from_str::<Reasons>(&text)
        .map(|reasons| reasons.site)
        .map_err(|error| Trouble::input(error.to_string()).at(path.display()))
}
