//! The machine's network configuration: read as a state, changed by operations.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::ptr;

use netcfg::{
    Adapter, Binding, Class, Component, Guid, Key as NetKey, Kind, Location, Mac, NetCfg, Record,
    State, Value,
};
use windows::Win32::Devices::DeviceAndDriverInstallation::{
    CM_Get_DevNode_Registry_PropertyW, CM_LOCATE_DEVNODE_NORMAL, CM_Locate_DevNodeW, CR_SUCCESS,
};
use windows::Win32::Foundation::E_FAIL;
use windows::Win32::NetworkManagement::IpHelper::{FreeMibTable, GetIfTable2, MIB_IF_TABLE2};
use windows::Win32::NetworkManagement::NetManagement::{
    INetCfg, INetCfgClassSetup, INetCfgComponent, NCF_FILTER, NCF_LW_FILTER, NCF_PHYSICAL,
    NCF_VIRTUAL, NETCFG_S_REBOOT, OBO_TOKEN, OBO_USER,
};
use windows::Win32::System::Registry::HKEY;
use windows::core::{GUID, HRESULT, Interface};

use crate::interfaces::{self, Of as _, Problem};
use crate::own;
use crate::registry::Key;
use crate::wide::Wide;

/// Classes of components.
const NET: GUID = GUID::from_u128(0x4d36e972_e325_11ce_bfc1_08002be10318);
const NET_CLIENT: GUID = GUID::from_u128(0x4d36e973_e325_11ce_bfc1_08002be10318);
const NET_SERVICE: GUID = GUID::from_u128(0x4d36e974_e325_11ce_bfc1_08002be10318);
const NET_TRANS: GUID = GUID::from_u128(0x4d36e975_e325_11ce_bfc1_08002be10318);

/// Value with what is remembered, in the protocol's parameters.
const RECORD: &str = "NotifyObject";

/// A value that waits for ApplyRegistryChanges.
struct Write {
    key: Option<NetKey>,
    name: String,
    value: Option<Value>,
}

/// The configuration, and what was asked of it.
pub struct System {
    cfg: INetCfg,
    /// Values that are written later; none are if it is `None`.
    deferred: Option<Vec<Write>>,
    /// The system asked for a restart.
    pub restart: bool,
    /// Adapters whose binding's key changed: their driver is told.
    pub changed: Vec<Guid>,
    /// Permanent addresses, once they were asked for.
    macs: Option<Vec<(Guid, Mac)>>,
}

impl System {
    /// Over `cfg`, whose lock someone holds. Values are written at once, or, for an object
    /// that is called by the network configuration, when that says so.
    pub fn new(cfg: INetCfg, defer: bool) -> Self {
        Self {
            cfg,
            deferred: defer.then(Vec::new),
            restart: false,
            changed: Vec::new(),
            macs: None,
        }
    }

    /// Reads everything.
    pub fn state(&mut self) -> Result<State, Problem> {
        let mut state = State::default();
        let parameters = self.parameters()?;
        let macs = &*self.macs.get_or_insert_with(macs);
        let mut adapters = Vec::new();
        for component in interfaces::components(&self.cfg, &NET)? {
            adapters.push(adapter(&component, macs)?);
        }
        for mut adapter in adapters {
            if let Some(parameters) = &parameters {
                adapter.below = below(parameters, adapter.guid)?;
            }
            state.adapters.push(adapter);
        }
        for (class, kind) in [
            (NET_TRANS, Class::Protocol),
            (NET_SERVICE, Class::Service),
            (NET_CLIENT, Class::Client),
        ] {
            for component in interfaces::components(&self.cfg, &class)? {
                let id = interfaces::id(&component)?;
                let filter = is_filter(&component)?;
                for direct in interfaces::bindings(&component)? {
                    if interfaces::class(&direct.lower)? == NET {
                        let adapter = interfaces::instance(&direct.lower)?;
                        let enabled = interfaces::is_enabled(&direct.path)?;
                        state.bindings.push(Binding {
                            component: id.clone(),
                            adapter,
                            enabled,
                        });
                    }
                }
                state.components.push(Component {
                    id,
                    class: kind,
                    filter,
                });
            }
        }
        state.record = self.record()?;
        // Values that wait count as written.
        for write in self.deferred.iter().flatten() {
            if let Some(NetKey::Below(guid)) = write.key {
                for adapter in state.adapters.iter_mut().filter(|a| a.guid == guid) {
                    match &write.value {
                        Some(value) => adapter.below.insert(write.name.clone(), value.clone()),
                        None => adapter.below.remove(&write.name),
                    };
                }
            }
        }
        state.sort();
        Ok(state)
    }

    /// Tells the adapter at the lower end of a path.
    pub fn adapter(&mut self, component: &INetCfgComponent) -> Result<Option<Adapter>, Problem> {
        let macs = &*self.macs.get_or_insert_with(macs);
        if interfaces::class(component)? == NET {
            adapter(component, macs).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Writes what waits; undoes it if one value fails.
    pub fn flush(&mut self) -> Result<(), Problem> {
        let Some(writes) = self.deferred.take() else {
            return Ok(());
        };
        let mut undo = Vec::new();
        let mut result = Ok(());
        for write in &writes {
            let step = self.read(write.key, &write.name).and_then(|old| {
                if old == write.value {
                    return Ok(old);
                }
                self.write(write.key, &write.name, write.value.as_ref())?;
                Ok(old)
            });
            match step {
                Ok(old) => undo.push((write.key, &write.name, old)),
                Err(problem) => {
                    result = Err(problem);
                    break;
                }
            }
        }
        if result.is_err() {
            for (key, name, old) in undo.iter().rev() {
                let _ = self.write(*key, name, old.as_ref());
            }
            self.deferred = Some(writes);
        } else {
            self.deferred = Some(Vec::new());
        }
        result
    }

    /// Takes everything over.
    pub fn apply(&mut self) -> Result<(), Problem> {
        // SAFETY: a method without arguments; through the table for its success code.
        let code = unsafe { (Interface::vtable(&self.cfg).Apply)(Interface::as_raw(&self.cfg)) };
        self.done(code, "INetCfg::Apply")
    }

    /// Drops what was not taken over.
    pub fn cancel(&mut self) {
        // SAFETY: a method without arguments.
        let _ = unsafe { self.cfg.Cancel() };
    }

    fn done(&mut self, code: HRESULT, call: &str) -> Result<(), Problem> {
        self.restart |= code == NETCFG_S_REBOOT;
        code.of(call).map(drop)
    }

    /// The component of that id, if it is installed.
    fn component(&self, id: &str) -> Result<Option<INetCfgComponent>, Problem> {
        let mut component = None;
        let id = Wide::new(id);
        // SAFETY: a text that ends with NUL and a place of ours; through the table, since
        // a component that is not there may be a success.
        let code = unsafe {
            let component = (&raw mut component).cast::<*mut c_void>();
            (Interface::vtable(&self.cfg).FindComponent)(
                Interface::as_raw(&self.cfg),
                id.as_ptr(),
                component,
            )
        };
        code.of("INetCfg::FindComponent").map(drop)?;
        Ok(component)
    }

    /// The key of our protocol's parameters; `None` if it is not installed.
    fn parameters(&self) -> Result<Option<Key>, Problem> {
        self.component(own::PROTOCOL)?.map(|c| open(&c)).transpose()
    }

    fn own_parameters(&self) -> Result<Key, Problem> {
        let none = || Problem::new(format!("{} is not installed", own::PROTOCOL), E_FAIL);
        self.parameters()?.ok_or_else(none)
    }

    /// The adapter of that GUID.
    fn find(&self, guid: Guid) -> Result<INetCfgComponent, Problem> {
        for component in interfaces::components(&self.cfg, &NET)? {
            if interfaces::instance(&component)? == guid {
                return Ok(component);
            }
        }
        Err(Problem::new(format!("there is no adapter {guid}"), E_FAIL))
    }

    /// The paths of `component` directly to `adapter`.
    fn paths(&self, component: &str, adapter: Guid) -> Result<Vec<interfaces::Direct>, Problem> {
        let mut found = Vec::new();
        let Some(upper) = self.component(component)? else {
            return Ok(found);
        };
        for direct in interfaces::bindings(&upper)? {
            if interfaces::class(&direct.lower)? == NET
                && interfaces::instance(&direct.lower)? == adapter
            {
                found.push(direct);
            }
        }
        Ok(found)
    }

    fn setup(&self) -> Result<INetCfgClassSetup, Problem> {
        let mut setup = ptr::null_mut();
        // SAFETY: the place is ours; what comes is of the interface asked for.
        unsafe {
            self.cfg
                .QueryNetCfgClass(&NET, &INetCfgClassSetup::IID, Some(&raw mut setup))
                .of("INetCfg::QueryNetCfgClass")?;
            if setup.is_null() {
                return Err(Problem::new("INetCfg::QueryNetCfgClass", E_FAIL));
            }
            Ok(INetCfgClassSetup::from_raw(setup))
        }
    }

    fn read(&self, key: Option<NetKey>, name: &str) -> Result<Option<Value>, Problem> {
        let key = match key {
            None => self.parameters()?,
            Some(NetKey::Miniport(guid)) => Some(open(&self.find(guid)?)?),
            Some(NetKey::Below(guid)) => match self.parameters()? {
                Some(parameters) => parameters.open(&below_path(guid)).of("RegOpenKeyEx")?,
                None => None,
            },
        };
        key.map_or(Ok(None), |k| k.value(name).of("RegQueryValueEx"))
    }

    fn write(
        &mut self,
        key: Option<NetKey>,
        name: &str,
        value: Option<&Value>,
    ) -> Result<(), Problem> {
        let set = |key: &Key| match value {
            Some(value) => key.set(name, value).of("RegSetValueEx"),
            None => key.unset(name).of("RegDeleteValue"),
        };
        match key {
            Some(NetKey::Miniport(guid)) => set(&open(&self.find(guid)?)?),
            // At the end of a removal the key may be gone with its values.
            _ if value.is_none() => {
                let Some(parameters) = self.parameters()? else {
                    return Ok(());
                };
                let Some(NetKey::Below(guid)) = key else {
                    return set(&parameters);
                };
                let path = below_path(guid);
                if let Some(key) = parameters.open(&path).of("RegOpenKeyEx")? {
                    set(&key)?;
                }
                parameters.tidy(&path);
                parameters.tidy("Adapters");
                self.changed.push(guid);
                Ok(())
            }
            Some(NetKey::Below(guid)) => {
                set(&self
                    .own_parameters()?
                    .create(&below_path(guid))
                    .of("RegCreateKeyEx")?)?;
                self.changed.push(guid);
                Ok(())
            }
            None => set(&self.own_parameters()?),
        }
    }

    fn get(&self, key: Option<NetKey>, name: &str) -> Result<Option<Value>, Problem> {
        let waiting = self
            .deferred
            .iter()
            .flatten()
            .rev()
            .find(|w| w.key == key && w.name == name);
        waiting.map_or_else(|| self.read(key, name), |w| Ok(w.value.clone()))
    }

    fn put(
        &mut self,
        key: Option<NetKey>,
        name: &str,
        value: Option<&Value>,
    ) -> Result<(), Problem> {
        match &mut self.deferred {
            Some(writes) => {
                writes.push(Write {
                    key,
                    name: name.into(),
                    value: value.cloned(),
                });
                Ok(())
            }
            None => self.write(key, name, value),
        }
    }
}

impl NetCfg for System {
    type Error = Problem;

    fn create_miniport(&mut self) -> Result<Guid, Problem> {
        let setup = self.setup()?;
        let (id, token) = (
            Wide::new(own::MINIPORT),
            OBO_TOKEN {
                Type: OBO_USER,
                ..OBO_TOKEN::default()
            },
        );
        let mut made = None;
        // SAFETY: texts end with NUL, the token says "on behalf of the user" and has no
        // pointers, and there is a place for the component.
        let code = unsafe {
            (Interface::vtable(&setup).Install)(
                Interface::as_raw(&setup),
                id.as_ptr(),
                &raw const token,
                0,
                0,
                windows::core::PCWSTR::null(),
                windows::core::PCWSTR::null(),
                (&raw mut made).cast::<*mut c_void>(),
            )
        };
        self.done(code, "INetCfgClassSetup::Install")?;
        let made: Option<INetCfgComponent> = made;
        let made = made.ok_or_else(|| Problem::new("INetCfgClassSetup::Install", E_FAIL))?;
        match interfaces::instance(&made) {
            Ok(guid) => Ok(guid),
            Err(problem) => {
                // Nobody would know of it.
                let _ = self.deinstall(&made);
                Err(problem)
            }
        }
    }

    fn remove_miniport(&mut self, guid: Guid) -> Result<(), Problem> {
        let component = self.find(guid)?;
        self.deinstall(&component)?;
        // Its key goes with it.
        if let Some(writes) = &mut self.deferred {
            writes.retain(|w| w.key != Some(NetKey::Miniport(guid)));
        }
        Ok(())
    }

    fn binding(&mut self, component: &str, adapter: Guid) -> Result<Option<bool>, Problem> {
        let mut known = None;
        for direct in self.paths(component, adapter)? {
            let enabled = interfaces::is_enabled(&direct.path)?;
            known = Some(known.unwrap_or(false) || enabled);
        }
        Ok(known)
    }

    fn set_binding(
        &mut self,
        component: &str,
        adapter: Guid,
        enabled: bool,
    ) -> Result<(), Problem> {
        let paths = self.paths(component, adapter)?;
        if paths.is_empty() {
            let text = format!("{component} has no binding to {adapter}");
            return Err(Problem::new(text, E_FAIL));
        }
        for direct in paths {
            // SAFETY: a method that takes a truth value.
            unsafe { direct.path.Enable(enabled) }.of("INetCfgBindingPath::Enable")?;
        }
        Ok(())
    }

    fn value(&mut self, key: NetKey, name: &str) -> Result<Option<Value>, Problem> {
        self.get(Some(key), name)
    }

    fn set_value(&mut self, key: NetKey, name: &str, value: Option<&Value>) -> Result<(), Problem> {
        self.put(Some(key), name, value)
    }

    fn record(&mut self) -> Result<Option<Record>, Problem> {
        let Some(Value::Text(text)) = self.get(None, RECORD)? else {
            return Ok(None);
        };
        let unread = |e| Problem::new(format!("the value {RECORD}: {e}"), E_FAIL);
        serde_json::from_str(&text).map(Some).map_err(unread)
    }

    fn set_record(&mut self, record: Option<&Record>) -> Result<(), Problem> {
        let unwritten = |e| Problem::new(format!("the value {RECORD}: {e}"), E_FAIL);
        let text = record
            .map(serde_json::to_string)
            .transpose()
            .map_err(unwritten)?;
        self.put(None, RECORD, text.map(Value::Text).as_ref())
    }
}

impl System {
    fn deinstall(&mut self, component: &INetCfgComponent) -> Result<(), Problem> {
        let (setup, token) = (
            self.setup()?,
            OBO_TOKEN {
                Type: OBO_USER,
                ..OBO_TOKEN::default()
            },
        );
        // SAFETY: a component of this configuration, a token as for the installation; what
        // still refers to the component is not asked for.
        let code = unsafe {
            (Interface::vtable(&setup).DeInstall)(
                Interface::as_raw(&setup),
                Interface::as_raw(component),
                &raw const token,
                ptr::null_mut(),
            )
        };
        self.done(code, "INetCfgClassSetup::DeInstall")
    }
}

/// Whether a component filters: bindings of filters stay where they are.
pub fn is_filter(component: &INetCfgComponent) -> Result<bool, Problem> {
    // SAFETY: a method without arguments.
    let flags =
        unsafe { component.GetCharacteristics() }.of("INetCfgComponent::GetCharacteristics")?;
    Ok(flags & (NCF_FILTER.0 | NCF_LW_FILTER.0) as u32 != 0)
}

/// The key of a component's parameters.
fn open(component: &INetCfgComponent) -> Result<Key, Problem> {
    let mut key = HKEY::default();
    // SAFETY: a place of ours; the handle is ours to close.
    unsafe { component.OpenParamKey(Some(&raw mut key)) }.of("INetCfgComponent::OpenParamKey")?;
    Ok(Key::of(key))
}

fn below_path(guid: Guid) -> String {
    format!("Adapters\\{guid}")
}

fn below(parameters: &Key, guid: Guid) -> Result<netcfg::Values, Problem> {
    let key = parameters.open(&below_path(guid)).of("RegOpenKeyEx")?;
    key.map_or(Ok(netcfg::Values::new()), |k| k.values().of("RegEnumValue"))
}

fn adapter(component: &INetCfgComponent, macs: &[(Guid, Mac)]) -> Result<Adapter, Problem> {
    let (guid, id) = (interfaces::instance(component)?, interfaces::id(component)?);
    // SAFETY: methods without arguments. A device that is not there has no status.
    let (flags, problem) = unsafe {
        let flags = component
            .GetCharacteristics()
            .of("INetCfgComponent::GetCharacteristics")?;
        (flags, component.GetDeviceStatus().unwrap_or(0))
    };
    let key = open(component).ok();
    let number = |name: &str| -> Option<u32> {
        match key.as_ref()?.value(name).ok()?? {
            Value::Number(number) => Some(number),
            Value::Text(text) => text.parse().ok(),
            Value::List(_) => None,
        }
    };
    let (medium, physical, kind) = (
        number("*MediaType"),
        number("*PhysicalMediaType"),
        number("*IfType"),
    );
    let virtual_only = flags & NCF_VIRTUAL.0 as u32 != 0 && flags & NCF_PHYSICAL.0 as u32 == 0;
    let kind = if id.starts_with("vms_") || id.starts_with("vmbus\\") {
        Kind::HyperV
    } else if kind == Some(71) || matches!(physical, Some(1 | 9)) {
        // IF_TYPE_IEEE80211, NdisPhysicalMediumWirelessLan, …Native802_11.
        Kind::Wifi
    } else if virtual_only {
        Kind::Virtual
    } else if medium.unwrap_or(0) == 0
        && matches!(physical.unwrap_or(0), 0 | 14)
        && kind.unwrap_or(6) == 6
    {
        // NdisMedium802_3, NdisPhysicalMediumUnspecified or …802_3, IF_TYPE_ETHERNET_CSMACD:
        // what drivers that say nothing are.
        Kind::Ethernet
    } else {
        Kind::Other
    };
    Ok(Adapter {
        guid,
        own: id.eq_ignore_ascii_case(own::MINIPORT),
        name: interfaces::display_name(component)?,
        mac: macs.iter().find(|(g, _)| *g == guid).map(|(_, mac)| *mac),
        location: location(&interfaces::device(component)),
        id,
        kind,
        problem,
        below: netcfg::Values::new(),
    })
}

/// Permanent addresses of all interfaces that have one of six bytes.
fn macs() -> Vec<(Guid, Mac)> {
    let mut found = Vec::new();
    let mut table: *mut MIB_IF_TABLE2 = ptr::null_mut();
    // SAFETY: the table is the call's until it is freed; it has as many rows as it says.
    unsafe {
        if GetIfTable2(&raw mut table).is_ok() && !table.is_null() {
            let first = (&raw const (*table).Table).cast();
            let rows: &[windows::Win32::NetworkManagement::IpHelper::MIB_IF_ROW2] =
                core::slice::from_raw_parts(first, (*table).NumEntries as usize);
            for row in rows.iter().filter(|r| r.PhysicalAddressLength == 6) {
                let [a, b, c, d, e, f, ..] = row.PermanentPhysicalAddress;
                let mac = [a, b, c, d, e, f];
                if mac != [0; 6] {
                    found.push((interfaces::of_guid(row.InterfaceGuid), Mac(mac)));
                }
            }
            FreeMibTable(table.cast::<c_void>().cast_const());
        }
    }
    found
}

/// Where a device is on the PCI bus, if that is where it is.
fn location(device: &str) -> Option<Location> {
    const BUS_NUMBER: u32 = 0x16;
    const ADDRESS: u32 = 0x1D;
    if !device.get(..4)?.eq_ignore_ascii_case("PCI\\") {
        return None;
    }
    let (name, mut node) = (Wide::new(device), 0);
    // SAFETY: a text that ends with NUL and a place of ours.
    let found =
        unsafe { CM_Locate_DevNodeW(&raw mut node, name.as_ptr(), CM_LOCATE_DEVNODE_NORMAL) };
    (found == CR_SUCCESS).then_some(())?;
    let property = |which| {
        let (mut number, mut size) = (0_u32, 4);
        // SAFETY: the place has the four bytes that are told.
        let got = unsafe {
            let place = (&raw mut number).cast::<c_void>();
            CM_Get_DevNode_Registry_PropertyW(node, which, None, Some(place), &raw mut size, 0)
        };
        (got == CR_SUCCESS && size == 4).then_some(number)
    };
    let (bus, address) = (property(BUS_NUMBER)?, property(ADDRESS)?);
    Some(Location {
        bus,
        device: (address >> 16) as u16,
        function: address as u16,
    })
}
