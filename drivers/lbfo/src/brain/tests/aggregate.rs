//! The modes in which all members carry frames.

use std::vec::Vec;

use super::super::*;
use super::team::*;
use crate::settings::LinkSpeed;

const MODES: [Mode; 4] = [Mode::Hash, Mode::RoundRobin, Mode::Broadcast, Mode::Dynamic];

#[test]
fn all_that_are_ready_carry_frames_and_an_idle_team_has_no_deadline() {
    for mode in MODES {
        let mut team = Team::with(&settings(mode), 4);
        let plan = team.plan();
        assert_eq!(
            (plan.distribute, plan.collect, plan.alive),
            (15, 15, 15),
            "{mode:?}"
        );
        assert_eq!((plan.link, team.brain.active()), (Some(4 * GIGABIT), None));
        assert_eq!(team.brain.deadline(), None);
        team.link(2, false);
        let plan = team.plan();
        assert_eq!((plan.distribute, plan.alive), (0b1011, 0b1011));
        team.leave(0);
        let plan = team.plan();
        assert_eq!(
            (plan.distribute, plan.collect, plan.alive),
            (0b1010, 0b1010, 0b1011)
        );
        assert_eq!(team.told(EventKind::MemberUp).len(), 4);
        assert_eq!(
            team.told(EventKind::MemberDown),
            [(Some(2), 1), (Some(0), 3)]
        );
        assert!(team.sent().is_empty(), "nobody has to be told");
    }
}

#[test]
fn the_link_is_up_with_min_links_and_as_fast_as_is_set() {
    for (rule, fast) in [(LinkSpeed::Sum, 11), (LinkSpeed::Active, 10)] {
        let mut team = Team::new(&TeamSettings {
            min_links: 2,
            link_speed: rule,
            ..settings(Mode::Hash)
        });
        team.join(0);
        assert_eq!((team.plan().distribute, team.plan().link), (1, None));
        let fast_facts = MemberFacts {
            speed: 10 * GIGABIT,
            ..facts(1)
        };
        team.join_as(1, fast_facts, member());
        assert_eq!(team.plan().link, Some(fast * GIGABIT));
        team.gone(0);
        assert_eq!(team.plan().link, None);
        assert_eq!(
            team.told(EventKind::TeamLink),
            [(None, fast * GIGABIT), (None, 0)]
        );
    }
}

#[test]
fn speeds_nobody_knows_and_speeds_beyond_all_measure() {
    let mut team = Team::new(&settings(Mode::Hash));
    for (slot, speed) in [(0, 0), (1, u64::MAX), (2, u64::MAX)] {
        let facts = MemberFacts {
            speed,
            ..facts(slot)
        };
        team.join_as(slot, facts, member());
    }
    assert_eq!(team.plan().link, Some(u64::MAX));
    let mut unknown = Team::with(&settings(Mode::Hash), 2);
    for slot in 0..2 {
        unknown.gone(slot);
        let facts = MemberFacts {
            speed: 0,
            ..facts(slot)
        };
        unknown.join_as(slot, facts, member());
    }
    assert_eq!(unknown.plan().link, Some(0));
    assert_eq!(shares(&unknown), [(0, 128), (1, 128)]);
}

/// How many buckets each member comes first for.
fn shares(team: &Team) -> Vec<(Slot, usize)> {
    let ranking = team.ranking();
    let count = |slot| ranking.0.iter().filter(|order| order[0] == slot).count();
    (0..32)
        .map(|slot| (slot, count(slot)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[test]
fn shares_go_by_weight_and_else_by_link_speed() {
    let mut team = Team::new(&settings(Mode::Hash));
    let weighted = |weight| MemberSettings { weight, ..member() };
    team.join_as(0, facts(0), weighted(1));
    team.join_as(1, facts(1), weighted(3));
    assert_eq!(shares(&team), [(0, 64), (1, 192)]);
    // A weight of 10 is that of 1 Gbit/s.
    team.join_as(2, facts(2), weighted(0));
    assert_eq!(shares(&team), [(0, 18), (1, 55), (2, 183)]);
    team.gone(0);
    team.gone(1);
    team.join_as(3, facts(3), weighted(0));
    let before = team.plan().ranking;
    assert_eq!(shares(&team), [(2, 128), (3, 128)]);
    team.speed(3, 3 * GIGABIT);
    assert_eq!(shares(&team), [(2, 64), (3, 192)]);
    assert_ne!(team.plan().ranking, before);
}

#[test]
fn the_ranking_is_another_only_when_members_or_weights_are() {
    let mut team = Team::with(&settings(Mode::Hash), 4);
    let (before, ranking) = (team.plan().ranking, team.ranking());
    team.link(1, false);
    // Adapters without a link say no speed; the last one that was known counts.
    team.speed(1, 0);
    team.link(1, true);
    team.leave(2);
    team.run(SECOND);
    assert_eq!((team.plan().ranking, team.ranking()), (before, ranking));
    team.gone(2);
    assert_eq!(team.plan().ranking, before + 1);
    assert!(team.ranking().0.iter().flatten().all(|slot| *slot != 2));
}

#[test]
fn all_that_joined_are_ranked_not_only_those_that_carry() {
    let mut team = Team::with(&settings(Mode::Hash), 3);
    team.link(0, false);
    team.leave(1);
    assert_eq!(team.plan().distribute, 0b100);
    for order in &team.ranking().0 {
        let mut members = order[..3].to_vec();
        members.sort_unstable();
        assert_eq!(members, [0, 1, 2]);
        assert_eq!(order[3], NOBODY);
    }
}
