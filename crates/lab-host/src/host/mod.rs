//! The host: one value that holds everything.
//!
//! Every import of the driver passes [`Host::enter`] and [`Host::leave`], every callback
//! passes [`Host::call`]. There IRQL, locks, stack use and the ring of recent calls are
//! kept, and there others get a chance to run. No lock of the host is ever held across
//! a call into the driver, or across a wait.

mod crossing;
mod digest;
mod emulate;
mod faults;
mod follow;
mod machine;
mod memory;
mod omission;
mod preempt;
mod reports;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::api::Api;
use crate::arena::{Arena, PAGE, Protection, STUB_SIZE};
use crate::engine::deterministic::Deterministic;
use crate::engine::realtime::RealTime;
use crate::engine::{Engine, Job, RunEnd, Schedule};
use crate::heap::{Heap, Layout};
use crate::image::{Image, LoadError};
use crate::ndis::Ndis;
use crate::nt::Nt;
use crate::report::{Crash, CrashKind, Event, Finding, Severity, Sink};
use crate::trap::Traps;
use crate::vp::{Local, Vp};

use crossing::Ring;
use faults::Faults;
pub use faults::{FALLIBLE, FaultHit, FaultOrder, Manner};
pub use follow::Followed;

/// Which engine runs the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Virtual time, one OS thread, everything from the seed.
    Deterministic,
    /// OS threads and the machine's clock.
    RealTime,
}

/// What a host is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Decides every choice of a deterministic run.
    pub seed: u64,
    /// Virtual processors.
    pub processors: u32,
    /// Engine.
    pub engine: EngineKind,
    /// Memory layout.
    pub layout: Layout,
    /// NDIS version the host says it is, major and minor.
    pub ndis_version: (u8, u8),
    /// One switch in so many host calls.
    pub switch_every: u64,
    /// Whether lists that were handed over become inaccessible to the driver.
    pub guard_hand_overs: bool,
    /// Called by each thread of the real-time engine before it runs driver code.
    pub thread_start: Option<fn()>,
    /// Bind the data path to unchecked functions, for benchmarks.
    pub bare: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            processors: 4,
            engine: EngineKind::Deterministic,
            layout: Layout::Guarded,
            ndis_version: (6, 87),
            switch_every: 4,
            guard_hand_overs: true,
            thread_start: None,
            bare: false,
        }
    }
}

/// Pages of a guarded pool that are mappings of their own: what a short play needs, and few beside
/// the mappings that a process may have.
const APART: u64 = 1024;

/// Bytes of an import stub.
const STUB: u64 = 48;

/// See the module's text.
pub struct Host {
    /// What it was made with.
    pub config: Config,
    /// Memory of the driver.
    pub arena: Arc<Arena>,
    pub(crate) heap: Mutex<Heap>,
    pub(crate) nt: Mutex<Nt>,
    pub(crate) ndis: Mutex<Ndis>,
    engine: Box<dyn Engine>,
    #[expect(
        clippy::vec_box,
        reason = "processors are pointed to and must not move"
    )]
    vps: Vec<Box<Vp>>,
    ring: Mutex<Ring>,
    sink: Arc<dyn Sink>,
    /// In the order in which they were loaded.
    images: Mutex<Vec<Arc<Image>>>,
    /// Exported variables that were set, and to what; they stay so over resets.
    variables: Mutex<BTreeMap<u64, u32>>,
    findings: Mutex<Vec<Finding>>,
    faults: Mutex<Faults>,
    severities: BTreeMap<String, Severity>,
    pages: BTreeMap<String, String>,
    deepest: AtomicU64,
    crashed: AtomicBool,
    guard_hand_overs: AtomicBool,
    quiet: AtomicBool,
    exports: Vec<Api>,
    pub(crate) bare: crate::ndis::bare::Bare,
    traps: Traps,
    preempt: preempt::Preempt,
    omission: omission::Omission,
    pub(crate) tracer: crate::trace::Shared,
    emulation: Mutex<emulate::Emulation>,
    pub(crate) marks: crate::trace::coverage::Marks,
}

// SAFETY: what is not behind a lock is atomic or never changes. The raw pointers in the
// NDIS part's tables are addresses of the driver, which are followed through the arena
// or by the driver itself, never by the host.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    /// Makes a host without a driver.
    ///
    /// # Errors
    /// When memory cannot be had.
    pub fn new(config: Config, sink: Arc<dyn Sink>) -> std::io::Result<Box<Self>> {
        let arena = Arc::new(Arena::new()?);
        if config.layout == Layout::Guarded {
            arena.keep_apart(APART);
        }
        let vps = (0..config.processors.clamp(1, crate::arena::MAX_VPS as u32))
            .map(|i| Vp::new(&arena, i))
            .collect::<Result<Vec<_>, _>>()?;
        let engine: Box<dyn Engine> = match config.engine {
            EngineKind::Deterministic => Box::new(Deterministic::new(
                Arc::clone(&arena),
                &vps,
                config.seed,
                Schedule {
                    switch_every: config.switch_every.max(1),
                    ..Schedule::default()
                },
            )),
            EngineKind::RealTime => Box::new(RealTime::new(
                Arc::clone(&arena),
                &vps,
                config.seed,
                config.thread_start,
            )),
        };
        let host = Box::new(Self {
            heap: Mutex::new(Heap::new(config.layout)),
            nt: Mutex::default(),
            ndis: Mutex::default(),
            engine,
            vps,
            ring: Mutex::default(),
            sink,
            images: Mutex::default(),
            variables: Mutex::default(),
            findings: Mutex::default(),
            faults: Mutex::default(),
            severities: crate::rules::severities(),
            pages: crate::rules::table()
                .iter()
                .map(|r| (r.id.clone(), r.source.clone()))
                .collect(),
            deepest: AtomicU64::new(0),
            crashed: AtomicBool::new(false),
            guard_hand_overs: AtomicBool::new(config.guard_hand_overs),
            quiet: AtomicBool::new(false),
            exports: chosen(&config),
            bare: crate::ndis::bare::Bare::default(),
            traps: Traps::default(),
            preempt: preempt::Preempt::default(),
            omission: omission::Omission::default(),
            tracer: crate::trace::Shared::default(),
            emulation: Mutex::default(),
            marks: crate::trace::coverage::Marks::default(),
            arena,
            config,
        });
        assert!(host.exports.len() as u64 * STUB <= STUB_SIZE);
        for vp in &host.vps {
            vp.set_host(&raw const *host);
        }
        host.prepare_emulation()?;
        crate::nt::write_variables(&host);
        Ok(host)
    }

    /// Loads a driver image; it takes the place of any before.
    ///
    /// # Errors
    /// [`LoadError`], naming every import that is not provided.
    pub fn load(&self, bytes: &[u8]) -> Result<Arc<Image>, LoadError> {
        self.write_stubs()?;
        self.images.lock().expect("images").clear();
        self.variables.lock().expect("variables").clear();
        self.forget_sites();
        self.load_at(self.arena.image(), bytes)
    }

    /// Loads a driver image beside those that are there.
    ///
    /// # Errors
    /// [`LoadError`], also if there is no room for it.
    pub fn load_beside(&self, bytes: &[u8]) -> Result<Arc<Image>, LoadError> {
        let last = self.images.lock().expect("images").last().cloned();
        match last {
            // A page between them belongs to neither.
            Some(last) => {
                let end = (last.base + last.size).next_multiple_of(PAGE) + PAGE;
                self.load_at(end, bytes)
            }
            None => self.load(bytes),
        }
    }

    fn load_at(&self, base: u64, bytes: &[u8]) -> Result<Arc<Image>, LoadError> {
        let resolve = |dll: &str, name: &str| {
            // Since Windows 10 2004 hal.dll only forwards to the kernel.
            let dll = if dll == "hal.dll" {
                "ntoskrnl.exe"
            } else {
                dll
            };
            self.stub(dll, name)
                .or_else(|| crate::nt::variable(&self.arena, dll, name))
        };
        let image = Arc::new(Image::load(&self.arena, base, bytes, &resolve)?);
        self.images.lock().expect("images").push(Arc::clone(&image));
        self.find_sites(&image);
        Ok(image)
    }

    /// Takes an image that a test made.
    #[cfg(test)]
    pub(crate) fn adopt(&self, image: Image) {
        self.write_stubs().expect("the stub area");
        image.restore(&self.arena).expect("the image area");
        let image = Arc::new(image);
        self.images.lock().expect("images").push(Arc::clone(&image));
        self.find_sites(&image);
    }

    /// Writes the import stubs. A driver never sees an address of the host's own code: it
    /// calls a stub at an address that repeats, which jumps on.
    fn write_stubs(&self) -> std::io::Result<()> {
        let base = self.arena.stubs();
        for (i, api) in self.exports.iter().enumerate() {
            let mut stub = Vec::with_capacity(STUB as usize);
            // mov r11, [rsp]: where the call came from; r11 belongs to nobody across a call.
            stub.extend([0x4C, 0x8B, 0x1C, 0x24]);
            // mov gs:[disp32], r11
            stub.extend([0x65, 0x4C, 0x89, 0x1C, 0x25]);
            stub.extend(crate::vp::CALLER.to_le_bytes());
            let mut target = api.thunk as u64;
            if crate::nt::seh::is_raising(api.name) {
                // mov r11, imm64; then to what saves the caller's registers and calls r11.
                stub.extend([0x49, 0xBB]);
                stub.extend(target.to_le_bytes());
                target = crate::nt::seh::saving_entry as *const () as u64;
            }
            // jmp [rip]; the target follows.
            stub.extend([0xFF, 0x25, 0, 0, 0, 0]);
            stub.extend(target.to_le_bytes());
            stub.resize(STUB as usize, 0xCC);
            let to = self.arena.trusted(base + STUB * i as u64);
            // SAFETY: the stub area is the host's, has room for every export (checked when the
            // host was made), and no driver runs while an image is loaded.
            unsafe { std::ptr::copy_nonoverlapping(stub.as_ptr(), to, stub.len()) };
        }
        self.arena.protect(
            base,
            STUB * self.exports.len() as u64,
            Protection::ReadExecute,
        )
    }

    /// Address of the stub of an exported function.
    pub(crate) fn stub(&self, dll: &str, name: &str) -> Option<u64> {
        let at = self
            .exports
            .iter()
            .position(|a| a.dll == dll && a.name == name)?;
        Some(self.arena.stubs() + STUB * at as u64)
    }

    /// The image that was loaded first.
    pub fn image(&self) -> Option<Arc<Image>> {
        self.images.lock().expect("images").first().cloned()
    }

    /// All images, in the order in which they were loaded.
    pub fn images(&self) -> Vec<Arc<Image>> {
        self.images.lock().expect("images").clone()
    }

    /// The image that an address lies in.
    pub fn image_at(&self, address: u64) -> Option<Arc<Image>> {
        let images = self.images.lock().expect("images");
        images.iter().find(|image| image.contains(address)).cloned()
    }

    /// Whether each allocation has pages of its own, and lists that were handed over become
    /// inaccessible; holds from the next [`Host::reset`] on.
    pub fn set_guards(&self, guarded: bool) {
        self.guard_hand_overs.store(guarded, Ordering::Relaxed);
        self.heap.lock().expect("heap").set_next(if guarded {
            Layout::Guarded
        } else {
            Layout::Dense
        });
    }

    /// Whether lists that were handed over become inaccessible to the driver.
    pub(crate) fn guards_hand_overs(&self) -> bool {
        self.guard_hand_overs.load(Ordering::Relaxed)
    }

    /// Back to the moment after loading: pristine image, empty arena, no findings.
    ///
    /// # Errors
    /// When memory protections cannot be restored.
    pub fn reset(&self, seed: u64) -> std::io::Result<()> {
        self.engine.reset(seed);
        *self.nt.lock().expect("nt") = Nt::default();
        *self.ndis.lock().expect("ndis") = Ndis::default();
        self.heap.lock().expect("heap").reset(&self.arena);
        *self.ring.lock().expect("ring") = Ring::default();
        self.findings.lock().expect("findings").clear();
        *self.faults.lock().expect("faults") = Faults::default();
        self.crashed.store(false, Ordering::Relaxed);
        for vp in &self.vps {
            vp.reset(&self.arena);
        }
        self.traps.forget(&self.arena);
        self.marks.forget(&self.arena);
        self.trace_reset(seed);
        *self.emulation.lock().expect("emulation") = emulate::Emulation::default();
        crate::nt::write_variables(self);
        let images = self.images.lock().expect("images").clone();
        for image in images {
            image.restore_data(&self.arena);
        }
        self.set_variables();
        self.reset_steps();
        self.rearm(None);
        Ok(())
    }

    /// Gives an exported variable of an image a value, now and after every reset. False if the
    /// image exports no such name, or it is not four bytes in a section that can be written.
    pub fn set_export(&self, image: &Image, name: &str, value: u32) -> bool {
        let Some(&at) = image.exports.get(name) else {
            return false;
        };
        let writable = image.sections.iter().any(|section| {
            section.protection == Protection::ReadWrite
                && at >= section.start
                && at + 4 <= section.start + section.len
        });
        if writable {
            self.variables.lock().expect("variables").insert(at, value);
            self.set_variables();
        }
        writable
    }

    fn set_variables(&self) {
        for (&at, value) in &*self.variables.lock().expect("variables") {
            let to = self.arena.trusted(at).cast::<[u8; 4]>();
            // SAFETY: `set_export` saw that the variable lies in a section of an image, whose
            // memory stays mapped; no driver code runs while a host is prepared.
            unsafe { to.write(value.to_le_bytes()) };
        }
    }

    /// Runs a scenario as a thread at `PASSIVE_LEVEL` until it returns.
    pub fn run(&self, name: &str, body: impl FnOnce(&Self) + Send) -> RunEnd {
        let body: Box<dyn FnOnce(&Self) + Send + '_> = Box::new(body);
        // SAFETY: `run` returns only after the job ended or can never run again, so nothing it
        // borrows is used after this call.
        let body: Box<dyn FnOnce(&Self) + Send + 'static> = unsafe { std::mem::transmute(body) };
        crate::signals::prepare_thread();
        let end = self.engine.run(
            self,
            Job {
                name: name.to_owned(),
                level: crate::engine::Level::Passive,
                body,
            },
        );
        self.trace_flush();
        if let RunEnd::Hang(waiting) = &end {
            self.blame_hang(waiting);
            self.crashed.store(true, Ordering::Relaxed);
            self.sink.event(Event::Crash(Crash {
                kind: CrashKind::Hang {
                    waiting: waiting.clone(),
                },
                message: format!("{}; nothing can run and nothing is due", self.who_has_it()),
                registers: Vec::new(),
                time: self.engine.now(),
                cpu: 0,
                irql: 0,
                calls: self.calls(),
                stack: None,
            }));
        }
        end
    }

    /// Nothing will ever run again: what is out now is out for ever, so the time limits are
    /// broken whatever they are.
    fn blame_hang(&self, waiting: &[String]) {
        let (sends, receives) = self.driver_has();
        let who = self.who_has_it();
        if sends > 0 {
            self.violate(
                "SND-20",
                format!("{sends} sends will never be completed: {who}"),
            );
        }
        if receives > 0 {
            self.violate(
                "RCV-1",
                format!("{receives} receives will never be returned: {who}"),
            );
        }
        for task in waiting.iter().filter(|t| t.contains(" > ")) {
            self.violate("BUG-1", format!("a callback never ends: {task}; {who}"));
        }
    }

    /// The engine.
    pub fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The processor the caller runs on.
    #[expect(clippy::unused_self, reason = "the result must not outlive the host")]
    pub(crate) fn vp(&self) -> &Vp {
        Vp::current()
    }

    /// The running task.
    pub(crate) fn local(&self) -> &Local {
        self.vp().local().expect("called from a task")
    }

    /// Virtual processors.
    pub fn processors(&self) -> u32 {
        self.vps.len() as u32
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.engine.now()
    }

    /// True with this probability, which is drawn from the seed.
    pub(crate) fn chance(&self, share: f64) -> bool {
        const PARTS: f64 = 1_048_576.0;
        self.engine.random(1 << 20) < (share * PARTS) as u64
    }

    /// Starts a job now.
    pub fn spawn(&self, job: Job) -> u64 {
        self.engine.spawn(None, job)
    }

    /// Starts a job after a while.
    pub fn spawn_after(&self, ns: u64, job: Job) -> u64 {
        self.engine.spawn(Some(self.now().saturating_add(ns)), job)
    }

    /// Lets the calling task sleep.
    pub fn sleep(&self, ns: u64) {
        let until = self.now().saturating_add(ns);
        while self.now() < until {
            self.engine.wait(Some(until));
        }
    }

    /// Waits until `done` says so, asking again whenever the task is woken and every
    /// `step` nanoseconds; false when `limit` nanoseconds have passed.
    pub fn wait_until(
        &self,
        what: &str,
        step: u64,
        limit: u64,
        mut done: impl FnMut(&Self) -> bool,
    ) -> bool {
        let end = self.now().saturating_add(limit);
        let local: *const Local = self.local();
        loop {
            if done(self) {
                return true;
            }
            if self.now() >= end {
                return false;
            }
            // SAFETY: the task's `Local` lives as long as the task, which is the caller.
            let local = unsafe { &*local };
            *local.waiting.borrow_mut() = Some(what.to_owned());
            self.engine
                .wait(Some(self.now().saturating_add(step).min(end)));
            *local.waiting.borrow_mut() = None;
        }
    }
}

/// The functions an image is bound to: checked, or bare where there is a bare form.
fn chosen(config: &Config) -> Vec<Api> {
    let mut all = exports();
    if config.bare {
        for bare in crate::ndis::bare::exports() {
            all.retain(|a| (a.dll, a.name) != (bare.dll, bare.name));
            all.push(bare);
        }
    }
    all
}

/// Every function that the host provides.
pub fn exports() -> Vec<Api> {
    let mut all = crate::nt::exports();
    all.extend(crate::ndis::exports());
    all
}
