//! Monitors: who is asked, in whose name, and what becomes of the answers.

use std::vec::Vec;

use super::super::frames::Heard;
use super::super::*;
use core::net::IpAddr;

/// The frame in which `target` answers a question, made by hand.
pub fn answer(target: IpAddr, question: &Heard) -> Vec<u8> {
    let mut frame = question.source.0.to_vec();
    frame.extend_from_slice(&[2, 0, 0, 0, 0xEE, 1]);
    if !question.vlan.is_none() {
        frame.extend_from_slice(&[0x81, 0]);
        frame.extend_from_slice(&question.vlan.number().to_be_bytes());
    }
    match target {
        IpAddr::V4(target) => {
            frame.extend_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0xEE, 1]);
            frame.extend_from_slice(&target.octets());
            frame.extend_from_slice(&question.source.0);
            frame.extend_from_slice(&[0; 4]);
        }
        IpAddr::V6(_) => unreachable!("see the tests of ND"),
    }
    frame.resize(frame.len().max(60), 0);
    frame
}
