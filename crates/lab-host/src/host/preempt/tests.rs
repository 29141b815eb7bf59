//! Machine code assembled by hand, run as a driver's callbacks.

use std::sync::{Arc, Mutex};

use crate::engine::{Job, RunEnd, Schedule, Step};
use crate::host::{Config, Host};
use crate::image::Image;
use crate::report::Collect;

/// `mov eax,[rcx]; lock inc dword [rdx]; inc eax; mov [rcx],eax; dec r8d; jne; ret`: counts,
/// and loses what others count between the first and the fourth instruction.
const COUNT: &[u8] = &[
    0x8B, 0x01, 0xF0, 0xFF, 0x02, 0xFF, 0xC0, 0x89, 0x01, 0x41, 0xFF, 0xC8, 0x75, 0xF2, 0xC3,
];
/// Five stores of the numbers 1 to 5 to `[rcx]`; `ret`.
const STORES: &[u8] = &[
    0xC7, 0x01, 1, 0, 0, 0, 0xC7, 0x01, 2, 0, 0, 0, 0xC7, 0x01, 3, 0, 0, 0, 0xC7, 0x01, 4, 0, 0, 0,
    0xC7, 0x01, 5, 0, 0, 0, 0xC3,
];
/// `cmp dword [rcx],0; je; ret`.
const WAIT: &[u8] = &[0x83, 0x39, 0, 0x74, 0xFB, 0xC3];
/// `rdtsc`, `rdrand` and `cpuid` (leaf 0, ebx) to `[rcx]`.
const ASK: &[u8] = &[
    0x49, 0x89, 0xC8, 0x0F, 0x31, 0x41, 0x89, 0x00, 0x41, 0x89, 0x50, 0x04, 0x48, 0x0F, 0xC7, 0xF0,
    0x73, 0xFA, 0x49, 0x89, 0x40, 0x08, 0x31, 0xC0, 0x53, 0x0F, 0xA2, 0x41, 0x89, 0x58, 0x10, 0x5B,
    0xC3,
];

/// `mov r8,seed; movq xmm5,r8; stc; lock inc dword [rcx]; setnc al; movq r9,xmm5; sub r9,r8;
/// setne dl; or al,dl; movzx eax,al; ret`: zero if carry and xmm5 survive the locked one.
fn keeps(seed: u64) -> Vec<u8> {
    let mut code = vec![0x49, 0xB8];
    code.extend(seed.to_le_bytes());
    code.extend([0x66, 0x49, 0x0F, 0x6E, 0xE8, 0xF9, 0xF0, 0xFF, 0x01]);
    code.extend([
        0x0F, 0x93, 0xC0, 0x66, 0x49, 0x0F, 0x7E, 0xE9, 0x4D, 0x29, 0xC1,
    ]);
    code.extend([0x0F, 0x95, 0xC2, 0x08, 0xD0, 0x0F, 0xB6, 0xC0, 0xC3]);
    code
}

/// A host with these functions as its image, 64 bytes apart.
fn host(functions: &[&[u8]], schedule: &Schedule) -> (Box<Host>, Arc<Collect>, Vec<u64>) {
    crate::signals::install().expect("a handler");
    let sink = Arc::new(Collect::default());
    let host = Host::new(Config::default(), Arc::clone(&sink) as _).expect("host");
    let mut code = Vec::new();
    for f in functions {
        code.extend_from_slice(f);
        code.resize(code.len().next_multiple_of(64), 0xCC);
    }
    let base = host.arena.image();
    let mut image = Image::of_code(base, &code, &[]);
    let at: Vec<u64> = (0..functions.len() as u64)
        .map(|n| base + 0x1000 + 64 * n)
        .collect();
    for &a in &at {
        image.exports.insert(format!("f{a:x}"), a);
    }
    host.adopt(image);
    host.set_schedule(schedule);
    host.reset(7).expect("reset");
    (host, sink, at)
}

/// What two threads count together that count to 200 each.
fn counted(schedule: &Schedule, seed: u64) -> (u32, u64, u64) {
    let (host, _, at) = host(&[COUNT], schedule);
    host.reset(seed).expect("reset");
    let (counter, word) = (host.allocate(4, 0, "t"), host.allocate(4, 0, "t"));
    let count = at[0];
    let end = host.run("count", |host| {
        let done = Arc::new(Mutex::new(0));
        for _ in 0..2 {
            let done = Arc::clone(&done);
            host.spawn(Job::thread("counter", move |host| {
                host.call("Count", 0, count, &[counter, word, 200]);
                *done.lock().expect("done") += 1;
            }));
        }
        host.wait_until("both", 1000, 1_000_000_000, |_| {
            *done.lock().expect("done") == 2
        });
    });
    assert_eq!(end, RunEnd::Done);
    assert_eq!(
        host.get::<u32>(word, "word"),
        400,
        "each locked one was executed once"
    );
    let points = host.switch_points();
    (host.get(counter, "counter"), host.trace_hash(), points)
}

#[test]
fn tasks_are_switched_before_locked_instructions_if_asked() {
    let never = Schedule::default();
    assert_eq!(
        counted(&never, 3).0,
        400,
        "nothing is between two host calls"
    );
    let often = Schedule {
        locked_every: 2,
        ..Schedule::default()
    };
    let (sum, hash, points) = counted(&often, 3);
    assert!(sum < 400, "an update must be lost");
    assert!(points >= 400);
    assert_eq!(
        counted(&often, 3),
        (sum, hash, points),
        "the seed repeats it"
    );
    assert_ne!(counted(&often, 4).1, hash);
}

#[test]
fn switches_can_be_chosen_one_by_one() {
    let none = Schedule {
        locked_every: 1,
        only: Some(Vec::new()),
        ..Schedule::default()
    };
    let (sum, _, points) = counted(&none, 3);
    assert_eq!(sum, 400);
    // One switch in the middle: whoever is interrupted writes back what it read, and one of
    // the two loses all that the other counted meanwhile.
    let one = Schedule {
        only: Some(vec![points / 4]),
        ..none
    };
    let (sum, _, _) = counted(&one, 3);
    assert!(sum < 400, "{sum}");
}

#[test]
fn everything_survives_a_switch_inside_the_driver() {
    let schedule = Schedule {
        locked_every: 1,
        ..Schedule::default()
    };
    let (a, b) = (keeps(0x1122_3344_5566_7788), keeps(0xFFEE_DDCC_BBAA_9988));
    let (host, _, at) = host(&[&a, &b], &schedule);
    let word = host.allocate(4, 0, "t");
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let results = Arc::clone(&wrong);
    let end = host.run("keep", move |host| {
        for n in 0..40 {
            let (f, results) = (at[n % 2], Arc::clone(&results));
            host.spawn(Job::thread("keeper", move |host| {
                let result = host.call("Keep", 0, f, &[word]);
                results.lock().expect("results").push(result);
            }));
        }
        host.sleep(1_000_000);
    });
    assert_eq!(end, RunEnd::Done);
    assert_eq!(*wrong.lock().expect("results"), vec![0; 40]);
}

/// What another thread sees while the stores are stopped before instruction `k`.
fn seen_before(k: u64) -> u32 {
    let schedule = Schedule {
        switch_every: 1 << 40,
        steps: vec![Step {
            callback: "Stores".into(),
            call: 2,
            instruction: k,
        }],
        ..Schedule::default()
    };
    let (host, _, at) = host(&[STORES], &schedule);
    let word = host.allocate(4, 0, "t");
    let seen = Arc::new(Mutex::new(99));
    let result = Arc::clone(&seen);
    host.run("steps", move |host| {
        host.call("Stores", 0, at[0], &[word]);
        host.put(word, 0_u32, "word");
        host.spawn(Job::thread("looks", move |host| {
            *result.lock().expect("seen") = host.get(word, "word");
        }));
        host.call("Stores", 0, at[0], &[word]);
        assert_eq!(host.get::<u32>(word, "word"), 5);
        host.sleep(1000);
    });
    *seen.lock().expect("seen")
}

#[test]
fn a_chosen_instruction_of_a_chosen_call_is_a_point_of_switching() {
    for k in 1..=6 {
        assert_eq!(seen_before(k), (k - 1) as u32, "before instruction {k}");
    }
    assert_eq!(seen_before(7), 5, "there is no seventh: after the call");
}

/// What is found when the second call of [`COUNT`] is stopped before instruction `k`, and a
/// third one counts meanwhile.
fn lost_before(k: u64) -> Vec<String> {
    let schedule = Schedule {
        switch_every: 1 << 40,
        steps: vec![Step {
            callback: "Count".into(),
            call: 2,
            instruction: k,
        }],
        ..Schedule::default()
    };
    let (host, _, at) = host(&[COUNT], &schedule);
    let (counter, word) = (host.allocate(4, 0, "t"), host.allocate(4, 0, "t"));
    let count = at[0];
    host.run("count", move |host| {
        host.call("Count", 0, count, &[counter, word, 1]);
        host.spawn(Job::thread("counts too", move |host| {
            host.call("Count", 0, count, &[counter, word, 1]);
        }));
        host.call("Count", 0, count, &[counter, word, 1]);
        host.sleep(1000);
    });
    assert_eq!(
        host.get::<u32>(word, "word"),
        3,
        "a locked one loses nothing"
    );
    let lost = 3 - host.get::<u32>(counter, "counter");
    let findings = host.findings();
    assert_eq!(findings.len() as u32, lost, "each lost update is found");
    findings
        .into_iter()
        .map(|f| f.rule + ": " + &f.message)
        .collect()
}

/// `inc dword [rcx]; ret`: on two processors it has a middle.
const INCREMENT: &[u8] = &[0xFF, 0x01, 0xC3];

#[test]
fn an_increment_without_a_lock_may_lose_an_update() {
    let schedule = Schedule {
        switch_every: 1 << 40,
        steps: vec![Step {
            callback: "Count".into(),
            call: 1,
            instruction: 1,
        }],
        ..Schedule::default()
    };
    let (host, _, at) = host(&[INCREMENT], &schedule);
    let counter = host.allocate(4, 0, "t");
    let count = at[0];
    host.run("count", move |host| {
        host.spawn(Job::thread("counts too", move |host| {
            host.call("Count", 0, count, &[counter]);
        }));
        host.call("Count", 0, count, &[counter]);
        host.sleep(1000);
    });
    let findings = host.findings();
    let rules: Vec<_> = findings.iter().map(|f| f.rule.as_str()).collect();
    assert_eq!(rules, ["VMI-9"]);
}

#[test]
fn an_update_that_is_lost_is_found_where_it_is_overwritten() {
    for k in 1..=8 {
        let found = lost_before(k);
        // From behind the load to the store.
        let between = (2..=4).contains(&k);
        assert_eq!(found.len(), usize::from(between), "{k}: {found:?}");
        for text in found {
            assert!(
                text.starts_with("VMI-9: Count loads 0x1 at image+0x1000"),
                "{text}"
            );
            assert!(
                text.contains("makes 0x2 of it, and at image+0x1007"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_loop_that_waits_lets_others_run() {
    let (host, sink, at) = host(&[WAIT], &Schedule::default());
    let word = host.allocate(4, 0, "t");
    let end = host.run("waits", move |host| {
        host.spawn_after(
            5_000_000,
            Job::thread("writes", move |host| host.put(word, 1_u32, "word")),
        );
        host.call("Waits", 0, at[0], &[word]);
        assert!(host.now() >= 5_000_000, "time went on to what was due");
    });
    assert_eq!(end, RunEnd::Done);
    assert!(sink.0.lock().expect("events").is_empty());
}

#[test]
fn a_loop_that_waits_for_ever_is_reported_with_its_place() {
    for others in [false, true] {
        let (host, _, at) = host(&[WAIT], &Schedule::default());
        let word = host.allocate(4, 0, "t");
        let end = host.run("waits", move |host| {
            if others {
                // Two that wait keep each other busy: the budget ends it.
                let other = at[0];
                host.spawn(Job::thread("waits too", move |host| {
                    host.call("Other", 0, other, &[word]);
                }));
            }
            host.vp().set_irql(2);
            host.call("Waits", 0, at[0], &[word]);
        });
        assert_eq!(end, RunEnd::Dead);
        let findings = host.findings();
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].rule, "HOST-SPIN");
        let text = &findings[0].message;
        assert!(text.contains("image+0x1000"), "{text}");
        let stack = findings[0].stack.as_ref().expect("a stack");
        assert_eq!(stack.rip, host.arena.image() + 0x1000);
        if !others {
            assert!(text.contains("at IRQL 2"), "{text}");
            assert!(text.contains("nobody is left"), "{text}");
        }
    }
}

#[test]
fn the_machine_answers_from_time_and_seed() {
    let asked = |seed| {
        let (host, _, at) = host(&[ASK], &Schedule::default());
        host.reset(seed).expect("reset");
        let buffer = host.allocate(24, 0, "t");
        host.run("asks", move |host| {
            host.sleep(1_000_000);
            host.call("Asks", 0, at[0], &[buffer]);
        });
        let time: u64 = host.get(buffer, "time");
        let random: u64 = host.get(buffer + 8, "random");
        let vendor: u32 = host.get(buffer + 16, "vendor");
        assert_eq!(vendor.to_le_bytes(), *b"Virt");
        assert!((3_000_000..3_010_000).contains(&time), "{time}");
        (time, random)
    };
    assert_eq!(asked(5), asked(5));
    assert_ne!(asked(5).1, asked(6).1);
}
