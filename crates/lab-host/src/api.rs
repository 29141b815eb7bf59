//! How the host's functions are described and exported to drivers.
//!
//! [`api!`] defines a function once: its DLL, name, arguments, the IRQL range it may be
//! called at with the rule that says so, and its body. Out of that come the checked
//! `extern "win64"` thunk that an image's import table is bound to, and the entry in the
//! module's table.

use std::sync::{Mutex, PoisonError};

use crate::host::Host;
use crate::vp::Vp;

/// Description of one exported function.
#[derive(Debug)]
pub struct Api {
    /// `ndis.sys` or `ntoskrnl.exe`.
    pub dll: &'static str,
    /// Exported name.
    pub name: &'static str,
    /// Lowest IRQL it may be called at.
    pub low: u8,
    /// Highest IRQL it may be called at.
    pub high: u8,
    /// Rule that gives the range.
    pub rule: &'static str,
    /// Number of arguments.
    pub args: usize,
    /// The thunk.
    pub thunk: usize,
}

/// Anything that travels in a register between driver and host.
pub trait Word: Copy {
    /// As the register holds it.
    fn word(self) -> u64;

    /// What a call that does nothing returns: zero, which is success where it is a status.
    fn nothing() -> Self;
}

macro_rules! words {
    ($($t:ty),*) => { $(impl Word for $t {
        fn word(self) -> u64 { self as u64 }
        fn nothing() -> Self { 0 }
    })* };
}
words!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

impl Word for () {
    fn word(self) -> u64 {
        0
    }

    fn nothing() {}
}

impl Word for ndis_sys::NDIS_STATUS {
    fn word(self) -> u64 {
        u64::from(self.0 as u32)
    }

    fn nothing() -> Self {
        Self(0)
    }
}

impl Word for ndis_sys::NTSTATUS {
    fn word(self) -> u64 {
        u64::from(self.0 as u32)
    }

    fn nothing() -> Self {
        Self(0)
    }
}

/// Functions that a driver of this process has called, each once.
static CALLED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// The first call of a function in this process.
pub(crate) fn first_call(name: &'static str) {
    let mut called = CALLED.lock().unwrap_or_else(PoisonError::into_inner);
    called.push(name);
}

/// Functions that drivers of this process have called so far.
pub fn called() -> Vec<&'static str> {
    let called = CALLED.lock().unwrap_or_else(PoisonError::into_inner);
    called.clone()
}

/// The host that the calling driver code belongs to.
pub(crate) fn host<'a>() -> &'a Host {
    Vp::current().host()
}

macro_rules! api {
    ($table:ident: $(
        $(#[$meta:meta])*
        $dll:literal $low:literal..=$high:literal $rule:literal
        fn $name:ident($host:ident $(, $arg:ident: $ty:ty)* $(,)?) $(-> $ret:ty)? $body:block
    )*) => {
        $(
            $(#[$meta])*
            #[allow(non_snake_case, clippy::too_many_arguments, reason = "the exported name and shape")]
            pub(crate) extern "win64" fn $name($($arg: $ty),*) $(-> $ret)? {
                static API: $crate::api::Api = $crate::api::Api {
                    dll: $dll,
                    name: stringify!($name),
                    low: $low,
                    high: $high,
                    rule: $rule,
                    args: 0,
                    thunk: 0,
                };
                static CALLED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
                let $host = $crate::api::host();
                if !CALLED.load(std::sync::atomic::Ordering::Relaxed)
                    && !CALLED.swap(true, std::sync::atomic::Ordering::Relaxed)
                {
                    $crate::api::first_call(stringify!($name));
                }
                let here = 0_u8;
                $host.enter(&API, &[$($crate::api::Word::word($arg)),*], &raw const here as u64);
                let result = if $host.leaves_out(&API) {
                    $crate::api::Word::nothing()
                } else {
                    // A closure, so that `return` in the body comes back here.
                    #[allow(clippy::redundant_closure_call, reason = "see above")]
                    (|| $(-> $ret)? { $body })()
                };
                $host.leave(&API, $crate::api::Word::word(result));
                result
            }
        )*

        /// The functions of this module.
        pub(crate) fn $table() -> Vec<$crate::api::Api> {
            vec![$($crate::api::Api {
                dll: $dll,
                name: stringify!($name),
                low: $low,
                high: $high,
                rule: $rule,
                args: <[&str]>::len(&[$(stringify!($arg)),*]),
                thunk: $name as *const () as usize,
            }),*]
        }
    };
}

pub(crate) use api;
