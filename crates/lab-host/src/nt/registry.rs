//! The registry as drivers may read it: the key of the service that was loaded last with its
//! `Parameters`, and what else the host was given. Nothing can be written.

use super::object::{ObjectKind, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER};
use super::printf::terminated;
use crate::api::api;
use crate::host::Host;
use crate::ndis::Value;

const STATUS_OBJECT_NAME_NOT_FOUND: i32 = 0xC000_0034_u32 as i32;
const STATUS_BUFFER_TOO_SMALL: i32 = 0xC000_0023_u32 as i32;
const STATUS_BUFFER_OVERFLOW: i32 = 0x8000_0005_u32 as i32;
const STATUS_NO_MORE_ENTRIES: i32 = 0x8000_001A_u32 as i32;
const STATUS_ACCESS_DENIED: i32 = 0xC000_0022_u32 as i32;
const STATUS_OBJECT_TYPE_MISMATCH: i32 = 0xC000_0024_u32 as i32;
const REG_SZ: u32 = 1;
const REG_EXPAND_SZ: u32 = 2;
const REG_DWORD: u32 = 4;
const REG_MULTI_SZ: u32 = 7;
const SERVICES: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Services";
const CONTROL: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Control";
const WINDOWS_NT: &str = "\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion";
const DEVICEMAP: &str = "\\Registry\\Machine\\Hardware\\DeviceMap";
// Flags of RTL_QUERY_REGISTRY_TABLE.
const SUBKEY: u32 = 0x01;
const TOPKEY: u32 = 0x02;
const REQUIRED: u32 = 0x04;
const NOVALUE: u32 = 0x08;
const NOEXPAND: u32 = 0x10;
const DIRECT: u32 = 0x20;
const TYPECHECK: u32 = 0x100;
const TABLE_ENTRY: u64 = 56;

/// A key's values, in the order in which they were set.
pub(super) type Values = Vec<(String, Value)>;

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Type and bytes of a value, as the registry holds them.
fn raw(value: &Value) -> (u32, Vec<u8>) {
    let units = |units: &[u16]| {
        units
            .iter()
            .flat_map(|u| u.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    match value {
        Value::Integer(n) => (REG_DWORD, n.to_le_bytes().to_vec()),
        Value::String(text) => (REG_SZ, wide(&format!("{text}\0"))),
        Value::Strings(list) => {
            let joined: String = list.iter().flat_map(|s| [s.as_str(), "\0"]).collect();
            (REG_MULTI_SZ, wide(&(joined + "\0")))
        }
        Value::Binary(bytes) => (3, bytes.clone()),
        Value::RawStrings(text) => (REG_MULTI_SZ, units(text)),
        Value::CutStrings(text, len) => {
            let mut bytes = units(text);
            bytes.resize(usize::from(*len), 0);
            (REG_MULTI_SZ, bytes)
        }
    }
}

fn canonical(path: &str) -> String {
    path.trim_end_matches('\\').to_lowercase()
}

impl Host {
    /// Sets a value of a key, which is there from then on, with the keys that lead to it.
    pub fn set_registry_value(&self, path: &str, name: &str, value: Value) {
        let mut nt = self.nt.lock().expect("nt");
        let key = nt.registry.entry(canonical(path)).or_default();
        key.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        key.push((name.to_owned(), value));
    }

    /// The values of a key; `None` if there is no such key.
    fn key(&self, path: &str) -> Option<Values> {
        let path = canonical(path);
        let service = self.ndis(|n| n.service.clone());
        let own = canonical(&format!("{SERVICES}\\{service}"));
        let mut values = Vec::new();
        let mut there = path == own || path == format!("{own}\\parameters");
        if path == own {
            let image = format!("\\SystemRoot\\System32\\drivers\\{service}.sys");
            values = vec![
                ("Type".to_owned(), Value::Integer(1)),
                ("Start".to_owned(), Value::Integer(3)),
                ("ErrorControl".to_owned(), Value::Integer(1)),
                ("ImagePath".to_owned(), Value::String(image)),
                ("Group".to_owned(), Value::String("NDIS".to_owned())),
            ];
        }
        let nt = self.nt.lock().expect("nt");
        if let Some(set) = nt.registry.get(&path) {
            there = true;
            for (name, value) in set {
                values.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
                values.push((name.clone(), value.clone()));
            }
        }
        let below = format!("{path}\\");
        there |= nt.registry.keys().any(|k| k.starts_with(&below)) || own.starts_with(&below);
        there.then_some(values)
    }

    /// Names of the keys directly below one.
    fn subkeys(&self, path: &str) -> Vec<String> {
        let below = format!("{}\\", canonical(path));
        let service = self.ndis(|n| n.service.clone());
        let own = canonical(&format!("{SERVICES}\\{service}\\Parameters"));
        let nt = self.nt.lock().expect("nt");
        let mut names: Vec<String> = nt
            .registry
            .keys()
            .chain([&own])
            .filter_map(|k| k.strip_prefix(&below))
            .map(|rest| rest.split('\\').next().unwrap_or(rest).to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn key_path(&self, handle: u64) -> Result<String, i32> {
        let key = self.by_handle(handle, ObjectKind::Key)?;
        Ok(self.objects(|o| o.all.get(&key).map(|k| k.name.clone()).unwrap_or_default()))
    }
}

/// Opens a key of `OBJECT_ATTRIBUTES`.
fn open(host: &Host, out: u64, attributes: u64, by: &'static str) -> i32 {
    let root: u64 = host.get(attributes + 8, "ObjectAttributes");
    let name: u64 = host.get(attributes + 16, "ObjectAttributes");
    let name = if name == 0 {
        String::new()
    } else {
        host.get_string(name, "ObjectName")
    };
    let path = if root == 0 {
        name
    } else {
        match host.key_path(root) {
            Ok(above) if name.is_empty() => above,
            Ok(above) => format!("{above}\\{name}"),
            Err(status) => return status,
        }
    };
    if host.key(&path).is_none() {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    if host.fails(by) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let object = host.allocate(16, u32::from_le_bytes(*b"Key "), "key object");
    let handle = host.objects(|o| {
        o.insert(object, ObjectKind::Key, &path, true);
        let handle = o.open(object);
        o.dereference(object);
        handle
    });
    host.put(out, handle, "KeyHandle");
    0
}

/// Writes a structure with fixed words and a variable part; what the functions return.
fn answer(
    host: &Host,
    words: &[u8],
    rest: &[u8],
    least: usize,
    to: u64,
    room: u32,
    needed: u64,
) -> i32 {
    let all: Vec<u8> = words.iter().chain(rest).copied().collect();
    host.put(needed, all.len() as u32, "ResultLength");
    let room = room as usize;
    if room < least.min(all.len()) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    for (i, byte) in all.iter().take(room).enumerate() {
        host.put(to + i as u64, *byte, "KeyInformation");
    }
    if room < all.len() {
        STATUS_BUFFER_OVERFLOW
    } else {
        0
    }
}

fn words(list: &[u32]) -> Vec<u8> {
    list.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// A value in the form that is asked for.
fn show(
    host: &Host,
    name: &str,
    value: &Value,
    class: i32,
    to: u64,
    room: u32,
    needed: u64,
) -> i32 {
    const BASIC: i32 = 0;
    const FULL: i32 = 1;
    const PARTIAL: i32 = 2;
    const FULL_ALIGN64: i32 = 3;
    const PARTIAL_ALIGN64: i32 = 4;
    let (kind, data) = raw(value);
    let name = wide(name);
    match class {
        BASIC => answer(
            host,
            &words(&[0, kind, name.len() as u32]),
            &name,
            12,
            to,
            room,
            needed,
        ),
        FULL | FULL_ALIGN64 => {
            let align = if class == FULL { 4 } else { 8 };
            let offset = (20 + name.len()).next_multiple_of(align);
            let head = words(&[0, kind, offset as u32, data.len() as u32, name.len() as u32]);
            let mut rest = name;
            rest.resize(offset - 20, 0);
            rest.extend(data);
            answer(host, &head, &rest, 20, to, room, needed)
        }
        PARTIAL => answer(
            host,
            &words(&[0, kind, data.len() as u32]),
            &data,
            12,
            to,
            room,
            needed,
        ),
        PARTIAL_ALIGN64 => answer(
            host,
            &words(&[kind, data.len() as u32]),
            &data,
            8,
            to,
            room,
            needed,
        ),
        _ => STATUS_INVALID_PARAMETER,
    }
}

/// The path that `RelativeTo` and a name make.
fn relative(host: &Host, to: u32, path: u64) -> Result<String, i32> {
    let handle = to & 0x4000_0000 != 0;
    if handle {
        return host.key_path(path);
    }
    let name = if path == 0 {
        String::new()
    } else {
        String::from_utf16_lossy(&terminated(host, path, true, Some(0x7FFF)))
    };
    let base = match to & 0x3FFF_FFFF {
        0 => return Ok(name),
        1 => SERVICES,
        2 => CONTROL,
        3 => WINDOWS_NT,
        4 => DEVICEMAP,
        _ => return Err(STATUS_INVALID_PARAMETER),
    };
    Ok(format!("{base}\\{name}"))
}

/// Gives one value to an entry of a table: straight into a variable, or to the routine.
fn deliver(host: &Host, entry: u64, name: &str, kind: u32, data: &[u8], context: u64) -> i32 {
    let routine: u64 = host.get(entry, "QueryTable");
    let flags: u32 = host.get(entry + 8, "QueryTable");
    let target: u64 = host.get(entry + 24, "QueryTable");
    if flags & DIRECT != 0 {
        let wanted: u32 = host.get(entry + 32, "QueryTable");
        if flags & TYPECHECK != 0 && wanted >> 24 != kind {
            return STATUS_OBJECT_TYPE_MISMATCH;
        }
        return direct(host, target, kind, data);
    }
    if routine == 0 {
        return 0;
    }
    let mut parts = vec![(kind, data.to_vec())];
    // A list of strings is given one by one, unless that is not wanted.
    if kind == REG_MULTI_SZ && flags & NOEXPAND == 0 {
        parts = data
            .chunks_exact(2)
            .map(|c| u16::from_le_bytes([c[0], c[1]]))
            .collect::<Vec<u16>>()
            .split(|&u| u == 0)
            .take_while(|s| !s.is_empty())
            .map(|s| {
                (
                    REG_SZ,
                    s.iter().chain([&0]).flat_map(|u| u.to_le_bytes()).collect(),
                )
            })
            .collect();
    }
    let text = host.allocate(2 * name.encode_utf16().count() as u64 + 2, 1, "ValueName");
    let _ = host.arena.write_bytes(text, &wide(name));
    let mut status = 0;
    for (kind, bytes) in parts {
        let kind = if kind == REG_EXPAND_SZ && flags & NOEXPAND == 0 {
            REG_SZ
        } else {
            kind
        };
        let data = host.allocate(bytes.len() as u64, 1, "ValueData");
        let _ = host.arena.write_bytes(data, &bytes);
        let args = [
            text,
            u64::from(kind),
            data,
            bytes.len() as u64,
            context,
            target,
        ];
        status = host.call("RTL_QUERY_REGISTRY_ROUTINE", 0, routine, &args) as u32 as i32;
        host.release(data);
        if status < 0 {
            break;
        }
    }
    host.release(text);
    status
}

/// A value straight into the caller's variable.
fn direct(host: &Host, target: u64, kind: u32, data: &[u8]) -> i32 {
    if matches!(kind, REG_SZ | REG_EXPAND_SZ | REG_MULTI_SZ) {
        let len = if kind == REG_MULTI_SZ {
            data.len()
        } else {
            data.len().saturating_sub(2)
        };
        let buffer: u64 = host.get(target + 8, "EntryContext");
        let buffer = if buffer == 0 {
            let by = "RtlQueryRegistryValues";
            let taken = host
                .heap()
                .allocate(&host.arena, data.len() as u64, 1, by, false);
            let Some(taken) = taken else {
                return STATUS_INSUFFICIENT_RESOURCES;
            };
            host.put(target + 2, data.len() as u16, "EntryContext");
            host.put(target + 8, taken, "EntryContext");
            taken
        } else {
            buffer
        };
        if data.len() > usize::from(host.get::<u16>(target + 2, "EntryContext")) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        for (i, byte) in data.iter().enumerate() {
            host.put(buffer + i as u64, *byte, "EntryContext");
        }
        host.put(target, len as u16, "EntryContext");
        return 0;
    }
    if data.len() <= 4 {
        for (i, byte) in data.iter().enumerate() {
            host.put(target + i as u64, *byte, "EntryContext");
        }
        return 0;
    }
    // The variable says its size: negative is room for the bytes alone.
    let room: i32 = host.get(target, "EntryContext");
    let (at, room) = if room < 0 {
        (target, room.unsigned_abs() as usize)
    } else {
        (target + 8, (room as usize).saturating_sub(8))
    };
    if data.len() > room {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if at != target {
        host.put(target, [data.len() as u32, kind], "EntryContext");
    }
    for (i, byte) in data.iter().enumerate() {
        host.put(at + i as u64, *byte, "EntryContext");
    }
    0
}

/// One entry of a table, at the key that entries stand for now.
fn query(host: &Host, entry: u64, name: &str, values: &Values, context: u64) -> i32 {
    let flags: u32 = host.get(entry + 8, "QueryTable");
    let default: u32 = host.get(entry + 32, "QueryTable");
    let found = values.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    if let Some((_, value)) = found {
        let (kind, data) = raw(value);
        return deliver(host, entry, name, kind, &data, context);
    }
    if flags & REQUIRED != 0 {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    }
    let kind = default & 0xFF;
    let at: u64 = host.get(entry + 40, "QueryTable");
    if kind == 0 || at == 0 {
        return 0;
    }
    let len: u32 = host.get(entry + 48, "QueryTable");
    let data = if len == 0 && matches!(kind, REG_SZ | REG_EXPAND_SZ) {
        let units = terminated(host, at, true, Some(0x7FFF));
        units
            .iter()
            .chain([&0])
            .flat_map(|u| u.to_le_bytes())
            .collect()
    } else {
        host.get_bytes(at, len as usize, "DefaultData")
    };
    deliver(host, entry, name, kind, &data, context)
}

fn query_table(host: &Host, to: u32, path: u64, table: u64, context: u64) -> i32 {
    let top = match relative(host, to, path) {
        Ok(path) => path,
        Err(status) => return status,
    };
    let Some(mut values) = host.key(&top) else {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    };
    let mut entry = table;
    loop {
        let routine: u64 = host.get(entry, "QueryTable");
        let flags: u32 = host.get(entry + 8, "QueryTable");
        let name: u64 = host.get(entry + 16, "QueryTable");
        if routine == 0 && flags & (SUBKEY | DIRECT) == 0 {
            return 0;
        }
        let text = if name == 0 {
            String::new()
        } else {
            String::from_utf16_lossy(&terminated(host, name, true, Some(0x7FFF)))
        };
        if flags & TOPKEY != 0 {
            values = host.key(&top).unwrap_or_default();
        }
        let status = if flags & SUBKEY != 0 {
            match host.key(&format!("{top}\\{text}")) {
                Some(below) => {
                    values = below;
                    0
                }
                None if flags & REQUIRED != 0 => STATUS_OBJECT_NAME_NOT_FOUND,
                None => {
                    values = Vec::new();
                    0
                }
            }
        } else if flags & NOVALUE != 0 {
            host.call(
                "RTL_QUERY_REGISTRY_ROUTINE",
                0,
                routine,
                &[0, 0, 0, 0, context, 0],
            ) as u32 as i32
        } else if name == 0 {
            let all: Values = values.clone();
            let mut status = 0;
            for (name, value) in &all {
                let (kind, data) = raw(value);
                status = deliver(host, entry, name, kind, &data, context);
                if status < 0 {
                    break;
                }
            }
            status
        } else {
            query(host, entry, &text, &values, context)
        };
        if status < 0 && status != STATUS_BUFFER_TOO_SMALL {
            return status;
        }
        entry += TABLE_ENTRY;
    }
}

api! { exports:
    /// Opens a key.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwOpenKey(host, out: u64, _access: u32, attributes: u64) -> i32 {
        open(host, out, attributes, "ZwOpenKey")
    }

    /// Opens a key, with options that change nothing here.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwOpenKeyEx(host, out: u64, _access: u32, attributes: u64, _options: u32) -> i32 {
        open(host, out, attributes, "ZwOpenKeyEx")
    }

    /// Opens a key that is there; none is made.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwCreateKey(host, out: u64, _access: u32, attributes: u64, _title: u32, _class: u64,
        _options: u32, disposition: u64) -> i32 {
        let status = open(host, out, attributes, "ZwCreateKey");
        if status == 0 && disposition != 0 {
            // REG_OPENED_EXISTING_KEY.
            host.put(disposition, 2_u32, "Disposition");
        }
        if status == STATUS_OBJECT_NAME_NOT_FOUND { STATUS_ACCESS_DENIED } else { status }
    }

    /// Refuses to set a value: the view is for reading.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwSetValueKey(host, key: u64, _name: u64, _title: u32, _kind: u32, _data: u64, _len: u32) -> i32 {
        host.key_path(key).err().unwrap_or(STATUS_ACCESS_DENIED)
    }

    /// A value of a key by its name.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwQueryValueKey(host, key: u64, name: u64, class: i32, to: u64, room: u32, needed: u64) -> i32 {
        let path = match host.key_path(key) {
            Ok(path) => path,
            Err(status) => return status,
        };
        let name = host.get_string(name, "ValueName");
        if host.fails("ZwQueryValueKey") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        let values = host.key(&path).unwrap_or_default();
        match values.iter().find(|(n, _)| n.eq_ignore_ascii_case(&name)) {
            Some((name, value)) => show(host, name, value, class, to, room, needed),
            None => STATUS_OBJECT_NAME_NOT_FOUND,
        }
    }

    /// A value of a key by its number.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwEnumerateValueKey(host, key: u64, index: u32, class: i32, to: u64, room: u32, needed: u64) -> i32 {
        let path = match host.key_path(key) {
            Ok(path) => path,
            Err(status) => return status,
        };
        match host.key(&path).unwrap_or_default().get(index as usize) {
            Some((name, value)) => show(host, name, value, class, to, room, needed),
            None => STATUS_NO_MORE_ENTRIES,
        }
    }

    /// A key below a key by its number; the basic form.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwEnumerateKey(host, key: u64, index: u32, class: i32, to: u64, room: u32, needed: u64) -> i32 {
        let path = match host.key_path(key) {
            Ok(path) => path,
            Err(status) => return status,
        };
        if class != 0 {
            return STATUS_INVALID_PARAMETER;
        }
        let Some(name) = host.subkeys(&path).into_iter().nth(index as usize) else {
            return STATUS_NO_MORE_ENTRIES;
        };
        let name = wide(&name);
        answer(host, &words(&[0, 0, 0, name.len() as u32]), &name, 16, to, room, needed)
    }

    /// What a key holds: the full form.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn ZwQueryKey(host, key: u64, class: i32, to: u64, room: u32, needed: u64) -> i32 {
        const FULL: i32 = 2;
        let path = match host.key_path(key) {
            Ok(path) => path,
            Err(status) => return status,
        };
        if class != FULL {
            return STATUS_INVALID_PARAMETER;
        }
        let (below, values) = (host.subkeys(&path), host.key(&path).unwrap_or_default());
        let longest = |names: &mut dyn Iterator<Item = &String>| names.map(|n| 2 * n.encode_utf16().count()).max();
        let names = longest(&mut below.iter()).unwrap_or(0) as u32;
        let value_names = longest(&mut values.iter().map(|v| &v.0)).unwrap_or(0) as u32;
        let data = values.iter().map(|v| raw(&v.1).1.len()).max().unwrap_or(0) as u32;
        let fields = [0, 0, 0, u32::MAX, 0, below.len() as u32, names, 0, values.len() as u32, value_names, data];
        answer(host, &words(&fields), &[], 44, to, room, needed)
    }

    /// Whether there is a key.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlCheckRegistryKey(host, to: u32, path: u64) -> i32 {
        match relative(host, to, path) {
            Ok(path) if host.key(&path).is_some() => 0,
            Ok(_) => STATUS_OBJECT_NAME_NOT_FOUND,
            Err(status) => status,
        }
    }

    /// Values of a key, as a table wants them.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlQueryRegistryValues(host, to: u32, path: u64, table: u64, context: u64, _environment: u64) -> i32 {
        if host.fails("RtlQueryRegistryValues") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        query_table(host, to, path, table, context)
    }

    /// The same, where the key must not be one that programs can change.
    "ntoskrnl.exe" 0..=0 "IRQ-11"
    fn RtlQueryRegistryValuesEx(host, to: u32, path: u64, table: u64, context: u64, _environment: u64) -> i32 {
        if host.fails("RtlQueryRegistryValuesEx") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        query_table(host, to, path, table, context)
    }
}
