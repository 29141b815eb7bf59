//! Active-backup: who is active, and when that changes.

use super::super::*;
use super::team::*;
use crate::settings::Failback;

#[test]
fn the_first_that_is_up_is_active_and_an_idle_team_has_no_deadline() {
    let mut team = Team::new(&settings(Mode::ActiveBackup));
    assert_eq!(
        (team.plan(), team.brain.deadline()),
        (Plan::default(), None)
    );
    team.join(0);
    team.join(1);
    assert_eq!(team.plan().distribute, 0b01);
    assert_eq!(team.plan().collect, 0b01);
    assert_eq!(team.plan().alive, 0b11);
    assert_eq!(team.plan().link, Some(GIGABIT));
    assert_eq!(team.brain.active(), Some(0));
    assert_eq!(team.brain.deadline(), None);
    team.run(3600 * SECOND);
    assert!(team.sent().is_empty());
}

#[test]
fn a_dead_member_is_left_at_once_and_its_bucket_order_stays() {
    let mut team = Team::with(&settings(Mode::ActiveBackup), 3);
    let before = team.plan().ranking;
    team.link(0, false);
    assert_eq!((team.plan().distribute, team.plan().alive), (0b010, 0b110));
    assert_eq!(team.plan().ranking, before);
    team.gone(1);
    assert_eq!(team.plan().distribute, 0b100);
    team.link(2, false);
    assert_eq!((team.plan().distribute, team.plan().link), (0, None));
}
