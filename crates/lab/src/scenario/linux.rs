//! `--tap`: Linux itself talks through the driver. The parent runs the programs;
//! here the driver is brought up, left to its work until they are done, asked for
//! its statistics and taken down.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};

use lab_host::Host;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::stage::{Files, Stage, take};
use super::tour::{bring_down, bring_up};
use super::{control, progress, step};
use crate::process::FileUse;
use crate::summary::Summary;
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// The two pipes to the parent.
pub struct Talk {
    ready: File,
    stop: OwnedFd,
}

impl Talk {
    /// Out of what was handed over.
    pub fn take(files: &mut Files) -> Result<Self, Trouble> {
        let missing = || {
            Trouble::input("the scenario `linux` needs Linux at both ends")
                .hint("run it with --tap, which also chooses this scenario")
        };
        Ok(Self {
            ready: File::from(take(files, &FileUse::Ready).ok_or_else(missing)?),
            stop: take(files, &FileUse::Stop).ok_or_else(missing)?,
        })
    }

    fn is_over(&self) -> bool {
        let mut fds = [PollFd::new(self.stop.as_fd(), PollFlags::POLLIN)];
        // The parent never writes: what comes is the end.
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count > 0)
    }
}

/// The scenario.
pub fn linux(host: &Host, stage: &Stage, talk: &Talk, summary: &mut Summary) {
    let Some(bindings) = bring_up(host, stage, summary) else {
        return;
    };
    stage.kick(host);
    if let Err(error) = (&talk.ready).write_all(&[1]) {
        step(
            summary,
            "Linux",
            false,
            format!("the parent is gone: {error}"),
        );
        return;
    }
    let mut seconds = 0;
    while !host.wait_until("for Linux to finish", 5 * MS, SECOND, |_| talk.is_over()) {
        seconds += 1;
        progress(host, "ping and iperf3 through the driver, s", seconds, 0);
    }
    control::ask(host, stage, summary);
    bring_down(host, &bindings, summary);
}
