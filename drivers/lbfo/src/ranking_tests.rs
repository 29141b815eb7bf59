#![allow(
    clippy::cast_precision_loss,
    clippy::naive_bytecount,
    reason = "a few hundred of each"
)]

use super::*;
use im_core::data::teamed::Members;
use proptest::prelude::*;

fn weights(list: &[(Slot, u32)]) -> Weights {
    let mut weights = Weights::NONE;
    for (slot, weight) in list {
        weights.set(*slot, *weight);
    }
    weights
}

fn ranking(owners: &Owners) -> Box<Ranking> {
    let mut ranking = Box::new(Ranking::EMPTY);
    owners.rank(&mut ranking);
    ranking
}

fn owners(weights: &Weights) -> Owners {
    let mut owners = Owners::EMPTY;
    owners.update(weights);
    owners
}

fn mask(weights: &Weights) -> Members {
    (0..32)
        .filter(|slot| weights.has(*slot))
        .fold(0, |mask, slot| mask | 1 << slot)
}

/// Buckets of each slot when these can be used.
fn counts(ranking: &Ranking, usable: Members) -> [f64; MAX_MEMBERS] {
    let mut counts = [0.0; MAX_MEMBERS];
    for bucket in 0..=u8::MAX {
        if let Some(slot) = ranking.member(bucket, usable) {
            counts[usize::from(slot)] += 1.0;
        }
    }
    counts
}

/// The share of a slot's weight in those of the usable ones.
fn share(weights: &Weights, usable: Members, slot: Slot) -> f64 {
    let of = |slot: Slot| {
        if usable & 1 << slot == 0 {
            0.0
        } else {
            f64::from(weights.of(slot))
        }
    };
    of(slot) * BUCKETS as f64 / (0..32).map(of).sum::<f64>()
}

/// How far the slot furthest from its share is from it.
fn worst(weights: &Weights, ranking: &Ranking, usable: Members) -> f64 {
    let counts = counts(ranking, usable);
    (0..32)
        .map(|slot| (counts[usize::from(slot)] - share(weights, usable, slot)).abs())
        .fold(0.0, f64::max)
}

fn any_weight() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => Just(10_000_u32),
        2 => Just(1_000),
        1 => Just(u32::MAX),
        2 => 1..1000_u32,
        1 => 1..=u32::MAX,
    ]
}

prop_compose! {
    fn some_weights(least: usize)(
        list in proptest::collection::btree_map(0..32_u8, any_weight(), least..=32),
    ) -> Weights {
        weights(&list.into_iter().collect::<Vec<_>>())
    }
}

fn cases(number: u32) -> ProptestConfig {
    ProptestConfig {
        cases: number,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

#[test]
fn nobody_carries_anything_for_a_team_without_members() {
    assert_eq!(*ranking(&Owners::EMPTY), Ranking::EMPTY);
    let mut owners = owners(&weights(&[(3, 7)]));
    assert!(owners.update(&Weights::NONE));
    assert_eq!(*ranking(&owners), Ranking::EMPTY);
}

#[test]
fn one_member_carries_everything() {
    let ranking = ranking(&owners(&weights(&[(31, 1)])));
    for order in &ranking.0 {
        assert_eq!(order[0], 31);
        assert!(order[1..].iter().all(|slot| *slot == NOBODY));
    }
}

#[test]
fn equal_members_have_equal_shares() {
    for members in [2, 4, 8, 16, 32_u8] {
        let list: Vec<_> = (0..members).map(|slot| (slot, 10_000)).collect();
        let all = weights(&list);
        let counts = counts(&ranking(&owners(&all)), mask(&all));
        let each = 256.0 / f64::from(members);
        assert_eq!(counts[..usize::from(members)], vec![each; list.len()]);
    }
}

#[test]
fn the_logarithm_is_good_to_one_in_a_hundred() {
    for number in (0..=u32::MAX).step_by(65_521).chain([0, u32::MAX]) {
        let exact = 32.0 - (f64::from(number) + 1.0).log2();
        let found = minus_log2(number) as f64 / 65_536.0;
        assert!((found - exact).abs() < 0.01, "{number}: {found} {exact}");
    }
}

#[test]
fn every_order_of_the_rest_gives_each_its_share() {
    // Beyond the quotas, over all buckets and sets of four dead members.
    let list: Vec<_> = (0..8).map(|slot| (slot, 1 + u32::from(slot % 2))).collect();
    let all = weights(&list);
    let ranking = ranking(&owners(&all));
    let (mut found, mut expected) = ([0.0; 32], [0.0; 32]);
    for usable in (1..256_u32).filter(|usable| usable.count_ones() == 4) {
        let counts = counts(&ranking, usable);
        for slot in 0..8 {
            found[slot] += counts[slot];
            expected[slot] += share(&all, usable, slot as Slot);
        }
    }
    for slot in 0..8 {
        let ratio: f64 = found[slot] / expected[slot];
        assert!((0.9..1.1).contains(&ratio), "{slot}: {ratio}");
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn every_member_is_in_every_order_once(all in some_weights(1)) {
        let ranking = ranking(&owners(&all));
        for order in &ranking.0 {
            let count = mask(&all).count_ones() as usize;
            let seen = order[..count].iter().fold(0_u32, |seen, slot| seen | 1 << slot);
            prop_assert_eq!(seen, mask(&all));
            prop_assert!(order[count..].iter().all(|slot| *slot == NOBODY));
        }
    }

    #[test]
    fn the_full_set_is_within_one_bucket_of_its_share(all in some_weights(1)) {
        prop_assert!(worst(&all, &ranking(&owners(&all)), mask(&all)) < 1.0);
    }

    #[test]
    fn after_one_death_all_are_within_two_buckets_of_their_share(all in some_weights(2)) {
        let ranking = ranking(&owners(&all));
        for dead in (0..32).filter(|slot| all.has(*slot)) {
            let usable = mask(&all) & !(1 << dead);
            let distance = worst(&all, &ranking, usable);
            prop_assert!(distance < 2.0, "{dead}: {distance}");
        }
    }

    #[test]
    fn after_two_deaths_all_are_within_four_buckets_of_their_share(
        all in some_weights(3), pick: (u8, u8),
    ) {
        let ranking = ranking(&owners(&all));
        let members: Vec<Slot> = (0..32).filter(|slot| all.has(*slot)).collect();
        let one = usize::from(pick.0) % members.len();
        let two = (one + 1 + usize::from(pick.1) % (members.len() - 1)) % members.len();
        let usable = mask(&all) & !(1 << members[one]) & !(1 << members[two]);
        prop_assert!(worst(&all, &ranking, usable) < 4.0);
    }

    #[test]
    fn at_a_death_only_the_dead_members_buckets_move(
        all in some_weights(2), dead in 0..32_u8, others: u32,
    ) {
        let ranking = ranking(&owners(&all));
        // Some are dead already.
        let before = mask(&all) & (others | 1 << dead);
        let after = before & !(1 << dead);
        for bucket in 0..=u8::MAX {
            if ranking.member(bucket, before) != Some(dead) {
                prop_assert_eq!(ranking.member(bucket, before), ranking.member(bucket, after));
            }
        }
    }

    #[test]
    fn the_same_history_gives_the_same_order(changes in
        proptest::collection::vec((0..8_u8, 0..3_u32), 1..12))
    {
        let run = || {
            let (mut owners, mut all) = (Owners::EMPTY, Weights::NONE);
            for (slot, weight) in &changes {
                all.set(*slot, *weight * 500);
                owners.update(&all);
            }
            ranking(&owners)
        };
        prop_assert_eq!(run(), run());
    }

    /// Joins, leaves and other weights: shares stay exact, and as little as can moves.
    #[test]
    fn a_change_moves_as_few_buckets_as_the_quotas_allow(changes in
        proptest::collection::vec((0..32_u8, prop_oneof![1 => Just(0), 3 => any_weight()]), 1..24))
    {
        let (mut owners, mut all) = (Owners::EMPTY, Weights::NONE);
        for (slot, weight) in changes {
            let before = owners.clone();
            all.set(slot, weight);
            let changed = owners.update(&all);
            prop_assert_eq!(changed, before.weights != all);
            if mask(&all) == 0 {
                prop_assert!(owners.first.iter().all(|owner| *owner == NOBODY));
                continue;
            }
            prop_assert!(worst(&all, &ranking(&owners), mask(&all)) < 1.0);
            let moved = before.first.iter().zip(&owners.first)
                .filter(|(old, new)| old != new && all.has(**old)).count();
            let count = |owners: &Owners, of: Slot|
                owners.first.iter().filter(|owner| **owner == of).count();
            let must: usize = (0..32).filter(|slot| all.has(*slot))
                .map(|slot| count(&before, slot).saturating_sub(count(&owners, slot))).sum();
            prop_assert_eq!(moved, must);
            // Nothing but rounding moves between those that stay as they are.
            let joined = count(&owners, slot).saturating_sub(count(&before, slot));
            let stayed = (mask(&all) & !(1 << slot)).count_ones() as usize;
            prop_assert!(moved <= joined.max(count(&before, slot)) + stayed);
        }
    }

    /// A member that died and is unbound then: what its death has moved stays there,
    /// but for rounding.
    #[test]
    fn leaving_after_death_moves_next_to_nothing(all in some_weights(2), dead in 0..32_u8) {
        let mut owners = owners(&all);
        let before = ranking(&owners);
        let mut rest = all;
        rest.set(dead, 0);
        prop_assume!(mask(&rest) != 0 && owners.update(&rest));
        let after = ranking(&owners);
        let usable = mask(&rest);
        let moved = (0..=u8::MAX)
            .filter(|bucket| before.member(*bucket, usable) != after.member(*bucket, usable))
            .count();
        prop_assert!(moved <= usable.count_ones() as usize, "{moved} of {usable:b}");
    }
}
