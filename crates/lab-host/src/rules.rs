//! The rule table: every rule of the contract, how bad breaking it is, and its [`State`].

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::report::Severity;

/// A rule of the contract.
#[derive(Clone, Debug, Deserialize)]
pub struct Rule {
    /// `SND-7`.
    pub id: String,
    /// What it is about, in words.
    pub area: String,
    /// What it says.
    pub statement: String,
    /// IRQL at which it applies.
    pub irql: String,
    /// What shows that it is broken.
    pub check: String,
    /// How bad breaking it is.
    pub severity: Severity,
    /// Page of the documentation.
    pub source: String,
    /// Name of the rule of Static Driver Verifier or Driver Verifier that says the same.
    pub sdv_rule: Option<String>,
}

/// Who watches over a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// The host, while a driver runs; a misdeed proves it.
    Enforced,
    /// The INF linter, by these rules of its own; a bad INF each proves it.
    Linter {
        /// Ids of the linter's rules.
        by: Vec<String>,
    },
    /// Nobody: it is about what the host does not provide, or cannot be seen from outside the
    /// driver.
    Unobservable {
        /// Which of the two, and how.
        reason: String,
    },
}

/// A file of states.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct States {
    linter: BTreeMap<String, Vec<String>>,
    unobservable: BTreeMap<String, String>,
}

/// The files of states, by the areas that they are about.
const STATES: [&str; 3] = [
    include_str!("../rules/states/registration.toml"),
    include_str!("../rules/states/data.toml"),
    include_str!("../rules/states/binding.toml"),
];

static TABLE: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../rules/ndis-rules.json"))
        .expect("the table in the repository is checked by a test")
});

static SAID: LazyLock<BTreeMap<String, State>> = LazyLock::new(|| {
    let mut said = BTreeMap::new();
    for text in STATES {
        let states: States = toml::from_str(text).expect("a test reads the files of states");
        let linter = states.linter.into_iter();
        said.extend(linter.map(|(id, by)| (id, State::Linter { by })));
        let rest = states.unobservable.into_iter();
        said.extend(rest.map(|(id, reason)| (id, State::Unobservable { reason })));
    }
    said
});

/// All rules.
pub fn table() -> &'static [Rule] {
    &TABLE
}

/// Severity by id.
pub fn severities() -> BTreeMap<String, Severity> {
    let all = table().iter();
    all.map(|r| (r.id.clone(), r.severity)).collect()
}

impl Rule {
    /// Who watches over it.
    pub fn state(&self) -> State {
        SAID.get(&self.id).cloned().unwrap_or(State::Enforced)
    }

    /// The letters of its id.
    pub fn letters(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// Sorts rules by area, then by number.
    pub fn order(&self) -> (&str, u32) {
        let number = self.id.rsplit('-').next();
        (
            self.letters(),
            number.and_then(|n| n.parse().ok()).unwrap_or(0),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_parses_and_ids_are_unique() {
        let rules = table();
        assert_eq!(rules.len(), severities().len());
        assert_eq!(rules.len(), 327);
    }

    #[test]
    fn states_are_of_rules_and_each_says_why() {
        let ids: BTreeSet<&str> = table().iter().map(|r| r.id.as_str()).collect();
        let mut count = 0;
        for text in STATES {
            let states: States = toml::from_str(text).expect("a file of states");
            count += states.linter.len() + states.unobservable.len();
            for (id, by) in &states.linter {
                assert!(ids.contains(id.as_str()), "{id} is no rule");
                assert!(!by.is_empty(), "{id}");
            }
            for (id, reason) in &states.unobservable {
                assert!(ids.contains(id.as_str()), "{id} is no rule");
                assert!(reason.len() > 20, "{id}: {reason}");
            }
        }
        assert_eq!(count, SAID.len(), "a rule has one state");
    }

    /// What a reason says is not provided is not provided.
    #[test]
    fn unprovided_functions_are_not_provided() {
        let provided: BTreeSet<&str> = crate::exports().iter().map(|api| api.name).collect();
        let mut seen = 0;
        for (id, state) in &*SAID {
            let State::Unobservable { reason } = state else {
                continue;
            };
            let Some((_, rest)) = reason.split_once("an image that imports ") else {
                continue;
            };
            let name = rest.split(' ').next().unwrap_or_default();
            assert!(!provided.contains(name), "{id}: {name} is provided");
            seen += 1;
        }
        assert!(seen >= 11, "{seen} reasons name a function");
    }
}
