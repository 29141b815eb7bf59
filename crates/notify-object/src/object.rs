//! The notify object. The network configuration makes one for each of its sessions and
//! calls it on one thread; a call may come while another one of the same object is under
//! way, since what an object changes is reported to it as well.

use alloc::format;
use alloc::string::ToString as _;
use core::cell::RefCell;
use core::sync::atomic::Ordering;

use netcfg::{Answer, Journal, Made, Mode, Moved, NetCfg as _, Op, carry_out, decide};
use windows::Win32::Foundation::E_UNEXPECTED;
use windows::Win32::NetworkManagement::NetManagement::{
    INetCfg, INetCfgBindingPath, INetCfgComponent, INetCfgComponentControl,
    INetCfgComponentControl_Impl, INetCfgComponentNotifyBinding,
    INetCfgComponentNotifyBinding_Impl, INetCfgComponentNotifyGlobal,
    INetCfgComponentNotifyGlobal_Impl, INetCfgComponentSetup, INetCfgComponentSetup_Impl,
    INetCfgPnpReconfigCallback, NCN_ADD, NCN_BINDING_PATH, NCN_ENABLE, NCN_NETCLIENT,
    NCN_NETSERVICE, NCN_NETTRANS, NCN_REMOVE, NCRL_NDIS, NETCFG_S_DISABLE_QUERY,
};
use windows::core::{BOOL, Error, PCWSTR, Ref, Result};
use windows_core::implement;

use crate::files;
use crate::interfaces::{self, Direct, Problem};
use crate::own::{AT_WORK, Alive, OWN, SERVICE};
use crate::system::System;
use crate::wide::Wide;

const ADD: u32 = NCN_ADD.0 as u32;
const ENABLE: u32 = NCN_ENABLE.0 as u32;
const REMOVE: u32 = NCN_REMOVE.0 as u32;

/// What an initialised object works with.
struct Work {
    system: System,
    /// What was done since changes were last taken over.
    journal: Journal,
}

/// The object.
#[implement(
    INetCfgComponentControl,
    INetCfgComponentSetup,
    INetCfgComponentNotifyBinding,
    INetCfgComponentNotifyGlobal,
    Agile = false
)]
pub struct NotifyObject {
    work: RefCell<Option<Work>>,
    _alive: Alive,
}

impl NotifyObject {
    /// One that knows nothing yet.
    pub fn new() -> Self {
        Self {
            work: RefCell::new(None),
            _alive: Alive::new(),
        }
    }

    /// Does `what`, unless the object is at work already or a function of this DLL is: then
    /// the call reports our own doing.
    fn with(
        &self,
        name: &str,
        what: impl FnOnce(&mut Work) -> core::result::Result<(), Problem>,
    ) -> Result<()> {
        let Ok(mut work) = self.work.try_borrow_mut() else {
            return Ok(());
        };
        if AT_WORK.load(Ordering::Acquire) {
            return Ok(());
        }
        let work = work
            .as_mut()
            .ok_or_else(|| Error::from_hresult(E_UNEXPECTED))?;
        what(work).map_err(|problem| {
            files::log(None, &format!("{name}: {problem}"));
            Error::from_hresult(problem.code)
        })
    }

    /// What is said to a binding that comes into being or into use.
    fn ask(&self, name: &str, flags: u32, path: Option<&INetCfgBindingPath>) -> Result<()> {
        let mut answer = Answer::Keep;
        self.with(name, |work| {
            if let (true, Some(path)) = (flags & (ADD | ENABLE) != 0, path) {
                answer = work.ask(path)?;
            }
            Ok(())
        })?;
        match answer {
            Answer::Keep => Ok(()),
            // A success code, which the generated code passes on as it is.
            Answer::Disable => Err(Error::from_hresult(NETCFG_S_DISABLE_QUERY)),
        }
    }
}

impl Work {
    /// Carries out `ops` and notes them; undone if one fails.
    fn carry_out(&mut self, made: &[Made], ops: &[Op]) -> core::result::Result<(), Problem> {
        for op in ops {
            files::log(None, &op.to_string());
        }
        match carry_out(&mut self.system, made, ops) {
            Ok(journal) => {
                self.journal.append(journal);
                Ok(())
            }
            Err(failure) => {
                for left in &failure.left {
                    files::log(None, &format!("not undone: {left}"));
                }
                Err(Problem::new(
                    failure.text,
                    windows::Win32::Foundation::E_FAIL,
                ))
            }
        }
    }

    /// What the plan in force says of a path, which is noted if it is another's.
    fn ask(&mut self, path: &INetCfgBindingPath) -> core::result::Result<Answer, Problem> {
        let Some(Direct { upper, lower, .. }) = interfaces::direct(path)? else {
            return Ok(Answer::Keep);
        };
        let Some(adapter) = self.system.adapter(&lower)? else {
            return Ok(Answer::Keep);
        };
        let (component, record) = (interfaces::id(&upper)?, self.system.record()?);
        let filter = crate::system::is_filter(&upper)?;
        let answer = decide::asked(&OWN, record.as_ref(), &component, filter, &adapter);
        let ours = component.eq_ignore_ascii_case(OWN.protocol);
        if let (Answer::Disable, false, Some(mut record)) = (answer, ours, record) {
            let note = Moved {
                component,
                adapter: adapter.guid,
            };
            if !record.moved.contains(&note) {
                record.moved.push(note);
                let made = record.miniports.clone();
                self.carry_out(&made, &[Op::SetRecord(Some(record))])?;
            }
        }
        Ok(answer)
    }

    /// Our protocol has got, or lost, a binding.
    fn told(&mut self, flags: u32, path: &INetCfgBindingPath) -> core::result::Result<(), Problem> {
        if flags & (ADD | ENABLE | REMOVE) == 0 {
            return Ok(());
        }
        let Some(Direct { path, lower, .. }) = interfaces::direct(path)? else {
            return Ok(());
        };
        let Some(adapter) = self.system.adapter(&lower)? else {
            return Ok(());
        };
        let record = self.system.record()?;
        let gone = flags & REMOVE != 0;
        if !gone
            && decide::asked(&OWN, record.as_ref(), OWN.protocol, false, &adapter)
                == Answer::Disable
        {
            // Enabled all the same: that is taken back.
            return self.disable(&path);
        }
        let Some(record) = record else { return Ok(()) };
        if adapter.own {
            return Ok(());
        }
        let mut state = self.system.state()?;
        if gone {
            // It is still listed, but on its way out.
            state.adapters.retain(|a| a.guid != adapter.guid);
            state.bindings.retain(|b| b.adapter != adapter.guid);
        }
        let ops = decide::plan(&state, &record.plan, &OWN, Mode::Present);
        match ops {
            Ok(ops) => self.carry_out(&decide::present(&state), &ops),
            Err(reasons) => {
                for reason in reasons {
                    files::log(None, &reason.text);
                }
                Ok(())
            }
        }
    }

    fn disable(&mut self, path: &INetCfgBindingPath) -> core::result::Result<(), Problem> {
        use crate::interfaces::Of as _;
        if interfaces::is_enabled(path)? {
            // SAFETY: a method that takes a truth value.
            unsafe { path.Enable(false) }.of("INetCfgBindingPath::Enable")?;
        }
        Ok(())
    }

    fn remove_all(&mut self) -> core::result::Result<(), Problem> {
        let state = self.system.state()?;
        let ops = decide::removal(&state, &OWN);
        self.carry_out(&decide::present(&state), &ops)
    }
}

impl INetCfgComponentControl_Impl for NotifyObject_Impl {
    fn Initialize(
        &self,
        component: Ref<'_, INetCfgComponent>,
        cfg: Ref<'_, INetCfg>,
        _: BOOL,
    ) -> Result<()> {
        let cfg = cfg.ok()?.clone();
        if let Some(component) = component.as_ref() {
            files::log(
                None,
                &format!("initialised for {}", interfaces::describe(component)),
            );
        }
        let Ok(mut work) = self.work.try_borrow_mut() else {
            return Ok(());
        };
        *work = Some(Work {
            system: System::new(cfg, true),
            journal: Journal::default(),
        });
        Ok(())
    }

    fn ApplyRegistryChanges(&self) -> Result<()> {
        self.with("ApplyRegistryChanges", |work| {
            work.system.flush()?;
            work.journal = Journal::default();
            Ok(())
        })
    }

    fn ApplyPnpChanges(&self, callback: Ref<'_, INetCfgPnpReconfigCallback>) -> Result<()> {
        let Some(callback) = callback.as_ref() else {
            return Ok(());
        };
        self.with("ApplyPnpChanges", |work| {
            let service = Wide::new(SERVICE);
            for adapter in core::mem::take(&mut work.system.changed) {
                let device = Wide::new(&netcfg::device_name(adapter));
                // SAFETY: texts that end with NUL; no data.
                let sent = unsafe {
                    callback.SendPnpReconfig(
                        NCRL_NDIS,
                        service.as_ptr(),
                        device.as_ptr(),
                        core::ptr::null(),
                        0,
                    )
                };
                // A driver that is not loaded yet reads its keys when it is.
                if let Err(error) = sent {
                    files::log(
                        None,
                        &format!("SendPnpReconfig for {adapter}: {:#010X}", error.code().0),
                    );
                }
            }
            Ok(())
        })
    }

    fn CancelChanges(&self) -> Result<()> {
        self.with("CancelChanges", |work| {
            for left in work.journal.undo(&mut work.system) {
                files::log(None, &format!("not undone: {left}"));
            }
            // What waits now is the old state again, but for the GUIDs of miniports that
            // were removed and made again: those have to be written.
            work.system.flush()
        })
    }
}

impl INetCfgComponentSetup_Impl for NotifyObject_Impl {
    /// Installing changes nothing: bindings are asked about one by one.
    fn Install(&self, _: u32) -> Result<()> {
        Ok(())
    }

    fn Upgrade(&self, _: u32, _: u32) -> Result<()> {
        Ok(())
    }

    fn ReadAnswerFile(&self, _: &PCWSTR, _: &PCWSTR) -> Result<()> {
        Ok(())
    }

    fn Removing(&self) -> Result<()> {
        self.with("Removing", Work::remove_all)
    }
}

impl INetCfgComponentNotifyBinding_Impl for NotifyObject_Impl {
    fn QueryBindingPath(&self, flags: u32, path: Ref<'_, INetCfgBindingPath>) -> Result<()> {
        self.ask("QueryBindingPath", flags, path.as_ref())
    }

    fn NotifyBindingPath(&self, flags: u32, path: Ref<'_, INetCfgBindingPath>) -> Result<()> {
        let Some(path) = path.as_ref() else {
            return Ok(());
        };
        self.with("NotifyBindingPath", |work| work.told(flags, path))
    }
}

impl INetCfgComponentNotifyGlobal_Impl for NotifyObject_Impl {
    /// Bindings of everyone else, when they come into being or into use.
    fn GetSupportedNotifications(&self) -> Result<u32> {
        let flags = NCN_NETTRANS.0 | NCN_NETSERVICE.0 | NCN_NETCLIENT.0 | NCN_BINDING_PATH.0;
        Ok(flags as u32 | ADD | ENABLE)
    }

    fn SysQueryBindingPath(&self, flags: u32, path: Ref<'_, INetCfgBindingPath>) -> Result<()> {
        self.ask("SysQueryBindingPath", flags, path.as_ref())
    }

    fn SysNotifyBindingPath(&self, _: u32, _: Ref<'_, INetCfgBindingPath>) -> Result<()> {
        Ok(())
    }

    fn SysNotifyComponent(&self, _: u32, _: Ref<'_, INetCfgComponent>) -> Result<()> {
        Ok(())
    }
}
