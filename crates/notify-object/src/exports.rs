//! The functions for rundll32: each takes two paths and answers in the file of the second.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use netcfg::{Journal, Mode, Plan, State, decide, differences};
use serde_json::{Value, json};
use windows::Win32::Foundation::{HINSTANCE, HWND};
use windows::Win32::System::Com::{
    COINIT_APARTMENTTHREADED, CoCreateGuid, CoInitializeEx, CoUninitialize,
};
use windows::Win32::System::SystemInformation::GetTickCount64;
use windows::Win32::System::Threading::Sleep;
use windows::core::PCWSTR;

use crate::answer::Answer;
use crate::device::Device;
use crate::interfaces::of_guid;
use crate::own::{self, AT_WORK, Alive, OWN};
use crate::report::report;
use crate::session::Session;
use crate::{files, wide};

/// How often the confirmation is looked for, milliseconds.
const LOOK: u32 = 100;

macro_rules! exports {
    ($($(#[$doc:meta])* $name:ident = $export:literal => $does:ident;)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        extern "system" fn $name(_: HWND, _: HINSTANCE, line: PCWSTR, _: i32) {
            run($export, line, $does);
        }
    )*};
}

exports! {
    /// The state.
    StateW = "State" => state;
    /// Carries out a plan.
    ApplyW = "Apply" => apply;
    /// Confirms that.
    ConfirmW = "Confirm" => confirm;
    /// Tells differences.
    CompareW = "Compare" => compare;
    /// Goes back to a state.
    RestoreW = "Restore" => restore;
    /// Asks the running driver.
    DeviceW = "Device" => device;
}

/// An export at work.
struct Call {
    export: &'static str,
    input: String,
    output: String,
}

impl Call {
    fn log(&self, text: &str) {
        files::log(
            Some(&format!("{}.log", self.output)),
            &format!("{}: {text}", self.export),
        );
    }

    fn answer(&self, answer: &Answer) {
        match files::replace(&self.output, &answer.text()) {
            Ok(()) => self.log(&answer.result()),
            Err(error) => self.log(&format!(
                "{} cannot be written: {:#010X}",
                self.output,
                error.code().0
            )),
        }
    }

    fn failed(&self, text: impl Into<String>) -> Answer {
        Answer::failed(self.export, text)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Answer> {
        files::read(path)
            .map_err(|e| self.failed(format!("{path} cannot be read: {:#010X}", e.code().0)))
    }

    fn json(&self) -> Result<Value, Answer> {
        let text = self.read(&self.input)?;
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        serde_json::from_slice(text).map_err(|e| self.failed(format!("{}: {e}", self.input)))
    }

    /// A state: as it is, or in an answer.
    fn state_of(&self, value: &Value) -> Result<State, Answer> {
        let inner = value.get("state").unwrap_or(value);
        if !inner.get("adapters").is_some_and(Value::is_array) {
            return Err(self.failed("no state is given"));
        }
        serde_json::from_value(inner.clone()).map_err(|e| self.failed(format!("the state: {e}")))
    }

    fn open(&self, write: bool) -> Result<Session, Answer> {
        Session::open(write).map_err(|p| (self.export, p).into())
    }

    fn present(&self, session: &mut Session) -> Result<State, Answer> {
        session.system.state().map_err(|p| (self.export, p).into())
    }
}

fn run(export: &'static str, line: PCWSTR, does: fn(&Call) -> Result<Answer, Answer>) {
    let _alive = Alive::new();
    let words = if line.is_null() {
        None
    } else {
        // SAFETY: rundll32 passes a text that ends with NUL.
        files::two_words(&wide::of(unsafe { line.as_wide() }))
    };
    let Some([input, output]) = words else {
        files::log(None, &format!("{export}: two paths are wanted"));
        return;
    };
    let call = Call {
        export,
        input,
        output,
    };
    // SAFETY: paired with the end of this function where it succeeds.
    let entered = unsafe { CoInitializeEx(None, COINIT_APARTMENTTHREADED) }.is_ok();
    let answer = does(&call).unwrap_or_else(|answer| answer);
    call.answer(&answer);
    if entered {
        // SAFETY: entered above; every interface of this call is released.
        unsafe { CoUninitialize() };
    }
}

/// What the network configuration reports while this lives is our own doing.
struct AtWork(());

impl AtWork {
    fn begin() -> Self {
        AT_WORK.store(true, Ordering::Release);
        Self(())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.store(false, Ordering::Release);
    }
}

fn state(call: &Call) -> Result<Answer, Answer> {
    let mut session = call.open(false)?;
    let state = call.present(&mut session)?;
    Ok(Answer::new(call.export, "state").with("state", json!(state)))
}

/// What the driver says of itself by its control device; nothing is read from the input.
fn device(call: &Call) -> Result<Answer, Answer> {
    let failed = |text: String| call.failed(text);
    let device = Device::open().map_err(failed)?;
    let report = report(|kind, index| device.ask(kind, index)).map_err(failed)?;
    let result = if report.faults.is_empty() {
        "running"
    } else {
        "not-running"
    };
    Ok(Answer::new(call.export, result)
        .with("faults", json!(report.faults))
        .with("device", report.value))
}

fn compare(call: &Call) -> Result<Answer, Answer> {
    let input = call.json()?;
    let part = |name| input.get(name).filter(|v| !v.is_null());
    let before = part("before").ok_or_else(|| call.failed("`before` is wanted"))?;
    let before = call.state_of(before)?;
    let after = match part("after") {
        Some(after) => call.state_of(after)?,
        None => call.present(&mut call.open(false)?)?,
    };
    let found = differences(&before, &after);
    let result = if found.is_empty() {
        "same"
    } else {
        "different"
    };
    Ok(Answer::new(call.export, result).with("differences", json!(found)))
}

fn restore(call: &Call) -> Result<Answer, Answer> {
    let saved = call.state_of(&call.json()?)?;
    let _work = AtWork::begin();
    let mut session = call.open(true)?;
    let now = call.present(&mut session)?;
    let ops = decide::restore(&now, &saved, &OWN);
    if ops.is_empty() {
        return Ok(Answer::new(call.export, "unchanged").with_operations(&ops));
    }
    match session.carry_out(&Session::made(&now), &ops) {
        Ok(_) => Ok(Answer::new(call.export, "restored")
            .with_operations(&ops)
            .with("restart", json!(session.system.restart))),
        Err(failure) => Err(Answer::broken(call.export, &failure.text, &failure.left)),
    }
}

fn apply(call: &Call) -> Result<Answer, Answer> {
    let refused = |reasons: Vec<netcfg::Reason>| Answer::refused(call.export, "refused", &reasons);
    let plan = Plan::read(&call.read(&call.input)?, &OWN).map_err(refused)?;
    let confirmation = confirmation(&call.output);
    files::delete(&confirmation);
    let token = token();

    let work = AtWork::begin();
    let mut session = call.open(true)?;
    let before = call.present(&mut session)?;
    let ops = decide::plan(&before, &plan, &OWN, Mode::Strict).map_err(refused)?;
    if ops.is_empty() {
        return Ok(Answer::new(call.export, "unchanged")
            .with("before", json!(before))
            .with_operations(&ops));
    }
    let mut journal = match session.carry_out(&Session::made(&before), &ops) {
        Ok(journal) => journal,
        Err(failure) => return Err(Answer::broken(call.export, &failure.text, &failure.left)),
    };
    let mut restart = session.system.restart;
    // Others may change the configuration while this waits.
    drop(session);
    drop(work);

    let answer = |result: &str, journal: &Journal, restart: bool| {
        Answer::new(call.export, result)
            .with("token", json!(token))
            .with("confirm_within", json!(plan.confirm_within))
            .with("before", json!(before))
            .with_miniports(journal, &plan, &before)
            .with_operations(&ops)
            .with("restart", json!(restart))
    };
    let confirmed = plan.confirm_within == 0 || {
        let pending = answer("pending", &journal, restart);
        // Nobody could confirm what nobody was told.
        let told = files::replace(&call.output, &pending.text());
        told.is_ok() && wait(&confirmation, &token, plan.confirm_within)
    };
    files::delete(&confirmation);
    if confirmed {
        return Ok(answer("confirmed", &journal, restart));
    }
    call.log("no confirmation: rolling back");
    let left = roll_back(call, &mut journal, &mut restart);
    let done = answer("rolled-back", &journal, restart).with("rolled_back", json!(left.is_empty()));
    Ok(if left.is_empty() {
        done
    } else {
        Answer::broken(
            call.export,
            "no confirmation came, and the roll-back failed",
            &left,
        )
        .with("before", json!(before))
    })
}

/// Undoes a journal under the lock. Who has the lock may take long: it is tried for as
/// long as it takes, since there is nothing better to do.
fn roll_back(call: &Call, journal: &mut Journal, restart: &mut bool) -> Vec<String> {
    const TRIES: usize = 20;
    let _work = AtWork::begin();
    let mut problem = String::new();
    for _ in 0..TRIES {
        match Session::open(true) {
            Ok(mut session) => {
                let left = session.undo(journal);
                *restart |= session.system.restart;
                return left;
            }
            Err(p) => {
                problem = p.to_string();
                call.log(&format!("roll-back: {problem}"));
                // SAFETY: waits.
                unsafe { Sleep(10 * LOOK) };
            }
        }
    }
    alloc::vec![problem]
}

fn confirmation(output: &str) -> String {
    format!("{output}.confirmed")
}

fn token() -> String {
    // SAFETY: a call without arguments.
    let guid = unsafe { CoCreateGuid() };
    guid.map_or_else(|_| String::from("-"), |g| of_guid(g).to_string())
}

/// Whether the confirmation comes in time.
fn wait(path: &str, token: &str, seconds: u32) -> bool {
    // SAFETY: calls without arguments, or a time.
    let now = || unsafe { GetTickCount64() };
    let end = now() + u64::from(seconds) * 1000;
    loop {
        let said = files::read(path).ok();
        if said.is_some_and(|text| text == token.as_bytes()) {
            return true;
        }
        if now() >= end {
            return false;
        }
        // SAFETY: waits.
        unsafe { Sleep(LOOK) };
    }
}

fn confirm(call: &Call) -> Result<Answer, Answer> {
    let input = call.json()?;
    let text = |name: &str| {
        let found = input.get(name).and_then(Value::as_str);
        found.ok_or_else(|| call.failed(format!("`{name}` is wanted")))
    };
    let (token, path) = (text("token")?, text("answer")?);
    let pending = files::read(path)
        .ok()
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let field = |name: &str| {
        pending
            .as_ref()
            .and_then(|p| p.get(name))
            .and_then(Value::as_str)
    };
    if field("result") != Some("pending")
        || field("token") != Some(token)
        || field("driver") != Some(own::DRIVER)
    {
        return Err(call.failed(format!("nothing waits for that confirmation in {path}")));
    }
    let written = files::replace(&confirmation(path), token.as_bytes());
    written.map_err(|e| {
        call.failed(format!(
            "{path}.confirmed cannot be written: {:#010X}",
            e.code().0
        ))
    })?;
    Ok(Answer::new(call.export, "confirmed"))
}
