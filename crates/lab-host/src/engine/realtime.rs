//! The real-time engine: OS threads, the machine's clock.
//!
//! Each job runs on a worker thread, on an arena stack, while it holds a virtual
//! processor; it lets go of the processor while it waits. A DPC holds its processor
//! until it ends, so nothing else runs there meanwhile. A thread at `PASSIVE_LEVEL`
//! is not preempted by a DPC for its processor: the DPC waits for the next wait or
//! the end of that call.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::{Engine, Job, Level, RunEnd, StackPool};
use crate::arena::Arena;
use crate::host::Host;
use crate::vp::{DISPATCH, Local, PASSIVE, TaskId, Vp};

/// How long a worker without work stays.
const IDLE: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

struct Queued {
    id: TaskId,
    job: Job,
}

struct State {
    queue: VecDeque<Queued>,
    timed: BTreeMap<(Instant, TaskId), Job>,
    busy: Vec<bool>,
    idle: usize,
    workers: usize,
    parkers: HashMap<TaskId, Arc<Parker>>,
    timer: bool,
}

struct Shared {
    start: Instant,
    state: Mutex<State>,
    /// Work was queued.
    work: Condvar,
    /// A processor became free, a job ended, or the engine stops.
    changed: Condvar,
    /// A timed job was added.
    timer: Condvar,
    stacks: StackPool,
    vps: Vec<usize>,
    next_id: AtomicU64,
    rng: Mutex<fastrand::Rng>,
    stop: AtomicBool,
    dead: AtomicBool,
    host: AtomicU64,
}

/// See the module's text.
pub struct RealTime {
    shared: Arc<Shared>,
}

impl RealTime {
    /// An engine over these processors.
    pub(crate) fn new(arena: Arc<Arena>, vps: &[Box<Vp>], seed: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                start: Instant::now(),
                state: Mutex::new(State {
                    queue: VecDeque::new(),
                    timed: BTreeMap::new(),
                    busy: vec![false; vps.len()],
                    idle: 0,
                    workers: 0,
                    parkers: HashMap::new(),
                    timer: false,
                }),
                work: Condvar::new(),
                changed: Condvar::new(),
                timer: Condvar::new(),
                stacks: StackPool::new(arena),
                vps: vps.iter().map(|vp| &raw const **vp as usize).collect(),
                next_id: AtomicU64::new(1),
                rng: Mutex::new(fastrand::Rng::with_seed(seed)),
                stop: AtomicBool::new(false),
                dead: AtomicBool::new(false),
                host: AtomicU64::new(0),
            }),
        }
    }
}

impl Shared {
    fn vp(&self, index: usize) -> &Vp {
        // SAFETY: processors are boxed, owned by the host, and outlive the engine's threads,
        // which `Drop` waits for.
        unsafe { &*(self.vps[index] as *const Vp) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the state is held")
    }

    /// Takes a free processor: the wanted one, or any.
    fn acquire(&self, want: Option<u32>) -> usize {
        let mut state = self.lock();
        loop {
            let free = match want {
                Some(cpu) => {
                    let cpu = cpu as usize % state.busy.len();
                    (!state.busy[cpu]).then_some(cpu)
                }
                None => state.busy.iter().position(|b| !b),
            };
            if let Some(cpu) = free {
                state.busy[cpu] = true;
                return cpu;
            }
            state = self.changed.wait(state).expect("state");
        }
    }

    fn release(&self, cpu: usize) {
        self.lock().busy[cpu] = false;
        self.changed.notify_all();
    }

    fn execute(&self, queued: Queued) {
        let Queued { id, job } = queued;
        let host = self.host.load(Ordering::Acquire) as *const Host;
        let Some(mut stack) = self.stacks.take() else {
            // All stacks are in use: let others finish first.
            thread::yield_now();
            self.lock().queue.push_back(Queued { id, job });
            self.work.notify_one();
            return;
        };
        let (irql, want) = match job.level {
            Level::Passive => (PASSIVE, None),
            Level::Dispatch(cpu) => (DISPATCH, cpu),
        };
        let local = Local::new(id, job.name, stack.index, irql);
        let cpu = self.acquire(want);
        self.vp(cpu).enter(&local);
        let body = job.body;
        // SAFETY: `run` set the host before any worker started and it outlives them.
        let host = unsafe { &*host };
        corosensei::on_stack(&mut stack, move || body(host));
        let vp = Vp::current();
        vp.leave();
        self.release(vp.index as usize);
        self.stacks.give(stack.index);
        let mut state = self.lock();
        state.parkers.remove(&id);
        drop(state);
        self.changed.notify_all();
    }

    fn worker(self: &Arc<Self>) {
        let mut state = self.lock();
        loop {
            if self.stop.load(Ordering::Acquire) {
                break;
            }
            if let Some(queued) = state.queue.pop_front() {
                drop(state);
                self.execute(queued);
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let (next, timeout) = self.work.wait_timeout(state, IDLE).expect("state");
            state = next;
            state.idle -= 1;
            if timeout.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.workers -= 1;
        drop(state);
        self.changed.notify_all();
    }

    fn enqueue(self: &Arc<Self>, state: &mut State, queued: Queued) {
        state.queue.push_back(queued);
        if state.idle < state.queue.len() {
            state.workers += 1;
            let shared = Arc::clone(self);
            thread::spawn(move || shared.worker());
        } else {
            self.work.notify_one();
        }
    }

    fn timer(weak: &Weak<Self>) {
        loop {
            let Some(shared) = weak.upgrade() else {
                return;
            };
            let mut state = shared.lock();
            if shared.stop.load(Ordering::Acquire) {
                state.timer = false;
                drop(state);
                shared.changed.notify_all();
                return;
            }
            let now = Instant::now();
            while let Some((&key, _)) = state.timed.first_key_value() {
                if key.0 > now {
                    break;
                }
                let job = state.timed.remove(&key).expect("first key");
                shared.enqueue(&mut state, Queued { id: key.1, job });
            }
            let pause = state
                .timed
                .first_key_value()
                .map_or(Duration::from_millis(100), |(k, _)| k.0 - now);
            drop(shared.timer.wait_timeout(state, pause).expect("state"));
        }
    }
}

impl Engine for RealTime {
    fn now(&self) -> u64 {
        self.shared.start.elapsed().as_nanos() as u64
    }

    fn random(&self, bound: u64) -> u64 {
        self.shared.rng.lock().expect("rng").u64(0..bound.max(1))
    }

    fn spawn(&self, at: Option<u64>, job: Job) -> TaskId {
        let shared = &self.shared;
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut state = shared.lock();
        state.parkers.insert(id, Arc::default());
        match at {
            Some(at) if at > self.now() => {
                state
                    .timed
                    .insert((shared.start + Duration::from_nanos(at), id), job);
                if !state.timer {
                    state.timer = true;
                    let weak = Arc::downgrade(shared);
                    thread::spawn(move || Shared::timer(&weak));
                }
                shared.timer.notify_one();
            }
            _ => shared.enqueue(&mut state, Queued { id, job }),
        }
        id
    }

    fn cancel(&self, task: TaskId) -> bool {
        let mut state = self.shared.lock();
        let before = state.timed.len() + state.queue.len();
        state.timed.retain(|key, _| key.1 != task);
        state.queue.retain(|q| q.id != task);
        let found = state.timed.len() + state.queue.len() < before;
        if found {
            state.parkers.remove(&task);
        }
        found
    }

    fn wait(&self, deadline: Option<u64>) -> bool {
        let shared = &self.shared;
        let vp = Vp::current();
        let local: *const Local = vp.local().expect("a task runs");
        // SAFETY: the task's `Local` lives on the worker's own stack while the task runs.
        let local = unsafe { &*local };
        let Some(parker) = shared.lock().parkers.get(&local.id).cloned() else {
            return false;
        };
        let pinned = (vp.irql() >= DISPATCH).then_some(vp.index);
        vp.leave();
        shared.release(vp.index as usize);
        let mut woken = parker.woken.lock().expect("parker");
        while !*woken {
            woken = match deadline {
                None => parker.changed.wait(woken).expect("parker"),
                Some(at) => {
                    let left = at.saturating_sub(self.now());
                    if left == 0 {
                        break;
                    }
                    parker
                        .changed
                        .wait_timeout(woken, Duration::from_nanos(left))
                        .expect("parker")
                        .0
                }
            };
        }
        let result = std::mem::take(&mut *woken);
        drop(woken);
        let cpu = shared.acquire(pinned);
        shared.vp(cpu).enter(local);
        result
    }

    fn wake(&self, task: TaskId) {
        let parker = self.shared.lock().parkers.get(&task).cloned();
        if let Some(parker) = parker {
            *parker.woken.lock().expect("parker") = true;
            parker.changed.notify_one();
        }
    }

    fn switch(&self) {}

    fn abandon(&self) -> ! {
        self.shared.dead.store(true, Ordering::Release);
        self.shared.changed.notify_all();
        loop {
            thread::park();
        }
    }

    fn run(&self, host: &Host, main: Job) -> RunEnd {
        let shared = &self.shared;
        shared
            .host
            .store(std::ptr::from_ref(host) as u64, Ordering::Release);
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        let body = main.body;
        self.spawn(
            None,
            Job {
                name: main.name,
                level: main.level,
                body: Box::new(move |host| {
                    body(host);
                    flag.store(true, Ordering::Release);
                }),
            },
        );
        let mut state = shared.lock();
        loop {
            if shared.dead.load(Ordering::Acquire) {
                return RunEnd::Dead;
            }
            if done.load(Ordering::Acquire) {
                return RunEnd::Done;
            }
            let pause = Duration::from_millis(50);
            state = shared.changed.wait_timeout(state, pause).expect("state").0;
        }
    }

    fn is_virtual(&self) -> bool {
        false
    }

    fn reset(&self, seed: u64) {
        *self.shared.rng.lock().expect("rng") = fastrand::Rng::with_seed(seed);
        let mut state = self.shared.lock();
        state.timed.clear();
        state.queue.clear();
    }
}

impl Drop for RealTime {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.stop.store(true, Ordering::Release);
        shared.work.notify_all();
        shared.timer.notify_all();
        if shared.dead.load(Ordering::Acquire) {
            // Tasks of a dead run are parked for good; the process ends soon.
            return;
        }
        let mut state = shared.lock();
        let until = Instant::now() + Duration::from_secs(5);
        while (state.workers > 0 || state.timer) && Instant::now() < until {
            shared.work.notify_all();
            shared.timer.notify_all();
            state = shared
                .changed
                .wait_timeout(state, Duration::from_millis(20))
                .expect("state")
                .0;
        }
    }
}
