//! One bad package for each rule, made from a good one by one change. Each breaks
//! that rule and no other, and the finding names the line.

use super::*;

/// A change of one file of the package "full", and where the finding is expected:
/// the file, and a piece of the line that it must point to ("" for the whole file).
/// A bar separates the parts of a change that belong together.
struct Bad {
    rule: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    at: &'static str,
}

const P: &str = "full.inf";
const M: &str = "full_mp.inf";

const fn bad(
    rule: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    at: &'static str,
) -> Bad {
    Bad {
        rule,
        file,
        from,
        to,
        at,
    }
}

const BAD: &[Bad] = &[
    // Class and identity.
    bad(
        "INF-1",
        P,
        "-E325-11CE-BFC1-08002BE10318}",
        "-E325-11CE-BFC1-08002BE10319}",
        "ClassGuid",
    ),
    bad("INF-1", M, "{4D36E972-", "{4D36E975-", "ClassGuid"),
    bad("INF-10", P, "$Windows NT$", "$Chicago$", "Signature"),
    bad(
        "INF-10",
        P,
        "PnpLockdown = 1",
        "PnpLockdown = 0",
        "PnpLockdown",
    ),
    bad("INF-10", M, "PnpLockdown = 1\r\n", "", "[Version]"),
    bad(
        "INF-10",
        M,
        "CatalogFile = full_mp.cat",
        "CatalogFile = full.cat",
        "CatalogFile",
    ),
    bad(
        "INF-10",
        P,
        "System,RustIM_Full",
        "System,MS_Full",
        "System,MS_Full",
    ),
    bad("INF-L10", P, "11/22/2026", "22/11/2026", "DriverVer"),
    bad("INF-L10", P, ",0.1.0.0", ",0.1.0", "DriverVer"),
    bad("INF-L10", M, ",0.1.0.0", ",0.2.0.0", "DriverVer"),
    bad(
        "INF-L13",
        P,
        "NTamd64|Files.amd64",
        "NTarm64|Files.arm64",
        "%Provider% =",
    ),
    bad(
        "INF-L13",
        M,
        "NTamd64|Files.amd64",
        "NTx86|Files.x86",
        "%Provider% =",
    ),
    // What a network component says of itself.
    bad(
        "INF-2",
        P,
        "Characteristics = 0x80",
        "Characteristics = 0x21",
        "Characteristics",
    ),
    bad("INF-2", M, "= 0xa9", "= 0xa8", "Characteristics"),
    bad("INF-2", M, "= 0xa9", "= 0xab", "Characteristics"),
    bad("INF-2", M, "= 0xa9", "= 0x400a9", "Characteristics"),
    bad(
        "INF-2",
        P,
        "Characteristics = 0x80",
        "Characteristic = 0x80",
        "[StoreX64]",
    ),
    bad("INF-3", P, "\"noupper\"", "\"ndis5\"", "UpperRange"),
    bad(
        "INF-3",
        P,
        "LowerRange,0,\"ndis5\"",
        "LowerRange,0,\"ethernet\"",
        "LowerRange",
    ),
    bad(
        "INF-3",
        M,
        "LowerRange,0,\"nolower\"",
        "LowerRange,0,\"ethernet\"",
        "LowerRange",
    ),
    bad(
        "INF-3",
        M,
        "UpperRange,0,\"ndis5\"",
        "UpperRange,0,\"ndis5,tdi\"",
        "UpperRange",
    ),
    bad(
        "INF-4",
        P,
        "Service,0,\"ImFull\"",
        "Service,0,\"ImOther\"",
        "Ndi,Service",
    ),
    bad(
        "INF-4",
        P,
        "HKR,Ndi,CoServices,0x10000,\"ImFull\"\r\n",
        "",
        "Ndi,Service",
    ),
    bad(
        "INF-4",
        P,
        "0x10000,\"ImFull\"",
        "0,\"ImFull\"",
        "CoServices",
    ),
    bad(
        "INF-4",
        M,
        "HKR,Ndi,HelpText",
        "HKR,Ndi,CoServices,0x10000,\"ImFullMp\"\r\nHKR,Ndi,HelpText",
        "CoServices",
    ),
    bad(
        "INF-5",
        M,
        "ExcludeFromSelect = RustIM_FullMp",
        "ExcludeFromSelect = RustIM_Full",
        "[ControlFlags]",
    ),
    bad("INF-6", P, "{B5E9C1D4-", "{B5E9C1D-", "ClsID"),
    bad(
        "INF-6",
        P,
        "\"%13%\\x64\\imfull_notify.dll\"",
        "\"imfull_notify.dll\"",
        "\"imfull_notify.dll\"",
    ),
    bad(
        "INF-6",
        P,
        "HKR,Ndi,ComponentDll,0,\"%13%\\x64\\imfull_notify.dll\"\r\n",
        "",
        "ClsID",
    ),
    bad(
        "INF-6",
        M,
        "HKR,Ndi,HelpText",
        "HKR,Ndi,ClsID,0,\"{B5E9C1D4-6A0F-4E7B-9C38-2F1D7A5E8B60}\"\r\nHKR,Ndi,HelpText",
        "ClsID",
    ),
    bad(
        "INF-8",
        P,
        "CopyINF         = full_mp.inf",
        "CopyINF = other.inf",
        "CopyINF = other",
    ),
    bad(
        "INF-8",
        P,
        "CopyINF         = full_mp.inf\r\n",
        "",
        "[StoreX64]",
    ),
    // Where files go.
    bad("INF-9", P, "25341", "25319", "%Provider% ="),
    bad(
        "INF-9",
        M,
        "System.Files = 12|%12%",
        "System.Files = 11|%11%",
        "System.Files = 11",
    ),
    bad(
        "INF-9",
        P,
        "StoreX64.Notify = 13,x64|%13%\\x64\\imfull",
        "StoreX64.Notify = 13|%13%\\imfull",
        "StoreX64.Notify = 13",
    ),
    bad(
        "INF-9",
        P,
        "[StoreX64.Notify]\r\nimfull|%13%\\x64\\imfull",
        "[StoreX64.Notify]\r\nx.dll,imfull|%13%\\x64\\x.dll\"; ",
        "x.dll,imfull",
    ),
    bad(
        "INF-L7",
        P,
        "StoreX64.Notify = 13,x64|%13%\\x64\\imfull",
        "StoreX64.Notify = 99,x64|%99%\\x64\\imfull",
        "StoreX64.Notify = 99",
    ),
    bad("INF-L7", M, "System.Files = 12\r\n", "", "full.sys"),
    bad(
        "INF-L4",
        P,
        "imfull_notify.dll = 1,x64",
        "imfull_notify.dll = 1,x64",
        "imfull_notify.dll = 1,x64",
    ),
    bad("INF-L5", P, "", "", ""),
    bad(
        "INF-L6",
        M,
        "full.sys = 1,x64",
        "full.sys = 2,x64",
        "full.sys = 2,x64",
    ),
    bad(
        "INF-L6",
        M,
        "full.sys = 1,x64",
        "full.sys = 1,x64\r\nfull.pdb = 1,symbols\\x64",
        "full.pdb = 1",
    ),
    // Services.
    bad(
        "INF-L11",
        M,
        "ImFullMp,2,StoreX64",
        "ImFullMp,,StoreX64",
        "ImFullMp,,StoreX64",
    ),
    bad(
        "INF-L11",
        P,
        "StartType     = 3",
        "StartType     = 4",
        "StartType",
    ),
    bad(
        "INF-L11",
        P,
        "ServiceType   = 1 ; SERVICE_KERNEL_DRIVER\r\n",
        "",
        "[StoreX64.Service]",
    ),
    bad(
        "INF-L11",
        P,
        "%13%\\x64\\full.sys",
        "%12%\\x64\\full.sys",
        "%12%\\x64\\full.sys",
    ),
    bad(
        "INF-L11",
        M,
        "%13%\\x64\\full.sys",
        "%13%\\x64\\other.sys",
        "%13%\\x64\\other.sys",
    ),
    bad(
        "INF-L17",
        P,
        "DelService = ImFull",
        "DelService = ImOther",
        "AddService",
    ),
    bad(
        "INF-L17",
        M,
        "[StoreX64.Service]",
        "[StoreX64.Remove.Services]\r\nDelService = ImFullMp\r\n[StoreX64.Service]",
        "DelService",
    ),
    bad(
        "INF-L19",
        P,
        "StartType     = 3",
        "StartType     = 1",
        "StartType",
    ),
    bad(
        "INF-L19",
        P,
        "StartType     = 3",
        "LoadOrderGroup = NDIS\r\nStartType     = 3",
        "LoadOrderGroup",
    ),
    bad("PTR-3", P, "", "", "AddService"),
    // What is declared, not done.
    bad("IV-1204", P, "RustIM", "Microsoft", "Provider "),
    bad(
        "IV-1205",
        P,
        "CopyINF         =",
        "BitReg = Protocol.AddReg\r\nCopyINF         =",
        "BitReg",
    ),
    bad(
        "IV-1212",
        P,
        "[Strings]",
        "[DefaultInstall]\r\n[Strings]",
        "[DefaultInstall]",
    ),
    bad(
        "IV-1285",
        M,
        "[Strings]",
        "[ClassInstall32]\r\n[Strings]",
        "[ClassInstall32]",
    ),
    bad(
        "IV-1300",
        P,
        "CopyINF         =",
        "RegisterDlls = Notify\r\nCopyINF         =",
        "RegisterDlls",
    ),
    bad(
        "IV-1302",
        M,
        "CopyFiles          =|[Strings]",
        "DelReg = Gone\r\nCopyFiles          =|[Gone]\r\nHKR,,Old\r\n[Strings]",
        "DelReg",
    ),
    bad(
        "IV-1302",
        P,
        "AddService = ImFull,",
        "DelService = ImOld\r\nAddService = ImFull,",
        "DelService = ImOld",
    ),
    bad(
        "IV-1303",
        M,
        "HKR,Ndi,HelpText",
        "HKR,,CoInstallers32,0x00010000,\"im.dll,Entry\"\r\nHKR,Ndi,HelpText",
        "CoInstallers32",
    ),
    bad(
        "IV-1305",
        M,
        "HKR,,TypesSupported",
        "HKR,,List,0x00010008,\"x\"\r\nHKR,,TypesSupported",
        "List",
    ),
    bad(
        "IV-1313",
        P,
        "CopyINF         =",
        "Needs = Other\r\nCopyINF         =",
        "Needs",
    ),
    // Text.
    bad(
        "INF-L1",
        P,
        "Full protocol\"",
        "Full pr\u{f6}tocol\"",
        "Full pr",
    ),
    bad(
        "INF-L1",
        P,
        "Disk         = \"Full example files\"",
        "Disk         = \"Full example files",
        "Disk  ",
    ),
    bad(
        "INF-L2",
        P,
        "= Protocol.AddReg",
        "= Missing,Protocol.AddReg",
        "Missing",
    ),
    bad(
        "INF-L3",
        P,
        "[Strings]",
        "[Extra]\r\nx = 1\r\n[Strings]",
        "[Extra]",
    ),
    bad("INF-L8", P, "; From build", "; TODO From build", "; TODO"),
    bad(
        "INF-L8",
        M,
        "; See full.inf",
        "; {{ name }} full.inf",
        "; {{",
    ),
    bad(
        "INF-L9",
        P,
        "%Protocol% = StoreX64",
        "%Protokol% = StoreX64",
        "%Protokol%",
    ),
    bad(
        "INF-L9",
        M,
        "[Strings]\r\n",
        "[Strings]\r\nSpare = \"x\"\r\n",
        "Spare",
    ),
    bad(
        "INF-L16",
        M,
        "TypesSupported,0x00010001,7",
        "TypesSupported,0x00010001,7\r\nHKR,,TypesSupported,0x00010001,7",
        "TypesSupported",
    ),
    // Registry.
    bad(
        "LBF-9",
        M,
        "HKR,Ndi,HelpText",
        "HKR,,BundleId,0,\"bundle\"\r\nHKR,Ndi,HelpText",
        "BundleId",
    ),
    bad(
        "INF-L12",
        M,
        "Level,Default,0,\"1\"",
        "Level,Default,0,\"4095\"",
        "Level,Default",
    ),
    bad(
        "INF-L12",
        M,
        "Level,Step,0,\"1\"",
        "Level,Step,0,\"x\"",
        "Level,ParamDesc",
    ),
    bad(
        "INF-L12",
        M,
        "Mode,Default,0,\"1\"",
        "Mode,Default,0,\"2\"",
        "Mode,Default",
    ),
    bad(
        "INF-L12",
        M,
        "Label,Type,0,\"edit\"",
        "Label,Type,0,\"text\"",
        "Label,Type",
    ),
    bad(
        "INF-L12",
        M,
        "HKR,Ndi\\params\\Label,Type,0,\"edit\"\r\n",
        "",
        "Label,ParamDesc",
    ),
    bad(
        "INF-L12",
        M,
        "Level,Max,0,\"4094\"",
        "Level,Max,0,\"65536\"",
        "Level,Min",
    ),
    bad(
        "INF-L12",
        M,
        "Level,Min,0,\"0\"",
        "Level,Min,0,\"5000\"",
        "Level,Min",
    ),
    bad(
        "INF-L12",
        M,
        "Level,Optional,0,\"0\"",
        "Level,Optional,0,\"yes\"",
        "Level,Optional",
    ),
    bad(
        "INF-L12",
        M,
        "Level,Max,0",
        "Level,Maximum,0",
        "Level,Maximum",
    ),
    bad(
        "INF-L12",
        M,
        "HKR,Ndi\\params\\Label,Default,0,\"none\"\r\n",
        "",
        "Label,ParamDesc",
    ),
    bad(
        "INF-L12",
        M,
        "Label,LimitText,0,\"8\"",
        "Label,LimitText,0,\"3\"",
        "Label,Default",
    ),
    bad("INF-L12", M, "Label,LimitText", "Label,Min", "Label,Min"),
    bad(
        "INF-L12",
        M,
        "Mode\\enum,\"0\"",
        "Mode\\enum,\"zero\"",
        "Mode\\enum",
    ),
    bad(
        "INF-L12",
        M,
        "NetworkAddress,UpperCase,0,\"1\"",
        "NetworkAddress,UpperCase,0,\"A\"",
        "NetworkAddress,UpperCase",
    ),
    bad(
        "INF-L18",
        M,
        "NetworkAddress,Optional,0,\"1\"",
        "NetworkAddress,Optional,0,\"0\"\r\nHKR,Ndi\\params\\NetworkAddress,Default,0,\"x\"",
        "NetworkAddress,Type",
    ),
    bad(
        "INF-L18",
        M,
        "NetworkAddress,LimitText,0,\"12\"",
        "NetworkAddress,LimitText,0,\"6\"",
        "NetworkAddress,LimitText",
    ),
    bad(
        "INF-L18",
        M,
        "VlanID,Max,0,\"4094\"",
        "VlanID,Max,0,\"4095\"",
        "VlanID,Max",
    ),
    bad("INF-L12", M, "= 0xa9", "= 0x29", "Characteristics"),
    bad(
        "INF-L14",
        M,
        "*IfType            = 6",
        "*IfType            = 0",
        "*IfType",
    ),
    bad("INF-L14", M, "*MediaType         = 0\r\n", "", "[StoreX64]"),
    bad(
        "INF-L15",
        M,
        "HKR,,TypesSupported",
        "HKLM,,TypesSupported",
        "HKLM",
    ),
    bad("INF-L15", P, "HelpText,0,", "HelpText,3,", "HelpText"),
];

fn broken(case: &Bad) -> BTreeMap<String, Vec<u8>> {
    let mut files = files("full", FULL, &[Arch::X64]);
    let contents = files.get_mut(case.file).unwrap();
    let mut text = String::from_utf8(contents.clone()).unwrap();
    for (from, to) in case.from.split('|').zip(case.to.split('|')) {
        assert!(text.contains(from), "{from} is not in {}", case.file);
        // A name that a file uses in several places changes in all of them, so that
        // nothing but the rule at hand is broken.
        let everywhere = ["NTamd64", "Files.amd64", "25341", "RustIM"].contains(&from);
        text = text.replacen(from, to, if everywhere { usize::MAX } else { 1 });
    }
    *contents = text.into_bytes();
    match case.rule {
        "INF-L4" => drop(files.remove("x64/imfull_notify.dll")),
        "PTR-3" => {
            let mut other = DriverData::parse(FULL).unwrap();
            other.protocol.service = "ImOther".to_owned();
            files.insert("x64/full.sys".to_owned(), image(0x8664, &other));
        }
        "INF-L5" => drop(files.insert("x64/stray.dll".to_owned(), Vec::new())),
        _ => {}
    }
    files
}

#[test]
fn each_bad_package_breaks_its_rule_and_no_other() {
    let mut wrong = Vec::new();
    for case in BAD {
        let files = broken(case);
        let text = String::from_utf8(files[case.file].clone()).unwrap();
        let found = errors(files);
        let rules: Vec<_> = found.iter().map(|finding| finding.rule).collect();
        let hit = found.iter().any(|finding| {
            let line = text
                .lines()
                .nth(finding.line.wrapping_sub(1))
                .unwrap_or_default();
            finding.rule == case.rule && line.contains(case.at)
        });
        if rules.is_empty() || rules.iter().any(|rule| *rule != case.rule) || !hit {
            wrong.push(format!(
                "{} {:?} -> {:?}: {found:#?}",
                case.rule, case.from, case.to
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases: {}",
        wrong.len(),
        BAD.len(),
        wrong.join("\n")
    );
}

/// Every id that the rules' source reports has a bad package above.
#[test]
fn every_rule_has_a_bad_package() {
    let sources = [
        include_str!("../rules/declarative.rs"),
        include_str!("../rules/files.rs"),
        include_str!("../rules/network.rs"),
        include_str!("../rules/parameters.rs"),
        include_str!("../rules/sections.rs"),
        include_str!("../rules/services.rs"),
        include_str!("../rules/version.rs"),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for source in sources {
        for start in ["\"INF-", "\"IV-"] {
            let found = source
                .match_indices(start)
                .filter_map(|(at, _)| source[at + 1..].split('"').next());
            ids.extend(found);
        }
    }
    assert!(ids.len() >= 20, "{ids:?}");
    for id in ids {
        assert!(
            BAD.iter().any(|case| case.rule == id),
            "no bad package for {id}"
        );
    }
}

/// Faults of the whole, which no change of one file makes.
#[test]
fn a_package_has_one_protocol_and_one_miniport() {
    let mut without = files("full", FULL, &[Arch::X64]);
    without.remove(M);
    let rules: Vec<_> = errors(without)
        .into_iter()
        .map(|finding| finding.rule)
        .collect();
    assert_eq!(rules, ["INF-1", "INF-8", "INF-8"]);
    let mut two = files("full", FULL, &[Arch::X64]);
    let copy = two[M].clone();
    two.insert("again.inf".to_owned(), copy);
    assert!(
        errors(two)
            .iter()
            .any(|finding| finding.rule == "INF-1" && finding.file.is_empty())
    );
}

/// Each architecture has both ways to be installed.
#[test]
fn a_way_that_one_architecture_lacks_is_found() {
    let mut files = files("full", FULL, &[Arch::X64, Arch::Arm64]);
    let text = String::from_utf8(files[P].clone()).unwrap();
    let section = "[Models.NTarm64]\r\n%Protocol% = System,RustIM_Full\r\n";
    let less = text
        .replace("25341,NTarm64\r\n", "25341\r\n")
        .replace(section, "");
    assert_eq!(text.len() - less.len(), section.len() + ",NTarm64".len());
    files.insert(P.to_owned(), less.into_bytes());
    let found = errors(files);
    assert!(
        found
            .iter()
            .any(|f| f.rule == "INF-9" && f.message.contains("arm64 without one")),
        "{found:#?}"
    );
}

#[test]
fn an_image_for_another_machine_is_found() {
    let mut files = files("full", FULL, &[Arch::X64]);
    files.insert(
        "x64/full.sys".to_owned(),
        image(0xAA64, &DriverData::parse(FULL).unwrap()),
    );
    let found = errors(files);
    assert!(
        !found.is_empty() && found.iter().all(|finding| finding.rule == "INF-L13"),
        "{found:#?}"
    );
}

#[test]
fn notes_of_a_fault_name_it_once() {
    let mut files = files("full", FULL, &[Arch::X64]);
    let text = String::from_utf8(files[M].clone())
        .unwrap()
        .replace("\"nolower\"", "\"ethernet\"");
    files.insert(M.to_owned(), text.into_bytes());
    // Both install sections add the section with the fault; it is one finding.
    assert_eq!(errors(files).len(), 1);
}

/// Any text at all gives findings, not a panic.
#[test]
fn no_text_upsets_the_linter() {
    let good = files("full", FULL, &[Arch::X64]);
    let contents = good[M].clone();
    for cut in (0..contents.len() - 2).step_by(29) {
        let mut files = good.clone();
        files.insert(M.to_owned(), contents[..cut].to_vec());
        assert!(!errors(files).is_empty(), "cut at {cut}");
    }
    for at in (0..contents.len()).step_by(23) {
        let mut files = good.clone();
        let mut bytes = contents.clone();
        bytes[at] = b"\0%\"\\,=[];\xFF"[at % 10];
        files.insert(M.to_owned(), bytes);
        let _ = errors(files);
    }
}

/// What the rule table calls the linter's has a bad INF here.
#[test]
fn every_rule_that_is_the_linters_has_a_bad_inf() {
    #[derive(serde::Deserialize)]
    struct States {
        linter: std::collections::BTreeMap<String, Vec<String>>,
    }
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/lab-host/rules/states"
    );
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let states: States = toml::from_str(&text).unwrap();
        for (id, by) in &states.linter {
            for rule in by {
                let tried = BAD.iter().any(|bad| bad.rule == rule);
                assert!(
                    tried,
                    "{id} is said to be {rule}'s, which no bad INF breaks"
                );
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "{seen} rules");
}
