//! The notify objects under Wine: each driver's DLL is loaded, registered and driven over a
//! scripted network configuration by a program of its own (`tests/wine`), in a Wine prefix
//! of its own. `cargo xtask test` says where they are.

use std::path::{Path, PathBuf};
use std::process::Command;

const DRIVERS: [&str; 3] = ["lbfo", "mux", "passthrough"];

/// The folder with the DLLs and the program, if this machine can run them.
fn subjects(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os("IM_NOTIFY_DIR").map(PathBuf::from);
    let wine = Command::new("wine").arg("--version").output().is_ok();
    match found {
        Some(dir) if wine => Some(dir),
        Some(_) => {
            println!("SKIP {name}: no wine (cargo xtask setup --partners)");
            None
        }
        None => {
            println!("SKIP {name}: run by `cargo xtask test`, which builds the DLLs");
            None
        }
    }
}

/// A command for Wine without a display, browser or .NET.
fn wine(prefix: &Path) -> Command {
    let mut command = Command::new("wine");
    command
        .env("WINEPREFIX", prefix)
        .env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=")
        .env("WINEDEBUG", "-all")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
    command
}

/// The path as Wine has it.
fn windows(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

fn ids(driver: &str) -> [String; 3] {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../inf/{driver}.toml"));
    let data: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let text = |table: &str, key: &str| data[table][key].as_str().unwrap().to_owned();
    let prefix = data["id_prefix"].as_str().unwrap();
    [
        text("notify_object", "clsid"),
        format!("{prefix}_{}", text("protocol", "id")),
        format!("{prefix}_{}", text("miniport", "id")),
    ]
}

#[test]
fn notify_objects_under_wine() {
    let Some(dir) = subjects("notify_objects_under_wine") else {
        return;
    };
    let work = tempfile::tempdir().unwrap();
    let prefix = work.path().join("prefix");
    let booted = wine(&prefix).args(["wineboot", "--init"]).output().unwrap();
    assert!(booted.status.success(), "{booted:?}");
    let program = dir.join("notify-driver.exe");
    let mut failed = Vec::new();
    for driver in DRIVERS {
        let [class, protocol, miniport] = ids(driver);
        let dll = dir.join(driver).join(format!("{driver}_notify.dll"));
        let run = wine(&prefix)
            .arg(&program)
            .args([&windows(&dll), driver, &class, &protocol, &miniport])
            .arg(windows(work.path()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        println!("{driver}:\n{said}");
        let counted = said.lines().last().unwrap_or_default();
        let passed = counted
            .split(' ')
            .next()
            .and_then(|n| n.parse::<u32>().ok());
        // As many as there are: a program that ends early has not passed.
        let complete = passed.is_some_and(|n| n >= 150) && counted.ends_with(", 0 failed");
        if !run.status.success() || !complete {
            failed.push(driver);
        }
    }
    let _ = Command::new("wineserver")
        .env("WINEPREFIX", &prefix)
        .arg("-k")
        .status();
    assert!(failed.is_empty(), "{failed:?}");
}

/// What the DLLs take from Windows, and what they give, read from the files.
#[test]
fn notify_objects_as_files() {
    use object::read::pe::PeFile64;

    let Some(dir) = subjects("notify_objects_as_files") else {
        return;
    };
    for driver in DRIVERS {
        let path = dir.join(driver).join(format!("{driver}_notify.dll"));
        let data = std::fs::read(&path).unwrap();
        let file = PeFile64::parse(&*data).unwrap();
        let mut exports: Vec<_> = file
            .export_table()
            .unwrap()
            .unwrap()
            .exports()
            .unwrap()
            .iter()
            .filter_map(|e| e.name.map(|n| String::from_utf8_lossy(n).into_owned()))
            .collect();
        exports.sort();
        let wanted = [
            "ApplyW",
            "CompareW",
            "ConfirmW",
            "DeviceW",
            "DllCanUnloadNow",
            "DllGetClassObject",
            "DllMain",
            "DllRegisterServer",
            "DllUnregisterServer",
            "RestoreW",
            "StateW",
        ];
        for name in wanted {
            assert!(
                exports.iter().any(|e| e == name),
                "{driver}: {name} of {exports:?}"
            );
        }
        let table = file.import_table().unwrap().unwrap();
        let mut descriptors = table.descriptors().unwrap();
        while let Some(descriptor) = descriptors.next().unwrap() {
            let name = descriptor.name.get(object::LittleEndian);
            let library = String::from_utf8_lossy(table.name(name).unwrap()).to_ascii_lowercase();
            let known = [
                "advapi32.dll",
                "cfgmgr32.dll",
                "combase.dll",
                "iphlpapi.dll",
                "kernel32.dll",
                "ntdll.dll",
                "ole32.dll",
                "oleaut32.dll",
                "rpcrt4.dll",
            ];
            let known =
                known.contains(&library.as_str()) || library.starts_with("api-ms-win-core-");
            assert!(known, "{driver} imports {library}");
        }
        // The checksum, and no bond to signatures that only drivers have.
        let u32_at = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
        let optional = u32_at(0x3C) as usize + 24;
        assert_ne!(u32_at(optional + 64), 0);
        let force_integrity = 0x80;
        assert_eq!(u32_at(optional + 70) & force_integrity, 0);
    }
}
