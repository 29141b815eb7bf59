//! Calls to the network configuration, made bearable: success codes that matter are
//! kept, lists come as vectors, an error says which call it was.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::fmt;

use netcfg::Guid;
use windows::Win32::NetworkManagement::NetManagement::{
    IEnumNetCfgBindingInterface, IEnumNetCfgBindingPath, IEnumNetCfgComponent, INetCfg,
    INetCfgBindingInterface, INetCfgBindingPath, INetCfgComponent, INetCfgComponentBindings,
};
use windows::core::{GUID, HRESULT, Interface};

use crate::wide::taken;

/// Lists longer than this are taken for a fault of the other side.
const MAX_ITEMS: usize = 65_536;

/// A call that failed.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Which.
    pub call: String,
    /// What it said.
    pub code: HRESULT,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:#010X}", self.call, self.code.0)
    }
}

impl Problem {
    /// Says `code` of `call`.
    pub fn new(call: impl Into<String>, code: HRESULT) -> Self {
        Self {
            call: call.into(),
            code,
        }
    }
}

/// Says which call an error is of.
pub trait Of<T> {
    /// That one.
    fn of(self, call: &str) -> Result<T, Problem>;
}

impl<T> Of<T> for windows::core::Result<T> {
    fn of(self, call: &str) -> Result<T, Problem> {
        self.map_err(|e| Problem::new(call, e.code()))
    }
}

impl Of<HRESULT> for HRESULT {
    fn of(self, call: &str) -> Result<HRESULT, Problem> {
        if self.is_ok() {
            Ok(self)
        } else {
            Err(Problem::new(call, self))
        }
    }
}

/// The network configuration's GUIDs as the model has them.
pub fn of_guid(guid: GUID) -> Guid {
    Guid(guid.to_u128())
}

macro_rules! collect {
    ($name:ident, $enumerator:ty, $item:ty, $call:literal) => {
        fn $name(list: Option<$enumerator>) -> Result<Vec<$item>, Problem> {
            let mut items = Vec::new();
            let Some(list) = list else { return Ok(items) };
            while items.len() < MAX_ITEMS {
                let (mut item, mut count) = (None::<$item>, 0);
                // SAFETY: one element is asked for, and there is a place for one. The
                // method is called through the table since its success code tells the end.
                let code = unsafe {
                    let next = Interface::vtable(&list).Next;
                    next(
                        Interface::as_raw(&list),
                        1,
                        (&raw mut item).cast::<*mut c_void>(),
                        &raw mut count,
                    )
                };
                code.of($call).map(drop)?;
                match item {
                    Some(item) if count == 1 => items.push(item),
                    _ => break,
                }
            }
            Ok(items)
        }
    };
}

collect!(
    all_components,
    IEnumNetCfgComponent,
    INetCfgComponent,
    "IEnumNetCfgComponent::Next"
);
collect!(
    all_paths,
    IEnumNetCfgBindingPath,
    INetCfgBindingPath,
    "IEnumNetCfgBindingPath::Next"
);
collect!(
    all_interfaces,
    IEnumNetCfgBindingInterface,
    INetCfgBindingInterface,
    "IEnumNetCfgBindingInterface::Next"
);

/// The components of a class.
pub fn components(cfg: &INetCfg, class: &GUID) -> Result<Vec<INetCfgComponent>, Problem> {
    let mut list = None;
    // SAFETY: both pointers are to places of ours. Through the table: a class without
    // components may be a success without a list.
    let code = unsafe {
        let list = (&raw mut list).cast::<*mut c_void>();
        (Interface::vtable(cfg).EnumComponents)(Interface::as_raw(cfg), class, list)
    };
    code.of("INetCfg::EnumComponents").map(drop)?;
    all_components(list)
}

/// A component's id, in lower case: ids know no case.
pub fn id(component: &INetCfgComponent) -> Result<String, Problem> {
    // SAFETY: the pointer is to a place of ours.
    let id = taken(|text| unsafe { component.GetId(Some(text)) });
    id.of("INetCfgComponent::GetId")
        .map(|id| id.to_ascii_lowercase())
}

/// A component's instance.
pub fn instance(component: &INetCfgComponent) -> Result<Guid, Problem> {
    let mut guid = GUID::zeroed();
    // SAFETY: the pointer is to a place of ours.
    unsafe { component.GetInstanceGuid(Some(&raw mut guid)) }
        .of("INetCfgComponent::GetInstanceGuid")?;
    Ok(of_guid(guid))
}

/// A component's class.
pub fn class(component: &INetCfgComponent) -> Result<GUID, Problem> {
    let mut guid = GUID::zeroed();
    // SAFETY: the pointer is to a place of ours.
    unsafe { component.GetClassGuid(Some(&raw mut guid)) }.of("INetCfgComponent::GetClassGuid")?;
    Ok(guid)
}

/// A binding of one component directly to another.
pub struct Direct {
    /// The path.
    pub path: INetCfgBindingPath,
    /// Its upper end.
    pub upper: INetCfgComponent,
    /// Its lower end.
    pub lower: INetCfgComponent,
}

/// `path` with its ends, if nothing lies between them.
pub fn direct(path: &INetCfgBindingPath) -> Result<Option<Direct>, Problem> {
    let mut list = None;
    // SAFETY: the pointer is to a place of ours.
    unsafe { path.EnumBindingInterfaces(Some(&raw mut list)) }
        .of("INetCfgBindingPath::EnumBindingInterfaces")?;
    let interfaces = all_interfaces(list)?;
    let [one] = &interfaces[..] else {
        return Ok(None);
    };
    let (mut upper, mut lower) = (None, None);
    // SAFETY: the pointers are to places of ours.
    unsafe {
        one.GetUpperComponent(Some(&raw mut upper))
            .of("INetCfgBindingInterface::GetUpperComponent")?;
        one.GetLowerComponent(Some(&raw mut lower))
            .of("INetCfgBindingInterface::GetLowerComponent")?;
    }
    let path = path.clone();
    Ok(upper
        .zip(lower)
        .map(|(upper, lower)| Direct { path, upper, lower }))
}

/// The direct bindings below `component`.
pub fn bindings(component: &INetCfgComponent) -> Result<Vec<Direct>, Problem> {
    const EBP_BELOW: u32 = 2;
    let bindings: INetCfgComponentBindings = component.cast().of("INetCfgComponentBindings")?;
    let mut list = None;
    // SAFETY: the pointer is to a place of ours. Through the table, as for components.
    let code = unsafe {
        let list = (&raw mut list).cast::<*mut c_void>();
        (Interface::vtable(&bindings).EnumBindingPaths)(
            Interface::as_raw(&bindings),
            EBP_BELOW,
            list,
        )
    };
    code.of("INetCfgComponentBindings::EnumBindingPaths")
        .map(drop)?;
    let mut found = Vec::new();
    for path in all_paths(list)? {
        found.extend(direct(&path)?);
    }
    Ok(found)
}

/// Whether a path is in use; the answer is a success code.
pub fn is_enabled(path: &INetCfgBindingPath) -> Result<bool, Problem> {
    // SAFETY: the method takes nothing but its object.
    let code = unsafe { (Interface::vtable(path).IsEnabled)(Interface::as_raw(path)) };
    Ok(code.of("INetCfgBindingPath::IsEnabled")? == HRESULT(0))
}

/// What people see of a component.
pub fn display_name(component: &INetCfgComponent) -> Result<String, Problem> {
    // SAFETY: the pointer is to a place of ours.
    let name = taken(|text| unsafe { component.GetDisplayName(Some(text)) });
    name.of("INetCfgComponent::GetDisplayName")
}

/// The device instance of an adapter; empty if it has none.
pub fn device(component: &INetCfgComponent) -> String {
    // SAFETY: the pointer is to a place of ours.
    taken(|text| unsafe { component.GetPnpDevNodeId(Some(text)) }).unwrap_or_default()
}

/// In words, for a log.
pub fn describe(component: &INetCfgComponent) -> String {
    match (id(component), instance(component)) {
        (Ok(id), Ok(guid)) => format!("{id} {guid}"),
        _ => String::from("?"),
    }
}
