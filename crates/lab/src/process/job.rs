//! What the parent tells the child to do: plain data, JSON on descriptor 3.

use serde::{Deserialize, Serialize};

use crate::topology::Topology;

/// The whole job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChildJob {
    /// What to do.
    pub work: Work,
    /// Files handed over, in descriptor order from 6 upward.
    pub files: Vec<FileUse>,
    /// What the child may use up.
    pub limits: Limits,
    /// The parent, so that the child notices when it is already gone.
    pub parent: i32,
}

/// What a handed-over descriptor is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileUse {
    /// Bytes of the driver image, a sealed memory file.
    Image,
    /// The same of the driver above, whose protocol edge's service this is.
    Above(String),
    /// The same of the topology's image of this name.
    Layer(String),
    /// Where every wire is recorded, pcapng.
    Capture,
    /// Where the wire of this name is recorded, pcapng.
    Record(String),
    /// What the `[[replay]]` of this name plays back, pcapng.
    Replay(String),
    /// A TAP device, already attached, for the host of this name.
    Tap(String),
    /// A TAP device that is the far end of the wire of this name: a switch's trunk.
    Trunk(String),
    /// A byte written here says that frames may flow.
    Ready,
    /// Every crossing goes here: octets kept of each frame, most crossings.
    Trace {
        /// Octets of each frame.
        snap: u32,
        /// Crossings.
        limit: u64,
    },
    /// Which basic blocks were reached, at the end.
    Coverage,
    /// A plan that is played instead of a scenario.
    Plan,
    /// Where a search says what it plays and what it found.
    Fuzz(Box<crate::fuzz::Search>),
    /// The end of this file says that the talk through the TAP devices is over.
    Stop,
}

/// Limits of the child, set before it sees the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space in bytes.
    pub memory: u64,
    /// CPU time in seconds.
    pub cpu_seconds: u64,
    /// Largest file it may write, in bytes.
    pub file: u64,
    /// Whether it may start threads (real-time engine).
    pub threads: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 16 << 30,
            cpu_seconds: 3600,
            file: 8 << 30,
            threads: false,
        }
    }
}

/// Kinds of work.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Load the driver and run scenarios.
    Run(Box<RunJob>),
    /// Judge the driver: one suite of `lab verify`.
    Verify(Box<crate::verify::VerifyJob>),
    /// Play one plan again.
    Replay(Box<crate::replay::ReplayJob>),
    /// Try the confinement or the crash path itself; used by tests and `lab doctor`.
    Probe(Probe),
}

/// A run of the driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunJob {
    /// Name for display.
    pub driver: String,
    /// Name of the protocol edge's service, from the manifest.
    pub service: String,
    /// The topology, checked by the parent; its `[lab]` settings are the run's:
    /// what the command line says has been put in.
    pub topology: Topology,
    /// Scenario by name; `None` is the default one.
    pub scenario: Option<String>,
    /// Seed of every choice.
    pub seed: u64,
    /// How many times the scenario is run.
    pub cycles: u64,
    /// How much is logged: 0 the driver's own lines, 1 host information, 2 and more traces.
    pub verbosity: u8,
}

/// Small jobs that show what confinement and crash reports do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// Report and end.
    Report,
    /// Open a file.
    Open,
    /// Create a socket.
    Socket,
    /// Run a program.
    Exec,
    /// The system call itself, without what the library does before it.
    Execve,
    /// Fork.
    Fork,
    /// Install another signal handler.
    Sigaction,
    /// Signal the parent.
    Kill,
    /// Start a thread.
    Thread,
    /// Map memory, change its protection, run code in it.
    Memory,
    /// Touch page zero.
    Segv,
    /// Use up the stack.
    Overflow,
    /// Panic in host code.
    Panic,
    /// Spin without a word.
    Spin,
    /// Take more memory than allowed.
    Hog,
}
