//! The per-driver data file of `inf/`: everything in which two drivers differ.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::parameters::Parameter;

/// `inf/<driver>.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DriverData {
    /// What a person calls the driver.
    pub title: String,
    /// `Provider` and manufacturer.
    pub provider: String,
    /// The part of each hardware id before the underscore (INF-10).
    pub id_prefix: String,
    /// The lower edge.
    pub protocol: Protocol,
    /// The upper edge.
    pub miniport: Miniport,
    /// The COM DLL that makes the virtual miniports (INF-6); absent until there is one.
    pub notify_object: Option<NotifyObject>,
    /// Values under `Ndi\params`, in the order in which they are shown.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// Values in the key of each of the protocol's bindings. No page of Windows edits
    /// those; the INF lists them for who does.
    #[serde(default)]
    pub binding_parameters: Vec<Parameter>,
}

/// The `NetTrans` component.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Service name, and the name registered with NDIS (PTR-3).
    pub service: String,
    /// The part of the component id after the underscore.
    pub id: String,
    /// Shown in lists of network components.
    pub description: String,
    /// Shown beside it.
    pub help: String,
    /// What it binds to (INF-3).
    pub lower_range: String,
}

/// The `Net` component.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Miniport {
    /// Name of the service that loads the image.
    pub service: String,
    /// The part of the hardware id after the underscore.
    pub id: String,
    /// Shown as the name of each virtual adapter.
    pub description: String,
    /// Shown beside it.
    pub help: String,
    /// What may bind to it (INF-3).
    pub upper_range: String,
    /// `NET_IFTYPE`.
    pub if_type: u16,
    /// `NDIS_MEDIUM`.
    pub media_type: u32,
    /// `NDIS_PHYSICAL_MEDIUM`.
    pub physical_media_type: u32,
    /// Whether `NCF_HIDDEN` is set.
    #[serde(default)]
    pub hidden: bool,
}

/// The notify object of the protocol.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyObject {
    /// The DLL, a file of the package.
    pub file: String,
    /// Its class id, in braces.
    pub clsid: String,
    /// Whether it has a property page (`NCF_HAS_UI`, INF-2).
    #[serde(default)]
    pub property_page: bool,
}

impl DriverData {
    /// Reads `<inf_dir>/<driver>.toml`.
    pub fn read(driver: &str, inf_dir: &Path) -> anyhow::Result<Self> {
        let path = inf_dir.join(driver).with_extension("toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "there is no installation data for a driver named {driver:?}: {} does not exist",
                path.display()
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// The component id with that part after the underscore.
    pub fn id(&self, part: &str) -> String {
        format!("{}_{part}", self.id_prefix)
    }

    /// Reads the text of a data file and checks what a type cannot say.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let data: Self = toml::from_str(text)?;
        for text in data.texts() {
            // A quote or a percent sign would change the meaning of the INF line
            // that it is put into; the templates do not escape.
            ensure!(
                !text.is_empty()
                    && text
                        .chars()
                        .all(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '%')),
                "{text:?} must be printable ASCII without '\"' and '%'"
            );
        }
        for list in [&data.parameters, &data.binding_parameters] {
            for (index, parameter) in list.iter().enumerate() {
                let name = &parameter.name;
                parameter
                    .check()
                    .with_context(|| format!("parameter {name}"))?;
                // Names of registry values count without their case.
                ensure!(
                    !list[..index]
                        .iter()
                        .any(|other| other.name.eq_ignore_ascii_case(name)),
                    "parameter {name} is there twice"
                );
            }
        }
        Ok(data)
    }

    /// Every text that reaches an INF.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let own = [&self.title, &self.provider, &self.id_prefix];
        let protocol = &self.protocol;
        let lower = [
            &protocol.service,
            &protocol.id,
            &protocol.description,
            &protocol.help,
            &protocol.lower_range,
        ];
        let miniport = &self.miniport;
        let upper = [
            &miniport.service,
            &miniport.id,
            &miniport.description,
            &miniport.help,
            &miniport.upper_range,
        ];
        let notify = self.notify_object.iter().flat_map(|n| [&n.file, &n.clsid]);
        let parameters = self.parameters.iter().chain(&self.binding_parameters);
        own.into_iter()
            .chain(lower)
            .chain(upper)
            .chain(notify)
            .map(String::as_str)
            .chain(parameters.flat_map(Parameter::texts))
    }
}
