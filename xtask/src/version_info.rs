//! The version resource of a driver: a compiled resource file (`.res`) with one
//! `VS_VERSIONINFO`, which the linker puts into the image. The format is small and
//! fixed; resource compilers exist on Windows only.

use anyhow::Result;

use crate::drivers::Driver;

/// `RT_VERSION`, and the language "US English" with the code page "Unicode".
const RT_VERSION: u16 = 16;
const LANGUAGE: u16 = 0x0409;
const CODE_PAGE: u16 = 1200;

/// `VOS_NT_WINDOWS32`, `VFT_DRV`, `VFT2_DRV_NETWORK` of `VS_FIXEDFILEINFO`.
const FILE_OS: u32 = 0x0004_0004;
const FILE_TYPE: u32 = 3;
const FILE_SUBTYPE: u32 = 6;

/// A `.res` file for `driver`.
pub fn resource_file(driver: &Driver) -> Result<Vec<u8>> {
    let data = version_info(driver)?;
    let mut out = Vec::new();
    // The file starts with an empty entry that marks it as a 32-bit resource file.
    entry(&mut out, 0, 0, 0, &[])?;
    entry(&mut out, RT_VERSION, 1, LANGUAGE, &data)?;
    Ok(out)
}

/// RESOURCEHEADER and data, padded to 4 bytes.
fn entry(out: &mut Vec<u8>, kind: u16, id: u16, language: u16, data: &[u8]) -> Result<()> {
    const HEADER_SIZE: u32 = 32;
    out.extend(u32::try_from(data.len())?.to_le_bytes());
    out.extend(HEADER_SIZE.to_le_bytes());
    for ordinal in [kind, id] {
        out.extend([0xff, 0xff]);
        out.extend(ordinal.to_le_bytes());
    }
    out.extend([0; 4]); // data version
    out.extend([0; 2]); // memory flags
    out.extend(language.to_le_bytes());
    out.extend([0; 8]); // version, characteristics
    out.extend(data);
    pad(out);
    Ok(())
}

fn version_info(driver: &Driver) -> Result<Vec<u8>> {
    let [major, minor, patch] = driver.version;
    let text_version = format!("{major}.{minor}.{patch}.0");
    let high = u32::from(major) << 16 | u32::from(minor);
    let low = u32::from(patch) << 16;

    let mut fixed = Vec::new();
    for word in [
        0xfeef_04bd,
        0x0001_0000,
        high,
        low,
        high,
        low,
        0x3f,
        0,
        FILE_OS,
        FILE_TYPE,
        FILE_SUBTYPE,
        0,
        0,
    ] {
        fixed.extend(u32::to_le_bytes(word));
    }

    let file = format!("{}.sys", driver.name);
    let strings = [
        ("CompanyName", "The ndis-im authors"),
        ("FileDescription", &driver.description),
        ("FileVersion", &text_version),
        ("InternalName", &driver.name),
        ("LegalCopyright", "MIT OR Apache-2.0"),
        ("OriginalFilename", &file),
        ("ProductName", &driver.name),
        ("ProductVersion", &text_version),
    ];
    let mut table = Vec::new();
    for (name, value) in strings {
        let units = value.encode_utf16().count() + 1;
        node(&mut table, name, Value::Text(units), &utf16z(value), &[])?;
    }
    let mut string_file_info = Vec::new();
    node(
        &mut string_file_info,
        &format!("{LANGUAGE:04x}{CODE_PAGE:04x}"),
        Value::None,
        &[],
        &table,
    )?;
    let mut children = Vec::new();
    node(
        &mut children,
        "StringFileInfo",
        Value::None,
        &[],
        &string_file_info,
    )?;
    let mut translation = LANGUAGE.to_le_bytes().to_vec();
    translation.extend(CODE_PAGE.to_le_bytes());
    let mut var = Vec::new();
    node(&mut var, "Translation", Value::Binary, &translation, &[])?;
    node(&mut children, "VarFileInfo", Value::None, &[], &var)?;

    let mut out = Vec::new();
    node(
        &mut out,
        "VS_VERSION_INFO",
        Value::Binary,
        &fixed,
        &children,
    )?;
    Ok(out)
}

/// What a node's value is; a text's length is counted in UTF-16 units.
#[derive(Clone, Copy)]
enum Value {
    None,
    Binary,
    Text(usize),
}

/// wLength, wValueLength, wType, szKey, padding, value, padding, children.
fn node(out: &mut Vec<u8>, key: &str, kind: Value, value: &[u8], children: &[u8]) -> Result<()> {
    pad(out);
    let start = out.len();
    let (length, is_text) = match kind {
        Value::None => (0, 1u16),
        Value::Binary => (value.len(), 0),
        Value::Text(units) => (units, 1),
    };
    out.extend([0; 2]);
    out.extend(u16::try_from(length)?.to_le_bytes());
    out.extend(is_text.to_le_bytes());
    out.extend(utf16z(key));
    pad(out);
    out.extend(value);
    if !children.is_empty() {
        pad(out);
        out.extend(children);
    }
    let size = u16::try_from(out.len() - start)?;
    out[start..start + 2].copy_from_slice(&size.to_le_bytes());
    Ok(())
}

fn utf16z(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_signature() {
        let driver = Driver {
            name: "x".into(),
            version: [1, 2, 3],
            description: "d".into(),
            options: crate::drivers::Options::default(),
        };
        let res = resource_file(&driver).unwrap();
        assert_eq!(res.len() % 4, 0);
        let size = u32::from_le_bytes(res[32..36].try_into().unwrap()) as usize;
        let data = &res[64..64 + size];
        assert_eq!(
            usize::from(u16::from_le_bytes([data[0], data[1]])),
            data.len()
        );
        assert_eq!(&data[40..44], &0xfeef_04bd_u32.to_le_bytes());
        assert_eq!(&data[48..52], &0x0001_0002_u32.to_le_bytes());
    }
}
