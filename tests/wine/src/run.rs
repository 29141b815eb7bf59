//! The entry point, arguments, and what is printed.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use netcfg::{Driver, Guid, Topology};
use windows::Win32::Storage::FileSystem::WriteFile;
use windows::Win32::System::Com::{COINIT_APARTMENTTHREADED, CoInitializeEx, CoUninitialize};
use windows::Win32::System::Console::{GetStdHandle, STD_OUTPUT_HANDLE};
use windows::Win32::System::Environment::GetCommandLineW;
use windows::Win32::System::Threading::ExitProcess;
use windows::core::GUID;

use crate::dll::Dll;
use crate::{exports, interfaces, wide};

/// What the program was told.
pub struct Args {
    pub dll: String,
    pub class: GUID,
    pub protocol: &'static str,
    pub miniport: &'static str,
    pub folder: String,
    pub driver: Driver<'static>,
}

/// Counts what held and what did not.
#[derive(Default)]
pub struct Tally {
    passed: Cell<u32>,
    failed: Cell<u32>,
}

impl Tally {
    /// `what` has to hold.
    pub fn check(&self, holds: bool, what: &str) {
        if holds {
            self.passed.set(self.passed.get() + 1);
        } else {
            self.failed.set(self.failed.get() + 1);
            print(&format!("FAILED {what}"));
        }
    }

    /// The two have to be equal.
    pub fn equal<T: PartialEq + core::fmt::Debug>(&self, a: &T, b: &T, what: &str) {
        self.check(a == b, what);
        if a != b {
            print(&format!("  is     {a:?}\n  wanted {b:?}"));
        }
    }
}

/// Prints a line.
pub fn print(text: &str) {
    let line = format!("{text}\n");
    // SAFETY: a handle of this process; the length goes with the bytes.
    unsafe {
        if let Ok(out) = GetStdHandle(STD_OUTPUT_HANDLE) {
            let _ = WriteFile(out, Some(line.as_bytes()), None, None);
        }
    }
}

fn args() -> Option<Args> {
    // SAFETY: the process's command line ends with NUL.
    let line = unsafe {
        let line = GetCommandLineW();
        wide::of(line.as_wide())
    };
    // No path of the tests has blanks or quotes in it.
    let words: Vec<String> = line
        .split_whitespace()
        .map(|w| w.replace('"', ""))
        .collect();
    let [_, dll, driver, class, protocol, miniport, folder] =
        <[String; 7]>::try_from(words).ok()?;
    let class = GUID::from_u128(class.parse::<Guid>().ok()?.0);
    // Kept for the life of the process.
    let keep = |text: String| -> &'static str { alloc::boxed::Box::leak(text.into_boxed_str()) };
    let (name, protocol, miniport) = (keep(driver), keep(protocol), keep(miniport));
    let driver = Driver {
        name,
        topology: Topology::of(name)?,
        protocol,
        miniport,
    };
    Some(Args {
        dll,
        class,
        protocol,
        miniport,
        folder,
        driver,
    })
}

/// The entry point of the process.
#[unsafe(no_mangle)]
extern "system" fn start() -> ! {
    let tally = Rc::new(Tally::default());
    match args() {
        None => tally.check(
            false,
            "arguments: DLL DRIVER CLSID PROTOCOL MINIPORT FOLDER",
        ),
        Some(args) => {
            // SAFETY: paired below.
            let entered = unsafe { CoInitializeEx(None, COINIT_APARTMENTTHREADED) };
            tally.check(entered.is_ok(), "CoInitializeEx");
            match Dll::load(&args) {
                Some(dll) => {
                    dll.registration(&tally);
                    interfaces::lifecycle(&dll, &args, &tally);
                    interfaces::failures(&dll, &args, &tally);
                    exports::all(&dll, &args, &tally);
                    dll.end(&tally);
                }
                None => tally.check(false, "the DLL loads and has its exports"),
            }
            // SAFETY: entered above.
            unsafe { CoUninitialize() };
        }
    }
    let (passed, failed) = (tally.passed.get(), tally.failed.get());
    print(&format!("{passed} passed, {failed} failed"));
    // SAFETY: the end.
    unsafe { ExitProcess(u32::from(failed > 0)) }
}
