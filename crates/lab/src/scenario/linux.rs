//! `--tap`: Linux itself talks through the driver. The parent runs the programs;
//! here the driver is brought up, left to its work until they are done, paused and
//! restarted, asked for its statistics and taken down.
//!
//! Runs concurrently: for each TAP device a thread of its own sleeps until Linux has
//! sent something, and then lets the endpoint on it speak.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lab_host::Host;
use lab_host::ndis::EdgeState;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::stage::{Files, Stage, device, take};
use super::tour::{bring_down, bring_up};
use super::{control, progress, step};
use crate::process::FileUse;
use crate::summary::{Counter, Summary};
use crate::trouble::Trouble;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// How long a watch sleeps at most before it looks whether the run is over, in ms.
const LOOK: u16 = 50;
/// Pauses and restarts of each edge under traffic.
const ROUNDS: u32 = 10;
/// Names of counters that the parent looks for.
pub const DROPPED: &str = "frames dropped below the driver";
/// The second of them.
pub const INDICATED: &str = "frames indicated to the driver";

/// Runs `run`, and meanwhile lets each endpoint on a TAP device speak when there is
/// something to read.
pub fn watched<R>(host: &Host, stage: &Stage, run: impl FnOnce() -> R) -> R {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (watch, speaker) in stage.watches() {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    match watch.wait(LOOK) {
                        Ok(true) => speaker.kick(host),
                        Ok(false) => {}
                        // The device is gone; the run's end follows.
                        Err(_) => thread::sleep(Duration::from_millis(LOOK.into())),
                    }
                }
            });
        }
        let result = run();
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// The two pipes to the parent.
pub struct Talk {
    ready: File,
    stop: File,
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
            stop: File::from(take(files, &FileUse::Stop).ok_or_else(missing)?),
        })
    }

    /// Tells the parent that this side is ready for what is next. False when it is gone.
    pub(super) fn say(&self) -> bool {
        (&self.ready).write_all(&[1]).is_ok()
    }

    /// What the parent has said since the last call: how many of how many talks are
    /// over, or that all are.
    pub(super) fn news(&self) -> News {
        let mut fds = [PollFd::new(self.stop.as_fd(), PollFlags::POLLIN)];
        if !poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count > 0) {
            return News::None;
        }
        let mut bytes = [0; 2];
        match (&self.stop).read_exact(&mut bytes) {
            Ok(()) => News::Done(bytes[0].into(), bytes[1].into()),
            Err(_) => News::Over,
        }
    }
}

/// Words of the parent.
pub(super) enum News {
    /// None.
    None,
    /// So many of so many; or a command and what it is about.
    Done(u64, u64),
    /// There will be no more.
    Over,
}

/// The scenario.
pub fn linux(host: &Host, stage: &Stage, talk: &Talk, summary: &mut Summary) {
    // What Linux says of itself at the start is read when both edges run: else the driver
    // would drop frames that the interface has counted.
    hold(stage, true);
    let Some(bindings) = bring_up(host, stage, summary) else {
        return;
    };
    hold(stage, false);
    stage.kick(host);
    let alive = talk.say()
        && listen(host, talk, false)
        && {
            count(host, stage, summary);
            talk.say()
        }
        && {
            disturb(host, stage, &bindings, summary);
            talk.say()
        };
    if alive {
        listen(host, talk, true);
    } else {
        step(summary, "Linux", false, "the parent is gone");
    }
    bring_down(host, &bindings, summary);
}

/// Waits until the parent has said that its talks are done, or to the very end. False
/// when it says nothing any more.
fn listen(host: &Host, talk: &Talk, to_the_end: bool) -> bool {
    let (mut done, mut total, mut over) = (0, 0, false);
    loop {
        host.wait_until("for Linux to finish", 2 * MS, SECOND / 2, |_| {
            match talk.news() {
                News::None => return false,
                News::Done(now, of) => (done, total) = (now, of),
                News::Over => over = true,
            }
            true
        });
        if over {
            return false;
        }
        // Said again and again: a sign of life while a program runs for long. What comes
        // after the last of them takes no time to speak of.
        progress(host, "ping and iperf3 through the driver", done, total);
        if !to_the_end && total > 0 && done == total {
            return true;
        }
    }
}

/// Reads the driver's counters at a moment when every frame that Linux has counted as
/// sent has either arrived or been dropped by somebody who counted that.
fn count(host: &Host, stage: &Stage, summary: &mut Summary) {
    hold(stage, true);
    let quiet = host.wait_until("for frames under way", MS, 5 * SECOND, |host| {
        (0..stage.topology.adapters.len()).all(|nic| host.nic_is_idle(nic))
            && (0..host.uppers()).all(|upper| host.upper_is_idle(upper))
    });
    step(
        summary,
        "quiet for counting",
        quiet,
        "nothing on any wire, in any queue or out",
    );
    control::ask(host, stage, summary);
    for (nic, adapter) in stage.topology.adapters.iter().enumerate() {
        let mix = host.nic_mix(nic);
        for (name, value) in [(DROPPED, mix.dropped), (INDICATED, mix.receives)] {
            summary.counters.push(Counter {
                owner: adapter.name.clone(),
                name: name.into(),
                value,
            });
        }
    }
}

/// Pauses and restarts both edges again and again while Linux sends from both sides.
fn disturb(host: &Host, stage: &Stage, bindings: &[u64], summary: &mut Summary) {
    hold(stage, false);
    let mut failed = 0;
    for _ in 0..ROUNDS {
        host.sleep(10 * MS);
        for &binding in bindings {
            host.pause_binding(binding);
            host.sleep(MS);
            host.restart_binding(binding);
            failed += u32::from(host.binding_state(binding) != Some(EdgeState::Running));
        }
        host.sleep(10 * MS);
        for m in &stage.topology.miniports {
            if let Some(miniport) = host.miniport(&device(&m.name)) {
                host.pause_miniport(miniport);
                host.sleep(MS);
                failed += u32::from(!host.restart_miniport(miniport));
            }
        }
    }
    step(
        summary,
        "pause and restart under traffic",
        failed == 0,
        format!("{ROUNDS} times each edge, {failed} failed"),
    );
}

/// Leaves what Linux sends in its devices, or takes it again.
fn hold(stage: &Stage, hold: bool) {
    for (watch, _) in stage.watches() {
        watch.hold(hold);
    }
}
