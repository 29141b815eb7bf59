//! `--tap` with a team: Linux above it, Open vSwitch's bond below. The parent runs the
//! programs and says when a member is to be pulled or put back and when the driver is to
//! be asked what it knows; all that happens here.

use lab_host::Host;
use lab_host::ndis::EdgeState;

use super::linux::{News, Talk};
use super::stage::{Stage, device};
use super::tour::{bring_down, bring_up};
use super::{progress, step, teams};
use crate::partners::shown_at;
use crate::summary::Summary;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Name of the scenario.
pub const NAME: &str = "linux-team";

/// What the parent orders, as its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Command {
    /// The member's cable is pulled.
    Pull = 1,
    /// It is put back.
    Plug = 2,
    /// The driver is asked what it shows of its teams.
    Show = 3,
}

/// The scenario.
pub fn run(host: &Host, stage: &Stage, talk: &Talk, summary: &mut Summary) {
    let Some(bindings) = bring_up(host, stage, summary) else {
        return;
    };
    let team = stage.topology.teams.first().map(|team| device(&team.name));
    let up = host.wait_until("for the team's link", 10 * MS, 20 * SECOND, |host| {
        let miniport = team.as_deref().and_then(|name| host.miniport(name));
        miniport.is_some_and(|miniport| {
            host.miniport_state(miniport) == Some(EdgeState::Running)
                && host
                    .miniport_facts(miniport)
                    .is_some_and(|facts| facts.connect_state == 1)
        })
    });
    step(summary, "the team has a link", up, "");
    stage.kick(host);
    if talk.say() {
        obey(host, stage, talk, summary);
    } else {
        step(summary, "Linux", false, "the parent is gone");
    }
    bring_down(host, &bindings, summary);
}

/// Does what the parent says, until it says no more.
fn obey(host: &Host, stage: &Stage, talk: &Talk, summary: &mut Summary) {
    let mut done = 0;
    loop {
        let mut word = None;
        let mut over = false;
        host.wait_until("for the partner", 2 * MS, SECOND / 2, |_| {
            match talk.news() {
                News::None => false,
                News::Done(command, about) => {
                    word = Some((command, about as usize));
                    true
                }
                News::Over => {
                    over = true;
                    true
                }
            }
        });
        // Said again and again: a sign of life while a program runs for long.
        progress(host, "orders of the partner", done, done + 1);
        if over {
            return;
        }
        let Some((command, about)) = word else {
            continue;
        };
        done += 1;
        let members = stage.topology.adapters.len();
        match command {
            c if c == Command::Pull as u64 && about < members => host.set_link(about, false),
            c if c == Command::Plug as u64 && about < members => host.set_link(about, true),
            c if c == Command::Show as u64 => match teams::shown(host, &shown_at(about)) {
                Ok(shown) => summary.shown.extend(shown),
                Err(why) => step(summary, "the control device shows the team", false, why),
            },
            other => step(
                summary,
                "orders of the partner",
                false,
                format!("{other} {about}"),
            ),
        }
        if !talk.say() {
            return;
        }
    }
}
