//! A plan out of a number.
//!
//! What a plan may do is drawn from everything that NDIS may do to an intermediate driver of
//! this shape, several things at once where Windows does so. The same number and shape give the
//! same plan on every machine.

use lab_host::Manner;
use lab_host::{Schedule, Step};
use lab_net::mix::Chance;

use crate::plan::{Action, Knobs, Plan, Shape, Start};
use crate::plans;

const US: u64 = 1_000;

/// How many disturbing events a plan has at most, beside those of its end.
const EVENTS: u64 = 6;

/// What may pend is done in any way more often than in one.
const MANNERS: [Manner; 5] = [
    Manner::Any,
    Manner::Any,
    Manner::Inline,
    Manner::Pending,
    Manner::Early,
];

/// The plan of a number.
pub fn generate(seed: u64, shape: &Shape) -> Plan {
    let mut chance = Chance::new(seed);
    let mut shape = shape.clone();
    for adapter in &mut shape.adapters {
        adapter.pend = [0, 30, 50, 100][chance.below(4) as usize];
        adapter.resources = [0, 10, 50, 100][chance.below(4) as usize];
    }
    for miniport in &mut shape.miniports {
        if miniport.start == Start::Either {
            miniport.start = [Start::Either, Start::Inside, Start::Later][chance.below(3) as usize];
        }
    }
    let mut maker = Maker {
        chance,
        shape: &shape,
    };
    let mut middle = maker.traffic();
    for _ in 0..=maker.chance.below(EVENTS) {
        match maker.chance.below(4) {
            0 => middle.extend(maker.traffic()),
            1 => {
                let count = 2 + maker.chance.below(3);
                let actions = (0..count).map(|_| maker.event()).collect();
                middle.push(Action::Together { actions });
            }
            _ => middle.push(maker.event()),
        }
    }
    let vanish = maker.chance.below(4) == 0;
    let mut chance = maker.chance;
    let knobs = Knobs {
        schedule: Schedule {
            switch_every: [1, 2, 4, 16, 1024][chance.below(5) as usize],
            locked_every: [0, 0, 2, 8][chance.below(4) as usize],
            processors: [0, 0, 1, 2][chance.below(4) as usize],
            steps: steps(&mut chance),
            only: None,
        },
        manner: MANNERS[chance.below(5) as usize],
        frame: [64, 128, 600][chance.below(3) as usize],
        ..Knobs::default()
    };
    let mut plan = Plan::life(format!("{seed:#x}"), shape, middle);
    if vanish {
        for action in &mut plan.actions {
            if let Action::Unbind { adapter } = *action {
                *action = Action::Vanish { adapter };
            }
        }
    }
    plan.seed = seed;
    plan.knobs = knobs;
    plan
}

/// The plan of a number, short: every adapter pends, eight lists each way, one disturbing event
/// while they are under way or after, pause, unbind, unload.
pub fn short(seed: u64, shape: &Shape) -> Plan {
    let mut shape = shape.clone();
    for adapter in &mut shape.adapters {
        adapter.pend = 50;
    }
    let mut maker = Maker {
        chance: Chance::new(seed),
        shape: &shape,
    };
    let mut middle = plans::traffic(&shape, 8);
    if maker.flag() {
        middle.push(Action::Settle);
    }
    middle.push(maker.event());
    let adapters = 0..shape.adapters.len();
    middle.extend(adapters.map(|adapter| Action::PauseLower { adapter }));
    let mut chance = maker.chance;
    let knobs = Knobs {
        schedule: Schedule {
            switch_every: [1, 4, 16, 64][chance.below(4) as usize],
            processors: [0, 1, 2][chance.below(3) as usize],
            ..Schedule::default()
        },
        manner: MANNERS[chance.below(5) as usize],
        frame: 64,
        ..Knobs::default()
    };
    Plan {
        seed,
        knobs,
        ..Plan::life(format!("{seed:#x}, short"), shape, middle)
    }
}

/// Instructions of callbacks before which there is a switch: in a third of the plans.
fn steps(chance: &mut Chance) -> Vec<Step> {
    const CALLBACKS: [&str; 8] = [
        "MiniportSendNetBufferLists",
        "ProtocolSendNetBufferListsComplete",
        "ProtocolReceiveNetBufferLists",
        "MiniportReturnNetBufferLists",
        "MiniportPause",
        "MiniportOidRequest",
        "ProtocolStatusEx",
        "ProtocolNetPnPEvent",
    ];
    if chance.below(3) > 0 {
        return Vec::new();
    }
    let count = 1 + chance.below(3);
    let mut step = |_| Step {
        callback: CALLBACKS[chance.below(8) as usize].to_owned(),
        call: 1 + chance.below(4),
        instruction: 1 + chance.below(300),
    };
    (0..count).map(&mut step).collect()
}

struct Maker<'a> {
    chance: Chance,
    shape: &'a Shape,
}

impl Maker<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.chance.below(bound.max(1) as u64) as usize
    }

    fn upper(&mut self) -> usize {
        let count = self.shape.miniports.len();
        self.below(count)
    }

    fn adapter(&mut self) -> usize {
        let count = self.shape.adapters.len();
        self.below(count)
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    /// At least eight lists each way.
    fn traffic(&mut self) -> Vec<Action> {
        let upper = self.upper();
        let adapters: Vec<usize> = self.shape.adapters_of(upper).collect();
        let adapter = adapters[self.below(adapters.len())];
        let lists = 8 + self.below(9) as u32;
        vec![
            Action::Send { upper, lists },
            Action::Receive {
                adapter,
                upper,
                lists,
                resources: [None, Some(true), Some(false)][self.below(3)],
            },
            [
                Action::Settle,
                Action::Sleep {
                    ns: self.below(40) as u64 * US,
                },
            ][self.below(2)]
            .clone(),
        ]
    }

    fn request(&mut self) -> Action {
        let all = plans::requests();
        let upper = self.upper();
        let mut action = plans::oid(upper, &all[self.below(all.len())]);
        let (flag, after) = (self.below(4), self.below(60) as u64 * US);
        if let Action::Oid {
            direct,
            cancel_after,
            ..
        } = &mut action
        {
            *direct = flag == 0;
            *cancel_after = (flag < 2).then_some(after);
        }
        action
    }

    fn event(&mut self) -> Action {
        let (upper, adapter) = (self.upper(), self.adapter());
        let up = self.flag();
        match self.below(20) {
            0 => Action::PauseUpper { upper },
            1 => Action::RestartUpper { upper },
            2 => Action::PauseLower { adapter },
            3 => Action::RestartLower { adapter },
            4 => Action::PowerUpper { upper, up },
            5 => Action::PowerLower { adapter, up },
            6 => Action::Link { adapter, up },
            7 => {
                let (code, bytes) = plans::STATUSES[self.below(plans::STATUSES.len())];
                let times = [1, 1, 40][self.below(3)];
                Action::Status {
                    adapter,
                    code,
                    bytes,
                    times,
                }
            }
            8 => Action::Reset {
                adapter,
                ns: self.below(200) as u64 * US,
            },
            9 => Action::Reconfigure {
                adapter: up.then_some(adapter),
            },
            10 => Action::NetEvent {
                adapter,
                code: plans::EVENTS[self.below(plans::EVENTS.len())],
            },
            11 => Action::HoldOids { hold: up },
            12 => Action::HoldSends { adapter, hold: up },
            13 => Action::CancelSends {
                upper,
                id: 1 + self.below(2) as u64,
            },
            14 => {
                let mut list = self.shape.adapters[adapter].upper.clone();
                if up && !list.is_empty() {
                    let at = self.below(list.len());
                    list.remove(at);
                }
                Action::SetUpper {
                    adapter,
                    upper: list,
                }
            }
            15 => Action::RestartDevice { upper },
            16 => match self.below(4) {
                0 => Action::Halt { upper },
                1 => Action::Unbind { adapter },
                2 => Action::Vanish { adapter },
                _ => Action::Bind { adapter },
            },
            17 if !self.shape.asks.is_empty() => {
                let ask = self.shape.asks[self.below(self.shape.asks.len())].clone();
                Action::Control {
                    code: ask.code,
                    input: ask.input,
                    output: ask.output,
                }
            }
            18 => {
                let lists = 1 + self.below(16) as u32;
                Action::Send { upper, lists }
            }
            _ => self.request(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_plan_and_numbers_differ() {
        let shape = Shape::default();
        let plans: Vec<Plan> = (0..200).map(|seed| generate(seed, &shape)).collect();
        for (seed, plan) in plans.iter().enumerate() {
            assert_eq!(*plan, generate(seed as u64, &shape));
            let back: Plan = toml::from_str(&plan.to_toml()).expect("a scenario file");
            assert_eq!(back, *plan);
            assert_eq!(plan.actions.first(), Some(&Action::Entry));
            assert_eq!(plan.actions.last(), Some(&Action::Unload));
        }
        assert!(plans.windows(2).all(|two| two[0].actions != two[1].actions));
        let all =
            |wanted: fn(&Action) -> bool| plans.iter().any(|plan| plan.actions.iter().any(wanted));
        assert!(all(|action| matches!(action, Action::Together { .. })));
        assert!(all(|action| matches!(action, Action::Vanish { .. })));
    }

    #[test]
    fn a_short_plan_has_traffic_each_way_one_event_and_its_end() {
        let shape = Shape::default();
        let plans: Vec<Plan> = (0..400).map(|seed| short(seed, &shape)).collect();
        let mut events = std::collections::BTreeSet::new();
        for (seed, plan) in plans.iter().enumerate() {
            assert_eq!(*plan, short(seed as u64, &shape));
            assert!(plan.shape.adapters.iter().all(|adapter| adapter.pend > 0));
            let [
                Action::Entry,
                Action::Bind { .. },
                Action::Send { lists: 8.., .. },
                Action::Receive { lists: 8.., .. },
                middle @ ..,
                Action::PauseLower { .. },
                Action::Unbind { .. },
                Action::Uninstall,
                Action::Unload,
            ] = &plan.actions[..]
            else {
                panic!("{:?}", plan.actions)
            };
            let event = middle.strip_prefix(&[Action::Settle]).unwrap_or(middle);
            assert_eq!(event.len(), 1, "{event:?}");
            events.insert(format!("{:?}", std::mem::discriminant(&event[0])));
        }
        assert!(events.len() > 15, "{events:?}");
    }
}
