//! Rendering the two INFs of a driver.

use std::{fmt, path::Path, str::FromStr};

use anyhow::{Context, ensure};
use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use super::{data::DriverData, date::DriverDate, parameters::Kind};
use crate::chain::Arch;

/// From this build on a network component with a notify object runs from the
/// driver store (INF-9).
pub const FIRST_BUILD_FROM_STORE: u32 = 25341;

const NCF_VIRTUAL: u32 = 0x1;
const NCF_HIDDEN: u32 = 0x8;
const NCF_NOT_USER_REMOVABLE: u32 = 0x20;
const NCF_HAS_UI: u32 = 0x80;

/// A version of four numbers, each below 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverVersion(pub [u16; 4]);

impl fmt::Display for DriverVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch, build] = self.0;
        write!(f, "{major}.{minor}.{patch}.{build}")
    }
}

impl FromStr for DriverVersion {
    type Err = anyhow::Error;

    /// Reads one to four numbers; missing ones are zero, so a crate's version serves.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut numbers = [0; 4];
        for (index, part) in text.split('.').enumerate() {
            let number: u16 = part
                .parse()
                .with_context(|| format!("{text:?} is not w.x.y.z"))?;
            ensure!(number < u16::MAX, "{number} in {text:?} is not below 65535");
            let place = numbers.get_mut(index);
            *place.with_context(|| format!("{text:?} has more than four numbers"))? = number;
        }
        Ok(Self(numbers))
    }
}

/// What a build knows and a data file does not.
#[derive(Clone, Debug)]
pub struct StampContext {
    /// Version in `DriverVer`.
    pub version: DriverVersion,
    /// Date in `DriverVer`.
    pub date: DriverDate,
    /// Architectures that one pair of INFs serves, in order.
    pub archs: Vec<Arch>,
    /// Whether the package has the notify object that the data names.
    pub notify: bool,
}

/// Which of the two INFs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfRole {
    /// `NetTrans`, the lower edge.
    Protocol,
    /// `Net`, the upper edge.
    Miniport,
}

/// A rendered INF.
#[derive(Clone, Debug)]
pub struct StampedInf {
    /// Which of the two.
    pub role: InfRole,
    /// Its name in the package.
    pub file_name: String,
    /// ASCII text with CR LF line ends.
    pub contents: Vec<u8>,
}

/// Renders the protocol INF and the miniport INF of `driver` from `inf_dir`.
pub fn stamp(driver: &str, inf_dir: &Path, ctx: &StampContext) -> anyhow::Result<Vec<StampedInf>> {
    let mut data = DriverData::read(driver, inf_dir)?;
    if !ctx.notify {
        data.notify_object = None;
    }
    let template = |name: &str| {
        let path = inf_dir.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    render(
        driver,
        &data,
        &template("protocol.inf.j2")?,
        &template("miniport.inf.j2")?,
        ctx,
    )
}

/// [`stamp`] on texts that are already read.
pub fn render(
    driver: &str,
    data: &DriverData,
    protocol: &str,
    miniport: &str,
    ctx: &StampContext,
) -> anyhow::Result<Vec<StampedInf>> {
    let parts = [
        (InfRole::Protocol, format!("{driver}.inf"), protocol),
        (InfRole::Miniport, format!("{driver}_mp.inf"), miniport),
    ];
    parts
        .into_iter()
        .map(|(role, file_name, template)| {
            let text = render_one(driver, data, template, ctx)
                .with_context(|| format!("cannot render {file_name}"))?;
            ensure!(
                text.is_ascii(),
                "{file_name} has characters that are not ASCII"
            );
            let contents = text.replace('\n', "\r\n").into_bytes();
            Ok(StampedInf {
                role,
                file_name,
                contents,
            })
        })
        .collect()
}

fn render_one(
    driver: &str,
    data: &DriverData,
    template: &str,
    ctx: &StampContext,
) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    let values = Values {
        name: driver,
        version: ctx.version.to_string(),
        date: ctx.date.to_string(),
        architectures: ctx.archs.iter().map(|a| Architecture::of(*a)).collect(),
        models: models(&ctx.archs),
        variants: variants(&ctx.archs),
        characteristics: format!("0x{:x}", characteristics(data)),
        data,
    };
    Ok(environment.render_str(template, Serde(values))?)
}

/// What the templates see.
#[derive(Serialize)]
struct Values<'a> {
    name: &'a str,
    version: String,
    date: String,
    architectures: Vec<Architecture>,
    models: Vec<Models>,
    variants: Vec<Variant>,
    characteristics: String,
    #[serde(flatten)]
    data: &'a DriverData,
}

/// An architecture: its suffix in the INF and its folder in the package.
#[derive(Serialize)]
struct Architecture {
    platform: &'static str,
    folder: &'static str,
}

impl Architecture {
    fn of(arch: Arch) -> Self {
        Self {
            platform: arch.platform(),
            folder: arch.name(),
        }
    }
}

/// One models section and where it leads (INF-9).
#[derive(Serialize)]
struct Models {
    decoration: String,
    install: &'static str,
}

/// One install section and where its files go. What runs from the driver store keeps its
/// folder there, so each architecture has a section; System32 is that of the machine.
#[derive(Serialize)]
struct Variant {
    install: &'static str,
    driver_dirid: u16,
    dll_dirid: u16,
    folder: &'static str,
}

/// Install section for files that are copied to the system's directories.
const SYSTEM: &str = "System";

/// Install section for files that stay in the driver store.
fn store(arch: Arch) -> &'static str {
    match arch {
        Arch::X64 => "StoreX64",
        Arch::Arm64 => "StoreArm64",
    }
}

fn models(archs: &[Arch]) -> Vec<Models> {
    let of = |arch: Arch| {
        let decoration = arch.decoration();
        [
            Models {
                decoration: format!("{decoration}.10.0...{FIRST_BUILD_FROM_STORE}"),
                install: store(arch),
            },
            Models {
                decoration: decoration.to_owned(),
                install: SYSTEM,
            },
        ]
    };
    archs.iter().copied().flat_map(of).collect()
}

fn variants(archs: &[Arch]) -> Vec<Variant> {
    let stores = archs.iter().map(|arch| Variant {
        install: store(*arch),
        driver_dirid: 13,
        dll_dirid: 13,
        folder: arch.name(),
    });
    let system = Variant {
        install: SYSTEM,
        driver_dirid: 12,
        dll_dirid: 11,
        folder: "",
    };
    stores.chain([system]).collect()
}

/// Characteristics of the virtual miniport (INF-2).
fn characteristics(data: &DriverData) -> u32 {
    let mut flags = NCF_VIRTUAL;
    if data.miniport.hidden {
        flags |= NCF_HIDDEN;
    }
    // With a notify object the adapters follow the bindings of the protocol.
    // Without one they are made by hand, and must be removable by hand.
    if data.notify_object.is_some() {
        flags |= NCF_NOT_USER_REMOVABLE;
    }
    // Parameters show on the Advanced page, which needs this flag.
    if data.parameters.iter().any(|p| p.kind != Kind::Multi) {
        flags |= NCF_HAS_UI;
    }
    flags
}
