//! How large the binaries of a package are, and what of.

use std::fmt;

use anyhow::{Context as _, Result};
use object::read::pe::PeFile64;
use object::{Object as _, ObjectSection as _};
use serde::Serialize;

/// A binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Its path in the package.
    pub path: String,
    /// Bytes on disk.
    pub file: u64,
    /// Bytes in memory, section by section.
    pub sections: Vec<Section>,
    /// Functions that it takes from other images.
    pub imports: usize,
}

/// A section of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// `.text` and the like.
    pub name: String,
    /// Bytes in memory.
    pub size: u64,
}

/// Measures a binary.
pub fn measure(path: &str, image: &[u8]) -> Result<Size> {
    let pe = PeFile64::parse(image).with_context(|| format!("{path} is no 64-bit PE image"))?;
    let sections = pe.sections().map(|section| {
        Ok(Section {
            name: section.name()?.to_owned(),
            size: section.size(),
        })
    });
    Ok(Size {
        path: path.to_owned(),
        file: image.len() as u64,
        sections: sections.collect::<Result<_, object::Error>>()?,
        imports: pe.imports()?.count(),
    })
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections: Vec<_> = self
            .sections
            .iter()
            .map(|section| format!("{} {}", section.name, section.size))
            .collect();
        write!(
            f,
            "{:<28} {:>8} bytes, {} imports: {}",
            self.path,
            self.file,
            self.imports,
            sections.join(", ")
        )
    }
}
