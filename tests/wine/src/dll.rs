//! The DLL from outside: its exports, registration, class factory.

use alloc::format;
use alloc::string::String;
use core::ffi::c_void;
use core::mem::transmute;
use core::ptr;

use netcfg::{Guid, Value};
use windows::Win32::Foundation::{
    CLASS_E_CLASSNOTAVAILABLE, CLASS_E_NOAGGREGATION, E_NOINTERFACE, FreeLibrary, HINSTANCE,
    HMODULE, HWND, S_OK,
};
use windows::Win32::NetworkManagement::NetManagement::{
    INetCfgComponentControl, INetCfgComponentNotifyBinding, INetCfgComponentNotifyGlobal,
    INetCfgComponentPropertyUi, INetCfgComponentSetup,
};
use windows::Win32::System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance, IClassFactory};
use windows::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryW};
use windows::Win32::System::Registry::HKEY_LOCAL_MACHINE;
use windows::core::{GUID, HRESULT, IUnknown, Interface, PCSTR, PCWSTR};

use crate::registry::Key;
use crate::run::{Args, Tally};
use crate::wide::Wide;

type GetClassObject =
    unsafe extern "system" fn(*const GUID, *const GUID, *mut *mut c_void) -> HRESULT;
type Plain = unsafe extern "system" fn() -> HRESULT;
/// A function for rundll32.
pub type Export = unsafe extern "system" fn(HWND, HINSTANCE, PCWSTR, i32);

/// The DLL, loaded.
pub struct Dll {
    module: HMODULE,
    class: GUID,
    path: String,
    get_class_object: GetClassObject,
    can_unload_now: Plain,
    register: Plain,
    unregister: Plain,
}

impl Dll {
    pub fn load(args: &Args) -> Option<Self> {
        let path = Wide::new(&args.dll);
        // SAFETY: a text that ends with NUL; the exports have these signatures.
        unsafe {
            let module = LoadLibraryW(path.as_ptr()).ok()?;
            let find = |name: &core::ffi::CStr| GetProcAddress(module, PCSTR(name.as_ptr().cast()));
            Some(Self {
                module,
                class: args.class,
                path: args.dll.clone(),
                get_class_object: transmute::<_, GetClassObject>(find(c"DllGetClassObject")?),
                can_unload_now: transmute::<_, Plain>(find(c"DllCanUnloadNow")?),
                register: transmute::<_, Plain>(find(c"DllRegisterServer")?),
                unregister: transmute::<_, Plain>(find(c"DllUnregisterServer")?),
            })
        }
    }

    /// A function for rundll32.
    pub fn export(&self, name: &core::ffi::CStr) -> Option<Export> {
        // SAFETY: the module is loaded; functions for rundll32 have this signature.
        unsafe {
            let found = GetProcAddress(self.module, PCSTR(name.as_ptr().cast()))?;
            Some(transmute::<_, Export>(found))
        }
    }

    /// Whether nothing holds the DLL.
    pub fn is_free(&self) -> bool {
        // SAFETY: the DLL is loaded.
        unsafe { (self.can_unload_now)() == S_OK }
    }

    /// A new notify object, by way of the registry.
    pub fn create(&self) -> windows::core::Result<IUnknown> {
        // SAFETY: the apartment is entered.
        unsafe { CoCreateInstance(&self.class, None, CLSCTX_INPROC_SERVER) }
    }

    fn factory(&self, class: &GUID) -> Result<IClassFactory, HRESULT> {
        let mut object = ptr::null_mut();
        // SAFETY: the DLL is loaded; places of ours; what comes is of the interface asked for.
        unsafe {
            (self.get_class_object)(class, &IClassFactory::IID, &raw mut object)
                .ok()
                .map_err(|e| e.code())?;
            Ok(IClassFactory::from_raw(object))
        }
    }

    pub fn registration(&self, tally: &Tally) {
        tally.check(self.is_free(), "nothing holds a DLL that was just loaded");
        tally.check(
            self.create().is_err(),
            "the class is not registered at first",
        );
        let path = format!(
            "SOFTWARE\\Classes\\CLSID\\{}\\InprocServer32",
            Guid(self.class.to_u128())
        );
        let key = || Key::open_at(HKEY_LOCAL_MACHINE, &path).ok().flatten();
        // SAFETY: the DLL is loaded.
        let registered = unsafe { (self.register)() };
        tally.equal(&registered, &S_OK, "DllRegisterServer");
        let value = |name: &str| key().and_then(|k| k.value(name).ok().flatten());
        let server = match value("") {
            Some(Value::Text(text)) => text,
            _ => String::new(),
        };
        tally.check(
            server.eq_ignore_ascii_case(&self.path),
            "the registered path is that of the DLL",
        );
        tally.equal(
            &value("ThreadingModel"),
            &Some(Value::Text("Both".into())),
            "threading model",
        );

        let Ok(object) = self.create() else {
            tally.check(false, "CoCreateInstance");
            return;
        };
        tally.check(!self.is_free(), "an object holds the DLL");
        self.interfaces(&object, tally);
        tally.equal(&count(object), &0, "the last reference to the object");
        tally.check(self.is_free(), "the object is gone");

        tally.equal(
            &self.factory(&GUID::from_u128(1)).err(),
            &Some(CLASS_E_CLASSNOTAVAILABLE),
            "another class",
        );
        let Ok(factory) = self.factory(&self.class) else {
            tally.check(false, "DllGetClassObject");
            return;
        };
        // SAFETY: methods of the class factory; an outer object that lives on.
        unsafe {
            tally.check(
                factory.LockServer(true).is_ok() && !self.is_free(),
                "a lock holds the DLL",
            );
            tally.check(factory.LockServer(false).is_ok(), "the lock goes");
            let outer: IUnknown = factory.clone().into();
            let aggregated: windows::core::Result<IUnknown> = factory.CreateInstance(Some(&outer));
            tally.equal(
                &aggregated.err().map(|e| e.code()),
                &Some(CLASS_E_NOAGGREGATION),
                "aggregation",
            );
            drop(outer);
            let strange: windows::core::Result<INetCfgComponentPropertyUi> =
                factory.CreateInstance(None);
            tally.equal(
                &strange.err().map(|e| e.code()),
                &Some(E_NOINTERFACE),
                "an interface that there is not",
            );
            let made: windows::core::Result<INetCfgComponentControl> = factory.CreateInstance(None);
            tally.check(made.is_ok(), "the factory makes objects");
        }
        tally.equal(&count(factory), &0, "the last reference to the factory");
        tally.check(self.is_free(), "all objects of the factory are gone");
    }

    /// All four interfaces, from each to each.
    fn interfaces(&self, object: &IUnknown, tally: &Tally) {
        let ids = [
            INetCfgComponentControl::IID,
            INetCfgComponentSetup::IID,
            INetCfgComponentNotifyBinding::IID,
            INetCfgComponentNotifyGlobal::IID,
        ];
        for from in ids {
            let mut first = ptr::null_mut();
            // SAFETY: places of ours; each pointer that comes is released once.
            unsafe {
                tally.equal(
                    &object.query(&raw const from, &raw mut first),
                    &S_OK,
                    "QueryInterface",
                );
                if first.is_null() {
                    continue;
                }
                let first = IUnknown::from_raw(first);
                for to in ids.iter().chain([&IUnknown::IID]) {
                    let mut second = ptr::null_mut();
                    tally.equal(
                        &first.query(to, &raw mut second),
                        &S_OK,
                        "QueryInterface from an interface",
                    );
                    if !second.is_null() {
                        if *to == IUnknown::IID {
                            tally.equal(&second, &object.as_raw(), "one identity");
                        }
                        drop(IUnknown::from_raw(second));
                    }
                }
            }
        }
        let strange: windows::core::Result<INetCfgComponentPropertyUi> = object.cast();
        tally.equal(
            &strange.err().map(|e| e.code()),
            &Some(E_NOINTERFACE),
            "no property page",
        );
    }

    pub fn end(self, tally: &Tally) {
        tally.check(self.is_free(), "nothing holds the DLL in the end");
        // SAFETY: the DLL is loaded.
        let result = unsafe { (self.unregister)() };
        tally.equal(&result, &S_OK, "DllUnregisterServer");
        let path = format!("SOFTWARE\\Classes\\CLSID\\{}", Guid(self.class.to_u128()));
        let left = Key::open_at(HKEY_LOCAL_MACHINE, &path)
            .ok()
            .flatten()
            .is_some();
        tally.check(!left, "no key is left of the registration");
        tally.check(
            self.create().is_err(),
            "the class is not registered in the end",
        );
        // SAFETY: loaded once; nothing of it is used after this.
        tally.check(unsafe { FreeLibrary(self.module) }.is_ok(), "FreeLibrary");
    }
}

/// Releases `object` and tells how many references are left.
pub fn count<T: Interface>(object: T) -> u32 {
    let raw = object.into_raw();
    // SAFETY: the reference of `object` is given back by hand, through the first three
    // entries that every table has.
    unsafe {
        let unknown = core::mem::ManuallyDrop::new(IUnknown::from_raw(raw));
        (Interface::vtable(&*unknown).Release)(raw)
    }
}
