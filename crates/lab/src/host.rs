//! The thin edge to the host library: its errors become the user's.

use crate::trouble::Trouble;

/// One import of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// `ndis.sys`.
    pub dll: String,
    /// Function or variable.
    pub name: String,
    /// Whether the host has it.
    pub provided: bool,
}

/// The imports of an image.
pub fn imports(image: &[u8]) -> Result<Vec<Import>, Trouble> {
    let _ = image;
    Err(Trouble::host("this build has no image loader"))
}
