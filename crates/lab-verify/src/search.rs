//! Bounded-preemption search: the plays of a plan in which tasks are switched at chosen points
//! alone, at no more than two of them.
//!
//! Most races need one or two switches at the right place. So a plan is first played with none
//! but those where tasks wait; that shows how many points there are. Then it is played with a
//! switch at each point, or at every n-th when there are too many; then with pairs drawn from the
//! number.

use lab_net::mix::Chance;

use crate::plan::{Action, Plan, Shape};
use crate::plans;

/// Plans whose parts race: what is done at once is what two threads of Windows do at once.
pub fn races(shape: &Shape) -> Vec<Plan> {
    let upper = 0;
    let adapter = shape.adapters_of(upper).next().unwrap_or(0);
    let traffic = || plans::traffic(shape, 8);
    let query = || plans::oid(upper, &plans::requests()[0]);
    let set = || plans::oid(upper, &plans::requests()[7]);
    let status = || Action::Status {
        adapter,
        code: plans::STATUSES[0].0,
        bytes: plans::STATUSES[0].1,
        times: 2,
    };
    let link = |up| Action::Link { adapter, up };
    let mut all: Vec<(&str, Vec<Action>)> = Vec::new();
    for (name, one) in [
        ("pause above", Action::PauseUpper { upper }),
        ("pause below", Action::PauseLower { adapter }),
        ("power above", Action::PowerUpper { upper, up: false }),
        ("power below", Action::PowerLower { adapter, up: false }),
        ("unbind", Action::Unbind { adapter }),
        ("vanish", Action::Vanish { adapter }),
        ("halt", Action::Halt { upper }),
        ("restart", Action::RestartDevice { upper }),
        ("reset", Action::Reset { adapter, ns: 2_000 }),
        (
            "reconfigure",
            Action::Reconfigure {
                adapter: Some(adapter),
            },
        ),
    ] {
        let mut middle = traffic();
        middle.push(Action::Together {
            actions: vec![
                one,
                query(),
                status(),
                Action::Send { upper, lists: 4 },
                Action::Receive {
                    adapter,
                    upper,
                    lists: 4,
                    resources: None,
                },
            ],
        });
        middle.extend([
            Action::RestartUpper { upper },
            Action::RestartLower { adapter },
        ]);
        all.push((name, middle));
    }
    let mut middle = traffic();
    middle.push(Action::Together {
        actions: vec![
            Action::PauseUpper { upper },
            Action::PauseLower { adapter },
            set(),
            link(false),
        ],
    });
    middle.push(Action::Together {
        actions: vec![
            Action::RestartUpper { upper },
            Action::RestartLower { adapter },
            query(),
            link(true),
        ],
    });
    middle.extend(traffic());
    all.push(("both edges", middle));
    all.into_iter()
        .map(|(name, middle)| Plan::life(format!("race: {name}"), shape.clone(), middle))
        .collect()
}

/// A plan with switches at these points alone.
pub fn at(plan: &Plan, points: &[u64]) -> Plan {
    let mut plan = plan.clone();
    if !points.is_empty() {
        let list: Vec<String> = points.iter().map(ToString::to_string).collect();
        plan.name = format!("{}, switched at {}", plan.name, list.join(" and "));
    }
    plan.knobs.schedule.only = Some(points.to_vec());
    plan
}

/// Where to switch, of so many points: none, then one, then pairs; `most` sets in all.
pub fn points(points: u64, most: u64, seed: u64) -> Vec<Vec<u64>> {
    let mut all = vec![Vec::new()];
    let singles = (most / 2).max(1);
    let step = points.div_ceil(singles).max(1);
    let mut at = 1;
    while at <= points {
        all.push(vec![at]);
        at += step;
    }
    let mut chance = Chance::new(seed);
    while (all.len() as u64) < most && points >= 2 {
        let first = 1 + chance.below(points);
        // Near each other more often than not: what races takes a few calls.
        let reach = if chance.below(4) > 0 { 40 } else { points };
        let second = (first + 1 + chance.below(reach)).min(points);
        if second > first {
            all.push(vec![first, second]);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_then_pairs() {
        let all = points(10, 40, 1);
        assert_eq!(all.len(), 40);
        assert!(all[0].is_empty());
        for point in 1..=10 {
            assert!(all.contains(&vec![point]));
        }
        assert!(
            all[11..]
                .iter()
                .all(|two| two.len() == 2 && two[0] < two[1])
        );
        assert_eq!(all, points(10, 40, 1));
        assert_ne!(all, points(10, 40, 2));
        // Of many points a part.
        let some = points(10_000, 100, 1);
        assert!(some.len() <= 101);
        assert!(some.iter().flatten().all(|&point| point <= 10_000));
        assert_eq!(points(0, 10, 1), vec![Vec::<u64>::new()]);
    }
}
