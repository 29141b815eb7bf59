//! The shortest plan that still breaks the same rule.
//!
//! Taking out is all it does: actions (halves, quarters, … single ones), actions of those that
//! run together, faults, lists of a send, and what the knobs add. Every step plays the candidate
//! and keeps it if the rule is broken again. Plays are deterministic, so what it returns fails.

use lab_host::Schedule;

use crate::plan::{Action, Knobs, Plan};

/// Shrinks a plan that `fails`; `most` candidates are tried at most. Returns the plan and how
/// many were.
pub fn shrink(plan: &Plan, most: usize, mut fails: impl FnMut(&Plan) -> bool) -> (Plan, usize) {
    let mut best = plan.clone();
    let mut tried = 0;
    let mut attempt = |candidate: Plan, best: &mut Plan, tried: &mut usize| {
        if *tried >= most || candidate == *best {
            return false;
        }
        *tried += 1;
        let better = fails(&candidate);
        if better {
            *best = candidate;
        }
        better
    };
    loop {
        let before = best.clone();
        // Runs of actions, long ones first.
        let mut length = best.actions.len();
        while length > 0 {
            let mut at = 0;
            while at < best.actions.len() {
                let mut candidate = best.clone();
                let end = (at + length).min(candidate.actions.len());
                candidate.actions.drain(at..end);
                if !attempt(candidate, &mut best, &mut tried) {
                    at += length;
                }
            }
            length /= 2;
        }
        for at in 0..best.actions.len() {
            for smaller in smaller(&best.actions[at]) {
                let mut candidate = best.clone();
                candidate.actions[at] = smaller;
                if attempt(candidate, &mut best, &mut tried) {
                    break;
                }
            }
        }
        for at in (0..best.knobs.faults.len()).rev() {
            let mut candidate = best.clone();
            candidate.knobs.faults.remove(at);
            attempt(candidate, &mut best, &mut tried);
        }
        for knobs in simpler(&best.knobs) {
            let mut candidate = best.clone();
            candidate.knobs = knobs;
            attempt(candidate, &mut best, &mut tried);
        }
        if best == before || tried >= most {
            return (best, tried);
        }
    }
}

/// The same action with less in it, smallest first.
fn smaller(action: &Action) -> Vec<Action> {
    let fewer = |lists: u32| {
        [1, lists / 2]
            .into_iter()
            .filter(move |&n| n > 0 && n < lists)
    };
    match action {
        Action::Send { upper, lists } => fewer(*lists)
            .map(|lists| Action::Send {
                upper: *upper,
                lists,
            })
            .collect(),
        Action::Receive {
            adapter,
            upper,
            lists,
            resources,
        } => fewer(*lists)
            .map(|lists| Action::Receive {
                adapter: *adapter,
                upper: *upper,
                lists,
                resources: *resources,
            })
            .collect(),
        Action::Status {
            adapter,
            code,
            bytes,
            times,
        } if *times > 1 => vec![Action::Status {
            adapter: *adapter,
            code: *code,
            bytes: *bytes,
            times: 1,
        }],
        Action::Together { actions } => {
            let mut all = actions.clone();
            // One alone needs no company.
            all.extend((0..actions.len()).rev().map(|at| {
                let mut rest = actions.clone();
                rest.remove(at);
                Action::Together { actions: rest }
            }));
            all
        }
        _ => Vec::new(),
    }
}

/// Knobs that are nearer to the usual ones.
fn simpler(knobs: &Knobs) -> Vec<Knobs> {
    let usual = Knobs {
        faults: knobs.faults.clone(),
        guarded: knobs.guarded,
        breach: knobs.breach,
        ..Knobs::default()
    };
    let mut all = vec![
        usual.clone(),
        Knobs {
            manner: usual.manner,
            ..knobs.clone()
        },
        Knobs {
            frame: usual.frame,
            ..knobs.clone()
        },
        Knobs {
            rough: usual.rough,
            ..knobs.clone()
        },
        Knobs {
            lean: usual.lean,
            ..knobs.clone()
        },
        Knobs {
            schedule: usual.schedule.clone(),
            ..knobs.clone()
        },
        Knobs {
            schedule: Schedule {
                steps: Vec::new(),
                locked_every: 0,
                ..knobs.schedule.clone()
            },
            ..knobs.clone()
        },
    ];
    // One switch less.
    if let Some(only) = &knobs.schedule.only {
        for at in 0..only.len() {
            let mut fewer = knobs.clone();
            if let Some(only) = &mut fewer.schedule.only {
                only.remove(at);
            }
            all.push(fewer);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Shape;

    fn has(plan: &Plan, wanted: &Action) -> bool {
        plan.actions.iter().any(|action| match action {
            Action::Together { actions } => actions.contains(wanted),
            action => action == wanted,
        })
    }

    #[test]
    fn only_what_is_needed_is_left() {
        let pause = Action::PauseUpper { upper: 0 };
        let control = Action::Control {
            code: 1,
            input: Vec::new(),
            output: 0,
        };
        let mut middle = crate::plans::traffic(&Shape::default(), 8);
        middle.push(Action::Together {
            actions: vec![Action::Settle, pause.clone(), control.clone()],
        });
        middle.extend(crate::plans::traffic(&Shape::default(), 8));
        let plan = Plan::life("long", Shape::default(), middle);
        let fails = |plan: &Plan| has(plan, &pause) && has(plan, &Action::Entry);
        let (short, tried) = shrink(&plan, 1000, fails);
        assert_eq!(short.actions, [Action::Entry, pause.clone()]);
        assert!(tried > 2);
        // Where tries are counted, fewer lead to less.
        let (cut, tried) = shrink(&plan, 1, fails);
        assert_eq!(tried, 1);
        assert!(cut.actions.len() >= short.actions.len());
    }
}
