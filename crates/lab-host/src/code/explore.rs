//! Finding the instructions: from known code along control flow.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind};

use crate::image::Image;

/// Entries of a jump table that are read at most.
const TABLE: u64 = 4096;
/// Instructions before an indirect jump that are searched for the address of its table.
const BACK: usize = 16;

#[derive(Default)]
pub(super) struct Found {
    pub(super) instructions: BTreeMap<u64, Instruction>,
    /// Functions: entry points, targets of calls, unwind information, addresses taken.
    pub(super) functions: BTreeSet<u64>,
    /// Starts of basic blocks.
    pub(super) leaders: BTreeSet<u64>,
    /// Targets of jumps through tables, by the jump.
    pub(super) tables: BTreeMap<u64, Vec<u64>>,
    /// Code addresses that data points to or that code takes.
    pub(super) taken: BTreeSet<u64>,
}

/// The bytes of the image from `at` to the end of its section, if that is code.
pub(super) fn code_at(image: &Image, at: u64) -> Option<&[u8]> {
    let section = image
        .sections
        .iter()
        .find(|s| at >= s.start && at < s.start + s.len)?;
    if !image.is_code(at) {
        return None;
    }
    let from = (at - image.base) as usize;
    let to = (section.start + section.len - image.base) as usize;
    let bytes = image.pristine();
    bytes.get(from..to.min(bytes.len()))
}

pub(super) fn decode(image: &Image, at: u64) -> Option<Instruction> {
    let bytes = code_at(image, at)?;
    let bytes = bytes.get(..bytes.len().min(15))?;
    let mut decoder = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE);
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// Target of a direct jump or call.
pub(super) fn target(i: &Instruction) -> Option<u64> {
    matches!(
        i.op0_kind(),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
    )
    .then(|| i.near_branch_target())
}

pub(super) fn explore(image: &Image) -> Found {
    let mut found = Found::default();
    let mut work = Vec::new();
    let mut root = |found: &mut Found, at: u64| {
        if image.is_code(at) && found.functions.insert(at) {
            work.push(at);
        }
    };
    root(&mut found, image.entry);
    for &at in image.exports.values() {
        root(&mut found, at);
    }
    for &(start, _) in &image.functions {
        root(&mut found, start);
    }
    for &at in &image.pointers {
        if image.is_code(at) {
            found.taken.insert(at);
        }
        root(&mut found, at);
    }
    follow(image, &mut found, work);
    // What is left of functions with unwind information: code behind a call that is not known
    // to return, or that only an unrecognised table leads to.
    let mut before = 0;
    loop {
        let mut more = Vec::new();
        for &(start, end) in &image.functions {
            gaps(image, &found, start, end, &mut more);
        }
        // Gaps that nothing can be found in stay.
        if more.is_empty() || found.instructions.len() == before {
            break;
        }
        before = found.instructions.len();
        found.leaders.extend(&more);
        follow(image, &mut found, more);
    }
    tables(image, &mut found);
    found.leaders.extend(&found.functions);
    let known = &found.instructions;
    found.leaders.retain(|at| known.contains_key(at));
    found.functions.retain(|at| known.contains_key(at));
    found
}

/// The function with unwind information that holds an address.
fn function_of(image: &Image, at: u64) -> Option<(u64, u64)> {
    let behind = image.functions.partition_point(|f| f.0 <= at);
    let function = *image.functions.get(behind.checked_sub(1)?)?;
    (at < function.1).then_some(function)
}

/// Where the jumps through tables lead in functions whose instructions are all known.
fn tables(image: &Image, found: &mut Found) {
    let jumps: Vec<u64> = found
        .instructions
        .iter()
        .filter(|(_, i)| {
            i.flow_control() == FlowControl::IndirectBranch && i.op0_kind() == OpKind::Register
        })
        .map(|(&at, _)| at)
        .collect();
    for at in jumps {
        let Some(function) = function_of(image, at) else {
            continue;
        };
        let targets = table(image, found, &[at], Some(function));
        found.leaders.extend(&targets);
        if !targets.is_empty() {
            found.tables.insert(at, targets);
        }
    }
}

/// First instructions of gaps that decode exactly up to what follows them.
fn gaps(image: &Image, found: &Found, start: u64, end: u64, more: &mut Vec<u64>) {
    let mut at = start;
    while at < end {
        if let Some(known) = found.instructions.get(&at) {
            at = known.next_ip();
            continue;
        }
        // An entry of the table may begin within an instruction that something else leads to.
        let before = found.instructions.range(..at).next_back();
        if let Some(next) = before.map(|(_, i)| i.next_ip()).filter(|&next| next > at) {
            at = next;
            continue;
        }
        let next = found
            .instructions
            .range(at..end)
            .next()
            .map_or(end, |(&a, _)| a);
        let mut to = at;
        while to < next {
            match decode(image, to) {
                Some(i) => to = i.next_ip(),
                None => break,
            }
        }
        // Padding between blocks is no code of its own.
        let mut from = at;
        while let Some(i) = decode(image, from)
            && matches!(i.mnemonic(), Mnemonic::Int3 | Mnemonic::Nop)
            && from < next
        {
            from = i.next_ip();
        }
        if to == next && from < next {
            more.push(from);
        }
        at = next;
    }
}

fn follow(image: &Image, found: &mut Found, mut work: Vec<u64>) {
    while let Some(start) = work.pop() {
        let mut at = start;
        // The addresses of this run of instructions, for jump tables.
        let mut run: Vec<u64> = Vec::new();
        loop {
            if found.instructions.contains_key(&at) || inside_another(found, at) {
                break;
            }
            let Some(i) = decode(image, at) else { break };
            found.instructions.insert(at, i);
            run.push(at);
            let mut lead = |found: &mut Found, to: u64| {
                if image.is_code(to) && found.leaders.insert(to) {
                    work.push(to);
                }
            };
            match i.flow_control() {
                FlowControl::UnconditionalBranch => {
                    if let Some(to) = target(&i) {
                        lead(found, to);
                    }
                    break;
                }
                FlowControl::ConditionalBranch => {
                    if let Some(to) = target(&i) {
                        lead(found, to);
                    }
                    lead(found, i.next_ip());
                }
                FlowControl::Call => {
                    if let Some(to) = target(&i)
                        && image.is_code(to)
                        && found.functions.insert(to)
                    {
                        work.push(to);
                    }
                }
                FlowControl::IndirectBranch => {
                    // Where unwind information says how far the function goes, its gaps are
                    // surer than what a table of unknown length leads to.
                    if function_of(image, at).is_none() {
                        let targets = table(image, found, &run, None);
                        for &to in &targets {
                            lead(found, to);
                        }
                        if !targets.is_empty() {
                            found.tables.insert(at, targets);
                        }
                    }
                    break;
                }
                FlowControl::Return | FlowControl::Exception => break,
                // A breakpoint goes on; padding and `int 29h` do not.
                FlowControl::Interrupt
                    if i.mnemonic() != Mnemonic::Int || i.immediate8() == 0x29 =>
                {
                    break;
                }
                _ => {}
            }
            if i.mnemonic() == Mnemonic::Lea && i.is_ip_rel_memory_operand() {
                let to = i.ip_rel_memory_address();
                if image.is_code(to) && decode(image, to).is_some() {
                    found.taken.insert(to);
                    if found.functions.insert(to) {
                        work.push(to);
                    }
                }
            }
            at = i.next_ip();
        }
    }
}

/// Whether `at` lies within an instruction that is known.
fn inside_another(found: &Found, at: u64) -> bool {
    found
        .instructions
        .range(..at)
        .next_back()
        .is_some_and(|(_, before)| before.next_ip() > at)
}

/// Where the jump at the end of `run` may lead: a table of 32-bit offsets whose address the
/// code before it takes, from that address (LLVM) or from the image's base (Microsoft). Within
/// a function whose instructions are known it ends where an entry leads elsewhere; without
/// one, it has as many entries as the comparison before it allows.
fn table(image: &Image, found: &Found, run: &[u64], function: Option<(u64, u64)>) -> Vec<u64> {
    let bytes = image.pristine();
    let entry = |at: u64| -> Option<i64> {
        let from = usize::try_from(at.checked_sub(image.base)?).ok()?;
        let word = bytes.get(from..from + 4)?;
        Some(i64::from(i32::from_le_bytes(word.try_into().ok()?)))
    };
    let mut bases = Vec::new();
    let mut offsets = Vec::new();
    // The address may be taken before the bounds check, in the block before.
    let mut before: Vec<&Instruction> = run
        .iter()
        .rev()
        .take(BACK)
        .filter_map(|a| found.instructions.get(a))
        .collect();
    if let Some(first) = run.first() {
        before.extend(
            found
                .instructions
                .range(..first)
                .rev()
                .take(BACK)
                .map(|(_, i)| i),
        );
    }
    let mut most = if function.is_some() { TABLE } else { 0 };
    for i in before {
        if i.mnemonic() == Mnemonic::Lea && i.is_ip_rel_memory_operand() {
            bases.push(i.ip_rel_memory_address());
        } else if i.memory_index_scale() == 4 && i.op1_kind() == OpKind::Memory {
            offsets.push(i.memory_displacement64());
        } else if function.is_none()
            && most == 0
            && i.mnemonic() == Mnemonic::Cmp
            && i.op0_kind() == OpKind::Register
            && is_immediate(i.op1_kind())
        {
            most = i.immediate(1).saturating_add(1).min(TABLE);
        }
    }
    for base in bases {
        for &offset in &offsets {
            let from = base.wrapping_add(offset);
            let sound = |to: u64| match function {
                Some((start, end)) => {
                    to >= start && to < end && found.instructions.contains_key(&to)
                }
                None => {
                    image.is_code(to) && !inside_another(found, to) && decode(image, to).is_some()
                }
            };
            let targets: Vec<u64> = (0..most)
                .map_while(|n| {
                    let to = base.wrapping_add_signed(entry(from.checked_add(4 * n)?)?);
                    sound(to).then_some(to)
                })
                .collect();
            if !targets.is_empty() {
                return targets;
            }
        }
    }
    Vec::new()
}

const fn is_immediate(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Immediate8
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate32to64
    )
}
