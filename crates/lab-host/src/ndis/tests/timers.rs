//! Timer objects, on both engines.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ndis_sys::{NDIS_STATUS_SUCCESS, NDIS_TIMER_CHARACTERISTICS, PVOID};

use crate::engine::RunEnd;
use crate::handle::Kind;
use crate::host::{Config, EngineKind, Host};
use crate::ndis::timer::{
    NdisAllocateTimerObject, NdisCancelTimerObject, NdisFreeTimerObject, NdisSetTimerObject,
};
use crate::report::Collect;
use crate::vp::DISPATCH;

const SECOND: u64 = 1_000_000_000;

/// Callbacks so far, and when and with which context the last one came.
static COUNT: AtomicU64 = AtomicU64::new(0);
static WHEN: AtomicU64 = AtomicU64::new(0);
static CONTEXT: AtomicU64 = AtomicU64::new(0);
/// How often the callback arms its timer again.
static AGAIN: AtomicU64 = AtomicU64::new(0);
static TIMER: AtomicU64 = AtomicU64::new(0);
/// The statics are one test's at a time.
static ONE: Mutex<()> = Mutex::new(());

unsafe extern "efiapi" fn expired(_: PVOID, context: PVOID, _: PVOID, _: PVOID) {
    let host = crate::api::host();
    assert_eq!(host.vp().irql(), DISPATCH);
    WHEN.store(host.now(), Ordering::Relaxed);
    CONTEXT.store(context as u64, Ordering::Relaxed);
    if AGAIN.load(Ordering::Relaxed) > 0 {
        AGAIN.fetch_sub(1, Ordering::Relaxed);
        NdisSetTimerObject(TIMER.load(Ordering::Relaxed), -10_000_000, 0, 0);
    }
    COUNT.fetch_add(1, Ordering::Release);
}

/// Runs `body` with a timer; the rules that were broken.
fn with(engine: EngineKind, seed: u64, body: impl FnOnce(&Host, u64) + Send) -> Vec<String> {
    let _one: MutexGuard<'_, ()> = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let config = Config {
        seed,
        engine,
        ..Config::default()
    };
    let host = Host::new(config, Arc::new(Collect::default())).expect("host");
    COUNT.store(0, Ordering::Relaxed);
    AGAIN.store(0, Ordering::Relaxed);
    let end = host.run("test", |host| {
        let owner = host.ndis(|n| n.handles.open(Kind::MiniportDriver));
        let block = host.allocate(64, u32::from_le_bytes(*b"Test"), "timer test");
        // SAFETY: plain data of the ABI; all zero is a value of it.
        let mut c: NDIS_TIMER_CHARACTERISTICS = unsafe { std::mem::zeroed() };
        c.AllocationTag = 1;
        c.TimerFunction = Some(expired);
        c.FunctionContext = 0x1000 as PVOID;
        host.put(block, c, "characteristics");
        let out = host.allocate(8, 1, "timer test");
        assert_eq!(
            NdisAllocateTimerObject(owner, block, out),
            NDIS_STATUS_SUCCESS
        );
        let timer: u64 = host.get(out, "timer");
        TIMER.store(timer, Ordering::Relaxed);
        body(host, timer);
        NdisFreeTimerObject(timer);
        host.release(block);
        host.release(out);
    });
    if end != RunEnd::Done {
        // Threads of a run that died go on with what they have.
        std::mem::forget(host);
        panic!("the run ended with {end:?}");
    }
    host.findings().into_iter().map(|f| f.rule).collect()
}

fn count() -> u64 {
    COUNT.load(Ordering::Acquire)
}

#[test]
fn a_timer_runs_once_when_it_is_due_and_a_new_set_replaces_the_old() {
    let broken = with(EngineKind::Deterministic, 1, |host, timer| {
        let begun = host.now();
        assert_eq!(NdisSetTimerObject(timer, -10_000, 0, 0), 0);
        assert_eq!(NdisSetTimerObject(timer, -50_000, 0, 0x2000), 1, "replaced");
        host.sleep(4_000_000);
        assert_eq!(count(), 0);
        host.sleep(2_000_000);
        assert_eq!(count(), 1);
        let late = WHEN.load(Ordering::Relaxed) - begun;
        assert!((5_000_000..5_100_000).contains(&late), "{late} ns");
        assert_eq!(CONTEXT.load(Ordering::Relaxed), 0x2000);
        // Its own context again, at a time of day.
        let day = crate::nt::system_time(host) as i64 + 10_000;
        assert_eq!(
            NdisSetTimerObject(timer, day, 0, 0),
            0,
            "not armed any more"
        );
        host.sleep(1_100_000);
        assert_eq!((count(), CONTEXT.load(Ordering::Relaxed)), (2, 0x1000));
        assert_eq!(NdisCancelTimerObject(timer), 0);
        NdisSetTimerObject(timer, -10, 0, 0);
        assert_eq!(NdisCancelTimerObject(timer), 1);
        host.sleep(SECOND);
        assert_eq!(count(), 2);
    });
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn a_periodic_timer_keeps_its_pace() {
    let broken = with(EngineKind::Deterministic, 2, |host, timer| {
        NdisSetTimerObject(timer, -10_000_000, 100, 0);
        host.sleep(10 * SECOND + SECOND / 2);
        assert_eq!(count(), 96);
        assert_eq!(NdisCancelTimerObject(timer), 1);
        host.sleep(SECOND);
        assert_eq!(count(), 96);
    });
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn hours_of_virtual_time_pass_at_once() {
    let begun = std::time::Instant::now();
    let broken = with(EngineKind::Deterministic, 3, |host, timer| {
        AGAIN.store(10_800 - 1, Ordering::Relaxed);
        NdisSetTimerObject(timer, -10_000_000, 0, 0);
        host.sleep(3 * 3600 * SECOND + SECOND);
        assert_eq!(count(), 10_800);
    });
    assert_eq!(broken, Vec::<String>::new());
    let took = begun.elapsed();
    assert!(took.as_secs() < 30, "{took:?}");
}

#[test]
fn freeing_an_armed_timer_is_found() {
    let broken = with(EngineKind::Deterministic, 4, |_, timer| {
        NdisSetTimerObject(timer, -10_000_000, 0, 0);
    });
    assert_eq!(broken, ["TMR-3"]);
}

/// Each set ends in one callback or in TRUE, from the set that replaces it or the cancel.
#[test]
fn no_callback_is_lost_or_doubled_in_a_race() {
    for engine in [EngineKind::Deterministic, EngineKind::RealTime] {
        for seed in 1..=4 {
            let broken = with(engine, seed, |host, timer| {
                let rounds = 500;
                let mut stopped = 0;
                for round in 0..rounds {
                    stopped += u64::from(NdisSetTimerObject(timer, -(round % 40), 0, 0));
                    for _ in 0..round % 7 {
                        host.engine().switch();
                    }
                    if round % 3 == 0 {
                        stopped += u64::from(NdisCancelTimerObject(timer));
                    }
                }
                stopped += u64::from(NdisCancelTimerObject(timer));
                // One that nobody stops: on a busy machine every other may have been.
                stopped += u64::from(NdisSetTimerObject(timer, 0, 0, 0));
                let sets = rounds as u64 + 1;
                let all = host.wait_until("for callbacks", 10_000, 10 * SECOND, |_| {
                    count() + stopped == sets
                });
                assert!(all, "{engine:?}: {} + {stopped} of {sets}", count());
                // The last one has counted itself; it may still be on its way back.
                let idle = |host: &Host| {
                    host.ndis(|n| n.timers.get(&timer).is_some_and(|t| t.running.is_empty()))
                };
                assert!(host.wait_until("for the last callback", 10_000, 10 * SECOND, idle));
                assert_eq!(count() + stopped, sets);
                assert!(
                    stopped > 0 && count() > 0,
                    "{engine:?}: {stopped}, {}",
                    count()
                );
            });
            assert_eq!(broken, Vec::<String>::new());
        }
    }
}
