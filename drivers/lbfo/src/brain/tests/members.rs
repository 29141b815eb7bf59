//! Every transition of a member, one case each.

use std::collections::BTreeSet;
use std::vec::Vec;

use super::super::frames::{Said, parse};
use super::super::table::{COUNT, State, TRANSITIONS, markdown};
use super::super::*;
use super::team::*;
use crate::settings::{Station, TeamSettings};
use ethernet::Vlan;

/// Delays of a second each way.
fn delayed() -> TeamSettings {
    TeamSettings {
        up_delay: 1000,
        down_delay: 1000,
        ..settings(Mode::Hash)
    }
}

pub fn monitored(mode: Mode) -> TeamSettings {
    let mut settings = settings(mode);
    settings.monitor = Monitor::Any;
    settings.targets.push(Station {
        address: "192.0.2.1".parse().expect("an address"),
        vlan: Vlan::NONE,
    });
    settings
}

/// Lets the target answer every question of the last moment.
pub fn answer(team: &mut Team) {
    let now = team.now;
    let questions: Vec<_> = team
        .sent()
        .into_iter()
        .filter(|(at, ..)| *at == now)
        .map(|(_, slot, frame)| (slot, parse(frame).expect("a question")))
        .collect();
    for (slot, question) in questions {
        let Said::Question { target, .. } = question.said else {
            panic!("not a question");
        };
        let answer = super::monitor::answer(target, &question);
        team.event(Happened::Received(slot, &answer));
    }
}

/// Leads to a transition.
type Case = fn() -> Team;

/// Name, and what leads to it. Each ends right behind the transition.
const CASES: &[(&str, Case)] = &[
    ("LINK_UP", || {
        let mut team = Team::with(&delayed(), 2);
        assert_eq!(team.state(1), State::UpDelay);
        assert_eq!(team.brain.deadline(), Some(SECOND));
        team.run(SECOND / 2);
        assert_eq!(team.plan().distribute, 0b01, "delayed");
        team
    }),
    ("UP_DELAY_CUT", || {
        let mut team = Team::with(&delayed(), 2);
        team.run(SECOND / 2);
        team.link(1, false);
        assert_eq!((team.state(1), team.brain.deadline()), (State::Down, None));
        team.run(SECOND);
        team.link(1, true);
        team.run(SECOND - 1);
        assert_eq!(team.state(1), State::UpDelay, "it begins anew");
        team
    }),
    ("UP_DELAY_OVER", || {
        let mut team = Team::with(&delayed(), 2);
        team.run(SECOND);
        assert_eq!(
            (team.state(1), team.plan().distribute),
            (State::Ready, 0b11)
        );
        team
    }),
    ("UP_DELAY_SKIPPED", || {
        let mut team = Team::with(&delayed(), 1);
        assert_eq!(team.state(0), State::Ready, "nobody is in use");
        // And when the last one that is goes.
        team.join(1);
        assert_eq!(team.state(1), State::UpDelay);
        team.link(0, false);
        assert_eq!(
            (team.state(1), team.plan().distribute),
            (State::Ready, 0b10)
        );
        team
    }),
    ("PROBING_CUT", || {
        let mut team = Team::with(&monitored(Mode::Hash), 1);
        assert_eq!(team.state(0), State::Probing);
        team.link(0, false);
        assert_eq!((team.state(0), team.brain.deadline()), (State::Down, None));
        team
    }),
    ("ANSWERED", || {
        let mut team = Team::with(&monitored(Mode::Hash), 1);
        assert_eq!((team.plan().distribute, team.plan().link), (0, None));
        answer(&mut team);
        assert_eq!((team.state(0), team.plan().distribute), (State::Ready, 1));
        assert_eq!(team.told(EventKind::MemberUp), [(Some(0), GIGABIT)]);
        team
    }),
    ("LINK_LOST", || {
        let mut team = Team::with(&delayed(), 1);
        team.link(0, false);
        assert_eq!(team.state(0), State::Down, "no delay without another");
        assert_eq!(team.told(EventKind::MemberDown), [(Some(0), 1)]);
        assert_eq!(team.told(EventKind::TeamLink), [(None, GIGABIT), (None, 0)]);
        team
    }),
    ("LINK_FLAPS", || {
        let mut team = Team::with(&delayed(), 2);
        team.run(SECOND);
        team.link(0, false);
        assert_eq!(team.state(0), State::DownDelay);
        assert_eq!(team.plan().distribute, 0b11, "it may come back");
        team
    }),
    ("LINK_BACK", || {
        let mut team = Team::with(&delayed(), 2);
        team.run(SECOND);
        team.link(0, false);
        team.run(SECOND - 1);
        team.link(0, true);
        assert_eq!((team.state(0), team.brain.deadline()), (State::Ready, None));
        assert_eq!(team.told(EventKind::MemberDown), []);
        team
    }),
    ("DOWN_DELAY_OVER", || {
        let mut team = Team::with(&delayed(), 2);
        team.run(SECOND);
        team.link(0, false);
        team.run(SECOND);
        assert_eq!((team.state(0), team.plan().distribute), (State::Down, 0b10));
        assert_eq!(team.plan().alive, 0b10);
        assert_eq!(team.told(EventKind::MemberDown), [(Some(0), 1)]);
        team
    }),
    ("DOWN_DELAY_SKIPPED", || {
        let mut team = Team::with(&delayed(), 2);
        team.run(SECOND);
        team.link(0, false);
        team.run(SECOND / 2);
        team.link(1, false);
        // Neither has another to spare it.
        assert_eq!(
            team.plan(),
            Plan {
                ranking: team.plan().ranking,
                ..Plan::default()
            }
        );
        assert_eq!(team.brain.deadline(), None);
        team
    }),
    ("SILENT", || {
        let mut team = Team::with(&monitored(Mode::Hash), 1);
        answer(&mut team);
        team.run(3 * SECOND);
        assert_eq!(
            team.state(0),
            State::Ready,
            "two are unanswered, and one not due"
        );
        team.run(SECOND);
        assert_eq!((team.state(0), team.plan().alive), (State::Probing, 0));
        assert_eq!(team.told(EventKind::MemberDown), [(Some(0), 2)]);
        team
    }),
    ("LEAVE_IN_USE", || {
        let mut team = Team::with(&delayed(), 2);
        team.run(SECOND);
        team.leave(1);
        assert_eq!(team.state(1), State::Leaving);
        assert_eq!((team.plan().distribute, team.plan().alive), (0b01, 0b11));
        assert_eq!(team.told(EventKind::MemberDown), [(Some(1), 3)]);
        team
    }),
    ("LEAVE_IN_DOWN_DELAY", || {
        let mut team = Team::with(&delayed(), 2);
        team.run(SECOND);
        team.link(1, false);
        team.leave(1);
        assert_eq!((team.plan().distribute, team.plan().alive), (0b01, 0b01));
        assert_eq!(team.told(EventKind::MemberDown), [(Some(1), 3)]);
        team
    }),
    ("LEAVE_UNUSED", || {
        for state in [State::UpDelay, State::Down] {
            let mut team = Team::with(&delayed(), 2);
            team.link(1, state == State::UpDelay);
            assert_eq!(team.state(1), state);
            team.leave(1);
            assert_eq!(
                (team.state(1), team.brain.deadline()),
                (State::Leaving, None)
            );
        }
        let mut team = Team::with(&monitored(Mode::Hash), 1);
        team.leave(0);
        assert_eq!(
            (team.state(0), team.brain.deadline()),
            (State::Leaving, None)
        );
        assert_eq!(team.told(EventKind::MemberDown), [], "it was not up");
        team
    }),
    ("STAY", || {
        let mut team = Team::with(&delayed(), 2);
        team.run(SECOND);
        team.leave(1);
        team.speed(1, 10 * GIGABIT);
        assert_eq!(team.state(1), State::Leaving, "that is no reason to stay");
        // Paused, and running again.
        team.link(1, false);
        assert_eq!(team.state(1), State::Down);
        team.link(1, true);
        team.run(SECOND);
        assert_eq!(team.plan().distribute, 0b11);
        // Bound again before it was gone.
        team.leave(1);
        team.join(1);
        assert_eq!(team.state(1), State::UpDelay);
        team
    }),
];

#[test]
fn every_transition_has_a_case_that_takes_it() {
    let cases: BTreeSet<_> = CASES.iter().map(|(name, _)| *name).collect();
    let table: BTreeSet<_> = TRANSITIONS.iter().map(|row| row.name).collect();
    assert_eq!(cases, table);
    assert_eq!(table.len(), COUNT, "names are different");
    for (name, case) in CASES {
        let taken = case().taken();
        assert!(taken.contains(name), "{name}: {taken:?}");
    }
}

#[test]
fn every_state_is_entered_and_left_by_the_table() {
    for state in State::ALL {
        assert!(TRANSITIONS.iter().any(|row| row.to == state), "{state:?}");
        assert!(
            TRANSITIONS.iter().any(|row| row.from == Some(state)),
            "{state:?}"
        );
    }
    let mut text = String::new();
    markdown(&mut text).expect("a string");
    assert_eq!(text.lines().count(), 2 + COUNT);
    assert!(text.contains("| LINK_UP | DOWN | the link is up | UP_DELAY | start UpDelay;"));
}

/// All 32 in one moment, each way.
#[test]
fn a_team_of_32_comes_and_goes_at_once() {
    let mut team = Team::with(&delayed(), 32);
    assert_eq!(team.plan().distribute, 1);
    team.run(SECOND);
    assert_eq!(team.plan().distribute, u32::MAX);
    assert_eq!(team.plan().link, Some(32 * GIGABIT));
    for slot in 0..32 {
        team.link(slot, false);
    }
    assert_eq!(team.plan().distribute, 0);
    for slot in 0..32 {
        team.gone(slot);
    }
    assert_eq!(team.brain.deadline(), None);
}

#[test]
fn a_slot_beyond_the_last_and_one_without_a_member_do_nothing() {
    let mut team = Team::with(&settings(Mode::Hash), 2);
    let before = team.plan();
    for slot in [2, 31, 32, 255] {
        team.event(Happened::Leaving(slot));
        team.event(Happened::Changed(slot, facts(0)));
        team.event(Happened::Left(slot));
        team.event(Happened::Received(slot, &[0; 64]));
    }
    for slot in [32, 255] {
        team.event(Happened::Joined(slot, facts(3), &member()));
    }
    assert_eq!(team.plan(), before);
}

#[test]
fn numbers_are_the_ones_that_are_set_else_the_smallest_that_are_free() {
    let mut team = Team::new(&settings(Mode::Hash));
    let numbered = |index| MemberSettings { index, ..member() };
    for (slot, index, number) in [
        (5, 0, 1),
        (6, 2, 2),
        (7, 0, 3),
        (8, 3, 33 + 8), // taken: one that nobody can set
        (9, 32, 32),
        (10, 0, 4),
    ] {
        team.join_as(slot, facts(slot), numbered(index));
        assert_eq!(
            team.brain.member(slot).map(|member| member.number),
            Some(number)
        );
    }
    team.gone(5);
    team.join(11);
    assert_eq!(team.brain.member(11).map(|member| member.number), Some(1));
}

#[test]
fn time_that_goes_back_stands_still() {
    let mut team = Team::with(&delayed(), 2);
    team.now = SECOND / 2;
    team.event(Happened::Time);
    team.now = 0;
    team.link(0, false);
    team.link(0, true);
    team.now = SECOND;
    team.event(Happened::Time);
    assert_eq!(team.state(0), State::UpDelay);
    assert_eq!(team.brain.deadline(), Some(SECOND * 3 / 2));
}
