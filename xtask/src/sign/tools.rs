//! Where signtool and Inf2Cat are: two programs of the Windows kits.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use fs_err as fs;

/// Folders with programs for one version of the kits, and one below for each processor.
/// The first is set by a developer prompt, the second by the Enterprise WDK's.
const VERSION_FOLDERS: [&str; 2] = ["WindowsSdkVerBinPath", "WDKBinRoot"];
/// Roots of the kits: their programs are in `bin`, or in `bin\<version>`.
const KIT_ROOTS: [&str; 2] = ["WDKContentRoot", "WindowsSdkDir"];
/// Where the kits are when nobody says where.
const DEFAULT_ROOT: (&str, &str) = ("ProgramFiles(x86)", "Windows Kits/10");
/// The processors that programs of the kits are for, on an x64 machine: Inf2Cat is only
/// there for the last.
#[cfg(not(target_arch = "aarch64"))]
const PROCESSORS: [&str; 2] = ["x64", "x86"];
#[cfg(target_arch = "aarch64")]
const PROCESSORS: [&str; 3] = ["arm64", "x64", "x86"];

/// A program that is looked for.
#[derive(Debug)]
struct Wanted {
    /// What people call it.
    name: &'static str,
    /// Spellings of its file, always with `.exe`: the `signtool` that Linux distributions
    /// have is another program.
    files: &'static [&'static str],
    /// Names the program to use.
    variable: &'static str,
    /// What it comes with.
    kit: &'static str,
}

const SIGNTOOL: Wanted = Wanted {
    name: "signtool",
    files: &["signtool.exe"],
    variable: "XTASK_SIGNTOOL",
    kit: "the Windows SDK",
};

const INF2CAT: Wanted = Wanted {
    name: "Inf2Cat",
    files: &["Inf2Cat.exe", "inf2cat.exe"],
    variable: "XTASK_INF2CAT",
    kit: "the Windows Driver Kit (WDK)",
};

/// A program that is there.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The file.
    pub program: PathBuf,
    /// Its name, and its version if its file says one.
    pub title: String,
}

/// Both.
#[derive(Debug, Clone)]
pub struct WindowsTools {
    /// Signs.
    pub signtool: Tool,
    /// Makes catalogs.
    pub inf2cat: Tool,
}

impl WindowsTools {
    /// Finds them, or says which is not there, and where it could have been.
    pub fn find() -> Result<Self> {
        let env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Ok(Self {
            signtool: find(&SIGNTOOL, &env)?,
            inf2cat: find(&INF2CAT, &env)?,
        })
    }
}

type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn find(wanted: &Wanted, env: Env<'_>) -> Result<Tool> {
    if let Some(named) = env(wanted.variable) {
        let program = std::path::absolute(&named)?;
        if !program.is_file() {
            bail!(
                "{} is {}, which is no file: let it name a {}, or unset it",
                wanted.variable,
                named.display(),
                wanted.files[0]
            );
        }
        return tool(wanted, program);
    }
    let folders = kit_folders(env);
    let path = env("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&path).chain(folders.iter().cloned());
    let found = all.find_map(|dir| {
        let files = wanted.files.iter().map(|file| dir.join(file));
        files.into_iter().find(|file| file.is_file())
    });
    if let Some(program) = found {
        return tool(wanted, std::path::absolute(program)?);
    }
    let mut places = vec!["PATH".to_owned()];
    places.extend(folders.iter().map(|dir| dir.display().to_string()));
    let unset: Vec<_> = VERSION_FOLDERS
        .into_iter()
        .chain(KIT_ROOTS)
        .filter(|name| env(name).is_none())
        .collect();
    if !unset.is_empty() {
        places.push(format!(
            "not where these would say, which are not set: {}",
            unset.join(", ")
        ));
    }
    bail!(
        "--tools windows needs {} ({}), which is not here; looked for in:\n  {}\ninstall {}, \
         start from its developer prompt, or name the program by {}; without --tools xtask \
         signs by itself, on any system",
        wanted.name,
        wanted.files[0],
        places.join("\n  "),
        wanted.kit,
        wanted.variable
    )
}

fn tool(wanted: &Wanted, program: PathBuf) -> Result<Tool> {
    let title = match file_version(&fs::read(&program)?) {
        Some(version) => format!("{} {version}", wanted.name),
        None => wanted.name.to_owned(),
    };
    Ok(Tool { program, title })
}

/// The folders in which the kits have their programs, the best first.
fn kit_folders(env: Env<'_>) -> Vec<PathBuf> {
    let mut bins: Vec<PathBuf> = VERSION_FOLDERS
        .iter()
        .filter_map(|name| env(name).map(PathBuf::from))
        .collect();
    let (base, below) = DEFAULT_ROOT;
    let roots = KIT_ROOTS
        .iter()
        .filter_map(|name| env(name).map(PathBuf::from))
        .chain(env(base).map(|base| PathBuf::from(base).join(below)));
    for root in roots {
        let bin = root.join("bin");
        bins.extend(versions(&bin));
        bins.push(bin);
    }
    let mut folders = Vec::new();
    for folder in bins
        .iter()
        .flat_map(|bin| PROCESSORS.map(|processor| bin.join(processor)))
    {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// Folders such as `10.0.26100.0`, the newest first.
fn versions(bin: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(bin)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let numbers = name.to_str()?.split('.').map(str::parse);
            Some((numbers.collect::<Result<_, _>>().ok()?, entry.path()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, path)| path).collect()
}

/// The version in a program's resources: neither tool has a documented option that asks for
/// it. `VS_FIXEDFILEINFO` is found by its signature and the version of its form; the file's
/// version is the two numbers behind them.
fn file_version(bytes: &[u8]) -> Option<String> {
    const START: [u8; 8] = [0xBD, 0x04, 0xEF, 0xFE, 0x00, 0x00, 0x01, 0x00];
    if !win_trust::is_pe(bytes) {
        return None;
    }
    let at = bytes
        .windows(START.len())
        .position(|window| window == START)?
        + START.len();
    let half = |at: usize| {
        let pair = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_le_bytes(pair).to_string())
    };
    // Two numbers of 32 bits: of each the upper half comes first in the text.
    let parts = [half(at + 2)?, half(at)?, half(at + 6)?, half(at + 4)?];
    Some(parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(file: &Path) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }

    /// Looks for Inf2Cat with these variables alone.
    fn look(variables: &[(&str, &Path)]) -> Result<PathBuf> {
        let env = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(found.1.into())
        };
        Ok(find(&INF2CAT, &env)?.program)
    }

    #[test]
    fn named_then_path_then_kits() {
        let base = tempfile::tempdir().unwrap();
        let at = |path: &str| base.path().join(path);
        let kit = at("kit");
        let default = at("Windows Kits/10/bin/10.0.22621.0/x86/inf2cat.exe");
        touch(&default);
        let mut set = vec![("ProgramFiles(x86)", base.path())];
        assert_eq!(look(&set).unwrap(), default);
        touch(&at("kit/bin/x86/Inf2Cat.exe"));
        touch(&at("kit/bin/10.0.9.0/x86/Inf2Cat.exe"));
        touch(&at("kit/bin/10.0.26100.0/x86/Inf2Cat.exe"));
        // A folder that is no version, and one without the program.
        touch(&at("kit/bin/extras/x86/Inf2Cat.exe"));
        touch(&at("kit/bin/10.0.99999.0/x64/signtool.exe"));
        for variable in ["WindowsSdkDir", "WDKContentRoot"] {
            let found = look(&[set.as_slice(), &[(variable, &kit)]].concat()).unwrap();
            assert_eq!(found, at("kit/bin/10.0.26100.0/x86/Inf2Cat.exe"));
        }
        set.push(("WindowsSdkDir", &kit));
        let older = at("kit/bin/10.0.9.0");
        for variable in ["WDKBinRoot", "WindowsSdkVerBinPath"] {
            let found = look(&[set.as_slice(), &[(variable, &older)]].concat()).unwrap();
            assert_eq!(found, older.join("x86/Inf2Cat.exe"));
        }
        let path = at("path");
        touch(&path.join("Inf2Cat.exe"));
        // Not what distributions of Linux call by this name.
        touch(&path.join("inf2cat"));
        set.push(("PATH", &path));
        assert_eq!(look(&set).unwrap(), path.join("Inf2Cat.exe"));
        let named = at("elsewhere/cat");
        touch(&named);
        set.push(("XTASK_INF2CAT", &named));
        assert_eq!(look(&set).unwrap(), named);
    }

    #[test]
    fn what_is_missing_is_said() {
        let base = tempfile::tempdir().unwrap();
        let why = look(&[("WDKContentRoot", base.path())]).unwrap_err();
        let why = why.to_string();
        let folder = base.path().join("bin").join("x86");
        for part in [
            "Inf2Cat.exe",
            "PATH",
            &folder.display().to_string(),
            "WindowsSdkVerBinPath, WDKBinRoot, WindowsSdkDir",
            "WDK",
            "XTASK_INF2CAT",
            "without --tools",
        ] {
            assert!(why.contains(part), "{part:?} is not in {why}");
        }
        let absent = base.path().join("absent");
        let why = look(&[("XTASK_INF2CAT", &absent)]).unwrap_err().to_string();
        assert!(
            why.contains("XTASK_INF2CAT is ") && why.contains("no file"),
            "{why}"
        );
    }

    #[test]
    fn versions_are_read_from_resources() {
        let driver = crate::drivers::Driver {
            name: "x".into(),
            version: [3, 14, 159],
            description: "d".into(),
            options: crate::drivers::Options::default(),
        };
        let resources = crate::version_info::resource_file(&driver).unwrap();
        let image = [b"MZ".as_slice(), &resources].concat();
        assert_eq!(file_version(&image).as_deref(), Some("3.14.159.0"));
        assert_eq!(file_version(&resources), None, "it is no program");
        assert_eq!(file_version(b"MZ"), None);
        assert_eq!(
            file_version(&image[..image.len() - resources.len() + 80]),
            None
        );
    }
}
