//! The misdeeds, one file per area of the rules.
//!
//! Every one breaks a rule on purpose, or behaves while NDIS breaks one. Its unsafe blocks name the rule that makes them sound, or
//! say which one they break.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "inside the macro of the tables the lint finds no comments; a test does"
)]
#![allow(
    clippy::wildcard_imports,
    clippy::cast_ptr_alignment,
    reason = "every misdeed has its own few names of the ABI; memory of NDIS is aligned to 16"
)]

pub mod assist;
pub mod attributes;
pub mod binding;
pub mod irql;
pub mod lifetime;
pub mod lists;
pub mod memory;
pub mod offers;
pub mod oid;
pub mod pnp;
pub mod receives;
pub mod references;
pub mod registration;
pub mod sends;
mod tools;

use crate::Misdeed;

/// The tables of all files.
pub const TABLES: &[&[Misdeed]] = &[
    registration::TABLE,
    attributes::TABLE,
    lifetime::TABLE,
    binding::TABLE,
    assist::TABLE,
    oid::TABLE,
    pnp::TABLE,
    sends::TABLE,
    receives::TABLE,
    lists::TABLE,
    offers::TABLE,
    irql::TABLE,
    memory::TABLE,
    references::TABLE,
];

/// All misdeeds.
pub fn all() -> impl Iterator<Item = &'static Misdeed> {
    TABLES.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    #[test]
    fn keys_and_names_are_unique() {
        let mut seen = BTreeMap::new();
        for misdeed in super::all() {
            assert_ne!(misdeed.key(), 0);
            let before = seen.insert(misdeed.key(), misdeed);
            assert!(before.is_none(), "{misdeed:?} and {before:?}");
        }
    }

    #[test]
    fn every_unsafe_block_has_its_rule() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/misdeeds");
        let block = ["unsafe", " {"].concat();
        let mut blocks = 0;
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("a file").path();
            let text = std::fs::read_to_string(&path).expect("text");
            let lines: Vec<&str> = text.lines().collect();
            for (at, line) in lines.iter().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if !code.contains(&block) {
                    continue;
                }
                blocks += 1;
                let above = &lines[at.saturating_sub(3)..at];
                let comment = ["// SAFETY", ": ("].concat();
                let named = above.iter().any(|line| line.contains(&comment));
                let here = format!("{}:{}", path.display(), at + 1);
                assert!(named, "{here} names no rule");
            }
        }
        assert!(blocks > 200, "{blocks}");
    }

    #[test]
    fn implied_rules_have_a_reason() {
        for misdeed in super::all() {
            for implied in misdeed.implies {
                let (id, why) = implied.split_once(": ").expect("`ID: reason`");
                assert!(id.contains('-') && why.len() > 8, "{misdeed:?}");
            }
        }
    }
}
