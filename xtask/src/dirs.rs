//! Folders that appear whole or not at all.

use std::path::Path;

use anyhow::{Context as _, Result};
use fs_err as fs;
use tempfile::TempDir;

/// Creates `dir` and its parents and returns it.
pub fn create(dir: &Path) -> Result<&Path> {
    fs::create_dir_all(dir)?;
    Ok(dir)
}

/// Puts `staging` in the place of `target`. Both lie on one file system, so the new
/// content appears by one rename; what was there before is gone only after that.
pub fn replace(staging: TempDir, target: &Path) -> Result<()> {
    let parent = target.parent().context("the target has no parent")?;
    // The old one goes aside first, because a rename does not replace a full folder.
    let aside = tempfile::Builder::new()
        .prefix(".old-")
        .tempdir_in(parent)?;
    let had_old = match fs::rename(target, aside.path().join("old")) {
        Ok(()) => true,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
        Err(e) => return Err(e.into()),
    };
    open_up(staging.path())?;
    if let Err(e) = fs::rename(staging.path(), target) {
        if had_old {
            fs::rename(aside.path().join("old"), target)?;
        }
        return Err(e.into());
    }
    // It has moved; there is nothing left to delete.
    let _ = staging.keep();
    Ok(())
}

/// Temporary folders are private; what replaces another folder has the usual rights.
fn open_up(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_old_content_as_a_whole() {
        let base = tempfile::tempdir().unwrap();
        let target = base.path().join("out");
        for content in ["one", "two"] {
            let staging = tempfile::tempdir_in(base.path()).unwrap();
            fs::write(staging.path().join(content), content).unwrap();
            replace(staging, &target).unwrap();
            let names: Vec<_> = fs::read_dir(&target)
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .collect();
            assert_eq!(names, [content]);
        }
        assert_eq!(
            fs::read_dir(base.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }
}
