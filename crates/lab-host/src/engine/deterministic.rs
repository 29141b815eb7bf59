//! The deterministic engine: one OS thread, virtual time, a seed.
//!
//! A processor whose task is at `DISPATCH_LEVEL` runs nothing else until that task
//! is done or lowers its IRQL. Any other processor runs its DPCs first, then
//! any thread that is ready, wherever that thread ran before. Which processor comes
//! next, and whether a host call is a point of switching, is drawn from the seed.
//! Time stands still while anything can run and then jumps to what is due next;
//! each host call costs a little, so that a driver that polls the clock sees it move.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use corosensei::{Coroutine, CoroutineResult};

use super::{ArenaStack, Engine, Job, Level, RunEnd, Schedule, StackPool};
use crate::arena::Arena;
use crate::host::Host;
use crate::vp::{DISPATCH, Local, PASSIVE, TaskId, Vp};

/// Virtual cost of a host call.
const CALL_NS: u64 = 50;

type Co = Coroutine<(), (), (), ArenaStack>;

enum Body {
    New(Box<dyn FnOnce(&Host) + Send>),
    Suspended(Co),
    Running,
}

struct Task {
    level: Level,
    body: Body,
    local: Box<Local>,
    /// Parked, and not to run before a wake or the deadline.
    parked: bool,
    /// A wake that came before the wait.
    permit: bool,
    /// Whether the last wait ended by a wake.
    woken: bool,
    /// Tells a stale deadline from the current one.
    generation: u64,
}

enum Timed {
    Start(TaskId),
    Deadline(TaskId, u64),
}

struct Cpu {
    vp: *const Vp,
    /// Task that occupies the processor at DISPATCH_LEVEL.
    pinned: Option<TaskId>,
    dpcs: VecDeque<TaskId>,
}

struct Inner {
    now: u64,
    rng: fastrand::Rng,
    next_id: TaskId,
    next_seq: u64,
    tasks: BTreeMap<TaskId, Task>,
    /// Threads that can run.
    ready: Vec<TaskId>,
    timed: BTreeMap<(u64, u64), Timed>,
    cpus: Vec<Cpu>,
    /// DPCs for any processor: the first that is free takes them, so that none waits behind a
    /// task that keeps its processor.
    any: VecDeque<TaskId>,
    /// Tasks that could start but for want of a stack.
    starved: VecDeque<TaskId>,
    dead: bool,
    /// Task that runs now.
    current: Option<TaskId>,
    /// Processor that it runs on.
    cpu: usize,
    schedule: Schedule,
    /// Processors in use.
    active: usize,
    /// Points of switching so far.
    points: u64,
    /// Task that is not to be picked next if there is another.
    avoid: Option<TaskId>,
}

/// See the module's text.
pub struct Deterministic {
    inner: Mutex<Inner>,
    stacks: StackPool,
}

// SAFETY: all tasks run on the one OS thread that calls `run`; the raw processor pointers
// are used there only.
unsafe impl Send for Deterministic {}
// SAFETY: as above.
unsafe impl Sync for Deterministic {}

impl Deterministic {
    /// An engine over these processors.
    pub(crate) fn new(arena: Arc<Arena>, vps: &[Box<Vp>], seed: u64, schedule: Schedule) -> Self {
        Self {
            inner: Mutex::new(Inner {
                now: 0,
                rng: fastrand::Rng::with_seed(seed),
                next_id: 1,
                next_seq: 0,
                tasks: BTreeMap::new(),
                ready: Vec::new(),
                timed: BTreeMap::new(),
                cpus: vps
                    .iter()
                    .map(|vp| Cpu {
                        vp: &raw const **vp,
                        pinned: None,
                        dpcs: VecDeque::new(),
                    })
                    .collect(),
                any: VecDeque::new(),
                starved: VecDeque::new(),
                dead: false,
                current: None,
                cpu: 0,
                active: vps.len(),
                points: 0,
                avoid: None,
                schedule,
            }),
            stacks: StackPool::new(arena),
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        f(&mut self
            .inner
            .lock()
            .expect("one thread, never poisoned while running"))
    }

    /// Ends tasks in the middle of what they do.
    fn end(tasks: BTreeMap<TaskId, Task>) {
        for (_, task) in tasks {
            if let Body::Suspended(mut co) = task.body {
                // SAFETY: driver frames cannot be unwound; what the host's frames on that stack
                // own is leaked, and the whole stack is given back to the pool.
                unsafe { co.force_reset() };
                std::mem::forget(co);
            }
        }
    }

    /// Whether a point of switching is one in so many (0 = none), or one of those listed.
    fn goes(inner: &mut Inner, every: u64) -> bool {
        inner.points += 1;
        match &inner.schedule.only {
            Some(list) => {
                let go = list.binary_search(&inner.points).is_ok();
                if go {
                    inner.avoid = inner.current;
                }
                go
            }
            None => every > 0 && inner.rng.u64(0..every) == 0,
        }
    }

    fn suspend() {
        let vp = Vp::current();
        let yielder = vp.local().expect("a task runs").yielder.get();
        // SAFETY: set when the coroutine started; valid while it lives, and it is the caller.
        unsafe { (*yielder).suspend(()) };
    }

    /// Runs `id` on processor `cpu` until it suspends or ends.
    fn step(&self, host: &Host, cpu: usize, id: TaskId) {
        let (local, body) = self.with(|inner| {
            inner.current = Some(id);
            inner.cpu = cpu;
            let task = inner.tasks.get_mut(&id).expect("picked task exists");
            let local: *const Local = &raw const *task.local;
            (local, std::mem::replace(&mut task.body, Body::Running))
        });
        if matches!(body, Body::New(_)) && self.stacks.is_empty() {
            // As many tasks are under way as there are stacks: it starts when one of them ends.
            self.with(|inner| {
                inner.current = None;
                inner.tasks.get_mut(&id).expect("picked task exists").body = body;
                inner.starved.push_back(id);
            });
            return;
        }
        let vp = self.with(|inner| inner.cpus[cpu].vp);
        // SAFETY: processors outlive the engine; the task stays in the map while it runs.
        let (vp, local) = unsafe { (&*vp, &*local) };
        let mut co = match body {
            Body::Suspended(co) => co,
            Body::New(work) => self.start(host, local, work),
            Body::Running => unreachable!("a task is run by one processor at a time"),
        };
        vp.enter(local);
        let result = co.resume(());
        let irql = vp.irql();
        vp.leave();
        self.with(|inner| {
            inner.current = None;
            match result {
                CoroutineResult::Return(()) => {
                    inner.tasks.remove(&id);
                    inner.cpus[cpu].pinned = None;
                    self.stacks.give(co.into_stack().index);
                    if let Some(next) = inner.starved.pop_front() {
                        Self::queue(inner, next);
                    }
                }
                CoroutineResult::Yield(()) => {
                    inner.cpus[cpu].pinned = (irql >= DISPATCH).then_some(id);
                    let task = inner.tasks.get_mut(&id).expect("task exists");
                    task.body = Body::Suspended(co);
                    if !task.parked && irql < DISPATCH {
                        inner.ready.push(id);
                    }
                }
            }
        });
    }

    fn start(&self, host: &Host, local: &Local, work: Box<dyn FnOnce(&Host) + Send>) -> Co {
        let stack = self.stacks.take().expect("fewer tasks than stacks");
        // The stack index was not known when the task was queued.
        // SAFETY: the task is not running yet and the engine owns it.
        unsafe { (&raw const local.stack).cast_mut().write(stack.index) };
        let host: *const Host = host;
        let local: *const Local = local;
        Coroutine::with_stack(stack, move |yielder, ()| {
            // SAFETY: the engine keeps the task's `Local` and the host alive while it runs.
            let (host, local) = unsafe { (&*host, &*local) };
            local.yielder.set(yielder);
            work(host);
        })
    }

    fn pick(inner: &mut Inner) -> Option<(usize, TaskId)> {
        let avoid = inner.avoid.take();
        if avoid.is_some()
            && let Some(other) = Self::pick_but(inner, avoid)
        {
            return Some(other);
        }
        Self::pick_but(inner, None)
    }

    fn pick_but(inner: &mut Inner, avoid: Option<TaskId>) -> Option<(usize, TaskId)> {
        let n = inner.active;
        let first = inner.rng.usize(0..n);
        for i in 0..n {
            let cpu = (first + i) % n;
            if let Some(id) = inner.cpus[cpu].pinned {
                if !inner.tasks[&id].parked && Some(id) != avoid {
                    return Some((cpu, id));
                }
                continue;
            }
            if let Some(id) = inner.cpus[cpu].dpcs.pop_front() {
                return Some((cpu, id));
            }
            if let Some(id) = inner.any.pop_front() {
                return Some((cpu, id));
            }
            if !inner.ready.is_empty() {
                let mut at = inner.rng.usize(0..inner.ready.len());
                if Some(inner.ready[at]) == avoid {
                    if inner.ready.len() == 1 {
                        continue;
                    }
                    at = (at + 1) % inner.ready.len();
                }
                return Some((cpu, inner.ready.remove(at)));
            }
        }
        None
    }

    /// Whether anything but the running task `id` could run.
    fn can_other_run(inner: &Inner, id: TaskId) -> bool {
        inner.cpus[..inner.active]
            .iter()
            .any(|cpu| match cpu.pinned {
                Some(other) => other != id && !inner.tasks[&other].parked,
                None => !cpu.dpcs.is_empty() || !inner.any.is_empty() || !inner.ready.is_empty(),
            })
    }

    /// Moves what is due into the ready queues; advances time if `jump` and nothing is due.
    fn release(inner: &mut Inner, jump: bool) -> bool {
        let mut any = false;
        while let Some((&(time, seq), _)) = inner.timed.first_key_value() {
            if time > inner.now {
                if any || !jump {
                    break;
                }
                inner.now = time;
            }
            any = true;
            match inner.timed.remove(&(time, seq)).expect("first key") {
                Timed::Start(id) => Self::queue(inner, id),
                Timed::Deadline(id, generation) => {
                    if inner
                        .tasks
                        .get(&id)
                        .is_some_and(|t| t.parked && t.generation == generation)
                    {
                        Self::unpark(inner, id, false);
                    }
                }
            }
        }
        any
    }

    fn queue(inner: &mut Inner, id: TaskId) {
        let Some(task) = inner.tasks.get(&id) else {
            return;
        };
        match task.level {
            Level::Passive => inner.ready.push(id),
            Level::Dispatch(None) => inner.any.push_back(id),
            Level::Dispatch(Some(cpu)) => {
                let n = inner.active;
                inner.cpus[cpu as usize % n].dpcs.push_back(id);
            }
        }
    }

    fn unpark(inner: &mut Inner, id: TaskId, woken: bool) {
        let pinned = inner.cpus.iter().any(|c| c.pinned == Some(id));
        let task = inner.tasks.get_mut(&id).expect("parked task exists");
        task.parked = false;
        task.woken = woken;
        if !pinned && inner.current != Some(id) {
            inner.ready.push(id);
        }
    }

    fn waiting(inner: &Inner) -> Vec<String> {
        inner
            .tasks
            .values()
            .map(|task| {
                let what = task.local.waiting.borrow();
                let what = what.as_deref().unwrap_or("to run");
                let inside = task.local.frames.borrow();
                let inside: Vec<_> = inside.iter().map(|f| f.name).collect();
                format!(
                    "task {} ({}) waits {what}; open calls: {}",
                    task.local.id,
                    task.local.name,
                    inside.join(" > ")
                )
            })
            .collect()
    }
}

impl Engine for Deterministic {
    fn now(&self) -> u64 {
        self.with(|inner| inner.now)
    }

    fn random(&self, bound: u64) -> u64 {
        self.with(|inner| inner.rng.u64(0..bound.max(1)))
    }

    fn spawn(&self, at: Option<u64>, job: Job) -> TaskId {
        self.with(|inner| {
            let id = inner.next_id;
            inner.next_id += 1;
            let irql = match job.level {
                Level::Passive => PASSIVE,
                Level::Dispatch(_) => DISPATCH,
            };
            inner.tasks.insert(
                id,
                Task {
                    level: job.level,
                    body: Body::New(job.body),
                    local: Box::new(Local::new(id, job.name, 0, irql)),
                    parked: false,
                    permit: false,
                    woken: false,
                    generation: 0,
                },
            );
            match at {
                Some(time) if time > inner.now => {
                    let seq = inner.next_seq;
                    inner.next_seq += 1;
                    inner.timed.insert((time, seq), Timed::Start(id));
                }
                _ => Self::queue(inner, id),
            }
            id
        })
    }

    fn cancel(&self, task: TaskId) -> bool {
        self.with(|inner| {
            if !matches!(inner.tasks.get(&task).map(|t| &t.body), Some(Body::New(_))) {
                return false;
            }
            inner.tasks.remove(&task);
            inner.ready.retain(|&t| t != task);
            inner.any.retain(|&t| t != task);
            inner.starved.retain(|&t| t != task);
            for cpu in &mut inner.cpus {
                cpu.dpcs.retain(|&t| t != task);
            }
            inner
                .timed
                .retain(|_, t| !matches!(t, Timed::Start(id) if *id == task));
            true
        })
    }

    fn wait(&self, deadline: Option<u64>) -> bool {
        let id = Vp::current().local().expect("a task runs").id;
        let parked = self.with(|inner| {
            let task = inner.tasks.get_mut(&id).expect("running task exists");
            if std::mem::take(&mut task.permit) {
                return false;
            }
            task.parked = true;
            task.generation += 1;
            let generation = task.generation;
            if let Some(time) = deadline {
                let seq = inner.next_seq;
                inner.next_seq += 1;
                inner
                    .timed
                    .insert((time.max(inner.now), seq), Timed::Deadline(id, generation));
            }
            true
        });
        if !parked {
            return true;
        }
        Self::suspend();
        self.with(|inner| inner.tasks[&id].woken)
    }

    fn wake(&self, task: TaskId) {
        self.with(|inner| match inner.tasks.get_mut(&task) {
            Some(t) if t.parked => Self::unpark(inner, task, true),
            Some(t) => t.permit = true,
            None => {}
        });
    }

    fn switch(&self) {
        let go = self.with(|inner| {
            inner.now += CALL_NS;
            Self::release(inner, false);
            let every = inner.schedule.switch_every;
            Self::goes(inner, every)
        });
        if go {
            Self::suspend();
        }
    }

    fn tick(&self) {
        self.with(|inner| inner.now += CALL_NS);
    }

    fn point(&self) -> bool {
        self.with(|inner| {
            let every = inner.schedule.locked_every;
            Self::goes(inner, every)
        })
    }

    fn preempt(&self) {
        self.with(|inner| inner.avoid = inner.current);
        Self::suspend();
    }

    fn spin(&self) -> bool {
        let alive = self.with(|inner| {
            inner.now += CALL_NS;
            Self::release(inner, false);
            let Some(id) = inner.current else {
                return false;
            };
            // At DISPATCH_LEVEL the processor is this task's, though not marked so while it runs.
            let at = inner.cpu;
            let pinned = inner.cpus[at].pinned.replace(id);
            if Vp::current().irql() < DISPATCH {
                inner.cpus[at].pinned = None;
            }
            let alive = loop {
                if Self::can_other_run(inner, id) {
                    break true;
                }
                if !Self::release(inner, true) {
                    break false;
                }
            };
            inner.cpus[at].pinned = pinned;
            inner.avoid = Some(id);
            alive
        });
        if alive {
            Self::suspend();
        }
        alive
    }

    fn schedule(&self, schedule: &Schedule) {
        self.with(|inner| {
            let most = inner.cpus.len();
            inner.active = match schedule.processors as usize {
                0 => most,
                some => some.min(most),
            };
            inner.schedule.clone_from(schedule);
        });
    }

    fn has_steps(&self) -> bool {
        self.with(|inner| !inner.schedule.steps.is_empty())
    }

    fn points(&self) -> u64 {
        self.with(|inner| inner.points)
    }

    fn abandon(&self) -> ! {
        self.with(|inner| inner.dead = true);
        loop {
            Self::suspend();
        }
    }

    fn run(&self, host: &Host, main: Job) -> RunEnd {
        let main = self.spawn(None, main);
        loop {
            let next = self.with(|inner| {
                if inner.dead {
                    return Err(RunEnd::Dead);
                }
                if !inner.tasks.contains_key(&main) {
                    return Err(RunEnd::Done);
                }
                Self::release(inner, false);
                loop {
                    if let Some(next) = Self::pick(inner) {
                        return Ok(next);
                    }
                    if !Self::release(inner, true) {
                        return Err(RunEnd::Hang(Self::waiting(inner)));
                    }
                }
            });
            match next {
                Ok((cpu, task)) => self.step(host, cpu, task),
                Err(end) => return end,
            }
        }
    }

    fn is_virtual(&self) -> bool {
        true
    }

    fn reset(&self, seed: u64) {
        let tasks = self.with(|inner| {
            inner.now = 0;
            inner.rng = fastrand::Rng::with_seed(seed);
            inner.next_id = 1;
            inner.next_seq = 0;
            inner.ready.clear();
            inner.any.clear();
            inner.starved.clear();
            inner.timed.clear();
            inner.dead = false;
            inner.current = None;
            inner.points = 0;
            inner.avoid = None;
            for cpu in &mut inner.cpus {
                cpu.pinned = None;
                cpu.dpcs.clear();
            }
            std::mem::take(&mut inner.tasks)
        });
        Self::end(tasks);
        self.stacks.reset();
    }
}

impl Drop for Deterministic {
    fn drop(&mut self) {
        Self::end(self.with(|inner| std::mem::take(&mut inner.tasks)));
    }
}
