//! The real-time engine: OS threads, the machine's clock.
//!
//! Each job runs on a worker thread, on an arena stack, while it holds a virtual
//! processor; it lets go of the processor while it waits. A DPC holds its processor
//! until it ends, so nothing else runs there meanwhile. A thread at `PASSIVE_LEVEL`
//! is not preempted by a DPC for its processor: the DPC waits for the next wait or
//! the end of that call.
//!
//! Workers are leader and followers: one of those without work waits for the next
//! timed job and runs it itself, so that a delay costs one wake-up; the others wait for
//! work without a time. A worker that leaves work or timed jobs behind sees to it that
//! another one waits for them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Engine, Job, Level, RunEnd, StackPool};
use crate::arena::Arena;
use crate::host::Host;
use crate::vp::{DISPATCH, Local, PASSIVE, TaskId, Vp};

/// How long a worker without work stays when there are more than [`KEEP`] of them.
const IDLE: Duration = Duration::from_secs(2);
/// How long the end of jobs and workers is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Workers without work that stay for good.
const KEEP: usize = 8;

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
    /// Tasks that wait for a processor.
    wanting: usize,
    /// Workers without work, the leader among them.
    idle: usize,
    /// Whether one of them waits for the next timed job.
    leader: bool,
    workers: usize,
    /// Jobs that were taken and have not ended.
    running: usize,
    parkers: HashMap<TaskId, Arc<Parker>>,
}

struct Shared {
    start: Instant,
    state: Mutex<State>,
    /// For followers: work was queued, or there is no leader.
    work: Condvar,
    /// For the leader: another job is due first, or work was queued.
    due: Condvar,
    /// A processor became free.
    free: Condvar,
    /// The run or a worker ended.
    ended: Condvar,
    stacks: StackPool,
    vps: Vec<usize>,
    next_id: AtomicU64,
    rng: Mutex<fastrand::Rng>,
    stop: AtomicBool,
    dead: AtomicBool,
    host: AtomicU64,
    /// Called by each worker before anything else.
    thread_start: Option<fn()>,
}

/// See the module's text.
pub struct RealTime {
    shared: Arc<Shared>,
}

impl RealTime {
    /// An engine over these processors.
    pub(crate) fn new(
        arena: Arc<Arena>,
        vps: &[Box<Vp>],
        seed: u64,
        thread_start: Option<fn()>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                start: Instant::now(),
                state: Mutex::new(State {
                    queue: VecDeque::new(),
                    timed: BTreeMap::new(),
                    busy: vec![false; vps.len()],
                    wanting: 0,
                    idle: 0,
                    leader: false,
                    workers: 0,
                    running: 0,
                    parkers: HashMap::new(),
                }),
                work: Condvar::new(),
                due: Condvar::new(),
                free: Condvar::new(),
                ended: Condvar::new(),
                stacks: StackPool::new(arena),
                vps: vps.iter().map(|vp| &raw const **vp as usize).collect(),
                next_id: AtomicU64::new(1),
                rng: Mutex::new(fastrand::Rng::with_seed(seed)),
                stop: AtomicBool::new(false),
                dead: AtomicBool::new(false),
                host: AtomicU64::new(0),
                thread_start,
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

    /// Takes a free processor: the wanted one, or any, which differs from task to task.
    fn acquire(&self, want: Option<u32>, task: TaskId) -> usize {
        let mut state = self.lock();
        loop {
            let count = state.busy.len();
            let free = match want {
                Some(cpu) => {
                    let cpu = cpu as usize % count;
                    (!state.busy[cpu]).then_some(cpu)
                }
                None => (0..count)
                    .map(|i| (task as usize + i) % count)
                    .find(|&cpu| !state.busy[cpu]),
            };
            if let Some(cpu) = free {
                state.busy[cpu] = true;
                return cpu;
            }
            state.wanting += 1;
            state = self.free.wait(state).expect("state");
            state.wanting -= 1;
        }
    }

    fn release(&self, state: &mut State, cpu: usize) {
        state.busy[cpu] = false;
        if state.wanting > 0 {
            // Each may want another processor.
            self.free.notify_all();
        }
    }

    fn execute(&self, queued: Queued) {
        let Queued { id, job } = queued;
        let host = self.host.load(Ordering::Acquire) as *const Host;
        let Some(mut stack) = self.stacks.take() else {
            // All stacks are in use: let others finish first.
            thread::yield_now();
            self.lock().queue.push_back(Queued { id, job });
            return;
        };
        let (irql, want) = match job.level {
            Level::Passive => (PASSIVE, None),
            Level::Dispatch(cpu) => (DISPATCH, cpu),
        };
        let local = Local::new(id, job.name, stack.index, irql);
        let index = stack.index;
        let cpu = self.acquire(want, id);
        self.vp(cpu).enter(&local);
        let body = job.body;
        // SAFETY: `run` set the host before any worker started and it outlives them.
        let host = unsafe { &*host };
        corosensei::on_stack(&mut stack, move || body(host));
        let vp = Vp::current();
        vp.leave();
        self.stacks.give(index);
        let mut state = self.lock();
        self.release(&mut state, vp.index as usize);
        state.parkers.remove(&id);
    }

    fn worker(self: &Arc<Self>) {
        if let Some(start) = self.thread_start {
            start();
        }
        let mut state = self.lock();
        while !self.stop.load(Ordering::Acquire) {
            Self::collect_due(&mut state);
            if let Some(queued) = state.queue.pop_front() {
                if !(state.queue.is_empty() && state.timed.is_empty()) {
                    self.rouse(&mut state);
                }
                state.running += 1;
                drop(state);
                // A panic was reported by its hook; the run ends with it.
                if catch_unwind(AssertUnwindSafe(|| self.execute(queued))).is_err() {
                    self.dead.store(true, Ordering::Release);
                }
                state = self.lock();
                state.running -= 1;
                if state.running == 0 {
                    self.ended.notify_all();
                }
                continue;
            }
            let pause = match state.timed.first_key_value() {
                Some((key, _)) if !state.leader => {
                    Some(key.0.saturating_duration_since(Instant::now()))
                }
                _ => None,
            };
            state.idle += 1;
            let mut timed_out = false;
            if let Some(pause) = pause {
                state.leader = true;
                state = self.due.wait_timeout(state, pause).expect("state").0;
                state.leader = false;
            } else {
                let (next, timeout) = self.work.wait_timeout(state, IDLE).expect("state");
                state = next;
                timed_out = timeout.timed_out();
            }
            state.idle -= 1;
            // The others include a leader for what is timed, or there is nothing timed.
            let needed = !state.queue.is_empty() || (!state.timed.is_empty() && !state.leader);
            if timed_out && !needed && state.idle >= KEEP {
                break;
            }
        }
        state.workers -= 1;
        drop(state);
        self.ended.notify_all();
    }

    /// Queues what is due.
    fn collect_due(state: &mut State) {
        if state.timed.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(entry) = state.timed.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((_, id), job) = entry.remove_entry();
            state.queue.push_back(Queued { id, job });
        }
    }

    /// Sees to it that somebody looks at the queue and at what is timed.
    fn rouse(self: &Arc<Self>, state: &mut State) {
        let followers = state.idle - usize::from(state.leader);
        if state.idle < state.queue.len().max(1) {
            state.workers += 1;
            let shared = Arc::clone(self);
            thread::spawn(move || shared.worker());
        } else if state.queue.is_empty() && state.leader {
            // The leader waits already.
        } else if followers > 0 {
            self.work.notify_one();
        } else {
            self.due.notify_one();
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
                let key = (shared.start + Duration::from_nanos(at), id);
                let first = state.timed.first_key_value().is_none_or(|(k, _)| key < *k);
                state.timed.insert(key, job);
                if first && state.leader {
                    shared.due.notify_one();
                } else if first {
                    shared.rouse(&mut state);
                }
            }
            _ => {
                state.queue.push_back(Queued { id, job });
                shared.rouse(&mut state);
            }
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
        shared.release(&mut shared.lock(), vp.index as usize);
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
        let cpu = shared.acquire(pinned, local.id);
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

    fn tick(&self) {}

    fn abandon(&self) -> ! {
        self.shared.dead.store(true, Ordering::Release);
        self.shared.ended.notify_all();
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
        let ended = Arc::clone(shared);
        let body = main.body;
        self.spawn(
            None,
            Job {
                name: main.name,
                level: main.level,
                body: Box::new(move |host| {
                    body(host);
                    flag.store(true, Ordering::Release);
                    ended.ended.notify_all();
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
            state = shared.ended.wait_timeout(state, pause).expect("state").0;
        }
    }

    fn is_virtual(&self) -> bool {
        false
    }

    fn reset(&self, seed: u64) {
        let shared = &self.shared;
        *shared.rng.lock().expect("rng") = fastrand::Rng::with_seed(seed);
        let mut state = shared.lock();
        let until = Instant::now() + PATIENCE;
        loop {
            state.timed.clear();
            state.queue.clear();
            // What still runs belongs to the life that is over, but uses the host.
            if state.running == 0 || Instant::now() > until {
                break;
            }
            let pause = Duration::from_millis(10);
            state = shared.ended.wait_timeout(state, pause).expect("state").0;
        }
        state.parkers.clear();
    }
}

impl Drop for RealTime {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.stop.store(true, Ordering::Release);
        if shared.dead.load(Ordering::Acquire) {
            // Tasks of a dead run are parked for good; the process ends soon.
            return;
        }
        let mut state = shared.lock();
        let until = Instant::now() + PATIENCE;
        while state.workers > 0 && Instant::now() < until {
            shared.work.notify_all();
            shared.due.notify_all();
            state = shared
                .ended
                .wait_timeout(state, Duration::from_millis(20))
                .expect("state")
                .0;
        }
    }
}
