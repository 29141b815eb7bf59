//! The COM server: class factory, registration, and whether the DLL may go.

use alloc::format;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use windows::Win32::Foundation::{
    CLASS_E_CLASSNOTAVAILABLE, CLASS_E_NOAGGREGATION, E_FAIL, E_INVALIDARG, E_POINTER, HINSTANCE,
    HMODULE, S_FALSE, S_OK,
};
use windows::Win32::System::Com::{IClassFactory, IClassFactory_Impl};
use windows::Win32::System::LibraryLoader::{DisableThreadLibraryCalls, GetModuleFileNameW};
use windows::Win32::System::Registry::HKEY_LOCAL_MACHINE;
use windows::core::{BOOL, Error, GUID, HRESULT, IUnknown, Interface, Ref, Result};
use windows_core::implement;

use crate::interfaces::of_guid;
use crate::object::NotifyObject;
use crate::own::{self, ALIVE, Alive};
use crate::registry::Key;
use crate::wide;

/// This module, from its entry point on.
static MODULE: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// The entry point. Under the loader's lock, so it only notes where it is.
#[unsafe(no_mangle)]
extern "system" fn DllMain(module: HINSTANCE, reason: u32, _: *mut c_void) -> BOOL {
    const DLL_PROCESS_ATTACH: u32 = 1;
    if reason == DLL_PROCESS_ATTACH {
        MODULE.store(module.0, Ordering::Release);
        // SAFETY: the handle of this module, which has no thread-local data.
        let _ = unsafe { DisableThreadLibraryCalls(HMODULE(module.0)) };
    }
    true.into()
}

/// Makes notify objects.
#[implement(IClassFactory, Agile = false)]
struct Factory {
    _alive: Alive,
}

impl IClassFactory_Impl for Factory_Impl {
    fn CreateInstance(
        &self,
        outer: Ref<'_, IUnknown>,
        iid: *const GUID,
        object: *mut *mut c_void,
    ) -> Result<()> {
        if object.is_null() || iid.is_null() {
            return Err(Error::from_hresult(E_POINTER));
        }
        // SAFETY: the caller's place for one pointer.
        unsafe { *object = ptr::null_mut() };
        if !outer.is_null() {
            return Err(Error::from_hresult(CLASS_E_NOAGGREGATION));
        }
        let unknown: IUnknown = NotifyObject::new().into();
        // SAFETY: the caller's identifier and place; the object is released here and lives
        // on if the caller has got it.
        unsafe { unknown.query(iid, object).ok() }
    }

    fn LockServer(&self, lock: BOOL) -> Result<()> {
        ALIVE.fetch_add(if lock.as_bool() { 1 } else { -1 }, Ordering::AcqRel);
        Ok(())
    }
}

/// Gives the class factory.
///
/// # Safety
/// COM's: `class` and `iid` are readable, `object` is a place for a pointer.
#[unsafe(no_mangle)]
unsafe extern "system" fn DllGetClassObject(
    class: *const GUID,
    iid: *const GUID,
    object: *mut *mut c_void,
) -> HRESULT {
    if class.is_null() || iid.is_null() || object.is_null() {
        return E_INVALIDARG;
    }
    // SAFETY: COM's promise, and not null.
    unsafe {
        *object = ptr::null_mut();
        if *class != own::CLASS {
            return CLASS_E_CLASSNOTAVAILABLE;
        }
        let factory: IUnknown = Factory {
            _alive: Alive::new(),
        }
        .into();
        factory.query(iid, object)
    }
}

/// Whether no object and no lock keeps the DLL.
#[unsafe(no_mangle)]
extern "system" fn DllCanUnloadNow() -> HRESULT {
    if ALIVE.load(Ordering::Acquire) == 0 {
        S_OK
    } else {
        S_FALSE
    }
}

fn class_path() -> alloc::string::String {
    format!("SOFTWARE\\Classes\\CLSID\\{}", of_guid(own::CLASS))
}

/// Registers the class under the path of this very file. The network class installer
/// calls it when it installs the protocol.
#[unsafe(no_mangle)]
extern "system" fn DllRegisterServer() -> HRESULT {
    match register() {
        Ok(()) => S_OK,
        Err(error) => {
            unregister();
            error.code()
        }
    }
}

fn register() -> Result<()> {
    // The longest path that Windows has.
    let mut path = alloc::vec![0_u16; 32_768];
    let module = HMODULE(MODULE.load(Ordering::Acquire));
    // SAFETY: this module; the buffer's length goes with it.
    let length = unsafe { GetModuleFileNameW(Some(module), &mut path) } as usize;
    if length == 0 || length >= path.len() {
        return Err(Error::from_hresult(E_FAIL));
    }
    let class = Key::create_at(HKEY_LOCAL_MACHINE, &class_path())?;
    class.set_text("", &format!("{}: notify object", own::TITLE))?;
    let server = class.create("InprocServer32")?;
    server.set_text("", &wide::of(&path))?;
    server.set_text("ThreadingModel", "Both")
}

fn unregister() {
    Key::delete(
        HKEY_LOCAL_MACHINE,
        &format!("{}\\InprocServer32", class_path()),
    );
    Key::delete(HKEY_LOCAL_MACHINE, &class_path());
}

/// Takes the registration back, of this class only.
#[unsafe(no_mangle)]
extern "system" fn DllUnregisterServer() -> HRESULT {
    unregister();
    match Key::open_at(HKEY_LOCAL_MACHINE, &class_path()) {
        Ok(None) => S_OK,
        Ok(Some(_)) => E_FAIL,
        Err(error) => error.code(),
    }
}
