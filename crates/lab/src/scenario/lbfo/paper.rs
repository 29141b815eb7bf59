//! What a team must do with a load, worked out on paper: by the hash as its crate defines
//! it and the table of buckets as the driver shows it.
#![expect(
    clippy::cast_precision_loss,
    reason = "frames and bits stay far below 2^52"
)]

use std::net::SocketAddrV4;

use ethernet::flow::{Flow, FlowHash, Network, Policy, Ports, share};
use ethernet::{Mac, Vlan};

use super::plan::HASH_SEED;

/// Buckets that flows are spread over.
pub const BUCKETS: u32 = 256;
/// Standard deviations that chance is given.
const SIGMAS: f64 = 4.5;

/// The bucket of a flow of UDP over IPv4.
pub fn bucket(from: SocketAddrV4, to: SocketAddrV4) -> u32 {
    let hash = FlowHash {
        policy: Policy::Layer34,
        symmetric: false,
        seed: HASH_SEED.into(),
    };
    let flow = Flow {
        source: Mac([2, 0, 0, 0, 0, 1]),
        destination: Mac([2, 0, 0, 0, 0, 2]),
        vlan: Vlan::NONE,
        network: Some(Network {
            source: (*from.ip()).into(),
            destination: (*to.ip()).into(),
            ports: Some(Ports {
                source: from.port(),
                destination: to.port(),
            }),
        }),
    };
    share(hash.of(&flow), BUCKETS)
}

/// The share of each member by weight: that of its speed.
pub fn shares(weights: &[u64]) -> Vec<f64> {
    let sum: u64 = weights.iter().sum();
    weights
        .iter()
        .map(|weight| *weight as f64 / sum.max(1) as f64)
        .collect()
}

/// How far from its share of `flows` a member may be: a bucket more or less, and what
/// chance does to flows that fall into buckets.
pub fn bound(flows: u64, share: f64) -> f64 {
    let flows = flows as f64;
    flows / f64::from(BUCKETS) + SIGMAS * (flows * share * (1.0 - share)).sqrt()
}

/// What members of these speeds carry in ratio to the sum of their speeds when each has
/// so many bits: the last one to finish decides.
pub fn goodput(bits: &[u64], speeds: &[u64]) -> f64 {
    let sum: u64 = bits.iter().sum();
    let times = bits.iter().zip(speeds);
    let longest = times
        .map(|(bits, speed)| *bits as f64 / (*speed).max(1) as f64)
        .fold(0.0, f64::max);
    let speed: u64 = speeds.iter().sum();
    if longest > 0.0 {
        sum as f64 / longest / speed as f64
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_decides() {
        assert!((goodput(&[500, 500], &[10, 10]) - 1.0).abs() < 1e-9);
        assert!((goodput(&[1_000, 0], &[10, 10]) - 0.5).abs() < 1e-9);
        assert!((goodput(&[100, 1_000], &[1, 10]) - 1.0).abs() < 1e-9);
        assert!((goodput(&[600, 400], &[10, 10]) - 1_000.0 / 60.0 / 20.0).abs() < 1e-9);
        assert!(goodput(&[0, 0], &[1, 1]) < 1e-9);
    }

    #[test]
    fn flows_spread_within_the_bound() {
        let shares = shares(&[1, 1, 2]);
        assert_eq!(shares, [0.25, 0.25, 0.5]);
        let mut counts = [0_u64; BUCKETS as usize];
        for number in 0..10_000_u16 {
            let (from, to) = super::super::rig::ends(number, false);
            counts[bucket(from, to) as usize] += 1;
        }
        let quarter: u64 = counts[..64].iter().sum();
        let far = (quarter as f64 - 2_500.0).abs();
        assert!(far < bound(10_000, 0.25), "{quarter}");
        assert!(bound(10_000, 0.25) < 250.0, "a bound that binds");
    }
}
