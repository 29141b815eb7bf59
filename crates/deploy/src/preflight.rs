//! Whether a machine is fit for a package: facts that `far/preflight.ps1` reads there, and
//! the judgement, which is made here.

use serde::{Deserialize, Serialize};

use Severity::{Error, Note};

use crate::package::Package;
use crate::plan::Plan;

/// What a machine is like.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Windows' build number.
    pub build: u32,
    /// `AMD64`, `ARM64` or `x86`.
    pub architecture: String,
    /// The account has an administrator's token.
    pub administrator: bool,
    /// Test signing is on.
    pub test_signing: bool,
    /// Secure Boot is on.
    pub secure_boot: bool,
    /// Memory integrity (HVCI) is on.
    pub memory_integrity: bool,
    /// Free bytes of the system's drive.
    pub free_bytes: u64,
    /// Who waits for a restart.
    pub pending_restart: Vec<String>,
    /// The protocol's service is there.
    pub installed: bool,
    /// A deployment of this package was confirmed there.
    pub deployed: bool,
    /// Network adapters, hidden ones left out.
    pub adapters: Vec<Adapter>,
}

/// A network adapter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Adapter {
    /// What people see.
    pub name: String,
    /// The device's description.
    pub description: String,
    /// Interface GUID.
    pub guid: String,
    /// Permanent MAC address.
    pub mac: String,
    /// `pci:0:3.0`, or nothing.
    pub location: String,
    /// `NDIS_PHYSICAL_MEDIUM`.
    pub medium: i32,
    /// Component id.
    pub component: String,
    /// It has a link.
    pub up: bool,
    /// The connection that asked comes through it.
    pub connection: bool,
    /// What is bound to it.
    pub bindings: Vec<Binding>,
}

/// A binding.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Binding {
    /// Component id.
    pub component: String,
    /// In use.
    pub enabled: bool,
}

impl Adapter {
    /// Whether a plan's text names it: GUID, MAC address or location.
    pub fn is(&self, text: &str) -> bool {
        let mac = |m: &str| m.replace(':', "-").to_ascii_uppercase();
        text.eq_ignore_ascii_case(&self.guid)
            || (!self.mac.is_empty() && mac(text) == mac(&self.mac))
            || (!self.location.is_empty() && text.eq_ignore_ascii_case(&self.location))
    }

    /// `NdisPhysicalMediumNative802_11` and `NdisPhysicalMediumWirelessLan`.
    fn is_wifi(&self) -> bool {
        matches!(self.medium, 1 | 9)
    }

    /// Hyper-V's: a host's virtual adapter, or one that a virtual switch has taken.
    fn is_hyper_v(&self) -> bool {
        self.component.eq_ignore_ascii_case("vms_mp")
            || self
                .bindings
                .iter()
                .any(|b| b.enabled && b.component.eq_ignore_ascii_case("vms_pp"))
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is begun.
    Error,
    /// Worth knowing.
    Note,
}

/// What is in the way, and how to change it.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A name for it; those of the plan's `accept` are the notify object's own.
    pub code: &'static str,
    /// What is the matter.
    pub text: String,
    /// The command, or what to do.
    pub remedy: String,
}

/// The oldest Windows that the drivers are for: 10 version 2004, Server 2022.
pub const OLDEST_BUILD: u32 = 19_041;

/// Judges a machine; the order is that in which a person would change things.
pub fn judge(facts: &Facts, package: &Package, plan: Option<&Plan>, restart: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |severity, code, text: String, remedy: &str| {
        found.push(Finding {
            severity,
            code,
            text,
            remedy: remedy.to_owned(),
        });
    };
    if !facts.administrator {
        add(
            Error,
            "administrator",
            "the account is no administrator of the machine".to_owned(),
            "net localgroup Administrators <account> /add, on the machine; then connect again",
        );
    }
    if facts.build < OLDEST_BUILD {
        add(
            Error,
            "build",
            format!("Windows build {} is older than {OLDEST_BUILD}", facts.build),
            "Windows 10 version 2004, Windows Server 2022 or later",
        );
    }
    let arch = match facts.architecture.to_ascii_uppercase().as_str() {
        "AMD64" => "x64",
        "ARM64" => "arm64",
        _ => "none",
    };
    if !package.architectures.iter().any(|a| a == arch) {
        add(
            Error,
            "architecture",
            format!(
                "the machine is {}, the package is for {}",
                facts.architecture,
                package.architectures.join(", ")
            ),
            &match arch {
                "none" => "there are packages for x64 and arm64 only".to_owned(),
                arch => format!(
                    "cargo xtask package {} --arch {arch} --sign test",
                    package.driver
                ),
            },
        );
    }
    let library = format!("{arch}/{}_notify.dll", package.driver);
    if arch != "none"
        && package.architectures.iter().any(|a| a == arch)
        && !package.files.contains(&library)
    {
        add(
            Error,
            "notify-object",
            format!("the package has no {library}, without which no virtual adapter is made"),
            "make the package again with this version of the workspace",
        );
    }
    if package.signing.is_none() {
        add(
            Error,
            "unsigned",
            "the package is not signed; Windows takes no unsigned driver".to_owned(),
            &format!("cargo xtask package {} --sign test", package.driver),
        );
    } else if facts.secure_boot {
        add(
            Error,
            "secure-boot",
            "Secure Boot is on: Windows loads only what Microsoft signed, and test signing cannot be turned on".to_owned(),
            "turn Secure Boot off in the firmware (a virtual machine: in its settings), then bcdedit /set testsigning on",
        );
    } else if !facts.test_signing {
        add(
            Error,
            "test-signing",
            "test signing is off: the driver would not load".to_owned(),
            "bcdedit /set testsigning on, then shutdown /r /t 0",
        );
    }
    if facts.memory_integrity {
        add(
            Note,
            "memory-integrity",
            "memory integrity is on; the drivers have not been tried with it".to_owned(),
            r"if the driver does not start: reg add HKLM\SYSTEM\CurrentControlSet\Control\DeviceGuard\Scenarios\HypervisorEnforcedCodeIntegrity /v Enabled /t REG_DWORD /d 0 /f, then restart",
        );
    }
    let needed = package.size * 4 + (64 << 20);
    if facts.free_bytes < needed {
        add(
            Error,
            "space",
            format!(
                "{} MiB are free, {} are needed",
                facts.free_bytes >> 20,
                needed >> 20
            ),
            "cleanmgr /d C:",
        );
    }
    if !facts.pending_restart.is_empty() {
        add(
            if restart { Note } else { Error },
            "restart",
            format!("a restart is pending: {}", facts.pending_restart.join(", ")),
            "shutdown /r /t 0, or deploy with --restart",
        );
    }
    if facts.deployed {
        add(
            Note,
            "again",
            "the package is there already and will be replaced; the first backup is kept"
                .to_owned(),
            "",
        );
    } else if facts.installed {
        add(
            Error,
            "foreign",
            "the protocol was installed by other means, so there is no backup of the time before"
                .to_owned(),
            "netcfg -u <component>, then pnputil /delete-driver oemNN.inf /uninstall, and deploy again",
        );
    }
    if let Some(plan) = plan {
        judge_plan(facts, plan, &mut add);
    }
    found
}

fn judge_plan(
    facts: &Facts,
    plan: &Plan,
    add: &mut impl FnMut(Severity, &'static str, String, &str),
) {
    for named in plan.adapters() {
        let Some(adapter) = facts.adapters.iter().find(|a| a.is(named)) else {
            let there: Vec<_> = facts
                .adapters
                .iter()
                .map(|a| format!("{} {} {} ({})", a.guid, a.mac, a.location, a.name))
                .collect();
            add(
                Error,
                "adapter",
                format!("the plan names {named}, which the machine lacks"),
                &format!("name one of these: {}", there.join("; ")),
            );
            continue;
        };
        let mut refuse = |code: &'static str, text: String, remedy: &str| {
            // Nothing helps against Wi-Fi, so no plan can accept it.
            let accepted = code != "wifi" && plan.accepts(code);
            let severity = if accepted { Note } else { Error };
            add(severity, code, text, remedy);
        };
        if adapter.is_wifi() {
            refuse(
                "wifi",
                format!(
                    "{} is a Wi-Fi adapter, which passes frames of its own station only",
                    adapter.name
                ),
                "name a wired adapter in the plan",
            );
        }
        if adapter.is_hyper_v() {
            refuse(
                "hyper-v",
                format!("{} belongs to a Hyper-V switch", adapter.name),
                "Remove-VMSwitch, or name another adapter in the plan",
            );
        }
        let others = facts
            .adapters
            .iter()
            .filter(|a| a.up && a.guid != adapter.guid);
        if others.count() == 0 {
            refuse(
                "only-adapter",
                format!(
                    "{} is the machine's only adapter: with a bad driver it is cut off until the watchdog acts",
                    adapter.name
                ),
                r#"have a console at hand and put "accept": ["only-adapter"] into the plan"#,
            );
        }
        if adapter.connection {
            add(
                Note,
                "connection",
                format!(
                    "this connection comes through {}; it will break and come back, the work goes on meanwhile",
                    adapter.name
                ),
                "",
            );
        }
    }
}
