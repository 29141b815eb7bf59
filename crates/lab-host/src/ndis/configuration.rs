//! Configuration handles and registry values.

use ndis_sys::{
    NDIS_CONFIGURATION_OBJECT, NDIS_CONFIGURATION_PARAMETER, NDIS_STATUS, NDIS_STATUS_FAILURE,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS, NdisParameterBinary,
    NdisParameterHexInteger, NdisParameterInteger, NdisParameterMultiString, NdisParameterString,
};

use crate::api::api;
use crate::handle::Kind;
use crate::host::Host;

const TAG: u32 = u32::from_le_bytes(*b"Conf");

/// The address that a number has where a string has its text; nothing is ever mapped there.
pub(crate) const NO_STRING: u64 = 0x0CF3_0000_0000;

/// A registry value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// REG_DWORD.
    Integer(u32),
    /// REG_SZ.
    String(String),
    /// REG_MULTI_SZ.
    Strings(Vec<String>),
    /// REG_BINARY.
    Binary(Vec<u8>),
    /// REG_MULTI_SZ with these very UTF-16 units, for hostile contents.
    RawStrings(Vec<u16>),
    /// The same with a length of these many bytes, which may be odd or not be there.
    CutStrings(Vec<u16>, u16),
}

/// An open configuration.
pub(crate) struct Configuration {
    /// Handle it was opened on.
    pub(crate) owner: u64,
    pub(crate) values: Vec<(String, Value)>,
    /// Blocks handed out; they live until the handle is closed (CFG-2).
    pub(crate) blocks: Vec<u64>,
}

fn multi(strings: &[String]) -> Vec<u16> {
    let mut units: Vec<u16> = strings
        .iter()
        .flat_map(|s| s.encode_utf16().chain([0]))
        .collect();
    units.push(0);
    units
}

/// Length in bytes, as far as a counted string can hold.
fn bytes_of(units: &[u16]) -> u16 {
    u16::try_from(2 * units.len()).unwrap_or(u16::MAX - 1)
}

fn store(host: &Host, units: &[u16], length: u16) -> (NDIS_CONFIGURATION_PARAMETER, u64) {
    let block = host.allocate(2 * units.len().max(1) as u64, TAG, "NdisReadConfiguration");
    for (i, unit) in units.iter().enumerate() {
        host.put(block + 2 * i as u64, *unit, "value");
    }
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut p: NDIS_CONFIGURATION_PARAMETER = unsafe { std::mem::zeroed() };
    p.ParameterData.StringData.Length = length;
    p.ParameterData.StringData.MaximumLength = bytes_of(units).max(length);
    p.ParameterData.StringData.Buffer = block as *mut u16;
    (p, block)
}

/// A string as the number that NDIS makes of it when an integer is asked for: the digits it
/// begins with, after white space and a sign; 0 if there are none.
fn number(text: &str, radix: u32) -> u32 {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = digits
        .chars()
        .map_while(|c| c.to_digit(radix))
        .fold(0_u32, |sum, digit| {
            sum.wrapping_mul(radix).wrapping_add(digit)
        });
    if negative {
        value.wrapping_neg()
    } else {
        value
    }
}

/// Reads a value. Its own type is told whatever was asked for, but for a string that is read
/// as an integer: that is converted, decimal or hexadecimal as asked.
fn read(host: &Host, handle: u64, keyword: &str, kind: i32) -> Option<u64> {
    let value = host.ndis(|n| {
        n.configurations.get(&handle).and_then(|c| {
            c.values
                .iter()
                .find(|(k, _)| k.eq_ignore_ascii_case(keyword))
                .map(|(_, v)| v.clone())
        })
    })?;
    let value = match value {
        Value::String(text) if kind == NdisParameterInteger.0 => Value::Integer(number(&text, 10)),
        Value::String(text) if kind == NdisParameterHexInteger.0 => {
            Value::Integer(number(&text, 16))
        }
        other => other,
    };
    // SAFETY: plain data of the ABI; all zero is a value of it.
    let mut p: NDIS_CONFIGURATION_PARAMETER = unsafe { std::mem::zeroed() };
    let mut block = None;
    match value {
        Value::Integer(v) => {
            p.ParameterType = NdisParameterInteger;
            // Where a string would be, for a driver that does not look at the type (CFG-3).
            p.ParameterData.StringData.Buffer = NO_STRING as *mut u16;
            p.ParameterData.IntegerData = v;
        }
        Value::String(s) => {
            let units: Vec<u16> = s.encode_utf16().chain([0]).collect();
            let (q, b) = store(host, &units, (2 * (units.len() - 1)) as u16);
            p = q;
            p.ParameterType = NdisParameterString;
            block = Some(b);
        }
        Value::Strings(list) => {
            let units = multi(&list);
            let (q, b) = store(host, &units, bytes_of(&units));
            p = q;
            p.ParameterType = NdisParameterMultiString;
            block = Some(b);
        }
        Value::RawStrings(units) => {
            let (q, b) = store(host, &units, bytes_of(&units));
            p = q;
            p.ParameterType = NdisParameterMultiString;
            block = Some(b);
        }
        Value::CutStrings(units, length) => {
            let (q, b) = store(host, &units, length);
            p = q;
            p.ParameterType = NdisParameterMultiString;
            block = Some(b);
        }
        Value::Binary(bytes) => {
            let b = host.allocate(bytes.len().max(1) as u64, TAG, "NdisReadConfiguration");
            for (i, byte) in bytes.iter().enumerate() {
                host.put(b + i as u64, *byte, "value");
            }
            p.ParameterType = NdisParameterBinary;
            p.ParameterData.BinaryData.Length = bytes.len() as u16;
            p.ParameterData.BinaryData.Buffer = b as *mut _;
            block = Some(b);
        }
    }
    let at = host.allocate(
        size_of::<NDIS_CONFIGURATION_PARAMETER>() as u64,
        TAG,
        "NdisReadConfiguration",
    );
    host.put(at, p, "ParameterValue");
    host.ndis(|n| {
        if let Some(c) = n.configurations.get_mut(&handle) {
            c.blocks.push(at);
            c.blocks.extend(block);
        }
    });
    Some(at)
}

impl Host {
    /// Changes values in a binding's registry key; those that are not named stay. The driver
    /// notices nothing before it is told (`NetEventReconfigure`).
    pub fn set_binding_values(&self, binding: u64, values: Vec<(String, Value)>) {
        self.ndis(|n| {
            if let Some(b) = n.bindings.get_mut(&binding) {
                change(&mut b.values, values);
            }
        });
    }

    /// The same in the key of a virtual device, whether it is enumerated or not.
    pub fn set_device_values(&self, device: &str, values: Vec<(String, Value)>) {
        self.ndis(|n| {
            if let Some(i) = n.instances.get_mut(&device.to_uppercase()) {
                change(&mut i.values, values);
            }
        });
    }

    /// Takes a value of a device's registry key away.
    pub fn remove_device_value(&self, device: &str, keyword: &str) {
        self.ndis(|n| {
            if let Some(i) = n.instances.get_mut(&device.to_uppercase()) {
                i.values.retain(|(k, _)| !k.eq_ignore_ascii_case(keyword));
            }
        });
    }
}

fn change(known: &mut Vec<(String, Value)>, values: Vec<(String, Value)>) {
    for (name, value) in values {
        known.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
        known.push((name, value));
    }
}

api! { exports:
    /// Opens the configuration of a bind, a binding, an adapter or a driver.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisOpenConfigurationEx(host, object: u64, out: u64) -> NDIS_STATUS {
        let o: NDIS_CONFIGURATION_OBJECT = host.get(object, "ConfigObject");
        let owner = o.NdisHandle as u64;
        let kind = ndis_sys::NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT;
        host.judge_header("ConfigObject", o.Header, kind, 1, size_of::<NDIS_CONFIGURATION_OBJECT>());
        let values = host.ndis(|n| {
            if let Some(b) = n.bindings.get(&owner) {
                return Some(b.values.clone());
            }
            // During a bind: by its context, or by the bind parameters.
            if let Some(b) = n.binds.iter().find(|(h, b)| **h == owner || b.parameters == owner) {
                return Some(b.1.values.clone());
            }
            if let Some(m) = n.miniports.get(&owner) {
                return Some(n.instances.get(&m.name).map(|i| i.values.clone()).unwrap_or_default());
            }
            (n.drivers.contains_key(&owner) || n.protocols.contains_key(&owner)).then(Vec::new)
        });
        let Some(values) = values else {
            host.violate("CFG-2", format!("NdisOpenConfigurationEx on {owner:#x}: {}", host.describe(owner)));
            return NDIS_STATUS_INVALID_PARAMETER;
        };
        if host.fails("NdisOpenConfigurationEx") {
            return NDIS_STATUS_RESOURCES;
        }
        let handle = host.ndis(|n| {
            let h = n.handles.open(Kind::Configuration);
            n.configurations.insert(h, Configuration { owner, values, blocks: Vec::new() });
            h
        });
        host.put(out, handle, "ConfigurationHandle");
        NDIS_STATUS_SUCCESS
    }

    /// Reads a value.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisReadConfiguration(host, status: u64, value: u64, handle: u64, keyword: u64, kind: i32) {
        if !host.check("ConfigurationHandle", handle, Kind::Configuration) {
            host.put(status, NDIS_STATUS_INVALID_PARAMETER.0, "Status");
            return;
        }
        let keyword = host.get_string(keyword, "Keyword");
        if keyword.get(..13).is_some_and(|k| k.eq_ignore_ascii_case("UpperBindings")) {
            let of_bind = host.ndis(|n| n.configurations.get(&handle).is_some_and(|c| {
                n.bindings.contains_key(&c.owner)
                    || n.binds.iter().any(|(h, b)| *h == c.owner || b.parameters == c.owner)
            }));
            if !of_bind {
                host.violate("BND-12", format!("{keyword} is read through a configuration that is no binding's"));
            }
        }
        let known = [NdisParameterInteger, NdisParameterHexInteger, NdisParameterString,
            NdisParameterMultiString, NdisParameterBinary].iter().any(|k| k.0 == kind);
        let found = if known && !host.fails("NdisReadConfiguration") {
            read(host, handle, &keyword, kind)
        } else {
            None
        };
        match found {
            Some(at) => {
                host.put(value, at, "ParameterValue");
                host.put(status, NDIS_STATUS_SUCCESS.0, "Status");
            }
            None => host.put(status, NDIS_STATUS_FAILURE.0, "Status"),
        }
    }

    /// Writes a value; kept for the life of the handle only.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisWriteConfiguration(host, status: u64, handle: u64, keyword: u64, value: u64) {
        let ok = host.check("ConfigurationHandle", handle, Kind::Configuration);
        if ok {
            let keyword = host.get_string(keyword, "Keyword");
            let p: NDIS_CONFIGURATION_PARAMETER = host.get(value, "ParameterValue");
            // SAFETY: the integer view of a union of plain data.
            let integer = unsafe { p.ParameterData.IntegerData };
            if p.ParameterType == NdisParameterInteger {
                host.ndis(|n| {
                    if let Some(c) = n.configurations.get_mut(&handle) {
                        c.values.retain(|(k, _)| !k.eq_ignore_ascii_case(&keyword));
                        c.values.push((keyword, Value::Integer(integer)));
                    }
                });
            }
        }
        let result = if ok { NDIS_STATUS_SUCCESS } else { NDIS_STATUS_INVALID_PARAMETER };
        host.put(status, result.0, "Status");
    }

    /// The `NetworkAddress` value as bytes.
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisReadNetworkAddress(host, status: u64, address: u64, length: u64, handle: u64) {
        if !host.check("ConfigurationHandle", handle, Kind::Configuration) {
            host.put(status, NDIS_STATUS_INVALID_PARAMETER.0, "Status");
            return;
        }
        let value = host.ndis(|n| n.configurations.get(&handle).and_then(|c| {
            c.values.iter().find(|(k, _)| k.eq_ignore_ascii_case("NetworkAddress")).map(|(_, v)| v.clone())
        }));
        let failed = host.fails("NdisReadNetworkAddress");
        let Some(Value::String(text)) = value.filter(|_| !failed) else {
            host.put(status, NDIS_STATUS_FAILURE.0, "Status");
            return;
        };
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let bytes: Vec<u8> = digits.chunks_exact(2)
            .filter_map(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 16).ok())
            .collect();
        let block = host.allocate(bytes.len().max(1) as u64, TAG, "NdisReadNetworkAddress");
        for (i, b) in bytes.iter().enumerate() {
            host.put(block + i as u64, *b, "NetworkAddress");
        }
        host.ndis(|n| {
            if let Some(c) = n.configurations.get_mut(&handle) {
                c.blocks.push(block);
            }
        });
        host.put(address, block, "NetworkAddress");
        host.put(length, bytes.len() as u32, "NetworkAddressLength");
        host.put(status, NDIS_STATUS_SUCCESS.0, "Status");
    }

    /// Closes a configuration; values read through it die with it (CFG-2).
    "ndis.sys" 0..=0 "IRQ-11"
    fn NdisCloseConfiguration(host, handle: u64) {
        if !host.check("ConfigurationHandle", handle, Kind::Configuration) {
            return;
        }
        let blocks = host.ndis(|n| {
            n.handles.close(handle);
            n.configurations.remove(&handle).map(|c| c.blocks).unwrap_or_default()
        });
        for block in blocks {
            host.release(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_become_numbers_as_windows_makes_them() {
        for (text, radix, value) in [
            ("10", 10, 10),
            ("10", 16, 16),
            ("  42 ports", 10, 42),
            ("-1", 10, u32::MAX),
            ("+7", 10, 7),
            ("0x10", 10, 0),
            ("", 10, 0),
            ("none", 10, 0),
            ("ff", 16, 255),
        ] {
            assert_eq!(number(text, radix), value, "{text:?}");
        }
    }

    #[test]
    fn a_value_replaces_one_of_the_same_name_in_any_case() {
        let mut values = vec![("VlanID".to_owned(), Value::Integer(1))];
        change(&mut values, vec![("vlanid".to_owned(), Value::Integer(2))]);
        assert_eq!(values, [("vlanid".to_owned(), Value::Integer(2))]);
    }
}
