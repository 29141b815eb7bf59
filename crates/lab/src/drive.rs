//! What the confined child does with a driver: load it and run the scenario.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use lab_host::heap::Layout;
use lab_host::{Config, EngineKind, Host};

use crate::crash::handler;
use crate::process::{FileUse, Reporter, RunJob};
use crate::scenario;
use crate::topology::Engine;
use crate::trouble::Trouble;

/// Runs the job. The results go out as events.
pub fn drive(
    job: &RunJob,
    mut files: Vec<(FileUse, OwnedFd)>,
    reporter: &Arc<Reporter>,
) -> Result<(), Trouble> {
    let at = files
        .iter()
        .position(|(usage, _)| *usage == FileUse::Image)
        .ok_or_else(|| Trouble::host("no image was handed over"))?;
    let mut image = Vec::new();
    File::from(files.remove(at).1)
        .read_to_end(&mut image)
        .map_err(|e| Trouble::host(format!("cannot read the image: {e}")))?;
    let sink: Arc<dyn lab_host::report::Sink> = Arc::clone(reporter) as _;
    let host = Host::new(config(job), sink)
        .map_err(|e| Trouble::host(format!("cannot make the host: {e}")))?;
    let loaded = host
        .load(&image)
        .map_err(|e| Trouble::input(e.to_string()).at(&job.driver))?;
    handler::set_image(loaded.base, loaded.size);
    // SAFETY: leaked on purpose: the handler may ask it for as long as the process lives.
    let host: &'static Host = Box::leak(host);
    let _ = handler::set_faults(Box::new(Watcher { host }));
    scenario::run(host, job, files)
}

fn config(job: &RunJob) -> Config {
    let lab = &job.topology.lab;
    let real = lab.engine == Engine::RealTime;
    Config {
        seed: job.seed,
        processors: lab.processors,
        engine: if real { EngineKind::RealTime } else { EngineKind::Deterministic },
        // Protection changes are for the whole process: what helps one thread disturbs another.
        layout: if real { Layout::Dense } else { Layout::Guarded },
        guard_hand_overs: !real,
        ndis_version: (lab.ndis_version.major as u8, lab.ndis_version.minor as u8),
        ..Config::default()
    }
}

/// Answers the signal handler.
struct Watcher {
    host: &'static Host,
}

impl handler::Faults for Watcher {
    fn resume(&self, _: i32, _: &libc::siginfo_t, _: &mut libc::ucontext_t) -> bool {
        false
    }

    fn died(&self, signal: i32, address: u64, context: &libc::ucontext_t) {
        let register = |r: i32| context.uc_mcontext.gregs[r as usize] as u64;
        self.host.fault(
            signal,
            address,
            register(libc::REG_RIP),
            register(libc::REG_RSP),
            register(libc::REG_RBP),
        );
    }
}
