//! Drivers in C: the folders of `tests/c-drivers` with a `driver.toml`, compiled by clang
//! against the kit that is made of `ndis-sys`, linked as the drivers in Rust are.
//!
//! Each is built twice, as compilers for kernels differ: with SSE, and without, so that all
//! copies go through general registers. A package has the image, its symbols and a manifest;
//! the lab finds the image by that.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::chain::{Arch, c_kit, clang};
use crate::context::Context;
use crate::dirs::Staging;
use crate::proc::Cmd;

/// Where they are, in the workspace.
const FOLDER: &str = "tests/c-drivers";
/// Headers that they share.
const COMMON: &str = "common";

/// `driver.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// The service of the driver, and the name of its protocol edge if it has one.
    service: String,
    /// The lab's topology for it, a file beside this one.
    topology: Option<String>,
}

/// With what a driver is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// What clang does for the processor.
    Plain,
    /// General registers only.
    General,
}

impl Flavour {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Plain, Self::General];

    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::General => "-nosse",
        }
    }

    fn flags(self, arch: Arch) -> &'static [&'static str] {
        match (self, arch) {
            (Self::Plain, _) => &[],
            (Self::General, Arch::X64) => &["-mno-mmx", "-mno-sse", "-mgeneral-regs-only"],
            (Self::General, Arch::Arm64) => &["-mgeneral-regs-only"],
        }
    }
}

/// Names of the drivers in C.
pub fn names(cx: &Context) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(cx.root.join(FOLDER))? {
        let entry = entry?;
        if entry.path().join("driver.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Where their packages are.
pub fn packages(cx: &Context) -> PathBuf {
    cx.target.join("c-drivers")
}

/// Builds every driver in each flavour and makes its package; returns the packages' folders.
pub fn build_all(cx: &Context, arch: Arch) -> Result<Vec<PathBuf>> {
    let tools = Tools::ready(cx, arch)?;
    let mut done = Vec::new();
    for name in names(cx)? {
        for flavour in Flavour::ALL {
            let built = tools.package(cx, &name, flavour);
            done.push(built.with_context(|| format!("{FOLDER}/{name}"))?);
        }
    }
    Ok(done)
}

struct Tools {
    arch: Arch,
    clang: clang::Clang,
    kit: c_kit::CKit,
    linker: PathBuf,
}

impl Tools {
    fn ready(cx: &Context, arch: Arch) -> Result<Self> {
        let linker = cx
            .rustc
            .sysroot
            .join("lib/rustlib")
            .join(&cx.rustc.host)
            .join(format!("bin/rust-lld{}", std::env::consts::EXE_SUFFIX));
        if !linker.is_file() {
            bail!(
                "{} is missing: rustup's toolchains have it",
                linker.display()
            );
        }
        Ok(Self {
            arch,
            clang: clang::find_or_fetch(cx)?,
            kit: c_kit::make(cx, arch)?,
            linker,
        })
    }

    fn package(&self, cx: &Context, name: &str, flavour: Flavour) -> Result<PathBuf> {
        let folder = cx.root.join(FOLDER).join(name);
        let text = fs::read_to_string(folder.join("driver.toml"))?;
        let about: Description = toml::from_str(&text).context("driver.toml")?;
        let mut out = packages(cx).join(format!("{name}{}", flavour.suffix()));
        if self.arch != Arch::X64 {
            out = out.with_file_name(format!("{name}{}-{}", flavour.suffix(), self.arch.name()));
        }
        fs::create_dir_all(packages(cx))?;
        let staging = Staging::new(&packages(cx))?;
        let image = format!("{name}.sys");
        let symbols = format!("{name}.pdb");
        let objects = self.compile(cx, &folder, flavour, staging.path())?;
        self.link(staging.path(), &objects, &image, &symbols)?;
        for object in &objects {
            fs::remove_file(staging.path().join(object))?;
        }
        let mut files = vec![("image", image), ("pdb", symbols)];
        if let Some(topology) = &about.topology {
            fs::copy(folder.join(topology), staging.path().join("lab.toml"))?;
            files.push(("topology", "lab.toml".to_owned()));
        }
        let mut entries = Vec::new();
        for (role, path) in files {
            let bytes = fs::read(staging.path().join(&path))?;
            let hash = Sha256::digest(&bytes);
            let hex = hash
                .iter()
                .fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
            let arch = (role != "topology").then(|| self.arch.name());
            entries.push(json!({
                "role": role, "path": path, "arch": arch, "sha256": hex, "size": bytes.len(),
            }));
        }
        let manifest = json!({
            "format": crate::package::FORMAT,
            "driver": name,
            "version": "0.1.0.0",
            "architectures": [{
                "arch": self.arch.name(),
                "target": self.arch.triple(),
                "core": "none",
            }],
            "profile": "release",
            "service": about.service,
            "protocol": about.service,
            "files": entries,
        });
        let mut text = serde_json::to_vec_pretty(&manifest)?;
        text.push(b'\n');
        fs::write(staging.path().join(crate::package::MANIFEST), text)?;
        staging.replace(&out)?;
        Ok(out)
    }

    /// Compiles each source of a folder; the objects' names.
    fn compile(
        &self,
        cx: &Context,
        folder: &Path,
        flavour: Flavour,
        out: &Path,
    ) -> Result<Vec<String>> {
        let mut objects = Vec::new();
        let mut sources: Vec<PathBuf> = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        sources.retain(|path| path.extension().is_some_and(|e| e == "c"));
        sources.sort();
        for source in sources {
            let stem = source.file_stem().context("no name")?.to_string_lossy();
            let object = format!("{stem}.obj");
            let shown = source.strip_prefix(&cx.root).unwrap_or(&source);
            let mut cmd = self.clang.command(self.arch);
            cmd.dir(&cx.root)
                .args(["-O2", "-g", "-gcodeview", "-Wall", "-Wextra", "-Werror"])
                // Each function that is no leaf has unwind information, as the system's calling
                // convention wants it; free-standing code has none by default.
                .arg("-fasynchronous-unwind-tables")
                // Nothing of this machine gets into the symbols.
                .args([
                    "-fdebug-compilation-dir=/src",
                    "-fno-ident",
                    "-Wno-unused-parameter",
                ])
                .args(flavour.flags(self.arch))
                .arg(format!(
                    "-ffile-prefix-map={}=/kit",
                    self.kit.include.display()
                ))
                .arg("-I")
                .arg(&self.kit.include)
                .arg("-I")
                .arg(Path::new(FOLDER).join(COMMON))
                .arg("-c")
                .arg(shown)
                .arg("-o")
                .arg(out.join(&object));
            cmd.run()?;
            objects.push(object);
        }
        Ok(objects)
    }

    fn link(&self, dir: &Path, objects: &[String], image: &str, symbols: &str) -> Result<()> {
        let mut cmd = Cmd::new(&self.linker);
        cmd.dir(dir)
            .args(["-flavor", "link", "/NOLOGO", "/DRIVER", "/NODEFAULTLIB"]);
        cmd.args([
            "/SUBSYSTEM:NATIVE",
            "/ENTRY:DriverEntry",
            "/INTEGRITYCHECK",
            "/OPT:REF",
        ]);
        // A checksum, without which the kernel loads no driver; no time stamps.
        cmd.args(["/RELEASE", "/Brepro", "/DEBUG", "/PDBALTPATH:%_PDB%"]);
        cmd.arg("/PDBSOURCEPATH:/target/c-drivers");
        cmd.arg(format!("/OUT:{image}"))
            .arg(format!("/PDB:{symbols}"));
        cmd.args(objects).args(&self.kit.libraries);
        cmd.run()
    }
}
