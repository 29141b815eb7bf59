//! The host: one value that holds everything, and the crossing between host and driver.
//!
//! Every import of the driver passes [`Host::enter`] and [`Host::leave`], every callback
//! passes [`Host::call`]. There IRQL, locks, stack use and the ring of recent calls are
//! kept, and there others get a chance to run. No lock of the host is ever held across
//! a call into the driver, or across a wait.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::api::Api;
use crate::arena::{Arena, Protection, STUB_SIZE, Wild};
use crate::engine::deterministic::Deterministic;
use crate::engine::realtime::RealTime;
use crate::engine::{Engine, Job, RunEnd};
use crate::heap::{Heap, Layout};
use crate::image::{Image, LoadError};
use crate::ndis::Ndis;
use crate::nt::Nt;
use crate::report::{
    CallKind, CallRecord, Crash, CrashKind, Event, Finding, Severity, Sink, StackSnapshot,
};
use crate::trap::Traps;
use crate::vp::{DISPATCH, Frame, Local, Vp};

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

/// Most bytes of stack the driver's own frames should use.
const STACK_LIMIT: u64 = 12 << 10;
const RING: usize = 64;
/// Bytes of an import stub.
const STUB: u64 = 16;
/// Callbacks whose result is a status; the others leave anything in the result register.
const STATUS: [&str; 12] = [
    "DriverEntry",
    "DriverDispatch",
    "MiniportSetOptions",
    "MiniportInitializeEx",
    "MiniportPause",
    "MiniportRestart",
    "MiniportOidRequest",
    "MiniportDirectOidRequest",
    "ProtocolSetOptions",
    "ProtocolBindAdapterEx",
    "ProtocolUnbindAdapterEx",
    "ProtocolNetPnPEvent",
];

struct Record {
    time: u64,
    cpu: u32,
    irql: u8,
    kind: CallKind,
    name: &'static str,
    args: [u64; 6],
    count: u8,
}

#[derive(Default)]
struct Ring {
    records: VecDeque<Record>,
    hash: DefaultHasher,
    calls: u64,
    /// How often each callback was called, and the number of the last such crossing.
    callbacks: BTreeMap<&'static str, (u64, u64)>,
}

/// Which fallible call is made to fail.
#[derive(Default)]
struct Faults {
    /// Fail the n-th fallible call, counted from 1.
    nth: Option<u64>,
    count: u64,
    /// Names of fallible calls in order, as far as they were reached.
    sites: Vec<&'static str>,
}

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
    image: Mutex<Option<Arc<Image>>>,
    findings: Mutex<Vec<Finding>>,
    faults: Mutex<Faults>,
    severities: BTreeMap<String, Severity>,
    deepest: AtomicU64,
    crashed: AtomicBool,
    quiet: AtomicBool,
    exports: Vec<Api>,
    pub(crate) bare: crate::ndis::bare::Bare,
    traps: Traps,
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
        let vps = (0..config.processors.clamp(1, crate::arena::MAX_VPS as u32))
            .map(|i| Vp::new(&arena, i))
            .collect::<Result<Vec<_>, _>>()?;
        let engine: Box<dyn Engine> = match config.engine {
            EngineKind::Deterministic => Box::new(Deterministic::new(
                Arc::clone(&arena),
                &vps,
                config.seed,
                config.switch_every,
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
            image: Mutex::default(),
            findings: Mutex::default(),
            faults: Mutex::default(),
            severities: crate::rules::severities(),
            deepest: AtomicU64::new(0),
            crashed: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            exports: chosen(&config),
            bare: crate::ndis::bare::Bare::default(),
            traps: Traps::default(),
            arena,
            config,
        });
        assert!(host.exports.len() as u64 * STUB <= STUB_SIZE);
        for vp in &host.vps {
            vp.set_host(&raw const *host);
        }
        Ok(host)
    }

    /// Loads a driver image; it takes the place of any before.
    ///
    /// # Errors
    /// [`LoadError`], naming every import that is not provided.
    pub fn load(&self, bytes: &[u8]) -> Result<Arc<Image>, LoadError> {
        self.write_stubs()?;
        // Since Windows 10 2004 hal.dll only forwards to the kernel.
        let resolve = |dll: &str, name: &str| {
            self.stub(
                if dll == "hal.dll" {
                    "ntoskrnl.exe"
                } else {
                    dll
                },
                name,
            )
        };
        let image = Arc::new(Image::load(
            &self.arena,
            self.arena.image(),
            bytes,
            &resolve,
        )?);
        *self.image.lock().expect("image") = Some(Arc::clone(&image));
        Ok(image)
    }

    /// Writes the import stubs. A driver never sees an address of the host's own code: it
    /// calls a stub at an address that repeats, which jumps on.
    fn write_stubs(&self) -> std::io::Result<()> {
        let base = self.arena.stubs();
        for (i, api) in self.exports.iter().enumerate() {
            // jmp [rip]; the target follows.
            let mut stub = [0xFF, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xCC, 0xCC];
            stub[6..14].copy_from_slice(&(api.thunk as u64).to_le_bytes());
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

    /// The loaded image.
    pub fn image(&self) -> Option<Arc<Image>> {
        self.image.lock().expect("image").clone()
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
        self.traps.forget();
        if let Some(image) = self.image() {
            image.restore(&self.arena)?;
        }
        Ok(())
    }

    /// Runs a scenario as a thread at `PASSIVE_LEVEL` until it returns.
    pub fn run(&self, name: &str, body: impl FnOnce(&Self) + Send) -> RunEnd {
        let body: Box<dyn FnOnce(&Self) + Send + '_> = Box::new(body);
        // SAFETY: `run` returns only after the job ended or can never run again, so nothing it
        // borrows is used after this call.
        let body: Box<dyn FnOnce(&Self) + Send + 'static> = unsafe { std::mem::transmute(body) };
        let end = self.engine.run(
            self,
            Job {
                name: name.to_owned(),
                level: crate::engine::Level::Passive,
                body,
            },
        );
        if let RunEnd::Hang(waiting) = &end {
            self.blame_hang(waiting);
            self.crashed.store(true, Ordering::Relaxed);
            self.sink.event(Event::Crash(Crash {
                kind: CrashKind::Hang {
                    waiting: waiting.clone(),
                },
                message: "nothing can run and nothing is due".into(),
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

    // ----- crossing -----

    /// An import begins. `here` is an address on the thunk's own frame.
    pub(crate) fn enter(&self, api: &'static Api, args: &[u64], here: u64) {
        let vp = self.vp();
        let irql = vp.irql();
        // Surplus slots of a variadic call hold whatever the caller had there.
        let fixed = match api.name {
            "DbgPrint" => 1,
            "DbgPrintEx" | "NdisWriteErrorLogEntry" => 3,
            _ => args.len(),
        };
        self.record(CallKind::Import, api.name, &args[..fixed], vp.index, irql);
        let local = self.local();
        self.measure(local, here);
        local.frames.borrow_mut().push(Frame {
            name: api.name,
            rsp: here,
            callback: false,
            subject: 0,
            locks: 0,
            began: self.crossings(),
        });
        if irql < api.low || irql > api.high {
            self.violate(
                api.rule,
                format!(
                    "{} called at IRQL {irql}, legal is {}",
                    api.name,
                    if api.low == api.high {
                        api.low.to_string()
                    } else {
                        format!("{} to {}", api.low, api.high)
                    }
                ),
            );
        }
        if irql <= DISPATCH {
            self.engine.switch();
        }
    }

    /// An import ends.
    pub(crate) fn leave(&self, api: &'static Api, result: u64) {
        let vp = self.vp();
        if vp.irql() <= DISPATCH {
            self.engine.switch();
        }
        let vp = self.vp();
        self.record(CallKind::Return, api.name, &[result], vp.index, vp.irql());
        self.local().frames.borrow_mut().pop();
    }

    fn record(&self, kind: CallKind, name: &'static str, args: &[u64], cpu: u32, irql: u8) {
        let mut six = [0; 6];
        let count = args.len().min(6);
        six[..count].copy_from_slice(&args[..count]);
        let time = self.engine.now();
        let mut ring = self.ring.lock().expect("ring");
        // Of real threads no two runs are equal.
        if self.engine.is_virtual() {
            (time, cpu, irql, kind as u8, name, six).hash(&mut ring.hash);
        }
        ring.calls += 1;
        if kind == CallKind::Callback {
            let serial = ring.calls;
            let entry = ring.callbacks.entry(name).or_default();
            *entry = (entry.0 + 1, serial);
        }
        if ring.records.len() == RING {
            ring.records.pop_front();
        }
        ring.records.push_back(Record {
            time,
            cpu,
            irql,
            kind,
            name,
            args: six,
            count: count as u8,
        });
    }

    /// Adds up the driver's own stack bytes of all open callbacks.
    fn measure(&self, local: &Local, here: u64) {
        let frames = local.frames.borrow();
        let mut used = 0;
        let mut inner = here;
        for frame in frames.iter().rev() {
            if frame.callback {
                used += frame.rsp.saturating_sub(inner);
            }
            inner = frame.rsp;
        }
        let name = frames.iter().rev().find(|f| f.callback).map(|f| f.name);
        drop(frames);
        let before = self.deepest.fetch_max(used, Ordering::Relaxed);
        if used > STACK_LIMIT && before <= STACK_LIMIT {
            self.violate(
                "HOST-STACK",
                format!(
                    "{used} bytes of stack are in use by the driver inside {}",
                    name.unwrap_or("an import")
                ),
            );
        }
    }

    /// Most bytes of its own stack the driver used at any crossing.
    pub fn deepest_stack(&self) -> u64 {
        self.deepest.load(Ordering::Relaxed)
    }

    /// Calls the driver at the current IRQL. `subject` is the handle the callback is about.
    pub(crate) fn call(&self, name: &'static str, subject: u64, target: u64, args: &[u64]) -> u64 {
        // In unit tests of the host the driver is host code.
        let code = cfg!(test) || self.image().is_some_and(|i| i.is_code(target));
        if !code {
            self.fatal(
                "MEM-3",
                &format!("{name} is {target:#x}, which is not code of the driver"),
            );
        }
        let vp = self.vp();
        let irql = vp.irql();
        self.record(CallKind::Callback, name, args, vp.index, irql);
        let here = 0_u8;
        let local: *const Local = self.local();
        // SAFETY: the task's `Local` outlives this call, which runs in the task.
        let local = unsafe { &*local };
        let locks = local.locks.borrow().len();
        local.frames.borrow_mut().push(Frame {
            name,
            rsp: &raw const here as u64,
            callback: true,
            subject,
            locks,
            began: self.crossings(),
        });
        let result = invoke(target, args);
        local.frames.borrow_mut().pop();
        let vp = self.vp();
        let status = [result & 0xFFFF_FFFF];
        let shown: &[u64] = if STATUS.contains(&name) { &status } else { &[] };
        self.record(CallKind::Return, name, shown, vp.index, vp.irql());
        if vp.irql() != irql {
            self.violate(
                "IRQ-24",
                format!(
                    "{name} was called at IRQL {irql} and returned at {}",
                    vp.irql()
                ),
            );
            vp.set_irql(irql);
        }
        let held: Vec<u64> = {
            let mut held = local.locks.borrow_mut();
            let keep = locks.min(held.len());
            held.drain(keep..).map(|l| l.address).collect()
        };
        for lock in held {
            self.violate(
                "LCK-2",
                format!("{name} returned with the spin lock at {lock:#x} held"),
            );
        }
        result
    }

    // ----- memory -----

    /// Reads driver memory on behalf of the open call; a wild pointer ends the run.
    pub(crate) fn get<T: Copy>(&self, address: u64, what: &str) -> T {
        match self.arena.read(address) {
            Ok(value) => value,
            Err(wild) => self.wild(wild, what),
        }
    }

    /// Writes driver memory on behalf of the open call; a wild pointer ends the run.
    pub(crate) fn put<T: Copy>(&self, address: u64, value: T, what: &str) {
        if let Err(wild) = self.arena.write(address, value) {
            self.wild(wild, what);
        }
    }

    /// Copies bytes out of driver memory.
    pub(crate) fn get_bytes(&self, address: u64, len: usize, what: &str) -> Vec<u8> {
        let mut bytes = vec![0; len];
        if let Err(wild) = self.arena.read_bytes(address, &mut bytes) {
            self.wild(wild, what);
        }
        bytes
    }

    /// Reads a `UNICODE_STRING`.
    pub(crate) fn get_string(&self, address: u64, what: &str) -> String {
        let len: u16 = self.get(address, what);
        let buffer: u64 = self.get(address + 8, what);
        let bytes = self.get_bytes(buffer, usize::from(len), what);
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|c| u16::from_le_bytes([c[0], c[1]]))
            .collect();
        String::from_utf16_lossy(&units)
    }

    /// What the host knows of an address, for reports.
    pub fn describe(&self, address: u64) -> String {
        if address < 0x1_0000 {
            return "near the null page".into();
        }
        if crate::handle::is_handle(address) {
            return "a handle: it is opaque and not to be dereferenced".into();
        }
        if let Some(image) = self.image().filter(|i| i.contains(address)) {
            let section = image
                .sections
                .iter()
                .find(|s| address >= s.start && address < s.start + s.len);
            return format!(
                "the driver's image, section {}",
                section.map_or("(headers)", |s| s.name.as_str())
            );
        }
        if let Some(stack) = self.arena.stack_of(address) {
            return format!("stack {stack} or its guard page");
        }
        let Ok(heap) = self.heap.try_lock() else {
            return "pool".into();
        };
        let tag = |t: u32| String::from_utf8_lossy(&t.to_le_bytes()).into_owned();
        if let Some(a) = heap.find(address) {
            let away = self.arena.page_state(address) == Some(crate::arena::PageState::Away);
            return format!(
                "{}byte {} of {} allocated by {} with tag '{}'",
                if away { "handed over to NDIS: " } else { "" },
                address - a.address,
                a.len,
                a.by,
                tag(a.tag)
            );
        }
        if let Some(a) = heap.find_freed(address) {
            return format!(
                "freed memory: {} bytes that {} had allocated with tag '{}'",
                a.len,
                a.by,
                tag(a.tag)
            );
        }
        if let Some(a) = heap.find_near(address) {
            return format!(
                "{} bytes past the start of {} bytes allocated by {} with tag '{}'",
                address.wrapping_sub(a.address) as i64,
                a.len,
                a.by,
                tag(a.tag)
            );
        }
        if self.arena.contains(address) {
            "unallocated memory".into()
        } else {
            "no memory of the driver".into()
        }
    }

    /// Allocates driver-visible memory on the host's behalf.
    pub(crate) fn allocate(&self, len: u64, tag: u32, by: &'static str) -> u64 {
        let taken = self
            .heap
            .lock()
            .expect("heap")
            .allocate(&self.arena, len, tag, by, true);
        taken.unwrap_or_else(|| panic!("the arena has no {len} bytes left for {by}"))
    }

    /// Frees what [`Host::allocate`] took.
    pub(crate) fn release(&self, address: u64) {
        let freed = self.heap.lock().expect("heap").free(&self.arena, address);
        if let Err(crate::heap::FreeError::Overrun(a, at)) = freed {
            self.violate(
                "HOST-OVERRUN",
                format!(
                    "byte {at} of a {}-byte block of {} was changed",
                    a.len, a.by
                ),
            );
        }
    }

    /// The heap, for snapshots.
    pub(crate) fn heap(&self) -> MutexGuard<'_, Heap> {
        self.heap.lock().expect("heap")
    }

    // ----- faults -----

    /// Fails the n-th fallible call from now on (1 = the next).
    pub fn fail_nth(&self, nth: Option<u64>) {
        *self.faults.lock().expect("faults") = Faults {
            nth,
            ..Faults::default()
        };
    }

    /// Names of the fallible calls that were reached since [`Host::fail_nth`].
    pub fn fault_sites(&self) -> Vec<&'static str> {
        self.faults.lock().expect("faults").sites.clone()
    }

    /// Whether the fallible call `name` is to fail this time.
    pub(crate) fn fails(&self, name: &'static str) -> bool {
        let mut faults = self.faults.lock().expect("faults");
        faults.count += 1;
        if faults.sites.len() < 100_000 {
            faults.sites.push(name);
        }
        faults.nth == Some(faults.count)
    }

    // ----- reports -----

    /// Where events go.
    pub fn sink(&self) -> &Arc<dyn Sink> {
        &self.sink
    }

    /// Logs a line.
    pub fn log(&self, level: u32, source: &str, text: impl Into<String>) {
        self.sink.event(Event::Log {
            level,
            source: source.into(),
            text: text.into(),
            time: self.engine.now(),
        });
    }

    /// Whether the driver's own lines are shown (they are, until this says otherwise).
    pub fn set_quiet(&self, quiet: bool) {
        self.quiet.store(quiet, Ordering::Relaxed);
    }

    /// A line the driver printed.
    pub(crate) fn driver_line(&self, level: u32, text: &str) {
        if !self.quiet.load(Ordering::Relaxed) {
            self.log(level, "driver", text);
        }
    }

    /// Reports a broken rule; the run goes on.
    pub fn violate(&self, rule: &str, message: String) {
        let severity = self
            .severities
            .get(rule)
            .copied()
            .unwrap_or(Severity::Error);
        let in_task = self.in_task();
        let (cpu, irql) = in_task.map_or((0, 0), |vp| (vp.index, vp.irql()));
        let finding = Finding {
            rule: rule.to_owned(),
            severity,
            message,
            time: self.engine.now(),
            cpu,
            irql,
            calls: self.calls(),
            stack: in_task.and_then(|vp| self.stack(vp)),
        };
        self.findings
            .lock()
            .expect("findings")
            .push(finding.clone());
        self.sink.event(Event::Finding(finding));
    }

    /// Reports a broken rule after which the driver cannot go on.
    pub(crate) fn fatal(&self, rule: &str, message: &str) -> ! {
        self.violate(rule, message.to_owned());
        self.stop(
            CrashKind::BugCheck {
                code: 0x7C,
                parameters: [0; 4],
            },
            message,
        )
    }

    /// Ends the run with a crash record.
    pub(crate) fn stop(&self, kind: CrashKind, message: &str) -> ! {
        let vp = self.vp();
        self.crashed.store(true, Ordering::Relaxed);
        self.sink.event(Event::Crash(Crash {
            kind,
            message: message.to_owned(),
            registers: Vec::new(),
            time: self.engine.now(),
            cpu: vp.index,
            irql: vp.irql(),
            calls: self.calls(),
            stack: self.stack(vp),
        }));
        self.engine.abandon()
    }

    fn wild(&self, wild: Wild, what: &str) -> ! {
        let name = self
            .local()
            .frames
            .borrow()
            .last()
            .map_or("the host", |f| f.name);
        let rule = if wild.address < 0x1_0000 {
            "MEM-3"
        } else {
            "HOST-WILD"
        };
        self.fatal(
            rule,
            &format!(
                "{name}: {what} is {:#x} ({} bytes wanted): {}",
                wild.address,
                wild.len,
                self.describe(wild.address)
            ),
        )
    }

    /// A driver handed in a handle that is stale or of another kind.
    pub(crate) fn bad_handle(&self, what: &str, handle: u64, error: crate::handle::HandleError) {
        let name = self
            .local()
            .frames
            .borrow()
            .last()
            .map_or("the host", |f| f.name);
        self.violate("HOST-HANDLE", format!("{name}: {what} {handle:#x} {error}"));
    }

    /// Sets a trap on an instruction of the driver; false when `at` is not its code.
    pub fn set_trap(&self, at: u64, stays: bool, action: crate::trap::Action) -> bool {
        let code = self.image().is_some_and(|i| i.is_code(at));
        if code {
            self.traps.set(&self.arena, at, stays, action);
        }
        code
    }

    /// Takes a trap away; how often it was hit.
    pub fn clear_trap(&self, at: u64) -> u64 {
        self.traps.clear(&self.arena, at)
    }

    /// A `SIGTRAP` hit the calling thread in driver code: true when a trap was there.
    pub fn trapped(&self, context: &mut libc::mcontext_t) -> bool {
        self.traps.hit(&self.arena, context)
    }

    fn in_task(&self) -> Option<&Vp> {
        // A task runs on this thread exactly when its stack is one of the arena's.
        let here = 0_u8;
        self.arena
            .stack_of(&raw const here as u64)
            .map(|_| self.vp())
            .filter(|vp| vp.local().is_some())
    }

    /// The last host calls, oldest first.
    pub fn calls(&self) -> Vec<CallRecord> {
        let Ok(ring) = self.ring.try_lock() else {
            return Vec::new();
        };
        ring.records
            .iter()
            .map(|r| CallRecord {
                time: r.time,
                cpu: r.cpu,
                irql: r.irql,
                kind: r.kind,
                name: r.name.to_owned(),
                args: r.args[..usize::from(r.count)].to_vec(),
            })
            .collect()
    }

    /// How often a callback of this name was called, and the number of its last crossing:
    /// of two callbacks, the one with the larger number was called later.
    pub fn callbacks(&self, name: &str) -> (u64, u64) {
        let ring = self.ring.lock().expect("ring");
        ring.callbacks.get(name).copied().unwrap_or_default()
    }

    /// Digest of every call so far with time, processor, IRQL and arguments.
    pub fn trace_hash(&self) -> u64 {
        self.ring.lock().expect("ring").hash.finish()
    }

    /// Number of crossings so far.
    pub fn crossings(&self) -> u64 {
        self.ring.lock().expect("ring").calls
    }

    /// What was found so far.
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.lock().expect("findings").clone()
    }

    /// Whether the run ended early.
    pub fn crashed(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    /// The driver's stack at its last call into the host: the return address is found by
    /// looking upward for a word that points just behind a call instruction of the image.
    fn stack(&self, vp: &Vp) -> Option<StackSnapshot> {
        let image = self.image()?;
        let here = 0_u8;
        let local = vp.local()?;
        let (low, size) = self
            .arena
            .stack(self.arena.stack_of(&raw const here as u64)?);
        let top = low + size;
        let frames = local.frames.borrow();
        let start = frames.last().map_or(&raw const here as u64, |f| f.rsp);
        drop(frames);
        let mut at = start & !7;
        while at + 8 <= top {
            let word: u64 = self.arena.read(at).ok()?;
            if image.is_code(word) && self.follows_call(word) {
                let len = (top - at - 8).min(8192) as usize;
                let mut bytes = vec![0; len];
                self.arena.read_bytes(at + 8, &mut bytes).ok()?;
                return Some(StackSnapshot {
                    rip: word,
                    rsp: at + 8,
                    rbp: 0,
                    bytes,
                    image_base: image.base,
                    image_size: image.size,
                });
            }
            at += 8;
        }
        None
    }

    fn follows_call(&self, address: u64) -> bool {
        let mut before = [0_u8; 7];
        if self.arena.read_bytes(address - 7, &mut before).is_err() {
            return false;
        }
        // call rel32; call [rip+disp32]; call reg; call [reg+disp8]
        before[2] == 0xE8
            || (before[1] == 0xFF && before[2] & 0x38 == 0x10)
            || (before[5] == 0xFF && before[6] & 0x38 == 0x10)
            || (before[4] == 0xFF && before[5] & 0x38 == 0x10)
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

/// Calls `target` with the Windows x64 convention.
fn invoke(target: u64, args: &[u64]) -> u64 {
    let arg = |i: usize| args.get(i).copied().unwrap_or(0);
    // SAFETY: the caller checked that `target` is code of the loaded driver, and passes the
    // arguments that callback takes; surplus register arguments are ignored by the callee.
    unsafe {
        match args.len() {
            0..=4 => {
                let f: extern "win64" fn(u64, u64, u64, u64) -> u64 =
                    std::mem::transmute(target as usize);
                f(arg(0), arg(1), arg(2), arg(3))
            }
            5 => {
                let f: extern "win64" fn(u64, u64, u64, u64, u64) -> u64 =
                    std::mem::transmute(target as usize);
                f(arg(0), arg(1), arg(2), arg(3), arg(4))
            }
            _ => {
                let f: extern "win64" fn(u64, u64, u64, u64, u64, u64) -> u64 =
                    std::mem::transmute(target as usize);
                f(arg(0), arg(1), arg(2), arg(3), arg(4), arg(5))
            }
        }
    }
}
