//! The linker of kernel builds off Windows: rust-lld, started so that nothing of this
//! machine gets into the image or its PDB.
//!
//! The PDB records the linker's command line, its working directory and the path of
//! every object, and the image carries a hash of the PDB. rustc passes absolute paths,
//! some of them in a temporary folder with a random name. So xtask lets rustc start
//! xtask itself under the name `lld-link` ([`install`]); that turns the paths into ones
//! relative to a fixed folder ([`run`]) and then starts the real rust-lld there.
//! On Windows rustc finds Microsoft's linker by itself, and this module does not exist.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fs_err as fs;

use crate::context::Context;
use crate::proc::Cmd;

/// File name under which xtask is the linker. rustc takes the linker's flavour from it.
pub const NAME: &str = "lld-link";

/// Folder to link in, the compiler's sysroot and the real linker, for the child.
const DIR_VAR: &str = "XTASK_LINK_DIR";
const SYSROOT_VAR: &str = "XTASK_LINK_SYSROOT";
const REAL_VAR: &str = "XTASK_LINK_REAL";

/// Lets `cmd`, a cargo command for `triple`, link by way of xtask.
pub fn install(cx: &Context, cmd: &mut Cmd, triple: &str) -> Result<()> {
    let link = cx.chain_dir().join("bin").join(NAME);
    let xtask = env::current_exe().context("xtask does not know its own path")?;
    symlink(&xtask, &link)?;
    let real = cx
        .rustc
        .sysroot
        .join("lib/rustlib")
        .join(&cx.rustc.host)
        .join("bin/rust-lld");
    if !real.is_file() {
        anyhow::bail!(
            "{} is missing: rustup's toolchains have it, this compiler does not come from rustup",
            real.display()
        );
    }
    let name = format!(
        "CARGO_TARGET_{}_LINKER",
        triple.to_uppercase().replace('-', "_")
    );
    cmd.env(name, link)
        .env(DIR_VAR, super::Chain::target_dir(cx))
        .env(SYSROOT_VAR, &cx.rustc.sysroot);
    cmd.env(REAL_VAR, real);
    Ok(())
}

/// Whether this process was started as the linker.
pub fn is_asked_for() -> bool {
    let name = env::args_os().next().map(PathBuf::from);
    name.is_some_and(|n| n.file_name().is_some_and(|n| n == NAME))
        && env::var_os(REAL_VAR).is_some()
}

/// Links, with the arguments of this process, and returns the linker's exit code.
pub fn run() -> Result<i32> {
    use std::os::unix::process::CommandExt as _;

    let var = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .with_context(|| format!("{name} is not set"))
    };
    let (dir, sysroot, real) = (var(DIR_VAR)?, var(SYSROOT_VAR)?, var(REAL_VAR)?);
    let args: Vec<OsString> = env::args_os().skip(1).collect();

    let mut places = vec![(sysroot.clone(), "sysroot".to_owned())];
    symlink(&sysroot, &dir.join("sysroot"))?;
    if let Some(temporary) = args.iter().find_map(|a| temporary_folder(a.to_str()?)) {
        symlink(&temporary, &dir.join("temporary"))?;
        places.push((temporary, "temporary".to_owned()));
    }
    places.push((dir.clone(), ".".to_owned()));
    if let Some(target) = dir.parent() {
        places.push((target.to_owned(), "..".to_owned()));
    }

    let mut cmd = std::process::Command::new(real);
    cmd.arg0(NAME).current_dir(&dir);
    for arg in &args {
        match arg.to_str() {
            Some(text) => cmd.arg(relative(text, &places)),
            None => cmd.arg(arg),
        };
    }
    // What paths are relative to, as far as the PDB is concerned.
    cmd.arg("/PDBSOURCEPATH:/target/kernel");
    let status = cmd.status().context("rust-lld could not be started")?;
    Ok(status.code().unwrap_or(1))
}

/// rustc's temporary folder (`…/rustcAbCdEf`), if `arg` names a file in it, alone or
/// after an option.
fn temporary_folder(arg: &str) -> Option<PathBuf> {
    let path = Path::new(arg.find(":/").map_or(arg, |colon| &arg[colon + 1..]));
    let folder = path.parent()?;
    let random = folder.file_name()?.to_str()?.strip_prefix("rustc")?;
    (path.is_absolute() && random.len() == 6).then(|| folder.to_owned())
}

/// `arg`, with the first of `places` that it lies in replaced by its name. Paths stand
/// alone or after an option: `/LIBPATH:/home/me/…`.
fn relative(arg: &str, places: &[(PathBuf, String)]) -> String {
    for (path, name) in places {
        let path = path.to_string_lossy();
        if let Some(start) = arg.find(&*path) {
            let (before, rest) = (&arg[..start], &arg[start + path.len()..]);
            let option = before.is_empty() || before.starts_with('/') && before.ends_with(':');
            if option && (rest.is_empty() || rest.starts_with('/')) {
                return format!("{before}{name}{rest}");
            }
        }
    }
    arg.to_owned()
}

/// Makes `link` a symbolic link to `target`, replacing what is there.
fn symlink(target: &Path, link: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|old| old == target) {
        return Ok(());
    }
    let staging = crate::dirs::Staging::new(link.parent().context("no parent")?)?;
    let new = staging.path().join("link");
    std::os::unix::fs::symlink(target, &new)?;
    Ok(fs::rename(new, link)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_lose_their_prefix() {
        let places = [
            ("/home/me/.rustup", "sysroot"),
            ("/w/target/kernel", "."),
            ("/w/target", ".."),
        ]
        .map(|(p, n)| (p.into(), n.into()));
        let rel = |arg: &str| relative(arg, &places);
        assert_eq!(rel("/w/target/kernel/x/deps/a.o"), "./x/deps/a.o");
        assert_eq!(
            rel("/LIBPATH:/w/target/chain/kit/Lib"),
            "/LIBPATH:../chain/kit/Lib"
        );
        assert_eq!(
            rel("/NATVIS:/home/me/.rustup/etc/a.natvis"),
            "/NATVIS:sysroot/etc/a.natvis"
        );
        assert_eq!(rel("/w/target2/a.o"), "/w/target2/a.o");
        assert_eq!(rel("/NOLOGO"), "/NOLOGO");
    }

    #[test]
    fn temporary_folder_is_found() {
        let found = Some(PathBuf::from("/tmp/rustcDBtcpY"));
        assert_eq!(temporary_folder("/DEF:/tmp/rustcDBtcpY/lib.def"), found);
        assert_eq!(temporary_folder("/tmp/rustcDBtcpY/symbols.o"), found);
        assert_eq!(temporary_folder("/NOLOGO"), None);
        assert_eq!(temporary_folder("/home/me/rustc/a.o"), None);
    }
}
