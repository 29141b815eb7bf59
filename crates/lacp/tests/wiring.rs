//! Any wiring: systems with cables between any of their ports, loops among them, and
//! ports without a partner. Whatever is plugged into whatever, it comes to rest.

mod common;

use std::collections::BTreeSet;

use common::{End, Net, Weather, config, port};
use lacp::time::{MILLISECOND, SECOND};
use lacp::{Fallback, Output, SystemConfig};
use proptest::prelude::*;

const SYSTEMS: usize = 4;
const SLOTS: u8 = 6;

prop_compose! {
    fn settings()(strict: bool, priority in 1..4_u16, min in 0..3_u8, max in 1..6_u8) -> SystemConfig {
        let mut settings = config(0);
        settings.fallback = if strict { Fallback::Strict } else { Fallback::Individual };
        settings.system.priority = priority;
        settings.max_links = max;
        settings.min_links = min.min(max);
        settings
    }
}

fn end() -> impl Strategy<Value = End> {
    (0..SYSTEMS, 0..SLOTS)
}

/// One partner is enough for a team: which ports of a system hear whom.
fn partners(net: &Net, system: usize) -> BTreeSet<u8> {
    let heard = net.systems[system]
        .ports()
        .filter(|port| port.is_enabled() && port.has_partner());
    heard
        .map(|port| port.partner().system.address.0[4])
        .collect()
}

proptest! {
    #![proptest_config(common::cases(48))]

    #[test]
    fn whatever_is_plugged_into_whatever_comes_to_rest(
        settings in [settings(), settings(), settings(), settings()],
        cables in prop::collection::vec((end(), end(), 0..4_000_u64), 1..16),
        bare in prop::collection::vec(end(), 0..3),
        seed: u64,
    ) {
        let mut settings = settings;
        for (system, settings) in settings.iter_mut().enumerate() {
            settings.system.address = config(system as u8).system.address;
        }
        let mut net = Net::new(&settings, seed);
        for system in 0..SYSTEMS {
            for slot in 0..SLOTS {
                net.add(system, slot, port(system as u8, slot));
            }
        }
        net.weather = Weather { loss: 20, duplication: 10, delay: 200 * MILLISECOND };
        for (a, b, time) in cables {
            net.pull(a);
            net.pull(b);
            net.plug(a, b);
            net.run(time * MILLISECOND);
        }
        for end in bare {
            net.pull(end);
            net.link(end, true);
        }
        net.weather = Weather::default();
        net.run(300 * SECOND);
        net.outputs.clear();
        net.run(100 * SECOND);

        for system in 0..SYSTEMS {
            let it = &net.systems[system];
            let own = system as u8;
            prop_assert_eq!(it.distributing() & !it.collecting(), 0);
            let served: BTreeSet<_> = it
                .ports()
                .filter(|port| port.is_collecting())
                .map(|port| (port.has_partner(), port.lag_id().to_string()))
                .collect();
            prop_assert!(served.len() <= 1, "two groups in one team: {:?}", served);
            for port in it.ports() {
                let looped = port.has_partner() && port.partner().system.address.0[4] == own;
                prop_assert_eq!(port.is_looped(), looped);
                prop_assert!(!(looped && port.is_collecting()), "a loop carries frames");
            }
            // With one partner that has no other either there is nothing to wait for.
            let theirs = partners(&net, system);
            if let [other] = theirs.into_iter().collect::<Vec<_>>()[..]
                && other != own
                && partners(&net, usize::from(other)).len() == 1
            {
                prop_assert_ne!(it.distributing(), 0, "system {}", system);
            }
        }
        // Who works, rests: nothing but periodic LACPDUs.
        for (at, system, output) in &net.outputs {
            if net.distributing(*system) == 0 {
                continue;
            }
            let rests = match output {
                Output::Send { .. } => true,
                Output::Transition { machine, transition, .. } => {
                    let name = machine.transition(usize::from(*transition)).unwrap_or_default();
                    name.starts_with("PT_") || name.starts_with("TX_") || name == "RX_HEARD"
                        // Another's that still searches is seen to do so.
                        || name.starts_with("PC_")
                }
                Output::Churn { partner, .. } => *partner,
                _ => false,
            };
            prop_assert!(rests, "at {} in system {}: {:?}", at, system, output);
        }
    }
}
