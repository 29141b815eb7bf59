//! Folders that appear whole or not at all, also when the user presses Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use fs_err as fs;
use tempfile::TempDir;

/// Unfinished folders of this process, for the Ctrl-C handler.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Start of the names of unfinished folders; the process id follows.
const PREFIX: &str = ".unfinished-";

/// Ctrl-C and `kill` remove what is unfinished. Programs that xtask has started get
/// the terminal's Ctrl-C themselves.
pub fn clean_up_on_signals() -> Result<()> {
    ctrlc::set_handler(|| {
        let unfinished = UNFINISHED
            .lock()
            .map(|list| list.clone())
            .unwrap_or_default();
        for dir in unfinished {
            let _ = std::fs::remove_dir_all(dir);
        }
        eprintln!("xtask: interrupted; nothing unfinished is left behind");
        std::process::exit(130);
    })
    .context("Ctrl-C cannot be handled")
}

/// Creates `dir` and its parents and returns it.
pub fn create(dir: &Path) -> Result<&Path> {
    fs::create_dir_all(dir)?;
    Ok(dir)
}

/// A folder below `parent` to be filled and then put in place by [`Staging::replace`].
#[derive(Debug)]
pub struct Staging {
    dir: TempDir,
}

impl Staging {
    /// An empty one. What a killed xtask has left in `parent` is removed.
    pub fn new(parent: &Path) -> Result<Self> {
        create(parent)?;
        remove_leftovers(parent);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let dir = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(parent)
            .with_context(|| format!("nothing can be written to {}", parent.display()))?;
        if let Ok(mut list) = UNFINISHED.lock() {
            list.push(dir.path().to_owned());
        }
        Ok(Self { dir })
    }

    /// The folder to fill.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Puts the folder in the place of `target`, on the same file system: the new
    /// content appears by one rename, and what was there is gone only after that.
    pub fn replace(self, target: &Path) -> Result<()> {
        let parent = target.parent().context("the target has no parent")?;
        open_up(self.path())?;
        // The old one goes aside first, because a rename does not replace a full folder.
        let aside = Self::new(parent)?;
        let old = aside.path().join("old");
        let had_old = match fs::rename(target, &old) {
            Ok(()) => true,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(e) => return Err(e.into()),
        };
        if let Err(e) = fs::rename(self.path(), target) {
            if had_old {
                fs::rename(&old, target)?;
            }
            return Err(e.into());
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Ok(mut list) = UNFINISHED.lock() {
            list.retain(|dir| dir != self.dir.path());
        }
    }
}

/// Removes unfinished folders of processes that are no more.
fn remove_leftovers(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|n| {
            n.strip_prefix(PREFIX)?
                .split('-')
                .next()?
                .parse::<u32>()
                .ok()
        });
        // Where there is no /proc, nothing is known of other processes.
        if let Some(pid) = pid
            && Path::new("/proc/self").exists()
            && !Path::new("/proc").join(pid.to_string()).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Temporary folders are private; what replaces another folder has the usual rights.
fn open_up(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

/// Writes a file unless it has this content already, so that its time tells when it changed.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    create(path.parent().context("no parent")?)?;
    Ok(fs::write(path, content)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn replaces_old_content_as_a_whole() {
        let base = tempfile::tempdir().unwrap();
        let target = base.path().join("out");
        for content in ["one", "two"] {
            let staging = Staging::new(base.path()).unwrap();
            fs::write(staging.path().join(content), content).unwrap();
            staging.replace(&target).unwrap();
            assert_eq!(names(&target), [content]);
        }
        assert_eq!(names(base.path()), ["out"], "nothing is left beside it");
    }

    #[test]
    fn leftovers_of_the_dead_go_and_those_of_the_living_stay() {
        let base = tempfile::tempdir().unwrap();
        // No process has this id: the kernel's limit is lower.
        fs::create_dir(base.path().join(format!("{PREFIX}4194305-x"))).unwrap();
        let living = Staging::new(base.path()).unwrap();
        let other = Staging::new(base.path()).unwrap();
        assert_eq!(names(base.path()).len(), 2);
        drop((living, other));
        assert!(names(base.path()).is_empty());
    }
}
