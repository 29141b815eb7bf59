//! By whom a package is signed: the test certificate of this machine, kept in the user's
//! cache, or a PFX file; and what makes the signatures.

mod tools;
mod windows;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;
use win_trust::{Identity, Moment, Output, Package, Signer, Stamper, Trust};

use crate::cli::{SignArgs, Tools};
use crate::context::Context;
use crate::proc::Cmd;
use crate::ui::say;
use windows::Windows;

/// The variable that holds a PFX file's password.
const PASSWORD: &str = "XTASK_PFX_PASSWORD";
/// Files of the test certificate in the cache.
const KEY: &str = "test-signer.key";
const SIGNER: &str = "test-signer.cer";
/// The test root, in the cache and in packages.
const TEST_ROOT: &str = "test-root.cer";
/// The root of a PFX file, in packages.
const PFX_ROOT: &str = "signer-root.cer";

/// A key, and what goes with it into signatures.
#[derive(Debug, Clone)]
pub struct Key {
    identity: Identity,
    kind: &'static str,
    time: Moment,
    stamper: Option<Stamper>,
    /// The programs that make signatures and catalogs; without them win-trust does.
    windows: Option<Windows>,
}

impl Key {
    /// The one that the command line names; none when packages are to be unsigned.
    pub fn of(cx: &Context, args: &SignArgs) -> Result<Option<Self>> {
        let kind = args.sign.first().map_or("none", String::as_str);
        let pfx = match args.sign.get(1) {
            Some(file) => Some(PathBuf::from(file)),
            None => args.pfx.clone(),
        };
        let (identity, kind) = match (kind, pfx) {
            ("none", None) => {
                if args.timestamp.is_some() || args.time.is_some() {
                    bail!("--timestamp and --time belong to --sign test or --sign pfx FILE");
                }
                if args.tools == Tools::Windows {
                    bail!("--tools windows belongs to --sign test or --sign pfx FILE");
                }
                return Ok(None);
            }
            ("test", None) => (test(cx)?, "test"),
            ("pfx", Some(file)) => (pfx_file(&file)?, "pfx"),
            ("pfx", None) => bail!("--sign pfx needs a file: --sign pfx FILE"),
            ("none" | "test", Some(_)) => {
                bail!("--sign {kind} takes no file; --sign pfx FILE does")
            }
            (other, _) => {
                bail!("--sign {other} is not known; it is none, test, or pfx with a file")
            }
        };
        Self::with(cx, identity, kind, args).map(Some)
    }

    /// The test certificate, with the time of the source.
    pub fn test(cx: &Context) -> Result<Self> {
        Self::with(cx, test(cx)?, "test", &SignArgs::default())
    }

    fn with(cx: &Context, identity: Identity, kind: &'static str, args: &SignArgs) -> Result<Self> {
        let time = match (args.tools, args.time) {
            (Tools::Windows, Some(_)) => bail!(
                "--time does not go with --tools windows: signtool takes no time, it signs by the \
                 clock of this machine"
            ),
            (Tools::Windows, None) => Moment::now(),
            (Tools::Native, Some(time)) => Moment(time),
            (Tools::Native, None) => source_time(&cx.root)?,
        };
        // Before anything is built: they may not be there.
        let windows = match args.tools {
            Tools::Windows => Some(Windows::find(cx)?),
            Tools::Native => None,
        };
        // An old commit may be signed by a new certificate.
        let time = time.max(identity.signer().not_before());
        let end = identity.signer().not_after();
        if time > end {
            bail!(
                "the time to sign with is {time}, and the certificate expired on {end}; name \
                 another by --time"
            );
        }
        let stamper = args.timestamp.as_deref().map(Stamper::new).transpose()?;
        Ok(Self {
            identity,
            kind,
            time,
            stamper,
            windows,
        })
    }

    fn signer(&self) -> Signer<'_> {
        Signer {
            identity: &self.identity,
            time: self.time,
            stamper: self.stamper.as_ref(),
        }
    }

    /// Signs the files of a package.
    pub fn package(&self, files: &BTreeMap<String, Vec<u8>>, title: &str) -> Result<Output> {
        let root = match self.kind {
            "test" => TEST_ROOT,
            _ => PFX_ROOT,
        };
        let signer = self.signer();
        match &self.windows {
            Some(windows) => {
                let made = windows.make(files, &signer, title)?;
                let tools = windows.names();
                Ok(win_trust::complete(made, &signer, self.kind, root, tools))
            }
            None => Ok(win_trust::sign_package(
                files, &signer, self.kind, title, root,
            )?),
        }
    }

    /// Judges a package by all that is known of it, if others than win-trust have signed it.
    pub fn judge(&self, package: &Path) -> Result<()> {
        if self.windows.is_none() {
            return Ok(());
        }
        let report = Package::load(package)?.verify(&Trust {
            roots: self.identity.root().into_iter().cloned().collect(),
            now: Moment::now(),
        });
        for note in &report.notes {
            say(note);
        }
        if !report.is_good() {
            let lines: Vec<_> = report.findings.iter().map(|f| format!("  {f}")).collect();
            bail!(
                "what signtool and Inf2Cat have made does not hold, so there is no package:\n{}",
                lines.join("\n")
            );
        }
        Ok(())
    }

    /// Signs a manifest.
    pub fn manifest(&self, manifest: &[u8]) -> Result<Vec<u8>> {
        Ok(win_trust::sign_manifest(manifest, &self.signer())?)
    }
}

/// Folder of the test certificate.
fn folder(cx: &Context) -> PathBuf {
    cx.cache.join("signing")
}

/// This machine's test certificate; it is made when it is wanted for the first time.
fn test(cx: &Context) -> Result<Identity> {
    let dir = folder(cx);
    if !dir.is_dir() {
        make(&dir)?;
    }
    let identity = load(&dir).with_context(|| {
        format!(
            "the test certificate in {} cannot be used; remove that folder, and a new one is made",
            dir.display()
        )
    })?;
    let end = identity.signer().not_after();
    if Moment::now() > end {
        bail!(
            "the test certificate in {} expired on {end}; remove that folder, and a new one is \
             made. Machines that trust the old root have to be given the new one",
            dir.display()
        );
    }
    Ok(identity)
}

fn load(dir: &Path) -> Result<Identity> {
    Ok(Identity::from_files(
        &fs::read_to_string(dir.join(KEY))?,
        &fs::read(dir.join(SIGNER))?,
        &fs::read(dir.join(TEST_ROOT))?,
    )?)
}

/// Makes a test certificate in a folder that appears whole or not at all.
fn make(dir: &Path) -> Result<()> {
    let parent = dir.parent().context("the cache has no folder")?;
    fs::create_dir_all(parent)?;
    say(&format!(
        "a test certificate will be made in {}; its key stays there",
        dir.display()
    ));
    let identity = Identity::new_test(&mut rsa::rand_core::OsRng, Moment::now())?;
    // For its owner alone from the beginning: temporary folders are that.
    let fresh = tempfile::Builder::new()
        .prefix(".signing-")
        .tempdir_in(parent)?;
    write_private(&fresh.path().join(KEY), identity.key_pem()?.as_bytes())?;
    fs::write(fresh.path().join(SIGNER), identity.signer().der())?;
    let root = identity.root().context("the certificate has no root")?;
    fs::write(fresh.path().join(TEST_ROOT), root.der())?;
    // Another xtask may have been first; then its certificate is the one.
    if let Err(error) = fs::rename(fresh.path(), dir)
        && !dir.join(KEY).is_file()
    {
        return Err(error.into());
    }
    Ok(())
}

/// Writes a file that only its owner reads.
fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(bytes)
        .with_context(|| path.display().to_string())
}

fn pfx_file(path: &Path) -> Result<Identity> {
    let bytes = fs::read(path)?;
    let password = match std::env::var(PASSWORD) {
        Ok(password) => password,
        Err(std::env::VarError::NotPresent) if std::io::stdin().is_terminal() => {
            rpassword::prompt_password(format!("password of {}: ", path.display()))?
        }
        Err(std::env::VarError::NotPresent) => String::new(),
        Err(error) => return Err(error).context(PASSWORD),
    };
    Ok(Identity::from_pfx(path, &bytes, &password, Moment::now())?)
}

/// The time of the source, so that the same source and key give the same bytes.
fn source_time(root: &Path) -> Result<Moment> {
    let (text, from) = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => (text, "SOURCE_DATE_EPOCH"),
        Err(_) => {
            let text = Cmd::new("git")
                .dir(root)
                .args(["show", "--no-patch", "--format=%ct", "HEAD"])
                .read()
                .context("the commit's date is not known; set SOURCE_DATE_EPOCH, or use --time")?;
            (text, "git")
        }
    };
    let seconds = text
        .trim()
        .parse()
        .with_context(|| format!("{from} gives {text:?}, which is no number of seconds"))?;
    Ok(Moment(seconds))
}
