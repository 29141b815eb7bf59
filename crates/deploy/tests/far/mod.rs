//! The far side: an ssh server of the tests' own on loopback, with a scripted Windows behind
//! it, and a package made up for it.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use deploy::package::Package;
use deploy::run::{Options, Outcome};
use deploy::ssh::Host;
use deploy::{Driver, plan::Plan};
use serde_json::{Value, json};

const SERVER: &str = env!("CARGO_BIN_EXE_scripted-windows");

/// The server's program; without one the tests are skipped by name.
pub fn sshd() -> Option<PathBuf> {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
        .iter()
        .map(PathBuf::from)
        .find(|p| p.is_file())
}

/// Host key and user key, made once.
static KEYS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    for name in ["host", "user"] {
        let status = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(dir.path().join(name))
            .status()
            .unwrap();
        assert!(status.success());
    }
    dir
});

/// A machine that can be reached.
pub struct Machine {
    dir: tempfile::TempDir,
    server: Child,
    master: Option<Child>,
    pub port: u16,
}

impl Drop for Machine {
    fn drop(&mut self) {
        for child in [Some(&mut self.server), self.master.as_mut()]
            .into_iter()
            .flatten()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Machine {
    /// Starts one in its first state.
    pub fn new() -> Self {
        Self::of("mux")
    }

    pub fn of(driver: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = KEYS.path();
        // As root, sshd wants its usual empty folder.
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let far = dir.path().join("far");
        std::fs::create_dir_all(far.join("home")).unwrap();
        std::fs::write(far.join("driver"), driver).unwrap();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {host}\nAuthorizedKeysFile {user}\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nPidFile none\n\
             Subsystem sftp internal-sftp\nMaxStartups 100\nForceCommand exec {SERVER} {far}\n",
            host = keys.join("host").display(),
            user = keys.join("user.pub").display(),
            far = far.display(),
        );
        let path = dir.path().join("sshd_config");
        std::fs::write(&path, config).unwrap();
        let server = Command::new(sshd().unwrap())
            .args(["-D", "-e", "-f"])
            .arg(&path)
            .stderr(std::fs::File::create(dir.path().join("sshd.log")).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut machine = Self {
            dir,
            server,
            master: None,
            port,
        };
        let until = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                Instant::now() < until,
                "sshd does not listen:\n{}",
                machine.server_log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        machine.write_client_config();
        machine.advance(1);
        machine.connect();
        machine
    }

    /// One connection for all sessions, for speed: when it breaks, ssh makes new ones.
    fn connect(&mut self) {
        let socket = self.dir.path().join("mux");
        let master = Command::new("ssh")
            .arg("-F")
            .arg(self.client_config())
            .args(["-M", "-N", "-o", "BatchMode=yes", "labpc"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.master = Some(master);
        let until = Instant::now() + Duration::from_secs(20);
        while !socket.exists() {
            assert!(
                Instant::now() < until,
                "no connection:\n{}",
                self.server_log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The plan's adapter is not that of the connection, which therefore holds.
    pub fn connected_elsewhere() -> Self {
        let machine = Self::new();
        machine.change(|m| m["adapters"][0]["connection"] = json!(false));
        machine
    }

    fn server_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("sshd.log")).unwrap_or_default()
    }

    fn write_client_config(&self) {
        let keys = KEYS.path();
        let host = std::fs::read_to_string(keys.join("host.pub")).unwrap();
        let known = self.dir.path().join("known_hosts");
        std::fs::write(&known, format!("[127.0.0.1]:{} {host}", self.port)).unwrap();
        let config = format!(
            "Host labpc*\n  HostName 127.0.0.1\n  Port {}\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  ControlPath {}\n  KexAlgorithms curve25519-sha256\n",
            self.port,
            keys.join("user").display(),
            known.display(),
            self.dir.path().join("mux").display(),
        );
        std::fs::write(self.client_config(), config).unwrap();
        let user = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.client_config(), user).unwrap();
    }

    pub fn client_config(&self) -> PathBuf {
        self.dir.path().join("ssh_config")
    }

    pub fn far(&self) -> PathBuf {
        self.dir.path().join("far")
    }

    /// Drive C:.
    pub fn disk(&self) -> PathBuf {
        self.far().join("disk")
    }

    /// Lets virtual time pass, without a connection.
    pub fn advance(&self, seconds: u64) {
        let status = Command::new(SERVER)
            .arg(self.far())
            .args(["--advance", &seconds.to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.far().join(name)).unwrap()).unwrap()
    }

    /// What has to be the same before and after.
    pub fn essence(&self) -> Value {
        self.json("essence.json")
    }

    /// Everything that the model knows.
    pub fn state(&self) -> Value {
        self.json("state.json")
    }

    /// Changes something of the machine.
    pub fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        change(&mut state);
        std::fs::write(self.far().join("state.json"), state.to_string()).unwrap();
        self.advance(1);
    }

    /// What is to go wrong from now on.
    pub fn faults(&self, faults: &Value) {
        std::fs::write(self.far().join("faults.json"), faults.to_string()).unwrap();
    }

    pub fn no_faults(&self) {
        let _ = std::fs::remove_file(self.far().join("faults.json"));
    }

    pub fn host(&self) -> Host {
        Host {
            target: "labpc".to_owned(),
            config: Some(self.client_config()),
            options: Vec::new(),
        }
    }

    pub fn options(&self) -> Options {
        Options {
            host: self.host(),
            confirm_within: 120,
            restart: false,
            poll: Duration::from_millis(5),
            patience: Duration::from_secs(30),
        }
    }

    /// One on which version 1 of mux was deployed and confirmed.
    pub fn deployed() -> Self {
        static TEMPLATE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
            let (keep, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let package = package(dir.path(), "mux", "1", "x64");
            let machine = Machine::connected_elsewhere();
            std::fs::write(keep.path().join("before"), machine.essence().to_string()).unwrap();
            let done = deploy(&machine, &package, Some(&plan("mux")), &machine.options());
            assert_eq!(done.end, deploy::run::End::Done, "{done:?}");
            copy(&machine.far(), keep.path());
            keep
        });
        let machine = Self::new();
        copy(TEMPLATE.path(), &machine.far());
        machine.change(|m| m["sessions"] = json!(0));
        machine
    }

    /// What was the case before that deployment.
    pub fn before(&self) -> Value {
        self.json("before")
    }

    /// No task, no folder, no file of ours is left.
    pub fn is_swept(&self) {
        assert_eq!(self.state()["tasks"], json!({}), "tasks are left");
        let left = walk(&self.disk().join("Windows/RustIM"));
        assert!(left.is_empty(), "files are left: {left:?}");
        let home = walk(&self.far().join("home"));
        let home: Vec<_> = home
            .iter()
            .filter(|p| p.to_string_lossy().contains("rustim-"))
            .collect();
        assert!(home.is_empty(), "files are left: {home:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            all.extend(walk(&entry.path()));
        } else {
            all.push(entry.path());
        }
    }
    all
}

pub fn driver(name: &str) -> Driver {
    let capital = name[..1].to_uppercase() + &name[1..];
    Driver {
        name: name.to_owned(),
        component: format!("RustIM_{capital}"),
        protocol_service: format!("Im{capital}"),
        miniport_service: format!("Im{capital}Mp"),
    }
}

/// A package that has the shape of a real one; only its scripts are.
pub fn package(dir: &Path, name: &str, version: &str, arch: &str) -> Package {
    let mut files = deploy::scripts(&driver(name));
    let capital = name[..1].to_uppercase() + &name[1..];
    let inf = |suffix: &str| {
        format!("; {version}\r\nCatalogFile = {name}{suffix}.cat\r\n%d% = x, RustIM_{capital}{suffix}\r\n").into_bytes()
    };
    files.extend([
        (format!("{name}.inf"), inf("")),
        (format!("{name}_mp.inf"), inf("_mp")),
        (format!("{name}.cat"), b"catalog".to_vec()),
        (format!("{name}_mp.cat"), b"catalog".to_vec()),
        (format!("{arch}/{name}.sys"), b"image".to_vec()),
        (format!("{arch}/{name}_notify.dll"), b"library".to_vec()),
        ("test-root.cer".to_owned(), b"root".to_vec()),
        ("signer.cer".to_owned(), b"signer".to_vec()),
    ]);
    let list: Vec<_> = files
        .iter()
        .map(|(path, content)| json!({ "role": "any", "path": path, "size": content.len(), "sha256": "" }))
        .collect();
    for (path, content) in &files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let manifest = json!({
        "format": 2, "driver": name, "version": version, "profile": "release",
        "architectures": [{ "arch": arch, "target": "x" }], "files": list,
        "signing": { "kind": "test" },
    });
    std::fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
    Package::read(dir).unwrap()
}

/// A plan for the adapter through which the connection comes.
pub fn plan(name: &str) -> Plan {
    Plan::for_adapters(name, &["pci:0:1.0".to_owned()], &[])
}

/// Deploys; shows what was said if the test fails.
pub fn deploy(
    machine: &Machine,
    package: &Package,
    plan: Option<&Plan>,
    options: &Options,
) -> Outcome {
    let _ = machine;
    deploy::run::deploy(package, plan, options, &mut |line| println!("    {line}")).unwrap()
}

pub fn undeploy(name: &str, options: &Options) -> Outcome {
    deploy::run::undeploy(&driver(name), options, &mut |line| println!("    {line}")).unwrap()
}
