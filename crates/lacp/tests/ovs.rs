//! A team of ours against Open vSwitch's bond, in real time: two members, LACP active
//! and fast, the userspace datapath in a network namespace that has no other use.
//!
//! Needs Open vSwitch, and root or user namespaces; without them it says SKIP.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{config, port};
use lab_net::Mac;
use lab_net::netns::{Lan, Namespace, Port};
use lab_net::tap::Tap;
use lacp::table::Mux;
use lacp::{Counter, System};

const MEMBERS: [&str; 2] = ["member0", "member1"];

/// Where Debian has the daemons, which a user's PATH may lack.
fn program(name: &str) -> Option<PathBuf> {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&dirs)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}

/// The switch. Its daemons end with it, or with the thread that started them.
struct Switch {
    namespace: Namespace,
    dir: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl Switch {
    fn command(&self, name: &str) -> Command {
        let path = program(name).unwrap_or_else(|| name.into());
        let mut command = self.namespace.command(path);
        for variable in ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"] {
            command.env(variable, self.dir.path());
        }
        command.stdin(Stdio::null());
        command
    }

    fn ask(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.command(name).args(arguments).output().expect(name);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{name} {arguments:?}: {said}{complaint}"
        );
        said
    }

    fn daemon(&mut self, name: &str, arguments: &[&str]) {
        let words = File::create(self.dir.path().join(name)).expect("a file");
        let mut command = self.command(name);
        command
            .args(arguments)
            .args(["--no-chdir", "-vconsole:warn", "-vsyslog:off", "-vfile:off"])
            .stdout(Stdio::null())
            .stderr(words);
        self.daemons.push(command.spawn().expect(name));
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Starts it with a bond of the members; the clock of the test runs meanwhile.
    fn start(namespace: Namespace) -> Self {
        let mut switch = Self {
            namespace,
            dir: tempfile::Builder::new()
                .prefix("lacp-ovs-")
                .tempdir()
                .expect("a folder"),
            daemons: Vec::new(),
        };
        let schemas = ["/usr/share", "/usr/local/share"]
            .map(|share| format!("{share}/openvswitch/vswitch.ovsschema"));
        let schema = schemas.iter().find(|path| Path::new(path).is_file());
        let (database, socket) = (switch.path("conf.db"), switch.path("db.sock"));
        let schema = schema.expect("a schema where the programs are");
        switch.ask("ovsdb-tool", &["create", &database, schema]);
        let remote = format!("--remote=punix:{socket}");
        switch.daemon("ovsdb-server", &[&database, &remote, "--unixctl=none"]);
        let end = Instant::now() + Duration::from_secs(15);
        while !Path::new(&socket).exists() && Instant::now() < end {
            sleep(Duration::from_millis(5));
        }
        let control = format!("--db=unix:{socket}");
        switch.ask(
            "ovs-vsctl",
            &[&control, "--timeout=15", "--no-wait", "init"],
        );
        let unixctl = format!("--unixctl={}", switch.path("switch.ctl"));
        let remote = format!("unix:{socket}");
        switch.daemon("ovs-vswitchd", &[&remote, "--disable-system", &unixctl]);
        let [first, second] = MEMBERS;
        let bond = format!(
            "add-br br -- set bridge br datapath_type=netdev \
             -- add-bond br bond {first} {second} lacp=active bond_mode=balance-tcp \
             other_config:lacp-time=fast other_config:lacp-system-id=02:00:00:00:09:00 \
             other_config:lacp-system-priority=100 \
             -- set interface {first} other_config:lacp-port-id=11 \
             other_config:lacp-aggregation-key=55 \
             -- set interface {second} other_config:lacp-port-id=12 \
             other_config:lacp-aggregation-key=55"
        );
        let words: Vec<&str> = bond.split_whitespace().collect();
        switch.ask(
            "ovs-vsctl",
            &[&[control.as_str(), "--timeout=15"], &words[..]].concat(),
        );
        switch
    }

    /// What it knows of a member: the lines of `lacp/show` about it, by name.
    fn show(&self, member: &str) -> Vec<(String, String)> {
        let target = self.path("switch.ctl");
        let text = self.ask("ovs-appctl", &["-t", &target, "lacp/show", "bond"]);
        let begins = |line: &&str| !line.starts_with([' ', '\t']) && line.contains(member);
        let mut lines = text.lines().skip_while(|line| !begins(line));
        let mut found = vec![(
            "status".to_owned(),
            lines.next().unwrap_or_default().to_owned(),
        )];
        for line in lines.take_while(|line| line.starts_with([' ', '\t']) || line.is_empty()) {
            if let Some((name, value)) = line.split_once(':') {
                found.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        found
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            // They keep nothing that would have to be saved.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// Our team at the members' TAP devices.
struct Team {
    system: System,
    taps: Vec<Tap>,
    begin: Instant,
    /// Members whose frames are thrown away, both ways.
    cut: u32,
}

impl Team {
    fn now(&self) -> u64 {
        (self.begin.elapsed().as_nanos() / 100) as u64
    }

    /// Gives the system an event, and the wires what it sends.
    fn act(&mut self, act: impl FnOnce(&mut System, u64, lacp::Sink<'_>)) {
        let now = self.now();
        let (taps, cut) = (&self.taps, self.cut);
        act(&mut self.system, now, &mut |output| {
            let (lacp::Output::Send { port, .. }, Some(frame)) = (output, output.frame()) else {
                return;
            };
            if cut & (1 << port) == 0 {
                taps[usize::from(port)]
                    .write_frame(&frame)
                    .expect("a TAP device that is up");
            }
        });
    }

    /// Runs until it is so, or for so many seconds. Says whether it became so.
    fn run(&mut self, seconds: u64, until: impl Fn(&System) -> bool) -> bool {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut buffer = vec![0; 2048];
        while Instant::now() < end {
            for slot in 0..self.taps.len() as u8 {
                while let Some(length) = self.taps[usize::from(slot)]
                    .read_frame(&mut buffer)
                    .expect("a TAP device")
                {
                    if self.cut & (1 << slot) == 0 {
                        let frame = &buffer[..length];
                        self.act(|system, now, out| {
                            system.receive(now, slot, frame, out);
                        });
                    }
                }
            }
            if self
                .system
                .next_deadline()
                .is_some_and(|due| due <= self.now())
            {
                self.act(|system, now, out| system.tick(now, out));
            }
            if until(&self.system) {
                return true;
            }
            sleep(Duration::from_millis(2));
        }
        false
    }
}

fn value<'a>(shown: &'a [(String, String)], name: &str) -> &'a str {
    let found = shown.iter().find(|(it, _)| it == name);
    found.map_or("", |(_, value)| value)
}

#[test]
fn open_vswitch_and_we_agree() {
    let test = "open_vswitch_and_we_agree";
    for name in [
        "ovsdb-tool",
        "ovsdb-server",
        "ovs-vswitchd",
        "ovs-vsctl",
        "ovs-appctl",
    ] {
        if program(name).is_none() {
            println!("SKIP {test}: {name} is not installed");
            return;
        }
    }
    let wire = |slot: u16| Port::new(MEMBERS[usize::from(slot)], Mac::local(6, slot));
    let (namespace, first) = match Lan::open(&wire(0)) {
        Ok(lan) => lan.split(),
        Err(error) if error.is_missing_right() => {
            println!("SKIP {test}: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let second = namespace.open_tap(&wire(1)).expect("a second TAP device");
    let switch = Switch::start(namespace);
    let mut team = Team {
        system: System::new(config(0)).expect("sound settings"),
        taps: vec![first, second],
        begin: Instant::now(),
        cut: 0,
    };
    for slot in 0..2 {
        team.act(|system, now, out| {
            system
                .add_port(now, slot, port(0, slot), out)
                .expect("a slot");
            system.set_link(now, slot, true, out).expect("a port");
        });
    }
    let both = |system: &System| {
        // Until the switch has told that it distributes, too.
        system.distributing() == 3 && system.ports().all(|port| port.partner().state.0 == 0x3f)
    };
    let came = team.run(20, both);
    assert!(
        came,
        "{:?} {:?}",
        team.system.ports().collect::<Vec<_>>(),
        switch.show(MEMBERS[0])
    );

    // Both sides say the same of each other.
    for slot in 0..2_u8 {
        let shown = switch.show(MEMBERS[usize::from(slot)]);
        let ours = team.system.port(slot).expect("a port");
        assert!(
            value(&shown, "status").contains("current attached"),
            "{shown:?}"
        );
        let partner = ours.partner();
        assert_eq!(value(&shown, "actor sys_id"), "02:00:00:00:09:00");
        assert_eq!(partner.system.address.0, [2, 0, 0, 0, 9, 0]);
        assert_eq!(
            value(&shown, "actor sys_priority"),
            partner.system.priority.to_string()
        );
        assert_eq!(
            value(&shown, "actor port_id"),
            partner.port.number.to_string()
        );
        assert_eq!(value(&shown, "actor key"), partner.key.to_string());
        let actor = ours.actor();
        assert_eq!(value(&shown, "partner sys_id"), "02:00:00:00:00:00");
        assert_eq!(
            value(&shown, "partner sys_priority"),
            actor.system.priority.to_string()
        );
        assert_eq!(
            value(&shown, "partner port_id"),
            actor.port.number.to_string()
        );
        assert_eq!(
            value(&shown, "partner port_priority"),
            actor.port.priority.to_string()
        );
        assert_eq!(value(&shown, "partner key"), actor.key.to_string());
        assert_eq!(actor.state.0, 0x3f);
        let state = "activity timeout aggregation synchronized collecting distributing";
        assert_eq!(value(&shown, "actor state"), state);
        // Ours is as old as our last LACPDU: that we distribute is no reason for one.
        let known = value(&shown, "partner state");
        assert!(
            known.starts_with("activity timeout aggregation synchronized collecting"),
            "{known}"
        );
        let counters = ours.counters();
        for (counter, least) in [(Counter::LacpdusRx, 3), (Counter::LacpdusTx, 3)] {
            assert!(counters.get(counter) >= least, "{counter:?}");
        }
        assert_eq!(counters.get(Counter::IllegalRx), 0);
    }

    // A member is cut: both notice by silence, the other goes on.
    team.cut = 1;
    assert!(team.run(10, |system| system.distributing() == 2));
    assert!(team.system.is_up());
    team.run(2, |_| false);
    let shown = switch.show(MEMBERS[0]);
    let status = value(&shown, "status");
    assert!(!status.contains("current"), "{status}");
    // And joined again.
    team.cut = 0;
    assert!(
        team.run(15, |system| system.distributing() == 3),
        "{:?}",
        switch.show(MEMBERS[0])
    );
    assert_eq!(
        team.system.port(0).expect("a port").mux_state(),
        Mux::Distributing
    );
}
