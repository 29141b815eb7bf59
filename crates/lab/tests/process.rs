//! The child process: what it may not do, and how its end is reported.
//! Every probe runs in a child of its own, started from the real binary.

use std::{os::unix::process::ExitStatusExt, path::PathBuf, time::Duration};

use lab::{
    crash::{handler::EXIT_CRASHED, record::Where},
    process::{Ended, Launch, Limits, Message, Outcome, Probe, Work, run},
};
use lab_host::report::Event;

fn launch(probe: Probe) -> Launch {
    Launch {
        program: PathBuf::from(env!("CARGO_BIN_EXE_lab")),
        watchdog: Duration::from_secs(20),
        ..Launch::new(Work::Probe(probe))
    }
}

fn probe_with(launch: Launch) -> (Vec<Message>, Outcome) {
    let mut messages = Vec::new();
    let outcome = run(launch, |message| messages.push(message)).expect("the child starts");
    (messages, outcome)
}

fn probe(which: Probe) -> (Vec<Message>, Outcome) {
    probe_with(launch(which))
}

fn logs(messages: &[Message]) -> Vec<&str> {
    messages
        .iter()
        .filter_map(|message| match message {
            Message::Event {
                event: Event::Log { text, .. },
            } => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

fn assert_crashed(outcome: &Outcome) {
    match outcome.ended {
        Ended::Itself(status) => assert_eq!(status.code(), Some(EXIT_CRASHED), "{outcome:?}"),
        other => panic!("{other:?}"),
    }
}

/// The probe was stopped at the system call: nothing was said, the record names it.
fn assert_stopped_at(which: Probe, syscalls: &[i64]) {
    let (messages, outcome) = probe(which);
    assert!(
        matches!(messages.first(), Some(Message::Confined { .. })),
        "{messages:?}"
    );
    assert_eq!(logs(&messages), [""; 0], "the forbidden call was executed");
    assert_crashed(&outcome);
    let record = outcome.record.expect("a record");
    assert_eq!(record.signal, libc::SIGSYS);
    assert!(syscalls.contains(&record.syscall), "{}", record.syscall);
    assert_eq!(record.place, Where::Host);
}

#[test]
fn a_job_reports_and_ends() {
    let (messages, outcome) = probe(Probe::Report);
    let progress = messages
        .iter()
        .filter(|message| {
            matches!(
                message,
                Message::Event {
                    event: Event::Progress { .. }
                }
            )
        })
        .count();
    assert_eq!(progress, 3);
    assert_eq!(messages.last(), Some(&Message::Done));
    assert!(outcome.record.is_none());
    assert!(outcome.stray.is_empty(), "{:?}", outcome.stray);
    match outcome.ended {
        Ended::Itself(status) => assert!(status.success()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn root_is_given_up() {
    let (messages, _) = probe(Probe::Report);
    let own = nix::unistd::Uid::effective();
    let expected = if own.is_root() {
        "user 65534".to_owned()
    } else {
        format!("user {own}")
    };
    assert_eq!(logs(&messages), [expected.as_str()]);
}

#[test]
fn the_child_cannot_open_a_file() {
    assert_stopped_at(Probe::Open, &[libc::SYS_openat, libc::SYS_open]);
}

#[test]
fn the_child_cannot_create_a_socket() {
    assert_stopped_at(Probe::Socket, &[libc::SYS_socket]);
}

#[test]
fn the_child_cannot_run_a_program() {
    let (messages, outcome) = probe(Probe::Exec);
    assert_eq!(logs(&messages), [""; 0], "the forbidden call was executed");
    // The library blocks all signals around the call: then the kernel ends the
    // process itself, without a record.
    match outcome.ended {
        Ended::Itself(status) => assert!(
            status.signal() == Some(libc::SIGSYS) || status.code() == Some(EXIT_CRASHED),
            "{outcome:?}"
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_child_cannot_fork() {
    assert_stopped_at(Probe::Fork, &[libc::SYS_clone, libc::SYS_fork]);
}

#[test]
fn the_child_cannot_take_over_signals_or_send_them() {
    assert_stopped_at(Probe::Sigaction, &[libc::SYS_rt_sigaction]);
    assert_stopped_at(Probe::Kill, &[libc::SYS_kill]);
}

#[test]
fn execve_itself_is_refused() {
    assert_stopped_at(Probe::Execve, &[libc::SYS_execve]);
}

#[test]
fn threads_only_where_the_engine_needs_them() {
    let mut launch_threads = launch(Probe::Thread);
    launch_threads.limits = Limits {
        threads: true,
        ..Limits::default()
    };
    let (messages, outcome) = probe_with(launch_threads);
    assert_eq!(
        logs(&messages),
        ["a thread answered Some(42)"],
        "{outcome:?}"
    );

    let (messages, outcome) = probe(Probe::Thread);
    assert_eq!(logs(&messages), [""; 0]);
    assert_crashed(&outcome);
    assert_eq!(outcome.record.expect("a record").signal, libc::SIGSYS);
}

#[test]
fn the_child_can_map_and_run_code() {
    let (messages, outcome) = probe(Probe::Memory);
    assert_eq!(
        logs(&messages),
        ["code of our own answered 42"],
        "{outcome:?}"
    );
}

#[test]
fn a_fault_leaves_a_record() {
    let (_, outcome) = probe(Probe::Segv);
    assert_crashed(&outcome);
    let record = outcome.record.expect("a record");
    assert_eq!(record.signal, libc::SIGSEGV);
    assert_eq!(record.address, 0x18);
    assert_eq!(record.place, Where::Host);
    assert!(!record.code_bytes.is_empty());
    assert!(record.stack.len() >= 4096, "{}", record.stack.len());
}

#[test]
fn a_stack_overflow_leaves_a_record() {
    let (_, outcome) = probe(Probe::Overflow);
    assert_crashed(&outcome);
    let record = outcome.record.expect("a record");
    assert!(matches!(record.signal, libc::SIGSEGV | libc::SIGBUS));
    let rsp = record.register("rsp").expect("rsp");
    assert!(record.address.abs_diff(rsp) < 1 << 20, "{record:x?}");
}

#[test]
fn a_panic_of_the_host_says_what_and_where() {
    let (messages, _) = probe(Probe::Panic);
    let trouble = messages
        .iter()
        .find_map(|message| match message {
            Message::Failed { trouble } => Some(trouble),
            _ => None,
        })
        .expect("a message");
    assert!(trouble.what.contains("a probe panics"), "{trouble}");
    let place = trouble.place.as_deref().unwrap_or_default();
    assert!(place.contains("probe.rs"), "{trouble}");
    assert_eq!(trouble.verdict().code(), 4);
}

#[test]
fn a_silent_child_is_asked_and_ended() {
    let mut spin = launch(Probe::Spin);
    spin.watchdog = Duration::from_millis(300);
    let (_, outcome) = probe_with(spin);
    assert_eq!(outcome.ended, Ended::Silent(Duration::from_millis(300)));
    let record = outcome.record.expect("it says where it was");
    assert_eq!(record.signal, libc::SIGUSR1);
    assert_ne!(record.register("rip"), Some(0));
}

#[test]
fn the_cpu_limit_ends_a_child_with_a_record() {
    let mut spin = launch(Probe::Spin);
    spin.limits = Limits {
        cpu_seconds: 1,
        ..Limits::default()
    };
    let (_, outcome) = probe_with(spin);
    assert_crashed(&outcome);
    assert_eq!(outcome.record.expect("a record").signal, libc::SIGXCPU);
}

#[test]
fn the_memory_limit_holds() {
    let mut hog = launch(Probe::Hog);
    hog.limits = Limits {
        memory: 2 << 30,
        ..Limits::default()
    };
    let (messages, _) = probe_with(hog);
    let said = logs(&messages);
    assert_eq!(said.len(), 1, "{messages:?}");
    let granted: u64 = said[0]
        .strip_prefix("refused after ")
        .and_then(|rest| rest.strip_suffix(" MiB"))
        .and_then(|number| number.parse().ok())
        .expect("a number");
    assert!((256..2048).contains(&granted), "{granted} MiB");
}

#[test]
fn a_child_by_hand_says_that_it_is_not_for_hands() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("__child")
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("not by hand"), "{text}");
}

fn alive(pid: i32) -> bool {
    // A zombie has ended; only its parent has not looked yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited 5 s in vain: {what}");
}

/// A parent with a spinning child, and the child's id.
fn spinning() -> (std::process::Child, i32) {
    use std::io::BufRead;
    let mut parent = std::process::Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["__probe", "spin"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = std::io::BufReader::new(parent.stdout.take().expect("piped")).lines();
    let line = lines.next().expect("a line").expect("text");
    match serde_json::from_str(&line).expect("a message") {
        Message::Confined { pid, .. } => (parent, pid),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_interrupted_parent_leaves_no_child_and_exits_130() {
    let (mut parent, child) = spinning();
    assert!(alive(child));
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(parent.id() as i32),
        nix::sys::signal::Signal::SIGINT,
    )
    .expect("signals");
    let status = parent.wait().expect("ends");
    assert_eq!(status.code(), Some(130));
    assert!(!alive(child), "the child outlived its parent");
}

#[test]
fn a_killed_parent_leaves_no_child() {
    let (mut parent, child) = spinning();
    assert!(alive(child));
    parent.kill().expect("kills");
    parent.wait().expect("ends");
    wait_until("the child ends", || !alive(child));
}
