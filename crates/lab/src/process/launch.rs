//! The parent's side: start the child, pass on what it says, and make sure that
//! it ends.
//!
//! Runs concurrently: two reader threads and one for signals feed one bounded
//! channel; everything else happens on the calling thread. That thread must be
//! the one that started the child, and is: the kernel ties the child's death
//! signal to it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use command_fds::{CommandFdExt, FdMapping};
use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::{
        memfd::{MFdFlags, memfd_create},
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use thiserror::Error;

use super::{ChildJob, FD_CRASH, FD_EVENTS, FD_FILES, FD_JOB, FileUse, Limits, Message, Work};
use crate::crash::{handler, record::Record};

/// How long a child that was asked where it is may take to say so.
const GRACE: Duration = Duration::from_secs(2);
/// Lines in flight between readers and the renderer; beyond that the child waits.
const IN_FLIGHT: usize = 1024;
/// A line longer than this is no message.
const MAX_LINE: u64 = 16 << 20;

/// A child to be started.
pub struct Launch {
    /// The executable; `/proc/self/exe` but in tests.
    pub program: PathBuf,
    /// What it is to do.
    pub work: Work,
    /// Files it gets.
    pub files: Vec<(FileUse, OwnedFd)>,
    /// Its limits.
    pub limits: Limits,
    /// A child that says nothing for so long hangs.
    pub watchdog: Duration,
}

impl Launch {
    /// This executable again, with default limits.
    pub fn new(work: Work) -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            work,
            files: Vec::new(),
            limits: Limits::default(),
            watchdog: Duration::from_secs(30),
        }
    }
}

/// How the child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Itself(ExitStatus),
    /// Killed because the user interrupted the parent with this signal.
    Interrupted(i32),
    /// Killed because it said nothing for this long.
    Silent(Duration),
}

/// What is left of the child.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// Its crash record, if it wrote one.
    pub record: Option<Record>,
    /// Last lines of text it wrote past the event pipe; normally none.
    pub stray: Vec<String>,
}

/// The child could not be run.
#[derive(Debug, Error)]
#[error("cannot run the child process: {step}: {source}")]
pub struct LaunchError {
    step: &'static str,
    source: io::Error,
}

fn failed<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> LaunchError {
    move |source| LaunchError {
        step,
        source: source.into(),
    }
}

enum Heard {
    Message(Box<Message>),
    Garbled(String),
    Stray(String),
    Signal(i32),
    Closed,
}

/// A child that is killed and reaped whatever happens to the parent's code.
struct Held(Child);

impl Held {
    fn signal(&self, signal: Signal) {
        // The child is not reaped before `wait`, so the id is still its own.
        let _ = kill(Pid::from_raw(self.0.id() as i32), signal);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a child to its end and hands every message to `heard`.
pub fn run(launch: Launch, mut heard: impl FnMut(Message)) -> Result<Outcome, LaunchError> {
    let (sender, receiver) = sync_channel(IN_FLIGHT);
    let signals = watch_signals(sender.clone()).map_err(failed("signal handling"))?;
    let started = start(launch, sender);
    let outcome = started.and_then(|started| attend(started, &receiver, &mut heard));
    signals.close();
    outcome
}

struct Started {
    child: Held,
    record: File,
    watchdog: Duration,
}

fn start(launch: Launch, sender: SyncSender<Heard>) -> Result<Started, LaunchError> {
    let (events_in, events_out) = io::pipe().map_err(failed("event pipe"))?;
    let (stray_in, stray_out) = io::pipe().map_err(failed("output pipe"))?;
    let record = memory_file(c"lab-crash", &[], false).map_err(failed("crash record"))?;
    let (uses, files): (Vec<_>, Vec<_>) = launch.files.into_iter().unzip();
    let job = ChildJob {
        work: launch.work,
        files: uses,
        limits: launch.limits,
        parent: std::process::id() as i32,
    };
    let job = serde_json::to_vec(&job).map_err(failed("job"))?;
    let job = memory_file(c"lab-job", &job, true).map_err(failed("job"))?;

    let mut mappings: Vec<_> = files
        .into_iter()
        .zip(FD_FILES..)
        .map(|(parent_fd, child_fd)| FdMapping {
            parent_fd,
            child_fd,
        })
        .collect();
    for (parent_fd, child_fd) in [
        (job.into(), FD_JOB),
        (OwnedFd::from(events_out), FD_EVENTS),
        (
            record
                .as_fd()
                .try_clone_to_owned()
                .map_err(failed("crash record"))?,
            FD_CRASH,
        ),
    ] {
        mappings.push(FdMapping {
            parent_fd,
            child_fd,
        });
    }
    let mut command = Command::new(&launch.program);
    command
        .arg(CHILD_COMMAND)
        // Nothing of the user's environment belongs in there, and
        // RUST_BACKTRACE would make a panic read files it may not read.
        .env_clear()
        // A Ctrl-C at the terminal reaches the parent alone, which then decides.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(stray_out.try_clone().map_err(failed("output pipe"))?)
        .stderr(stray_out)
        .fd_mappings(mappings)
        .map_err(|error| failed("descriptors")(io::Error::other(error)))?;
    let child = Held(command.spawn().map_err(failed("start"))?);
    // The command holds the child's ends of the pipes; closed here, they end
    // when the child does.
    drop(command);

    let events = sender.clone();
    thread::spawn(move || read_messages(events_in, &events));
    thread::spawn(move || read_stray(stray_in, &sender));
    Ok(Started {
        child,
        record,
        watchdog: launch.watchdog,
    })
}

/// First argument of a child.
pub const CHILD_COMMAND: &str = "__child";

fn attend(
    started: Started,
    receiver: &Receiver<Heard>,
    heard: &mut impl FnMut(Message),
) -> Result<Outcome, LaunchError> {
    let Started {
        mut child,
        record,
        watchdog,
    } = started;
    let mut stray = Vec::new();
    let mut due = Instant::now() + watchdog;
    let mut asked = false;
    let mut forced = None;
    // Both pipes must end: what a dying child wrote is read to its end.
    let mut open = 2;
    while open > 0 {
        match receiver.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Heard::Message(message)) => {
                if !asked {
                    due = Instant::now() + watchdog;
                }
                heard(*message);
            }
            Ok(Heard::Garbled(line)) => stray.push(format!("garbled message: {line}")),
            Ok(Heard::Stray(line)) => stray.push(line),
            Ok(Heard::Closed) => open -= 1,
            Ok(Heard::Signal(signal)) => {
                forced.get_or_insert(Ended::Interrupted(signal));
                child.signal(Signal::SIGKILL);
            }
            Err(RecvTimeoutError::Timeout) if !asked => {
                asked = true;
                forced.get_or_insert(Ended::Silent(watchdog));
                child.signal(Signal::try_from(handler::ASK).unwrap_or(Signal::SIGKILL));
                due = Instant::now() + GRACE;
            }
            Err(RecvTimeoutError::Timeout) => {
                child.signal(Signal::SIGKILL);
                due = Instant::now() + GRACE;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if stray.len() > 100 {
            stray.remove(0);
        }
    }
    let status = child.0.wait().map_err(failed("wait"))?;
    let record = read_record(record).map_err(failed("crash record"))?;
    Ok(Outcome {
        ended: forced.unwrap_or(Ended::Itself(status)),
        record,
        stray,
    })
}

fn read_record(mut file: File) -> io::Result<Option<Record>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(Record::parse(&bytes))
}

fn read_messages(pipe: io::PipeReader, sender: &SyncSender<Heard>) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let heard = match serde_json::from_slice(&line) {
            Ok(message) => Heard::Message(Box::new(message)),
            Err(error) => {
                let text = String::from_utf8_lossy(line.get(..200).unwrap_or(&line));
                Heard::Garbled(format!("{error}: {}", text.trim_end()))
            }
        };
        if sender.send(heard).is_err() {
            return;
        }
    }
    let _ = sender.send(Heard::Closed);
}

fn read_stray(pipe: io::PipeReader, sender: &SyncSender<Heard>) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut reader).take(4096).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if sender.send(Heard::Stray(text)).is_err() {
            return;
        }
    }
    let _ = sender.send(Heard::Closed);
}

fn watch_signals(sender: SyncSender<Heard>) -> io::Result<signal_hook::iterator::Handle> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let handle = signals.handle();
    thread::spawn(move || {
        for signal in signals.forever() {
            if sender.send(Heard::Signal(signal)).is_err() {
                break;
            }
        }
    });
    Ok(handle)
}

/// A file in memory with these bytes, at its start; sealed if it is to be read only.
pub fn memory_file(name: &std::ffi::CStr, bytes: &[u8], seal: bool) -> io::Result<File> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    file.rewind()?;
    if seal {
        fcntl(
            &file,
            FcntlArg::F_ADD_SEALS(
                SealFlag::F_SEAL_WRITE
                    | SealFlag::F_SEAL_SHRINK
                    | SealFlag::F_SEAL_GROW
                    | SealFlag::F_SEAL_SEAL,
            ),
        )?;
    }
    Ok(file)
}

/// Text for an exit that is neither success nor one of ours.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => Signal::try_from(signal)
            .map_or_else(|_| format!("signal {signal}"), |name| name.to_string()),
        (None, None) => "no exit code".into(),
    }
}
