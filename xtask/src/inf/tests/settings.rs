//! What the driver reads, what its INFs declare and what its page in the documentation
//! says are one table: the driver's.

use std::fmt::Write as _;
use std::path::Path;

use mux::settings::{Kind, Scope, Setting, TABLE};

use super::*;
use crate::inf::parameters::{self, Parameter};

/// The page with the table, and the lines that enclose it.
const PAGE: &str = "../docs/mux.md";
const BEGIN: &str = "<!-- table: drivers/mux/src/settings.rs -->";
const END: &str = "<!-- end of table -->";

/// A parameter as the driver's table would have it, apart from its texts.
fn declared(setting: &Setting, found: &Parameter) -> Result<(), String> {
    let expect = |what: &str, is: String, should: String| {
        if is == should {
            Ok(())
        } else {
            Err(format!("{what} is {is}, the driver says {should}"))
        }
    };
    let (kind, default, optional) = match setting.kind {
        Kind::Integer { min, max, default } => {
            let range = Some((i64::from(min), i64::from(max)));
            expect(
                "range",
                format!("{:?}", found.min.zip(found.max)),
                format!("{range:?}"),
            )?;
            expect("step", found.step.to_string(), "1".to_owned())?;
            let default = default.map(|number| number.to_string());
            (parameters::Kind::Int, default.clone(), default.is_none())
        }
        Kind::Choice { names, default } => {
            expect(
                "number of choices",
                found.values.len().to_string(),
                names.len().to_string(),
            )?;
            (parameters::Kind::Enum, Some(default.to_string()), false)
        }
        Kind::Priorities { default } => {
            expect("limit", format!("{:?}", found.limit), "Some(8)".to_owned())?;
            (parameters::Kind::Edit, Some(default.to_owned()), false)
        }
        // Twelve digits, with hyphens.
        Kind::Address => {
            expect("limit", format!("{:?}", found.limit), "Some(17)".to_owned())?;
            (parameters::Kind::Edit, None, true)
        }
        Kind::Addresses { .. } => (parameters::Kind::Multi, None, false),
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
    let data = DriverData::parse(MUX).unwrap();
    let mut wrong = Vec::new();
    for (scope, list) in [
        (Scope::Port, &data.parameters),
        (Scope::Binding, &data.binding_parameters),
    ] {
        let settings: Vec<_> = TABLE.iter().filter(|row| row.scope == scope).collect();
        let read: Vec<_> = settings.iter().map(|row| row.name).collect();
        let declared_names: Vec<_> = list.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(declared_names, read, "{scope:?}");
        for (setting, parameter) in settings.iter().zip(list) {
            if let Err(problem) = declared(setting, parameter) {
                wrong.push(format!("{}: {problem}", setting.name));
            }
        }
    }
    assert!(wrong.is_empty(), "inf/mux.toml: {}", wrong.join("\n"));
    assert!(TABLE.len() >= 10);
}

#[test]
fn a_difference_is_seen() {
    let data = DriverData::parse(MUX).unwrap();
    let setting = |name: &str| TABLE.iter().find(|row| row.name == name).unwrap();
    let parameter = |name: &str| data.parameters.iter().find(|p| p.name == name).unwrap();
    let vlan = setting("VlanID");
    declared(vlan, parameter("VlanID")).unwrap();
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
        assert!(declared(vlan, &changed).is_err(), "{changed:?}");
    }
    let mut fewer = parameter("MacMode").clone();
    fewer.values.pop();
    assert!(declared(setting("MacMode"), &fewer).is_err());
}

/// The table in the documentation. After a wanted change, run the test with
/// `UPDATE_APPROVED=1`.
#[test]
fn the_documentation_lists_what_the_driver_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has a table");
    let (table, tail) = rest.split_once(END).expect("the table ends");
    let wanted = documented();
    if std::env::var_os("UPDATE_APPROVED").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}\n\n{wanted}\n{END}{tail}")).unwrap();
    } else {
        assert_eq!(table.trim(), wanted.trim(), "{PAGE}");
    }
}

fn documented() -> String {
    let mut out = String::from(
        "| # | Value | Key of | Type | Values | Default | What it does |\n|---|---|---|---|---|---|---|\n",
    );
    for (number, row) in TABLE.iter().enumerate() {
        let key = match row.scope {
            Scope::Binding => "binding",
            Scope::Port => "port",
        };
        let (kind, values, default) = match row.kind {
            Kind::Integer { min, max, default } => (
                "number",
                format!("{min} to {max}"),
                default.map_or("see there".to_owned(), |number| number.to_string()),
            ),
            Kind::Choice { names, default } => {
                let all: Vec<_> = (0..)
                    .zip(names)
                    .map(|(n, name)| format!("{n} {name}"))
                    .collect();
                ("number", all.join(", "), default.to_string())
            }
            Kind::Priorities { default } => {
                ("text", "eight digits 0 to 7".to_owned(), default.to_owned())
            }
            Kind::Address => ("text", "a MAC address".to_owned(), "none".to_owned()),
            Kind::Addresses { most } => (
                "texts",
                format!("MAC addresses, at most {most}"),
                "none".to_owned(),
            ),
        };
        writeln!(
            out,
            "| {number} | `{}` | {key} | {kind} | {values} | {default} | {} |",
            row.name, row.text
        )
        .unwrap();
    }
    out
}
