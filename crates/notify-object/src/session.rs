//! The network configuration with its write lock, for as long as a session lives.

use alloc::format;

use netcfg::{Journal, Made, Op, carry_out, decide};
use windows::Win32::NetworkManagement::NetManagement::{INetCfg, INetCfgLock};
use windows::Win32::System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance};
use windows::core::{GUID, HRESULT, Interface, PWSTR};

use crate::interfaces::{Of as _, Problem};
use crate::own;
use crate::system::System;
use crate::wide::{Wide, taken};

/// The network configuration's class.
const NET_CFG: GUID = GUID::from_u128(0x5b035261_40f9_11d1_aaec_00805fc1270e);
/// How long someone else may have the lock, milliseconds.
const PATIENCE: u32 = 30_000;

/// The configuration, locked and initialised.
pub struct Session {
    cfg: INetCfg,
    lock: Option<INetCfgLock>,
    /// What is done to it.
    pub system: System,
}

impl Session {
    /// Opens it to be read, or with the lock to be changed.
    pub fn open(write: bool) -> Result<Self, Problem> {
        // SAFETY: the apartment is entered; no outer object.
        let cfg: INetCfg = unsafe { CoCreateInstance(&NET_CFG, None, CLSCTX_INPROC_SERVER) }
            .of("CoCreateInstance")?;
        // The lock comes before the initialisation.
        let lock = if write { Some(acquire(&cfg)?) } else { None };
        // SAFETY: the argument is reserved.
        if let Err(problem) = unsafe { cfg.Initialize(None) }.of("INetCfg::Initialize") {
            release(lock.as_ref());
            return Err(problem);
        }
        let system = System::new(cfg.clone(), false);
        Ok(Self { cfg, lock, system })
    }

    /// Carries out `ops` and takes them over; on a failure the old state is taken over
    /// again. The error has what could not be undone.
    pub fn carry_out(&mut self, made: &[Made], ops: &[Op]) -> Result<Journal, netcfg::Failure> {
        match carry_out(&mut self.system, made, ops) {
            Ok(mut journal) => match self.system.apply() {
                Ok(()) => Ok(journal),
                Err(problem) => {
                    let mut left = journal.undo(&mut self.system);
                    self.settle(&mut left);
                    Err(netcfg::Failure {
                        text: format!("{problem}"),
                        left,
                    })
                }
            },
            Err(mut failure) => {
                self.settle(&mut failure.left);
                Err(failure)
            }
        }
    }

    /// Undoes what an earlier session did.
    pub fn undo(&mut self, journal: &mut Journal) -> alloc::vec::Vec<alloc::string::String> {
        let mut left = journal.undo(&mut self.system);
        self.settle(&mut left);
        left
    }

    /// Takes over what was undone: what is added and removed again takes effect that way.
    fn settle(&mut self, left: &mut alloc::vec::Vec<alloc::string::String>) {
        if self.system.apply().is_err() {
            // A fault that passes must not leave the half of it.
            if let Err(problem) = self.system.apply() {
                self.system.cancel();
                left.push(format!("{problem}"));
            }
        }
    }

    /// The miniports of the record.
    pub fn made(state: &netcfg::State) -> alloc::vec::Vec<Made> {
        decide::present(state)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: initialised in `open`.
        let _ = unsafe { self.cfg.Uninitialize() };
        release(self.lock.as_ref());
    }
}

fn acquire(cfg: &INetCfg) -> Result<INetCfgLock, Problem> {
    let lock: INetCfgLock = cfg.cast().of("INetCfgLock")?;
    let name = Wide::new(own::TITLE);
    let mut code = HRESULT(0);
    let holder = taken(|holder: *mut PWSTR| {
        // SAFETY: a text that ends with NUL, and a place of ours. Through the table, since
        // a lock that is not had is a success without one.
        code = unsafe {
            let acquire = Interface::vtable(&lock).AcquireWriteLock;
            acquire(Interface::as_raw(&lock), PATIENCE, name.as_ptr(), holder)
        };
        code.ok()
    });
    let holder = holder.of("INetCfgLock::AcquireWriteLock")?;
    if code != HRESULT(0) {
        let text = format!("INetCfgLock::AcquireWriteLock: `{holder}` has the lock");
        return Err(Problem::new(text, code));
    }
    Ok(lock)
}

fn release(lock: Option<&INetCfgLock>) {
    if let Some(lock) = lock {
        // SAFETY: acquired by this process.
        let _ = unsafe { lock.ReleaseWriteLock() };
    }
}
