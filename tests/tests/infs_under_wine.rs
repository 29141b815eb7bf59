//! Wine's setupapi reads the INFs of every package and installs what they say: registry
//! values and services. What it has written is compared with what the linter has read.
//! Wine's setupapi is a parser by other hands; it is no Windows: it knows nothing of network
//! classes, catalogs or the driver store, and takes DIRID 13 for an unknown directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where the program writes registry values, as it is exported.
const ROOT: &str = r"HKEY_CURRENT_USER\Software\inf-installer\";
const SERVICES: &str = r"HKLM\System\CurrentControlSet\Services\";

struct Wine {
    prefix: tempfile::TempDir,
    program: PathBuf,
}

impl Wine {
    /// A new machine, with a folder `C:\p`.
    fn new(program: PathBuf) -> Self {
        let prefix = tempfile::tempdir().expect("temporary directory");
        let wine = Self { prefix, program };
        let booted = wine.command("wineboot").arg("--init").status();
        assert!(booted.expect("wine starts").success(), "wineboot");
        std::fs::create_dir_all(wine.drive().join("p")).expect("folder");
        wine
    }

    fn drive(&self) -> PathBuf {
        self.prefix.path().join("drive_c")
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", "120", "wine"]).arg(program);
        self.of_prefix(&mut command);
        command
    }

    fn of_prefix(&self, command: &mut Command) {
        command
            .env("WINEPREFIX", self.prefix.path())
            .env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=")
            .env("WINEDEBUG", "-all");
    }

    /// Installs one part of an INF that lies in `C:\p`.
    fn install(&self, what: &str, section: &str, inf: &str) {
        let mut command = self.command(&self.program);
        command.args([what, section, &format!(r"C:\p\{inf}")]);
        let output = command.output().expect("wine starts");
        let code = output.status.code();
        assert_eq!(code, Some(0), "{what} of [{section}] in {inf}");
    }

    /// A key and all below it: paths, names and what they hold, as `reg export` writes it.
    fn exported(&self, key: &str) -> BTreeMap<(String, String), String> {
        let mut command = self.command("reg");
        command.args(["export", key, r"C:\out.reg", "/y"]);
        let output = command.output().expect("wine starts");
        assert!(output.status.success(), "reg export {key}: {output:?}");
        let bytes = std::fs::read(self.drive().join("out.reg")).expect("exported file");
        let units: Vec<u16> = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| u16::from_le_bytes(*pair))
            .collect();
        parse(&String::from_utf16(&units).expect("UTF-16"))
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        let mut command = Command::new("wineserver");
        self.of_prefix(&mut command);
        let _ = command.arg("-k").status();
    }
}

/// Text of an exported key. Wine writes keys and values in the order of their names.
fn parse(text: &str) -> BTreeMap<(String, String), String> {
    let joined = text.replace("\\\r\n  ", "");
    let (mut key, mut found) = (String::new(), BTreeMap::new());
    for line in joined.lines() {
        if let Some(path) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            path.clone_into(&mut key);
        } else if let Some((name, value)) = line
            .strip_prefix('"')
            .and_then(|line| line.split_once("\"="))
        {
            found.insert((key.clone(), name.to_owned()), value.to_owned());
        }
    }
    found
}

/// A text as `reg export` writes it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Bytes of UTF-16, as `reg export` writes those of a kind.
fn hex(kind: u32, texts: &[&str], lists: bool) -> String {
    let mut units: Vec<u16> = Vec::new();
    for text in texts {
        units.extend(text.encode_utf16().chain([0]));
    }
    if lists {
        units.push(0);
    }
    let bytes: Vec<_> = units
        .iter()
        .flat_map(|unit| unit.to_le_bytes())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("hex({kind}):{}", bytes.join(","))
}

/// What a value that the linter has read looks like when it is exported.
fn expected(value: &Value) -> String {
    let data: Vec<_> = value["data"]
        .as_array()
        .expect("data")
        .iter()
        .map(|item| item.as_str().expect("text"))
        .collect();
    let first = data.first().copied().unwrap_or_default();
    match value["flags"].as_str().expect("flags") {
        "" | "0" => quoted(first),
        "0x10000" => hex(7, &data, true),
        other => panic!("flags {other} have no expectation here: {value}"),
    }
}

/// `%11%\x` as a path of Wine's machine; nothing for the driver store.
fn on_drive_c(path: &str) -> Option<String> {
    let system = r"C:\windows\system32";
    let rest = |dirid: &str| path.strip_prefix(dirid);
    if let Some(rest) = rest("%12%") {
        return Some(format!(r"{system}\drivers{rest}"));
    }
    rest("%11%").map(|rest| format!("{system}{rest}"))
}

/// What the linter reads of a package.
fn read_by_the_linter(package: &Path) -> Value {
    let xtask = std::env::var_os("IM_XTASK").expect("cargo xtask test names itself");
    let output = Command::new(xtask)
        .arg("lint")
        .arg(package)
        .arg("--json")
        .output()
        .expect("xtask starts");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn setupapi_reads_what_the_linter_reads() {
    const TEST: &str = "setupapi_reads_what_the_linter_reads";
    let (Some(packages), Some(program)) = (
        std::env::var_os("IM_PACKAGES_DIR").map(PathBuf::from),
        std::env::var_os("IM_INF_INSTALLER").map(PathBuf::from),
    ) else {
        println!("SKIP {TEST}: no packages; `cargo xtask test` makes them");
        return;
    };
    if Command::new("wine").arg("--version").output().is_err() {
        println!("SKIP {TEST}: no wine (cargo xtask setup --partners)");
        return;
    }
    let wine = Wine::new(program);
    for driver in ["passthrough", "mux", "lbfo"] {
        let package = packages.join(driver);
        let read = read_by_the_linter(&package);
        let infs = read["infs"].as_array().expect("INFs");
        assert_eq!(infs.len(), 2, "{driver}");
        for inf in infs {
            let name = inf["file"].as_str().expect("a name");
            let to = wine.drive().join("p").join(name);
            std::fs::copy(package.join(name), to).expect("the INF");
            let (mut values, mut services) = (0, 0);
            for install in inf["installs"].as_array().expect("installs") {
                // Those for arm64 differ in paths of the driver store only, which Wine has not.
                if install["architecture"] == "NTamd64" {
                    values += compare_registry(&wine, name, install);
                    services += compare_services(&wine, name, install);
                }
            }
            println!("{name}: {values} registry values and {services} services agree");
            assert!(values >= 8 && services >= 2, "{name}");
        }
    }
}

fn compare_registry(wine: &Wine, name: &str, install: &Value) -> usize {
    let section = install["section"].as_str().expect("a section");
    // Two INFs have sections of one name; what the other wrote goes.
    let key = format!(r"HKCU\Software\inf-installer\{section}");
    let _absent = wine.command("reg").args(["delete", &key, "/f"]).output();
    wine.install("registry", section, name);
    let mut found = wine.exported(&key);
    let values = install["registry"].as_array().expect("registry");
    for value in values {
        let text = |what: &str| value[what].as_str().expect("text").to_owned();
        let key = format!(r"{ROOT}{section}\{}", text("key"));
        let stored = found.remove(&(key, text("name")));
        // Wine puts something of its own for the driver store.
        let store = value["data"][0]
            .as_str()
            .is_some_and(|d| d.starts_with("%13%"));
        let place = value["data"][0].as_str().and_then(on_drive_c);
        let wanted = place.map_or_else(|| expected(value), |path| quoted(&path));
        if store {
            assert!(stored.is_some(), "{name} [{section}]: {value}");
        } else {
            assert_eq!(stored, Some(wanted), "{name} [{section}]: {value}");
        }
    }
    assert!(found.is_empty(), "{name} [{section}] wrote more: {found:?}");
    values.len()
}

fn compare_services(wine: &Wine, name: &str, install: &Value) -> usize {
    let section = install["section"].as_str().expect("a section");
    wine.install("services", section, name);
    let services = install["services"].as_array().expect("services");
    for service in services {
        let text = |what: &str| service[what].as_str().expect("text").to_owned();
        let service_name = text("name");
        let found = wine.exported(&format!("{SERVICES}{service_name}"));
        let value = |name: &str| {
            let mut all = found.iter();
            let found = all.find(|((key, value), _)| {
                key.ends_with(&format!(r"\{service_name}")) && value == name
            });
            found.map(|(_, value)| value.clone())
        };
        assert_eq!(value("DisplayName"), Some(quoted(&text("display_name"))));
        for (stored, read) in [
            ("Type", "type"),
            ("Start", "start"),
            ("ErrorControl", "error_control"),
        ] {
            let number: u32 = text(read).parse().expect("a number");
            assert_eq!(
                value(stored),
                Some(format!("dword:{number:08x}")),
                "{stored}"
            );
        }
        if let Some(path) = on_drive_c(&text("binary")) {
            assert_eq!(
                value("ImagePath"),
                Some(quoted(&path)),
                "{name} [{section}]"
            );
        }
    }
    services.len()
}

#[test]
fn exports_are_read() {
    let text = "Windows Registry Editor Version 5.00\r\n\r\n[A\\B]\r\n\"x\"=\"y\"\r\n\"l\"=hex(7):49,\\\r\n  00\r\n";
    let found = parse(text);
    assert_eq!(found[&(r"A\B".to_owned(), "x".to_owned())], "\"y\"");
    assert_eq!(found[&(r"A\B".to_owned(), "l".to_owned())], "hex(7):49,00");
    assert_eq!(hex(7, &["I"], true), "hex(7):49,00,00,00,00,00");
    assert_eq!(quoted(r"a\b"), r#""a\\b""#);
}
