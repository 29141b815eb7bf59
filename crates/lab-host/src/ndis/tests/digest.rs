//! The trace number of a run: equal for equal runs, another for one changed byte.

use super::driver;
use super::many::{ALL, Talker, frame, settle, start, uppers};
use crate::ndis::NicConfig;

/// A run with one frame each way, in which byte `at` of one of them is another.
fn run(changed: Option<(bool, usize)>) -> u64 {
    let mut down = frame([2, 8, 8, 8, 8, 8], 1);
    let mut up = frame(ALL, 2);
    match changed {
        Some((true, at)) => down[at] ^= 0x80,
        Some((false, at)) => up[at] ^= 0x80,
        None => {}
    }
    let one = uppers(1, &[Talker::with(&[down])]);
    let far = Box::new(Talker::with(&[up]));
    let host = driver::set_up(7, NicConfig::default(), far, one);
    host.run("test", |host| {
        start(host, 1);
        host.nic_kick(0);
        settle(host);
    });
    host.trace_hash()
}

#[test]
fn one_changed_byte_of_a_frame_changes_it() {
    let whole = run(None);
    assert_eq!(run(None), whole);
    for at in [14, 15, 50, 98, 99] {
        assert_ne!(run(Some((true, at))), whole, "byte {at} of the frame down");
        assert_ne!(run(Some((false, at))), whole, "byte {at} of the frame up");
    }
}
