//! The names of the driver that this DLL belongs to. They come from `inf/<driver>.toml`,
//! by way of `cargo xtask`, so that INF and DLL cannot differ.

use core::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

use netcfg::{Driver, Topology};
use windows::core::GUID;

/// Name of the driver.
pub const DRIVER: &str = env!("IM_NOTIFY_DRIVER");
/// Component id of the protocol.
pub const PROTOCOL: &str = env!("IM_NOTIFY_PROTOCOL");
/// Component id of the virtual miniports.
pub const MINIPORT: &str = env!("IM_NOTIFY_MINIPORT");
/// Service of the protocol, which is the name that it registers with NDIS.
pub const SERVICE: &str = env!("IM_NOTIFY_SERVICE");
/// What people see of the protocol.
pub const TITLE: &str = env!("IM_NOTIFY_TITLE");
/// Class id of the notify object.
pub const CLASS: GUID = GUID::from_u128(guid(env!("IM_NOTIFY_CLSID")));

/// The driver, as decisions want it.
pub const OWN: Driver<'static> = Driver {
    name: DRIVER,
    // One that starts as a copy of passthrough has its shape.
    topology: match Topology::of(DRIVER) {
        Some(topology) => topology,
        None => Topology::OneToOne,
    },
    protocol: PROTOCOL,
    miniport: MINIPORT,
};

/// Objects and locks that keep the module loaded.
pub static ALIVE: AtomicIsize = AtomicIsize::new(0);

/// An export of this module changes the configuration: what the network configuration
/// reports meanwhile is its own doing.
pub static AT_WORK: AtomicBool = AtomicBool::new(false);

/// Keeps the module loaded while it lives.
#[derive(Debug)]
pub struct Alive(());

impl Alive {
    /// One more.
    pub fn new() -> Self {
        ALIVE.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Evaluated at build time: a malformed GUID is a build error.
const fn guid(text: &str) -> u128 {
    let bytes = text.as_bytes();
    assert!(bytes.len() == 38 && bytes[0] == b'{' && bytes[37] == b'}');
    let (mut value, mut digits, mut i) = (0, 0, 1);
    while i < 37 {
        let digit = match bytes[i] {
            b @ b'0'..=b'9' => b - b'0',
            b @ b'A'..=b'F' => b - b'A' + 10,
            b @ b'a'..=b'f' => b - b'a' + 10,
            b'-' => {
                i += 1;
                continue;
            }
            _ => panic!("no GUID"),
        };
        value = value << 4 | digit as u128;
        digits += 1;
        i += 1;
    }
    assert!(digits == 32);
    value
}
