//! `--tools windows`: how signtool and Inf2Cat are called, and what becomes of their output.
//! In their places is `src/bin/windows-tools.rs`, which signs by osslsigncode.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

use super::authority::{openssl, serve};
use super::program;

/// Variables by which xtask finds the tools.
const VARIABLES: [&str; 7] = [
    "XTASK_SIGNTOOL",
    "XTASK_INF2CAT",
    "WindowsSdkVerBinPath",
    "WindowsSdkDir",
    "WDKBinRoot",
    "WDKContentRoot",
    "ProgramFiles(x86)",
];

/// A call of one of the tools.
#[derive(Debug, Deserialize)]
pub struct Call {
    pub program: String,
    pub args: Vec<String>,
    pub cwd: PathBuf,
}

/// Both tools, in folders such as a kit has, and the record of their calls.
pub struct Tools {
    pub dir: tempfile::TempDir,
}

impl Tools {
    /// None where osslsigncode or OpenSSL is missing.
    pub fn new(test: &str) -> Option<Self> {
        program(test, "osslsigncode")?;
        program(test, "openssl")?;
        let tools = Self {
            dir: tempfile::tempdir().expect("folder"),
        };
        for file in ["x64/signtool.exe", "x86/Inf2Cat.exe"] {
            let file = tools.path("bin").join(file);
            std::fs::create_dir_all(file.parent().expect("parent")).expect("folder");
            symlink(env!("CARGO_BIN_EXE_windows-tools"), file).expect("link");
        }
        Some(tools)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command that knows nothing of the tools.
    pub fn xtask(&self, test: &str) -> Option<Command> {
        let mut command = super::bad_input::xtask(test)?;
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command
            .env("IM_STAND_IN", self.dir.path())
            .env_remove("IM_STAND_IN_FAULT");
        Some(command)
    }

    /// `package passthrough --tools windows` into the folder `out`.
    pub fn package(&self, test: &str, more: &[&str], env: &[(&str, &str)]) -> Option<Output> {
        let mut command = self.xtask(test)?;
        command
            .args(["package", "passthrough", "--tools", "windows", "--out"])
            .arg(self.path("out"))
            .args(more)
            .env("WindowsSdkVerBinPath", self.path("bin"))
            .envs(env.iter().copied());
        Some(command.output().expect("xtask runs"))
    }

    /// What was called since the last time that this was asked.
    pub fn calls(&self) -> Vec<Call> {
        let file = self.path("calls");
        let Ok(text) = std::fs::read_to_string(&file) else {
            return Vec::new();
        };
        std::fs::remove_file(file).expect("removed");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a call"))
            .collect()
    }
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// `xtask verify` says that the package is as it was made.
fn verify(tools: &Tools, test: &str, root: &Path) {
    let mut command = tools.xtask(test).expect("there before");
    command.arg("verify").arg(tools.path("out"));
    let output = command.arg("--root").arg(root).output().expect("runs");
    assert!(output.status.success(), "{}", text(&output));
}

fn manifest(tools: &Tools) -> serde_json::Value {
    let bytes = std::fs::read(tools.path("out/manifest.json")).expect("manifest");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[test]
fn the_tools_are_called_as_they_are_documented() {
    const TEST: &str = "the_tools_are_called_as_they_are_documented";
    let Some(tools) = Tools::new(TEST) else {
        return;
    };
    let wanted = ["--sign", "test", "--arch", "x64,arm64"];
    let Some(output) = tools.package(TEST, &wanted, &[]) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));

    let calls = tools.calls();
    let names: Vec<_> = calls.iter().map(|call| call.program.as_str()).collect();
    assert_eq!(names, ["signtool", "Inf2Cat", "signtool"]);
    let [images, catalogs, signatures] = &calls[..] else {
        panic!("{calls:?}")
    };
    let password = &images.args[7];
    assert_eq!(password.len(), 32);
    assert!(!text(&output).contains(password.as_str()), "it is shown");
    let title = format!(
        "passthrough {}",
        manifest(&tools)["version"].as_str().expect("text")
    );
    let how = |pages: &[&'static str]| {
        let start = ["sign", "/fd", "SHA256"];
        let end = ["/f", "key.pfx", "/p", password, "/d", &title];
        [&start, pages, &end[..]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let files = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("package/{name}"))
            .collect::<Vec<_>>()
    };
    let all = files(&[
        "arm64/passthrough.sys",
        "arm64/passthrough_notify.dll",
        "x64/passthrough.sys",
        "x64/passthrough_notify.dll",
    ]);
    assert_eq!(images.args, [how(&["/ph"]), all].concat());
    let all = files(&["passthrough.cat", "passthrough_mp.cat"]);
    assert_eq!(signatures.args, [how(&[]), all].concat());
    let systems = "10_VB_X64,10_CO_X64,10_NI_X64,10_GE_X64,10_25H2_X64,\
                   10_VB_ARM64,10_CO_ARM64,10_NI_ARM64,10_GE_ARM64,10_25H2_ARM64";
    let driver = format!("/driver:{}", catalogs.cwd.join("package").display());
    assert_eq!(
        catalogs.args,
        [driver, format!("/os:{systems}"), "/pageHashes".to_owned()]
    );
    // The key was there, and is gone.
    assert_eq!(images.cwd, signatures.cwd);
    assert!(!images.cwd.exists(), "{}", images.cwd.display());

    let signing = &manifest(&tools)["signing"];
    let made = serde_json::json!({
        "maker": "windows", "signatures": "signtool", "catalogs": "Inf2Cat",
    });
    assert_eq!(
        (&signing["kind"], &signing["tools"]),
        (&"test".into(), &made)
    );
    verify(&tools, TEST, &tools.path("out/test-root.cer"));
    // It does judge them: one byte of a catalog.
    let catalog = tools.path("out/passthrough.cat");
    let mut bytes = std::fs::read(&catalog).expect("catalog");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&catalog, bytes).expect("written");
    let mut command = tools.xtask(TEST).expect("there before");
    let output = command
        .arg("verify")
        .arg(tools.path("out"))
        .output()
        .expect("runs");
    super::bad_input::told(&output, &["passthrough.cat: "]);
}

/// What the documentation leaves open: no page hashes in catalogs, ids in another form,
/// INFs that others bring along.
#[test]
fn catalogs_may_be_what_is_not_documented() {
    const TEST: &str = "catalogs_may_be_what_is_not_documented";
    let Some(tools) = Tools::new(TEST) else {
        return;
    };
    let env = [("IM_STAND_IN_FAULT", "like-an-older-one")];
    let Some(output) = tools.package(TEST, &["--sign", "test"], &env) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));
    let note = "passthrough.cat has no hashes of the pages of x64/passthrough.sys";
    assert!(text(&output).contains(note), "{}", text(&output));
    verify(&tools, TEST, &tools.path("out/test-root.cer"));
}

/// A root, an authority below it and a signer below that, as `signer.pfx`; the same without
/// the root as `rootless.pfx`.
fn chain(dir: &Path) {
    let ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";
    let leaf = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
                extendedKeyUsage=codeSigning\n";
    for (name, issuer, extensions) in [
        ("root", None, ca),
        ("between", Some("root"), ca),
        ("signer", Some("between"), leaf),
    ] {
        std::fs::write(dir.join(format!("{name}.ext")), extensions).expect("written");
        openssl(
            dir,
            &format!(
                "req -new -newkey rsa:2048 -noenc -keyout {name}.key -subj /CN={name} -out {name}.csr"
            ),
        );
        let by = match issuer {
            Some(issuer) => format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial"),
            None => format!("-signkey {name}.key"),
        };
        openssl(
            dir,
            &format!(
                "x509 -req -in {name}.csr -days 30 -sha256 -extfile {name}.ext {by} -out {name}.pem"
            ),
        );
    }
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).expect("certificate");
    std::fs::write(
        dir.join("others.pem"),
        read("between.pem") + &read("root.pem"),
    )
    .expect("written");
    for (others, name) in [("others", "signer"), ("between", "rootless")] {
        openssl(
            dir,
            &format!(
                "pkcs12 -export -inkey signer.key -in signer.pem -certfile {others}.pem \
                 -passout pass:secret -out {name}.pfx"
            ),
        );
    }
}

#[test]
fn a_pfx_is_handed_over_and_an_authority_named() {
    const TEST: &str = "a_pfx_is_handed_over_and_an_authority_named";
    let Some(tools) = Tools::new(TEST) else {
        return;
    };
    chain(tools.dir.path());
    let url = serve(tools.dir.path().to_owned());
    let file = tools.path("signer.pfx").display().to_string();
    let wanted = ["--sign", "pfx", &file, "--timestamp", &url];
    let password = ("XTASK_PFX_PASSWORD", "secret");
    let Some(output) = tools.package(TEST, &wanted, &[password]) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output));
    for call in tools
        .calls()
        .iter()
        .filter(|call| call.program == "signtool")
    {
        let line = call.args.join(" ");
        // The password of the file is not on any command line, nor in what is printed.
        assert!(!line.contains("secret") && !text(&output).contains("secret"));
        assert!(line.contains(" /ac issuer.cer "), "{line}");
        assert!(
            line.contains(&format!(" /tr {url} /td SHA256 package/")),
            "{line}"
        );
    }
    assert_eq!(manifest(&tools)["signing"]["timestamp"], url);
    verify(&tools, TEST, &tools.path("root.pem"));

    // signtool warns where no stamp came, by exit code 2; one that does not warn is found.
    for (fault, why) in [
        ("no-stamp-but-a-warning", "the time stamp failed"),
        ("no-stamp", "it has no time stamp"),
        ("no-chain", "its chain ends at CN=between"),
    ] {
        let env = [password, ("IM_STAND_IN_FAULT", fault)];
        let output = tools.package(TEST, &wanted, &env).expect("there before");
        super::bad_input::told(&output, &[why]);
    }
    // Where nobody knows the root, the chain has to reach as far as it does in the file.
    let file = tools.path("rootless.pfx").display().to_string();
    let env = [password, ("IM_STAND_IN_FAULT", "no-chain")];
    let output = tools.package(TEST, &["--sign", "pfx", &file], &env);
    let parts = ["it lacks a certificate of its chain: CN=between"];
    super::bad_input::told(&output.expect("there before"), &parts);
}
