//! The decisions on mutated captures: what the fuzz target does, for a while, with a
//! fixed seed and a stable toolchain.

#[path = "harness/mod.rs"]
mod harness;

use ethernet::{Tag, Tpid};
use harness::{Tally, run};

/// A generator that is the same everywhere (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn captures() -> Vec<Vec<u8>> {
    include_str!("captures/linux.hex")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            (0..line.len() / 2)
                .map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).expect("hex"))
                .collect()
        })
        .collect()
}

/// A capture as a hostile neighbour would send it.
fn mutate(random: &mut Random, mut frame: Vec<u8>) -> Vec<u8> {
    for _ in 0..random.below(4) {
        let at = random.below(frame.len() + 1);
        match random.below(8) {
            // Tags of every kind, most of them where tags are.
            0..=2 => {
                let at = if random.below(8) == 0 {
                    at
                } else {
                    12.min(frame.len())
                };
                let near = [0, 10, 20, 4094, 4095][random.below(5)];
                let tci = near | (random.next() as u16 & 0xF000);
                let tpid = [Tpid::Customer, Tpid::Customer, Tpid::Service][random.below(3)];
                frame.splice(at..at, Tag::from_tci(tci).bytes(tpid));
            }
            3 => frame.truncate(at),
            4 => frame.truncate(at.min(24)),
            5 if at < frame.len() => frame[at] ^= 1 << random.below(8),
            6 if at < frame.len() => frame[at] = random.next() as u8,
            // Addresses that ports have.
            _ => {
                for place in [0, 6] {
                    if let Some(mac) = frame.get_mut(place..place + 6) {
                        let low = random.below(4) as u8;
                        mac.copy_from_slice(&[2, 0, 0, 0, 0, low]);
                    }
                }
            }
        }
    }
    frame
}

#[test]
fn mutated_captures() {
    let captures = captures();
    assert!(captures.len() >= 10);
    let mut random = Random(20_261_122);
    let mut all = Tally::default();
    let runs = if cfg!(miri) { 60 } else { 60_000 };
    for _ in 0..runs {
        let mut data: Vec<u8> = (0..24 + random.below(64))
            .map(|_| random.next() as u8)
            .collect();
        let capture = captures[random.below(captures.len())].clone();
        data.extend(mutate(&mut random, capture));
        let tally = run(&data);
        all.frames += tally.frames;
        all.heard += tally.heard;
        all.dropped += tally.dropped;
        all.sent += tally.sent;
        all.refused += tally.refused;
        all.switched += tally.switched;
    }
    println!("{all:?}");
    // It was not all noise: every way was taken often.
    for ways in [
        all.frames,
        all.heard,
        all.dropped,
        all.sent,
        all.refused,
        all.switched,
    ] {
        assert!(cfg!(miri) || ways > 1000, "{all:?}");
    }
}

#[test]
fn no_bytes_and_noise() {
    run(&[]);
    let mut random = Random(7);
    for length in 0..if cfg!(miri) { 40 } else { 2000 } {
        let noise: Vec<u8> = (0..length % 200).map(|_| random.next() as u8).collect();
        run(&noise);
    }
}

/// Found by the fuzzer: a frame that ends with the announcement of a tag, behind a tag
/// of a VLAN. The harness took it for granted that what is left has a whole header.
#[test]
fn a_truncated_tag_behind_that_of_a_vlan() {
    run(&[
        0x01, 0x38, 0xff, 0x20, 0xba, 0x2f, 0x0d, 0xba, 0xba, 0xba, 0xba, 0xba, 0x3e, 0x3e, 0x3e,
        0x3e, 0x00, 0x09, 0xba, 0xba, 0xba, 0xba, 0xba, 0xba, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x81, 0x00, 0x00, 0xf9, 0x81, 0x00,
    ]);
}
