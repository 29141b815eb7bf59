//! Lost updates (VMI-9): what a callback that is executed step by step has loaded from memory
//! that others can reach, which registers and stack slots hold something made of it, and whether
//! it stores such a thing back to where it came from although others changed it meanwhile.
//!
//! Each instruction is looked at before it is executed. Only loads and stores that are no locked
//! instructions count; a lock that both sides hold leaves nobody to change anything in between,
//! so that no list of locks is kept. What depends on a load by a branch alone is not followed.
//!
//! Pure: memory and registers come from outside.

use std::collections::BTreeMap;

use arrayvec::ArrayVec;
use iced_x86::{Instruction, InstructionInfoFactory, OpAccess, OpKind, Register, UsedMemory};

use crate::code::is_locked;

/// Loads that are kept; a callback that makes more of them is followed no further.
const MOST: usize = 4096;
/// Loads that one value is known to be made of.
const SOURCES: usize = 8;
/// General registers, then vectors.
const REGISTERS: usize = 16 + 32;
/// The volatile registers of the Windows convention: rax, rcx, rdx, r8 to r11, xmm0 to xmm5.
const VOLATILE: [usize; 13] = [0, 1, 2, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21];

/// Numbers of loads.
type Sources = ArrayVec<u16, SOURCES>;

/// A load of at most eight bytes.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// The instruction.
    at: u64,
    address: u64,
    size: u8,
    /// What is there as far as the callback can know.
    value: u64,
    /// What somebody else wrote there since.
    changed: Option<u64>,
}

impl Load {
    const fn overlaps(&self, address: u64, size: u64) -> bool {
        self.address < address + size && address < self.address + self.size as u64
    }
}

/// An update of somebody else that is overwritten by what was made of an older value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// The instruction that loaded.
    pub(super) loaded: u64,
    /// The instruction that stores.
    pub(super) stored: u64,
    /// The memory.
    pub(super) address: u64,
    /// What was loaded.
    pub(super) old: u64,
    /// What is there now.
    pub(super) new: u64,
}

/// What an instruction sees.
pub(super) trait Machine {
    /// A general register, all of it.
    fn register(&self, register: Register) -> u64;
    /// Bytes of memory, at most eight; none where there is none of the driver.
    fn memory(&self, address: u64, size: u8) -> Option<u64>;
    /// Whether others can reach an address; stacks belong to their tasks.
    fn is_shared(&self, address: u64) -> bool;
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Updates {
    loads: Vec<Load>,
    registers: Registers,
    /// Of stack slots, by address.
    slots: BTreeMap<u64, (u8, Sources)>,
    /// The loads of an instruction that both loads and stores, between the two.
    begun: Option<(u64, Sources)>,
    factory: Factory,
}

struct Registers([Sources; REGISTERS]);

impl Default for Registers {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Sources::new()))
    }
}

struct Factory(InstructionInfoFactory);

impl Default for Factory {
    fn default() -> Self {
        Self(InstructionInfoFactory::new())
    }
}

fn number(register: Register) -> Option<usize> {
    let full = register.full_register();
    if full.is_gpr64() {
        Some(full.number())
    } else if full.is_zmm() {
        Some(16 + full.number())
    } else {
        None
    }
}

fn join(into: &mut Sources, more: &[u16]) {
    for &id in more {
        if !into.contains(&id) {
            if into.is_full() {
                into.remove(0);
            }
            into.push(id);
        }
    }
}

const fn reads(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

const fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

/// Address and bytes of a memory operand; none with a segment of its own.
fn place(memory: &UsedMemory, machine: &impl Machine) -> Option<(u64, u64)> {
    if matches!(memory.segment(), Register::GS | Register::FS) {
        return None;
    }
    let address = memory.virtual_address(0, |register, _, _| {
        Some(if register.is_segment_register() {
            0
        } else {
            machine.register(register.full_register())
        })
    })?;
    let size = memory.memory_size().size() as u64;
    (size > 0 && size <= 64).then_some((address, size))
}

impl Updates {
    /// Forgets everything: another callback begins.
    pub(super) fn clear(&mut self) {
        self.loads.clear();
        self.registers = Registers::default();
        self.slots.clear();
        self.begun = None;
    }

    /// The callback called the host, and comes back with whatever registers.
    pub(super) fn called(&mut self) {
        for n in VOLATILE {
            self.registers.0[n].clear();
        }
    }

    /// Before others run: what is there now is what the callback itself, or a function that it
    /// called, has left.
    pub(super) fn settle(&mut self, machine: &impl Machine) {
        for load in self.loads.iter_mut().filter(|l| l.changed.is_none()) {
            if let Some(value) = machine.memory(load.address, load.size) {
                load.value = value;
            }
        }
    }

    /// After others ran; whether they changed anything that was loaded.
    pub(super) fn compare(&mut self, machine: &impl Machine) -> bool {
        let mut any = false;
        for load in &mut self.loads {
            let now = machine.memory(load.address, load.size);
            if let Some(now) = now.filter(|&now| now != load.value) {
                load.changed = Some(now);
                any = true;
            }
        }
        any
    }

    /// The callback stops before an instruction. One that loads and stores without a lock is
    /// stopped in the middle: on two processors others can come in between.
    pub(super) fn begin(&mut self, i: &Instruction, machine: &impl Machine) {
        if is_locked(i) {
            return;
        }
        let mut factory = std::mem::take(&mut self.factory);
        let memory = factory.0.info(i).used_memory();
        let both = memory
            .iter()
            .filter(|m| reads(m.access()) && writes(m.access()));
        let mut sources = Sources::new();
        for (address, size) in both.filter_map(|m| place(m, machine)) {
            if machine.is_shared(address) {
                join(&mut sources, &self.load(i.ip(), address, size, machine));
            }
        }
        if !sources.is_empty() {
            self.begun = Some((i.ip(), sources));
        }
        self.factory = factory;
    }

    /// An instruction is about to be executed.
    pub(super) fn step(&mut self, i: &Instruction, machine: &impl Machine) -> Option<Lost> {
        let mut factory = std::mem::take(&mut self.factory);
        let lost = self.follow(i, &mut factory.0, machine);
        self.factory = factory;
        lost
    }

    fn follow(
        &mut self,
        i: &Instruction,
        factory: &mut InstructionInfoFactory,
        machine: &impl Machine,
    ) -> Option<Lost> {
        let info = factory.info(i);
        let begun = self.begun.take().filter(|(at, _)| *at == i.ip());
        // A register that only says where to store is no part of what is stored.
        let points = |register: Register| {
            let explicit = (0..i.op_count()).any(|n| {
                i.op_kind(n) == OpKind::Register
                    && i.op_register(n).full_register() == register.full_register()
            });
            let mut memory = info.used_memory().iter();
            !explicit
                && memory.any(|m| {
                    writes(m.access()) && [m.base(), m.index()].contains(&register.full_register())
                })
        };
        let mut inputs = Sources::new();
        for used in info.used_registers() {
            if let Some(n) = number(used.register())
                && reads(used.access())
                && !points(used.register())
            {
                join(&mut inputs, &self.registers.0[n]);
            }
        }
        for memory in info.used_memory().iter().filter(|m| reads(m.access())) {
            let Some((address, size)) = place(memory, machine) else {
                continue;
            };
            let sources = if !machine.is_shared(address) {
                self.slot(address, size)
            } else if let Some((_, sources)) = &begun {
                sources.clone()
            } else {
                self.load(i.ip(), address, size, machine)
            };
            join(&mut inputs, &sources);
        }
        for used in info.used_registers().iter().filter(|u| writes(u.access())) {
            let Some(n) = number(used.register()) else {
                continue;
            };
            let mut sources = inputs.clone();
            let partly = used.register().size() < 4
                || matches!(used.access(), OpAccess::CondWrite | OpAccess::ReadCondWrite);
            if partly {
                join(&mut sources, &self.registers.0[n]);
            }
            self.registers.0[n] = sources;
        }
        let mut lost = None;
        for memory in info.used_memory().iter().filter(|m| writes(m.access())) {
            let Some((address, size)) = place(memory, machine) else {
                continue;
            };
            if machine.is_shared(address) {
                if !is_locked(i) {
                    lost = lost.or_else(|| self.lost(i.ip(), address, size, &inputs));
                }
                let loads = self.loads.iter_mut();
                for load in loads.filter(|l| l.overlaps(address, size)) {
                    load.changed = None;
                }
            } else {
                self.keep(address, size, &inputs);
            }
        }
        lost
    }

    /// Takes note of a load; its numbers, one for each eight bytes.
    fn load(&mut self, at: u64, address: u64, size: u64, machine: &impl Machine) -> Sources {
        let mut sources = Sources::new();
        for offset in (0..size).step_by(8) {
            let (address, size) = (address + offset, (size - offset).min(8) as u8);
            let Some(value) = machine.memory(address, size) else {
                continue;
            };
            let same = |l: &Load| l.address == address && l.size == size && l.changed.is_none();
            let id = match self.loads.iter().position(same) {
                Some(id) => {
                    (self.loads[id].at, self.loads[id].value) = (at, value);
                    id
                }
                None if self.loads.len() < MOST => {
                    self.loads.push(Load {
                        at,
                        address,
                        size,
                        value,
                        changed: None,
                    });
                    self.loads.len() - 1
                }
                None => continue,
            };
            join(&mut sources, &[id as u16]);
        }
        sources
    }

    /// What a store of something made of these loads overwrites.
    fn lost(&self, stored: u64, address: u64, size: u64, sources: &Sources) -> Option<Lost> {
        let loads = sources
            .iter()
            .filter_map(|&id| self.loads.get(usize::from(id)));
        loads
            .filter(|load| load.overlaps(address, size))
            .find_map(|load| {
                Some(Lost {
                    loaded: load.at,
                    stored,
                    address: load.address,
                    old: load.value,
                    new: load.changed?,
                })
            })
    }

    fn slot(&self, address: u64, size: u64) -> Sources {
        let mut sources = Sources::new();
        for (&at, (bytes, held)) in self.slots.range(address.saturating_sub(63)..address + size) {
            if at + u64::from(*bytes) > address {
                join(&mut sources, held);
            }
        }
        sources
    }

    fn keep(&mut self, address: u64, size: u64, sources: &Sources) {
        let covered: Vec<u64> = self
            .slots
            .range(address..address + size)
            .map(|(&at, _)| at)
            .collect();
        for at in covered {
            self.slots.remove(&at);
        }
        if !sources.is_empty() {
            self.slots.insert(address, (size as u8, sources.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    /// Memory from 0x1000 that others reach, a stack from 0x8000; registers by number.
    #[derive(Default)]
    struct Model {
        registers: [u64; 16],
        words: RefCell<BTreeMap<u64, u64>>,
    }

    impl Machine for Model {
        fn register(&self, register: Register) -> u64 {
            self.registers[register.full_register().number()]
        }

        fn memory(&self, address: u64, size: u8) -> Option<u64> {
            let word = self.words.borrow().get(&address).copied().unwrap_or(0);
            let bits = 64 - 8 * u32::from(size);
            Some(word << bits >> bits)
        }

        fn is_shared(&self, address: u64) -> bool {
            address < 0x8000
        }
    }

    const RAX: usize = 0;
    const RCX: usize = 1;
    const RSP: usize = 4;

    /// Executes `code` with `rax` and `rcx` = 0x1000 and `rsp` = 0x9000, but for what it does to
    /// memory and registers; before instruction `k`, from 0, somebody else adds one at `address`.
    fn lost(code: &[u8], k: usize, address: u64) -> Option<Lost> {
        let mut model = Model::default();
        model.registers[RAX] = 0x1000;
        model.registers[RCX] = 0x1000;
        model.registers[RSP] = 0x9000;
        let mut updates = Updates::default();
        let decoder = Decoder::with_ip(64, code, 0x40_0000, DecoderOptions::NONE);
        let mut lost = None;
        for (n, i) in decoder.into_iter().enumerate() {
            assert!(!i.is_invalid());
            if n == k {
                updates.begin(&i, &model);
                updates.settle(&model);
                *model.words.borrow_mut().entry(address).or_default() += 1;
                updates.compare(&model);
            }
            lost = lost.or(updates.step(&i, &model));
        }
        lost
    }

    #[test]
    fn a_store_of_what_was_made_of_an_older_value_loses_what_came_between() {
        // mov eax,[rcx]; inc eax; mov [rcx],eax
        let count = [0x8B, 0x01, 0xFF, 0xC0, 0x89, 0x01];
        assert_eq!(lost(&count, 0, 0x1000), None, "nothing was loaded yet");
        for k in [1, 2] {
            let found = lost(&count, k, 0x1000).expect("a lost update");
            assert_eq!((found.loaded, found.stored), (0x40_0000, 0x40_0004));
            assert_eq!((found.address, found.old, found.new), (0x1000, 0, 1));
        }
        assert_eq!(lost(&count, 2, 0x1008), None, "something else changed");
    }

    #[test]
    fn an_instruction_that_does_both_has_a_middle_and_a_locked_one_has_none() {
        let plain = [0xFF, 0x01]; // inc dword [rcx]
        let locked = [0xF0, 0xFF, 0x01];
        assert!(lost(&plain, 0, 0x1000).is_some());
        assert_eq!(lost(&locked, 0, 0x1000), None);
        // mov eax,[rcx]; lea edx,[rax+1]; lock cmpxchg [rcx],edx: stores only what fits.
        let compared = [0x8B, 0x01, 0x8D, 0x50, 0x01, 0xF0, 0x0F, 0xB1, 0x11];
        assert_eq!(lost(&compared, 2, 0x1000), None);
    }

    #[test]
    fn a_value_is_followed_through_registers_and_the_stack() {
        // mov rax,[rcx]; mov [rsp+8],rax; mov rdx,[rsp+8]; lea r8,[rdx+1]; mov [rcx],r8
        let spilled = [
            0x48, 0x8B, 0x01, 0x48, 0x89, 0x44, 0x24, 0x08, 0x48, 0x8B, 0x54, 0x24, 0x08, 0x4C,
            0x8D, 0x42, 0x01, 0x4C, 0x89, 0x01,
        ];
        assert!(lost(&spilled, 2, 0x1000).is_some());
        // mov rax,[rcx]; xor eax,eax; mov [rcx],rax: a constant is stored.
        let constant = [0x48, 0x8B, 0x01, 0x31, 0xC0, 0x48, 0x89, 0x01];
        assert_eq!(lost(&constant, 1, 0x1000), None);
        // mov rax,[rcx]; mov rdx,[rax]; mov [rcx],rdx: the head of a list that is taken off.
        let head = [0x48, 0x8B, 0x01, 0x48, 0x8B, 0x10, 0x48, 0x89, 0x11];
        assert!(lost(&head, 2, 0x1000).is_some());
        // mov rax,[rcx]; mov [rax],rdx, of an empty list, whose head points to itself: the
        // pointer says where to store, and no more.
        let through = [0x48, 0x8B, 0x01, 0x48, 0x89, 0x10];
        assert_eq!(lost(&through, 1, 0x1000), None);
    }

    #[test]
    fn who_looks_again_knows_what_is_there() {
        // mov eax,[rcx]; mov eax,[rcx]; inc eax; mov [rcx],eax
        let again = [0x8B, 0x01, 0x8B, 0x01, 0xFF, 0xC0, 0x89, 0x01];
        assert_eq!(lost(&again, 1, 0x1000), None);
        assert!(lost(&again, 2, 0x1000).is_some());
        // mov edx,[rcx]; mov eax,[rcx]; inc edx; mov [rcx],edx: the older of two.
        let older = [0x8B, 0x11, 0x8B, 0x01, 0xFF, 0xC2, 0x89, 0x11];
        assert!(lost(&older, 1, 0x1000).is_some());
    }

    #[test]
    fn what_the_callback_or_a_function_that_it_called_wrote_is_no_change_of_others() {
        let mut model = Model::default();
        model.registers[RCX] = 0x1000;
        let mut updates = Updates::default();
        let code = [0x8B, 0x01, 0xFF, 0xC0, 0x89, 0x01];
        let decoder = Decoder::with_ip(64, &code, 0, DecoderOptions::NONE);
        for i in decoder {
            assert_eq!(updates.step(&i, &model), None);
            *model.words.borrow_mut().entry(0x1000).or_default() += 1;
            updates.settle(&model);
            assert!(!updates.compare(&model));
        }
        // After a call of the host a volatile register holds something else.
        let mut decoder = Decoder::with_ip(64, &code, 0, DecoderOptions::NONE);
        updates.step(&decoder.decode(), &model);
        updates.called();
        *model.words.borrow_mut().entry(0x1000).or_default() += 1;
        assert!(updates.compare(&model));
        updates.step(&decoder.decode(), &model);
        assert_eq!(updates.step(&decoder.decode(), &model), None);
    }
}
