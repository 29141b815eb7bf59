//! What a misdeed is, and how it takes the place of an honest handler.
//!
//! [`Hook`] has a variant for every handler of the driver, and for the steps and structures
//! that a misdeed may want to change. A hook is called instead of the honest function of the
//! same name, which it can call itself, before or after what it does wrong.

use core::sync::atomic::{AtomicPtr, Ordering};

/// A rule broken on purpose.
#[derive(Debug)]
pub struct Misdeed {
    /// The rule that is broken.
    pub rule: &'static str,
    /// Tells misdeeds against the same rule apart; one word or a few with hyphens.
    pub name: &'static str,
    /// The plan in which it shows.
    pub plan: &'static str,
    /// What the driver does.
    pub text: &'static str,
    /// Rules that are broken by breaking this one, and why; `"MPS-3: the list is still out"`.
    pub implies: &'static [&'static str],
    /// What it does instead of the honest driver; nothing where NDIS breaks the rule.
    #[cfg(windows)]
    pub(crate) hooks: &'static [Hook],
}

impl Misdeed {
    /// What the host writes into the image.
    pub const fn key(&self) -> u32 {
        key(self.rule, self.name)
    }

    /// Ids of the rules that must be found broken, this one and those that it implies.
    pub fn expected(&self) -> impl Iterator<Item = &'static str> {
        let implied = self.implies.iter();
        let ids = implied.map(|text| text.split(':').next().unwrap_or(text));
        core::iter::once(self.rule).chain(ids)
    }
}

/// FNV-1a of rule and name; never zero, which behaves.
const fn key(rule: &str, name: &str) -> u32 {
    let mut hash = 0x811C_9DC5_u32;
    let parts = [rule.as_bytes(), b"/", name.as_bytes()];
    let mut part = 0;
    while part < parts.len() {
        let mut i = 0;
        while i < parts[part].len() {
            hash = (hash ^ parts[part][i] as u32).wrapping_mul(0x0100_0193);
            i += 1;
        }
        part += 1;
    }
    hash | 1
}

macro_rules! hooks {
    ($($(#[$meta:meta])* $name:ident($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        /// What a misdeed does, and in whose place. Each is called with what the honest
        /// function of the same name in the module of its kind is called with.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Hook {
            $($(#[$meta])* $name(fn($($arg),*) $(-> $ret)?),)*
        }
    };
}

use crate::lane::Lane;
use ndis_sys::*;

hooks! {
    // entry
    Start(*mut DRIVER_OBJECT, *mut UNICODE_STRING) -> i32;
    /// The characteristics, before they are registered.
    Miniport(&mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS);
    /// As `Miniport`.
    Protocol(&mut NDIS_PROTOCOL_DRIVER_CHARACTERISTICS);
    Associate();
    Uninstall();
    Unload(*mut DRIVER_OBJECT);
    // bind
    Bind(NDIS_HANDLE, *mut NDIS_BIND_PARAMETERS) -> NDIS_STATUS;
    /// The parameters, before they are used.
    Open(&mut NDIS_OPEN_PARAMETERS);
    Unbind(&Lane, NDIS_HANDLE) -> NDIS_STATUS;
    CleanUp(&Lane);
    Close(&Lane);
    // miniport
    Request(&Lane);
    Withdraw(&Lane);
    Initialize(&Lane, NDIS_HANDLE, *mut NDIS_MINIPORT_INIT_PARAMETERS) -> NDIS_STATUS;
    /// The attributes, before they are set.
    Registration(&mut NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES);
    /// As `Registration`.
    General(&mut NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES);
    Stack(&Lane) -> bool;
    Unstack(&Lane);
    Halt(&Lane, NDIS_HALT_ACTION);
    Pause(&Lane) -> NDIS_STATUS;
    Restart(&Lane, *mut NDIS_MINIPORT_RESTART_PARAMETERS) -> NDIS_STATUS;
    Shutdown(&Lane, NDIS_SHUTDOWN_ACTION);
    DeviceEvent(&Lane, *mut NET_DEVICE_PNP_EVENT);
    // data
    Send(&Lane, *mut NET_BUFFER_LIST, u32, u32);
    Sent(&Lane, *mut NET_BUFFER_LIST, u32);
    CancelSend(&Lane, PVOID);
    Receive(&Lane, *mut NET_BUFFER_LIST, u32, u32, u32);
    Returned(&Lane, *mut NET_BUFFER_LIST, u32);
    // requests
    Oid(&Lane, *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    OidComplete(&Lane, *mut NDIS_OID_REQUEST, NDIS_STATUS);
    CancelOid(&Lane, PVOID);
    DirectOidComplete(&Lane, *mut NDIS_OID_REQUEST, NDIS_STATUS);
    // events
    Status(&Lane, *mut NDIS_STATUS_INDICATION);
    /// A status of the driver's own structure, before it goes up.
    Indicate(&mut NDIS_STATUS_INDICATION);
    Event(Option<&Lane>, *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS;
    /// An event of the driver's own structure, before it goes up.
    PassOn(&mut NET_PNP_EVENT_NOTIFICATION);
    PauseBinding(&Lane);
    RestartBinding(&Lane);
    /// What lies below has another interface index.
    Renew(&Lane, u32);
    Power(&Lane, i32);
    SetPower(&Lane, i32);
}

/// Calls the hook of the chosen misdeed, or else the honest function.
macro_rules! instead {
    ($hook:ident($($arg:expr),*), $honest:expr) => {{
        let hook = $crate::table::chosen().iter().find_map(|hook| match hook {
            $crate::table::Hook::$hook(f) => Some(*f),
            _ => None,
        });
        match hook {
            Some(hook) => hook($($arg),*),
            None => $honest($($arg),*),
        }
    }};
}
pub(crate) use instead;

/// Declares the misdeeds of one file:
///
/// ```text
/// misdeeds! {
///     "MPR-5" "check-for-hang" in "life": "registers a check-for-hang handler" =>
///         Miniport(|c| c.CheckForHangHandlerEx = Some(hang));
///     "MPS-2" "failed-pause" in "pauses" implies ["MPS-3: the lists are still out"]:
///         "fails a pause" => Pause(|_| NDIS_STATUS_FAILURE);
///     "OID-1" "at-once" in "oids-at-once": "behaves; NDIS hands it requests at once";
/// }
/// ```
///
/// Without hooks the driver behaves: the plan is one in which NDIS breaks the rule.
macro_rules! misdeeds {
    ($(
        $rule:literal $name:literal in $plan:literal $(implies [$($implied:literal),* $(,)?])?
        : $text:literal $(=> $($hook:ident($f:expr)),+)?;
    )*) => {
        /// The misdeeds of this file.
        pub const TABLE: &[$crate::Misdeed] = &[$($crate::Misdeed {
            rule: $rule,
            name: $name,
            plan: $plan,
            text: $text,
            implies: &[$($($implied),*)?],
            #[cfg(windows)]
            hooks: &[$($($crate::table::Hook::$hook($f)),+)?],
        }),*];

        // Compiled everywhere, so that mistakes show without a kernel build.
        #[cfg(not(windows))]
        const _: &[&[$crate::table::Hook]] = &[$(&[$($($crate::table::Hook::$hook($f)),+)?]),*];
    };
}
pub(crate) use misdeeds;

/// The hooks of the chosen misdeed; found when the driver is started.
static CHOSEN: AtomicPtr<&'static [Hook]> = AtomicPtr::new(core::ptr::null_mut());

/// Looks the number up that the host wrote.
#[cfg(windows)]
pub(crate) fn choose() {
    let wanted = crate::MISDEED.load(Ordering::Relaxed);
    let found = crate::misdeeds::all().find(|misdeed| misdeed.key() == wanted);
    let hooks = found.map_or(core::ptr::null(), |misdeed| &raw const misdeed.hooks);
    CHOSEN.store(hooks.cast_mut(), Ordering::Release);
}

/// Nobody starts the driver off Windows.
#[cfg(not(windows))]
pub(crate) fn choose() {}

/// The hooks of the chosen misdeed, or none.
pub(crate) fn chosen() -> &'static [Hook] {
    let hooks = CHOSEN.load(Ordering::Acquire);
    // SAFETY: null, or stored by `choose`, which takes it from a constant.
    unsafe { hooks.as_ref() }.copied().unwrap_or(&[])
}
