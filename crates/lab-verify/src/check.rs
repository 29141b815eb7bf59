//! Scenario files: read, and every mistake named with its place.
//!
//! serde alone would stop at the first mistake and, inside an action, would not know where it
//! is. So the tables are looked at one by one first: which keys they have, of which kind, and
//! whether what they refer to is there.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::plan::Plan;

/// A mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong, and what was probably meant.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

/// What a key holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Flag,
    Text,
    List,
    Table,
    /// A list of tables.
    Tables,
    /// What only serde knows.
    Any,
    /// The index of an adapter.
    Adapter,
    /// The index of a miniport.
    Upper,
}

/// A key, what it holds, and whether it must be there.
type Key = (&'static str, Kind, bool);

use Kind::{Adapter, Any, Flag, List, Number, Table, Tables, Text, Upper};

const PLAN: &[Key] = &[
    ("name", Text, false),
    ("seed", Number, false),
    ("shape", Table, false),
    ("knobs", Table, false),
    ("action", Tables, false),
];
const SHAPE: &[Key] = &[
    ("adapter", Tables, true),
    ("miniport", Tables, true),
    ("ask", Tables, false),
    ("partner", Text, false),
];
const ADAPTER: &[Key] = &[
    ("upper", List, true),
    ("values", Table, false),
    ("mtu", Number, false),
    ("pend", Number, false),
    ("resources", Number, false),
    ("vlan-offload", Flag, false),
    ("wakes", Flag, false),
    ("offload", Flag, false),
    ("read-only", Number, false),
    ("split", Flag, false),
    ("tasks", Any, false),
    ("queues", Number, false),
    ("vports", Number, false),
];
const MINIPORT: &[Key] = &[
    ("properties", Table, false),
    ("vlan", Number, false),
    ("start", Text, false),
    ("keeps", Number, false),
    ("silent", Flag, false),
    ("large-sends", Flag, false),
    ("frames", Text, false),
];
const ASK: &[Key] = &[
    ("code", Number, true),
    ("input", List, false),
    ("output", Number, false),
];
const KNOBS: &[Key] = &[
    ("ndis-minor", Number, false),
    ("guarded", Flag, false),
    ("manner", Text, false),
    ("frame", Number, false),
    ("rough", Flag, false),
    ("lean", Flag, false),
    ("breach", Text, false),
    ("schedule", Table, false),
    ("fail", Tables, false),
];
const FAULT: &[Key] = &[
    ("call", Text, false),
    ("site", Number, false),
    ("nth", Number, true),
];
const SCHEDULE: &[Key] = &[
    ("switch-every", Number, false),
    ("locked-every", Number, false),
    ("processors", Number, false),
    ("step", Tables, false),
    ("only", List, false),
];
const STEP: &[Key] = &[
    ("callback", Text, true),
    ("call", Number, true),
    ("instruction", Number, true),
];

/// What each action has, beside `do`.
const ACTIONS: &[(&str, &[Key])] = &[
    ("entry", &[]),
    ("bind", &[("adapter", Adapter, true)]),
    ("send", &[("upper", Upper, true), ("lists", Number, true)]),
    (
        "receive",
        &[
            ("adapter", Adapter, true),
            ("upper", Upper, true),
            ("lists", Number, true),
            ("resources", Flag, false),
        ],
    ),
    (
        "oid",
        &[
            ("upper", Upper, true),
            ("kind", Text, false),
            ("oid", Number, true),
            ("input", List, false),
            ("output", Number, false),
            ("direct", Flag, false),
            ("cancel-after", Number, false),
        ],
    ),
    ("hold-oids", &[("hold", Flag, true)]),
    (
        "hold-sends",
        &[("adapter", Adapter, true), ("hold", Flag, true)],
    ),
    (
        "cancel-sends",
        &[("upper", Upper, true), ("id", Number, true)],
    ),
    (
        "status",
        &[
            ("adapter", Adapter, true),
            ("code", Number, true),
            ("bytes", Number, false),
            ("times", Number, false),
        ],
    ),
    ("link", &[("adapter", Adapter, true), ("up", Flag, true)]),
    ("pause-upper", &[("upper", Upper, true)]),
    ("restart-upper", &[("upper", Upper, true)]),
    ("pause-lower", &[("adapter", Adapter, true)]),
    ("restart-lower", &[("adapter", Adapter, true)]),
    ("power-upper", &[("upper", Upper, true), ("up", Flag, true)]),
    (
        "power-lower",
        &[("adapter", Adapter, true), ("up", Flag, true)],
    ),
    (
        "net-event",
        &[("adapter", Adapter, true), ("code", Number, true)],
    ),
    ("reset", &[("adapter", Adapter, true), ("ns", Number, true)]),
    ("reconfigure", &[("adapter", Adapter, false)]),
    (
        "control",
        &[
            ("code", Number, true),
            ("input", List, false),
            ("output", Number, false),
        ],
    ),
    ("vanish", &[("adapter", Adapter, true)]),
    ("unbind", &[("adapter", Adapter, true)]),
    ("halt", &[("upper", Upper, true)]),
    (
        "set-upper",
        &[("adapter", Adapter, true), ("upper", List, true)],
    ),
    ("restart-device", &[("upper", Upper, true)]),
    ("bind-early", &[("adapter", Adapter, true)]),
    (
        "change",
        &[
            ("adapter", Adapter, true),
            ("mtu", Number, false),
            ("if-index", Number, false),
            ("wakes", Flag, false),
            ("offload", Flag, false),
            ("queues", Number, false),
            ("vports", Number, false),
            ("assist", Flag, false),
        ],
    ),
    (
        "queue",
        &[("adapter", Adapter, true), ("domain", Number, true)],
    ),
    ("re-enable", &[("upper", Upper, true)]),
    ("answer", &[("status", Number, true)]),
    (
        "event",
        &[
            ("adapter", Adapter, false),
            ("code", Number, true),
            ("bytes", Number, false),
        ],
    ),
    (
        "send-raw",
        &[("upper", Upper, true), ("frames", List, true)],
    ),
    (
        "receive-raw",
        &[("adapter", Adapter, true), ("frames", List, true)],
    ),
    ("send-anyway", &[("upper", Upper, true)]),
    ("sync-oid", &[("upper", Upper, true), ("oid", Number, true)]),
    ("ask-all", &[("upper", Upper, true)]),
    (
        "shutdown",
        &[("upper", Upper, true), ("bug-check", Flag, true)],
    ),
    ("unload-bound", &[]),
    ("uninstall", &[]),
    ("unload", &[]),
    ("sleep", &[("ns", Number, true)]),
    ("settle", &[]),
    ("together", &[("action", Tables, true)]),
];

/// Reads a scenario file.
///
/// # Errors
/// Every mistake, in the order of the file.
pub fn read(text: &str) -> Result<Plan, Vec<Problem>> {
    let mut check = Check {
        text,
        problems: Vec::new(),
        adapters: 1,
        uppers: 1,
    };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let what = error.message().lines().next().unwrap_or("this is not TOML");
        check.add(&error.span().unwrap_or(0..0), what);
    }
    if errors.is_empty() {
        check.plan(root.get_ref());
    }
    if check.problems.is_empty() {
        match toml::from_str::<Plan>(text) {
            Ok(plan) => return Ok(plan),
            Err(error) => {
                let what = error
                    .message()
                    .lines()
                    .next()
                    .unwrap_or("this is no scenario");
                check.add(&error.span().unwrap_or(0..0), what);
            }
        }
    }
    check.problems.sort_by_key(|p| (p.line, p.column));
    Err(check.problems)
}

struct Check<'a> {
    text: &'a str,
    problems: Vec<Problem>,
    adapters: usize,
    uppers: usize,
}

fn near(word: &str, known: &[&str]) -> String {
    let best = known
        .iter()
        .map(|known| (strsim::jaro_winkler(known, word), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(String::new(), |(_, best)| {
        format!("; did you mean `{best}`?")
    })
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Number => "a number",
        Flag => "true or false",
        Text => "a text",
        List => "a list",
        Table => "a table",
        Tables => "a list of tables",
        Any => "something else",
        Adapter => "the index of an adapter",
        Upper => "the index of a miniport",
    }
}

impl Check<'_> {
    fn add(&mut self, span: &Range<usize>, what: impl Into<String>) {
        let mut at = span.start.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let before = &self.text[..at];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.problems.push(Problem {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            what: what.into(),
        });
    }

    fn plan(&mut self, root: &DeTable<'_>) {
        let whole = 0..0;
        self.keys("the scenario", root, &whole, PLAN, &[]);
        if let Some(shape) = table(root, "shape") {
            let span = span(root, "shape");
            self.keys("[shape]", shape, &span, SHAPE, &[]);
            self.adapters = tables(shape, "adapter").len();
            self.uppers = tables(shape, "miniport").len();
            for (name, keys) in [("adapter", ADAPTER), ("miniport", MINIPORT), ("ask", ASK)] {
                self.each(&format!("[[shape.{name}]]"), shape, name, keys);
            }
            for adapter in tables(shape, "adapter") {
                self.uppers_of(adapter.1);
            }
        }
        if let Some(knobs) = table(root, "knobs") {
            let at = span(root, "knobs");
            self.keys("[knobs]", knobs, &at, KNOBS, &[]);
            self.each("[[knobs.fail]]", knobs, "fail", FAULT);
            if let Some(schedule) = table(knobs, "schedule") {
                let at = span(knobs, "schedule");
                self.keys("[knobs.schedule]", schedule, &at, SCHEDULE, &[]);
                self.each("[[knobs.schedule.step]]", schedule, "step", STEP);
            }
        }
        self.actions(root);
    }

    fn each(&mut self, title: &str, of: &DeTable<'_>, name: &str, keys: &[Key]) {
        for (at, table) in tables(of, name) {
            self.keys(title, table, &at, keys, &[]);
        }
    }

    /// Indices of miniports in a list.
    fn uppers_of(&mut self, of: &DeTable<'_>) {
        let Some(DeValue::Array(list)) = of.get("upper").map(Spanned::get_ref) else {
            return;
        };
        for item in list {
            self.index(item, Upper);
        }
    }

    fn actions(&mut self, of: &DeTable<'_>) {
        let names: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
        for (at, action) in tables(of, "action") {
            let Some(done) = action.get("do") else {
                self.add(&at, "an [[action]] needs the key `do`");
                continue;
            };
            let DeValue::String(name) = done.get_ref() else {
                self.add(&done.span(), "`do` is the name of an action");
                continue;
            };
            let Some((_, keys)) = ACTIONS.iter().find(|(known, _)| known == name) else {
                let near = near(name, &names);
                let all = names.join(", ");
                let what = format!("there is no action `{name}`{near} (allowed: {all})");
                self.add(&done.span(), what);
                continue;
            };
            self.keys(&format!("the action `{name}`"), action, &at, keys, &["do"]);
            if name == "set-upper" {
                self.uppers_of(action);
            }
            if name == "together" {
                self.actions(action);
            }
        }
    }

    fn keys(
        &mut self,
        title: &str,
        table: &DeTable<'_>,
        at: &Range<usize>,
        keys: &[Key],
        more: &[&str],
    ) {
        let names: Vec<&str> = keys.iter().map(|key| key.0).collect();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if more.contains(&name) {
                continue;
            }
            let Some((_, kind, _)) = keys.iter().find(|known| known.0 == name) else {
                let near = near(name, &names);
                let allowed = if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                };
                let what = format!("{title} has no key `{name}`{near} (allowed: {allowed})");
                self.add(&key.span(), what);
                continue;
            };
            let fits = match (kind, value.get_ref()) {
                (Number, DeValue::Integer(_))
                | (Flag, DeValue::Boolean(_))
                | (Text, DeValue::String(_))
                | (List, DeValue::Array(_))
                | (Table, DeValue::Table(_))
                | (Any, _) => true,
                (Tables, DeValue::Array(list)) => list
                    .iter()
                    .all(|item| matches!(item.get_ref(), DeValue::Table(_))),
                (Adapter | Upper, _) => {
                    self.index(value, *kind);
                    true
                }
                _ => false,
            };
            if !fits {
                let what = format!("`{name}` of {title} is {}", kind_name(*kind));
                self.add(&value.span(), what);
            }
        }
        for (name, _, needed) in keys {
            if *needed && !table.contains_key(*name) {
                self.add(at, format!("{title} needs the key `{name}`"));
            }
        }
    }

    fn index(&mut self, value: &Spanned<DeValue<'_>>, kind: Kind) {
        let (what, count) = if kind == Adapter {
            ("adapter", self.adapters)
        } else {
            ("miniport", self.uppers)
        };
        let number = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse::<usize>().ok(),
            _ => None,
        };
        match number {
            Some(number) if number < count => {}
            Some(number) => {
                let what = format!("there is no {what} {number}: the shape has {count}, from 0");
                self.add(&value.span(), what);
            }
            None => {
                let what = format!("this is not {}", kind_name(kind));
                self.add(&value.span(), what);
            }
        }
    }
}

fn table<'a, 'b>(of: &'a DeTable<'b>, name: &str) -> Option<&'a DeTable<'b>> {
    match of.get(name)?.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

fn span(of: &DeTable<'_>, name: &str) -> Range<usize> {
    of.get(name).map_or(0..0, Spanned::span)
}

/// The tables of a list of tables, and where they are.
fn tables<'a, 'b>(of: &'a DeTable<'b>, name: &str) -> Vec<(Range<usize>, &'a DeTable<'b>)> {
    let Some(DeValue::Array(list)) = of.get(name).map(Spanned::get_ref) else {
        return Vec::new();
    };
    let each = list.iter().filter_map(|item| match item.get_ref() {
        DeValue::Table(table) => Some((item.span(), table)),
        _ => None,
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::generate;
    use crate::plan::Shape;
    use crate::plans;

    fn lines(text: &str) -> Vec<String> {
        let problems = read(text).expect_err(text);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_plan_that_is_made_is_read() {
        let mut shape = Shape::default();
        shape.asks.push(crate::plan::Ask {
            code: 1,
            input: vec![1],
            output: 2,
        });
        let made = (0..300).map(|seed| generate(seed, &shape));
        // Misdeeds need what no plan of a driver does.
        let misdeeds = crate::misdeeds::plans().map(|(_, make)| make());
        for plan in made.chain(plans::whole(&shape)).chain(misdeeds) {
            let text = plan.to_toml();
            match read(&text) {
                Ok(back) => assert_eq!(back, plan),
                Err(problems) => panic!("{problems:?}\n{text}"),
            }
        }
    }

    #[test]
    fn each_mistake_has_its_place_and_a_suggestion() {
        let text = "nme = \"x\"\n\
                    [[action]]\ndo = \"entri\"\n\
                    [[action]]\ndo = \"bind\"\nadapter = 1\n\
                    [[action]]\ndo = \"send\"\nuper = 0\nlists = true\n";
        let found = lines(text);
        assert_eq!(found.len(), 6, "{found:#?}");
        assert!(found[0].starts_with("1:1: the scenario has no key `nme`; did you mean `name`?"));
        assert!(found[1].starts_with("3:6: there is no action `entri`; did you mean `entry`?"));
        assert_eq!(
            found[2],
            "6:11: there is no adapter 1: the shape has 1, from 0"
        );
        assert_eq!(found[3], "7:1: the action `send` needs the key `upper`");
        assert!(found[4].starts_with("9:1: the action `send` has no key `uper`; did you mean"));
        assert_eq!(found[5], "10:9: `lists` of the action `send` is a number");
    }

    #[test]
    fn what_is_inside_counts_too() {
        let text =
            "[[action]]\ndo = \"together\"\n[[action.action]]\ndo = \"vanish\"\nadapter = 7\n";
        assert_eq!(
            lines(text),
            ["5:11: there is no adapter 7: the shape has 1, from 0"]
        );
        let text = "[knobs.schedule]\nswitch-evry = 3\n";
        assert!(lines(text)[0].starts_with("2:1: [knobs.schedule] has no key `switch-evry`; did"));
        assert_eq!(lines("[[action]\n").len(), 1);
        // What only serde sees is said too.
        let text = "[knobs]\nmanner = \"sometimes\"\n";
        let found = lines(text);
        assert!(
            found[0].starts_with("2:10: unknown variant `sometimes`"),
            "{found:?}"
        );
    }
}
