//! Open vSwitch as the partner below: a trunk to the lab's adapter, an access port for
//! each host on the wire, in that host's VLAN.
//!
//! The switch is Debian's, with its userspace datapath, in a network namespace that has no
//! other use. There the trunk is a TAP device whose descriptor the confined child has; each
//! access port is one whose frames a thread here carries to and from the TAP device of
//! the host's own namespace. No interface of the path offloads a checksum or a segment:
//! what the switch carries is what was on the wire, whole.
//!
//! Where several adapters lead to one switch, a bond takes the trunk's place: a TAP device
//! for each member.
//!
//! # Nothing is left behind
//!
//! The daemons have database and sockets in a directory of their own, which is removed as
//! soon as they are set up: they need no new connection. (That of a bond is asked how it
//! is doing, and its directory removed with it.) The kernel ends them with the
//! thread that started them, even after SIGKILL, and with them and the descriptors go the
//! namespace and all that is in it. No system service is asked, started or disturbed.
//!
//! Runs concurrently: one thread for each access port, until the switch is dropped.

use std::fmt::Write as _;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lab_net::{
    Mac,
    netns::{InterfaceCounters, Lan, Namespace, NetnsError, Port},
    tap::{Forwarded, Tap, forward},
};

use super::programs::output;
use crate::topology::Partner;

/// What the switch is made of, in the order it is looked for.
pub const PROGRAMS: [(&str, &str); 6] = [
    ("ovsdb-tool", "--version"),
    ("ovsdb-server", "--version"),
    ("ovs-vswitchd", "--version"),
    ("ovs-vsctl", "--version"),
    ("ovs-ofctl", "--version"),
    ("ovs-appctl", "--version"),
];

/// Where Debian has the daemons, which a user's PATH may lack.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/sbin"];
/// Where the schema of the database may be.
const SCHEMAS: [&str; 2] = [
    "/usr/share/openvswitch/vswitch.ovsschema",
    "/usr/local/share/openvswitch/vswitch.ovsschema",
];
/// Names within the switch's namespace.
const BRIDGE: &str = "lab-br";
const TRUNK: &str = "trunk";
const BOND: &str = "bond";
/// Where the daemon of a bond answers questions.
const CONTROL: &str = "switch.ctl";
/// How long the daemons may take to be there, in seconds.
const PATIENCE: u64 = 15;

/// A host at the far end.
pub struct Access {
    /// Its VLAN; 0: untagged.
    pub vlan: u16,
    /// The priority that the switch gives its frames.
    pub priority: u8,
    /// The largest packet.
    pub mtu: u16,
    /// The TAP device in its namespace.
    pub far: Tap,
}

/// Why there is no switch.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// A TAP device or the namespace.
    #[error(transparent)]
    Namespace(#[from] NetnsError),
    /// A program of it failed.
    #[error("Open vSwitch: {0}: {1}")]
    Program(&'static str, String),
}

/// A running switch.
pub struct Switch {
    /// The last one started first.
    daemons: Vec<(&'static str, Child)>,
    namespace: Namespace,
    version: String,
    ports: Vec<String>,
    stop: Arc<AtomicBool>,
    carriers: Vec<JoinHandle<std::io::Result<Forwarded>>>,
    /// What leads to the lab.
    uplink: Uplink,
    /// Database and sockets, where the daemon is asked questions later on.
    place: Option<tempfile::TempDir>,
}

/// What leads to the lab's adapters.
#[derive(Clone, Debug)]
pub enum Uplink {
    /// One wire with all VLANs.
    Trunk,
    /// Several that are aggregated.
    Bond(Bond),
}

/// A bond's settings.
#[derive(Clone, Debug)]
pub struct Bond {
    /// Members.
    pub members: usize,
    /// `balance-tcp` and the like.
    pub mode: &'static str,
    /// LACP, or none.
    pub lacp: Option<Partner>,
}

fn member(index: usize) -> String {
    format!("member{index}")
}

impl Uplink {
    /// Names of the interfaces.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Trunk => vec![TRUNK.to_owned()],
            Self::Bond(bond) => (0..bond.members).map(member).collect(),
        }
    }
}

impl Bond {
    /// What `ovs-vsctl` is told after the bridge was made.
    fn words(&self) -> String {
        let members: Vec<String> = (0..self.members).map(member).collect();
        let mut words = format!(
            "-- add-bond {BRIDGE} {BOND} {} bond_mode={}",
            members.join(" "),
            self.mode
        );
        let Some(lacp) = &self.lacp else {
            return format!("{words} lacp=off");
        };
        let _infallible = write!(
            words,
            " lacp={} other_config:lacp-time={} other_config:lacp-system-id={} \
             other_config:lacp-system-priority={}",
            if lacp.active { "active" } else { "passive" },
            if lacp.fast { "fast" } else { "slow" },
            lacp.system,
            lacp.priority
        );
        for (index, name) in members.iter().enumerate() {
            let _infallible = write!(
                words,
                " -- set interface {name} other_config:lacp-port-id={} \
                 other_config:lacp-aggregation-key={}",
                11 + index,
                lacp.key
            );
        }
        words
    }
}

/// Path of a program: as it is, or where the system's own are.
pub fn program(name: &str) -> PathBuf {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&dirs)
        .chain(SYSTEM.map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| name.into())
}

fn name_of(index: usize) -> String {
    format!("access{index}")
}

/// The trunk or the bond, and an access port for each host.
fn bridge(uplink: &Uplink, accesses: &[Access]) -> Vec<String> {
    let mut vlans: Vec<u16> = accesses.iter().map(|access| access.vlan).collect();
    vlans.sort_unstable();
    vlans.dedup();
    let vlans: Vec<String> = vlans.iter().map(u16::to_string).collect();
    let mut words = vec![format!(
        "add-br {BRIDGE} -- set bridge {BRIDGE} datapath_type=netdev"
    )];
    words.push(match uplink {
        Uplink::Trunk => format!(
            "-- add-port {BRIDGE} {TRUNK} vlan_mode=trunk trunks={} \
             -- set interface {TRUNK} ofport_request=1",
            vlans.join(",")
        ),
        Uplink::Bond(bond) => bond.words(),
    });
    for (index, access) in accesses.iter().enumerate() {
        let name = name_of(index);
        let vlan = match (uplink, access.vlan) {
            (Uplink::Bond(_), 0) => String::new(),
            (_, vlan) => format!("vlan_mode=access tag={vlan}"),
        };
        words.push(match uplink {
            Uplink::Trunk => format!(
                "-- add-port {BRIDGE} {name} {vlan} -- set interface {name} ofport_request={}",
                index + 2
            ),
            Uplink::Bond(_) => format!("-- add-port {BRIDGE} {name} {vlan}"),
        });
    }
    let words = words.join(" ");
    words.split_whitespace().map(str::to_owned).collect()
}

impl Switch {
    /// Starts a switch with an access port for each host; returns the trunk's TAP device,
    /// which is the far end of the adapter's wire.
    pub fn start(mtu: u16, accesses: Vec<Access>) -> Result<(Self, Tap), SwitchError> {
        let (switch, mut taps) = Self::with(Uplink::Trunk, mtu, accesses)?;
        Ok((switch, taps.remove(0)))
    }

    /// The same with a bond; a TAP device for each member.
    pub fn bonded(
        bond: Bond,
        mtu: u16,
        accesses: Vec<Access>,
    ) -> Result<(Self, Vec<Tap>), SwitchError> {
        Self::with(Uplink::Bond(bond), mtu, accesses)
    }

    fn with(
        uplink: Uplink,
        mtu: u16,
        accesses: Vec<Access>,
    ) -> Result<(Self, Vec<Tap>), SwitchError> {
        let ports = uplink
            .names()
            .into_iter()
            .zip(0_u16..)
            .map(|(name, index)| {
                Port::new(name, Mac::local(5, u16::MAX - index)).mtu(mtu.saturating_add(4))
            });
        let ports: Vec<Port> = ports.collect();
        let (namespace, first) = Lan::open(&ports[0])?.split();
        let mut uplinks = vec![first];
        for port in &ports[1..] {
            uplinks.push(namespace.open_tap(port)?);
        }
        let mut switch = Self {
            uplink,
            place: None,
            daemons: Vec::new(),
            namespace,
            version: String::new(),
            ports: Vec::new(),
            stop: Arc::default(),
            carriers: Vec::new(),
        };
        let mut taps = Vec::new();
        for (index, access) in accesses.iter().enumerate() {
            let port = Port::new(name_of(index), Mac::local(5, index as u16)).mtu(access.mtu);
            taps.push(switch.namespace.open_tap(&port)?);
            switch.ports.push(match access.vlan {
                0 => "untagged".to_owned(),
                vlan => format!("VLAN {vlan}"),
            });
        }
        switch.set_up(&accesses)?;
        for (access, tap) in accesses.into_iter().zip(taps) {
            let stop = Arc::clone(&switch.stop);
            let carry = move || forward(&access.far, &tap, &stop);
            switch.carriers.push(thread::spawn(carry));
        }
        Ok((switch, uplinks))
    }

    /// Starts the daemons and tells them what there is.
    fn set_up(&mut self, accesses: &[Access]) -> Result<(), SwitchError> {
        let failed = |what, error: std::io::Error| SwitchError::Program(what, error.to_string());
        let place = tempfile::Builder::new()
            .prefix("lab-ovs-")
            .tempdir()
            .map_err(|error| failed("its directory", error))?;
        let dir = place.path();
        let database = dir.join("conf.db");
        let socket = dir.join("db.sock");
        let remote = format!("unix:{}", socket.display());
        let schema = SCHEMAS.iter().find(|path| Path::new(path).is_file());
        let schema = schema.unwrap_or(&SCHEMAS[0]);

        let said = self.ask(dir, "ovs-vswitchd", &["--version"])?;
        said.lines()
            .next()
            .unwrap_or_default()
            .clone_into(&mut self.version);
        let path = database.display().to_string();
        self.ask(dir, "ovsdb-tool", &["create", &path, schema])?;
        let punix = format!("--remote=p{remote}");
        self.daemon(dir, "ovsdb-server", &[&path, &punix, "--unixctl=none"])?;
        let end = Instant::now() + Duration::from_secs(PATIENCE);
        while !socket.exists() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        let database = format!("--db={remote}");
        let timeout = format!("--timeout={PATIENCE}");
        let control = [database.as_str(), &timeout];
        let vsctl = |switch: &Self, words: &[&str]| {
            switch.ask(dir, "ovs-vsctl", &[&control, words].concat())
        };
        vsctl(self, &["--no-wait", "init"])?;
        // The kernel's datapath is neither wanted nor asked for.
        let control = match self.uplink {
            Uplink::Trunk => "--unixctl=none".to_owned(),
            Uplink::Bond(_) => format!("--unixctl={}", dir.join(CONTROL).display()),
        };
        self.daemon(
            dir,
            "ovs-vswitchd",
            &[&remote, "--disable-system", &control],
        )?;
        let words = bridge(&self.uplink, accesses);
        // This one waits until the daemon has done it.
        vsctl(self, &words.iter().map(String::as_str).collect::<Vec<_>>())?;
        for name in (0..accesses.len()).map(name_of).chain(self.uplink.names()) {
            let number = vsctl(self, &["get", "interface", &name, "ofport"])?;
            if number.trim().parse::<u16>().is_err() {
                let why = vsctl(self, &["get", "interface", &name, "error"])?;
                return Err(SwitchError::Program(
                    "ovs-vswitchd",
                    format!("{name}: {why}"),
                ));
            }
        }
        let socket = format!("unix:{}", dir.join(format!("{BRIDGE}.mgmt")).display());
        for (index, access) in accesses.iter().enumerate() {
            if access.priority == 0 {
                continue;
            }
            let flow = format!(
                "in_port={},actions=mod_vlan_pcp:{},NORMAL",
                index + 2,
                access.priority
            );
            self.ask(dir, "ovs-ofctl", &["add-flow", &socket, &flow])?;
        }
        if matches!(self.uplink, Uplink::Bond(_)) {
            // It is asked how it is doing; removed with the switch.
            self.place = Some(place);
            return Ok(());
        }
        place
            .close()
            .map_err(|error| failed("removing its directory", error))
    }

    /// Asks the daemon of a bond.
    pub fn control(&self, words: &[&str]) -> Result<String, SwitchError> {
        let Some(place) = &self.place else {
            let why = "only a bond is asked".to_owned();
            return Err(SwitchError::Program("ovs-appctl", why));
        };
        let target = place.path().join(CONTROL).display().to_string();
        let words = [&["-t", target.as_str()], words].concat();
        self.ask(place.path(), "ovs-appctl", &words)
    }

    /// What the bond says of LACP.
    pub fn lacp(&self) -> Result<String, SwitchError> {
        self.control(&["lacp/show", BOND])
    }

    /// What it says of itself.
    pub fn bond(&self) -> Result<String, SwitchError> {
        self.control(&["bond/show", BOND])
    }

    /// A command of the switch: in its namespace, with nothing of the system's.
    fn command(&self, dir: &Path, name: &'static str) -> Command {
        let mut command = self.namespace.command(program(name));
        for variable in ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, dir);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Runs a program of it to its end; returns what it said.
    fn ask(
        &self,
        dir: &Path,
        name: &'static str,
        arguments: &[&str],
    ) -> Result<String, SwitchError> {
        let mut command = self.command(dir, name);
        command.args(arguments);
        output(command).map_err(|why| {
            let mut all = why;
            for (daemon, said) in self.last_words(dir) {
                all = format!("{all}\n{daemon}: {said}");
            }
            SwitchError::Program(name, all)
        })
    }

    /// What the daemons complained of.
    fn last_words(&self, dir: &Path) -> Vec<(&'static str, String)> {
        let read = |name: &&'static str| {
            let text = std::fs::read_to_string(dir.join(name)).ok()?;
            (!text.trim().is_empty()).then(|| (*name, text.trim().to_owned()))
        };
        let names = self.daemons.iter().map(|(name, _)| name);
        names.filter_map(read).collect()
    }

    fn daemon(
        &mut self,
        dir: &Path,
        name: &'static str,
        arguments: &[&str],
    ) -> Result<(), SwitchError> {
        let failed = |error: std::io::Error| SwitchError::Program(name, error.to_string());
        let words = File::create(dir.join(name)).map_err(failed)?;
        let mut command = self.command(dir, name);
        command
            .args(arguments)
            .arg("--no-chdir")
            .args(["-vconsole:warn", "-vsyslog:off", "-vfile:off"])
            .stderr(words);
        let child = command.spawn().map_err(failed)?;
        self.daemons.insert(0, (name, child));
        Ok(())
    }

    /// What it is, in a line.
    pub fn describe(&self) -> String {
        let uplink = match &self.uplink {
            Uplink::Trunk => "a trunk".to_owned(),
            Uplink::Bond(bond) => {
                let lacp = bond.lacp.as_ref();
                let lacp = lacp.map_or("no LACP", |lacp| match (lacp.active, lacp.fast) {
                    (true, true) => "LACP active, fast",
                    (true, false) => "LACP active, slow",
                    (false, true) => "LACP passive, fast",
                    (false, false) => "LACP passive, slow",
                });
                format!("a bond of {} ({}, {lacp})", bond.members, bond.mode)
            }
        };
        format!(
            "{}, datapath netdev, {uplink} and {} access ports ({})",
            self.version,
            self.ports.len(),
            self.ports.join(", ")
        )
    }

    /// What has gone over the trunk: in is what the lab wrote, out what it read.
    pub fn trunk(&self) -> std::io::Result<InterfaceCounters> {
        self.namespace.counters(TRUNK)
    }

    /// Process ids of the daemons.
    pub fn processes(&self) -> Vec<u32> {
        self.daemons.iter().map(|(_, child)| child.id()).collect()
    }

    /// Names of daemons that have ended, and why.
    pub fn ended(&mut self) -> Vec<String> {
        let ended = |(name, child): &mut (&'static str, Child)| match child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("{name} ended: {status}")),
            Err(error) => Some(format!("{name}: {error}")),
        };
        self.daemons.iter_mut().filter_map(ended).collect()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for carrier in self.carriers.drain(..) {
            // What it moved is counted by the interfaces; a panic was reported.
            let _ = carrier.join();
        }
        for (_, child) in &mut self.daemons {
            // They keep nothing that would have to be saved.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trunk_has_the_vlans_of_the_hosts() {
        let access = |vlan| {
            let (_, other) = std::io::pipe().expect("a pipe");
            Access {
                vlan,
                priority: 0,
                mtu: 1500,
                far: Tap::from(std::os::fd::OwnedFd::from(other)),
            }
        };
        let accesses = [access(20), access(0), access(20), access(10)];
        let words = bridge(&Uplink::Trunk, &accesses).join(" ");
        assert!(words.contains("trunks=0,10,20 "), "{words}");
        assert!(words.contains("access3 vlan_mode=access tag=10"), "{words}");
        assert!(words.contains("access1 ofport_request=3"), "{words}");
        let bond = Uplink::Bond(Bond {
            members: 2,
            mode: "balance-tcp",
            lacp: Some(Partner::default()),
        });
        let words = bridge(&bond, &accesses[1..2]).join(" ");
        assert!(words.contains("bond member0 member1 bond_mode=balance-tcp lacp=active"));
        assert!(
            words.contains("member1 other_config:lacp-port-id=12"),
            "{words}"
        );
        assert!(!words.contains("tag="), "{words}");
    }
}
