//! Exceptions and emulated instructions, in a small image written by hand.

use std::sync::Arc;

use crate::host::{Config, Host};
use crate::image::Image;
use crate::report::Collect;
use crate::vp::PASSIVE;

/// Bytes of code and data at their places in the image.
struct Pieces(Vec<(usize, Vec<u8>)>);

impl Pieces {
    fn put(&mut self, at: usize, parts: &[&[u8]]) {
        self.0.push((at, parts.concat()));
    }

    /// Unwind information with one scope: prologue length, codes, begin, end, handler, jump.
    fn unwind(&mut self, at: usize, prologue: u8, codes: &[u8], scope: [u32; 4]) {
        // Version 1 with both kinds of handler.
        let mut bytes = vec![0x19, prologue, (codes.len() / 2) as u8, 0];
        bytes.extend(codes);
        if !codes.len().is_multiple_of(4) {
            bytes.extend([0, 0]);
        }
        for word in [THUNK, 1].into_iter().chain(scope) {
            bytes.extend(word.to_le_bytes());
        }
        self.0.push((at, bytes));
    }
}

/// `jmp [__C_specific_handler]`.
const THUNK: u32 = 0x1300;
const ENTER: &[u8] = &[0x48, 0x83, 0xEC, 0x28];
const LEAVE: &[u8] = &[0x48, 0x83, 0xC4, 0x28, 0xC3];
const ENTER_RBX: &[u8] = &[0x53, 0x48, 0x83, 0xEC, 0x20];
const LEAVE_RBX: &[u8] = &[0x48, 0x83, 0xC4, 0x20, 0x5B, 0xC3];
/// Unwind codes of those two.
const FRAME: &[u8] = &[4, 0x42];
const FRAME_RBX: &[u8] = &[5, 0x32, 1, 0x30];
const NOP: &[u8] = &[0x90];

fn pieces(host: &Host, counter: u64) -> Pieces {
    let import = |name: &str| {
        host.stub("ntoskrnl.exe", name)
            .expect("an import")
            .to_le_bytes()
    };
    let (raise, handler, copy) = (
        import("ExRaiseStatus"),
        import("__C_specific_handler"),
        import("memcpy"),
    );
    let mut p = Pieces(Vec::new());
    // A read in __try, taken by __except: mov eax, [rcx]; mov eax, 42.
    p.put(
        0x1000,
        &[
            ENTER,
            &[0x8B, 0x01],
            NOP,
            LEAVE,
            &[0xB8, 42, 0, 0, 0],
            LEAVE,
        ],
    );
    p.unwind(0x3100, 4, FRAME, [0x1004, 0x1007, 1, 0x100C]);
    // mov ebx, 11h; ExRaiseStatus(STATUS_ACCESS_VIOLATION) in __try with __finally.
    p.put(
        0x1100,
        &[
            ENTER_RBX,
            &[0xBB, 0x11, 0, 0, 0, 0xB9, 5, 0, 0, 0xC0, 0x48, 0xB8],
            &raise,
            &[0xFF, 0xD0],
            NOP,
            LEAVE_RBX,
        ],
    );
    p.unwind(0x3140, 5, FRAME_RBX, [0x110A, 0x111C, 0x1180, 0]);
    // Its __finally: inc dword ptr [counter].
    p.put(
        0x1180,
        &[&[0x48, 0xB8], &counter.to_le_bytes(), &[0xFF, 0x00, 0xC3]],
    );
    // mov ebx, 77h; calls it in __try; __except: add eax, ebx.
    p.put(
        0x1200,
        &[
            ENTER_RBX,
            &[0xBB, 0x77, 0, 0, 0, 0xE8],
            &(0x1100_i32 - 0x120F).to_le_bytes(),
            NOP,
            LEAVE_RBX,
            &[0x01, 0xD8],
            LEAVE_RBX,
        ],
    );
    p.unwind(0x3180, 5, FRAME_RBX, [0x120A, 0x1210, 0x1240, 0x1216]);
    // Its filter: the code is STATUS_ACCESS_VIOLATION.
    p.put(
        0x1240,
        &[&[
            0x48, 0x8B, 0x01, 0x81, 0x38, 5, 0, 0, 0xC0, 0x0F, 0x94, 0xC0, 0x0F, 0xB6, 0xC0, 0xC3,
        ]],
    );
    p.put(THUNK as usize, &[&[0xFF, 0x25, 0, 0, 0, 0], &handler]);
    // memcpy(rcx, null, 8) in __try: xor edx, edx; mov r8d, 8.
    p.put(
        0x1500,
        &[
            ENTER,
            &[0x31, 0xD2, 0x41, 0xB8, 8, 0, 0, 0, 0x48, 0xB8],
            &copy,
            &[0xFF, 0xD0],
            NOP,
            LEAVE,
            &[0xB8, 43, 0, 0, 0],
            LEAVE,
        ],
    );
    p.unwind(0x31C0, 4, FRAME, [0x1504, 0x1519, 1, 0x151E]);
    // rax = cr8; cr8 = rcx; rdx = cr8; cr8 = rax; rax = 16 * rax + rdx.
    p.put(
        0x1600,
        &[&[
            0x44, 0x0F, 0x20, 0xC0, 0x44, 0x0F, 0x22, 0xC1, 0x44, 0x0F, 0x20, 0xC2, 0x44, 0x0F,
            0x22, 0xC0, 0x48, 0xC1, 0xE0, 4, 0x48, 0x01, 0xD0, 0xC3,
        ]],
    );
    // mov rax, [rcx]; ret
    p.put(0x1640, &[&[0x48, 0x8B, 0x01, 0xC3]]);
    // cmp dword ptr [rcx + 8], edx; sete al; movzx eax, al
    p.put(
        0x1660,
        &[&[0x39, 0x51, 8, 0x0F, 0x94, 0xC0, 0x0F, 0xB6, 0xC0, 0xC3]],
    );
    // mov rax, gs:[188h]
    p.put(
        0x1680,
        &[&[0x65, 0x48, 0x8B, 0x04, 0x25, 0x88, 1, 0, 0, 0xC3]],
    );
    // xor ecx, ecx; xor edx, edx; mov eax, 1; div ecx, in __try.
    p.put(
        0x1700,
        &[
            ENTER,
            &[0x31, 0xC9, 0x31, 0xD2, 0xF7, 0xF1],
            NOP,
            LEAVE,
            &[0x05, 1, 0, 0, 0],
            LEAVE,
        ],
    );
    p.unwind(0x3200, 4, FRAME, [0x1704, 0x170B, 1, 0x1710]);
    let table: Vec<u8> = [
        [0x1000_u32, 0x1016, 0x3100],
        [0x1100, 0x1122, 0x3140],
        [0x1200, 0x121E, 0x3180],
        [0x1500, 0x1528, 0x31C0],
        [0x1700, 0x171A, 0x3200],
    ]
    .concat()
    .into_iter()
    .flat_map(u32::to_le_bytes)
    .collect();
    p.0.push((0x3000, table));
    p
}

#[test]
fn exceptions_and_privileged_instructions_go_where_they_go_on_windows() {
    crate::signals::install().expect("a handler");
    let host = Host::new(Config::default(), Arc::new(Collect::default())).expect("host");
    host.run("test", |host| {
        let counter = host.allocate(16, 1, "test");
        let base = host.arena.image();
        let mut image = Image::of_code(base, &[], &[]);
        image.set_function_table(0x3000, 60);
        for (at, bytes) in pieces(host, counter).0 {
            image.poke(at, &bytes);
        }
        host.adopt(image);
        let call = |rva: u64, args: &[u64]| host.call("code under test", 0, base + rva, args);

        // A fault in __try, and none.
        assert_eq!(call(0x1000, &[0]), 42);
        assert_eq!(call(0x1000, &[0x7000_0000_0000]), 42);
        host.put(counter, 7_u32, "test");
        assert_eq!(call(0x1000, &[counter]) as u32, 7);
        // A function of the runtime faults on behalf of its caller.
        assert_eq!(call(0x1500, &[counter]), 43);
        // Division by zero: __except gets the code.
        assert_eq!(call(0x1700, &[]) as u32, 0xC000_0094 + 1);
        // Raised two frames down: __finally between runs, and registers are what they were.
        host.put(counter, 0_u32, "test");
        assert_eq!(call(0x1200, &[]) as u32, 0xC000_0005 + 0x77);
        assert_eq!(call(0x1200, &[]) as u32, 0xC000_0005 + 0x77);
        assert_eq!(host.get::<u32>(counter, "test"), 2);
        assert_eq!(host.local().frames.borrow().len(), 0, "no open call stays");

        // The IRQL by cr8.
        assert_eq!(call(0x1600, &[2]), 2);
        assert_eq!(host.vp().irql(), PASSIVE);
        // KUSER_SHARED_DATA: the time moves with the host's.
        let page = 0xFFFF_F780_0000_0000_u64;
        let now = call(0x1640, &[page + 0x14]);
        assert!(now.abs_diff(super::super::system_time(host)) < 100, "{now}");
        host.sleep(1_000_000_000);
        let later = call(0x1640, &[page + 0x14]);
        assert!(
            (10_000_000..10_001_000).contains(&(later - now)),
            "{now} {later}"
        );
        // Windows 10, by a comparison with memory.
        assert_eq!(call(0x1660, &[page + 0x26C - 8, 10]), 1);
        assert_eq!(call(0x1660, &[page + 0x26C - 8, 11]), 0);
        // The running thread by gs.
        assert_eq!(call(0x1680, &[]), super::super::wait::current_thread(host));
        host.release(counter);
    });
    assert_eq!(host.findings(), []);
}
