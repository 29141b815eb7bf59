//! Deploying to a scripted Windows machine over a real ssh server on loopback, with every
//! step failed in turn and the connection broken everywhere.
//!
//! What answers is a model of the commands that the table of steps has; neither Windows nor
//! PowerShell takes part.

#![cfg(unix)]

mod far;

use std::time::Duration;

use deploy::preflight::Severity;
use deploy::run::End;
use deploy::table::Phase;
use far::{Machine, driver, package, plan};
use serde_json::json;

/// Skips by name where there is no ssh server.
macro_rules! far_side {
    ($name:literal) => {
        if far::sshd().is_none() {
            println!(concat!(
                "SKIP ",
                $name,
                ": no sshd; cargo xtask setup --partners"
            ));
            return;
        }
    };
}

#[test]
fn a_package_goes_there_and_comes_back() {
    far_side!("a_package_goes_there_and_comes_back");
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    let machine = Machine::new();
    let before = machine.essence();
    let done = far::deploy(&machine, &package, Some(&plan("mux")), &machine.options());
    assert_eq!(done.end, End::Done, "{done:?}");
    assert!(done.changed);
    let state = machine.state();
    let text = state.to_string();
    // The address went over to the miniport, with its route and its name server.
    for setting in [
        "ipv4 address 41 10.0.0.5/24",
        "ipv4 route 41 0.0.0.0/0 10.0.0.1 256",
        "ipv4 server 41 10.0.0.53",
    ] {
        assert!(text.contains(setting), "{setting} in {text}");
    }
    assert!(state["services"].to_string().contains("ImMuxMp"));
    let [old, new] = done.bindings.unwrap();
    assert!(old[0].ends_with("ms_tcpip, ms_server"), "{old:?}");
    assert!(new[0].ends_with(": rustim_mux"), "{new:?}");
    assert!(
        new.iter()
            .any(|l| l.contains("mux 1") && l.ends_with("ms_tcpip, ms_server")),
        "{new:?}"
    );
    let note = done.findings.iter().find(|f| f.code == "connection");
    assert_eq!(note.unwrap().severity, Severity::Note);

    // Long after the time for the confirmation it is still there.
    machine.advance(4000);
    assert_ne!(machine.essence(), before);

    let gone = far::undeploy("mux", &machine.options());
    assert_eq!(gone.end, End::Done, "{gone:?}");
    assert_eq!(machine.essence(), before);
    machine.is_swept();

    let again = far::undeploy("mux", &machine.options());
    assert_eq!((again.end, again.changed), (End::Done, false));
    assert!(again.text.contains("nothing is installed"), "{again:?}");
    machine.is_swept();
}

#[test]
fn without_a_plan_no_binding_changes() {
    far_side!("without_a_plan_no_binding_changes");
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    let machine = Machine::new();
    let before = machine.essence();
    let done = far::deploy(&machine, &package, None, &machine.options());
    assert_eq!(done.end, End::Done, "{done:?}");
    let enabled = |e: &serde_json::Value| {
        let list = e["bindings"].as_array().unwrap();
        list.iter()
            .filter(|b| b["enabled"] == true)
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(enabled(&machine.essence()), enabled(&before));
    assert_eq!(machine.essence()["adapters"], before["adapters"]);
    assert_eq!(far::undeploy("mux", &machine.options()).end, End::Done);
    assert_eq!(machine.essence(), before);
}

/// Steps of a phase that run in a first deployment with a plan.
fn steps(phase: Phase) -> Vec<&'static str> {
    let rare = ["keep-previous", "remove-previous"];
    phase
        .steps()
        .iter()
        .map(|s| s.id)
        .filter(|id| !rare.contains(id))
        .collect()
}

/// Fails `step`, before or after it has done its work; the machine has to be as it was.
fn failing(step: &str, after: bool) {
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    let machine = Machine::connected_elsewhere();
    let before = machine.essence();
    println!("  {step} fails, after its work: {after}");
    machine.faults(&json!({ "fail": step, "after": after }));
    let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &machine.options());
    assert!(
        matches!(outcome.end, End::RolledBack | End::Unfit),
        "{step}: {outcome:?}"
    );
    assert_eq!(outcome.step, step, "{outcome:?}");
    assert!(outcome.differences.is_empty(), "{outcome:?}");
    assert_eq!(machine.essence(), before, "{step}");
    machine.is_swept();
}

#[test]
fn every_step_that_fails_is_taken_back() {
    far_side!("every_step_that_fails_is_taken_back");
    let all: Vec<_> = steps(Phase::Begin)
        .into_iter()
        .chain(steps(Phase::Deploy))
        .collect();
    assert!(all.len() > 20, "{all:?}");
    // Two at a time, on as many processors: all of them after their work, which leaves more
    // to take back, and those that have something to take back before it as well.
    std::thread::scope(|scope| {
        let (even, odd): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(i, _)| i % 2 == 0);
        for half in [even, odd] {
            scope.spawn(move || half.iter().for_each(|(_, step)| failing(step, true)));
        }
    });
    for step in [
        "copy-package",
        "trust-root",
        "stage-protocol",
        "install-protocol",
        "apply-plan",
        "wait-up",
        "smoke-ping",
    ] {
        failing(step, false);
    }
}

#[test]
fn power_lost_in_every_step_is_taken_back_at_the_next_start() {
    far_side!("power_lost_in_every_step_is_taken_back_at_the_next_start");
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    for step in steps(Phase::Deploy)
        .into_iter()
        .skip_while(|s| *s != "backup-complete")
    {
        let machine = Machine::connected_elsewhere();
        let before = machine.essence();
        machine.faults(&json!({ "crash": step, "after": true }));
        let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &machine.options());
        assert_eq!(outcome.end, End::RolledBack, "{step}: {outcome:?}");
        assert_eq!(machine.essence(), before, "{step}");
    }
}

#[test]
fn a_connection_that_breaks_anywhere_is_made_again() {
    far_side!("a_connection_that_breaks_anywhere_is_made_again");
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    for after in [false, true] {
        // Deploying takes nine connections or so; a number that never comes ends it.
        let mut number = 1;
        loop {
            let machine = Machine::connected_elsewhere();
            machine.faults(&json!({ "drop": number, "drop_after": after }));
            let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &machine.options());
            assert_eq!(outcome.end, End::Done, "connection {number}: {outcome:?}");
            assert!(machine.state()["services"].to_string().contains("ImMux"));
            if machine.state()["sessions"].as_u64().unwrap() < number {
                break;
            }
            number += 1;
        }
        assert!(number > 8, "{number}");
    }
}

#[test]
fn a_connection_that_never_comes_back_leaves_the_old_state() {
    far_side!("a_connection_that_never_comes_back_leaves_the_old_state");
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    for number in 1..=10 {
        let machine = Machine::new();
        let before = machine.essence();
        machine.faults(&json!({ "dead_from": number }));
        let mut options = machine.options();
        options.patience = Duration::from_millis(300);
        let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &options);
        if outcome.end == End::Done {
            // It was confirmed before.
            assert!(number > 7, "{outcome:?}");
            break;
        }
        assert!(
            matches!(outcome.end, End::Unreachable | End::Lost),
            "{outcome:?}"
        );
        machine.advance(1000);
        // Long after the time for the confirmation: what is still there was confirmed, and it
        // is the answer to that that was lost.
        if number > 7 && machine.state()["services"].to_string().contains("ImMux") {
            break;
        }
        assert_eq!(machine.essence(), before, "connection {number}");
        if number != 6 {
            continue;
        }
        // Whoever reaches it again can begin anew.
        machine.no_faults();
        let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &machine.options());
        assert_eq!(outcome.end, End::Done, "{outcome:?}");
    }
}

#[test]
fn without_a_confirmation_the_machine_takes_it_back() {
    far_side!("without_a_confirmation_the_machine_takes_it_back");
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    let machine = Machine::new();
    let before = machine.essence();
    machine.faults(&json!({ "dead_script": "confirm.ps1" }));
    let mut options = machine.options();
    options.confirm_within = 60;
    let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &options);
    assert_eq!(
        (outcome.end, outcome.step.as_str()),
        (End::RolledBack, "confirm"),
        "{outcome:?}"
    );
    assert_eq!(machine.essence(), before);
    machine.is_swept();
}

#[test]
fn what_a_removal_leaves_is_said_and_removed_the_next_time() {
    far_side!("what_a_removal_leaves_is_said_and_removed_the_next_time");
    let all = steps(Phase::BeginRemoval)
        .into_iter()
        .chain(steps(Phase::Remove));
    for step in all.chain(["compare-services", "compare-bindings", "infs-after"]) {
        let machine = Machine::deployed();
        let before = machine.before();
        machine.faults(&json!({ "fail": step }));
        let outcome = far::undeploy("mux", &machine.options());
        assert!(
            matches!(outcome.end, End::Differs | End::Unfit),
            "{step}: {outcome:?}"
        );
        assert!(
            outcome.step == step || outcome.step == "compare",
            "{step}: {outcome:?}"
        );
        machine.no_faults();
        let outcome = far::undeploy("mux", &machine.options());
        assert_eq!(outcome.end, End::Done, "{step}: {outcome:?}");
        assert_eq!(machine.essence(), before, "{step}");
        machine.is_swept();
    }
}

/// The machine is as it was before its folder is swept: what fails then is only said, and the next
/// deployment and removal take it along.
#[test]
fn what_fails_at_the_very_end_changes_nothing() {
    far_side!("what_fails_at_the_very_end_changes_nothing");
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    for step in steps(Phase::Finish) {
        let machine = Machine::deployed();
        let before = machine.before();
        machine.faults(&json!({ "fail": step }));
        let outcome = far::undeploy("mux", &machine.options());
        assert_eq!(outcome.end, End::Done, "{step}: {outcome:?}");
        assert_eq!(machine.essence(), before, "{step}");
        machine.no_faults();
        let again = far::deploy(&machine, &package, Some(&plan("mux")), &machine.options());
        assert_eq!(again.end, End::Done, "{step}: {again:?}");
        let gone = far::undeploy("mux", &machine.options());
        assert_eq!(gone.end, End::Done, "{step}: {gone:?}");
        assert_eq!(machine.essence(), before, "{step}");
        machine.is_swept();
    }
}

#[test]
fn a_removal_outlives_its_connection_and_a_restart() {
    far_side!("a_removal_outlives_its_connection_and_a_restart");
    for fault in [
        json!({ "crash": "remove-protocol" }),
        json!({ "crash": "remove-infs" }),
    ] {
        let machine = Machine::deployed();
        let before = machine.before();
        machine.faults(&fault);
        let outcome = far::undeploy("mux", &machine.options());
        assert_eq!(outcome.end, End::Done, "{outcome:?}");
        assert_eq!(machine.essence(), before);
    }
    for after in [false, true] {
        for number in 2..=4 {
            let machine = Machine::deployed();
            let before = machine.before();
            machine.faults(&json!({ "drop": number, "drop_after": after }));
            let outcome = far::undeploy("mux", &machine.options());
            assert_eq!(outcome.end, End::Done, "connection {number}: {outcome:?}");
            assert_eq!(machine.essence(), before, "connection {number}");
        }
    }
}

#[test]
fn a_second_deployment_replaces_the_first_or_leaves_it() {
    far_side!("a_second_deployment_replaces_the_first_or_leaves_it");
    let two = tempfile::tempdir().unwrap();
    let second = package(two.path(), "mux", "2", "x64");
    let infs = |machine: &Machine| {
        let dir = machine.disk().join("Windows/INF");
        let mut all: Vec<_> = std::fs::read_dir(dir)
            .unwrap()
            .map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap())
            .map(|t| t.lines().next().unwrap().to_owned())
            .collect();
        all.sort();
        all
    };
    let machine = Machine::deployed();
    let before = machine.before();
    let done = far::deploy(&machine, &second, Some(&plan("mux")), &machine.options());
    assert_eq!(done.end, End::Done, "{done:?}");
    assert!(done.findings.iter().any(|f| f.code == "again"));
    assert_eq!(infs(&machine), ["; 2", "; 2"]);
    assert_eq!(far::undeploy("mux", &machine.options()).end, End::Done);
    assert_eq!(machine.essence(), before);

    for step in [
        "keep-previous",
        "copy-package",
        "run-task",
        "remove-previous",
        "stage-protocol",
        "install-protocol",
        "apply-plan",
        "wait-up",
    ] {
        let machine = Machine::deployed();
        machine.faults(&json!({ "fail": step }));
        let outcome = far::deploy(&machine, &second, Some(&plan("mux")), &machine.options());
        assert!(
            matches!(outcome.end, End::RolledBack | End::Unfit),
            "{step}: {outcome:?}"
        );
        assert_eq!(infs(&machine), ["; 1", "; 1"], "{step}");
        let text = machine.state().to_string();
        assert!(
            text.contains("\"own\":true") && text.contains("ImMux"),
            "{step}"
        );
        machine.no_faults();
        // The first backup still serves.
        let gone = far::undeploy("mux", &machine.options());
        assert_eq!(gone.end, End::Done, "{step}: {gone:?}");
        assert_eq!(machine.essence(), before, "{step}");
    }
}

#[test]
fn a_restart_that_windows_asks_for() {
    far_side!("a_restart_that_windows_asks_for");
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    for step in ["stage-miniport", "install-protocol"] {
        let machine = Machine::connected_elsewhere();
        let before = machine.essence();
        machine.faults(&json!({ "restart": step }));
        let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &machine.options());
        assert_eq!(outcome.end, End::Restart, "{outcome:?}");
        assert_eq!(machine.essence(), before);

        let machine = Machine::connected_elsewhere();
        machine.faults(&json!({ "restart": step }));
        let mut options = machine.options();
        options.restart = true;
        let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &options);
        assert_eq!(outcome.end, End::Done, "{outcome:?}");
        assert!(
            machine.state()["boot"].as_u64().unwrap() > 0,
            "it has not restarted"
        );
    }
    // One that was pending before: refused, or done first.
    let machine = Machine::connected_elsewhere();
    machine.change(|m| m["pending_restart"] = json!(["Windows Update"]));
    let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &machine.options());
    assert_eq!(outcome.end, End::Unfit);
    let mut options = machine.options();
    options.restart = true;
    let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &options);
    assert_eq!(outcome.end, End::Done, "{outcome:?}");
    assert!(machine.state()["boot"].as_u64().unwrap() > 0);
}

type Change = fn(&mut serde_json::Value);

#[test]
fn a_machine_that_is_not_fit_is_left_alone() {
    far_side!("a_machine_that_is_not_fit_is_left_alone");
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    let cases: [(&str, Change); 10] = [
        ("administrator", |m| m["administrator"] = json!(false)),
        ("build", |m| m["build"] = json!(17763)),
        ("architecture", |m| m["architecture"] = json!("ARM64")),
        ("secure-boot", |m| m["secure_boot"] = json!(true)),
        ("test-signing", |m| m["test_signing"] = json!(false)),
        ("space", |m| m["free_bytes"] = json!(1_000_000)),
        ("wifi", |m| m["adapters"][0]["medium"] = json!(9)),
        ("hyper-v", |m| {
            m["adapters"][0]["component"] = json!("vms_mp");
        }),
        ("only-adapter", |m| {
            m["adapters"].as_array_mut().unwrap().pop();
        }),
        ("adapter", |m| {
            m["adapters"][0]["location"] = json!("pci:7:7.7");
        }),
    ];
    let machine = Machine::connected_elsewhere();
    let fresh = machine.state();
    for (code, change) in cases {
        machine.change(|m| {
            *m = fresh.clone();
            change(m);
        });
        let before = machine.essence();
        let outcome = far::deploy(&machine, &package, Some(&plan("mux")), &machine.options());
        assert_eq!(outcome.end, End::Unfit, "{code}: {outcome:?}");
        let errors: Vec<_> = outcome
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Error)
            .collect();
        assert!(
            errors
                .iter()
                .any(|f| f.code == code && !f.remedy.is_empty()),
            "{code}: {errors:?}"
        );
        assert_eq!(machine.essence(), before);
        assert_eq!(
            machine.state()["commands"],
            json!([]),
            "{code}: a command ran"
        );
        machine.is_swept();
    }
    // The plan may say that the only adapter is meant.
    machine.change(|m| {
        *m = fresh.clone();
        m["adapters"].as_array_mut().unwrap().pop();
    });
    let plan = deploy::plan::Plan::for_adapters(
        "mux",
        &["pci:0:1.0".to_owned()],
        &["only-adapter".to_owned()],
    );
    let outcome = far::deploy(&machine, &package, Some(&plan), &machine.options());
    assert_eq!(outcome.end, End::Done, "{outcome:?}");
}

#[test]
fn a_host_that_nobody_knows_is_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "mux", "1", "x64");
    let options = deploy::run::Options {
        host: deploy::ssh::Host {
            target: "nobody@labpc.invalid".to_owned(),
            config: None,
            options: Vec::new(),
        },
        confirm_within: 120,
        restart: false,
        poll: Duration::from_millis(5),
        patience: Duration::from_secs(30),
    };
    let outcome = deploy::run::deploy(&package, None, &options, &mut |_| ()).unwrap();
    assert_eq!(outcome.end, End::Unreachable);
    assert!(
        outcome.text.contains("labpc.invalid") && outcome.text.contains("check the name"),
        "{outcome:?}"
    );
}

#[test]
fn two_drivers_on_one_machine_keep_the_certificate_until_the_last_leaves() {
    far_side!("two_drivers_on_one_machine_keep_the_certificate_until_the_last_leaves");
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mux = package(one.path(), "mux", "1", "x64");
    let lbfo = package(two.path(), "lbfo", "1", "x64");
    let machine = Machine::connected_elsewhere();
    let before = machine.essence();
    let become_driver = |name: &str| std::fs::write(machine.far().join("driver"), name).unwrap();
    assert_eq!(
        far::deploy(&machine, &mux, None, &machine.options()).end,
        End::Done
    );
    let with_mux = machine.essence();
    become_driver("lbfo");
    assert_eq!(
        far::deploy(&machine, &lbfo, None, &machine.options()).end,
        End::Done
    );
    let gone = far::undeploy("lbfo", &machine.options());
    assert_eq!(gone.end, End::Done, "{gone:?}");
    assert_eq!(machine.essence(), with_mux);
    become_driver("mux");
    assert_eq!(far::undeploy("mux", &machine.options()).end, End::Done);
    assert_eq!(machine.essence(), before);
    machine.is_swept();
}

#[test]
fn a_dry_run_names_every_command_and_touches_nothing() {
    let host = deploy::ssh::Host {
        target: "student@labpc".to_owned(),
        config: None,
        options: Vec::new(),
    };
    let driver = driver("mux");
    let deploy = deploy::run::dry_run(&driver, &host, false, true);
    let remove = deploy::run::dry_run(&driver, &host, true, false);
    for phase in Phase::ALL {
        for step in phase.steps() {
            let command = driver.fill(step.run);
            assert!(
                deploy.contains(&command) || remove.contains(&command),
                "{}",
                step.id
            );
        }
    }
    assert!(deploy.contains("netcfg.exe -v -l \"%IM_PACKAGE%\\mux.inf\" -c p -i RustIM_Mux"));
}

#[test]
fn a_classroom_is_done_by_the_playbook() {
    far_side!("a_classroom_is_done_by_the_playbook");
    let Some(xtask) = std::env::var_os("IM_XTASK") else {
        println!(
            "SKIP a_classroom_is_done_by_the_playbook: IM_XTASK names no xtask; cargo xtask test"
        );
        return;
    };
    let ansible = |args: &[&str]| {
        std::process::Command::new("ansible-playbook")
            .args(args)
            .output()
    };
    if ansible(&["--version"]).is_err() {
        println!(
            "SKIP a_classroom_is_done_by_the_playbook: no ansible-playbook; cargo xtask setup --partners"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("mux");
    package(&base, "mux", "1", "x64");
    let playbook = base.join("far/playbook.yml");
    let checked = ansible(&[
        "--syntax-check",
        "-e",
        "driver=mux",
        playbook.to_str().unwrap(),
    ]);
    let checked = checked.unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );

    // Two machines are outside of the limit.
    let machine = Machine::connected_elsewhere();
    let before = machine.essence();
    let inventory = dir.path().join("lab.ini");
    std::fs::write(
        &inventory,
        "[row1]\npc01 ansible_host=labpc1\nlabpc2\n[row2]\nnobody.invalid\n",
    )
    .unwrap();
    let run = |action: &str, more: &[&str]| {
        let out = std::process::Command::new(&xtask)
            .env(
                "CARGO_MANIFEST_DIR",
                concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask"),
            )
            .args([
                action,
                "mux",
                "--serial",
                "1",
                "--limit",
                "pc01",
                "--inventory",
            ])
            .arg(&inventory)
            .arg("--ssh-config")
            .arg(machine.client_config())
            .args(more)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        (
            out.status.code(),
            text + &String::from_utf8_lossy(&out.stderr),
        )
    };
    let package = base.to_str().unwrap();
    let (code, text) = run("deploy", &["--package", package, "--adapter", "pci:0:1.0"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("pc01") && !text.contains("labpc2") && !text.contains("nobody"),
        "{text}"
    );
    assert!(machine.state()["services"].to_string().contains("ImMuxMp"));
    let (code, text) = run("undeploy", &[]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(machine.essence(), before);
    // A machine that is not fit makes the run fail.
    machine.change(|m| m["test_signing"] = json!(false));
    let (code, text) = run("deploy", &["--package", package]);
    assert_ne!(code, Some(0), "{text}");
    assert!(text.contains("test-signing"), "{text}");
    assert_eq!(machine.essence(), before);
}
