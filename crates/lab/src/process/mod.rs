//! Two processes: the parent talks to the user and opens everything; the child
//! runs the driver, confined.
//!
//! The child is this same executable started again (`/proc/self/exe __child`),
//! never a fork that goes on running. What it gets, it gets as descriptors:
//!
//! | descriptor | what |
//! |---|---|
//! | 0 | `/dev/null` |
//! | 1, 2 | a pipe to the parent: text of a dying host (there should be none) |
//! | 3 | the job as JSON, read to its end |
//! | 4 | events, JSON lines, child to parent |
//! | 5 | crash record, a memory file that a signal handler writes |
//! | 6… | files of the job, listed in it: the image, TAP devices, the pcapng file |

mod child;
mod job;
mod launch;
mod probe;
mod protocol;
mod reporter;
pub mod sandbox;

pub use child::child_main;
pub use job::{ChildJob, FileUse, Limits, Probe, RunJob, Work};
pub use launch::{CHILD_COMMAND, Ended, Launch, LaunchError, Outcome, describe, memory_file, run};
pub use protocol::Message;
pub use reporter::Reporter;

/// Descriptor of the job.
const FD_JOB: i32 = 3;
/// Descriptor of the event pipe.
const FD_EVENTS: i32 = 4;
/// Descriptor of the crash record.
const FD_CRASH: i32 = 5;
/// First descriptor of the job's files.
const FD_FILES: i32 = 6;
