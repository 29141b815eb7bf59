//! The raw record of a crash, as bytes in a memory file.
//!
//! The writer is a signal handler: it knows nothing but `pwrite`, and lets the
//! kernel read the dead stack, which answers `EFAULT` where a load would fault
//! again. The layout is fixed offsets, so a half-written record is still read.

use std::fmt;

use lab_host::report::StackSnapshot;

/// First word of a record.
pub const MAGIC: u64 = 0x4854_4145_4442_414c; // "LABDEATH"
/// Offset of the code bytes at the instruction pointer.
pub const CODE_AT: usize = 512;
/// How many code bytes.
pub const CODE_LEN: usize = 32;
/// Offset of the stack bytes; the file ends where readable stack ends.
pub const STACK_AT: usize = 4096;
/// Most stack bytes kept: a kernel stack is 24 KiB, the rest is host frames.
pub const STACK_MAX: usize = 64 << 10;

/// Words of the header.
pub mod word {
    /// [`super::MAGIC`].
    pub const MAGIC: usize = 0;
    /// Signal number.
    pub const SIGNAL: usize = 1;
    /// `si_code`.
    pub const CODE: usize = 2;
    /// `si_addr`.
    pub const ADDRESS: usize = 3;
    /// `si_syscall` for SIGSYS.
    pub const SYSCALL: usize = 4;
    /// Where the driver image is mapped.
    pub const IMAGE_BASE: usize = 5;
    /// Its size; 0 while none is.
    pub const IMAGE_SIZE: usize = 6;
    /// [`super::Where`].
    pub const WHERE: usize = 7;
    /// The general registers in the kernel's `gregs` order.
    pub const REGISTERS: usize = 8;
    /// Number of words.
    pub const COUNT: usize = REGISTERS + 18;
}

/// Names of the registers in the kernel's `gregs` order.
pub const REGISTER_NAMES: [&str; 18] = [
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax",
    "rcx", "rsp", "rip", "eflags",
];

/// Whose code the instruction pointer was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The host's own code or the C library.
    Host = 0,
    /// The driver image.
    Driver = 1,
    /// Neither: somebody jumped to nowhere.
    Nowhere = 2,
}

/// A record read back.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Signal number.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// Faulting address; meaningful for SIGSEGV and SIGBUS.
    pub address: u64,
    /// System call number for SIGSYS.
    pub syscall: i64,
    /// Where the driver image is mapped and its size.
    pub image: (u64, u64),
    /// Whose code it was.
    pub place: Where,
    /// Registers in the order of [`REGISTER_NAMES`].
    pub registers: [u64; 18],
    /// Code bytes at the instruction pointer; empty if not readable.
    pub code_bytes: Vec<u8>,
    /// Stack bytes from the stack pointer upward.
    pub stack: Vec<u8>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Record {{ signal {} code {} address {:#x} syscall {} image {:x?} {:?}",
            self.signal, self.code, self.address, self.syscall, self.image, self.place
        )?;
        for (name, value) in REGISTER_NAMES.iter().zip(self.registers) {
            write!(f, " {name}={value:x}")?;
        }
        write!(
            f,
            " code {:02x?}, {} stack bytes }}",
            self.code_bytes,
            self.stack.len()
        )
    }
}

impl Record {
    /// Reads a record; `None` if there is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |index: usize| -> u64 {
            bytes
                .get(index * 8..index * 8 + 8)
                .and_then(|slice| slice.try_into().ok())
                .map_or(0, u64::from_le_bytes)
        };
        if word(word::MAGIC) != MAGIC {
            return None;
        }
        let code_bytes = bytes
            .get(CODE_AT..CODE_AT + CODE_LEN)
            .filter(|code| code.iter().any(|byte| *byte != 0))
            .map(<[u8]>::to_vec)
            .unwrap_or_default();
        let mut registers = [0; 18];
        for (index, register) in registers.iter_mut().enumerate() {
            *register = word(word::REGISTERS + index);
        }
        Some(Self {
            signal: word(word::SIGNAL) as i32,
            code: word(word::CODE) as i32,
            address: word(word::ADDRESS),
            syscall: word(word::SYSCALL) as i64,
            image: (word(word::IMAGE_BASE), word(word::IMAGE_SIZE)),
            place: match word(word::WHERE) {
                1 => Where::Driver,
                2 => Where::Nowhere,
                _ => Where::Host,
            },
            registers,
            code_bytes,
            stack: bytes.get(STACK_AT..).unwrap_or_default().to_vec(),
        })
    }

    /// Whether the processor gave no address: a protection fault, not a page fault.
    pub fn is_protection(&self) -> bool {
        // `si_code` SI_KERNEL.
        self.signal == libc::SIGSEGV && self.code == 128
    }

    /// A register by name.
    pub fn register(&self, name: &str) -> Option<u64> {
        let index = REGISTER_NAMES.iter().position(|known| *known == name)?;
        self.registers.get(index).copied()
    }

    /// What an unwinder needs.
    pub fn snapshot(&self) -> StackSnapshot {
        StackSnapshot {
            rip: self.register("rip").unwrap_or(0),
            rsp: self.register("rsp").unwrap_or(0),
            rbp: self.register("rbp").unwrap_or(0),
            bytes: self.stack.clone(),
            image_base: self.image.0,
            image_size: self.image.1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_and_nothing_are_no_record() {
        assert_eq!(Record::parse(&[]), None);
        assert_eq!(Record::parse(&[0xff; 8192]), None);
    }

    #[test]
    fn a_half_written_record_is_still_read() {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend(11u64.to_le_bytes());
        let record = Record::parse(&bytes).expect("magic is there");
        assert_eq!(record.signal, 11);
        assert_eq!(record.place, Where::Host);
        assert!(record.stack.is_empty());
        assert!(record.code_bytes.is_empty());
    }
}
