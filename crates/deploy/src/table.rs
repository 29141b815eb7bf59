//! The one table of steps. The scripts of a package, `--dry-run` and the list in
//! `docs/deploy.md` are made from it, so none of them can say anything else.
//!
//! A command is one line for `cmd.exe`. Names between percent signs are variables of the
//! far side's environment: `IM_WORK` (the folder of the deployment), `IM_PACKAGE` (the
//! package's copy in it), `IM_FROM` (where the package was put), `IM_DLL` (the notify
//! object of the machine's architecture in that copy), and those of the list that a step
//! runs for. `@driver@` and its like are known when the scripts are made.

/// What a step runs over: its command runs once for each entry, with the entry's variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Root certificates of the package that the machine lacks: `IM_CERT`, `IM_THUMBPRINT`.
    Roots,
    /// Publishers' certificates of the package that the machine lacks: the same.
    Publishers,
    /// Root certificates that were put there and that no other package of ours needs.
    AddedRoots,
    /// Publishers' certificates, likewise.
    AddedPublishers,
    /// Published names of this driver's INFs in the driver store: `IM_OEM`.
    Published,
    /// Virtual miniports that the plan made: `IM_GUID`.
    Miniports,
    /// Static addresses to carry over: `IM_FAMILY`, `IM_INDEX`, `IM_ADDRESS`.
    Addresses,
    /// Static routes: `IM_FAMILY`, `IM_INDEX`, `IM_PREFIX`, `IM_NEXTHOP`, `IM_METRIC`.
    Routes,
    /// Static name servers: `IM_FAMILY`, `IM_INDEX`, `IM_SERVER`.
    NameServers,
    /// Gateways to ping through the miniports: `IM_GATEWAY`.
    Gateways,
    /// Registry keys of miniports that are gone: `IM_KEY`.
    LeftKeys,
}

impl List {
    /// The name that the scripts use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roots => "roots",
            Self::Publishers => "publishers",
            Self::AddedRoots => "added-roots",
            Self::AddedPublishers => "added-publishers",
            Self::Published => "published",
            Self::Miniports => "miniports",
            Self::Addresses => "addresses",
            Self::Routes => "routes",
            Self::NameServers => "name-servers",
            Self::Gateways => "gateways",
            Self::LeftKeys => "left-keys",
        }
    }
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its name, in messages and journals.
    pub id: &'static str,
    /// What it is for.
    pub what: &'static str,
    /// The command.
    pub run: &'static str,
    /// Exit codes that are no failure.
    pub accept: &'static [i32],
    /// Those of them that ask for a restart.
    pub restart: &'static [i32],
    /// A JSON file that the command has to leave, and what its `result` may be.
    pub answer: Option<(&'static str, &'static [&'static str])>,
    /// Runs once for each entry.
    pub each: Option<List>,
    /// Runs only if this path (of a file or in the registry) is there.
    pub when: Option<&'static str>,
    /// Runs only if this path is not there.
    pub unless: Option<&'static str>,
    /// Seconds during which a failure is tried again.
    pub retry: u32,
    /// The command that takes it back.
    pub undo: Option<&'static str>,
    /// The undo runs once for each entry of this list.
    pub undo_each: Option<List>,
    /// The page of Microsoft's documentation about the command.
    pub page: &'static str,
    /// What a failure means, and what to look at.
    pub failure: &'static str,
}

const NONE: Step = Step {
    id: "",
    what: "",
    run: "",
    accept: &[0],
    restart: &[],
    answer: None,
    each: None,
    when: None,
    unless: None,
    retry: 0,
    undo: None,
    undo_each: None,
    page: "",
    failure: "",
};

/// Where a script's steps belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Over the connection: put the package in place, start the task.
    Begin,
    /// By the task: everything that changes the machine.
    Deploy,
    /// Over the connection: start the task that removes.
    BeginRemoval,
    /// By the task: remove all of it.
    Remove,
    /// After a removal and after a rollback: compare with the backup.
    Compare,
    /// Over the connection, at the very end: leave nothing.
    Finish,
}

impl Phase {
    /// All, in the order of a machine's day.
    pub const ALL: [Self; 6] = [
        Self::Begin,
        Self::Deploy,
        Self::BeginRemoval,
        Self::Remove,
        Self::Compare,
        Self::Finish,
    ];

    /// Its steps.
    pub fn steps(self) -> &'static [Step] {
        match self {
            Self::Begin => BEGIN,
            Self::Deploy => DEPLOY,
            Self::BeginRemoval => BEGIN_REMOVAL,
            Self::Remove => REMOVE,
            Self::Compare => COMPARE,
            Self::Finish => FINISH,
        }
    }

    /// What a person calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Begin => "install.ps1, over the connection",
            Self::Deploy => "far/deploy.ps1, by the task",
            Self::BeginRemoval => "uninstall.ps1, over the connection",
            Self::Remove => "far/remove.ps1, by the task",
            Self::Compare => "far/compare.ps1, after a removal or a rollback",
            Self::Finish => "far/finish.ps1, over the connection",
        }
    }
}

const SCHTASKS: &str =
    "https://learn.microsoft.com/windows-server/administration/windows-commands/schtasks";
const NETCFG: &str =
    "https://learn.microsoft.com/windows-server/administration/windows-commands/netcfg";
const CERTUTIL: &str =
    "https://learn.microsoft.com/windows-server/administration/windows-commands/certutil";
const PNPUTIL: &str =
    "https://learn.microsoft.com/windows-hardware/drivers/devtest/pnputil-command-syntax";
const REG_QUERY: &str =
    "https://learn.microsoft.com/windows-server/administration/windows-commands/reg-query";
const REG_DELETE: &str =
    "https://learn.microsoft.com/windows-server/administration/windows-commands/reg-delete";
const RUNDLL32: &str =
    "https://learn.microsoft.com/windows-server/administration/windows-commands/rundll32";
const NETSH: &str =
    "https://learn.microsoft.com/windows-server/administration/windows-commands/netsh-interface";
const XCOPY: &str =
    "https://learn.microsoft.com/windows-server/administration/windows-commands/xcopy";
const FC: &str = "https://learn.microsoft.com/windows-server/administration/windows-commands/fc";
const POWERSHELL: &str = "https://learn.microsoft.com/powershell/module/microsoft.powershell.core/about/about_powershell_exe";
const GET_NET_ADAPTER: &str =
    "https://learn.microsoft.com/powershell/module/netadapter/get-netadapter";

const TASK_FAILED: &str = "The task scheduler refused: is the account an administrator, does \
                           the service Schedule run?";
const SNAPSHOT_FAILED: &str =
    "The state before could not be written down, so nothing was changed: disk full, no rights?";

const BEGIN: &[Step] = &[
    Step {
        id: "keep-previous",
        what: "keep the package that is installed, to go back to it",
        run: r#"move /y "%IM_PACKAGE%" "%IM_WORK%\previous""#,
        when: Some(r"%IM_WORK%\installed.txt"),
        undo: Some(r#"move /y "%IM_WORK%\previous" "%IM_PACKAGE%""#),
        page: "https://learn.microsoft.com/windows-server/administration/windows-commands/move",
        failure: "A file of the installed package is open.",
        ..NONE
    },
    Step {
        id: "copy-package",
        what: "put the package where only administrators can write",
        run: r#"xcopy.exe "%IM_FROM%" "%IM_PACKAGE%" /E /I /Q /Y"#,
        undo: Some(r#"rmdir /s /q "%IM_PACKAGE%""#),
        page: XCOPY,
        failure: "Disk full, or the account is not an administrator.",
        ..NONE
    },
    Step {
        id: "copy-plan",
        what: "the plan, with the confirmation left to the task",
        run: r#"powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "%IM_FROM%\far\plan.ps1" "%IM_PLAN%" "%IM_PACKAGE%\plan.json""#,
        when: Some("%IM_PLAN%"),
        page: POWERSHELL,
        failure: "The plan is no JSON, or for another driver.",
        ..NONE
    },
    Step {
        id: "create-watchdog",
        what: "a task that rolls back after a crash or a restart in the middle",
        run: r#"schtasks.exe /create /tn "RustIM\@driver@-watchdog" /xml "%IM_PACKAGE%\far\watchdog.xml" /f"#,
        undo: Some(r#"schtasks.exe /delete /tn "RustIM\@driver@-watchdog" /f"#),
        page: SCHTASKS,
        failure: TASK_FAILED,
        ..NONE
    },
    Step {
        id: "create-task",
        what: "the task that does the work, of SYSTEM, which outlives the connection",
        run: r#"schtasks.exe /create /tn "RustIM\@driver@-deploy" /xml "%IM_PACKAGE%\far\deploy.xml" /f"#,
        undo: Some(r#"schtasks.exe /delete /tn "RustIM\@driver@-deploy" /f"#),
        page: SCHTASKS,
        failure: TASK_FAILED,
        ..NONE
    },
    Step {
        id: "run-watchdog",
        what: "the watchdog first, so that nothing ever runs without it",
        run: r#"schtasks.exe /run /tn "RustIM\@driver@-watchdog""#,
        undo: Some(r#"schtasks.exe /end /tn "RustIM\@driver@-watchdog""#),
        page: SCHTASKS,
        failure: TASK_FAILED,
        ..NONE
    },
    Step {
        id: "run-task",
        what: "start the work",
        run: r#"schtasks.exe /run /tn "RustIM\@driver@-deploy""#,
        page: SCHTASKS,
        failure: TASK_FAILED,
        ..NONE
    },
];

/// What is written down before and after, each by one command that prints lines in no
/// language. `@when@` is `before` or `after`.
macro_rules! snapshots {
    ($when:literal, $unless:expr) => {
        [
            Step {
                id: concat!("bindings-", $when),
                what: "bindings of the network configuration",
                run: concat!(r#"start "" /wait rundll32.exe %IM_DLL%,State - %IM_WORK%\"#, $when, r"\state.json"),
                answer: Some((concat!(r"%IM_WORK%\", $when, r"\state.json"), &["state"])),
                unless: $unless,
                page: RUNDLL32,
                failure: "The notify object could not be loaded or could not read the network configuration: does another program hold its lock?",
                ..NONE
            },
            Step {
                id: concat!("services-", $when),
                what: "services",
                run: concat!(r#"reg.exe query HKLM\SYSTEM\CurrentControlSet\Services > "%IM_WORK%\"#, $when, r#"\services.txt""#),
                unless: $unless,
                page: REG_QUERY,
                failure: SNAPSHOT_FAILED,
                ..NONE
            },
            Step {
                id: concat!("infs-", $when),
                what: "INFs in the driver store",
                run: concat!(r#"dir /b /o:n "%SystemRoot%\INF\oem*.inf" > "%IM_WORK%\"#, $when, r#"\infs.txt""#),
                accept: &[0, 1],
                unless: $unless,
                page: "https://learn.microsoft.com/windows-server/administration/windows-commands/dir",
                failure: SNAPSHOT_FAILED,
                ..NONE
            },
            Step {
                id: concat!("devices-", $when),
                what: "network devices",
                run: concat!(r#"reg.exe query "HKLM\SYSTEM\CurrentControlSet\Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}" /s /v NetCfgInstanceId > "%IM_WORK%\"#, $when, r#"\devices.txt""#),
                accept: &[0, 1],
                unless: $unless,
                page: REG_QUERY,
                failure: SNAPSHOT_FAILED,
                ..NONE
            },
            Step {
                id: concat!("connections-", $when),
                what: "network connections",
                run: concat!(r#"reg.exe query "HKLM\SYSTEM\CurrentControlSet\Control\Network\{4D36E972-E325-11CE-BFC1-08002BE10318}" > "%IM_WORK%\"#, $when, r#"\connections.txt""#),
                unless: $unless,
                page: REG_QUERY,
                failure: SNAPSHOT_FAILED,
                ..NONE
            },
            Step {
                undo: Some(r#"reg.exe delete "%IM_KEY%" /f"#),
                undo_each: Some(List::LeftKeys),
                id: concat!("interfaces-", $when),
                what: "settings of TCP/IP",
                run: concat!(r#"reg.exe query HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\Interfaces > "%IM_WORK%\"#, $when, r#"\interfaces.txt""#),
                unless: $unless,
                page: REG_QUERY,
                failure: SNAPSHOT_FAILED,
                ..NONE
            },
            Step {
                id: concat!("roots-", $when),
                what: "trusted roots of the machine",
                run: concat!(r#"reg.exe query HKLM\SOFTWARE\Microsoft\SystemCertificates\ROOT\Certificates > "%IM_WORK%\"#, $when, r#"\roots.txt""#),
                accept: &[0, 1],
                unless: $unless,
                page: REG_QUERY,
                failure: SNAPSHOT_FAILED,
                ..NONE
            },
            Step {
                id: concat!("publishers-", $when),
                what: "trusted publishers of the machine",
                run: concat!(r#"reg.exe query HKLM\SOFTWARE\Microsoft\SystemCertificates\TrustedPublisher\Certificates > "%IM_WORK%\"#, $when, r#"\publishers.txt""#),
                accept: &[0, 1],
                unless: $unless,
                page: REG_QUERY,
                failure: SNAPSHOT_FAILED,
                ..NONE
            },
        ]
    };
}

/// The files that a comparison reads, without `state.json`, which the notify object compares.
pub const COMPARED: [&str; 7] = [
    "services",
    "infs",
    "devices",
    "connections",
    "interfaces",
    "roots",
    "publishers",
];

const BEFORE: [Step; 8] = snapshots!("before", Some(r"%IM_WORK%\installed.txt"));
const AFTER: [Step; 8] = snapshots!("after", None);

const DEPLOY: &[Step] = &{
    let [a, b, c, d, e, f, g, h] = BEFORE;
    [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        Step {
            id: "ip-before",
            what: "addresses, routes and name servers, as they were set by hand",
            run: r#"powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "%IM_PACKAGE%\far\ip.ps1" "%IM_WORK%\before\ip.json""#,
            answer: Some((r"%IM_WORK%\before\ip.json", &["state"])),
            unless: Some(r"%IM_WORK%\installed.txt"),
            page: "https://learn.microsoft.com/powershell/module/nettcpip/get-netipaddress",
            failure: SNAPSHOT_FAILED,
            ..NONE
        },
        Step {
            id: "backup-complete",
            what: "mark that all of it was written down; nothing has changed so far",
            run: r#"type nul > "%IM_WORK%\before\complete.txt""#,
            page: "https://learn.microsoft.com/windows-server/administration/windows-commands/type",
            failure: SNAPSHOT_FAILED,
            ..NONE
        },
        Step {
            id: "remove-previous",
            what: "take the package away that was there",
            run: r#"powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "%IM_WORK%\previous\far\remove.ps1" -Nested"#,
            when: Some(r"%IM_WORK%\previous"),
            undo: Some(
                r#"powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "%IM_WORK%\previous\far\deploy.ps1" -Nested"#,
            ),
            page: POWERSHELL,
            failure: "The installed package does not let itself be removed; its own log says why.",
            ..NONE
        },
        Step {
            id: "trust-root",
            what: "trust the root that the package is signed under",
            run: r#"certutil.exe -f -addstore Root "%IM_CERT%""#,
            each: Some(List::Roots),
            undo: Some("certutil.exe -delstore Root %IM_THUMBPRINT%"),
            undo_each: Some(List::AddedRoots),
            page: CERTUTIL,
            failure: "The certificate is damaged, or a policy forbids new roots.",
            ..NONE
        },
        Step {
            id: "trust-publisher",
            what: "trust the publisher, so that nobody has to click",
            run: r#"certutil.exe -f -addstore TrustedPublisher "%IM_CERT%""#,
            each: Some(List::Publishers),
            undo: Some("certutil.exe -delstore TrustedPublisher %IM_THUMBPRINT%"),
            undo_each: Some(List::AddedPublishers),
            page: CERTUTIL,
            failure: "The certificate is damaged, or a policy forbids new publishers.",
            ..NONE
        },
        Step {
            id: "stage-miniport",
            what: "the virtual miniport's INF into the driver store",
            run: r#"pnputil.exe /add-driver "%IM_PACKAGE%\@driver@_mp.inf""#,
            accept: &[0, 259, 3010],
            restart: &[3010],
            undo: Some("pnputil.exe /delete-driver %IM_OEM% /uninstall /force"),
            undo_each: Some(List::Published),
            page: PNPUTIL,
            failure: r"Mostly the signature: C:\Windows\INF\setupapi.dev.log has the reason.",
            ..NONE
        },
        Step {
            id: "stage-protocol",
            what: "the protocol's INF into the driver store",
            run: r#"pnputil.exe /add-driver "%IM_PACKAGE%\@driver@.inf""#,
            accept: &[0, 259, 3010],
            restart: &[3010],
            undo: Some("pnputil.exe /delete-driver %IM_OEM% /uninstall /force"),
            undo_each: Some(List::Published),
            page: PNPUTIL,
            failure: r"Mostly the signature: C:\Windows\INF\setupapi.dev.log has the reason.",
            ..NONE
        },
        Step {
            id: "install-protocol",
            what: "the protocol into the network configuration (pnputil only stages)",
            run: r#"netcfg.exe -v -l "%IM_PACKAGE%\@driver@.inf" -c p -i @component@"#,
            accept: &[0, 303_136],
            restart: &[303_136],
            undo: Some("netcfg.exe -v -u @component@"),
            page: NETCFG,
            failure: r"The INF, the notify object or the network configuration's lock: setupapi.dev.log and the log beside this script.",
            ..NONE
        },
        Step {
            id: "apply-plan",
            what: "make the virtual miniports and move the bindings, as the plan says",
            run: r#"start "" /wait rundll32.exe %IM_DLL%,Apply %IM_PACKAGE%\plan.json %IM_PACKAGE%\applied.json"#,
            answer: Some((r"%IM_PACKAGE%\applied.json", &["confirmed", "unchanged"])),
            when: Some(r"%IM_PACKAGE%\plan.json"),
            undo: Some(
                r#"start "" /wait rundll32.exe %IM_DLL%,Restore %IM_WORK%\before\state.json %IM_PACKAGE%\restored.json"#,
            ),
            page: RUNDLL32,
            failure: "The answer's `reasons` say what was refused or failed; the notify object has taken back what it had done.",
            ..NONE
        },
        Step {
            id: "carry-address",
            what: "static addresses, on the miniport that replaces the adapter",
            run: "netsh.exe interface %IM_FAMILY% add address %IM_INDEX% %IM_ADDRESS%",
            each: Some(List::Addresses),
            retry: 30,
            page: NETSH,
            failure: "TCP/IP is not bound to the miniport yet, or the address is in use.",
            ..NONE
        },
        Step {
            id: "carry-route",
            what: "static routes and gateways",
            run: "netsh.exe interface %IM_FAMILY% add route %IM_PREFIX% %IM_INDEX% %IM_NEXTHOP% metric=%IM_METRIC% store=persistent",
            each: Some(List::Routes),
            page: NETSH,
            failure: "The next hop is not on a network of the carried addresses.",
            ..NONE
        },
        Step {
            id: "carry-name-server",
            what: "static name servers",
            run: "netsh.exe interface %IM_FAMILY% add dnsservers %IM_INDEX% %IM_SERVER% validate=no",
            each: Some(List::NameServers),
            page: NETSH,
            failure: "The miniport has no TCP/IP.",
            ..NONE
        },
        Step {
            id: "wait-up",
            what: "wait until the miniport is up",
            run: r#"powershell.exe -NoProfile -NonInteractive -Command "if ((Get-NetAdapter -IncludeHidden | Where-Object InterfaceGuid -eq '%IM_GUID%').Status -ne 'Up') { exit 1 }""#,
            each: Some(List::Miniports),
            retry: 60,
            page: GET_NET_ADAPTER,
            failure: "The driver did not start (event log, test signing) or the adapter below has no link.",
            ..NONE
        },
        Step {
            id: "smoke-driver",
            what: "the driver is loaded",
            run: r#"powershell.exe -NoProfile -NonInteractive -Command "if ((Get-CimInstance Win32_SystemDriver -Filter 'Name=''@miniport-service@''').State -ne 'Running') { exit 1 }""#,
            when: Some(r"%IM_PACKAGE%\plan.json"),
            retry: 30,
            page: "https://learn.microsoft.com/windows/win32/cimwin32prov/win32-systemdriver",
            failure: "The image was refused: test signing off, or memory integrity.",
            ..NONE
        },
        Step {
            id: "smoke-device",
            what: "the control device answers: every miniport and binding runs, nothing was lost",
            run: r#"start "" /wait rundll32.exe %IM_DLL%,Device - %IM_PACKAGE%\device.json"#,
            answer: Some((r"%IM_PACKAGE%\device.json", &["running"])),
            when: Some(r"%IM_PACKAGE%\plan.json"),
            retry: 30,
            page: RUNDLL32,
            failure: "The answer's `faults` say what does not run; `device` has states, counters and drops of each port.",
            ..NONE
        },
        Step {
            id: "smoke-ping",
            what: "the gateway answers through the miniport",
            run: "ping.exe -n 3 -w 1000 %IM_GATEWAY%",
            each: Some(List::Gateways),
            retry: 60,
            page: "https://learn.microsoft.com/windows-server/administration/windows-commands/ping",
            failure: "Frames do not pass, or the gateway answers no ping.",
            ..NONE
        },
    ]
};

const BEGIN_REMOVAL: &[Step] = &[
    Step {
        id: "create-removal",
        what: "the task that removes, of SYSTEM, which outlives the connection",
        run: r#"schtasks.exe /create /tn "RustIM\@driver@-remove" /xml "%IM_PACKAGE%\far\remove.xml" /f"#,
        undo: Some(r#"schtasks.exe /delete /tn "RustIM\@driver@-remove" /f"#),
        page: SCHTASKS,
        failure: TASK_FAILED,
        ..NONE
    },
    Step {
        id: "run-removal",
        what: "start the removal",
        run: r#"schtasks.exe /run /tn "RustIM\@driver@-remove""#,
        page: SCHTASKS,
        failure: TASK_FAILED,
        ..NONE
    },
];

const REMOVE: &[Step] = &[
    Step {
        id: "restore-bindings",
        what: "take the virtual miniports away and give the adapters their bindings back",
        run: r#"start "" /wait rundll32.exe %IM_DLL%,Restore %IM_WORK%\before\state.json %IM_PACKAGE%\restored.json"#,
        answer: Some((r"%IM_PACKAGE%\restored.json", &["restored", "unchanged"])),
        when: Some(r"%IM_PACKAGE%\applied.json"),
        page: RUNDLL32,
        failure: "Another program holds the network configuration's lock.",
        ..NONE
    },
    Step {
        id: "remove-protocol",
        what: "the protocol out of the network configuration",
        run: "netcfg.exe -v -u @component@",
        accept: &[0, 303_136],
        restart: &[303_136],
        when: Some(r"HKLM:\SYSTEM\CurrentControlSet\Services\@protocol-service@"),
        page: NETCFG,
        failure: "A program holds the network configuration's lock.",
        ..NONE
    },
    Step {
        id: "remove-infs",
        what: "both INFs out of the driver store, with devices that are left",
        run: "pnputil.exe /delete-driver %IM_OEM% /uninstall /force",
        accept: &[0, 3010],
        restart: &[3010],
        each: Some(List::Published),
        page: PNPUTIL,
        failure: "A device still uses the package.",
        ..NONE
    },
    Step {
        id: "remove-keys",
        what: "settings of TCP/IP of miniports that are gone",
        run: r#"reg.exe delete "%IM_KEY%" /f"#,
        each: Some(List::LeftKeys),
        page: REG_DELETE,
        failure: "The key is protected; remove it by hand.",
        ..NONE
    },
    Step {
        id: "distrust-publisher",
        what: "publishers that this package brought and no other of ours needs",
        run: "certutil.exe -delstore TrustedPublisher %IM_THUMBPRINT%",
        each: Some(List::AddedPublishers),
        page: CERTUTIL,
        failure: "The store is read-only by policy.",
        ..NONE
    },
    Step {
        id: "distrust-root",
        what: "roots, likewise",
        run: "certutil.exe -delstore Root %IM_THUMBPRINT%",
        each: Some(List::AddedRoots),
        page: CERTUTIL,
        failure: "The store is read-only by policy.",
        ..NONE
    },
];

/// A comparison of one file; exit code 1 is a difference.
macro_rules! compare {
    ($what:literal) => {
        Step {
            when: Some(r"%IM_WORK%\before\complete.txt"),
            id: concat!("compare-", $what),
            what: concat!($what, " are as they were"),
            run: concat!(r#"fc.exe /l "%IM_WORK%\before\"#, $what, r#".txt" "%IM_WORK%\after\"#, $what, r#".txt""#),
            page: FC,
            failure: "Something of the package is left, or something else has changed meanwhile: the lines say what.",
            ..NONE
        }
    };
}

const COMPARE: &[Step] = &{
    let [a, b, c, d, e, f, g, h] = AFTER;
    [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        Step {
            when: Some(r"%IM_WORK%\before\complete.txt"),
            id: "question-bindings",
            what: "the backup, as the notify object wants it",
            run: r#"(echo {"before": & type "%IM_WORK%\before\state.json" & echo }) > "%IM_WORK%\after\compare.json""#,
            page: "https://learn.microsoft.com/windows-server/administration/windows-commands/type",
            failure: "The backup is not there any more.",
            ..NONE
        },
        Step {
            when: Some(r"%IM_WORK%\before\complete.txt"),
            id: "compare-bindings",
            what: "bindings are as they were",
            run: r#"start "" /wait rundll32.exe %IM_DLL%,Compare %IM_WORK%\after\compare.json %IM_WORK%\after\difference.json"#,
            answer: Some((r"%IM_WORK%\after\difference.json", &["same"])),
            page: RUNDLL32,
            failure: "A binding differs: the answer lists which.",
            ..NONE
        },
        compare!("services"),
        compare!("infs"),
        compare!("devices"),
        compare!("connections"),
        compare!("interfaces"),
        compare!("roots"),
        compare!("publishers"),
    ]
};

/// Deletes one of the driver's tasks; it may be gone already.
macro_rules! delete_task {
    ($id:literal, $task:literal) => {
        Step {
            id: $id,
            what: "the tasks",
            run: concat!(
                r#"schtasks.exe /delete /tn "RustIM\@driver@-"#,
                $task,
                r#"" /f"#
            ),
            accept: &[0, 1],
            page: SCHTASKS,
            failure: TASK_FAILED,
            ..NONE
        }
    };
}

const FINISH: &[Step] = &[
    delete_task!("delete-watchdog", "watchdog"),
    delete_task!("delete-task", "deploy"),
    delete_task!("delete-removal", "remove"),
    Step {
        id: "delete-folder",
        what: "the backup and the package's copy",
        run: r#"rmdir /s /q "%IM_WORK%""#,
        unless: Some(r"%IM_WORK%\installed.txt"),
        page: "https://learn.microsoft.com/windows-server/administration/windows-commands/rmdir",
        failure: "A file of the folder is open.",
        ..NONE
    },
];
