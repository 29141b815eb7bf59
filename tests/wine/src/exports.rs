//! The functions for rundll32, over the scripted configuration.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::ffi::c_void;
use core::sync::atomic::Ordering;

use serde_json::{Value, json};
use windows::Win32::Foundation::{CloseHandle, HINSTANCE, HWND};
use windows::Win32::Storage::FileSystem::{
    CREATE_ALWAYS, CreateFileW, FILE_ATTRIBUTE_NORMAL, FILE_GENERIC_READ, FILE_GENERIC_WRITE,
    FILE_SHARE_DELETE, FILE_SHARE_READ, OPEN_EXISTING, ReadFile, WriteFile,
};
use windows::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, CoRegisterClassObject, CoRevokeClassObject, REGCLS_MULTIPLEUSE,
};
use windows::Win32::System::Threading::{
    CreateThread, INFINITE, Sleep, THREAD_CREATION_FLAGS, WaitForSingleObject,
};
use windows::core::GUID;

use crate::dll::{Dll, Export};
use crate::interfaces::{plan, shape};
use crate::run::{Args, Tally};
use crate::script::Factory;
use crate::wide::Wide;
use crate::world::{LIVE, WIFI, World};

const NET_CFG: GUID = GUID::from_u128(0x5b035261_40f9_11d1_aaec_00805fc1270e);

fn write(path: &str, content: &[u8]) {
    let path = Wide::new(path);
    // SAFETY: a text that ends with NUL; the length goes with the bytes.
    unsafe {
        let file = CreateFileW(
            path.as_ptr(),
            FILE_GENERIC_WRITE.0,
            FILE_SHARE_READ,
            None,
            CREATE_ALWAYS,
            FILE_ATTRIBUTE_NORMAL,
            None,
        );
        if let Ok(file) = file {
            let _ = WriteFile(file, Some(content), None, None);
            let _ = CloseHandle(file);
        }
    }
}

fn read(path: &str) -> Value {
    let path = Wide::new(path);
    let mut content = alloc::vec![0; 1 << 20];
    let mut length = 0;
    // SAFETY: a text that ends with NUL; the length goes with the bytes.
    unsafe {
        let share = FILE_SHARE_READ | FILE_SHARE_DELETE;
        let file = CreateFileW(
            path.as_ptr(),
            FILE_GENERIC_READ.0,
            share,
            None,
            OPEN_EXISTING,
            FILE_ATTRIBUTE_NORMAL,
            None,
        );
        let Ok(file) = file else { return Value::Null };
        let _ = ReadFile(file, Some(&mut content), Some(&raw mut length), None);
        let _ = CloseHandle(file);
    }
    serde_json::from_slice(&content[..length as usize]).unwrap_or(Value::Null)
}

/// The DLL's functions and where their files are.
struct Calls {
    state: Export,
    apply: Export,
    confirm: Export,
    compare: Export,
    restore: Export,
    device: Export,
    folder: String,
}

impl Calls {
    fn of(dll: &Dll, args: &Args) -> Option<Self> {
        Some(Self {
            state: dll.export(c"StateW")?,
            apply: dll.export(c"ApplyW")?,
            confirm: dll.export(c"ConfirmW")?,
            compare: dll.export(c"CompareW")?,
            restore: dll.export(c"RestoreW")?,
            device: dll.export(c"DeviceW")?,
            folder: args.folder.clone(),
        })
    }

    /// Calls one as rundll32 does.
    fn call(&self, export: Export, input: &str) -> Value {
        let (from, to) = (
            format!("{}\\in.json", self.folder),
            format!("{}\\out.json", self.folder),
        );
        write(&from, input.as_bytes());
        write(&to, b"");
        // A path in quotes and one without.
        let line = Wide::new(&format!("\"{from}\" {to}"));
        // SAFETY: a text that ends with NUL.
        unsafe { export(HWND::default(), HINSTANCE::default(), line.as_ptr(), 0) };
        read(&to)
    }
}

fn text<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer.get(key).and_then(Value::as_str).unwrap_or("")
}

fn codes(answer: &Value) -> Vec<&str> {
    let reasons = answer.get("reasons").and_then(Value::as_array);
    reasons
        .into_iter()
        .flatten()
        .map(|r| text(r, "code"))
        .collect()
}

/// What a thread needs that confirms.
struct Confirmation {
    confirm: Export,
    folder: String,
    token_is_right: bool,
}

/// Waits for `pending`, then confirms.
unsafe extern "system" fn confirm(parameter: *mut c_void) -> u32 {
    // SAFETY: the starter's, who waits for this thread.
    let told = unsafe { &*parameter.cast::<Confirmation>() };
    let answer = format!("{}\\out.json", told.folder);
    for _ in 0..500 {
        let pending = read(&answer);
        if text(&pending, "result") == "pending" {
            let token = if told.token_is_right {
                text(&pending, "token")
            } else {
                "{0}"
            };
            let (from, to) = (
                format!("{}\\confirm.json", told.folder),
                format!("{}\\confirmed.json", told.folder),
            );
            write(
                &from,
                json!({ "token": token, "answer": answer })
                    .to_string()
                    .as_bytes(),
            );
            let line = Wide::new(&format!("{from} {to}"));
            // SAFETY: a text that ends with NUL.
            unsafe { (told.confirm)(HWND::default(), HINSTANCE::default(), line.as_ptr(), 0) };
            return 1;
        }
        // SAFETY: waits.
        unsafe { Sleep(20) };
    }
    0
}

/// All of it.
pub fn all(dll: &Dll, args: &Args, tally: &Tally) {
    let Some(calls) = Calls::of(dll, args) else {
        tally.check(false, "the functions for rundll32 are there");
        return;
    };
    let world = World::new(args);
    let factory = Factory::new(&world);
    // SAFETY: the apartment is entered; taken back below.
    let cookie = unsafe {
        CoRegisterClassObject(&NET_CFG, &factory, CLSCTX_INPROC_SERVER, REGCLS_MULTIPLEUSE)
    };
    tally.check(cookie.is_ok(), "CoRegisterClassObject");
    drop(factory);

    run(&calls, &world, args, tally);
    failures(&calls, &world, args, tally);
    confirmations(&calls, &world, args, tally);

    tally.check(
        !world.locked.get() && !world.initialised.get(),
        "the lock is given back",
    );
    if let Ok(cookie) = cookie {
        // SAFETY: registered above.
        let _ = unsafe { CoRevokeClassObject(cookie) };
    }
    drop(world);
    tally.equal(
        &LIVE.load(Ordering::Acquire),
        &0,
        "scripted objects left by the exports",
    );
    tally.check(dll.is_free(), "nothing holds the DLL after its exports");
}

fn run(calls: &Calls, world: &Rc<World>, args: &Args, tally: &Tally) {
    let start = world.picture();
    let before = calls.call(calls.state, "");
    tally.equal(&text(&before, "result"), &"state", "State");
    tally.equal(
        &text(&before, "driver"),
        &args.driver.name,
        "the driver's name",
    );
    let adapters = before["state"]["adapters"].as_array().map_or(0, Vec::len);
    tally.equal(&adapters, &3, "adapters of the state");
    tally.equal(&world.picture(), &start, "State changes nothing");

    let done = calls.call(calls.apply, &plan(args, 0));
    tally.equal(
        &text(&done, "result"),
        &"confirmed",
        "Apply without a confirmation",
    );
    shape(world, args, tally);
    let miniports = done["miniports"].as_array().map_or(0, Vec::len);
    tally.equal(
        &miniports,
        &world.miniports().len(),
        "miniports of the answer",
    );
    let again = calls.call(calls.apply, &plan(args, 0));
    tally.equal(&text(&again, "result"), &"unchanged", "Apply a second time");

    let input = json!({ "before": before });
    let compared = calls.call(calls.compare, &input.to_string());
    tally.equal(
        &text(&compared, "result"),
        &"different",
        "Compare after Apply",
    );
    tally.check(
        compared["differences"]
            .as_array()
            .is_some_and(|d| d.len() > 5),
        "differences",
    );

    let restored = calls.call(calls.restore, &before.to_string());
    tally.equal(&text(&restored, "result"), &"restored", "Restore");
    tally.equal(&world.picture(), &start, "Restore leaves no difference");
    let compared = calls.call(calls.compare, &input.to_string());
    tally.equal(&text(&compared, "result"), &"same", "Compare after Restore");
    let restored = calls.call(calls.restore, &before.to_string());
    tally.equal(
        &text(&restored, "result"),
        &"unchanged",
        "Restore a second time",
    );

    // The empty plan takes everything away as well.
    let _ = calls.call(calls.apply, &plan(args, 0));
    let empty = format!(
        r#"{{"format":1,"driver":"{}","confirm_within":0}}"#,
        args.driver.name
    );
    let done = calls.call(calls.apply, &empty);
    tally.equal(&text(&done, "result"), &"confirmed", "the empty plan");
    tally.equal(
        &world.picture(),
        &start,
        "the empty plan leaves no difference",
    );

    // What is no plan, and what no plan may do.
    let wifi = plan(args, 0).replace("0000A002}", "0000A003}");
    tally.check(
        wifi.contains(&WIFI.to_string()),
        "a plan with the Wi-Fi adapter",
    );
    for (input, code) in [
        (wifi.as_str(), "wifi"),
        ("{", "plan-syntax"),
        ("", "plan-syntax"),
        (r#"{"format":1,"driver":"another"}"#, "plan-driver"),
    ] {
        let refused = calls.call(calls.apply, input);
        tally.equal(&text(&refused, "result"), &"refused", code);
        tally.check(codes(&refused).contains(&code), code);
    }
    for (export, input) in [
        (calls.restore, "{}"),
        (calls.restore, r#"{"adapters":[{}]}"#),
        (calls.compare, "[1]"),
        (
            calls.confirm,
            r#"{"token":"x","answer":"C:\\nothing.json"}"#,
        ),
        (calls.confirm, "{}"),
    ] {
        let failed = calls.call(export, input);
        tally.equal(&text(&failed, "result"), &"failed", input);
    }
    // No driver is loaded here: the device is not there, and that is said by name.
    let failed = calls.call(calls.device, "");
    tally.equal(&text(&failed, "result"), &"failed", "Device");
    let device = format!(r"\\\\.\\{} cannot be opened: 0x80070002", args.driver.name);
    tally.check(failed.to_string().contains(&device), "which device");
    world.taken.set(true);
    let failed = calls.call(calls.apply, &plan(args, 0));
    tally.check(
        failed.to_string().contains("someone else"),
        "who has the lock is told",
    );
    world.taken.set(false);
    tally.equal(&world.picture(), &start, "refusals change nothing");
    tally.check(
        !world.locked.get() && !world.initialised.get(),
        "nothing stays locked",
    );
    // No answer can be written: nothing to hold on to, and no crash.
    // SAFETY: a text that ends with NUL.
    unsafe {
        let line = Wide::new("one-word");
        (calls.state)(HWND::default(), HINSTANCE::default(), line.as_ptr(), 0);
    }
}

fn failures(calls: &Calls, world: &Rc<World>, args: &Args, tally: &Tally) {
    let start = world.picture();
    let mut n = 0;
    loop {
        n += 1;
        world.fail_at(n);
        let answer = calls.call(calls.apply, &plan(args, 0));
        let reached = world.calls.get() >= n;
        world.fail_at(0);
        if !reached {
            tally.equal(
                &text(&answer, "result"),
                &"confirmed",
                "Apply without a failure",
            );
            break;
        }
        let same = world.picture() == start && !world.locked.get() && !world.initialised.get();
        if text(&answer, "result") != "failed" || answer["rolled_back"] != json!(true) || !same {
            tally.check(
                false,
                &format!("Apply with failing call {n}: {answer}\n{}", world.picture()),
            );
            break;
        }
    }
    tally.check(n > 100, &format!("{n} calls of Apply failed in turn"));
    let empty = format!(
        r#"{{"format":1,"driver":"{}","confirm_within":0}}"#,
        args.driver.name
    );
    let _ = calls.call(calls.apply, &empty);
    tally.equal(&world.picture(), &start, "back at the start");
}

fn confirmations(calls: &Calls, world: &Rc<World>, args: &Args, tally: &Tally) {
    let start = world.picture();
    // Nobody comes back.
    let answer = calls.call(calls.apply, &plan(args, 1));
    tally.equal(&text(&answer, "result"), &"rolled-back", "no confirmation");
    tally.equal(
        &answer["rolled_back"],
        &json!(true),
        "rolled back as a whole",
    );
    tally.equal(
        &world.picture(),
        &start,
        "no confirmation leaves the old state",
    );
    tally.check(
        !world.locked.get(),
        "the lock is given back after a roll-back",
    );

    // Someone confirms something else, someone confirms.
    for (token_is_right, seconds, result) in [(false, 2, "rolled-back"), (true, 20, "confirmed")] {
        let told = Confirmation {
            confirm: calls.confirm,
            folder: calls.folder.clone(),
            token_is_right,
        };
        // SAFETY: the thread's parameter lives until the thread has ended.
        unsafe {
            let parameter = Some((&raw const told).cast::<c_void>());
            let Ok(thread) = CreateThread(
                None,
                0,
                Some(confirm),
                parameter,
                THREAD_CREATION_FLAGS(0),
                None,
            ) else {
                tally.check(false, "CreateThread");
                return;
            };
            let answer = calls.call(calls.apply, &plan(args, seconds));
            WaitForSingleObject(thread, INFINITE);
            let _ = CloseHandle(thread);
            tally.equal(&text(&answer, "result"), &result, "a confirmation");
        }
        let said = read(&format!("{}\\confirmed.json", calls.folder));
        let wanted = if token_is_right {
            "confirmed"
        } else {
            "failed"
        };
        tally.equal(
            &text(&said, "result"),
            &wanted,
            &format!("Confirm: {:?}", codes(&said)),
        );
        if text(&said, "result") != wanted {
            crate::run::print(&said.to_string());
        }
        if token_is_right {
            shape(world, args, tally);
        } else {
            tally.equal(
                &world.picture(),
                &start,
                "a wrong confirmation leaves the old state",
            );
        }
    }
}
