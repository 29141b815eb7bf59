//! The brain on random events and nearly right frames: what the fuzz target does, for a
//! while, with a fixed seed and a stable toolchain.

#[path = "harness/mod.rs"]
mod harness;

use harness::{Tally, run};

#[test]
fn random_events_break_nothing() {
    let mut random = fastrand::Rng::with_seed(20_261_123);
    let mut all = Tally::default();
    let runs = if cfg!(miri) { 20 } else { 250 };
    for _ in 0..runs {
        let data: Vec<u8> = (0..60 + random.usize(..900))
            .map(|_| random.u8(..))
            .collect();
        let tally = run(&data);
        all.events += tally.events;
        all.sent += tally.sent;
        all.told += tally.told;
        all.backs += tally.backs;
        all.carried += tally.carried;
        all.spared += tally.spared;
        all.refused += tally.refused;
    }
    println!("{all:?}");
    // It was not all noise: every way was taken often.
    for ways in [
        all.events,
        all.sent,
        all.told,
        all.backs,
        all.carried,
        all.spared,
    ] {
        assert!(cfg!(miri) || ways > 300, "{all:?}");
    }
    assert!(cfg!(miri) || all.refused > 10, "{all:?}");
}

#[test]
fn no_bytes_and_few() {
    let mut random = fastrand::Rng::with_seed(7);
    for length in 0..200 {
        let data: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        run(&data);
    }
}
