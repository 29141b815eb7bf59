//! The rule table: ids and severities.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::report::Severity;

/// A rule of the contract.
#[derive(Clone, Debug, Deserialize)]
pub struct Rule {
    /// `SND-7`.
    pub id: String,
    /// What it says.
    pub statement: String,
    /// How bad breaking it is.
    pub severity: Severity,
    /// Page of the documentation.
    pub source: String,
}

/// All rules.
pub fn table() -> Vec<Rule> {
    serde_json::from_str(include_str!("../rules/ndis-rules.json"))
        .expect("the table in the repository is checked by a test")
}

/// Severity by id.
pub fn severities() -> BTreeMap<String, Severity> {
    table().into_iter().map(|r| (r.id, r.severity)).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_parses_and_ids_are_unique() {
        let rules = super::table();
        assert_eq!(rules.len(), super::severities().len());
        assert!(rules.len() > 300);
    }
}
