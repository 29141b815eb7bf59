//! What the running driver says of itself by its control device, as JSON, and whether that is
//! what a machine needs after an installation. Pure: the caller asks the device.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use im_control::{
    Counter, CounterRecord, DropReason, DropRecord, Kind, LowerStateCode, PortRecord, Record,
    Reply, UpperStateCode, VersionRecord,
};
use serde_json::{Map, Value, json};

/// How many ports are asked for their counters: what a person can read.
const SHOWN: usize = 64;

/// What a driver said.
#[derive(Debug)]
pub struct Report {
    /// The version and the ports with their counters.
    pub value: Value,
    /// Why the driver does not run as it should; empty when it does.
    pub faults: Vec<String>,
}

/// Asks for the version, the ports, and the counters and drops of each.
///
/// # Errors
/// What `ask` says, or a reply that is none.
pub fn report(mut ask: impl FnMut(Kind, u32) -> Result<Vec<u8>, String>) -> Result<Report, String> {
    let mut faults = Vec::new();
    let version: Vec<VersionRecord> = records(&mut ask, Kind::Version, 0)?;
    let version = version.first().ok_or("the driver tells no version")?;
    if version.lost_chains != 0 {
        faults.push(format!("{} chains of lists were lost", version.lost_chains));
    }
    let ports: Vec<PortRecord> = records(&mut ask, Kind::Ports, 0)?;
    if ports.is_empty() {
        faults.push("there is no port".into());
    }
    let mut shown = Vec::new();
    for port in &ports {
        let upper = UpperStateCode::from_code(port.upper_state);
        let lower = LowerStateCode::from_code(port.lower_state);
        if upper != Some(UpperStateCode::Running) || lower != Some(LowerStateCode::Running) {
            faults.push(format!(
                "port {}: the miniport is {}, the binding {}",
                port.index,
                upper.map_or("in a state unknown", UpperStateCode::name),
                lower.map_or("in a state unknown", LowerStateCode::name),
            ));
        }
        let mut value = json!({
            "index": port.index,
            "name": name(port),
            "miniport": upper.map(UpperStateCode::name),
            "binding": lower.map(LowerStateCode::name),
            "interface": port.upper_if_index,
            "adapter_interface": port.lower_if_index,
            "vlan": port.vlan,
        });
        if shown.len() < SHOWN {
            let counters: Vec<CounterRecord> = records(&mut ask, Kind::Counters, port.index)?;
            let drops: Vec<DropRecord> = records(&mut ask, Kind::Drops, port.index)?;
            let counters = counters
                .iter()
                .map(|c| (Counter::from_code(c.id).map(Counter::name), c.id, c.value));
            value["counters"] = named(counters);
            let drops = drops.iter().filter(|d| d.lists != 0).map(|d| {
                let reason = DropReason::from_code(d.id).map(DropReason::name);
                (reason, d.id, d.lists)
            });
            value["drops"] = named(drops);
        }
        shown.push(value);
    }
    let dotted = |v: u32| format!("{}.{}", v >> 16, v & 0xffff);
    let value = json!({
        "version": format!("{}.{}", version.driver_major, version.driver_minor),
        "ndis": dotted(version.ndis),
        "system_ndis": dotted(version.system_ndis),
        "bindings": version.bindings,
        "lost_chains": version.lost_chains,
        "ports": shown,
    });
    Ok(Report { value, faults })
}

/// Numbers under their names, or under their number where this version knows no name.
fn named<'a>(all: impl Iterator<Item = (Option<&'a str>, u32, u64)>) -> Value {
    let mut map = Map::new();
    for (name, id, value) in all {
        let name = name.map_or_else(|| format!("{id}"), String::from);
        map.insert(name, json!(value));
    }
    Value::Object(map)
}

/// The device's name, up to its end.
fn name(port: &PortRecord) -> String {
    let units = port.name.iter().copied().take_while(|&unit| unit != 0);
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

fn records<R: Record>(
    ask: &mut impl FnMut(Kind, u32) -> Result<Vec<u8>, String>,
    kind: Kind,
    index: u32,
) -> Result<Vec<R>, String> {
    let bytes = ask(kind, index)?;
    let malformed = |error| format!("the reply about {kind:?} is malformed: {error:?}");
    let (_, records) = Reply::of(kind, &bytes).map_err(malformed)?;
    records
        .records()
        .collect::<Result<_, _>>()
        .map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use im_control::{NAME_UNITS, ReplyWriter};

    fn write<R: Record>(kind: Kind, records: &[R]) -> Vec<u8> {
        let mut buffer = vec![0; 4096];
        let mut writer = ReplyWriter::new::<R>(kind, &mut buffer).unwrap();
        for record in records {
            writer.push(record);
        }
        let length = writer.finish();
        buffer.truncate(length);
        buffer
    }

    fn port(index: u32, upper: UpperStateCode) -> PortRecord {
        let mut name = [0; NAME_UNITS];
        for (unit, from) in name.iter_mut().zip("\\DEVICE\\{1}".encode_utf16()) {
            *unit = from;
        }
        PortRecord {
            index,
            upper_state: upper.code(),
            lower_state: LowerStateCode::Running.code(),
            upper_if_index: 40,
            lower_if_index: 7,
            link: 1,
            upper_power: 1,
            lower_power: 1,
            xmit_speed: 1,
            rcv_speed: 1,
            name,
            vlan: 0,
            filter: 0,
            mac: 0,
            shown_link: 1,
            position: 0,
        }
    }

    fn told(lost_chains: u32, ports: &[PortRecord]) -> Result<Report, String> {
        report(|kind, index| {
            Ok(match kind {
                Kind::Version => write(
                    kind,
                    &[VersionRecord {
                        driver_major: 0,
                        driver_minor: 1,
                        ndis: 0x6_0055,
                        system_ndis: 0x6_0059,
                        bindings: 1,
                        lost_chains,
                    }],
                ),
                Kind::Ports => write(kind, ports),
                Kind::Counters => write(
                    kind,
                    &[
                        CounterRecord { id: 0, value: 5 },
                        CounterRecord {
                            id: 999,
                            value: u64::from(index),
                        },
                    ],
                ),
                _ => write(kind, &[DropRecord { id: 0, lists: 0 }]),
            })
        })
    }

    #[test]
    fn a_driver_that_runs_is_told_by_name() {
        let report = told(0, &[port(3, UpperStateCode::Running)]).unwrap();
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        assert_eq!(report.value["ndis"], "6.85");
        let port = &report.value["ports"][0];
        assert_eq!(port["name"], "\\DEVICE\\{1}");
        assert_eq!(port["miniport"], "running");
        assert_eq!(port["counters"], json!({ "sent-lists": 5, "999": 3 }));
        assert_eq!(port["drops"], json!({}));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let faults = |lost, ports: &[PortRecord]| told(lost, ports).unwrap().faults;
        assert_eq!(faults(0, &[]), ["there is no port"]);
        let paused = port(1, UpperStateCode::Paused);
        assert_eq!(
            faults(2, &[port(0, UpperStateCode::Running), paused]),
            [
                "2 chains of lists were lost",
                "port 1: the miniport is paused, the binding running"
            ]
        );
        let mut strange = paused;
        strange.upper_state = 77;
        assert!(faults(0, &[strange])[0].contains("unknown"));
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        assert!(report(|_, _| Err("gone".into())).is_err_and(|e| e == "gone"));
        assert!(report(|_, _| Ok(Vec::new())).is_err());
        // Another kind than was asked for, and no version at all.
        assert!(
            report(|_, _| Ok(write(Kind::Ports, &[port(0, UpperStateCode::Running)]))).is_err()
        );
        assert!(report(|kind, _| Ok(write::<VersionRecord>(kind, &[]))).is_err());
    }
}
