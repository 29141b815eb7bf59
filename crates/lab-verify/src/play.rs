//! Plays a plan on a host: a driver that is loaded once, taken back to its beginning before each
//! play, and what a play showed. What the actions do is [`crate::stage`]'s.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use lab_host::heap::Layout;
use lab_host::report::{Crash, Event, Finding, Sink};
use lab_host::{Config, FaultHit, FaultOrder, Host, Image, LoadError, RunEnd};
use lab_net::lock;

use crate::ledger::Tally;
use crate::plan::{Fault, Plan};
use crate::stage::Stage;
pub use crate::stage::{adapter, device};

/// How a play ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// All actions were done.
    #[default]
    Done,
    /// `DriverEntry` failed with this status; nothing followed.
    Refused(i32),
    /// The driver was stopped: a fault, a bug check, a finding it cannot go on after.
    Crashed(Box<Crash>),
    /// Something never ends; who waits for what.
    Hung(Vec<String>),
}

/// What a play showed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Broken rules, in order.
    pub findings: Vec<Finding>,
    /// What became of the frames.
    pub tally: Tally,
    /// How it ended.
    pub end: End,
    /// Digest of every crossing.
    pub trace: u64,
    /// Crossings.
    pub crossings: u64,
    /// Fallible calls in the order in which they were made.
    pub fallible: Vec<FaultHit>,
    /// How many of them were made to fail.
    pub failed: u64,
    /// Binds that the driver refused, and with what.
    pub refused: Vec<(usize, i32)>,
    /// Virtual nanoseconds.
    pub virtual_ns: u64,
    /// Points at which tasks could have been switched.
    pub points: u64,
}

/// The id of a play that ended by a crash that no rule names.
pub const CRASH: &str = "HOST-CRASH";
/// The id of a play that hung.
pub const HANG: &str = "HOST-HANG";

impl Outcome {
    /// Ids of what went wrong: broken rules, and how it ended.
    pub fn ids(&self) -> BTreeSet<String> {
        let mut ids: BTreeSet<String> = self.findings.iter().map(|f| f.rule.clone()).collect();
        match &self.end {
            // The rule that stopped the driver says it all.
            End::Crashed(_) if ids.is_empty() => drop(ids.insert(CRASH.to_owned())),
            End::Hung(_) if ids.is_empty() => drop(ids.insert(HANG.to_owned())),
            _ => {}
        }
        ids
    }

    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && matches!(self.end, End::Done | End::Refused(_))
    }
}

/// A sink that keeps the last crash and nothing else.
#[derive(Default)]
pub struct Quiet(Mutex<Option<Crash>>);

impl Quiet {
    /// The crash since the last call.
    pub fn take(&self) -> Option<Crash> {
        lock(&self.0).take()
    }
}

impl Sink for Quiet {
    fn event(&self, event: Event) {
        if let Event::Crash(crash) = event {
            *lock(&self.0) = Some(crash);
        }
    }
}

/// A host made for plays: `guarded` gives each allocation a page of its own and takes lists
/// that were handed over out of the driver's reach.
///
/// # Errors
/// When memory cannot be had.
pub fn host(guarded: bool, sink: Arc<dyn Sink>) -> std::io::Result<Box<Host>> {
    let config = Config {
        layout: if guarded {
            Layout::Guarded
        } else {
            Layout::Dense
        },
        guard_hand_overs: guarded,
        ..Config::default()
    };
    Host::new(config, sink)
}

/// A driver, loaded, that plans are played on.
pub struct Player {
    /// The host; leaked, as a fault handler may ask it for as long as the process lives.
    pub host: &'static Host,
    /// The driver's image.
    pub image: Arc<Image>,
    /// Service of the protocol edge.
    pub service: String,
    /// Where crashes are found.
    pub sink: Arc<Quiet>,
}

/// A driver could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The host could not be made.
    #[error("the host cannot be made: {0}")]
    Host(#[from] std::io::Error),
    /// The image is not one the host can load.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Player {
    /// Loads an image.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn new(image: &[u8], service: &str, guarded: bool) -> Result<Self, Trouble> {
        lab_host::signals::install()?;
        let sink = Arc::new(Quiet::default());
        let host = host(guarded, Arc::clone(&sink) as _)?;
        let image = host.load(image)?;
        Ok(Self {
            host: Box::leak(host),
            image,
            service: service.to_owned(),
            sink,
        })
    }

    /// Plays a plan.
    ///
    /// # Errors
    /// When the image cannot be restored.
    pub fn play(&self, plan: &Plan) -> std::io::Result<Outcome> {
        self.sink.take();
        let mut outcome = play(self.host, plan, &self.service)?;
        if let End::Crashed(crash) = &mut outcome.end
            && let Some(real) = self.sink.take()
        {
            **crash = real;
        }
        Ok(outcome)
    }
}

/// Plays a plan on a host with a driver loaded, from a pristine image and an empty arena.
///
/// # Errors
/// When the image cannot be restored.
pub fn play(host: &Host, plan: &Plan, service: &str) -> std::io::Result<Outcome> {
    prepare(host, plan)?;
    host.set_quiet(true);
    let stage = Arc::new(Stage::new(host, plan, service));
    let end = host.run("play", |host| stage.all(host, &plan.actions));
    let (tally, refused) = stage.finish();
    let end = match end {
        RunEnd::Done => match *lock(&stage.entry) {
            Some(status) if status < 0 => End::Refused(status),
            _ => End::Done,
        },
        RunEnd::Dead => End::Crashed(Box::new(unknown(host))),
        RunEnd::Hang(waiting) => End::Hung(waiting),
    };
    let (fallible, failed) = host.fault_hits();
    Ok(Outcome {
        findings: host.findings(),
        tally,
        end,
        trace: host.trace_hash(),
        crossings: host.crossings(),
        fallible,
        failed,
        refused,
        virtual_ns: host.now(),
        points: host.switch_points(),
    })
}

/// Takes the host back to its beginning and sets what the plan asks of it.
fn prepare(host: &Host, plan: &Plan) -> std::io::Result<()> {
    host.set_guards(plan.knobs.guarded);
    host.reset(plan.seed)?;
    host.set_ndis_version((6, plan.knobs.ndis_minor));
    let base = host.image().map_or(0, |image| image.base);
    let order = |fault: &Fault| FaultOrder {
        name: fault.call.clone(),
        site: fault.site.map(|site| base + u64::from(site)),
        nth: fault.nth,
    };
    host.fail_these(plan.knobs.faults.iter().map(order).collect());
    host.set_manner(plan.knobs.manner);
    host.set_breach(plan.knobs.breach);
    host.set_schedule(&plan.knobs.schedule);
    Ok(())
}

/// A crash of which the sink was told.
fn unknown(host: &Host) -> Crash {
    Crash {
        kind: lab_host::report::CrashKind::Host,
        message: "the driver was stopped".into(),
        registers: Vec::new(),
        time: host.now(),
        cpu: 0,
        irql: 0,
        calls: host.calls(),
        stack: None,
    }
}
