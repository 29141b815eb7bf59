//! Loops that change nothing and look at memory.
//!
//! Such a loop does the same in each round until somebody else writes what it looks at. Found
//! are loops without a call and without a store, in which no register is read before it was
//! written in the same round: what a round does then depends on memory alone. A compare and
//! swap that tries again with what it found is not one; a test and set is.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{
    FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use super::explore::target;
use super::{WaitLoop, is_locked};

/// Longest loop that is looked at, in bytes.
const LONGEST: u64 = 160;

pub(super) fn find(code: &BTreeMap<u64, Instruction>) -> Vec<WaitLoop> {
    let mut factory = InstructionInfoFactory::new();
    let mut list: Vec<WaitLoop> = Vec::new();
    for (&jump, i) in code {
        let Some(head) = target(i) else { continue };
        let jumps = matches!(
            i.flow_control(),
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
        );
        if jumps && head <= jump && jump - head <= LONGEST {
            list.extend(judge(&mut factory, code, head, jump));
        }
    }
    list
}

/// Whether what begins at `head` comes to `jump` without leaving what lies between. A jump back
/// into the middle of a straight way is no loop.
fn comes_round(code: &BTreeMap<u64, Instruction>, head: u64, jump: u64) -> bool {
    let (mut open, mut seen) = (vec![head], BTreeSet::new());
    while let Some(at) = open.pop() {
        if at == jump {
            return true;
        }
        let Some(i) = code
            .get(&at)
            .filter(|_| (head..jump).contains(&at) && seen.insert(at))
        else {
            continue;
        };
        if i.flow_control() != FlowControl::UnconditionalBranch {
            open.push(i.next_ip());
        }
        open.extend(target(i));
    }
    false
}

fn judge(
    factory: &mut InstructionInfoFactory,
    code: &BTreeMap<u64, Instruction>,
    head: u64,
    jump: u64,
) -> Option<WaitLoop> {
    if !comes_round(code, head, jump) {
        return None;
    }
    let mut at = head;
    let mut look = None;
    let mut before: Vec<Register> = Vec::new();
    let mut written: Vec<Register> = Vec::new();
    while at <= jump {
        let i = code.get(&at)?;
        match i.flow_control() {
            FlowControl::Next => {}
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                // Another loop inside is judged by itself.
                if target(i).is_some_and(|to| to <= at && to != head) {
                    return None;
                }
            }
            _ => return None,
        }
        let info = factory.info(i);
        for memory in info.used_memory() {
            let writes = !matches!(memory.access(), OpAccess::Read | OpAccess::CondRead);
            if writes && !is_locked(i) && memory.access() != OpAccess::NoMemAccess {
                return None;
            }
        }
        if (0..i.op_count()).any(|n| i.op_kind(n) == OpKind::Memory)
            && i.mnemonic() != Mnemonic::Lea
        {
            look = look.or(Some(at));
        }
        let reads = |access| {
            matches!(
                access,
                OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            )
        };
        let writes = |access| !matches!(access, OpAccess::Read | OpAccess::CondRead);
        // An instruction reads all before it writes any.
        for used in info.used_registers().iter().filter(|u| reads(u.access())) {
            let full = used.register().full_register();
            if !written.contains(&full) {
                before.push(full);
            }
        }
        for used in info.used_registers().iter().filter(|u| writes(u.access())) {
            written.push(used.register().full_register());
        }
        at = i.next_ip();
    }
    if before.iter().any(|r| written.contains(r)) {
        return None;
    }
    // A jump to itself looks at nothing and never ends.
    (look.is_some() || head == jump).then_some(WaitLoop { head, jump, look })
}
