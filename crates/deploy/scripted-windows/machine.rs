//! The machine: what Windows knows of itself, as far as a deployment touches it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A network adapter, real or virtual.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Adapter {
    pub name: String,
    pub guid: String,
    pub mac: String,
    pub location: String,
    pub medium: i32,
    pub component: String,
    pub index: u32,
    /// The time from which it has a link.
    pub up_at: u64,
    /// A virtual miniport of the driver.
    pub own: bool,
    /// The tests' connection comes through it.
    pub connection: bool,
}

/// A binding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Binding {
    pub component: String,
    pub adapter: String,
    pub enabled: bool,
}

/// A scheduled task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// The script that it runs, as a path of Windows.
    pub script: String,
    pub at_start: bool,
    /// Was started and has not come to an end.
    pub running: bool,
    /// Waits for a confirmation until then.
    pub deadline: Option<u64>,
}

/// Everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Virtual seconds.
    pub now: u64,
    pub boot: u64,
    /// Connections so far.
    pub sessions: u32,
    pub build: u32,
    pub architecture: String,
    pub administrator: bool,
    pub test_signing: bool,
    pub secure_boot: bool,
    pub memory_integrity: bool,
    pub free_bytes: u64,
    pub pending_restart: Vec<String>,
    pub adapters: Vec<Adapter>,
    pub bindings: Vec<Binding>,
    pub services: BTreeSet<String>,
    /// Registry keys of TCP/IP's interfaces.
    pub interfaces: BTreeSet<String>,
    /// Thumbprints by store.
    pub stores: BTreeMap<String, BTreeSet<String>>,
    /// Settings of TCP/IP: `ipv4 address 3 10.0.0.5/24`.
    pub settings: BTreeSet<String>,
    pub tasks: BTreeMap<String, Task>,
    /// Every command that was run, as it stood in the script.
    pub commands: Vec<String>,
    /// Interface GUIDs made so far.
    pub made: u32,
}

impl Machine {
    /// A machine with two wired adapters, the first with an address set by hand.
    pub fn new() -> Self {
        let adapter = |n: u32, name: &str, connection| Adapter {
            name: name.to_owned(),
            guid: format!("{{AAAAAAAA-0000-0000-0000-00000000000{n}}}"),
            mac: format!("00-11-22-33-44-0{n}"),
            location: format!("pci:0:{n}.0"),
            medium: 14,
            component: r"pci\ven_8086&dev_100e".to_owned(),
            index: n + 2,
            up_at: 0,
            own: false,
            connection,
        };
        let adapters = vec![
            adapter(1, "Ethernet", true),
            adapter(2, "Ethernet 2", false),
        ];
        let bindings = adapters
            .iter()
            .flat_map(|a| {
                ["ms_tcpip", "ms_server"].map(|component| Binding {
                    component: component.to_owned(),
                    adapter: a.guid.clone(),
                    enabled: true,
                })
            })
            .collect();
        let set = |items: &[&str]| {
            items
                .iter()
                .map(|s| (*s).to_owned())
                .collect::<BTreeSet<_>>()
        };
        Self {
            now: 1000,
            boot: 0,
            sessions: 0,
            build: 26_100,
            architecture: "AMD64".to_owned(),
            administrator: true,
            test_signing: true,
            secure_boot: false,
            memory_integrity: false,
            free_bytes: 50 << 30,
            pending_restart: Vec::new(),
            interfaces: adapters.iter().map(|a| a.guid.clone()).collect(),
            adapters,
            bindings,
            services: set(&["Tcpip", "LanmanServer", "sshd"]),
            stores: BTreeMap::from([
                ("ROOT".to_owned(), set(&["MICROSOFTROOT"])),
                ("TRUSTEDPUBLISHER".to_owned(), BTreeSet::new()),
            ]),
            settings: set(&[
                "ipv4 address 3 10.0.0.5/24",
                "ipv4 route 3 0.0.0.0/0 10.0.0.1 256",
                "ipv4 server 3 10.0.0.53",
            ]),
            tasks: BTreeMap::new(),
            commands: Vec::new(),
            made: 0,
        }
    }

    /// What has to be the same before and after; times and counters are not.
    pub fn essence(&self, disk: &Disk) -> Value {
        let mut bindings = self.bindings.clone();
        bindings.sort();
        json!({
            "adapters": self.adapters.iter().map(|a| &a.guid).collect::<Vec<_>>(),
            "bindings": bindings,
            "services": self.services,
            "interfaces": self.interfaces,
            "stores": self.stores,
            "settings": self.settings,
            "infs": disk.names(r"C:\Windows\INF"),
        })
    }

    /// As the notify object's `State` tells it.
    pub fn state(&self) -> Value {
        let adapters: Vec<_> = self
            .adapters
            .iter()
            .map(|a| json!({ "guid": a.guid, "id": a.component, "name": a.name, "kind": "ethernet", "own": a.own }))
            .collect();
        json!({ "adapters": adapters, "components": [], "bindings": self.bindings })
    }

    /// As `far/preflight.ps1` tells it.
    pub fn facts(&self, disk: &Disk, driver: &str, service: &str) -> Value {
        let adapters: Vec<_> = self
            .adapters
            .iter()
            .map(|a| {
                let bindings: Vec<_> = self
                    .bindings
                    .iter()
                    .filter(|b| b.adapter == a.guid)
                    .map(|b| json!({ "component": b.component, "enabled": b.enabled }))
                    .collect();
                json!({
                    "name": a.name, "description": a.name, "guid": a.guid, "mac": a.mac,
                    "location": a.location, "medium": a.medium, "component": a.component,
                    "up": a.up_at <= self.now, "connection": a.connection, "bindings": bindings,
                })
            })
            .collect();
        json!({
            "build": self.build, "architecture": self.architecture,
            "administrator": self.administrator, "testSigning": self.test_signing,
            "secureBoot": self.secure_boot, "memoryIntegrity": self.memory_integrity,
            "freeBytes": self.free_bytes, "pendingRestart": self.pending_restart,
            "installed": self.services.contains(service),
            "deployed": disk.exists(&format!(r"C:\Windows\RustIM\{driver}\installed.txt")),
            "adapters": adapters,
        })
    }

    /// Ends what was running and starts anew.
    pub fn restart(&mut self) {
        self.now += 30;
        self.boot = self.now;
        self.pending_restart.clear();
        for task in self.tasks.values_mut() {
            task.running = task.at_start;
            task.deadline = None;
        }
    }
}

/// Drive C:, a folder of this machine, and the account's home folder.
#[derive(Debug, Clone)]
pub struct Disk {
    pub root: PathBuf,
}

impl Disk {
    /// Where a path of Windows lies here. Relative ones are of the home folder.
    pub fn real(&self, path: &str) -> PathBuf {
        let path = path.replace('\\', "/");
        match path.strip_prefix("C:/") {
            Some(rest) => self.root.join("disk").join(rest),
            None => self.root.join("home").join(path),
        }
    }

    pub fn exists(&self, path: &str) -> bool {
        self.real(path).exists()
    }

    pub fn read(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.real(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub fn write(&self, path: &str, text: &str) {
        let real = self.real(path);
        if let Some(parent) = real.parent() {
            std::fs::create_dir_all(parent).expect("a folder of the model");
        }
        std::fs::write(real, text).expect("a file of the model");
    }

    pub fn json(&self, path: &str) -> Option<Value> {
        serde_json::from_str(&self.read(path)?).ok()
    }

    pub fn remove(&self, path: &str) {
        let real = self.real(path);
        let _ = if real.is_dir() {
            std::fs::remove_dir_all(real)
        } else {
            std::fs::remove_file(real)
        };
    }

    /// Names in a folder, in order.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.real(path)).into_iter().flatten();
        let mut names: Vec<_> = entries
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder of the model");
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file of the model");
        }
    }
}
