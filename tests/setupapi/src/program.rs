//! The program itself. One thread; no allocation.

use core::ffi::c_void;
use core::ptr::{null, null_mut};

type Handle = isize;

const INF_STYLE_WIN4: u32 = 2;
const SPINST_REGISTRY: u32 = 0x4;
const HKEY_CURRENT_USER: Handle = 0x8000_0001_u32 as i32 as isize;
const KEY_ALL_ACCESS: u32 = 0xF003F;
/// Exit code for a command line that makes no sense.
const USAGE: u32 = 0xFFFF;
/// Longest argument, with its end.
const LONGEST: usize = 512;

#[link(name = "setupapi", kind = "raw-dylib")]
unsafe extern "system" {
    fn SetupOpenInfFileW(name: *const u16, class: *const u16, style: u32, line: *mut u32)
    -> Handle;
    fn SetupCloseInfFile(inf: Handle);
    fn SetupInstallFromInfSectionW(
        owner: Handle,
        inf: Handle,
        section: *const u16,
        flags: u32,
        root: Handle,
        source: *const u16,
        copy_flags: u32,
        handler: *const c_void,
        context: *mut c_void,
        device_set: Handle,
        device: *const c_void,
    ) -> i32;
    fn SetupInstallServicesFromInfSectionW(inf: Handle, section: *const u16, flags: u32) -> i32;
}

#[link(name = "advapi32", kind = "raw-dylib")]
unsafe extern "system" {
    fn RegCreateKeyExW(
        key: Handle,
        name: *const u16,
        reserved: u32,
        class: *const u16,
        options: u32,
        access: u32,
        security: *const c_void,
        result: *mut Handle,
        disposition: *mut u32,
    ) -> i32;
    fn RegCloseKey(key: Handle) -> i32;
}

#[link(name = "kernel32", kind = "raw-dylib")]
unsafe extern "system" {
    fn GetCommandLineW() -> *const u16;
    fn GetLastError() -> u32;
    fn ExitProcess(code: u32) -> !;
}

// What the compiler calls to copy and fill.
#[link(name = "ntdll", kind = "raw-dylib")]
unsafe extern "C" {
    #[allow(
        dead_code,
        reason = "the linker takes it for calls that the compiler makes"
    )]
    fn memcpy(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void;
    #[allow(
        dead_code,
        reason = "the linker takes it for calls that the compiler makes"
    )]
    fn memset(to: *mut c_void, value: i32, length: usize) -> *mut c_void;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: ends the process; nothing else runs.
    unsafe { ExitProcess(USAGE) }
}

/// A text with its end.
struct Text([u16; LONGEST]);

impl Text {
    fn of(parts: &[&[u16]]) -> Self {
        let mut text = [0; LONGEST];
        let room = text.iter_mut().take(LONGEST - 1);
        for (to, from) in room.zip(parts.iter().flat_map(|part| part.iter())) {
            *to = *from;
        }
        Self(text)
    }
}

fn is(part: &[u16], text: &str) -> bool {
    part.iter().copied().eq(text.encode_utf16())
}

fn ascii<const N: usize>(text: &[u8; N]) -> [u16; N] {
    text.map(u16::from)
}

/// Where the process begins.
#[unsafe(no_mangle)]
extern "system" fn start() -> u32 {
    // SAFETY: Windows ends the command line with a null; it lives as long as the process.
    let line = unsafe {
        let start = GetCommandLineW();
        let mut length = 0;
        while *start.add(length) != 0 {
            length += 1;
        }
        core::slice::from_raw_parts(start, length)
    };
    let mut words = line
        .split(|unit| *unit == u16::from(b' '))
        .filter(|word| !word.is_empty())
        .skip(1);
    let (Some(what), Some(section), Some(inf)) = (words.next(), words.next(), words.next()) else {
        return USAGE;
    };
    let path = Text::of(&[inf]);
    // SAFETY: the name ends with a null.
    let inf = unsafe { SetupOpenInfFileW(path.0.as_ptr(), null(), INF_STYLE_WIN4, null_mut()) };
    if inf == -1 {
        return error();
    }
    let code = if is(what, "registry") {
        registry(inf, section)
    } else if is(what, "services") {
        let name = Text::of(&[section, &ascii(b".Services")]);
        // SAFETY: an open INF, a name that ends with a null.
        verdict(unsafe { SetupInstallServicesFromInfSectionW(inf, name.0.as_ptr(), 0) })
    } else {
        USAGE
    };
    // SAFETY: opened above, not used after this.
    unsafe { SetupCloseInfFile(inf) };
    // SAFETY: the process ends here.
    unsafe { ExitProcess(code) }
}

fn registry(inf: Handle, section: &[u16]) -> u32 {
    let name = Text::of(&[&ascii(b"Software\\inf-installer\\"), section]);
    let mut root = 0;
    // SAFETY: names end with nulls; the result lives on this stack.
    let failed = unsafe {
        RegCreateKeyExW(
            HKEY_CURRENT_USER,
            name.0.as_ptr(),
            0,
            null(),
            0,
            KEY_ALL_ACCESS,
            null(),
            &raw mut root,
            null_mut(),
        )
    };
    if failed != 0 {
        return failed.unsigned_abs();
    }
    let section = Text::of(&[section]);
    // SAFETY: an open INF and key, a name that ends with a null; no files, so no handler.
    let done = unsafe {
        SetupInstallFromInfSectionW(
            0,
            inf,
            section.0.as_ptr(),
            SPINST_REGISTRY,
            root,
            null(),
            0,
            null(),
            null_mut(),
            0,
            null(),
        )
    };
    let code = verdict(done);
    // SAFETY: opened above.
    unsafe { RegCloseKey(root) };
    code
}

fn verdict(done: i32) -> u32 {
    if done == 0 { error() } else { 0 }
}

/// The last error, which is never 0 here.
fn error() -> u32 {
    // SAFETY: reads a value of this thread.
    unsafe { GetLastError() }.max(1)
}
