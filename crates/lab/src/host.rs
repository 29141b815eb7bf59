//! The thin edge to the host library: its settings out of the job, its errors
//! as the user's, its answer to a fault of the driver.

use lab_host::{
    Config, EngineKind, Host, LoadError,
    heap::Layout,
    report::{Crash, CrashKind, Event, StackSnapshot},
};

use crate::{
    compare::life::COST,
    crash::{
        handler::{self, ASK, Faults, whose},
        record::{REGISTER_NAMES, Where},
    },
    process::RunJob,
    scenario::{BENCH_PORTS, BENCH_TEAM},
    topology::Engine,
    trouble::Trouble,
};

/// Most stack bytes that go into a report; beyond that a stack is a recursion.
const STACK_BYTES: u64 = 16 << 10;

/// One import of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// `ndis.sys`.
    pub dll: String,
    /// Function or variable.
    pub name: String,
    /// Whether the host has it.
    pub provided: bool,
    /// The group it belongs to, if the host leaves that out.
    pub group: Option<&'static str>,
}

/// The imports of an image.
pub fn imports(image: &[u8]) -> Result<Vec<Import>, Trouble> {
    let provided = lab_host::surface::provided();
    let list = lab_host::image::imports(image).map_err(|error| load_trouble(&error))?;
    Ok(list
        .into_iter()
        .map(|(dll, name)| Import {
            // Since Windows 10 2004 hal.dll only forwards to the kernel.
            provided: provided.contains(&(dll.as_str(), name.as_str()))
                || (dll == "hal.dll" && provided.contains(&("ntoskrnl.exe", name.as_str()))),
            group: lab_host::surface::group(&name).map(|group| group.name),
            dll,
            name,
        })
        .collect())
}

/// Why an image cannot be loaded, and what to do about it.
pub fn load_trouble(error: &LoadError) -> Trouble {
    let what = match error {
        LoadError::Imports(missing) => {
            let mut what = format!("the image needs {} the lab lacks", count(missing.len()));
            for import in missing {
                let name = import.split_once('!').map_or("", |(_, name)| name);
                what.push_str("\n  ");
                what.push_str(import);
                what.push_str(" is not provided");
                if let Some(group) = lab_host::surface::group(name) {
                    what.push_str(&format!(" ({}: {})", group.name, group.reason));
                }
            }
            what
        }
        other => other.to_string(),
    };
    match error {
        LoadError::NotPe(_) | LoadError::Damaged(_) => {
            Trouble::input(what).hint("build the package again: cargo xtask package <driver>")
        }
        LoadError::WrongMachine { .. } => {
            Trouble::input(what).hint("build the driver for x86_64-pc-windows-msvc")
        }
        LoadError::NotADriver(_) => {
            Trouble::input(what).hint("the package's `image` is the driver's .sys, nothing else")
        }
        LoadError::Imports(_) => Trouble::input(what)
            .hint("`lab imports FILE.sys` lists every import; docs/lab.md says what is left out"),
        LoadError::Map(_) => Trouble::host(what).hint("is there 1 GiB of address space?"),
    }
}

fn count(number: usize) -> String {
    if number == 1 {
        "a function".into()
    } else {
        format!("{number} functions")
    }
}

/// As many schedules of a team run with every allocation on pages of its own.
const GUARDED_SCHEDULES: u64 = 500;

/// The host's settings of a job.
pub fn config(job: &RunJob) -> Config {
    let lab = &job.topology.lab;
    let real = lab.engine == Engine::RealTime;
    let bare = matches!(
        job.scenario.as_deref(),
        Some("bench" | BENCH_PORTS | BENCH_TEAM | COST)
    );
    // A page for every allocation of thousands of ports is more than there is. Thousands of
    // schedules spend half of their time on protecting pages: the first hundreds have done so.
    let crowded = match job.scenario.as_deref() {
        Some("all-vlans") => true,
        Some("lbfo-churn") => job.cycles > GUARDED_SCHEDULES,
        _ => false,
    };
    let small = |number: u16| u8::try_from(number).unwrap_or(u8::MAX);
    Config {
        seed: job.seed,
        processors: lab.processors,
        engine: if real {
            EngineKind::RealTime
        } else {
            EngineKind::Deterministic
        },
        // Protection changes are for the whole process: what helps one thread disturbs another.
        layout: if real || bare || crowded {
            Layout::Dense
        } else {
            Layout::Guarded
        },
        guard_hand_overs: !real && !bare && !crowded,
        bare,
        // A thread without one keeps the small stack that the library gave it.
        thread_start: Some(|| drop(handler::alternate_stack())),
        ndis_version: (small(lab.ndis_version.major), small(lab.ndis_version.minor)),
        ..Config::default()
    }
}

/// Tells the sink what the host knows when the driver faults.
///
/// Runs on the thread that was in driver code: no lock of the host is held by it,
/// for none is held across a call into the driver. (A hang may be noticed in host
/// code; then this may wait for ever, and the parent ends it.)
pub struct Witness {
    host: &'static Host,
    /// The process goes on after a fault of the driver.
    lasting: bool,
}

// SAFETY: what a witness reads of the host lies behind a lock or is atomic; the
// host's raw pointers are driver addresses, which are read through the arena only.
unsafe impl Send for Witness {}
// SAFETY: as above.
unsafe impl Sync for Witness {}

impl Witness {
    /// A witness for a host that lives as long as the process.
    pub fn new(host: &'static Host) -> Self {
        Self {
            host,
            lasting: false,
        }
    }

    /// The same where a fault of the driver ends its run and not the process.
    pub fn lasting(host: &'static Host) -> Self {
        Self {
            host,
            lasting: true,
        }
    }

    fn stack(&self, rip: u64, rsp: u64, rbp: u64) -> Option<StackSnapshot> {
        let image = self.host.image()?;
        let arena = &self.host.arena;
        let (low, size) = arena.stack(arena.stack_of(rsp)?);
        let length = (low + size).saturating_sub(rsp).min(STACK_BYTES);
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        // A stack pointer in the guard page still shows what lies above it.
        if arena.read_bytes(rsp, &mut bytes).is_err() {
            bytes.clear();
        }
        Some(StackSnapshot {
            rip,
            rsp,
            rbp,
            bytes,
            image_base: image.base,
            image_size: image.size,
        })
    }
}

impl Faults for Witness {
    fn resume(&self, signal: i32, info: &libc::siginfo_t, context: &mut libc::ucontext_t) -> bool {
        (signal == libc::SIGTRAP && self.host.trapped(&mut context.uc_mcontext))
            || self.host.faulted(signal, info, context)
    }

    fn lasts(&self) -> bool {
        self.lasting
    }

    fn go_on(&self) {
        self.host.give_up_task();
    }

    fn died(&self, signal: i32, address: u64, context: &libc::ucontext_t) {
        self.host.trace_flush();
        let gregs = &context.uc_mcontext.gregs;
        let register = |index: i32| gregs[index as usize] as u64;
        let (rip, rsp) = (register(libc::REG_RIP), register(libc::REG_RSP));
        let calls = self.host.calls();
        // The last crossing was on this processor: nothing else ran since. The engine
        // may be what was interrupted, so it is not asked for the time.
        let (time, cpu, irql) = calls
            .last()
            .map_or((0, 0, 0), |call| (call.time, call.cpu, call.irql));
        let inside = calls
            .iter()
            .rev()
            .find(|call| call.kind == lab_host::report::CallKind::Callback)
            .map(|call| format!("inside {}", call.name))
            .unwrap_or_default();
        let kind = match signal {
            ASK | libc::SIGXCPU => CrashKind::Hang {
                waiting: match whose(rip) {
                    // Its ledger may be what it was busy with: not to be asked now.
                    Where::Host => vec!["the host runs on its behalf, or waits".into()],
                    Where::Driver | Where::Nowhere => vec![
                        "it runs in its own code without calling the host: a loop".into(),
                        self.host.who_has_it(),
                    ],
                },
            },
            // No address belongs to these: the record's words serve.
            libc::SIGSYS => return,
            _ => CrashKind::Fault {
                signal,
                address,
                what: self.host.describe(address),
            },
        };
        let stack = self.stack(rip, rsp, register(libc::REG_RBP));
        if matches!(signal, libc::SIGSEGV | libc::SIGBUS) && !matches!(whose(rip), Where::Host) {
            self.host.blame_fault(address, stack.clone());
        }
        self.host.sink().event(Event::Crash(Crash {
            kind,
            message: inside,
            registers: REGISTER_NAMES
                .iter()
                .zip(gregs)
                .map(|(name, value)| ((*name).to_owned(), *value as u64))
                .collect(),
            time,
            cpu,
            irql,
            calls,
            stack,
        }));
    }
}
