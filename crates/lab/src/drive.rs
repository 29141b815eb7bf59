//! What the confined child does with a driver: load it and run the scenario.

use std::os::fd::OwnedFd;

use crate::{
    process::{FileUse, Reporter, RunJob},
    trouble::Trouble,
};

/// Runs the job. The results go out as events.
pub fn drive(
    job: RunJob,
    files: Vec<(FileUse, OwnedFd)>,
    reporter: &Reporter,
) -> Result<(), Trouble> {
    let _ = (job, files, reporter);
    Err(Trouble::host("this build has no scenarios"))
}
