//! What a driver reads, what its INFs declare and what its page in the documentation
//! says are one table: the driver's. Each driver has a table of its own form; the tests
//! bring them into one.

use std::fmt::Write as _;

use super::*;
use crate::docs::tables;
use crate::inf::parameters::{self, Parameter};

/// In which key a value lies, as a data file tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Binding,
    Miniport,
}

/// What a value may be.
#[derive(Clone, Debug)]
enum What {
    Number {
        min: u32,
        max: u32,
        default: Option<u32>,
    },
    Choice {
        names: &'static [&'static str],
        default: u32,
    },
    Text {
        limit: u16,
        form: &'static str,
        default: Option<&'static str>,
    },
    List {
        form: String,
    },
}

/// A row of a driver's table.
#[derive(Clone, Debug)]
struct Row {
    name: &'static str,
    of: Of,
    /// What the driver's page calls the owner of the key.
    key: &'static str,
    what: What,
    text: &'static str,
}

/// A driver with settings.
struct Table {
    driver: &'static str,
    data: &'static str,
    rows: Vec<Row>,
}

/// A MAC address in a text: twelve digits, with hyphens.
const ADDRESS: What = What::Text {
    limit: 17,
    form: "a MAC address",
    default: None,
};

fn mux() -> Table {
    use mux::settings::{Kind, Scope, TABLE};
    let rows = TABLE.iter().map(|row| {
        let (of, key) = match row.scope {
            Scope::Binding => (Of::Binding, "binding"),
            Scope::Port => (Of::Miniport, "port"),
        };
        let what = match row.kind {
            Kind::Integer { min, max, default } => What::Number { min, max, default },
            Kind::Choice { names, default } => What::Choice { names, default },
            Kind::Priorities { default } => What::Text {
                limit: 8,
                form: "eight digits 0 to 7",
                default: Some(default),
            },
            Kind::Address => ADDRESS,
            Kind::Addresses { most } => What::List {
                form: format!("MAC addresses, at most {most}"),
            },
        };
        Row {
            name: row.name,
            of,
            key,
            what,
            text: row.text,
        }
    });
    Table {
        driver: "mux",
        data: MUX,
        rows: rows.collect(),
    }
}

fn lbfo() -> Table {
    use lbfo::settings::{Kind, Scope, TABLE};
    let rows = TABLE.iter().map(|row| {
        let (of, key) = match row.scope {
            Scope::Member => (Of::Binding, "member"),
            Scope::Team => (Of::Miniport, "team"),
        };
        let what = match row.kind {
            Kind::Integer { min, max, default } => What::Number {
                min,
                max,
                default: Some(default),
            },
            Kind::Choice { names, default } => What::Choice { names, default },
            Kind::Address => ADDRESS,
            Kind::Stations { most } => What::List {
                form: format!("IP addresses, with `%` and a VLAN or without, at most {most}"),
            },
        };
        Row {
            name: row.name,
            of,
            key,
            what,
            text: row.text,
        }
    });
    Table {
        driver: "lbfo",
        data: LBFO,
        rows: rows.collect(),
    }
}

/// Compares a declaration with the driver's row, apart from texts for people.
fn declared(what: &What, found: &Parameter) -> Result<(), String> {
    let expect = |what: &str, is: String, should: String| {
        if is == should {
            Ok(())
        } else {
            Err(format!("{what} is {is}, the driver says {should}"))
        }
    };
    let (kind, default, optional) = match what {
        What::Number { min, max, default } => {
            let range = Some((i64::from(*min), i64::from(*max)));
            expect(
                "range",
                format!("{:?}", found.min.zip(found.max)),
                format!("{range:?}"),
            )?;
            expect("step", found.step.to_string(), "1".to_owned())?;
            let default = default.map(|number| number.to_string());
            let kind = if i32::try_from(*max).is_ok() {
                parameters::Kind::Int
            } else {
                parameters::Kind::Dword
            };
            (kind, default.clone(), default.is_none())
        }
        What::Choice { names, default } => {
            expect(
                "number of choices",
                found.values.len().to_string(),
                names.len().to_string(),
            )?;
            (parameters::Kind::Enum, Some(default.to_string()), false)
        }
        What::Text { limit, default, .. } => {
            let limit = Some(limit);
            expect("limit", format!("{:?}", found.limit), format!("{limit:?}"))?;
            let default = default.map(str::to_owned);
            (parameters::Kind::Edit, default.clone(), default.is_none())
        }
        What::List { .. } => (parameters::Kind::Multi, None, false),
    };
    expect("type", format!("{:?}", found.kind), format!("{kind:?}"))?;
    expect(
        "default",
        format!("{:?}", found.default),
        format!("{default:?}"),
    )?;
    expect("optional", found.optional.to_string(), optional.to_string())
}

#[test]
fn the_inf_declares_what_the_driver_reads() {
    for table in [mux(), lbfo()] {
        let data = DriverData::parse(table.data).unwrap();
        let mut wrong = Vec::new();
        for (of, list) in [
            (Of::Miniport, &data.parameters),
            (Of::Binding, &data.binding_parameters),
        ] {
            let rows: Vec<_> = table.rows.iter().filter(|row| row.of == of).collect();
            let read: Vec<_> = rows.iter().map(|row| row.name).collect();
            let names: Vec<_> = list.iter().map(|p| p.name.as_str()).collect();
            assert_eq!(names, read, "{}, {of:?}", table.driver);
            for (row, parameter) in rows.iter().zip(list) {
                if let Err(problem) = declared(&row.what, parameter) {
                    wrong.push(format!("{}: {problem}", row.name));
                }
            }
        }
        let file = format!("inf/{}.toml", table.driver);
        assert!(wrong.is_empty(), "{file}: {}", wrong.join("\n"));
        assert!(table.rows.len() >= 10);
    }
}

#[test]
fn a_difference_is_seen() {
    let table = mux();
    let data = DriverData::parse(table.data).unwrap();
    let row = |name: &str| {
        let row = table.rows.iter().find(|row| row.name == name).unwrap();
        row.what.clone()
    };
    let parameter = |name: &str| data.parameters.iter().find(|p| p.name == name).unwrap();
    let vlan = row("VlanID");
    declared(&vlan, parameter("VlanID")).unwrap();
    for change in [
        |p: &mut Parameter| p.max = Some(4093),
        |p: &mut Parameter| p.min = Some(1),
        |p: &mut Parameter| p.default = Some("1".to_owned()),
        |p: &mut Parameter| p.optional = true,
        |p: &mut Parameter| p.step = 2,
        |p: &mut Parameter| p.kind = parameters::Kind::Edit,
    ] {
        let mut changed = parameter("VlanID").clone();
        change(&mut changed);
        assert!(declared(&vlan, &changed).is_err(), "{changed:?}");
    }
    let mut fewer = parameter("MacMode").clone();
    fewer.values.pop();
    assert!(declared(&row("MacMode"), &fewer).is_err());
}

#[test]
fn the_documentation_lists_what_the_driver_reads() {
    for table in [mux(), lbfo()] {
        let page = format!("docs/{}.md", table.driver);
        let source = format!("drivers/{}/src/settings.rs", table.driver);
        tables::keep(&page, &source, &documented(&table.rows));
    }
}

fn documented(rows: &[Row]) -> String {
    let mut out = String::from(
        "| # | Value | Key of | Type | Values | Default | What it does |\n|---|---|---|---|---|---|---|\n",
    );
    for (number, row) in rows.iter().enumerate() {
        let none = || "none".to_owned();
        let (kind, values, default) = match &row.what {
            What::Number { min, max, default } => (
                "number",
                format!("{min} to {max}"),
                default.map_or("see there".to_owned(), |number| number.to_string()),
            ),
            What::Choice { names, default } => {
                let all: Vec<_> = (0..)
                    .zip(*names)
                    .map(|(n, name)| format!("{n} {name}"))
                    .collect();
                ("number", all.join(", "), default.to_string())
            }
            What::Text { form, default, .. } => (
                "text",
                (*form).to_owned(),
                default.map_or_else(none, str::to_owned),
            ),
            What::List { form } => ("texts", form.clone(), none()),
        };
        writeln!(
            out,
            "| {number} | `{}` | {} | {kind} | {values} | {default} | {} |",
            row.name, row.key, row.text
        )
        .unwrap();
    }
    out
}
