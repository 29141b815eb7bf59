//! Rules of network components: what `Ndi` and the install sections say.

use super::{graph, is_guid};
use crate::inf::lint::{Class, Findings, Package, has_extension};

const NCF_VIRTUAL: i64 = 0x1;
const NCF_HIDDEN: i64 = 0x8;
const NCF_NOT_USER_REMOVABLE: i64 = 0x20;
const NCF_HAS_UI: i64 = 0x80;

/// Flags of which an adapter has one at most.
const NCF_KIND: i64 = 0x7;

/// INF-2: Characteristics are there and legal for the class.
pub fn characteristics(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let class = file.class();
        for (_, install) in graph::installs(&file.inf) {
            if !file.inf.has(&install) || class == Class::Other {
                continue;
            }
            let Some(entry) = file.inf.entry(&install, "Characteristics") else {
                let line = file.inf.line_of(&install);
                let message = format!("[{install}] has no Characteristics");
                out.error("INF-2", &file.name, line, message);
                continue;
            };
            let mut wrong = |message: String| out.error("INF-2", &file.name, entry.line, message);
            let Some(flags) = graph::number(entry.value(0)) else {
                wrong(format!("{:?} is not a number", entry.value(0)));
                continue;
            };
            if (flags & NCF_KIND).count_ones() > 1 {
                wrong(
                    "NCF_VIRTUAL, NCF_SOFTWARE_ENUMERATED and NCF_PHYSICAL exclude each other"
                        .to_owned(),
                );
                continue;
            }
            match class {
                // The flags of adapters are not for protocols.
                Class::NetTrans if flags & !NCF_HAS_UI != 0 => {
                    wrong(format!(
                        "{flags:#x}: a protocol has 0, or NCF_HAS_UI (0x80)"
                    ));
                }
                Class::NetTrans if flags == NCF_HAS_UI && !package.has_notify_object() => {
                    wrong("NCF_HAS_UI without a notify object that shows a page".to_owned());
                }
                Class::Net if flags & NCF_VIRTUAL == 0 => {
                    wrong(format!(
                        "{flags:#x}: a virtual miniport has NCF_VIRTUAL (0x1)"
                    ));
                }
                Class::Net
                    if flags
                        & !(NCF_VIRTUAL | NCF_HIDDEN | NCF_NOT_USER_REMOVABLE | NCF_HAS_UI)
                        != 0 =>
                {
                    wrong(format!(
                        "{flags:#x} has flags that a virtual miniport must not have"
                    ));
                }
                _ => {}
            }
        }
    }
}

/// What an adapter's upper edge may offer (INF-3).
const UPPER: [&str; 8] = [
    "ndis5",
    "ndis5_atalk",
    "ndis5_dlc",
    "ndis5_ip",
    "ndis5_ipx",
    "ndis5_nbf",
    "ndis5_streams",
    "flpp4",
];

/// INF-3: the protocol is the top of nothing, the miniport the bottom.
pub fn interfaces(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let class = file.class();
        for (_, install) in graph::installs(&file.inf) {
            if !file.inf.has(&install) || class == Class::Other {
                continue;
            }
            let values = graph::registry(&file.inf, &install);
            for range in ["UpperRange", "LowerRange"] {
                let Some(value) = values
                    .iter()
                    .find(|value| value.is("Ndi\\Interfaces", range))
                else {
                    let line = file.inf.line_of(&install);
                    out.error(
                        "INF-3",
                        &file.name,
                        line,
                        format!("[{install}] adds no {range}"),
                    );
                    continue;
                };
                let items: Vec<String> = value
                    .text()
                    .split(',')
                    .map(|item| item.trim().to_ascii_lowercase())
                    .collect();
                let wanted = match (class, range) {
                    (Class::NetTrans, "UpperRange") => "noupper",
                    (Class::NetTrans, _) => "ndis5",
                    (_, "UpperRange") => "ndis5 or narrower",
                    _ => "nolower",
                };
                let right = match wanted {
                    "noupper" | "nolower" => items == [wanted],
                    "ndis5" => items.iter().any(|item| item == "ndis5"),
                    _ => items.iter().all(|item| UPPER.contains(&item.as_str())),
                };
                if !right {
                    let message = format!("{range} is {:?}, not {wanted}", value.text());
                    out.error("INF-3", &file.name, value.line, message);
                }
            }
        }
    }
}

/// INF-5: the adapter is kept out of the list that users choose from.
pub fn excluded(package: &Package, out: &mut Findings) {
    for file in package.of_class(Class::Net) {
        let excluded: Vec<String> = graph::listed(&file.inf, "ControlFlags", "ExcludeFromSelect")
            .into_iter()
            .map(|(_, id)| id)
            .collect();
        for device in graph::models(&file.inf)
            .iter()
            .flat_map(|models| &models.devices)
        {
            let id = &device.hardware_id;
            if !excluded
                .iter()
                .any(|name| name == "*" || name.eq_ignore_ascii_case(id))
            {
                let message = format!("ExcludeFromSelect does not name {id}");
                out.error(
                    "INF-5",
                    &file.name,
                    file.inf.line_of("ControlFlags"),
                    message,
                );
            }
        }
    }
}

/// INF-6: a notify object has a class id, a DLL and a copy of it; only a protocol has one.
pub fn notify_object(package: &Package, out: &mut Findings) {
    for file in &package.infs {
        let mut any = false;
        for (_, install) in graph::installs(&file.inf) {
            let values = graph::registry(&file.inf, &install);
            let class_id = values.iter().find(|value| value.is("Ndi", "ClsID"));
            let dll = values.iter().find(|value| value.is("Ndi", "ComponentDll"));
            let Some(first) = class_id.or(dll) else {
                continue;
            };
            any = true;
            let mut wrong =
                |line: usize, message: String| out.error("INF-6", &file.name, line, message);
            if file.class() == Class::Net {
                wrong(
                    first.line,
                    "an adapter cannot own a notify object".to_owned(),
                );
                continue;
            }
            let (Some(class_id), Some(dll)) = (class_id, dll) else {
                wrong(
                    first.line,
                    "ClsID and ComponentDll come together".to_owned(),
                );
                continue;
            };
            if !is_guid(class_id.text()) {
                wrong(
                    class_id.line,
                    format!("{:?} is not a GUID in braces", class_id.text()),
                );
            }
            let name = dll.text().rsplit('\\').next().unwrap_or_default();
            let copies = graph::files(&file.inf, &install);
            let Some(copy) = copies
                .iter()
                .find(|copy| copy.name.eq_ignore_ascii_case(name))
            else {
                wrong(dll.line, format!("[{install}] does not copy {name}"));
                continue;
            };
            // A bare name is looked for in System32.
            let (dirid, folder) = graph::destination(&file.inf, &copy.list)
                .map_or(("", ""), |(_, dirid, folder)| (dirid, folder));
            let whole = graph::target_path(dirid, folder, name);
            let bare = dirid == "11" && dll.text().eq_ignore_ascii_case(name);
            if !bare && !dll.text().eq_ignore_ascii_case(&whole) {
                wrong(
                    dll.line,
                    format!("{:?} is not where the file goes: {whole}", dll.text()),
                );
            }
            if !has_extension(name, "dll") {
                wrong(dll.line, format!("{name:?} is not a DLL"));
            }
        }
        if file.class() == Class::NetTrans && !any {
            let message =
                "there is no notify object yet: virtual miniports are made by hand".to_owned();
            out.note("INF-6", &file.name, 0, message);
        }
    }
}

/// INF-L14: an adapter says what it is before it is started.
pub fn medium(package: &Package, out: &mut Findings) {
    for file in package.of_class(Class::Net) {
        for (_, install) in graph::installs(&file.inf) {
            if !file.inf.has(&install) {
                continue;
            }
            for keyword in ["*IfType", "*MediaType", "*PhysicalMediaType"] {
                let (line, value) = match file.inf.entry(&install, keyword) {
                    Some(entry) => (entry.line, entry.value(0)),
                    None => (file.inf.line_of(&install), ""),
                };
                let number = graph::number(value).filter(|_| !value.is_empty());
                // NET_IFTYPE begins at 1.
                let smallest = i64::from(keyword == "*IfType");
                if number.is_none_or(|number| number < smallest) {
                    let message = format!("{keyword} is {value:?} in [{install}], not a number");
                    out.error("INF-L14", &file.name, line, message);
                }
            }
        }
    }
}

/// INF-L15: what is written to the registry is relative to the component and has
/// a type that Windows knows.
pub fn registry(package: &Package, out: &mut Findings) {
    const TYPES: [i64; 9] = [
        0, 0x1, 0x2, 0x8, 0x1_0000, 0x1_0001, 0x1_0008, 0x2_0000, 0x2_0002,
    ];
    for file in &package.infs {
        for (section, _) in graph::registry_sections(&file.inf) {
            for value in graph::registry(&file.inf, &section) {
                if !value.root.eq_ignore_ascii_case("HKR") {
                    let message = format!("{} is written to outside the component", value.root);
                    out.error("INF-L15", &file.name, value.line, message);
                }
                if !graph::number(&value.flags).is_some_and(|flags| TYPES.contains(&flags)) {
                    let message = format!("{:?} is not a known value type", value.flags);
                    out.error("INF-L15", &file.name, value.line, message);
                }
            }
        }
    }
}
