//! The rules with who watches over them, for the command and for the page of the documentation.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lab_host::report::Severity;
use lab_host::rules::{Rule, State, table};
use misdeed::Misdeed;
use serde::Serialize;

use crate::misdeeds;

/// A rule, and what is known of it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// `SND-7`.
    pub id: &'static str,
    /// What it is about.
    pub area: &'static str,
    /// How bad breaking it is.
    pub severity: Severity,
    /// What it says.
    pub statement: &'static str,
    /// Page of the documentation.
    pub page: &'static str,
    /// The rule of Microsoft's verifiers that says the same.
    pub verifier: Option<&'static str>,
    /// Who watches over it.
    #[serde(flatten)]
    pub state: State,
    /// Misdeeds against it.
    pub misdeeds: Vec<Deed>,
}

/// A misdeed, in words.
#[derive(Clone, Debug, Serialize)]
pub struct Deed {
    /// Its name.
    pub name: &'static str,
    /// The plan in which it shows.
    pub plan: &'static str,
    /// What the driver does.
    pub text: &'static str,
    /// Rules that are broken with it, and why.
    pub implies: &'static [&'static str],
}

impl From<&'static Misdeed> for Deed {
    fn from(misdeed: &'static Misdeed) -> Self {
        Self {
            name: misdeed.name,
            plan: misdeed.plan,
            text: misdeed.text,
            implies: misdeed.implies,
        }
    }
}

/// How many rules are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub rules: usize,
    /// Watched while a driver runs, with a misdeed that proves it.
    pub enforced: usize,
    /// The INF linter's.
    pub linter: usize,
    /// Not observable.
    pub unobservable: usize,
    /// Said to be enforced, without a misdeed: there may be none.
    pub unproven: usize,
    /// Misdeeds.
    pub misdeeds: usize,
}

/// All rules, by area and number.
pub fn rows() -> Vec<Row> {
    let mut rules: Vec<&'static Rule> = table().iter().collect();
    rules.sort_by_key(|rule| rule.order());
    rules
        .into_iter()
        .map(|rule| Row {
            id: &rule.id,
            area: &rule.area,
            severity: rule.severity,
            statement: &rule.statement,
            page: &rule.source,
            verifier: rule.sdv_rule.as_deref(),
            state: rule.state(),
            misdeeds: misdeeds::all()
                .filter(|misdeed| misdeed.rule == rule.id)
                .map(Deed::from)
                .collect(),
        })
        .collect()
}

/// Counts the states.
pub fn counts(rows: &[Row]) -> Counts {
    let mut counts = Counts {
        rules: rows.len(),
        ..Counts::default()
    };
    for row in rows {
        counts.misdeeds += row.misdeeds.len();
        match row.state {
            State::Enforced if row.misdeeds.is_empty() => counts.unproven += 1,
            State::Enforced => counts.enforced += 1,
            State::Linter { .. } => counts.linter += 1,
            State::Unobservable { .. } => counts.unobservable += 1,
        }
    }
    counts
}

impl Counts {
    /// One line for people.
    pub fn text(&self) -> String {
        let unproven = match self.unproven {
            0 => String::new(),
            n => format!(", {n} without a misdeed"),
        };
        format!(
            "{} rules: {} enforced by {} misdeeds, {} the linter's, {} not observable{unproven}",
            self.rules, self.enforced, self.misdeeds, self.linter, self.unobservable
        )
    }
}

/// Microsoft's documentation has the page of a rule under this name, wherever it stands.
fn page(name: &str) -> &str {
    name.trim_end_matches(".md")
}

impl Row {
    /// Who watches over it and how, in a few words.
    pub fn watched(&self) -> String {
        match &self.state {
            State::Enforced if self.misdeeds.is_empty() => "enforced; no misdeed yet".into(),
            State::Enforced => {
                let deeds: Vec<_> = self.misdeeds.iter().map(|deed| deed.text).collect();
                format!("enforced: {}", deeds.join("; "))
            }
            State::Linter { by } => format!("the INF linter, {}", by.join(", ")),
            State::Unobservable { reason } => format!("not observable: {reason}"),
        }
    }
}

/// The page of the documentation.
pub fn markdown() -> String {
    let rows = rows();
    let mut text = String::from(
        "# The rules and who watches over them\n\n\
        <!-- Made by `lab rules --markdown`; a test compares. Change the sources instead:\n\
        crates/lab-host/rules and tests/drivers/misdeed. -->\n\n\
        A rule is *enforced* when the host reports a driver that breaks it, by its id: for each\n\
        there is at least one misdeed, a driver that breaks that rule and is caught. Where the\n\
        rule is a duty of NDIS, the driver behaves and the host breaks it. It is *the\n\
        INF linter's* when it is about a driver's INFs. It is *not observable* when it is about\n\
        something that the host does not provide, or that nobody outside the driver can see.\n\n\
        The words behind *enforced* are what the misdeed does. `lab rules --prove IMAGE` runs\n\
        them all, each in a process of its own. A page is the name of the article in Microsoft's\n\
        documentation that the rule stands in; *SDV* is the rule of Static Driver Verifier or\n\
        Driver Verifier that says the same.\n\n",
    );
    let _infallible = writeln!(text, "{}.", counts(&rows).text());
    let mut areas: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in &rows {
        let letters = row.id.split('-').next().unwrap_or_default();
        areas.entry(letters).or_default().push(row);
    }
    for (letters, rows) in areas {
        let about = rows.first().map_or("", |row| row.area);
        let _infallible = write!(
            text,
            "\n## {letters}: {about}\n\n| Rule | Severity | Says | Watched | Page |\n|---|---|---|---|---|\n"
        );
        for row in rows {
            let severity = match row.severity {
                Severity::Warning => "warning",
                Severity::Error => "error",
                Severity::Bugcheck => "bug check",
            };
            let verifier = row
                .verifier
                .map_or(String::new(), |name| format!("; SDV {name}"));
            let cell = |text: &str| text.replace('|', "\\|");
            let _infallible = writeln!(
                text,
                "| {} | {severity} | {} | {} | {}{verifier} |",
                row.id,
                cell(row.statement),
                cell(&row.watched()),
                page(row.page)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_in_the_page_once() {
        let page = markdown();
        for row in rows() {
            let line = format!("\n| {} |", row.id);
            assert_eq!(page.matches(&line).count(), 1, "{}", row.id);
        }
    }

    #[test]
    fn the_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rules.md");
        let there = std::fs::read_to_string(path).expect("the page");
        assert!(
            there == markdown(),
            "`cargo xtask lab rules --markdown > docs/rules.md` makes it again"
        );
    }

    #[test]
    fn counts_add_up() {
        let c = counts(&rows());
        assert_eq!(c.rules, 327);
        assert_eq!(c.enforced + c.linter + c.unobservable + c.unproven, c.rules);
        assert!(c.misdeeds >= c.enforced);
    }

    /// What is said to be seen by nobody is not broken by a misdeed.
    #[test]
    fn only_enforced_rules_have_misdeeds() {
        for row in rows() {
            let enforced = row.state == State::Enforced;
            assert!(enforced || row.misdeeds.is_empty(), "{}", row.id);
        }
    }
}
