//! What the oracle says when exactly one thing goes wrong with one frame.

use std::net::{Ipv4Addr, SocketAddrV4};

use lab_net::mix::Chance;
use lab_net::oracle::{Flow, FlowId, Generator, Ledger, Pace, Sink, Verdict};
use lab_net::wire::{Impairment, Wire};
use lab_net::{Endpoint, Frame, Mac};

const FRAMES: u64 = 200;

fn flow(udp: bool) -> Flow {
    let end = |n| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), 4000);
    let (a, b) = (Mac::local(2, 1), Mac::local(2, 2));
    if udp {
        Flow::udp("u", a, b, end(1), end(2))
    } else {
        Flow::private("p", a, b)
    }
}

struct Run {
    ledger: Ledger,
    flow: FlowId,
    frames: Vec<Frame>,
}

/// Sends [`FRAMES`] frames, number `n` at time `n`, and keeps them.
fn sent(udp: bool) -> Run {
    let ledger = Ledger::new(11);
    let flow = ledger.add_flow(flow(udp));
    let pace = Pace {
        frames: FRAMES,
        interval: 1,
        burst: 1,
        ..Pace::default()
    };
    let mut generator = Generator::new(&ledger, flow, pace);
    let mut frames = Vec::new();
    let mut now = 0;
    while let Some(next) = generator.next_poll(now) {
        now = next;
        generator.poll(now, &mut |frame| {
            frames.push(frame);
            true
        });
    }
    assert!(generator.is_done());
    assert_eq!(frames.len() as u64, FRAMES);
    Run {
        ledger,
        flow,
        frames,
    }
}

impl Run {
    fn judge(&self) -> Verdict {
        let mut sink = Sink::new(&self.ledger, Mac::local(2, 2), &[self.flow]);
        for frame in &self.frames {
            sink.on_frame(0, frame);
        }
        self.ledger.verdict()
    }
}

fn clean() -> Verdict {
    Verdict {
        sent: FRAMES,
        received: FRAMES,
        ..Verdict::default()
    }
}

#[test]
fn untouched_frames_are_clean() {
    for udp in [false, true] {
        let verdict = sent(udp).judge();
        assert_eq!(verdict, clean());
        assert!(verdict.is_clean());
    }
}

#[test]
fn sizes_reach_both_ends_of_the_range() {
    let run = sent(false);
    let sizes: Vec<_> = run.frames.iter().map(Vec::len).collect();
    assert_eq!(
        (sizes.iter().min(), sizes.iter().max()),
        (Some(&60), Some(&1514))
    );
}

#[test]
fn one_frame_dropped_at_every_place() {
    for at in 0..FRAMES as usize {
        let mut run = sent(false);
        run.frames.remove(at);
        assert_eq!(
            run.judge(),
            Verdict {
                received: FRAMES - 1,
                lost: 1,
                ..clean()
            }
        );
    }
}

#[test]
fn one_frame_doubled_at_every_place() {
    for at in 0..FRAMES as usize {
        let mut run = sent(true);
        run.frames.push(run.frames[at].clone());
        assert_eq!(
            run.judge(),
            Verdict {
                duplicated: 1,
                ..clean()
            }
        );
    }
}

#[test]
fn one_frame_overtaken() {
    for at in 1..FRAMES as usize {
        let mut run = sent(false);
        run.frames.swap(at - 1, at);
        let verdict = run.judge();
        assert_eq!(
            verdict,
            Verdict {
                reordered: 1,
                misordered: 1,
                ..clean()
            }
        );
        assert!(!verdict.is_clean());
    }
}

#[test]
fn order_may_be_of_no_interest() {
    let ledger = Ledger::new(1);
    let id = ledger.add_flow(Flow {
        ordered: false,
        ..flow(false)
    });
    let mut generator = Generator::new(
        &ledger,
        id,
        Pace {
            frames: 2,
            ..Pace::default()
        },
    );
    let mut frames = Vec::new();
    generator.poll(0, &mut |frame| {
        frames.push(frame);
        true
    });
    let mut sink = Sink::new(&ledger, Mac::local(2, 2), &[id]);
    sink.on_frame(0, &frames[1]);
    assert_eq!(ledger.missing(), 1);
    sink.on_frame(0, &frames[0]);
    assert_eq!(ledger.missing(), 0);
    let verdict = ledger.verdict();
    assert_eq!((verdict.reordered, verdict.misordered), (1, 0));
    assert!(verdict.is_clean());
}

#[test]
fn one_bit_changed_anywhere_is_corruption_and_nothing_else() {
    for udp in [false, true] {
        // The oracle's own octets and some of the content.
        for bit in 0..90 * 8 {
            let mut run = sent(udp);
            let at = run
                .frames
                .iter()
                .position(|frame| frame.len() > 100)
                .expect("a large frame");
            run.frames[at][bit / 8] ^= 1 << (bit % 8);
            let verdict = run.judge();
            assert_eq!(
                verdict,
                Verdict {
                    received: FRAMES - 1,
                    corrupted: 1,
                    ..clean()
                },
                "bit {bit}"
            );
        }
    }
}

#[test]
fn a_cut_frame_is_corrupted() {
    for length in [14, 20, 59, 100] {
        let mut run = sent(false);
        let at = run
            .frames
            .iter()
            .position(|frame| frame.len() > 100)
            .expect("a large frame");
        run.frames[at].truncate(length);
        assert_eq!(
            run.judge(),
            Verdict {
                received: FRAMES - 1,
                corrupted: 1,
                ..clean()
            },
            "{length}"
        );
    }
}

#[test]
fn frames_of_others_are_told_apart() {
    let run = sent(false);
    let own = Mac::local(2, 2);
    let mut strict = Sink::new(&run.ledger, own, &[run.flow]).strict();
    let mut broadcast = vec![0xff; 60];
    broadcast[6..12].copy_from_slice(&Mac::local(9, 9).0);
    strict.on_frame(0, &broadcast);
    assert_eq!((strict.frames(), strict.foreign()), (1, 1));
    let mut stray = broadcast;
    stray[..6].copy_from_slice(&own.0);
    strict.on_frame(0, &stray);
    assert_eq!(run.ledger.verdict().alien, 1);
    // A host with the same address may be whom it is for ...
    let mut shared = Sink::new(&run.ledger, own, &[run.flow]);
    shared.on_frame(0, &stray);
    assert_eq!((shared.frames(), shared.foreign()), (1, 1));
    assert_eq!(run.ledger.verdict().alien, 1);
    // ... but no host sends frames of the oracle's type.
    stray[12..14].copy_from_slice(&[0x88, 0xb5]);
    shared.on_frame(0, &stray);
    assert_eq!(
        run.judge(),
        Verdict {
            alien: 2,
            ..clean()
        }
    );
}

#[test]
fn hosts_may_have_the_addresses_of_a_flows_ends() {
    // As above one miniport: TCP between the same two stations is no oracle's.
    for udp in [false, true] {
        let run = sent(udp);
        let mut sink = Sink::new(&run.ledger, Mac::local(2, 2), &[run.flow]);
        let mut other = run.frames[0].clone();
        other.truncate(60);
        other[12..14].copy_from_slice(&[8, 0]);
        other[14..].fill(0x45);
        sink.on_frame(0, &other);
        assert_eq!(sink.foreign(), 1);
        assert_eq!(run.judge(), clean());
    }
}

#[test]
fn a_flow_at_the_wrong_sink_is_an_alien_there_and_lost_here() {
    let run = sent(false);
    let mut wrong = Sink::new(&run.ledger, Mac::local(2, 3), &[]);
    for frame in &run.frames {
        wrong.on_frame(0, frame);
    }
    let verdict = run.ledger.verdict();
    assert_eq!(
        (verdict.alien, verdict.lost, verdict.received),
        (FRAMES, FRAMES, 0)
    );
}

#[test]
fn a_frame_from_another_run_is_not_this_runs() {
    let mut run = sent(false);
    let other = Ledger::new(12);
    let id = other.add_flow(flow(false));
    let mut generator = Generator::new(&other, id, Pace::default());
    generator.poll(0, &mut |frame| {
        run.frames[0] = frame;
        false
    });
    assert_eq!(
        run.judge(),
        Verdict {
            received: FRAMES - 1,
            corrupted: 1,
            ..clean()
        }
    );
}

#[test]
fn a_window_excuses_losses_within_it_only() {
    let mut run = sent(false);
    // Frames 48 and 49 were on their way when the link went down at 50; 61 was
    // sent after it came back.
    run.ledger.open_window("link flap", 50, 2);
    assert!(run.ledger.close_window("link flap", 60));
    assert!(!run.ledger.close_window("link flap", 60));
    for at in [61, 59, 50, 49, 48, 47] {
        run.frames.remove(at);
    }
    let verdict = run.judge();
    let excused = vec![("link flap".to_owned(), 4)];
    assert_eq!(
        verdict,
        Verdict {
            received: FRAMES - 6,
            lost: 2,
            excused,
            ..clean()
        }
    );
    assert_eq!(verdict.excused_total(), 4);
    assert_eq!(
        verdict.to_string(),
        "sent 200, received 194, lost 2, duplicated 0, reordered 0, corrupted 0, alien 0, \
         4 excused by link flap"
    );
}

#[test]
fn a_window_excuses_no_copy_and_no_change() {
    let mut run = sent(false);
    run.ledger.open_window("pause", 0, 0);
    run.frames[5][20] ^= 1;
    run.frames.push(run.frames[7].clone());
    let verdict = run.judge();
    assert_eq!(
        (verdict.corrupted, verdict.duplicated, verdict.lost),
        (1, 1, 0)
    );
    assert!(!verdict.is_clean());
}

#[test]
fn the_verdict_agrees_with_what_a_bad_wire_counted() {
    for seed in 0..20 {
        let ledger = Ledger::new(seed);
        let id = ledger.add_flow(Flow {
            ordered: false,
            ..flow(seed % 2 == 0)
        });
        let mut from = Generator::new(
            &ledger,
            id,
            Pace {
                frames: 5_000,
                ..Pace::default()
            },
        );
        let mut to = Sink::new(&ledger, Mac::local(2, 2), &[id]);
        let bad = Impairment {
            loss: 5_000,
            duplicate: 5_000,
            reorder: 5_000,
            ..Impairment::default()
        };
        let mut wire = Wire::new(bad, seed);
        wire.run(&mut from, &mut to, 1_000_000_000_000, |_, _| false);
        let (verdict, wire) = (ledger.verdict(), wire.counters());
        assert_eq!(
            (verdict.sent, verdict.lost, verdict.duplicated),
            (wire.sent, wire.lost, wire.duplicated)
        );
        assert_eq!(verdict.received, 5_000 - wire.lost);
        assert!(
            wire.lost > 0 && wire.duplicated > 0 && verdict.reordered > 0,
            "{verdict}"
        );
        assert_eq!((verdict.corrupted, verdict.alien), (0, 0));

        let ledger = Ledger::new(seed);
        let id = ledger.add_flow(flow(false));
        let mut from = Generator::new(
            &ledger,
            id,
            Pace {
                frames: 5_000,
                ..Pace::default()
            },
        );
        let mut to = Sink::new(&ledger, Mac::local(2, 2), &[id]);
        let mut wire = Wire::new(
            Impairment {
                corrupt: 5_000,
                ..Impairment::default()
            },
            seed,
        );
        wire.run(&mut from, &mut to, 1_000_000_000_000, |_, _| false);
        let (verdict, wire) = (ledger.verdict(), wire.counters());
        assert_eq!((verdict.corrupted, verdict.lost), (wire.corrupted, 0));
        assert!(wire.corrupted > 0);
    }
}

#[test]
fn pace_is_kept() {
    let ledger = Ledger::new(1);
    let id = ledger.add_flow(flow(false));
    let pace = Pace {
        frames: 100,
        interval: 1_000,
        burst: 4,
        ..Pace::default()
    };
    let mut generator = Generator::starting_at(&ledger, id, pace, 500);
    let mut times = Vec::new();
    let mut now = 0;
    while let Some(next) = generator.next_poll(now) {
        now = next;
        generator.poll(now, &mut |_| {
            times.push(now);
            true
        });
    }
    let expected: Vec<u64> = (0..100).map(|n| 500 + n / 4 * 1_000).collect();
    assert_eq!(times, expected);
}

/// What arrives, frame by frame, as a test decides it.
#[derive(Clone, Copy)]
enum Arrival {
    Sound(usize),
    Changed(usize),
}

/// Any mixture of faults: the verdict is what a naive account of the arrivals
/// says.
#[test]
fn any_mixture_of_faults_is_told_exactly() {
    let run = sent(true);
    for case in 0..400 {
        let mut chance = Chance::new(case);
        // Every frame once, some not, some twice, some changed, some late.
        let mut arrivals: Vec<(usize, Arrival)> = Vec::new();
        for number in 0..FRAMES as usize {
            let late = if chance.hit(50_000) {
                chance.between(1, 20) as usize
            } else {
                0
            };
            match chance.below(20) {
                0 => {}
                1 => arrivals.push((number + late, Arrival::Changed(number))),
                2 => {
                    arrivals.push((number + late, Arrival::Sound(number)));
                    arrivals.push((number + late, Arrival::Sound(number)));
                }
                _ => arrivals.push((number + late, Arrival::Sound(number))),
            }
        }
        arrivals.sort_by_key(|(at, _)| *at);

        let ledger = Ledger::new(11);
        let id = ledger.add_flow(flow(true));
        let pace = Pace {
            frames: FRAMES,
            ..Pace::default()
        };
        let mut generator = Generator::new(&ledger, id, pace);
        while !generator.is_done() {
            generator.poll(0, &mut |_| true);
        }
        let mut sink = Sink::new(&ledger, Mac::local(2, 2), &[id]);
        let mut expected = Verdict {
            sent: FRAMES,
            ..Verdict::default()
        };
        let (mut seen, mut highest) = (vec![false; FRAMES as usize], None);
        for (_, arrival) in arrivals {
            match arrival {
                Arrival::Sound(number) => {
                    sink.on_frame(0, &run.frames[number]);
                    if seen[number] {
                        expected.duplicated += 1;
                        continue;
                    }
                    seen[number] = true;
                    expected.received += 1;
                    if highest.is_some_and(|highest| number < highest) {
                        expected.reordered += 1;
                        expected.misordered += 1;
                    }
                    highest = highest.max(Some(number));
                }
                Arrival::Changed(number) => {
                    let mut frame = run.frames[number].clone();
                    let bit = chance.below(frame.len() as u64 * 8) as usize;
                    frame[bit / 8] ^= 1 << (bit % 8);
                    sink.on_frame(0, &frame);
                    expected.corrupted += 1;
                }
            }
        }
        expected.lost = FRAMES - expected.received - expected.corrupted;
        assert_eq!(ledger.verdict(), expected, "case {case}");
    }
}

#[test]
fn a_generator_may_wait_for_the_word() {
    let ledger = Ledger::new(1);
    let id = ledger.add_flow(flow(false));
    let mut generator = Generator::starting_at(&ledger, id, Pace::default(), u64::MAX);
    generator.poll(1_000_000, &mut |_| unreachable!("it waits"));
    assert_eq!(
        (generator.next_poll(1_000_000), generator.is_done()),
        (None, false)
    );
    generator.begin(5);
    assert_eq!(generator.next_poll(5), Some(5));
    generator.poll(5, &mut |_| true);
    assert_eq!(generator.sent(), 32);
    generator.stop();
    assert_eq!((generator.next_poll(6), generator.is_done()), (None, true));
}

#[test]
fn a_window_of_one_flow_excuses_no_other() {
    let ledger = Ledger::new(3);
    let flows = [1, 2].map(|n| {
        let name = format!("f{n}");
        ledger.add_flow(Flow::private(name, Mac::local(2, n), Mac::local(3, n)))
    });
    let mut sent = Vec::new();
    for flow in flows {
        let pace = Pace {
            frames: 5,
            interval: 10,
            burst: 1,
            ..Pace::default()
        };
        let mut generator = Generator::new(&ledger, flow, pace);
        for now in [0, 10, 20, 30, 40] {
            generator.poll(now, &mut |frame| {
                sent.push(frame);
                true
            });
        }
    }
    assert_eq!(sent.len(), 10);
    ledger.open_window_of(&flows[..1], "retag", 10, 0);
    assert!(ledger.close_window("retag", 30));
    let [first, second] = flows.map(|flow| ledger.flow_verdict(flow));
    assert_eq!((first.lost, first.excused_total()), (3, 2));
    assert_eq!((second.lost, second.excused_total()), (5, 0));
}
