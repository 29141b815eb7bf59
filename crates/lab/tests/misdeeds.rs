//! What becomes of a driver that crashes, hangs or breaks out: a report and an
//! exit code. Each driver is a few bytes of machine code as its DriverEntry.

mod common;

use common::{Image, Said, TOPOLOGY, package, run};

fn entry(code: &[u8]) -> Said {
    entry_of(&Image::driver(code), &[])
}

fn entry_of(image: &Image, more: &[&str]) -> Said {
    let dir = package(&image.bytes(), TOPOLOGY);
    let mut arguments = vec!["--scenario", "load"];
    arguments.extend(more);
    run(dir.path(), &arguments)
}

#[track_caller]
fn assert_failed(said: &Said, texts: &[&str]) {
    assert_eq!(said.code, Some(3), "{}", said.text);
    for text in texts {
        assert!(said.text.contains(text), "no `{text}` in:\n{}", said.text);
    }
    assert_eq!(said.json["verdict"], "driver_failed");
    assert_eq!(said.json["exit_code"], 3);
    assert!(said.json["crash"]["title"].is_string(), "{}", said.json);
}

#[test]
fn a_null_pointer() {
    // mov rax, [0x18]; ret
    let said = entry(&[0x48, 0x8b, 0x04, 0x25, 0x18, 0, 0, 0, 0xc3]);
    assert_failed(
        &said,
        &[
            "the driver faulted: access violation at 0x18",
            "null page",
            "inside DriverEntry",
            "image+0x1000",
            "PASSIVE_LEVEL",
            "code at rip: 48 8b 04 25 18",
        ],
    );
}

#[test]
fn the_same_on_a_thread_of_the_real_time_engine() {
    let null = Image::driver(&[0x48, 0x8b, 0x04, 0x25, 0x18, 0, 0, 0, 0xc3]);
    let said = entry_of(&null, &["--engine", "realtime"]);
    let texts = [
        "access violation at 0x18",
        "inside DriverEntry",
        "image+0x1000",
    ];
    assert_failed(&said, &texts);
    let endless = Image::driver(&[0x50, 0xeb, 0xfd]);
    let said = entry_of(&endless, &["--engine", "realtime"]);
    assert_failed(&said, &["access violation", "inside DriverEntry"]);
}

#[test]
fn a_call_to_nowhere_names_the_caller() {
    // sub rsp, 40; xor eax, eax; call rax; add rsp, 40; ret
    let code = [
        0x48, 0x83, 0xec, 0x28, 0x31, 0xc0, 0xff, 0xd0, 0x48, 0x83, 0xc4, 0x28, 0xc3,
    ];
    let said = entry(&code);
    assert_failed(&said, &["0x0, outside the image", "image+0x1008"]);
}

#[test]
fn a_write_to_its_own_code() {
    // mov byte [rip - 7], 0 (its own first byte)
    let said = entry(&[0xc6, 0x05, 0xf9, 0xff, 0xff, 0xff, 0x00, 0xc3]);
    assert_failed(
        &said,
        &["access violation", "the driver's image, section .text"],
    );
}

#[test]
fn a_stack_that_runs_out() {
    // push rax; jmp back
    let said = entry(&[0x50, 0xeb, 0xfd]);
    assert_failed(&said, &["access violation", "stack"]);
}

#[test]
fn a_fast_fail() {
    // mov ecx, 2; int 29h
    let said = entry(&[0xb9, 2, 0, 0, 0, 0xcd, 0x29]);
    assert_failed(
        &said,
        &["failed fast (int 29h) with code 2", "stack cookie"],
    );
}

#[test]
fn a_privileged_instruction() {
    // mov rax, cr3; ret (of the control registers only cr8, the IRQL, is emulated)
    let said = entry(&[0x0f, 0x20, 0xd8, 0xc3]);
    assert_failed(&said, &["privileged instruction", "control register"]);
}

#[test]
fn a_linux_system_call_is_not_executed() {
    // mov eax, SYS_socket; mov edi, AF_INET; mov esi, SOCK_STREAM; xor edx, edx; syscall; ret
    let code = [
        0xb8, 41, 0, 0, 0, 0xbf, 2, 0, 0, 0, 0xbe, 1, 0, 0, 0, 0x31, 0xd2, 0x0f, 0x05, 0xc3,
    ];
    let said = entry(&code);
    assert_failed(
        &said,
        &[
            "the driver made a Linux system call (socket)",
            "not executed",
        ],
    );
}

#[test]
fn an_endless_loop() {
    // jmp to itself
    let said = entry_of(&Image::driver(&[0xeb, 0xfe]), &["--watchdog", "0.5"]);
    assert_failed(&said, &["the driver hangs", "a loop", "image+0x1000"]);
}

#[test]
fn a_bug_check_is_explained() {
    let mut code = vec![
        0x48, 0x83, 0xec, 0x38, // sub rsp, 56
        0xb9, 0xd1, 0, 0, 0, // mov ecx, 0xd1
        0xba, 0x10, 0, 0, 0, // mov edx, 0x10
        0x41, 0xb8, 2, 0, 0, 0, // mov r8d, 2
        0x45, 0x31, 0xc9, // xor r9d, r9d
        0x48, 0xc7, 0x44, 0x24, 0x20, 0, 0x10, 0, 0, // mov qword [rsp+32], 0x1000
    ];
    code.extend(Image::call_import(0, code.len() as u32));
    code.push(0xcc);
    let image = Image {
        imports: vec!["KeBugCheckEx"],
        ..Image::driver(&code)
    };
    let said = entry_of(&image, &[]);
    assert_failed(
        &said,
        &[
            "DRIVER_IRQL_NOT_LESS_OR_EQUAL",
            "parameter 1: 0x10 (address)",
            "parameter 2: 0x2 (IRQL)",
            "KeBugCheckEx",
            "image+0x1026",
        ],
    );
}

#[test]
fn an_entry_that_registers_nothing_breaks_a_rule() {
    // xor eax, eax; ret
    let said = entry(&[0x31, 0xc0, 0xc3]);
    assert_eq!(said.code, Some(1), "{}", said.text);
    assert!(said.text.contains("DE-8"), "{}", said.text);
    assert_eq!(said.json["verdict"], "violations");
    assert_eq!(said.json["violations"], 1);
}

#[test]
fn a_failed_entry_is_shown_with_its_status() {
    // mov eax, STATUS_UNSUCCESSFUL; ret
    let said = entry(&[0xb8, 1, 0, 0, 0xc0, 0xc3]);
    assert_eq!(said.code, Some(1), "{}", said.text);
    assert!(
        said.text.contains("DriverEntry: status 0xc0000001"),
        "{}",
        said.text
    );
}

#[test]
fn a_renamed_copy_gets_the_same_verdict() {
    let image = Image::driver(&[0x31, 0xc0, 0xc3]).bytes();
    let first = package(&image, TOPOLOGY);
    let second = package(&image, TOPOLOGY);
    std::fs::rename(
        second.path().join("driver.sys"),
        second.path().join("other-name.bin"),
    )
    .expect("rename");
    let manifest = second.path().join("manifest.json");
    let text = std::fs::read_to_string(&manifest).expect("read");
    std::fs::write(&manifest, text.replace("driver.sys", "other-name.bin")).expect("write");
    let verdicts = [first, second].map(|dir| {
        let said = run(dir.path(), &["--scenario", "load"]);
        (
            said.code,
            said.json["findings"].clone(),
            said.json["summary"].clone(),
        )
    });
    assert_eq!(verdicts[0], verdicts[1]);
    assert_eq!(verdicts[0].0, Some(1));
}
