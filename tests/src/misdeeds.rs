//! The driver that breaks rules on request.

use std::path::Path;

use object::read::pe::{ExportTarget, PeFile64};

/// The driver with a misdeed chosen: the key is written where its variable lies in the file.
pub fn chosen(path: &Path, rule: &str, name: &str) -> Vec<u8> {
    let mut image = std::fs::read(path).expect("the image");
    let at = {
        let file = PeFile64::parse(&*image).expect("a PE image");
        let exports = file.export_table().expect("exports").expect("exports");
        let export = exports.exports().expect("exports").into_iter();
        let mut named = export.filter(|export| export.name == Some(b"MISDEED"));
        let ExportTarget::Address(rva) = named.next().expect("the variable").target else {
            panic!("the variable lies elsewhere");
        };
        let range = file.section_table().pe_file_range_at(rva);
        range.expect("it lies in the file").0 as usize
    };
    let mut all = misdeed::misdeeds::all();
    let misdeed = all.find(|m| m.rule == rule && m.name == name);
    let key = misdeed.expect("the misdeed").key();
    image[at..at + 4].copy_from_slice(&key.to_le_bytes());
    image
}
