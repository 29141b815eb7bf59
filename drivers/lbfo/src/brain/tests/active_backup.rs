//! Active-backup: who is active, and when that changes.

use std::vec::Vec;

use super::super::*;
use super::team::*;
use crate::settings::Failback;
use proptest::prelude::*;

fn backup(failback: Failback) -> TeamSettings {
    TeamSettings {
        failback,
        ..settings(Mode::ActiveBackup)
    }
}

const fn with_priority(priority: u16) -> MemberSettings {
    MemberSettings {
        priority,
        ..member()
    }
}

#[test]
fn the_first_that_is_up_is_active_and_an_idle_team_has_no_deadline() {
    let mut team = Team::new(&settings(Mode::ActiveBackup));
    assert_eq!(
        (team.plan(), team.brain.deadline()),
        (Plan::default(), None)
    );
    team.join(0);
    team.join(1);
    assert_eq!(team.plan().distribute, 0b11);
    assert_eq!(team.plan().collect, 0b01);
    assert_eq!(team.plan().alive, 0b11);
    assert_eq!(team.plan().link, Some(GIGABIT));
    assert_eq!(team.brain.active(), Some(0));
    assert_eq!(team.brain.deadline(), None);
    team.run(3600 * SECOND);
    assert!(team.sent().is_empty());
    assert_eq!(team.told(EventKind::ActiveMember), [(Some(0), 100)]);
}

/// The data path does not wait for the brain: it takes the next of the ranking that can
/// be used. That has to be who the brain chooses then.
#[test]
fn a_dead_member_is_left_at_once_and_the_ranking_knew_who_is_next() {
    let mut team = Team::with(&settings(Mode::ActiveBackup), 3);
    let plan = team.plan();
    assert_eq!(team.carrier(plan.distribute & !0b001), Some(1));
    team.link(0, false);
    assert_eq!((team.plan().distribute, team.plan().alive), (0b110, 0b110));
    assert_eq!(team.brain.active(), Some(1));
    assert_eq!(team.carrier(team.plan().distribute), Some(1));
    team.gone(1);
    assert_eq!(
        (team.plan().distribute, team.brain.active()),
        (0b100, Some(2))
    );
    team.link(2, false);
    assert_eq!((team.plan().distribute, team.plan().link), (0, None));
    assert_eq!(
        team.told(EventKind::ActiveMember),
        [(Some(0), 100), (Some(1), 101), (Some(2), 102)]
    );
}

#[test]
fn a_backup_that_may_be_down_is_no_runner_up() {
    let mut team = Team::with(
        &TeamSettings {
            down_delay: 1000,
            ..settings(Mode::ActiveBackup)
        },
        3,
    );
    team.link(1, false);
    assert_eq!(
        team.plan().distribute,
        0b101,
        "it waits, and carries nothing"
    );
    team.link(0, false);
    assert_eq!(team.plan().distribute, 0b101, "it waits, and carries on");
    team.run(SECOND);
    assert_eq!(team.brain.active(), Some(2));
}

#[test]
fn a_change_of_the_active_member_is_another_ranking() {
    let mut team = Team::with(&settings(Mode::ActiveBackup), 2);
    team.link(0, false);
    let before = team.plan().ranking;
    team.link(0, true);
    assert_eq!(
        (team.brain.active(), team.plan().distribute),
        (Some(0), 0b11)
    );
    assert_ne!(team.plan().ranking, before);
    assert_eq!(team.ranking().0[0][..2], [0, 1]);
}

#[test]
fn a_member_that_leaves_hands_over_and_is_left_in_order() {
    let mut team = Team::with(&settings(Mode::ActiveBackup), 2);
    team.leave(0);
    assert_eq!((team.plan().distribute, team.plan().alive), (0b10, 0b11));
    team.link(0, false); // it died before it was done
    assert_eq!(team.plan().alive, 0b10);
    team.gone(0);
    assert_eq!(team.plan().alive, 0b10);
}

#[test]
fn primary_comes_before_priority_and_priority_before_number() {
    let mut team = Team::new(&settings(Mode::ActiveBackup));
    let primary = MemberSettings {
        primary: true,
        ..with_priority(65535)
    };
    let numbered = MemberSettings {
        index: 9,
        ..member()
    };
    let mut expected = Vec::new();
    for (slot, settings, order) in [
        (3, numbered, vec![3]),
        (4, member(), vec![4, 3]),
        (1, with_priority(1), vec![1, 4, 3]),
        (7, primary, vec![7, 1, 4, 3]),
        (0, with_priority(40000), vec![7, 1, 4, 3, 0]),
    ] {
        team.join_as(slot, facts(slot), settings);
        assert_eq!(team.brain.active(), order.first().copied());
        for bucket in &team.ranking().0 {
            assert_eq!(
                bucket[..order.len()],
                order,
                "active first, the others in order"
            );
            assert!(bucket[order.len()..].iter().all(|slot| *slot == NOBODY));
        }
        expected = order;
    }
    for slot in expected {
        assert_eq!(team.brain.active(), Some(slot));
        team.gone(slot);
    }
    assert_eq!(team.brain.active(), None);
}

#[test]
fn failback_comes_after_its_delay_and_only_if_the_member_stays_up() {
    let mut team = Team::with(
        &TeamSettings {
            failback_delay: 5000,
            ..backup(Failback::Always)
        },
        2,
    );
    assert_eq!(team.brain.active(), Some(0));
    team.link(0, false);
    team.link(0, true);
    assert_eq!(team.brain.deadline(), Some(5 * SECOND));
    team.run(4 * SECOND);
    assert_eq!(team.brain.active(), Some(1));
    team.link(0, false);
    assert_eq!(team.brain.deadline(), None);
    team.link(0, true);
    team.run(5 * SECOND - 1);
    assert_eq!(team.brain.active(), Some(1), "it counts anew");
    team.run(1);
    assert_eq!(team.brain.active(), Some(0));
    // In order: the old one lives.
    assert_eq!((team.plan().collect, team.plan().alive), (0b01, 0b11));
}

#[test]
fn the_delay_does_not_hold_up_a_failover() {
    let mut team = Team::with(
        &TeamSettings {
            failback_delay: 3_600_000,
            ..backup(Failback::Always)
        },
        2,
    );
    team.link(0, false);
    team.link(0, true);
    team.link(1, false);
    assert_eq!(team.brain.active(), Some(0));
}

#[test]
fn sticky_stays_while_the_active_member_lives() {
    let mut team = Team::with(&backup(Failback::Sticky), 2);
    team.link(0, false);
    team.link(0, true);
    team.run(3600 * SECOND);
    assert_eq!(
        (team.brain.active(), team.brain.deadline()),
        (Some(1), None)
    );
    team.join_as(2, facts(2), with_priority(0));
    assert_eq!(team.brain.active(), Some(1));
    team.link(1, false);
    assert_eq!(team.brain.active(), Some(2));
}

#[test]
fn only_if_better_asks_for_speed_first() {
    let mut team = Team::new(&backup(Failback::OnlyIfBetter));
    let fast = |slot, speed| MemberFacts {
        speed,
        ..facts(slot)
    };
    team.join_as(0, facts(0), with_priority(5));
    let primary = MemberSettings {
        primary: true,
        ..member()
    };
    team.join_as(1, fast(1, GIGABIT / 10), primary);
    assert_eq!(team.brain.active(), Some(0), "primary, but slower");
    team.speed(1, GIGABIT);
    assert_eq!(team.brain.active(), Some(1), "as fast, and it comes first");
    team.join_as(2, fast(2, 10 * GIGABIT), member());
    assert_eq!(team.brain.active(), Some(2));
    team.gone(2);
    assert_eq!(team.brain.active(), Some(1));
}

#[test]
fn a_flap_within_the_down_delay_moves_nothing() {
    let mut team = Team::with(
        &TeamSettings {
            down_delay: 300,
            ..settings(Mode::ActiveBackup)
        },
        2,
    );
    let before = team.plan();
    team.link(0, false);
    assert_eq!(team.plan(), before);
    team.run(299 * MILLISECOND);
    team.link(0, true);
    team.run(SECOND);
    assert_eq!(team.plan(), before);
    team.link(0, false);
    team.run(300 * MILLISECOND);
    assert_eq!(team.brain.active(), Some(1));
}

#[test]
fn min_links_counts_those_that_are_ready() {
    let mut team = Team::with(
        &TeamSettings {
            min_links: 2,
            ..settings(Mode::ActiveBackup)
        },
        1,
    );
    assert_eq!((team.brain.active(), team.plan().link), (Some(0), None));
    team.join(1);
    assert_eq!(team.plan().link, Some(GIGABIT));
    team.link(1, false);
    assert_eq!(team.plan().link, None);
}

/// What happens to the members of the model.
#[derive(Clone, Copy, Debug)]
enum Event {
    Link(Slot, bool),
    Speed(Slot, u64),
    Leave(Slot),
    Gone(Slot),
    Join(Slot, u16, bool),
    Wait(Time),
}

fn event() -> impl Strategy<Value = Event> {
    let slot = || 0..5_u8;
    prop_oneof![
        4 => (slot(), any::<bool>()).prop_map(|(slot, up)| Event::Link(slot, up)),
        1 => (slot(), 1..4_u64).prop_map(|(slot, speed)| Event::Speed(slot, speed * GIGABIT)),
        1 => slot().prop_map(Event::Leave),
        1 => slot().prop_map(Event::Gone),
        2 => (slot(), 0..3_u16, any::<bool>())
            .prop_map(|(slot, priority, primary)| Event::Join(slot, priority, primary)),
        3 => (0..60_u64).prop_map(|time| Event::Wait(time * STEP)),
    ]
}

/// A member in the model: a list of what is true, nothing else.
#[derive(Clone, Copy, Debug)]
struct Simple {
    slot: Slot,
    primary: bool,
    priority: u16,
    number: u16,
    speed: u64,
    up_since: Option<Time>,
    leaving: bool,
}

/// How often the model looks.
const STEP: Time = 50 * MILLISECOND;

/// The choice as it would be explained to somebody.
struct Model {
    members: Vec<Simple>,
    failback: Failback,
    delay: Time,
    active: Option<Slot>,
}

impl Model {
    fn look(&mut self, now: Time) {
        let key = |member: &Simple| {
            let speed = match self.failback {
                Failback::OnlyIfBetter => u64::MAX - member.speed,
                _ => 0,
            };
            (speed, !member.primary, member.priority, member.number)
        };
        let usable = |member: &&Simple| member.up_since.is_some() && !member.leaving;
        let of = |slot| self.members.iter().find(|member| Some(member.slot) == slot);
        match of(self.active).filter(usable) {
            None => {
                let first = self.members.iter().filter(usable).min_by_key(|it| key(it));
                self.active = first.map(|member| member.slot);
            }
            Some(_) if self.failback == Failback::Sticky => {}
            Some(active) => {
                let waited = |member: &&Simple| {
                    let since = member.up_since.filter(|_| !member.leaving);
                    since.is_some_and(|since| since + self.delay <= now)
                };
                let best = self.members.iter().filter(waited).min_by_key(|it| key(it));
                if let Some(best) = best.filter(|best| key(best) < key(active)) {
                    self.active = Some(best.slot);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_choice_is_the_models(
        events in proptest::collection::vec(event(), 1..60), failback in 0..3_u8, delay in 0..3_u32,
    ) {
        let failback =
            [Failback::Always, Failback::Sticky, Failback::OnlyIfBetter][usize::from(failback)];
        let mut model = Model {
            members: Vec::new(),
            failback,
            delay: Time::from(delay) * SECOND,
            active: None,
        };
        let mut team = Team::new(&TeamSettings {
            failback_delay: delay * 1000,
            ..backup(failback)
        });
        for event in events {
            let now = team.now;
            let (Event::Link(slot, _) | Event::Speed(slot, _) | Event::Leave(slot)
                | Event::Gone(slot) | Event::Join(slot, ..)) = event else {
                let Event::Wait(time) = event else { continue };
                for _ in 0..time / STEP {
                    team.run(STEP);
                    model.look(team.now);
                    prop_assert_eq!(team.brain.active(), model.active);
                }
                continue;
            };
            let simple = model.members.iter_mut().find(|member| member.slot == slot);
            match (event, simple) {
                (Event::Link(slot, up), Some(simple)) => {
                    // A leaving one that is told to be up goes on leaving.
                    if up {
                        simple.up_since = simple.up_since.or(Some(now));
                    } else {
                        (simple.up_since, simple.leaving) = (None, false);
                    }
                    team.link(slot, up);
                }
                (Event::Speed(slot, speed), Some(simple)) => {
                    simple.speed = speed;
                    team.speed(slot, speed);
                    if simple.leaving && simple.up_since.is_none() {
                        simple.leaving = false;
                    }
                }
                (Event::Leave(slot), Some(simple)) => {
                    simple.leaving = true;
                    team.leave(slot);
                }
                (Event::Gone(slot), Some(_)) => {
                    model.members.retain(|member| member.slot != slot);
                    team.gone(slot);
                }
                (Event::Join(slot, priority, primary), None) => {
                    let settings = MemberSettings { primary, ..with_priority(priority) };
                    team.join_as(slot, facts(slot), settings);
                    model.members.push(Simple {
                        slot,
                        primary,
                        priority,
                        number: team.brain.member(slot).unwrap().number,
                        speed: GIGABIT,
                        up_since: Some(now),
                        leaving: false,
                    });
                }
                _ => continue,
            }
            model.look(team.now);
            prop_assert_eq!(team.brain.active(), model.active);
            let usable = model.members.iter()
                .filter(|member| member.up_since.is_some() && !member.leaving)
                .fold(0, |usable, member| usable | 1 << member.slot);
            prop_assert_eq!(team.plan().distribute, usable);
        }
    }
}
