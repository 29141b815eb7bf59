//! Signing by Windows' own tools: signtool for images and catalogs, Inf2Cat for catalogs.
//!
//! They work on a copy of what they need, in a folder that only its owner reads. What
//! comes back is judged by win-trust together with the rest of the package.

use std::collections::BTreeMap;
use std::path::{MAIN_SEPARATOR_STR, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use rsa::rand_core::{OsRng, RngCore as _};
use sha2::Sha256;
use win_trust::{Cert, Identity, Image, Inf, Made, Maker, Signer, Tools, is_pe};

use super::tools::WindowsTools;
use crate::context::Context;
use crate::dirs::Staging;
use crate::proc::Cmd;
use crate::ui::say;

/// Folder of the package's files.
const FILES: &str = "package";
/// The key and its certificates.
const KEY: &str = "key.pfx";
/// The certificate of the signer's issuer, if that is no root.
const ISSUER: &str = "issuer.cer";

/// Both tools, and where they can work.
#[derive(Debug, Clone)]
pub struct Windows {
    tools: WindowsTools,
    /// The user's cache, where the key of the test certificate is too.
    place: PathBuf,
}

impl Windows {
    /// Finds the tools.
    pub fn find(cx: &Context) -> Result<Self> {
        Ok(Self {
            tools: WindowsTools::find()?,
            place: cx.cache.clone(),
        })
    }

    /// What the manifest says.
    pub fn names(&self) -> Tools {
        Tools {
            maker: Maker::Windows,
            signatures: self.tools.signtool.title.clone(),
            catalogs: self.tools.inf2cat.title.clone(),
        }
    }

    /// Signs the images of a package, makes a catalog for each of its INFs, signs these.
    pub fn make(
        &self,
        files: &BTreeMap<String, Vec<u8>>,
        signer: &Signer<'_>,
        title: &str,
    ) -> Result<Made> {
        let work = Work::new(&self.place, files, signer.identity)?;
        let url = signer.stamper.map(win_trust::Stamper::url);
        let sign = |files: &[&str], kind: Kind| {
            say(&format!(
                "{} signs {}",
                self.tools.signtool.title,
                files.join(", ")
            ));
            let mut cmd = Cmd::new(&self.tools.signtool.program);
            work.sign(&mut cmd, kind, title, url, files);
            cmd.told().map(drop)
        };

        let images: Vec<&str> = files
            .iter()
            .filter(|(_, bytes)| is_pe(bytes))
            .map(|(path, _)| path.as_str())
            .collect();
        if images.is_empty() {
            bail!("there is no image to sign");
        }
        // Images first: a catalog lists them as they are installed.
        sign(&images, Kind::Images)?;
        let mut made = Made::default();
        for path in images {
            let signed = fs::read(work.path(path))?;
            same_image(&files[path], &signed)
                .with_context(|| format!("{path}, as signtool has left it"))?;
            made.images.insert(path.to_owned(), signed);
        }

        say(&format!("{} makes catalogs", self.tools.inf2cat.title));
        let mut cmd = Cmd::new(&self.tools.inf2cat.program);
        work.list(&mut cmd);
        let said = cmd.told()?;
        for name in &work.catalogs {
            if !work.path(name).is_file() {
                bail!("Inf2Cat has made no {name}; it said:\n{said}");
            }
        }
        let catalogs: Vec<&str> = work.catalogs.iter().map(String::as_str).collect();
        sign(&catalogs, Kind::Catalogs)?;
        for name in catalogs {
            made.catalogs
                .insert(name.to_owned(), fs::read(work.path(name))?);
        }
        Ok(made)
    }
}

/// What is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Images,
    Catalogs,
}

/// The tools' folder, gone when it is dropped.
struct Work {
    dir: Staging,
    password: String,
    has_issuer: bool,
    /// Names that the INFs give their catalogs.
    catalogs: Vec<String>,
    /// Systems that the INFs are for, by Inf2Cat's names.
    systems: Vec<String>,
}

impl Work {
    fn new(place: &Path, files: &BTreeMap<String, Vec<u8>>, identity: &Identity) -> Result<Self> {
        let password = password();
        let issuer = issuer(identity);
        let mut work = Self {
            dir: Staging::new(place)?,
            has_issuer: issuer.is_some(),
            catalogs: Vec::new(),
            systems: Vec::new(),
            password,
        };
        let root = work.dir.path();
        fs::write(root.join(KEY), identity.to_pfx(&work.password)?)?;
        if let Some(issuer) = issuer {
            fs::write(root.join(ISSUER), issuer.der())?;
        }
        for (path, bytes) in files {
            if is_inf(path) {
                let inf = Inf::parse(bytes).with_context(|| path.clone())?;
                let name = inf.catalog.clone();
                let name = name.with_context(|| {
                    format!("{path} names no catalog (CatalogFile in [Version])")
                })?;
                work.catalogs.push(name);
                for system in inf.inf2cat_systems() {
                    if !work.systems.contains(&system) {
                        work.systems.push(system);
                    }
                }
                // Both INFs in one folder, as in the package: one brings the other along
                // by `CopyINF`, and Inf2Cat wants to see everything that an INF names.
                work.put(path, bytes)?;
                for file in &inf.files {
                    // A file that is missing is for Inf2Cat to tell.
                    if let Some(bytes) = files.get(file) {
                        work.put(file, bytes)?;
                    }
                }
            } else if is_pe(bytes) {
                work.put(path, bytes)?;
            }
        }
        Ok(work)
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = self.path(path);
        fs::create_dir_all(file.parent().context("no parent")?)?;
        Ok(fs::write(file, bytes)?)
    }

    /// Where a file of the package is.
    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(FILES).join(path)
    }

    /// `signtool sign` for some files of the package. Names are relative to the folder in
    /// which it runs: none may begin like an option.
    fn sign(&self, cmd: &mut Cmd, kind: Kind, title: &str, url: Option<&str>, files: &[&str]) {
        cmd.dir(self.dir.path()).args(["sign", "/fd", "SHA256"]);
        if kind == Kind::Images {
            cmd.arg("/ph");
        }
        cmd.args(["/f", KEY, "/p"]).secret(&self.password);
        if self.has_issuer {
            cmd.args(["/ac", ISSUER]);
        }
        cmd.args(["/d", title]);
        if let Some(url) = url {
            // In this order: before `/tr`, `/td` would have no effect.
            cmd.args(["/tr", url, "/td", "SHA256"]);
        }
        for file in files {
            cmd.arg(format!("{FILES}/{file}").replace('/', MAIN_SEPARATOR_STR));
        }
    }

    /// Inf2Cat for all INFs of the package, for the systems that our own catalogs name.
    fn list(&self, cmd: &mut Cmd) {
        let folder = self.dir.path().join(FILES);
        cmd.dir(self.dir.path())
            .arg(format!("/driver:{}", folder.display()))
            .arg(format!("/os:{}", self.systems.join(",")))
            .arg("/pageHashes");
    }
}

fn is_inf(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("inf"))
}

/// A password for one file and one run: signtool takes it as an argument, which everybody
/// on the machine can see, but nobody else can read the file.
fn password() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    win_trust::hex(&bytes)
}

/// The certificate between the signer's and the root. Windows takes the others of a longer
/// chain from the PFX file or from its stores; whether it has is judged afterwards.
fn issuer(identity: &Identity) -> Option<&Cert> {
    identity.chain().get(1).filter(|cert| !cert.is_root())
}

/// Whether two files are one image but for its signature.
fn same_image(before: &[u8], after: &[u8]) -> Result<()> {
    let digest = |bytes| anyhow::Ok(Image::parse(bytes)?.digest::<Sha256>());
    if digest(before)? != digest(after)? {
        bail!("it is another image than the one that was to be signed");
    }
    Ok(())
}
