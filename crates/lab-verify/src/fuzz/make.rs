//! Plans at random, and changes of plans.

use lab_net::mix::Chance;

use super::Target;
use super::words::Words;
use crate::generate::generate;
use crate::plan::{Action, Plan, Request, Setting, Shape, hex};
use crate::plans;

/// Longest frame without a tag.
const LONGEST: u64 = 1514;
/// EtherTypes that somebody may look into.
const TYPES: [u16; 12] = [
    0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x9100, 0x8809, 0x888E, 0x88CC, 0x0026, 0xFFFF, 0x0000,
];

/// Makes things at random.
pub(super) struct Maker<'a> {
    pub(super) chance: &'a mut Chance,
    pub(super) words: &'a Words,
}

impl Maker<'_> {
    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.chance.below(from.len() as u64) as usize;
        from.get(at).copied()
    }

    /// A plan from nothing.
    pub(super) fn fresh(&mut self, target: Target, shape: &Shape) -> Plan {
        let seed = self.chance.next() >> 1;
        if target == Target::Orders {
            return generate(seed, shape);
        }
        let mut shape = shape.clone();
        if target == Target::Configuration {
            for _ in 0..=self.chance.below(4) {
                self.set(&mut shape);
            }
        }
        let mut middle = Vec::new();
        for _ in 0..=self.chance.below(6) {
            middle.extend(self.action(target, &shape));
        }
        middle.extend(plans::traffic(&shape, 2));
        middle.push(Action::Settle);
        let mut plan = Plan::life(target.name(), shape, middle);
        plan.seed = seed;
        plan.knobs.schedule.switch_every = self.pick(&[1, 4, 64]).unwrap_or(4);
        plan.knobs.rough = target == Target::Frames && self.chance.below(2) == 0;
        plan
    }

    /// Changes a plan a little.
    pub(super) fn change(&mut self, target: Target, plan: &mut Plan) {
        let count = plan.actions.len() as u64;
        // What begins and ends a life stays where it is.
        let at = 1 + self.chance.below(count.saturating_sub(1).max(1));
        let at = (at as usize).min(plan.actions.len());
        match self.chance.below(6) {
            0 if target == Target::Configuration => self.set(&mut plan.shape),
            0 if target == Target::Frames => plan.knobs.rough = !plan.knobs.rough,
            0 | 1 => {
                let shape = plan.shape.clone();
                if let Some(action) = self.action(target, &shape) {
                    plan.actions.insert(at, action);
                }
            }
            2 if plan.actions.len() > 4 => {
                if at < plan.actions.len() {
                    plan.actions.remove(at);
                }
            }
            3 => {
                if let Some(action) = plan.actions.get(at).cloned() {
                    plan.actions.insert(at, action);
                }
            }
            _ => {
                if let Some(action) = plan.actions.get_mut(at) {
                    self.twist(action);
                }
            }
        }
    }

    /// Something to do.
    fn action(&mut self, target: Target, shape: &Shape) -> Option<Action> {
        let uppers = shape.miniports.len() as u64;
        let adapters = shape.adapters.len() as u64;
        let upper = self.chance.below(uppers) as usize;
        let adapter = self.chance.below(adapters) as usize;
        Some(match target {
            Target::Frames => {
                let frames = (0..=self.chance.below(4))
                    .map(|_| hex(&self.frame()))
                    .collect();
                if self.chance.below(2) == 0 {
                    Action::SendRaw { upper, frames }
                } else {
                    Action::ReceiveRaw { adapter, frames }
                }
            }
            Target::Oids => self.request(upper),
            Target::Control => self.control(),
            Target::Configuration => Action::Reconfigure {
                adapter: (self.chance.below(2) == 0).then_some(adapter),
            },
            // Whatever may happen to a driver.
            Target::Orders => {
                let other = generate(self.chance.next(), shape);
                let at = self.chance.below(other.actions.len() as u64) as usize;
                other.actions.get(at).cloned()?
            }
        })
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = match self.chance.below(4) {
            0 => self.chance.below(4),
            1 => self.chance.below(most.min(32) + 1),
            _ => self.chance.below(most + 1),
        };
        let fill = self.chance.below(3);
        let random = |maker: &mut Self| match fill {
            0 => 0,
            1 => 0xFF,
            _ => maker.chance.next() as u8,
        };
        (0..length).map(|_| random(self)).collect()
    }

    /// Headers that a driver may look into, cut off or made longer anywhere.
    fn frame(&mut self) -> Vec<u8> {
        let mut frame = Vec::new();
        for _ in 0..2 {
            let address: [u8; 6] = match self.chance.below(6) {
                0 => [0xFF; 6],
                1 => [0x01, 0x80, 0xC2, 0, 0, self.chance.below(16) as u8],
                2 => [0x33, 0x33, 0, 0, 0, 1],
                3 => [0; 6],
                4 => [0x02, 0x4c, 0x41, 0x50, 0, self.chance.below(4) as u8],
                _ => [0x02, 0x4c, 0x41, 0x60, 0, self.chance.below(4) as u8],
            };
            frame.extend(address);
        }
        for _ in 0..self.chance.below(4) {
            let tag = self.pick(&[0x8100_u16, 0x8100, 0x88A8]).unwrap_or(0x8100);
            frame.extend(tag.to_be_bytes());
            let vlan = self.pick(&[0_u16, 1, 10, 20, 4094, 4095]).unwrap_or(0);
            let control = vlan | (self.chance.below(16) as u16) << 12;
            frame.extend(control.to_be_bytes());
        }
        let kind = self.pick(&TYPES).unwrap_or(0x0800);
        frame.extend(kind.to_be_bytes());
        match kind {
            0x0800 => {
                let length = 4 + self.chance.below(12) as u8;
                let protocol = self.pick(&[6, 17, 1, 132, 51, 255]).unwrap_or(6);
                frame.extend([
                    0x40 | length,
                    0,
                    self.chance.next() as u8,
                    self.chance.next() as u8,
                ]);
                let fragment = self.pick(&[0_u16, 0x2000, 0x1FFF, 0x4000]).unwrap_or(0);
                frame.extend([0, 1]);
                frame.extend(fragment.to_be_bytes());
                frame.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            }
            0x86DD => {
                let next = self.pick(&[6, 17, 0, 43, 44, 51, 60, 59]).unwrap_or(6);
                frame.extend([0x60, 0, 0, 0, 0, self.chance.next() as u8, next, 64]);
                frame.extend([0xFE; 32]);
                for _ in 0..self.chance.below(10) {
                    let next = self.pick(&[0, 6, 17, 43, 44, 60]).unwrap_or(0);
                    frame.extend([next, self.chance.below(3) as u8, 0, 0, 0, 0, 0, 0]);
                }
            }
            // LACP and its marker protocol, where somebody looks deep.
            0x8809 => {
                let subtype = self.pick(&[1, 2, 3, 10]).unwrap_or(1);
                frame.extend([subtype, 1, 1, 20]);
            }
            _ => {}
        }
        let rest = self.bytes(LONGEST - 80);
        frame.extend(rest);
        if self.chance.below(4) == 0 {
            let length = self.chance.below(frame.len() as u64 + 1) as usize;
            frame.truncate(length);
        }
        frame.truncate(LONGEST as usize);
        frame
    }

    fn number(&mut self) -> u32 {
        match self.chance.below(8) {
            0 => self.chance.next() as u32,
            1 => self
                .pick(&[0, 1, 0xFF, 0x7FFF_FFFF, 0x8000_0000, u32::MAX])
                .unwrap_or(0),
            _ => {
                let numbers = &self.words.numbers;
                let at = self.chance.below(numbers.len() as u64) as usize;
                let word = numbers.get(at).copied();
                word.unwrap_or_else(|| self.chance.next() as u32)
            }
        }
    }

    fn request(&mut self, upper: usize) -> Action {
        let known = plans::requests();
        let at = self.chance.below(2 * known.len() as u64) as usize;
        if let Some(request) = known.get(at) {
            let mut action = plans::oid(upper, request);
            if self.chance.below(2) == 0 {
                self.twist(&mut action);
            }
            return action;
        }
        let kinds = [
            Request::Query,
            Request::Statistics,
            Request::Set,
            Request::Method,
        ];
        let late = 1 + self.chance.below(60_000);
        Action::Oid {
            upper,
            kind: self.pick(&kinds).unwrap_or_default(),
            oid: self.number(),
            input: self.bytes(256),
            output: self.chance.below(512) as u32,
            direct: self.chance.below(4) == 0,
            cancel_after: (self.chance.below(4) == 0).then_some(late),
        }
    }

    fn control(&mut self) -> Action {
        let mut input = self.bytes(64);
        // A sound beginning is likelier to be looked at.
        if self.chance.below(2) == 0 {
            let words: Vec<u8> = (0..4)
                .flat_map(|_| (self.chance.below(4) as u32).to_le_bytes())
                .collect();
            let length = input.len().min(words.len());
            input[..length].copy_from_slice(&words[..length]);
        }
        Action::Control {
            code: self.number(),
            input,
            output: self.pick(&[0, 1, 15, 16, 64, 4096, 65_536]).unwrap_or(0),
        }
    }

    fn setting(&mut self) -> Setting {
        match self.chance.below(6) {
            0 => Setting::Integer(
                self.pick(&[0, 1, 2, 7, 4094, 4095, 65_536, u32::MAX])
                    .unwrap_or(0),
            ),
            1 => Setting::Integer(self.number()),
            2 => {
                let texts = [
                    "",
                    "0",
                    "1",
                    "10",
                    "4094",
                    "-1",
                    "99999999999",
                    "x",
                    "0x10",
                    " 5 ",
                ];
                Setting::Text(self.pick(&texts).unwrap_or_default().to_owned())
            }
            3 => {
                let long = self.chance.below(300) as usize;
                Setting::List(vec!["x".repeat(long), String::new(), "y".into()])
            }
            4 => Setting::Binary {
                binary: hex(&self.bytes(40)),
            },
            _ => Setting::Units {
                units: (0..self.chance.below(40))
                    .map(|_| self.chance.next() as u16)
                    .collect(),
                length: (self.chance.below(2) == 0).then(|| self.chance.below(90) as u16),
            },
        }
    }

    /// Gives a value of the registry to a binding or a miniport.
    fn set(&mut self, shape: &mut Shape) {
        let names = &self.words.names;
        let at = self.chance.below(names.len() as u64) as usize;
        let name = names
            .get(at)
            .cloned()
            .unwrap_or_else(|| "NetworkAddress".to_owned());
        // The list of miniports is what makes the plan.
        if name.starts_with("UpperBindings") {
            return;
        }
        let setting = self.setting();
        if self.chance.below(2) == 0 {
            let at = self.chance.below(shape.adapters.len() as u64) as usize;
            if let Some(adapter) = shape.adapters.get_mut(at) {
                adapter.values.insert(name, setting);
            }
        } else {
            let at = self.chance.below(shape.miniports.len() as u64) as usize;
            if let Some(miniport) = shape.miniports.get_mut(at) {
                miniport.properties.insert(name, setting);
            }
        }
    }

    /// Changes a step.
    fn twist(&mut self, action: &mut Action) {
        match action {
            Action::SendRaw { frames, .. } | Action::ReceiveRaw { frames, .. } => {
                let at = self.chance.below(frames.len() as u64) as usize;
                if let Some(frame) = frames.get_mut(at) {
                    let mut bytes = crate::plan::unhex(frame);
                    self.flip(&mut bytes);
                    *frame = hex(&bytes);
                }
            }
            Action::Oid {
                oid,
                input,
                output,
                kind,
                direct,
                ..
            } => match self.chance.below(6) {
                0 => *oid ^= 1 << self.chance.below(32),
                1 => *output = self.chance.below(600) as u32,
                2 => *direct = !*direct,
                3 => {
                    let kinds = [
                        Request::Query,
                        Request::Statistics,
                        Request::Set,
                        Request::Method,
                    ];
                    *kind = self.pick(&kinds).unwrap_or_default();
                }
                _ => self.flip(input),
            },
            Action::Control {
                code,
                input,
                output,
            } => match self.chance.below(4) {
                0 => *code = self.number(),
                1 => *output = self.chance.below(70_000) as u32,
                _ => self.flip(input),
            },
            Action::Send { lists, .. } | Action::Receive { lists, .. } => {
                *lists = self.chance.below(40) as u32;
            }
            Action::Sleep { ns } => *ns = self.chance.below(100_000_000),
            _ => {}
        }
    }

    fn flip(&mut self, bytes: &mut Vec<u8>) {
        match self.chance.below(4) {
            0 => {
                let length = self.chance.below(bytes.len() as u64 + 1) as usize;
                bytes.truncate(length);
            }
            1 if bytes.len() < 512 => bytes.extend(self.bytes(32)),
            _ => {
                let at = self.chance.below(bytes.len() as u64) as usize;
                let value = self.pick(&[0, 1, 0x7F, 0x80, 0xFF]).unwrap_or(0);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = if self.chance.below(2) == 0 {
                        value
                    } else {
                        *byte ^ 1 << self.chance.below(8)
                    };
                }
            }
        }
    }
}
