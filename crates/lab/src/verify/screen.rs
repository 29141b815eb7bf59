//! What `lab verify` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lab_host::rules::{Rule, State};
use lab_verify::suite::Report;
use serde::Serialize;

use super::{Document, Part, Subject};
use crate::render::{Table, grouped};

/// An area of rules and what became of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RuleRow {
    /// The letters of its ids.
    pub area: String,
    /// Rules of it that the host watches over while a driver runs.
    pub watched: u64,
    /// Of them those whose functions the driver called, or had called.
    pub exercised: u64,
    /// Of those the ones that were never broken.
    pub held: u64,
    /// Broken ones, with how often.
    pub violated: BTreeMap<String, u64>,
}

fn area(id: &str) -> String {
    id.rsplit_once('-').map_or(id, |(area, _)| area).to_owned()
}

/// Words of a rule that are names of functions.
fn functions(rule: &Rule) -> BTreeSet<&str> {
    let text = rule.statement.split(|c: char| !c.is_ascii_alphanumeric());
    let text = text.chain(rule.check.split(|c: char| !c.is_ascii_alphanumeric()));
    let prefixes = [
        "Ndis", "Miniport", "Protocol", "Ke", "Ex", "Io", "Mm", "Driver",
    ];
    text.filter(|word| {
        prefixes.iter().any(|prefix| {
            word.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        })
    })
    .collect()
}

/// Rules by area. Ids that no table has are the host's own.
///
/// A rule counts as exercised when one of the functions that it names was called; one that names
/// none, when any of its area was.
pub fn rules(total: &Report) -> Vec<RuleRow> {
    let mut rows: BTreeMap<String, RuleRow> = BTreeMap::new();
    let called = |name: &str| total.called.contains(name);
    let watched: Vec<(&Rule, BTreeSet<&str>)> = lab_host::rules::table()
        .iter()
        .filter(|rule| rule.state() == State::Enforced)
        .map(|rule| (rule, functions(rule)))
        .collect();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    for (rule, names) in &watched {
        if names.iter().any(|name| called(name)) {
            reached.insert(area(&rule.id));
        }
    }
    for (rule, names) in &watched {
        let area = area(&rule.id);
        let exercised = if names.is_empty() {
            reached.contains(&area)
        } else {
            names.iter().any(|name| called(name))
        };
        let row = rows.entry(area).or_default();
        row.watched += 1;
        row.exercised += u64::from(exercised);
        row.held += u64::from(exercised && !total.broken.contains_key(&rule.id));
    }
    for (id, count) in &total.broken {
        let row = rows.entry(area(id)).or_default();
        row.violated.insert(id.clone(), *count);
    }
    for (area, row) in &mut rows {
        row.area.clone_from(area);
    }
    rows.into_values().collect()
}

/// Where text goes: stdout, or stderr when that carries the document.
pub struct Screen {
    json: bool,
    bars: MultiProgress,
    open: BTreeMap<String, ProgressBar>,
    /// How far each part of a suite is.
    done: BTreeMap<(String, u64), u64>,
    terminal: bool,
}

impl Screen {
    /// A screen.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            bars: MultiProgress::new(),
            open: BTreeMap::new(),
            done: BTreeMap::new(),
            terminal: std::io::stderr().is_terminal(),
        }
    }

    fn say(&self, text: &str) {
        let mut out: Box<dyn std::io::Write> = if self.json {
            Box::new(std::io::stderr())
        } else {
            Box::new(std::io::stdout())
        };
        // Nobody reading is no reason to stop.
        let _ = self.bars.suspend(|| writeln!(out, "{text}"));
    }

    /// What is judged.
    pub fn introduce(&self, subject: &Subject) {
        self.say(&format!(
            "{} ({}), sha256 {}",
            subject.name, subject.service, subject.sha256
        ));
        let variants: Vec<&str> = subject.shapes.iter().map(|(name, _)| &**name).collect();
        if variants.len() > 1 {
            self.say(&format!(
                "configurations: the topology's{}",
                variants.join(", ")
            ));
        }
    }

    /// How far a part of a suite is: its plays go from the suite's first to its last.
    pub fn progress(&mut self, what: &str, part: u64, done: u64, of: u64) {
        if !self.terminal {
            return;
        }
        self.done.insert((what.to_owned(), part), done);
        let parts = (what.to_owned(), 0)..=(what.to_owned(), u64::MAX);
        let parts: Vec<u64> = self.done.range(parts).map(|(_, &done)| done).collect();
        let done = parts.iter().sum::<u64>() / parts.len().max(1) as u64;
        let bars = &self.bars;
        let bar = self.open.entry(what.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg:32} {wide_bar} {pos}/{len} {eta}");
            let bar = bars.add(ProgressBar::new(of));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(what.to_owned());
            bar
        });
        bar.set_length(of);
        bar.set_position(done);
    }

    /// A suite is over.
    pub fn part(&mut self, part: &Part) {
        let name = match &*part.variant {
            "" => part.suite.name().to_owned(),
            variant => format!("{variant}: {}", part.suite.name()),
        };
        if let Some(bar) = self.open.remove(&name) {
            bar.finish_and_clear();
        }
        let report = &part.report;
        let seconds = report.wall.as_secs_f64();
        let rate = super::a_minute_on_two(report.plays, report.cpu);
        self.say(&format!(
            "  {name:32} {:>9} plays  {:>7} calls failed  {:>7} wrong  {seconds:7.1} s  {:>8} a minute on two",
            grouped(report.plays),
            grouped(report.injected),
            grouped(report.wrong),
            grouped(rate as u64),
        ));
    }

    /// No more bars.
    pub fn end_progress(&mut self) {
        for (_, bar) in std::mem::take(&mut self.open) {
            bar.finish_and_clear();
        }
    }

    /// Everything.
    pub fn show(&self, document: &Document) {
        let mut table = Table::new(["rules", "watched", "exercised", "held", "violated"]);
        for row in &document.rules {
            let list: Vec<String> = row
                .violated
                .iter()
                .map(|(id, count)| format!("{id} ({count})"))
                .collect();
            table.row([
                row.area.clone(),
                row.watched.to_string(),
                row.exercised.to_string(),
                row.held.to_string(),
                if list.is_empty() {
                    "-".into()
                } else {
                    list.join(", ")
                },
            ]);
        }
        self.say(&table.render("  "));
        self.say(&format!(
            "fault sites: {} hit of {} known",
            document.sites_hit, document.sites_known
        ));
        for place in &document.sites_missed {
            let reason = place.reason.as_deref().unwrap_or("NO REASON IS KNOWN");
            self.say(&format!(
                "  not reached: {} in {} (image+{:#x}): {reason}",
                place.site.call, place.place, place.site.at
            ));
        }
        for failure in &document.failures {
            self.say(&format!("  {failure}"));
        }
        self.say(&format!(
            "{} scenarios in {:.1} s, {} a minute; {:.1} s of processor time: {} a minute on two free processors",
            grouped(document.plays),
            document.wall_ms as f64 / 1000.0,
            grouped(document.plays_per_minute as u64),
            document.cpu_ms as f64 / 1000.0,
            grouped(document.plays_per_minute_on_two as u64)
        ));
        let verdict = match document.exit_code {
            0 => "clean",
            1 => "rules broken, or sites that nothing reaches",
            _ => "the driver crashed or hung",
        };
        self.say(verdict);
    }
}
