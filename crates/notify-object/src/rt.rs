//! What a program without a C runtime needs: a heap, a panic handler, and the few
//! functions that compiled code calls by itself.

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;

use windows::Win32::System::Diagnostics::Debug::OutputDebugStringA;
use windows::Win32::System::Memory::{
    GetProcessHeap, HEAP_FLAGS, HeapAlloc, HeapFree, HeapReAlloc,
};
use windows::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};
use windows::core::PCSTR;

/// The process's heap.
struct Heap;

/// The alignment that HeapAlloc promises on 64-bit Windows.
const ALIGNMENT: usize = 16;

// SAFETY: HeapAlloc gives disjoint blocks of at least the size asked for, aligned to 16;
// a layout that wants more is refused. The heap is serialized, so any thread may call.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > ALIGNMENT {
            return core::ptr::null_mut();
        }
        // SAFETY: the process's heap lives as long as the process.
        unsafe {
            match GetProcessHeap() {
                Ok(heap) => HeapAlloc(heap, HEAP_FLAGS(0), layout.size()).cast(),
                Err(_) => core::ptr::null_mut(),
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller hands back a block of `alloc`.
        unsafe {
            if let Ok(heap) = GetProcessHeap() {
                let _ = HeapFree(heap, HEAP_FLAGS(0), Some(block.cast::<c_void>()));
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, _: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller hands back a block of `alloc`; the alignment stays 16.
        unsafe {
            match GetProcessHeap() {
                Ok(heap) => {
                    HeapReAlloc(heap, HEAP_FLAGS(0), Some(block.cast::<c_void>()), size).cast()
                }
                Err(_) => core::ptr::null_mut(),
            }
        }
    }
}

#[global_allocator]
static HEAP: Heap = Heap;

/// A panic is a fault of this program; nothing of it may go on with half-done work.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: a text that ends with NUL; the pseudo-handle of this process.
    unsafe {
        OutputDebugStringA(PCSTR(c"notify object: panic\n".as_ptr().cast()));
        // STATUS_STACK_BUFFER_OVERRUN, which is what a fast fail ends with.
        let _ = TerminateProcess(GetCurrentProcess(), 0xC000_0409);
    }
    loop {
        core::hint::spin_loop();
    }
}

/// Compiled code that touches floating point refers to it.
#[unsafe(no_mangle)]
static _fltused: i32 = 0x9875;

// Called by compiled code for copies, fills and comparisons.
#[link(name = "ntdll.dll", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    fn memcpy(to: *mut c_void, from: *const c_void, size: usize) -> *mut c_void;
    fn memmove(to: *mut c_void, from: *const c_void, size: usize) -> *mut c_void;
    fn memset(to: *mut c_void, byte: i32, size: usize) -> *mut c_void;
    fn memcmp(a: *const c_void, b: *const c_void, size: usize) -> i32;
    fn strlen(text: *const u8) -> usize;
    fn wcslen(text: *const u16) -> usize;
}

/// Precompiled `alloc` names it as who unwinds its frames. Nothing unwinds here: a panic
/// ends the process, and exceptions of the system go on to the next frame.
#[unsafe(no_mangle)]
extern "C" fn __CxxFrameHandler3() -> i32 {
    const EXCEPTION_CONTINUE_SEARCH: i32 = 1;
    EXCEPTION_CONTINUE_SEARCH
}

/// Keeps the imports where link-time optimisation would find no use of them.
type Copy = unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> *mut c_void;
#[used]
static COPIES: [Copy; 2] = [memcpy, memmove];
#[used]
static FILL: unsafe extern "C" fn(*mut c_void, i32, usize) -> *mut c_void = memset;
#[used]
static BYTES: unsafe extern "C" fn(*const u8) -> usize = strlen;
#[used]
static LENGTH: unsafe extern "C" fn(*const u16) -> usize = wcslen;
#[used]
static COMPARE: unsafe extern "C" fn(*const c_void, *const c_void, usize) -> i32 = memcmp;

// Called at the start of functions with more than a page of locals: touches each page, so
// that the guard page is not jumped over. All registers but the flags (x64) or x16 and x17
// (arm64) are kept.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl __chkstk",
    "__chkstk:",
    "push rcx",
    "push rax",
    "lea rcx, [rsp + 24]",
    "2: cmp rax, 0x1000",
    "jb 3f",
    "sub rcx, 0x1000",
    "test dword ptr [rcx], ecx",
    "sub rax, 0x1000",
    "jmp 2b",
    "3: sub rcx, rax",
    "test dword ptr [rcx], ecx",
    "pop rax",
    "pop rcx",
    "ret",
);
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl __chkstk",
    "__chkstk:",
    "lsl x16, x15, #4",
    "mov x17, sp",
    "2: sub x17, x17, #4096",
    "subs x16, x16, #4096",
    "ldr xzr, [x17]",
    "b.gt 2b",
    "ret",
);
