//! Loads a notify object and drives it: registration, class factory, reference counts, the
//! four interfaces and the functions for rundll32, all over a scripted network
//! configuration, every call of which fails once. Runs under Wine, and would on Windows:
//! it touches nothing but its own keys, the class's registration and the work folder.
//!
//!     notify-driver DLL DRIVER CLSID PROTOCOL MINIPORT FOLDER
//!
//! Ends with `N passed, N failed` and an exit code. One thread, but for confirmations.
#![cfg_attr(all(windows, feature = "exe"), no_std, no_main)]

#[cfg(all(windows, feature = "exe"))]
extern crate alloc;

#[cfg(all(windows, feature = "exe"))]
mod dll;
#[cfg(all(windows, feature = "exe"))]
mod exports;
#[cfg(all(windows, feature = "exe"))]
mod interfaces;
#[cfg(all(windows, feature = "exe"))]
#[path = "../../../crates/notify-object/src/registry.rs"]
mod registry;
#[cfg(all(windows, feature = "exe"))]
#[path = "../../../crates/notify-object/src/rt.rs"]
mod rt;
#[cfg(all(windows, feature = "exe"))]
mod run;
#[cfg(all(windows, feature = "exe"))]
mod script;
#[cfg(all(windows, feature = "exe"))]
#[expect(
    dead_code,
    reason = "the notify object's; not all of it is of use here"
)]
#[path = "../../../crates/notify-object/src/wide.rs"]
mod wide;
#[cfg(all(windows, feature = "exe"))]
mod world;

#[cfg(not(all(windows, feature = "exe")))]
fn main() {
    println!("built for Windows by `cargo xtask test`");
}
