//! Engines: what runs when, on which virtual processor, and what time it is.
//!
//! One NDIS part stands on two engines behind one trait. [`deterministic`] runs
//! everything on one OS thread as stackful coroutines in virtual time, every choice
//! drawn from the seed; [`realtime`] runs OS threads against the machine's clock.

pub mod deterministic;
pub(crate) mod preempt;
pub mod realtime;
mod schedule;
mod stacks;

use crate::host::Host;
use crate::vp::TaskId;

pub use schedule::{Schedule, Step};
pub(crate) use stacks::{ArenaStack, StackPool};

/// Where a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A thread at `PASSIVE_LEVEL`; may move between processors at any host call.
    Passive,
    /// A DPC at `DISPATCH_LEVEL`, on this processor or on any.
    Dispatch(Option<u32>),
}

/// A piece of work.
pub struct Job {
    /// For reports.
    pub name: String,
    /// Where it runs.
    pub level: Level,
    /// The work.
    pub body: Box<dyn FnOnce(&Host) + Send>,
}

impl Job {
    /// A thread.
    pub fn thread(name: impl Into<String>, body: impl FnOnce(&Host) + Send + 'static) -> Self {
        Self {
            name: name.into(),
            level: Level::Passive,
            body: Box::new(body),
        }
    }

    /// A DPC on any processor.
    pub fn dpc(name: impl Into<String>, body: impl FnOnce(&Host) + Send + 'static) -> Self {
        Self {
            name: name.into(),
            level: Level::Dispatch(None),
            body: Box::new(body),
        }
    }
}

/// How [`Engine::run`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// The main job returned.
    Done,
    /// A task was stopped for good (`Host::fatal`); the driver cannot go on.
    Dead,
    /// Nothing can run and nothing is due; who waits for what.
    Hang(Vec<String>),
}

/// See the module's text. `wait` and `switch` are called by a task that holds a processor.
pub trait Engine: Send + Sync {
    /// Nanoseconds since the start.
    fn now(&self) -> u64;
    /// A number below `bound` (which is at least 1), from the seed.
    fn random(&self, bound: u64) -> u64;
    /// Starts a job as soon as may be, or at a time. The id may be given to `cancel` before it starts.
    fn spawn(&self, at: Option<u64>, job: Job) -> TaskId;
    /// Withdraws a job that has not started; whether it could be.
    fn cancel(&self, task: TaskId) -> bool;
    /// Suspends the calling task until it is woken or the time comes; true when woken.
    /// A wake that came first is not lost.
    fn wait(&self, deadline: Option<u64>) -> bool;
    /// Wakes a task.
    fn wake(&self, task: TaskId);
    /// A point where others may run; how often they do is the engine's choice.
    fn switch(&self);
    /// Lets virtual time pass as a host call does, without a switch.
    fn tick(&self);
    /// A locked instruction of the driver begins; whether the task is to be switched there.
    fn point(&self) -> bool {
        false
    }
    /// Lets others run now, if any can.
    fn preempt(&self) {}
    /// The calling task goes round in a loop that waits for memory: others run, or time goes
    /// on to what is due next. False when nothing will ever happen any more.
    fn spin(&self) -> bool {
        true
    }
    /// How to interleave from now on. Between runs.
    fn schedule(&self, _schedule: &Schedule) {}
    /// Whether the schedule has single steps.
    fn has_steps(&self) -> bool {
        false
    }
    /// Points at which tasks could have been switched.
    fn points(&self) -> u64 {
        0
    }
    /// Stops the calling task for good, and the run with it.
    fn abandon(&self) -> !;
    /// Runs until `main` returns.
    fn run(&self, host: &Host, main: Job) -> RunEnd;
    /// Runs until nothing is left that could run before `deadline`.
    fn is_virtual(&self) -> bool;
    /// Forgets every task and starts time and chance over.
    fn reset(&self, seed: u64);
}
