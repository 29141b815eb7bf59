//! The scripted objects: `INetCfg` and what it gives, over a [`World`].

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr;

use netcfg::Guid;
use windows::Win32::Foundation::{E_FAIL, E_NOTIMPL, HWND, S_FALSE};
use windows::Win32::NetworkManagement::NetManagement::{
    IEnumNetCfgBindingInterface, IEnumNetCfgBindingInterface_Impl, IEnumNetCfgBindingPath,
    IEnumNetCfgBindingPath_Impl, IEnumNetCfgComponent, IEnumNetCfgComponent_Impl, INetCfg,
    INetCfg_Impl, INetCfgBindingInterface, INetCfgBindingInterface_Impl, INetCfgBindingPath,
    INetCfgBindingPath_Impl, INetCfgClassSetup, INetCfgClassSetup_Impl, INetCfgComponent,
    INetCfgComponent_Impl, INetCfgComponentBindings, INetCfgComponentBindings_Impl, INetCfgLock,
    INetCfgLock_Impl, INetCfgPnpReconfigCallback, INetCfgPnpReconfigCallback_Impl,
    NCPNP_RECONFIG_LAYER, NCRL_NDIS, OBO_TOKEN, OBO_USER,
};
use windows::Win32::System::Com::{CoTaskMemAlloc, IClassFactory, IClassFactory_Impl};
use windows::Win32::System::Registry::{
    HKEY, HKEY_CURRENT_USER, KEY_READ, KEY_WRITE, REG_OPTION_NON_VOLATILE, RegCreateKeyExW,
};
use windows::core::{BOOL, Error, GUID, IUnknown, Interface, OutRef, PCWSTR, PWSTR, Ref, Result};
use windows_core::implement;

use crate::wide::{self, Wide};
use crate::world::{Item, NET, Token, World};

fn not_here<T>() -> Result<T> {
    Err(Error::from_hresult(E_NOTIMPL))
}

/// A text that the caller frees.
fn give(place: *mut PWSTR, text: &str) -> Result<()> {
    let units: Vec<u16> = text.encode_utf16().chain(Some(0)).collect();
    // SAFETY: the caller's place; the block has room for all units.
    unsafe {
        if place.is_null() {
            return Ok(());
        }
        let block = CoTaskMemAlloc(units.len() * 2).cast::<u16>();
        if block.is_null() {
            return Err(Error::from_hresult(E_FAIL));
        }
        ptr::copy_nonoverlapping(units.as_ptr(), block, units.len());
        *place = PWSTR(block);
    }
    Ok(())
}

/// The network configuration.
#[implement(INetCfg, INetCfgLock, Agile = false)]
pub struct Cfg {
    world: Rc<World>,
    _token: Token,
}

impl Cfg {
    pub fn new(world: &Rc<World>) -> INetCfg {
        Self {
            world: world.clone(),
            _token: Token::new(),
        }
        .into()
    }
}

impl INetCfg_Impl for Cfg_Impl {
    fn Initialize(&self, _: *const c_void) -> Result<()> {
        self.world.call()?;
        self.world.initialised.set(true);
        Ok(())
    }

    fn Uninitialize(&self) -> Result<()> {
        self.world.initialised.set(false);
        Ok(())
    }

    fn Apply(&self) -> Result<()> {
        self.world.call()?;
        self.world.applied.set(self.world.applied.get() + 1);
        Ok(())
    }

    fn Cancel(&self) -> Result<()> {
        Ok(())
    }

    fn EnumComponents(
        &self,
        class: *const GUID,
        list: OutRef<'_, IEnumNetCfgComponent>,
    ) -> Result<()> {
        self.world.call()?;
        // SAFETY: the caller's GUID.
        let class = unsafe { *class };
        let of_class = |i: &&Item| i.class == class;
        let items: Vec<_> = self
            .world
            .items
            .borrow()
            .iter()
            .filter(of_class)
            .cloned()
            .collect();
        let items = items
            .into_iter()
            .map(|i| Component::new(&self.world, i))
            .collect();
        list.write(Some(
            Components {
                world: self.world.clone(),
                items,
                at: Cell::new(0),
                _token: Token::new(),
            }
            .into(),
        ))
    }

    fn FindComponent(&self, id: &PCWSTR, place: OutRef<'_, INetCfgComponent>) -> Result<()> {
        self.world.call()?;
        // SAFETY: a text that ends with NUL.
        let id = wide::of(unsafe { id.as_wide() });
        let found = self
            .world
            .items
            .borrow()
            .iter()
            .find(|i| i.id.eq_ignore_ascii_case(&id))
            .cloned();
        match found {
            Some(item) => place.write(Some(Component::new(&self.world, item))),
            None => {
                place.write(None)?;
                Err(Error::from_hresult(S_FALSE))
            }
        }
    }

    fn QueryNetCfgClass(
        &self,
        class: *const GUID,
        iid: *const GUID,
        object: *mut *mut c_void,
    ) -> Result<()> {
        self.world.call()?;
        let setup: IUnknown = Setup {
            world: self.world.clone(),
            _token: Token::new(),
        }
        .into();
        // SAFETY: the caller's GUIDs and place.
        unsafe {
            if *class != NET {
                return Err(Error::from_hresult(E_FAIL));
            }
            setup.query(iid, object).ok()
        }
    }
}

impl INetCfgLock_Impl for Cfg_Impl {
    fn AcquireWriteLock(&self, _: u32, name: &PCWSTR, holder: *mut PWSTR) -> Result<()> {
        self.world.call()?;
        if name.is_null() {
            return Err(Error::from_hresult(E_FAIL));
        }
        if self.world.taken.get() || self.world.locked.get() {
            give(holder, "someone else")?;
            return Err(Error::from_hresult(S_FALSE));
        }
        self.world.locked.set(true);
        Ok(())
    }

    fn ReleaseWriteLock(&self) -> Result<()> {
        self.world.locked.set(false);
        Ok(())
    }

    fn IsWriteLocked(&self, _: *mut PWSTR) -> Result<()> {
        not_here()
    }
}

/// Installs and removes adapters.
#[implement(INetCfgClassSetup, Agile = false)]
struct Setup {
    world: Rc<World>,
    _token: Token,
}

impl INetCfgClassSetup_Impl for Setup_Impl {
    fn SelectAndInstall(
        &self,
        _: HWND,
        _: *const OBO_TOKEN,
        _: OutRef<'_, INetCfgComponent>,
    ) -> Result<()> {
        not_here()
    }

    fn Install(
        &self,
        id: &PCWSTR,
        token: *const OBO_TOKEN,
        _: u32,
        _: u32,
        _: &PCWSTR,
        _: &PCWSTR,
        place: OutRef<'_, INetCfgComponent>,
    ) -> Result<()> {
        self.world.call()?;
        // SAFETY: the caller's token and text.
        let (by_user, id) = unsafe {
            (
                !token.is_null() && (*token).Type == OBO_USER,
                wide::of(id.as_wide()),
            )
        };
        let made = by_user.then(|| self.world.install(&id)).flatten();
        let item = made.and_then(|guid| {
            self.world
                .items
                .borrow()
                .iter()
                .find(|i| i.guid == guid)
                .cloned()
        });
        match item {
            Some(item) => place.write(Some(Component::new(&self.world, item))),
            None => Err(Error::from_hresult(E_FAIL)),
        }
    }

    fn DeInstall(
        &self,
        component: Ref<'_, INetCfgComponent>,
        token: *const OBO_TOKEN,
        _: *mut PWSTR,
    ) -> Result<()> {
        self.world.call()?;
        let mut guid = GUID::zeroed();
        // SAFETY: the caller's token; a place of ours.
        unsafe {
            if token.is_null() || (*token).Type != OBO_USER {
                return Err(Error::from_hresult(E_FAIL));
            }
            component.ok()?.GetInstanceGuid(Some(&raw mut guid))?;
        }
        self.world.remove(Guid(guid.to_u128()));
        Ok(())
    }
}

/// A component.
#[implement(INetCfgComponent, INetCfgComponentBindings, Agile = false)]
pub struct Component {
    world: Rc<World>,
    item: Item,
    _token: Token,
}

impl Component {
    pub fn new(world: &Rc<World>, item: Item) -> INetCfgComponent {
        Self {
            world: world.clone(),
            item,
            _token: Token::new(),
        }
        .into()
    }

    /// The component of that instance.
    pub fn of(world: &Rc<World>, guid: Guid) -> Option<INetCfgComponent> {
        let found = world
            .items
            .borrow()
            .iter()
            .find(|i| i.guid == guid)
            .cloned();
        found.map(|item| Self::new(world, item))
    }
}

impl INetCfgComponent_Impl for Component_Impl {
    fn GetDisplayName(&self, place: *mut PWSTR) -> Result<()> {
        self.world.call()?;
        give(place, &self.item.id)
    }

    fn SetDisplayName(&self, _: &PCWSTR) -> Result<()> {
        not_here()
    }

    fn GetHelpText(&self, _: *mut PWSTR) -> Result<()> {
        not_here()
    }

    fn GetId(&self, place: *mut PWSTR) -> Result<()> {
        self.world.call()?;
        give(place, &self.item.id)
    }

    fn GetCharacteristics(&self) -> Result<u32> {
        self.world.call()?;
        Ok(self.item.flags)
    }

    fn GetInstanceGuid(&self, place: *mut GUID) -> Result<()> {
        self.world.call()?;
        // SAFETY: the caller's place.
        unsafe { *place = GUID::from_u128(self.item.guid.0) };
        Ok(())
    }

    fn GetPnpDevNodeId(&self, place: *mut PWSTR) -> Result<()> {
        // A failure of this one is no failure: virtual devices may have none.
        give(place, "ROOT\\NET\\0000")
    }

    fn GetClassGuid(&self, place: *mut GUID) -> Result<()> {
        self.world.call()?;
        // SAFETY: the caller's place.
        unsafe { *place = self.item.class };
        Ok(())
    }

    fn GetBindName(&self, _: *mut PWSTR) -> Result<()> {
        not_here()
    }

    fn GetDeviceStatus(&self) -> Result<u32> {
        Ok(0)
    }

    fn OpenParamKey(&self, place: *mut HKEY) -> Result<()> {
        // The keys of adapters are read for what may be missing, so their failure is none.
        if self.item.class != NET {
            self.world.call()?;
        }
        let path = Wide::new(&World::path(self.item.guid));
        // SAFETY: a text that ends with NUL; the caller's place and handle.
        unsafe {
            RegCreateKeyExW(
                HKEY_CURRENT_USER,
                path.as_ptr(),
                None,
                None,
                REG_OPTION_NON_VOLATILE,
                KEY_READ | KEY_WRITE,
                None,
                place,
                None,
            )
            .ok()
        }
    }

    fn RaisePropertyUi(&self, _: HWND, _: u32, _: Ref<'_, IUnknown>) -> Result<()> {
        not_here()
    }
}

impl INetCfgComponentBindings_Impl for Component_Impl {
    fn BindTo(&self, _: Ref<'_, INetCfgComponent>) -> Result<()> {
        not_here()
    }

    fn UnbindFrom(&self, _: Ref<'_, INetCfgComponent>) -> Result<()> {
        not_here()
    }

    fn SupportsBindingInterface(&self, _: u32, _: &PCWSTR) -> Result<()> {
        not_here()
    }

    fn IsBoundTo(&self, _: Ref<'_, INetCfgComponent>) -> Result<()> {
        not_here()
    }

    fn IsBindableTo(&self, _: Ref<'_, INetCfgComponent>) -> Result<()> {
        not_here()
    }

    fn EnumBindingPaths(&self, flags: u32, list: OutRef<'_, IEnumNetCfgBindingPath>) -> Result<()> {
        self.world.call()?;
        const EBP_BELOW: u32 = 2;
        if flags != EBP_BELOW {
            return Err(Error::from_hresult(E_FAIL));
        }
        let own = self.item.guid;
        let lowers: Vec<Guid> = self
            .world
            .binds
            .borrow()
            .iter()
            .filter(|b| b.upper == own)
            .map(|b| b.lower)
            .collect();
        let items = lowers
            .into_iter()
            .map(|lower| Path::new(&self.world, own, lower))
            .collect();
        list.write(Some(
            Paths {
                world: self.world.clone(),
                items,
                at: Cell::new(0),
                _token: Token::new(),
            }
            .into(),
        ))
    }

    fn MoveBefore(
        &self,
        _: Ref<'_, INetCfgBindingPath>,
        _: Ref<'_, INetCfgBindingPath>,
    ) -> Result<()> {
        not_here()
    }

    fn MoveAfter(
        &self,
        _: Ref<'_, INetCfgBindingPath>,
        _: Ref<'_, INetCfgBindingPath>,
    ) -> Result<()> {
        not_here()
    }
}

/// A binding path of two components.
#[implement(INetCfgBindingPath, Agile = false)]
pub struct Path {
    world: Rc<World>,
    upper: Guid,
    lower: Guid,
    _token: Token,
}

impl Path {
    pub fn new(world: &Rc<World>, upper: Guid, lower: Guid) -> INetCfgBindingPath {
        Self {
            world: world.clone(),
            upper,
            lower,
            _token: Token::new(),
        }
        .into()
    }
}

impl INetCfgBindingPath_Impl for Path_Impl {
    fn IsSamePathAs(&self, _: Ref<'_, INetCfgBindingPath>) -> Result<()> {
        not_here()
    }

    fn IsSubPathOf(&self, _: Ref<'_, INetCfgBindingPath>) -> Result<()> {
        not_here()
    }

    fn IsEnabled(&self) -> Result<()> {
        self.world.call()?;
        match self.world.is_enabled(self.upper, self.lower) {
            Some(true) => Ok(()),
            _ => Err(Error::from_hresult(S_FALSE)),
        }
    }

    fn Enable(&self, enable: BOOL) -> Result<()> {
        self.world.call()?;
        self.world
            .set_enabled(self.upper, self.lower, enable.as_bool());
        Ok(())
    }

    fn GetPathToken(&self, _: *mut PWSTR) -> Result<()> {
        not_here()
    }

    fn GetOwner(&self, _: OutRef<'_, INetCfgComponent>) -> Result<()> {
        not_here()
    }

    fn GetDepth(&self) -> Result<u32> {
        not_here()
    }

    fn EnumBindingInterfaces(&self, list: OutRef<'_, IEnumNetCfgBindingInterface>) -> Result<()> {
        self.world.call()?;
        let one = BindingInterface {
            world: self.world.clone(),
            upper: self.upper,
            lower: self.lower,
            _token: Token::new(),
        };
        let items = alloc::vec![one.into()];
        list.write(Some(
            Interfaces {
                world: self.world.clone(),
                items,
                at: Cell::new(0),
                _token: Token::new(),
            }
            .into(),
        ))
    }
}

/// A step of a path.
#[implement(INetCfgBindingInterface, Agile = false)]
struct BindingInterface {
    world: Rc<World>,
    upper: Guid,
    lower: Guid,
    _token: Token,
}

impl BindingInterface_Impl {
    fn end(&self, guid: Guid, place: OutRef<'_, INetCfgComponent>) -> Result<()> {
        self.world.call()?;
        match Component::of(&self.world, guid) {
            Some(component) => place.write(Some(component)),
            None => Err(Error::from_hresult(E_FAIL)),
        }
    }
}

impl INetCfgBindingInterface_Impl for BindingInterface_Impl {
    fn GetName(&self, _: *mut PWSTR) -> Result<()> {
        not_here()
    }

    fn GetUpperComponent(&self, place: OutRef<'_, INetCfgComponent>) -> Result<()> {
        self.end(self.upper, place)
    }

    fn GetLowerComponent(&self, place: OutRef<'_, INetCfgComponent>) -> Result<()> {
        self.end(self.lower, place)
    }
}

#[implement(IEnumNetCfgComponent, Agile = false)]
struct Components {
    world: Rc<World>,
    items: Vec<INetCfgComponent>,
    at: Cell<usize>,
    _token: Token,
}

#[implement(IEnumNetCfgBindingPath, Agile = false)]
struct Paths {
    world: Rc<World>,
    items: Vec<INetCfgBindingPath>,
    at: Cell<usize>,
    _token: Token,
}

#[implement(IEnumNetCfgBindingInterface, Agile = false)]
struct Interfaces {
    world: Rc<World>,
    items: Vec<INetCfgBindingInterface>,
    at: Cell<usize>,
    _token: Token,
}

macro_rules! enumerator {
    ($imp:ident, $enumerator:ident, $trait:ident, $item:ident) => {
        impl $trait for $imp {
            fn Next(&self, count: u32, place: *mut Option<$item>, fetched: *mut u32) -> Result<()> {
                self.world.call()?;
                let items = self.items.iter().skip(self.at.get()).take(count as usize);
                let mut given = 0;
                for item in items {
                    // SAFETY: the caller's places, of which there are `count`.
                    unsafe { ptr::write(place.add(given), Some(item.clone())) };
                    given += 1;
                }
                self.at.set(self.at.get() + given);
                if !fetched.is_null() {
                    // SAFETY: the caller's place.
                    unsafe { *fetched = given as u32 };
                }
                if given < count as usize {
                    Err(Error::from_hresult(S_FALSE))
                } else {
                    Ok(())
                }
            }

            fn Skip(&self, _: u32) -> Result<()> {
                not_here()
            }

            fn Reset(&self) -> Result<()> {
                not_here()
            }

            fn Clone(&self, _: *const Option<$enumerator>) -> Result<()> {
                not_here()
            }
        }
    };
}

enumerator!(
    Components_Impl,
    IEnumNetCfgComponent,
    IEnumNetCfgComponent_Impl,
    INetCfgComponent
);
enumerator!(
    Paths_Impl,
    IEnumNetCfgBindingPath,
    IEnumNetCfgBindingPath_Impl,
    INetCfgBindingPath
);
enumerator!(
    Interfaces_Impl,
    IEnumNetCfgBindingInterface,
    IEnumNetCfgBindingInterface_Impl,
    INetCfgBindingInterface
);

/// Hears which drivers are to be told of changes.
#[implement(INetCfgPnpReconfigCallback, Agile = false)]
pub struct Callback {
    world: Rc<World>,
    _token: Token,
}

impl Callback {
    pub fn new(world: &Rc<World>) -> INetCfgPnpReconfigCallback {
        Self {
            world: world.clone(),
            _token: Token::new(),
        }
        .into()
    }
}

impl INetCfgPnpReconfigCallback_Impl for Callback_Impl {
    fn SendPnpReconfig(
        &self,
        layer: NCPNP_RECONFIG_LAYER,
        upper: &PCWSTR,
        lower: &PCWSTR,
        _: *const c_void,
        _: u32,
    ) -> Result<()> {
        // SAFETY: texts that end with NUL.
        let (upper, lower): (String, String) =
            unsafe { (wide::of(upper.as_wide()), wide::of(lower.as_wide())) };
        if layer == NCRL_NDIS && upper.starts_with("Im") {
            self.world.told.borrow_mut().push(lower);
        }
        Ok(())
    }
}

/// Makes the network configuration for `CoCreateInstance`.
#[implement(IClassFactory, Agile = false)]
pub struct Factory {
    world: Rc<World>,
    _token: Token,
}

impl Factory {
    pub fn new(world: &Rc<World>) -> IUnknown {
        Self {
            world: world.clone(),
            _token: Token::new(),
        }
        .into()
    }
}

impl IClassFactory_Impl for Factory_Impl {
    fn CreateInstance(
        &self,
        _: Ref<'_, IUnknown>,
        iid: *const GUID,
        object: *mut *mut c_void,
    ) -> Result<()> {
        self.world.call()?;
        let cfg = Cfg::new(&self.world);
        // SAFETY: the caller's identifier and place.
        unsafe { cfg.query(iid, object).ok() }
    }

    fn LockServer(&self, _: BOOL) -> Result<()> {
        Ok(())
    }
}
