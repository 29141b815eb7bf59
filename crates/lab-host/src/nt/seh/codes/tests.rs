//! Known code: what clang made of `known/frames.c`, without optimisation and with. A small
//! interpreter walks through each function, and at every instruction the frame is unwound: the
//! caller's registers must come out as they went in. And code that nobody made.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::*;

const TOP: u64 = 0x7000_0000;
const STACK: u64 = 0x10_0000;
const CALLER: u64 = 0xCA11_E400;
/// Registers that a function gives back: rbx, rbp, rsi, rdi, r12 to r15.
const KEPT: [usize; 8] = [3, 5, 6, 7, 12, 13, 14, 15];
const KEPT_XMM: std::ops::Range<usize> = 6..16;

struct Known {
    bytes: Vec<u8>,
    table: (u32, u32),
    functions: Vec<(String, u32)>,
}

fn known(text: &str) -> Known {
    let mut known = Known {
        bytes: Vec::new(),
        table: (0, 0),
        functions: Vec::new(),
    };
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["table", at, len] => known.table = (at.parse().unwrap(), len.parse().unwrap()),
            ["function", name, at] => known.functions.push((name.into(), at.parse().unwrap())),
            _ => {
                let digit = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
                known.bytes.extend((0..line.len()).step_by(2).map(digit));
            }
        }
    }
    known
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Registers, and a stack of bytes.
struct Machine {
    context: Context,
    stack: Vec<u8>,
}

impl Machine {
    fn new() -> Self {
        let mut context = Context::new();
        for (number, register) in context.registers().into_iter().enumerate() {
            *register = 0x1111_0000 + number as u64;
        }
        for (number, register) in context.xmm.iter_mut().enumerate() {
            *register = 0x2222_u128 << 100 | number as u128;
        }
        context.rsp = TOP - 0x1008;
        let mut machine = Self {
            context,
            stack: vec![0; STACK as usize],
        };
        machine.write(TOP - 0x1008, &CALLER.to_le_bytes());
        machine
    }

    fn place(at: u64) -> Option<usize> {
        let place = at.checked_sub(TOP - STACK)?;
        (place <= STACK - 16).then_some(place as usize)
    }

    fn read(&self, at: u64) -> Option<u64> {
        let part = self.stack[Self::place(at)?..].first_chunk()?;
        Some(u64::from_le_bytes(*part))
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        if let Some(place) = Self::place(at) {
            self.stack[place..place + bytes.len()].copy_from_slice(bytes);
        }
    }

    fn get(&mut self, register: Register) -> u64 {
        match register {
            Register::None => 0,
            _ => *self.context.registers()[register.full_register().number()],
        }
    }

    fn address(&mut self, i: &Instruction) -> u64 {
        let base = match i.memory_base() {
            Register::RIP => 0, // The displacement is the address.
            base => self.get(base),
        };
        let index = self.get(i.memory_index());
        base.wrapping_add(index.wrapping_mul(i.memory_index_scale().into()))
            .wrapping_add(i.memory_displacement64())
    }

    fn source(&mut self, i: &Instruction) -> u64 {
        match i.op1_kind() {
            OpKind::Register if i.op1_register().is_gpr() => self.get(i.op1_register()),
            OpKind::Memory => {
                let at = self.address(i);
                self.read(at).unwrap_or(0)
            }
            OpKind::Register => 0,
            _ => i.immediate(1),
        }
    }

    /// What an instruction does to the stack and to what a frame keeps there. All else is rubbish,
    /// in multiples of 16, so that a stack that moves by it keeps its place.
    fn run(&mut self, i: &Instruction, random: &mut Random) {
        let rubbish = random.next() % 64 * 16;
        let to = i.op0_register();
        match i.mnemonic() {
            Mnemonic::Push => {
                let value = self.get(to);
                self.context.rsp -= 8;
                self.write(self.context.rsp, &value.to_le_bytes());
            }
            Mnemonic::Pop => {
                let value = self.read(self.context.rsp).unwrap();
                self.context.rsp += 8;
                *self.context.registers()[to.number()] = value;
            }
            Mnemonic::Movaps | Mnemonic::Movapd | Mnemonic::Movups | Mnemonic::Movupd => {
                let at = self.address(i);
                if i.op0_kind() == OpKind::Memory {
                    let value = self.context.xmm[i.op1_register().number()];
                    self.write(at, &value.to_le_bytes());
                } else {
                    let low = self.read(at).unwrap_or(rubbish);
                    let high = self.read(at.wrapping_add(8)).unwrap_or(rubbish);
                    self.context.xmm[to.number()] = u128::from(low) | u128::from(high) << 64;
                }
            }
            Mnemonic::Mov if i.op0_kind() == OpKind::Memory => {
                let (value, at) = (self.source(i), self.address(i));
                let size = i.memory_size().size();
                self.write(at, &value.to_le_bytes()[..size]);
            }
            _ if i.op0_kind() != OpKind::Register => {}
            _ if to.is_xmm() => self.context.xmm[to.number()] = u128::from(rubbish),
            _ if !to.is_gpr64() => {
                *self.context.registers()[to.full_register().number()] = rubbish;
            }
            Mnemonic::Test | Mnemonic::Cmp => {}
            mnemonic => {
                let (old, from) = (self.get(to), self.source(i));
                let new = match mnemonic {
                    Mnemonic::Mov => from,
                    Mnemonic::Lea => self.address(i),
                    Mnemonic::Add => old.wrapping_add(from),
                    Mnemonic::Sub => old.wrapping_sub(from),
                    Mnemonic::And => old & from,
                    _ => rubbish,
                };
                *self.context.registers()[to.number()] = new;
            }
        }
    }
}

/// Unwinds at `pc` and compares with what the function was entered with.
fn agrees(code: &Code<'_>, machine: &Machine, entered: &Context, pc: u32, name: &str) -> Left {
    let mut context = machine.context.clone();
    let left = code.unwind(&mut context, pc, &|at| machine.read(at));
    let left = left.unwrap_or_else(|| panic!("{name} at {pc:#x}: no frame"));
    assert_eq!(context.rip, CALLER, "{name} at {pc:#x}");
    assert_eq!(context.rsp, entered.rsp + 8, "{name} at {pc:#x}");
    let mut entered = entered.clone();
    for number in KEPT {
        let (is, was) = (*context.registers()[number], *entered.registers()[number]);
        assert_eq!(is, was, "register {number}, {name} at {pc:#x}");
    }
    for number in KEPT_XMM {
        let (is, was) = (context.xmm[number], entered.xmm[number]);
        assert_eq!(is, was, "xmm{number}, {name} at {pc:#x}");
    }
    left
}

/// Walks from the entry to the end, with branches by chance; how many instructions.
fn walk(known: &Known, code: &Code<'_>, name: &str, at: u32, random: &mut Random) -> usize {
    let mut machine = Machine::new();
    let entered = machine.context.clone();
    let (mut pc, mut steps) = (u64::from(at), 0);
    loop {
        agrees(code, &machine, &entered, pc as u32, name);
        let bytes = &known.bytes[pc as usize..];
        let i = Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE).decode();
        steps += 1;
        assert!(steps < 5_000, "{name} does not end");
        pc = i.next_ip();
        match i.flow_control() {
            FlowControl::Next => machine.run(&i, random),
            FlowControl::Call => machine.context.rax = random.next() % 64 * 16,
            FlowControl::ConditionalBranch if random.next().is_multiple_of(2) => {
                pc = i.near_branch_target();
            }
            FlowControl::ConditionalBranch => {}
            FlowControl::UnconditionalBranch
                if i.near_branch_target() < known.bytes.len() as u64 =>
            {
                pc = i.near_branch_target();
            }
            // It returns, or jumps to another function.
            _ => return steps,
        }
    }
}

#[test]
fn clang_code_unwinds_at_every_instruction() {
    for (text, from_stack) in [
        (include_str!("known/frames-o0.txt"), "unoptimised"),
        (include_str!("known/frames-o2.txt"), "optimised"),
    ] {
        let known = known(text);
        let code = Code::new(&known.bytes, known.table).unwrap();
        let mut random = Random(0x5EED);
        for (name, at) in &known.functions {
            let name = format!("{name}, {from_stack}");
            let rounds = (0..20).map(|_| walk(&known, &code, &name, *at, &mut random));
            assert!(rounds.sum::<usize>() >= 40, "{name}");
        }
    }
}

/// A function, its information and its table, one behind the other.
fn image(body: &[u8], info: &[u8]) -> (Vec<u8>, (u32, u32)) {
    let mut bytes = body.to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0xCC);
    let at = bytes.len() as u32;
    bytes.extend(info);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let table = bytes.len() as u32;
    for word in [0, body.len() as u32, at] {
        bytes.extend(word.to_le_bytes());
    }
    (bytes, (table, 12))
}

/// Unwinds at a place of such a function.
fn at(body: &[u8], info: &[u8], pc: u32, machine: &Machine) -> Option<(Context, Left)> {
    let (bytes, table) = image(body, info);
    let code = Code::new(&bytes, table).unwrap();
    let mut context = machine.context.clone();
    let left = code.unwind(&mut context, pc, &|at| machine.read(at))?;
    Some((context, left))
}

/// push rbp; sub rsp, 32; lea rbp, [rsp + 32]; nop; jmp to itself; nop; add rsp, 32; pop rbp; ret
const FRAMED: &[u8] = &[
    0x55, 0x48, 0x83, 0xEC, 32, 0x48, 0x8D, 0x6C, 0x24, 32, 0x90, 0xEB, 0xFE, 0x90, 0x48, 0x83,
    0xC4, 32, 0x5D, 0xC3,
];
/// Both kinds of handler at 0x20, data behind.
const FRAMED_INFO: &[u8] = &[
    0x19, 10, 3, 0x25, 10, 0x03, 5, 0x32, 1, 0x50, 0, 0, 0x20, 0, 0, 0, 1, 2, 3, 4,
];

/// A machine in that function's body.
fn framed() -> Machine {
    let mut machine = Machine::new();
    let rsp = machine.context.rsp - 40;
    machine.write(rsp + 32, &0xB0B_u64.to_le_bytes());
    (machine.context.rsp, machine.context.rbp) = (rsp, rsp + 32);
    machine
}

#[test]
fn handlers_are_those_of_the_body() {
    let machine = framed();
    let (context, left) = at(FRAMED, FRAMED_INFO, 10, &machine).unwrap();
    assert_eq!((context.rip, context.rbp), (CALLER, 0xB0B));
    assert_eq!(left.establisher, machine.context.rsp);
    let handler = left.handler.unwrap();
    assert_eq!((handler.at, handler.data), (0x20, 20 + 16));
    assert!(handler.exception && handler.termination);
    // A jump inside the function is no epilogue.
    let (context, left) = at(FRAMED, FRAMED_INFO, 11, &machine).unwrap();
    assert_eq!((context.rip, context.rbp), (CALLER, 0xB0B));
    assert!(left.handler.is_some());
    // In the prologue and in the epilogue nothing is handled.
    let left = at(FRAMED, FRAMED_INFO, 0, &Machine::new()).unwrap().1;
    assert_eq!(left.handler, None);
    let (context, left) = at(FRAMED, FRAMED_INFO, 14, &machine).unwrap();
    assert_eq!((context.rip, context.rbp), (CALLER, 0xB0B));
    assert_eq!(left.handler, None);
    // The stack alone is moved: the code behind `pop` has it.
    let left = at(FRAMED, FRAMED_INFO, 19, &Machine::new()).unwrap().1;
    assert_eq!((left.entry.is_some(), left.handler), (true, None));
    // A step that is unknown.
    let unknown = [0x01, 10, 1, 0, 10, 0x0F];
    assert!(at(FRAMED, &unknown, 10, &machine).is_none());
}

#[test]
fn an_interrupt_has_a_frame_of_its_own() {
    for (code, extra) in [(0x0A, 0), (0x1A, 8)] {
        let mut machine = Machine::new();
        let rsp = machine.context.rsp;
        machine.write(rsp + extra, &0x1234_u64.to_le_bytes());
        machine.write(rsp + extra + 24, &0x5678_u64.to_le_bytes());
        let info = [0x01, 0, 1, 0, 0, code];
        let context = at(&[0x90; 8], &info, 4, &machine).unwrap().0;
        assert_eq!((context.rip, context.rsp), (0x1234, 0x5678));
    }
}

#[test]
fn parts_of_a_function_are_chained() {
    // sub rsp, 40 here; the rest of the function is elsewhere: push rbx, handled.
    let mut bytes = vec![0x90; 64];
    bytes.extend([0x21, 0, 1, 0, 0, 0x42, 0, 0]); // at 64: chained
    bytes.extend([0_u32, 16, 88].into_iter().flat_map(u32::to_le_bytes));
    bytes.resize(88, 0);
    bytes.extend([0x09, 1, 1, 0, 1, 0x30, 0, 0, 0x20, 0, 0, 0]);
    let table = bytes.len() as u32;
    for word in [0_u32, 16, 88, 32, 48, 64] {
        bytes.extend(word.to_le_bytes());
    }
    let code = Code::new(&bytes, (table, 24)).unwrap();
    let mut machine = Machine::new();
    let rsp = machine.context.rsp - 48;
    machine.write(rsp + 40, &0xB0B_u64.to_le_bytes());
    machine.context.rsp = rsp;
    let mut context = machine.context.clone();
    let left = code
        .unwind(&mut context, 40, &|at| machine.read(at))
        .unwrap();
    assert_eq!((context.rip, context.rbx), (CALLER, 0xB0B));
    assert_eq!(left.entry, Some(table + 12));
    let handler = left.handler.unwrap();
    assert_eq!((handler.at, handler.data), (0x20, 100));
    assert!(handler.exception && !handler.termination);
    // A jump from one part to another is no epilogue.
    bytes[40..42].copy_from_slice(&[0xEB, (8_u8).wrapping_sub(42)]);
    let code = Code::new(&bytes, (table, 24)).unwrap();
    let mut context = machine.context.clone();
    code.unwind(&mut context, 40, &|at| machine.read(at))
        .unwrap();
    assert_eq!(context.rbx, 0xB0B);
    // A circle ends.
    bytes[64 + 8..64 + 20].copy_from_slice(&[32, 0, 0, 0, 48, 0, 0, 0, 64, 0, 0, 0]);
    let code = Code::new(&bytes, (table, 24)).unwrap();
    assert!(
        code.unwind(&mut machine.context.clone(), 40, &|_| Some(1))
            .is_some()
    );
}

#[test]
fn an_entry_may_stand_for_another() {
    let (mut bytes, (table, _)) = image(FRAMED, FRAMED_INFO);
    let other = bytes.len() as u32;
    bytes.extend(
        [0, FRAMED.len() as u32, table | 1]
            .into_iter()
            .flat_map(u32::to_le_bytes),
    );
    let code = Code::new(&bytes, (other, 12)).unwrap();
    let machine = framed();
    let mut context = machine.context.clone();
    code.unwind(&mut context, 10, &|at| machine.read(at))
        .unwrap();
    assert_eq!((context.rip, context.rbp), (CALLER, 0xB0B));
}

/// Whatever the bytes are, the search ends and nothing panics.
#[test]
fn no_bytes_panic() {
    let mut random = Random(7);
    let machine = Machine::new();
    for round in 0..20_000_u32 {
        let len = (random.next() % 200) as usize + 1;
        let mut bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        if round % 2 == 0 {
            // Small numbers are places.
            for byte in &mut bytes {
                *byte &= if random.next().is_multiple_of(3) {
                    0xFF
                } else {
                    3
                };
            }
        }
        let (body, info) = bytes.split_at(len / 2);
        let (mut image, table) = image(body, info);
        for _ in 0..random.next() % 3 {
            let place = random.next() as usize % image.len();
            image[place] = random.next() as u8;
        }
        let at = random.next() as u32 % (len as u32 + 1);
        let Some(code) = Code::new(&image, (table.0, (random.next() % 24) as u32)) else {
            continue;
        };
        let mut context = machine.context.clone();
        if round % 3 == 0 {
            context.rbp = random.next();
            context.rsp = u64::MAX - random.next() % 16;
        }
        let stack = |at: u64| {
            if round % 5 == 0 {
                Some(at)
            } else {
                machine.read(at)
            }
        };
        let pc = if round % 7 == 0 { u32::MAX } else { at };
        code.unwind(&mut context, pc, &stack);
    }
}
