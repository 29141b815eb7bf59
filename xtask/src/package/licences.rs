//! The texts that go with the binaries: this project's own licences, those of every crate
//! that is linked, and a list that says which is whose.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use fs_err as fs;

use super::parts::Part;
use crate::context::Context;

/// Files of the folder `licences`, by their path in it.
pub fn files(cx: &Context, parts: &[Part]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        files.push((name.to_owned(), fs::read(cx.root.join(name))?));
    }
    let mut list = String::from(
        "What the binaries of this package are made of, and on which terms. Texts of others lie in\n\
         folders named after their crates; a crate without a folder ships none in its archive, and\n\
         its expression names the texts. Rust's core and alloc libraries are MIT OR Apache-2.0.\n\n",
    );
    for part in parts {
        let license = part.license.as_deref().unwrap_or("no expression");
        let whose = if part.is_own() { ", this project" } else { "" };
        writeln!(list, "{} {}: {license}{whose}", part.name, part.version)?;
        if part.is_own() {
            continue;
        }
        for (name, text) in texts(&part.folder)? {
            files.push((format!("{}-{}/{name}", part.name, part.version), text));
        }
    }
    files.push((
        "README.txt".to_owned(),
        list.replace('\n', "\r\n").into_bytes(),
    ));
    Ok(files)
}

/// Licence texts in a crate's folder, by name.
fn texts(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let upper = name.to_uppercase();
        let is_text = [
            "LICENSE",
            "LICENCE",
            "COPYING",
            "NOTICE",
            "COPYRIGHT",
            "UNLICENSE",
        ]
        .iter()
        .any(|start| upper.starts_with(start));
        if is_text && entry.path().is_file() {
            found.push((name, fs::read(entry.path())?));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["LICENSE-MIT", "license.md", "lib.rs", "NOTICE"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("LICENSES")).unwrap();
        let names: Vec<_> = texts(dir.path())
            .unwrap()
            .into_iter()
            .map(|(n, _)| n)
            .collect();
        assert_eq!(names, ["LICENSE-MIT", "NOTICE", "license.md"]);
    }
}
