//! What both engines promise, shown without a driver: the jobs here are host code.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lab_host::heap::Layout;
use lab_host::report::Collect;
use lab_host::{Config, EngineKind, Host, Job, Level, RunEnd};

fn host(engine: EngineKind, seed: u64) -> Box<Host> {
    let config = Config {
        seed,
        engine,
        layout: Layout::Dense,
        ..Config::default()
    };
    Host::new(config, Arc::new(Collect::default())).expect("host")
}

const BOTH: [EngineKind; 2] = [EngineKind::Deterministic, EngineKind::RealTime];

#[test]
fn every_job_runs_and_a_wake_that_came_first_is_not_lost() {
    for engine in BOTH {
        let host = host(engine, 1);
        let count = Arc::new(AtomicU64::new(0));
        let end = host.run("main", |host| {
            let waiter = Arc::clone(&count);
            let task = host.spawn(Job::thread("waits", move |host| {
                // The wake came before this job ran, or comes while it waits: both must do.
                assert!(
                    host.engine().wait(Some(host.now() + 5_000_000_000)),
                    "woken, not timed out"
                );
                waiter.fetch_add(1, Ordering::Relaxed);
            }));
            host.engine().wake(task);
            for _ in 0..20 {
                let count = Arc::clone(&count);
                host.spawn(Job::dpc("dpc", move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                }));
            }
            let done = host.wait_until("all", 100_000, 20_000_000_000, |_| {
                count.load(Ordering::Relaxed) == 21
            });
            assert!(done);
        });
        assert_eq!(end, RunEnd::Done, "{engine:?}");
        assert_eq!(count.load(Ordering::Relaxed), 21, "{engine:?}");
    }
}

/// At DISPATCH_LEVEL nothing else runs on a processor, whatever is suspended meanwhile.
#[test]
fn a_processor_at_dispatch_level_runs_nothing_else() {
    for engine in BOTH {
        let host = host(engine, 7);
        let inside: Arc<Vec<AtomicU64>> = Arc::new((0..4).map(|_| AtomicU64::new(0)).collect());
        let ran = Arc::new(AtomicU64::new(0));
        let end = host.run("main", |host| {
            for i in 0..64_u32 {
                let inside = Arc::clone(&inside);
                let ran = Arc::clone(&ran);
                let cpu = i % 4;
                host.spawn(Job {
                    name: format!("dpc {i}"),
                    level: Level::Dispatch(Some(cpu)),
                    body: Box::new(move |host| {
                        let mine = &inside[cpu as usize];
                        assert_eq!(
                            mine.fetch_add(1, Ordering::SeqCst),
                            0,
                            "alone on processor {cpu}"
                        );
                        for _ in 0..8 {
                            host.engine().switch();
                        }
                        mine.fetch_sub(1, Ordering::SeqCst);
                        ran.fetch_add(1, Ordering::Relaxed);
                    }),
                });
            }
            host.wait_until("all", 100_000, 20_000_000_000, |_| {
                ran.load(Ordering::Relaxed) == 64
            });
        });
        assert_eq!(end, RunEnd::Done);
        assert_eq!(ran.load(Ordering::Relaxed), 64, "{engine:?}");
    }
}

fn order(seed: u64) -> (Vec<u64>, u64) {
    let host = host(EngineKind::Deterministic, seed);
    let seen = Arc::new(Mutex::new(Vec::new()));
    host.run("main", |host| {
        for i in 0..32 {
            let seen = Arc::clone(&seen);
            host.spawn_after(
                host.engine().random(1000),
                Job::thread("t", move |host| {
                    for _ in 0..4 {
                        host.engine().switch();
                        seen.lock().expect("list").push(i);
                    }
                }),
            );
        }
        host.wait_until("all", 10_000, 1_000_000_000, |_| {
            seen.lock().expect("list").len() == 128
        });
    });
    let order = seen.lock().expect("list").clone();
    (order, host.now())
}

#[test]
fn the_seed_decides_the_schedule_and_nothing_else_does() {
    assert_eq!(order(3), order(3));
    assert_ne!(order(3).0, order(4).0);
}

#[test]
fn virtual_time_jumps_and_a_hang_names_who_waits() {
    let host = host(EngineKind::Deterministic, 1);
    let started = std::time::Instant::now();
    let end = host.run("sleeper", |host| host.sleep(3_600_000_000_000));
    assert_eq!(end, RunEnd::Done);
    assert!(host.now() >= 3_600_000_000_000);
    assert!(started.elapsed().as_secs() < 60, "an hour passes at once");
    let end = host.run("nobody wakes me", |host| {
        host.engine().wait(None);
    });
    let RunEnd::Hang(waiting) = end else {
        panic!("{end:?}");
    };
    assert!(
        waiting.iter().any(|line| line.contains("nobody wakes me")),
        "{waiting:?}"
    );
}

#[test]
fn a_job_that_has_not_started_can_be_withdrawn() {
    for engine in BOTH {
        let host = host(engine, 1);
        let ran = Arc::new(AtomicU64::new(0));
        host.run("main", |host| {
            let count = Arc::clone(&ran);
            let task = host.spawn_after(
                50_000_000,
                Job::dpc("late", move |_| {
                    count.fetch_add(1, Ordering::Relaxed);
                }),
            );
            assert!(host.engine().cancel(task));
            assert!(!host.engine().cancel(task), "only once");
            host.sleep(100_000_000);
        });
        assert_eq!(ran.load(Ordering::Relaxed), 0, "{engine:?}");
    }
}

/// More threads than there are stacks: those that find none start when others end.
#[test]
fn more_tasks_than_stacks_all_run() {
    let host = host(EngineKind::Deterministic, 3);
    let ran = Arc::new(AtomicU64::new(0));
    let end = host.run("main", |host| {
        for _ in 0..2000 {
            let ran = Arc::clone(&ran);
            host.spawn(Job::thread("t", move |host| {
                host.sleep(1_000);
                ran.fetch_add(1, Ordering::Relaxed);
            }));
        }
        host.wait_until("all", 10_000, 1_000_000_000, |_| {
            ran.load(Ordering::Relaxed) == 2000
        });
    });
    assert_eq!(end, RunEnd::Done);
    assert_eq!(ran.load(Ordering::Relaxed), 2000);
}
