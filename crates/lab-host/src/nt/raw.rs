//! The memory functions of the C runtime, as a compiler calls them.
//!
//! They are called at any IRQL from anywhere, do not cross into the host's bookkeeping, and
//! fault at the instruction when they should. All are leaves that change no register that a
//! caller expects to find again, so that a fault inside one is a fault of its caller with the
//! return address on top of the stack (see `host/emulate`).

use std::arch::global_asm;
use std::ops::Range;

use crate::api::Api;

global_asm!(
    ".pushsection .text.lab_raw, \"ax\", @progbits",
    ".balign 16",
    // Whoever asks for an address may be compiled into another object.
    ".globl lab_raw_begin",
    ".hidden lab_raw_begin",
    ".globl lab_raw_move",
    ".hidden lab_raw_move",
    ".globl lab_raw_zero",
    ".hidden lab_raw_zero",
    ".globl lab_raw_fill",
    ".hidden lab_raw_fill",
    ".globl lab_raw_set",
    ".hidden lab_raw_set",
    ".globl lab_raw_order",
    ".hidden lab_raw_order",
    ".globl lab_raw_compare",
    ".hidden lab_raw_compare",
    ".globl lab_raw_length",
    ".hidden lab_raw_length",
    ".globl lab_raw_wide_length",
    ".hidden lab_raw_wide_length",
    ".globl lab_raw_text_order",
    ".hidden lab_raw_text_order",
    ".globl lab_raw_text_copy",
    ".hidden lab_raw_text_copy",
    ".globl lab_raw_upcase",
    ".hidden lab_raw_upcase",
    ".globl lab_raw_probe",
    ".hidden lab_raw_probe",
    ".globl lab_raw_end",
    ".hidden lab_raw_end",
    "lab_raw_begin:",
    // memmove(rcx to, rdx from, r8 count) -> to
    "lab_raw_move:",
    "mov rax, rcx",
    "mov r9, rcx",
    "sub r9, rdx",
    "cmp r9, r8",
    "jb 5f",
    "cmp r8, 16",
    "jb 3f",
    "2:",
    "movups xmm0, [rdx]",
    "movups [rcx], xmm0",
    "add rdx, 16",
    "add rcx, 16",
    "sub r8, 16",
    "cmp r8, 16",
    "jae 2b",
    "3:",
    "cmp r8, 8",
    "jb 4f",
    "mov r9, [rdx]",
    "mov [rcx], r9",
    "add rdx, 8",
    "add rcx, 8",
    "sub r8, 8",
    "4:",
    "test r8, r8",
    "jz 9f",
    "mov r9b, [rdx]",
    "mov [rcx], r9b",
    "inc rdx",
    "inc rcx",
    "dec r8",
    "jmp 4b",
    // The end overlaps what is still to be read: backward.
    "5:",
    "add rdx, r8",
    "add rcx, r8",
    "6:",
    "cmp r8, 16",
    "jb 7f",
    "sub rdx, 16",
    "sub rcx, 16",
    "movups xmm0, [rdx]",
    "movups [rcx], xmm0",
    "sub r8, 16",
    "jmp 6b",
    "7:",
    "test r8, r8",
    "jz 9f",
    "dec rdx",
    "dec rcx",
    "mov r9b, [rdx]",
    "mov [rcx], r9b",
    "dec r8",
    "jmp 7b",
    "9:",
    "ret",
    ".balign 16",
    // RtlZeroMemory(rcx to, rdx count)
    "lab_raw_zero:",
    "mov r8, rdx",
    "xor edx, edx",
    "jmp lab_raw_set",
    // RtlFillMemory(rcx to, rdx count, r8b byte)
    "lab_raw_fill:",
    "xchg rdx, r8",
    // memset(rcx to, edx byte, r8 count) -> to
    "lab_raw_set:",
    "mov rax, rcx",
    "movzx edx, dl",
    "mov r9, 0x0101010101010101",
    "imul rdx, r9",
    "2:",
    "cmp r8, 8",
    "jb 3f",
    "mov [rcx], rdx",
    "add rcx, 8",
    "sub r8, 8",
    "jmp 2b",
    "3:",
    "test r8, r8",
    "jz 4f",
    "mov [rcx], dl",
    "inc rcx",
    "dec r8",
    "jmp 3b",
    "4:",
    "ret",
    ".balign 16",
    // memcmp(rcx a, rdx b, r8 count) -> difference of the first bytes that differ
    "lab_raw_order:",
    "xor eax, eax",
    "2:",
    "test r8, r8",
    "jz 3f",
    "movzx eax, byte ptr [rcx]",
    "movzx r9d, byte ptr [rdx]",
    "inc rcx",
    "inc rdx",
    "dec r8",
    "sub eax, r9d",
    "jz 2b",
    "3:",
    "ret",
    ".balign 16",
    // RtlCompareMemory(rcx a, rdx b, r8 count) -> bytes that are equal
    "lab_raw_compare:",
    "xor eax, eax",
    "2:",
    "cmp rax, r8",
    "jae 3f",
    "mov r9b, [rcx + rax]",
    "cmp r9b, [rdx + rax]",
    "jne 3f",
    "inc rax",
    "jmp 2b",
    "3:",
    "ret",
    ".balign 16",
    // strlen(rcx)
    "lab_raw_length:",
    "mov rax, -1",
    "2:",
    "inc rax",
    "cmp byte ptr [rcx + rax], 0",
    "jne 2b",
    "ret",
    ".balign 16",
    // wcslen(rcx)
    "lab_raw_wide_length:",
    "mov rax, -1",
    "2:",
    "inc rax",
    "cmp word ptr [rcx + 2 * rax], 0",
    "jne 2b",
    "ret",
    ".balign 16",
    // strcmp(rcx a, rdx b)
    "lab_raw_text_order:",
    "2:",
    "movzx eax, byte ptr [rcx]",
    "movzx r9d, byte ptr [rdx]",
    "inc rcx",
    "inc rdx",
    "sub eax, r9d",
    "jnz 3f",
    "test r9d, r9d",
    "jnz 2b",
    "3:",
    "ret",
    ".balign 16",
    // strcpy(rcx to, rdx from) -> to
    "lab_raw_text_copy:",
    "mov rax, rcx",
    "2:",
    "mov r9b, [rdx]",
    "mov [rcx], r9b",
    "inc rdx",
    "inc rcx",
    "test r9b, r9b",
    "jnz 2b",
    "ret",
    ".balign 16",
    // _strupr(rcx) -> rcx
    "lab_raw_upcase:",
    "mov rax, rcx",
    "2:",
    "movzx edx, byte ptr [rcx]",
    "test edx, edx",
    "jz 4f",
    "lea r9d, [rdx - 0x61]",
    "cmp r9d, 25",
    "ja 3f",
    "sub edx, 0x20",
    "mov [rcx], dl",
    "3:",
    "inc rcx",
    "jmp 2b",
    "4:",
    "ret",
    ".balign 16",
    // __chkstk probes the stack for large frames and preserves every register; the arena's
    // stacks are mapped whole, so there is nothing to probe.
    "lab_raw_probe:",
    "ret",
    ".balign 32",
    "lab_raw_end:",
    ".popsection",
);

unsafe extern "win64" {
    fn lab_raw_begin();
    fn lab_raw_move();
    fn lab_raw_zero();
    fn lab_raw_fill();
    fn lab_raw_set();
    fn lab_raw_order();
    fn lab_raw_compare();
    fn lab_raw_length();
    fn lab_raw_wide_length();
    fn lab_raw_text_order();
    fn lab_raw_text_copy();
    fn lab_raw_upcase();
    fn lab_raw_probe();
    fn lab_raw_end();
}

/// Where the code of these functions lies.
pub(crate) fn raw_code() -> Range<u64> {
    lab_raw_begin as *const () as u64..lab_raw_end as *const () as u64
}

/// These functions, which bypass the checked thunks.
pub(super) fn exports() -> Vec<Api> {
    let entry = |name, args, thunk: *const ()| Api {
        dll: "ntoskrnl.exe",
        name,
        low: 0,
        high: 15,
        rule: "IRQ-11",
        args,
        thunk: thunk as usize,
    };
    vec![
        entry("memcpy", 3, lab_raw_move as *const ()),
        entry("memmove", 3, lab_raw_move as *const ()),
        entry("RtlCopyMemory", 3, lab_raw_move as *const ()),
        entry("RtlCopyMemoryNonTemporal", 3, lab_raw_move as *const ()),
        entry("RtlMoveMemory", 3, lab_raw_move as *const ()),
        entry("memset", 3, lab_raw_set as *const ()),
        entry("RtlFillMemory", 3, lab_raw_fill as *const ()),
        entry("RtlZeroMemory", 2, lab_raw_zero as *const ()),
        entry("memcmp", 3, lab_raw_order as *const ()),
        entry("RtlCompareMemory", 3, lab_raw_compare as *const ()),
        entry("strlen", 1, lab_raw_length as *const ()),
        entry("wcslen", 1, lab_raw_wide_length as *const ()),
        entry("strcmp", 2, lab_raw_text_order as *const ()),
        entry("strcpy", 2, lab_raw_text_copy as *const ()),
        entry("_strupr", 1, lab_raw_upcase as *const ()),
        entry("__chkstk", 0, lab_raw_probe as *const ()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    type Three = extern "win64" fn(*mut u8, *const u8, usize) -> *mut u8;
    type Two = extern "win64" fn(*const u8, *const u8) -> i32;
    type One = extern "win64" fn(*mut u8) -> usize;

    /// A function of the table by its name.
    fn find(name: &str) -> usize {
        exports()
            .iter()
            .find(|a| a.name == name)
            .expect("an export")
            .thunk
    }

    #[test]
    fn copies_may_overlap_either_way() {
        // SAFETY: the exported function has this type.
        let copy: Three = unsafe { std::mem::transmute(find("memcpy")) };
        for len in 0..70_usize {
            for (from, to) in [
                (0_usize, 3_usize),
                (3, 0),
                (0, 17),
                (17, 0),
                (0, 100),
                (5, 5),
            ] {
                let mut bytes: Vec<u8> = (0..200).map(|i| i as u8).collect();
                let mut wanted = bytes.clone();
                wanted.copy_within(from..from + len, to);
                let base = bytes.as_mut_ptr();
                // SAFETY: both places lie within the 200 bytes.
                let (d, s) = unsafe { (base.add(to), base.add(from)) };
                assert_eq!(copy(d, s, len), d);
                assert_eq!(bytes, wanted, "{len} bytes from {from} to {to}");
            }
        }
    }

    #[test]
    fn the_others_do_what_c_says() {
        type Set = extern "win64" fn(*mut u8, i32, usize) -> *mut u8;
        type Fill = extern "win64" fn(*mut u8, usize, u8);
        type Equal = extern "win64" fn(*const u8, *const u8, usize) -> usize;
        type Order = extern "win64" fn(*const u8, *const u8, usize) -> i32;
        /// # Safety
        /// The function has this type.
        unsafe fn of<F: Copy>(name: &str) -> F {
            let at = find(name);
            // SAFETY: as the caller says; a function pointer has the size of an address.
            unsafe { std::mem::transmute_copy::<usize, F>(&at) }
        }
        // SAFETY: the exported functions have these types.
        let (set, fill, equal, order, text, length, wide, upcase) = unsafe {
            (
                of::<Set>("memset"),
                of::<Fill>("RtlFillMemory"),
                of::<Equal>("RtlCompareMemory"),
                of::<Order>("memcmp"),
                of::<Two>("strcmp"),
                of::<One>("strlen"),
                of::<One>("wcslen"),
                of::<One>("_strupr"),
            )
        };
        let mut bytes = [1_u8; 40];
        set(bytes.as_mut_ptr(), 0x1AB, 21);
        assert_eq!((bytes[0], bytes[20], bytes[21]), (0xAB, 0xAB, 1));
        fill(bytes.as_mut_ptr(), 3, 9);
        assert_eq!(bytes[..4], [9, 9, 9, 0xAB]);
        assert_eq!(equal(b"abcd".as_ptr(), b"abxd".as_ptr(), 4), 2);
        assert_eq!(equal(b"abcd".as_ptr(), b"abcd".as_ptr(), 4), 4);
        assert!(order(b"ab".as_ptr(), b"ac".as_ptr(), 2) < 0);
        assert!(order(b"\xFF".as_ptr(), b"\x01".as_ptr(), 1) > 0);
        assert_eq!(order(b"ab".as_ptr(), b"ac".as_ptr(), 1), 0);
        assert!(text(c"abc".as_ptr().cast(), c"ab".as_ptr().cast()) > 0);
        assert_eq!(text(b"abc\0x".as_ptr(), b"abc\0y".as_ptr()), 0);
        let mut name = *b"aZ_z{9\0";
        assert_eq!(length(name.as_mut_ptr()), 6);
        assert_eq!(wide([7_u16, 8, 0].as_ptr().cast_mut().cast()), 2);
        upcase(name.as_mut_ptr());
        assert_eq!(&name, b"AZ_Z{9\0");
    }
}
