//! Small pieces of code, assembled by hand, and what is found in them.

use super::*;

const BASE: u64 = 0x1000_0000_0000;
/// Where the test images have their import slots.
const SLOTS: u64 = 0x3000;

/// `call [rip + slot]` and the like: opcode bytes, then the distance to a slot.
fn through(code: &mut Vec<u8>, opcode: &[u8], slot: u64) {
    code.extend_from_slice(opcode);
    let end = 0x1000 + code.len() as u64 + 4;
    code.extend_from_slice(&((SLOTS + 8 * slot).wrapping_sub(end) as u32).to_le_bytes());
}

fn image(code: &[u8]) -> Image {
    Image::of_code(
        BASE,
        code,
        &[
            (SLOTS, "ndis.sys!First"),
            (SLOTS + 8, "ntoskrnl.exe!Second"),
        ],
    )
}

fn sites(code: &Code) -> Vec<(u64, &str, How)> {
    code.calls
        .iter()
        .map(|c| (c.at - BASE - 0x1000, &*c.import, c.how))
        .collect()
}

#[test]
fn every_way_to_an_import_is_found() {
    let mut code = Vec::new();
    through(&mut code, &[0xFF, 0x15], 0); // 0: call [First]
    through(&mut code, &[0x48, 0x8B, 0x35], 1); // 6: mov rsi, [Second]
    code.extend([0xFF, 0xD6]); // 13: call rsi
    code.extend([0x85, 0xC0]); // 15: test eax, eax
    code.extend([0x74, 0x02]); // 17: je 21
    code.extend([0xFF, 0xD6]); // 19: call rsi
    code.extend([0x48, 0x89, 0xF3]); // 21: mov rbx, rsi
    code.extend([0xFF, 0xD3]); // 24: call rbx
    code.extend([0xE8, 0x0E, 0, 0, 0]); // 26: call 45, the thunk
    through(&mut code, &[0x48, 0x8B, 0x05], 0); // 31: mov rax, [First]
    through(&mut code, &[0xFF, 0x25], 1); // 38: jmp [Second]
    code.push(0xCC); // 44
    through(&mut code, &[0xFF, 0x25], 0); // 45: jmp [First]
    let found = Code::of(&image(&code));
    let (first, second) = ("ndis.sys!First", "ntoskrnl.exe!Second");
    assert_eq!(
        sites(&found),
        [
            (0, first, How::Direct),
            (13, second, How::Register),
            (19, second, How::Register),
            (24, second, How::Register),
            (26, first, How::Thunk),
            (31, first, How::Taken),
            (38, second, How::Tail),
        ]
    );
    let at = BASE + 0x1000;
    let site = found.returning_to(at + 21).expect("behind the call at 19");
    assert_eq!((site.at, &*site.import), (at + 19, second));
    assert_eq!(found.returning_to(at + 20), None);
    assert_eq!(
        found.returning_to(at + 44),
        None,
        "a tail jump does not return there"
    );
    assert_eq!(found.function_of(at + 30), Some(at));
}

#[test]
fn a_register_that_a_call_may_change_is_not_trusted() {
    let mut code = Vec::new();
    through(&mut code, &[0x48, 0x8B, 0x05], 0); // mov rax, [First]
    through(&mut code, &[0xFF, 0x15], 1); // 7: call [Second]
    code.extend([0xFF, 0xD0, 0xC3]); // 13: call rax; ret
    let found = Code::of(&image(&code));
    assert_eq!(
        sites(&found),
        [
            (0, "ndis.sys!First", How::Taken),
            (7, "ntoskrnl.exe!Second", How::Direct)
        ]
    );
}

#[test]
fn locked_and_special_instructions_are_told_apart() {
    let code = [
        0xF0, 0x48, 0x0F, 0xC1, 0x01, // 0: lock xadd [rcx], rax
        0x87, 0x01, // 5: xchg [rcx], eax
        0x87, 0xC8, // 7: xchg eax, ecx: no memory
        0x0F, 0x31, // 9: rdtsc
        0x0F, 0x01, 0xF9, // 11: rdtscp
        0x48, 0x0F, 0xC7, 0xF0, // 14: rdrand rax
        0x0F, 0xC7, 0xF8, // 18: rdseed eax
        0x0F, 0xA2, // 21: cpuid
        0x44, 0x0F, 0x20, 0xC0, // 23: mov rax, cr8
        0xF3, 0x90, // 27: pause
        0x90, // 29: nop: not a pause
        0xCD, 0x2C, // 30: int 2Ch
        0xF4, // 32: hlt
        0xFA, // 33: cli
        0xCD, 0x29, // 34: int 29h
        0x0F, 0x31, // not reached
    ];
    let found = Code::of(&image(&code));
    let at = BASE + 0x1000;
    assert_eq!(found.locked, [at, at + 5]);
    let special: Vec<(u64, Special)> = found.special.iter().map(|&(a, s)| (a - at, s)).collect();
    assert_eq!(
        special,
        [
            (9, Special::Rdtsc),
            (11, Special::Rdtscp),
            (14, Special::Rdrand),
            (18, Special::Rdseed),
            (21, Special::Cpuid),
            (23, Special::Cr8),
            (27, Special::Pause),
            (30, Special::Assertion),
            (32, Special::Halt),
            (33, Special::Privileged),
            (34, Special::FastFail),
        ]
    );
}

fn waits(code: &[u8]) -> Vec<(u64, u64, Option<u64>)> {
    let at = BASE + 0x1000;
    Code::of(&image(code))
        .waits
        .iter()
        .map(|w| (w.head - at, w.jump - at, w.look.map(|l| l - at)))
        .collect()
}

#[test]
fn loops_that_wait_for_memory_are_found() {
    // cmp dword [rcx], 0; jne; ret
    assert_eq!(waits(&[0x83, 0x39, 0, 0x75, 0xFB, 0xC3]), [(0, 3, Some(0))]);
    // mov eax, 1; xchg [rcx], eax; test eax, eax; jne; ret
    let set = [0xB8, 1, 0, 0, 0, 0x87, 0x01, 0x85, 0xC0, 0x75, 0xF5, 0xC3];
    assert_eq!(waits(&set), [(0, 9, Some(5))]);
    // pause; cmp byte [rcx], 0; je: with a pause in it
    assert_eq!(
        waits(&[0xF3, 0x90, 0x80, 0x39, 0, 0x74, 0xF9, 0xC3]),
        [(0, 5, Some(2))]
    );
    // jmp $
    assert_eq!(waits(&[0xEB, 0xFE]), [(0, 0, None)]);
}

#[test]
fn loops_that_do_something_are_not_waits() {
    // inc eax; cmp [rcx], eax; jne
    assert!(waits(&[0xFF, 0xC0, 0x39, 0x01, 0x75, 0xFA, 0xC3]).is_empty());
    // mov rcx, [rcx]; test rcx, rcx; jne: a list
    assert!(waits(&[0x48, 0x8B, 0x09, 0x48, 0x85, 0xC9, 0x75, 0xF8, 0xC3]).is_empty());
    // lea edx, [rax + 1]; lock cmpxchg [rcx], edx; jne: tries again with what it found
    assert!(waits(&[0x8D, 0x50, 1, 0xF0, 0x0F, 0xB1, 0x11, 0x75, 0xF7, 0xC3]).is_empty());
    // test ecx, ecx; jne a; b: xor edi, edi; jmp end; a: xor esi, esi; cmp byte [rbx], 1; jne b
    // (back, and from there out); end: ret
    let back = [
        0x85, 0xC9, 0x75, 0x04, 0x31, 0xFF, 0xEB, 0x07, 0x31, 0xF6, 0x80, 0x3B, 1, 0x75, 0xF5, 0xC3,
    ];
    assert!(waits(&back).is_empty());
    // mov [rcx], edx; cmp [r8], edx; jne: stores
    assert!(waits(&[0x89, 0x11, 0x41, 0x39, 0x10, 0x75, 0xF9, 0xC3]).is_empty());
}

#[test]
fn a_displaced_instruction_reaches_the_same_memory() {
    // lock inc dword [rip + 0x10]
    let code = [0xF0, 0xFF, 0x05, 0x10, 0, 0, 0];
    let moved = displace(&code, 0x1000, 0x5000).expect("can be moved");
    let distance = i32::from_le_bytes(moved[3..7].try_into().expect("four"));
    assert_eq!(0x5000 + 7 + i64::from(distance), 0x1000 + 7 + 0x10);
    assert_eq!(displace(&[0xEB, 0xFE], 0x1000, 0x5000), None, "a jump");
    assert_eq!(displace(&code, 0x1000, 0x2_0000_0000), None, "too far");
    // lock xadd [rcx], rax needs nothing.
    let plain = [0xF0, 0x48, 0x0F, 0xC1, 0x01];
    assert_eq!(
        displace(&plain, 0x1000, 0x5000).as_deref(),
        Some(&plain[..])
    );
}

/// `cmp ecx, n - 1; ja` to the `ret` at the end, then a jump through the table at 0x3000 (over
/// the slots, which these images do not use), then `rdtsc; ret`, `cpuid; ret`, and
/// `mov eax, 0x310F; ret`, which has the bytes of a `rdtsc` in its number.
fn switch(microsoft: bool, n: u8) -> (Vec<u8>, [i32; 3]) {
    let mut code = vec![0x83, 0xF9, n - 1, 0x77];
    let jump = code.len();
    code.push(0);
    code.extend([0x48, 0x8D, 0x15]);
    let end = code.len() as i32 + 4;
    let base = if microsoft { 0 } else { 0x3000 };
    code.extend((base - 0x1000 - end).to_le_bytes());
    if microsoft {
        // mov eax, [rdx + rcx*4 + 0x3000]
        code.extend([0x8B, 0x84, 0x8A, 0, 0x30, 0, 0]);
    } else {
        // movsxd rax, [rdx + rcx*4]
        code.extend([0x48, 0x63, 0x04, 0x8A]);
    }
    code.extend([0x48, 0x01, 0xD0, 0xFF, 0xE0]);
    let mut cases = [0; 3];
    for (case, bytes) in cases.iter_mut().zip([
        &[0x0F, 0x31, 0xC3][..],
        &[0x0F, 0xA2, 0xC3],
        &[0xB8, 0x0F, 0x31, 0, 0, 0xC3],
    ]) {
        *case = 0x1000 + code.len() as i32 - base;
        code.extend_from_slice(bytes);
    }
    code[jump] = (code.len() - 1 - jump - 1) as u8;
    (code, cases)
}

#[test]
fn jump_tables_of_both_kinds_are_followed_and_no_further() {
    for microsoft in [false, true] {
        for unwind in [false, true] {
            let (code, [one, two, three]) = switch(microsoft, 2);
            let mut image = image(&code);
            // Two entries; behind them is what would lead into the middle of an instruction.
            let table = [one, two, three + 1].map(i32::to_le_bytes).concat();
            image.poke(0x3000, &table);
            let at = BASE + 0x1000;
            let end = at + code.len() as u64;
            if unwind {
                image.functions.push((at, end));
            }
            let found = Code::of(&image);
            let kinds: Vec<Special> = found.special.iter().map(|s| s.1).collect();
            assert_eq!(
                kinds,
                [Special::Rdtsc, Special::Cpuid],
                "{microsoft} {unwind}"
            );
            // With unwind information the third case is found without an entry of its own.
            let third = end - 6;
            assert_eq!(found.is_instruction(third), unwind);
            assert!(!found.is_instruction(third + 1));
        }
    }
}
