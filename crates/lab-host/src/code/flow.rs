//! Which import a call reaches, also when its address was loaded into a register before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use super::explore::{Found, target};
use super::{CallSite, How};
use crate::image::Image;

/// What a register holds: an import (its number) or anything else.
type Held = Option<u16>;
/// By register number, `rax` first.
type State = [Held; 16];

struct Flow<'a> {
    found: &'a Found,
    slots: BTreeMap<u64, u16>,
    names: Vec<Arc<str>>,
    /// Functions that are one jump through a slot.
    thunks: BTreeMap<u64, u16>,
    calls: Vec<CallSite>,
}

pub(super) fn calls(image: &Image, found: &Found) -> Vec<CallSite> {
    let names: Vec<Arc<str>> = image
        .slots
        .values()
        .map(|n| Arc::from(n.as_str()))
        .collect();
    let slots: BTreeMap<u64, u16> = image
        .slots
        .keys()
        .enumerate()
        .map(|(n, &at)| (at, n as u16))
        .collect();
    let mut flow = Flow {
        found,
        slots,
        names,
        thunks: BTreeMap::new(),
        calls: Vec::new(),
    };
    for &at in &found.functions {
        if let Some(i) = found.instructions.get(&at)
            && i.flow_control() == FlowControl::IndirectBranch
            && let Some(n) = flow.slot(i)
        {
            flow.thunks.insert(at, n);
        }
    }
    let states = flow.states();
    flow.sites(&states);
    flow.calls.sort_by_key(|c| (c.at, c.how));
    flow.calls
        .dedup_by(|a, b| a.at == b.at && a.import == b.import);
    flow.calls
}

fn number(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}

impl Flow<'_> {
    /// The import whose slot an instruction's memory operand is.
    fn slot(&self, i: &Instruction) -> Option<u16> {
        let at = if i.is_ip_rel_memory_operand() {
            i.ip_rel_memory_address()
        } else if i.memory_base() == Register::None && i.memory_index() == Register::None {
            i.memory_displacement64()
        } else {
            return None;
        };
        self.slots.get(&at).copied()
    }

    /// The import that an instruction loads into a register.
    fn load(&self, i: &Instruction) -> Option<(usize, u16)> {
        if i.mnemonic() != Mnemonic::Mov || i.op1_kind() != OpKind::Memory {
            return None;
        }
        Some((number(i.op0_register())?, self.slot(i)?))
    }

    /// What registers hold at the start of each block.
    fn states(&self) -> BTreeMap<u64, State> {
        let mut factory = InstructionInfoFactory::new();
        let mut states: BTreeMap<u64, State> = BTreeMap::new();
        let mut work: Vec<u64> = Vec::new();
        for &at in self.found.functions.iter().chain(&self.found.leaders) {
            // A function knows nothing of its caller's registers; other blocks begin with
            // what flows in, or, if nothing is known to, with nothing.
            if self.found.functions.contains(&at) {
                states.insert(at, [None; 16]);
                work.push(at);
            }
        }
        while let Some(start) = work.pop() {
            let mut state = states[&start];
            let mut at = start;
            while let Some(i) = self.found.instructions.get(&at) {
                self.step(&mut factory, i, &mut state);
                let mut out = Vec::new();
                let mut end = false;
                match i.flow_control() {
                    FlowControl::UnconditionalBranch => {
                        out.extend(target(i));
                        end = true;
                    }
                    FlowControl::ConditionalBranch => {
                        out.extend(target(i));
                        out.push(i.next_ip());
                        end = true;
                    }
                    FlowControl::IndirectBranch => {
                        out.extend(self.found.tables.get(&at).into_iter().flatten());
                        end = true;
                    }
                    FlowControl::Return | FlowControl::Exception => end = true,
                    _ => {}
                }
                if !end && self.found.leaders.contains(&i.next_ip()) {
                    out.push(i.next_ip());
                    end = true;
                }
                for to in out {
                    if merge(&mut states, to, &state) {
                        work.push(to);
                    }
                }
                if end {
                    break;
                }
                at = i.next_ip();
            }
        }
        states
    }

    fn step(&self, factory: &mut InstructionInfoFactory, i: &Instruction, state: &mut State) {
        if let Some((to, n)) = self.load(i) {
            state[to] = Some(n);
            return;
        }
        if i.mnemonic() == Mnemonic::Mov
            && i.op0_kind() == OpKind::Register
            && i.op1_kind() == OpKind::Register
            && let (Some(to), Some(from)) = (number(i.op0_register()), number(i.op1_register()))
            && i.op0_register().is_gpr64()
        {
            state[to] = state[from];
            return;
        }
        if matches!(
            i.flow_control(),
            FlowControl::Call | FlowControl::IndirectCall
        ) {
            // Volatile registers of the Windows convention: rax, rcx, rdx, r8 to r11.
            for n in [0, 1, 2, 8, 9, 10, 11] {
                state[n] = None;
            }
            return;
        }
        for used in factory.info(i).used_registers() {
            if !matches!(used.access(), OpAccess::Read | OpAccess::CondRead)
                && let Some(n) = number(used.register())
            {
                state[n] = None;
            }
        }
    }

    fn site(&mut self, i: &Instruction, n: u16, how: How) {
        self.calls.push(CallSite {
            at: i.ip(),
            next: i.next_ip(),
            import: Arc::clone(&self.names[usize::from(n)]),
            how,
        });
    }

    fn sites(&mut self, states: &BTreeMap<u64, State>) {
        let mut factory = InstructionInfoFactory::new();
        let found = self.found;
        let mut state: State = [None; 16];
        // A load whose value the function calls through is not `Taken`.
        let mut loads: Vec<(Instruction, u16, u64)> = Vec::new();
        let mut function = 0;
        let mut reached: BTreeSet<(u64, u16)> = BTreeSet::new();
        let mut before = 0;
        for (&at, i) in &found.instructions {
            if found.functions.contains(&at) {
                function = at;
            }
            if let Some(known) = states.get(&at) {
                state = *known;
            } else if before != at {
                state = [None; 16];
            }
            before = i.next_ip();
            let thunk = target(i).and_then(|to| self.thunks.get(&to).copied());
            match i.flow_control() {
                FlowControl::IndirectCall | FlowControl::IndirectBranch => {
                    let call = i.flow_control() == FlowControl::IndirectCall;
                    if let Some(n) = self.slot(i) {
                        if call {
                            self.site(i, n, How::Direct);
                        } else if !self.thunks.contains_key(&at) {
                            self.site(i, n, How::Tail);
                        }
                    } else if i.op0_kind() == OpKind::Register
                        && let Some(n) = number(i.op0_register()).and_then(|r| state[r])
                    {
                        self.site(i, n, if call { How::Register } else { How::Tail });
                        reached.insert((function, n));
                    }
                }
                FlowControl::Call => {
                    if let Some(n) = thunk {
                        self.site(i, n, How::Thunk);
                    }
                }
                FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                    if let Some(n) = thunk {
                        self.site(i, n, How::Tail);
                    }
                }
                _ => {
                    if let Some((_, n)) = self.load(i) {
                        loads.push((*i, n, function));
                    } else if i.mnemonic() == Mnemonic::Lea
                        && i.is_ip_rel_memory_operand()
                        && let Some(&n) = self.thunks.get(&i.ip_rel_memory_address())
                    {
                        self.site(i, n, How::Taken);
                    } else if let Some(n) = self.slot(i) {
                        // Compared, pushed, or read in another way.
                        self.site(i, n, How::Taken);
                    }
                }
            }
            self.step(&mut factory, i, &mut state);
        }
        for (i, n, function) in loads {
            if !reached.contains(&(function, n)) {
                self.site(&i, n, How::Taken);
            }
        }
        // A thunk that data points to: the function that is called through that data.
        let taken: Vec<(u64, u16)> = self
            .thunks
            .iter()
            .filter(|(at, _)| found.taken.contains(at))
            .map(|(&at, &n)| (at, n))
            .collect();
        for (at, n) in taken {
            if let Some(i) = found.instructions.get(&at) {
                self.site(i, n, How::Taken);
            }
        }
    }
}

/// Takes a state into that of a block; whether the block's changed.
fn merge(states: &mut BTreeMap<u64, State>, at: u64, from: &State) -> bool {
    let Some(to) = states.get_mut(&at) else {
        states.insert(at, *from);
        return true;
    };
    let mut changed = false;
    for (to, from) in to.iter_mut().zip(from) {
        if to.is_some() && to != from {
            *to = None;
            changed = true;
        }
    }
    changed
}
