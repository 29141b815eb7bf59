//! The child's main function: take the job, confine, work, report.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    panic,
    process::ExitCode,
    sync::Arc,
};

use command_fds::inherited::{init_inherited_fds, take_fd_ownership};

use super::{
    ChildJob, FD_CRASH, FD_EVENTS, FD_FILES, FD_JOB, FileUse, Message, Reporter, Work, probe,
    sandbox,
};
use crate::{crash::handler, trouble::Trouble};

/// Runs a job handed over by a parent. `main` calls this before anything else.
pub fn child_main() -> ExitCode {
    // SAFETY: nothing in this process has opened a descriptor yet: `main` calls
    // this first, and the runtime owns 0 to 2 only.
    if let Err(error) = unsafe { init_inherited_fds() } {
        eprintln!("lab __child: cannot look at descriptors: {error}");
        return ExitCode::from(4);
    }
    match take() {
        Ok(job) => job.work(),
        Err(error) => {
            eprintln!("lab __child is started by `lab` itself, not by hand: {error}");
            ExitCode::from(2)
        }
    }
}

struct Taken {
    job: ChildJob,
    reporter: Arc<Reporter>,
    crash: OwnedFd,
    files: Vec<(FileUse, OwnedFd)>,
}

fn take() -> io::Result<Taken> {
    let inherited = |fd| take_fd_ownership(fd).map_err(io::Error::other);
    let mut text = String::new();
    File::from(inherited(FD_JOB)?).read_to_string(&mut text)?;
    let job: ChildJob = serde_json::from_str(&text)?;
    let verbosity = match &job.work {
        Work::Run(run) => run.verbosity,
        Work::Verify(_) | Work::Replay(_) | Work::Probe(_) => 0,
    };
    let reporter = Arc::new(Reporter::new(File::from(inherited(FD_EVENTS)?), verbosity));
    let crash = inherited(FD_CRASH)?;
    let files = job
        .files
        .iter()
        .zip(FD_FILES..)
        .map(|(usage, fd)| Ok((usage.clone(), inherited(fd)?)))
        .collect::<io::Result<_>>()?;
    Ok(Taken {
        job,
        reporter,
        crash,
        files,
    })
}

impl Taken {
    fn work(self) -> ExitCode {
        let Self {
            job,
            reporter,
            crash,
            files,
        } = self;
        report_panics(&reporter);
        match prepare(&job, crash) {
            Ok(by) => reporter.send(&Message::Confined {
                pid: std::process::id() as i32,
                by,
            }),
            Err(trouble) => {
                reporter.send(&Message::Failed { trouble });
                return ExitCode::from(4);
            }
        }
        let result = match job.work {
            Work::Probe(which) => probe::run(which, &reporter),
            Work::Verify(verify) => crate::verify::child::run(&verify, files, &reporter),
            Work::Replay(replay) => crate::replay::child(&replay, files, &reporter),
            Work::Run(run) => crate::drive::drive(&run, files, &reporter),
        };
        match result {
            Ok(()) => {
                reporter.send(&Message::Done);
                ExitCode::SUCCESS
            }
            Err(trouble) => {
                let code = trouble.verdict().code();
                reporter.send(&Message::Failed { trouble });
                ExitCode::from(code)
            }
        }
    }
}

fn prepare(job: &ChildJob, crash: OwnedFd) -> Result<Vec<String>, Trouble> {
    handler::install(crash)
        .map_err(|error| Trouble::host(format!("cannot install signal handlers: {error}")))?;
    sandbox::confine(&job.limits, job.parent).map_err(|error| Trouble::host(error.to_string()))
}

/// A panic is the host's fault. It is said at once: afterwards it may try to
/// unwind through frames of the driver, which aborts.
fn report_panics(reporter: &Arc<Reporter>) {
    let reporter = Arc::clone(reporter);
    panic::set_hook(Box::new(move |info| {
        let what = info.payload_as_str().unwrap_or("panic without a message");
        let mut trouble = Trouble::host(format!("the host panicked: {what}"))
            .hint("this is a bug of the lab, not of the driver: please report it with the seed");
        if let Some(location) = info.location() {
            trouble = trouble.at(location);
        }
        reporter.send(&Message::Failed { trouble });
    }));
}
