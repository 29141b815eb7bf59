//! Debian packages without root: apt-get with lists, cache and state of its own, and
//! `dpkg -x` into a folder. The mirror is the one that the machine's own apt uses, and
//! apt checks Debian's signatures with Debian's keyring as always.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use fs_err as fs;

use crate::context::Context;
use crate::dirs::Staging;
use crate::proc::{Cmd, which};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where packages are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// What the machine's own sources list.
    OfMachine,
    /// One suite that the machine does not list by itself.
    Named(&'static str),
}

/// A private apt.
#[derive(Debug)]
pub struct Apt {
    dir: PathBuf,
    conf: PathBuf,
}

impl Apt {
    /// Sets one up for `suite` and fetches its lists.
    pub fn new(cx: &Context, suite: Suite) -> Result<Self> {
        if cx.offline {
            bail!("offline");
        }
        if which("apt-get").is_none() || which("dpkg").is_none() {
            bail!("no apt-get and dpkg here: this is not Debian");
        }
        let name = match suite {
            Suite::OfMachine => "machine",
            Suite::Named(name) => name,
        };
        let dir = cx.chain_dir().join("apt").join(name);
        for sub in ["lists/partial", "cache/archives/partial", "etc"] {
            fs::create_dir_all(dir.join(sub))?;
        }
        let sources = match suite {
            Suite::OfMachine => machine_sources()?,
            Suite::Named(name) => {
                if !Path::new(KEYRING).is_file() {
                    bail!("{KEYRING} is missing (package debian-archive-keyring)");
                }
                format!("deb [signed-by={KEYRING}] {} {name} main\n", mirror()?)
            }
        };
        fs::write(dir.join("etc/sources.list"), sources)?;
        let conf = dir.join("apt.conf");
        let d = dir.display();
        fs::write(
            &conf,
            format!(
                "Dir::Etc::sourcelist \"{d}/etc/sources.list\";\nDir::Etc::sourceparts \"-\";\nDir::State::lists \
                 \"{d}/lists\";\nDir::Cache \"{d}/cache\";\nAcquire::Retries \"2\";\nAcquire::http::Timeout \
                 \"20\";\nAcquire::https::Timeout \"20\";\nAcquire::Languages \"none\";\nAPT::Sandbox::User \"root\";\nDebug::NoLocking \"1\";\nAPT::Update::Error-Mode \"any\";\n"
            ),
        )?;
        let apt = Self { dir, conf };
        apt.apt("apt-get")
            .args(["-qq", "update"])
            .read()
            .context("the package lists could not be fetched")?;
        Ok(apt)
    }

    /// The versions of `package` on offer, newest first.
    pub fn versions(&self, package: &str) -> Result<Vec<String>> {
        // "  rust-src | 1.95.0+dfsg1-2 | http://… Packages"
        let out = self.apt("apt-cache").args(["madison", package]).read()?;
        Ok(out
            .lines()
            .filter_map(|l| Some(l.split('|').nth(1)?.trim().to_owned()))
            .collect())
    }

    /// Fetches `packages` (`name` or `name=version`) and unpacks them into `root`,
    /// which afterwards holds all of them or is as it was.
    pub fn unpack(&self, packages: &[String], root: &Path) -> Result<()> {
        let parent = root.parent().context("no parent")?;
        let (staging, debs) = (Staging::new(parent)?, Staging::new(parent)?);
        self.apt("apt-get")
            .args(["-qq", "download"])
            .args(packages)
            .dir(debs.path())
            .read()?;
        for deb in fs::read_dir(debs.path())? {
            Cmd::new("dpkg")
                .arg("-x")
                .arg(deb?.path())
                .arg(staging.path())
                .read()?;
        }
        staging.replace(root)
    }

    /// Like [`Apt::unpack`], with everything that `packages` need and the machine lacks.
    pub fn unpack_with_missing(&self, packages: &[&str], root: &Path) -> Result<()> {
        let plan = self
            .apt("apt-get")
            .args(["-s", "install", "--no-install-recommends", "-y"])
            .args(packages)
            .read()?;
        // "Inst libllvm14 (1:14.0.6-12 Debian:12/stable [amd64])"
        let missing: Vec<_> = plan
            .lines()
            .filter_map(|l| {
                let mut words = l.strip_prefix("Inst ")?.split(' ');
                let name = words.next()?;
                let version = words.find_map(|w| w.strip_prefix('('))?;
                Some(format!("{name}={version}"))
            })
            .collect();
        if missing.is_empty() {
            bail!("installed, and yet not usable: {}", packages.join(", "));
        }
        self.unpack(&missing, root)
    }

    fn apt(&self, tool: &str) -> Cmd {
        let mut cmd = Cmd::new(tool);
        cmd.arg("-c")
            .arg(&self.conf)
            .env("LC_ALL", "C")
            .dir(&self.dir);
        cmd
    }
}

/// The machine's own list, as one file.
fn machine_sources() -> Result<String> {
    let mirror = mirror()?;
    let codename = fs::read_to_string("/etc/os-release")?
        .lines()
        .find_map(|l| l.strip_prefix("VERSION_CODENAME="))
        .map(|v| v.trim_matches('"').to_owned())
        .context("/etc/os-release names no release")?;
    if !Path::new(KEYRING).is_file() {
        bail!("{KEYRING} is missing (package debian-archive-keyring)");
    }
    // Security updates live on a mirror of their own, a sibling of the main one.
    let security = mirror.replace("/debian", "/debian-security");
    Ok(format!(
        "deb [signed-by={KEYRING}] {mirror} {codename} main\ndeb [signed-by={KEYRING}] {mirror} {codename}-updates \
         main\ndeb [signed-by={KEYRING}] {security} {codename}-security main\n"
    ))
}

/// The Debian mirror in the machine's apt configuration.
fn mirror() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(
        fs::read_dir("/etc/apt/sources.list.d")
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path()),
    );
    files
        .iter()
        .filter_map(|f| fs::read_to_string(f).ok())
        .find_map(|text| mirror_in(&text))
        .context("/etc/apt lists no Debian mirror")
}

/// The first URI in one-line or deb822 style that ends in `/debian`.
fn mirror_in(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .filter(|l| l.starts_with("deb ") || l.to_ascii_lowercase().starts_with("uris:"))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.contains("://") && word.ends_with("/debian"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_of_both_styles() {
        assert_eq!(
            mirror_in(
                "# deb cdrom\ndeb [arch=amd64] http://mirror.example/debian/ bookworm main\n"
            )
            .as_deref(),
            Some("http://mirror.example/debian")
        );
        assert_eq!(
            mirror_in(
                "Types: deb\nURIs: https://a.example/debian-security https://b.example/debian\n"
            )
            .as_deref(),
            Some("https://b.example/debian")
        );
        assert_eq!(
            mirror_in("deb http://ppa.example/ubuntu jammy main\n"),
            None
        );
    }
}
