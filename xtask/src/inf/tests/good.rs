//! What the templates make is what the linter accepts, and what was approved.

use std::{collections::BTreeSet, path::Path};

use super::*;
use crate::inf::{DriverVersion, lint::lint};

const BOTH: [Arch; 2] = [Arch::X64, Arch::Arm64];

/// The INFs of the shipped drivers are exactly these. After a wanted change, run
/// the test with `UPDATE_APPROVED=1`, read the difference, and commit it.
#[test]
fn the_rendered_text_is_the_approved_text() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/inf/testdata");
    let mut stale = Vec::new();
    let shipped = [("passthrough", PASSTHROUGH), ("mux", MUX), ("lbfo", LBFO)];
    let infs = shipped.map(|(driver, data)| rendered(driver, data, &BOTH));
    for inf in infs.into_iter().flatten() {
        let path = folder.join(&inf.file_name);
        let new = String::from_utf8(inf.contents)
            .unwrap()
            .replace("\r\n", "\n");
        if std::env::var_os("UPDATE_APPROVED").is_some() {
            std::fs::write(&path, &new).unwrap();
        }
        if std::fs::read_to_string(&path).is_ok_and(|approved| approved == new) {
            continue;
        }
        stale.push(format!("{}:\n{new}", path.display()));
    }
    assert!(
        stale.is_empty(),
        "not the approved text: {}",
        stale.join("\n")
    );
}

#[test]
fn every_shipped_driver_makes_a_fit_package() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inf");
    let mut drivers = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        drivers += 1;
        let driver = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let data = std::fs::read_to_string(&path).unwrap();
        for archs in [&BOTH[..], &BOTH[..1], &BOTH[1..]] {
            assert_eq!(errors(files(&driver, &data, archs)), [], "{driver}");
        }
    }
    assert!(drivers > 0);
}

#[test]
fn every_branch_of_the_templates_makes_a_fit_package() {
    for archs in [&BOTH[..], &BOTH[..1], &BOTH[1..]] {
        assert_eq!(errors(files("full", FULL, archs)), []);
    }
    let infs = rendered("full", FULL, &BOTH[1..]);
    let protocol = text(&infs, InfRole::Protocol);
    let miniport = text(&infs, InfRole::Miniport);
    for part in [
        "Models,NTarm64.10.0...25341,NTarm64\r\n",
        "Characteristics = 0x80",
        "HKR,Ndi,ComponentDll,0,\"%13%\\arm64\\imfull_notify.dll\"",
        "HKR,Ndi,ComponentDll,0,\"%11%\\imfull_notify.dll\"",
    ] {
        assert!(protocol.contains(part), "{part}\n{protocol}");
    }
    for part in [
        "Characteristics    = 0xa9",
        "HKR,Ndi\\params\\Level,Max,0,\"4094\"",
        "HKR,Ndi\\params\\Mode\\enum,\"1\",0,%Param2Value2%",
        "Param2Value2 = \"Negotiated\"",
        "HKR,Ndi\\params\\Label,LimitText,0,\"8\"",
        "HKR,Ndi\\params\\NetworkAddress,Optional,0,\"1\"\r\n\
         HKR,Ndi\\params\\NetworkAddress,LimitText,0,\"12\"\r\n\
         HKR,Ndi\\params\\NetworkAddress,UpperCase,0,\"1\"\r\n",
        ";   Allowed: Who may pass\r\n",
    ] {
        assert!(miniport.contains(part), "{part}\n{miniport}");
    }
    assert!(!miniport.contains("params\\Allowed"), "{miniport}");
    for part in [
        ";   Mode: Mode of the adapter\r\n;     0 Plain (default)\r\n",
        ";   Depth: Depth of something\r\n;     1 to 9, default \"3\"\r\n",
    ] {
        assert!(protocol.contains(part), "{part}\n{protocol}");
    }
}

#[test]
fn a_missing_notify_object_is_noted_and_no_more() {
    let without = without_notify_object(PASSTHROUGH);
    let findings = lint_files(&Package::of(files("passthrough", &without, &BOTH[..1])));
    let notes: Vec<_> = findings
        .iter()
        .map(|finding| (finding.rule, finding.severity))
        .collect();
    assert_eq!(notes, [("INF-6", Severity::Note)]);
    assert_eq!(lint_files(&Package::of(files("full", FULL, &BOTH))), []);
}

fn without_notify_object(data: &str) -> String {
    let mut data: toml::Table = data.parse().unwrap();
    data.remove("notify_object").unwrap();
    data.to_string()
}

/// Windows knows a notify object by its class id, and the DLL in System32 by its name.
#[test]
fn no_two_drivers_share_a_notify_object() {
    let all = [PASSTHROUGH, MUX, LBFO].map(|data| DriverData::parse(data).unwrap());
    let (mut ids, mut files) = (BTreeSet::new(), BTreeSet::new());
    for data in all {
        let notify = data.notify_object.unwrap();
        assert!(
            ids.insert(notify.clsid.to_ascii_lowercase()),
            "{}",
            notify.clsid
        );
        assert!(
            files.insert(notify.file.to_ascii_lowercase()),
            "{}",
            notify.file
        );
        assert!(!notify.property_page, "none of them has a page");
    }
}

#[test]
fn a_catalog_of_an_inf_is_welcome() {
    let mut files = files("passthrough", PASSTHROUGH, &BOTH[..1]);
    files.insert("passthrough_mp.cat".to_owned(), Vec::new());
    assert_eq!(errors(files), []);
}

#[test]
fn a_package_on_disk_is_read() {
    let folder = std::env::temp_dir().join(format!("inf-lint-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    assert!(
        lint(&folder).is_err(),
        "a directory without an INF is no package"
    );
    for (name, contents) in files("passthrough", &without_notify_object(PASSTHROUGH), &BOTH) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }
    let findings = lint(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
    let findings = findings.unwrap();
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0]
            .to_string()
            .starts_with("passthrough.inf: note INF-6: ")
    );
}

#[test]
fn data_files_are_checked() {
    let bad = [
        ("title = \"NDIS", "titel = \"NDIS", "unknown field"),
        ("(Rust)\"", "50%\"", "must be printable"),
        (
            "[protocol]",
            "[[parameters]]\nname='a'\ndescription='b'\ntype='word'\ndefault='0'\n[protocol]",
            "min and max",
        ),
        (
            "[protocol]",
            "[[parameters]]\nname='a'\ndescription='b'\ntype='enum'\ndefault='0'\n[protocol]",
            "an enum has values",
        ),
        (
            "[protocol]",
            "[[parameters]]\nname='a'\ndescription='b'\ntype='bool'\ndefault='0'\n[protocol]",
            "unknown variant `bool`",
        ),
    ];
    for (from, to, expected) in bad {
        let text = PASSTHROUGH.replacen(from, to, 1);
        assert_ne!(text, PASSTHROUGH);
        let error = format!("{:#}", DriverData::parse(&text).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
    for (parameter, expected) in [
        ("type='edit'", "not optional"),
        ("type='edit'\ndefault='abc'\nlimit=2", "longer than 2"),
        ("type='multi'\ndefault=''", "a list is empty"),
        (
            "type='int'\noptional=true\nmin=0\nmax=9\nlimit=3",
            "only texts",
        ),
        ("type='word'\noptional=true\nmin=0\nmax=65536", "no range"),
        ("type='dword'\noptional=true\nmin=-1\nmax=1", "no range"),
        ("type='int'\noptional=true\nmin=2\nmax=1", "no range"),
        (
            "type='int'\ndefault='3'\nmin=0\nmax=8\nstep=2",
            "is not in 0, 0+2",
        ),
        ("type='int'\ndefault='x'\nmin=0\nmax=8", "is not a number"),
        (
            "type='int'\ndefault='8'\nmin=0\nmax=8\nstep=0",
            "not positive",
        ),
        (
            "type='enum'\ndefault='1'\nvalues=[{value='0',description='c'}]",
            "none of its values",
        ),
        (
            "type='enum'\ndefault='1'\nvalues=[{value='1',description='c'}]",
            "numbered from 0",
        ),
    ] {
        for list in ["parameters", "binding_parameters"] {
            let text =
                format!("{PASSTHROUGH}\n[[{list}]]\nname='a'\ndescription='b'\n{parameter}\n");
            let error = format!("{:#}", DriverData::parse(&text).unwrap_err());
            assert!(
                error.contains("parameter a") && error.contains(expected),
                "{error}"
            );
        }
    }
    let twice = "\n[[parameters]]\nname='A'\ndescription='b'\ntype='multi'\n\
                 [[parameters]]\nname='a'\ndescription='b'\ntype='multi'\n";
    let error = DriverData::parse(&format!("{PASSTHROUGH}{twice}")).unwrap_err();
    assert!(error.to_string().contains("a is there twice"), "{error}");
    let error = crate::inf::stamp("passthru", Path::new("no/such/folder"), &context(&BOTH));
    assert!(error.unwrap_err().to_string().contains("\"passthru\""));
}

#[test]
fn versions_are_four_small_numbers() {
    assert_eq!(
        "1.2".parse::<DriverVersion>().unwrap().to_string(),
        "1.2.0.0"
    );
    for bad in ["", "1.2.3.4.5", "1.x", "1.65535", "-1"] {
        assert!(bad.parse::<DriverVersion>().is_err(), "{bad}");
    }
}
