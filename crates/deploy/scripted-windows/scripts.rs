//! The scripts: their steps are read from the uploaded files, line by line; what is around
//! the steps follows `far/runner.ps1` and the scripts themselves.

use serde_json::{Value, json};

use crate::Far;
use crate::commands::Answer;

/// A step, as its line in a script says it.
#[derive(Debug, Clone, Default)]
struct Step {
    id: String,
    run: String,
    accept: Vec<i32>,
    restart: Vec<i32>,
    answer: String,
    results: Vec<String>,
    each: String,
    when: String,
    unless: String,
    retry: u64,
    undo: String,
    undo_each: String,
}

const BUSY: [&str; 6] = [
    "begun",
    "working",
    "waiting",
    "restart",
    "rolling-back",
    "removing",
];

/// Reads `(Step -Id 'x' -Run '...' ...)`; anything else is no step.
fn parse(line: &str) -> Option<Step> {
    let mut rest = line.trim().strip_prefix("(Step ")?.strip_suffix(')')?;
    let mut step = Step {
        accept: vec![0],
        ..Step::default()
    };
    while !rest.is_empty() {
        let (option, after) = rest.strip_prefix('-')?.split_once(' ')?;
        let (values, after) = values(after)?;
        rest = after.trim_start();
        let numbers = || {
            values
                .iter()
                .map(|v| v.parse().expect("a number"))
                .collect()
        };
        let first = values.first()?.clone();
        match option {
            "Id" => step.id = first,
            "Run" => step.run = first,
            "Accept" => step.accept = numbers(),
            "Restart" => step.restart = numbers(),
            "Answer" => step.answer = first,
            "Result" => step.results = values,
            "Each" => step.each = first,
            "When" => step.when = first,
            "Unless" => step.unless = first,
            "Retry" => step.retry = first.parse().expect("seconds"),
            "Undo" => step.undo = first,
            "UndoEach" => step.undo_each = first,
            other => panic!("an option that is not known: {other}"),
        }
    }
    Some(step)
}

/// Values with commas between them: single-quoted, or bare numbers.
fn values(text: &str) -> Option<(Vec<String>, &str)> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix('\'') {
            let mut chars = quoted.char_indices().peekable();
            let mut end = None;
            while let Some((at, c)) = chars.next() {
                if c != '\'' {
                    value.push(c);
                } else if chars.next_if(|n| n.1 == '\'').is_some() {
                    value.push('\'');
                } else {
                    end = Some(at + 1);
                    break;
                }
            }
            rest = &quoted[end?..];
        } else {
            let end = rest.find([',', ' ']).unwrap_or(rest.len());
            value.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        all.push(value);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Some((all, rest)),
        }
    }
}

impl Far {
    fn work(&self) -> String {
        format!(r"C:\Windows\RustIM\{}", self.driver)
    }

    pub fn at(&self, name: &str) -> String {
        format!(r"{}\{name}", self.work())
    }

    /// Runs a script by its path, as `powershell.exe -File` does.
    pub fn script(&mut self, path: &str, args: &[String]) -> Answer {
        let path = path.replace('/', "\\");
        if !self.disk.exists(&path) {
            return (
                -196_608,
                format!("The argument '{path}' to the -File parameter does not exist."),
            );
        }
        let (folder, name) = path.rsplit_once('\\').unwrap_or((".", &path));
        let base = folder.strip_suffix(r"\far").unwrap_or(folder).to_owned();
        let saved = self.vars.clone();
        self.enter(&base);
        let option = |name: &str| {
            let at = args.iter().position(|a| a == name)?;
            args.get(at + 1).cloned()
        };
        let flag = |name: &str| args.iter().any(|a| a == name);
        let answer = match name {
            "preflight.ps1" => {
                let service = self.protocol_service();
                (
                    0,
                    self.machine
                        .facts(&self.disk, &self.driver, &service)
                        .to_string(),
                )
            }
            "status.ps1" => (0, self.status_text()),
            "bindings.ps1" => {
                let before = self.disk.json(&self.at(r"before\state.json"));
                let after = json!({ "state": self.machine.state() });
                (0, json!({ "before": before, "after": after }).to_string())
            }
            "install.ps1" => self.install(
                &base,
                &option("-Id").unwrap_or_default(),
                option("-ConfirmWithin"),
                flag("-Restart"),
            ),
            "confirm.ps1" => self.confirm(&option("-Id").unwrap_or_default()),
            "uninstall.ps1" => self.uninstall(&base),
            "finish.ps1" => self.finish(&base),
            "deploy.ps1" if flag("-Nested") => self.nested(&path, true),
            "remove.ps1" if flag("-Nested") => self.nested(&path, false),
            "plan.ps1" => match args {
                [from, to] => self.plan(from, to),
                _ => (1, "two paths are wanted".to_owned()),
            },
            "ip.ps1" => match args {
                [to] => self.ip(to),
                _ => (1, "a path is wanted".to_owned()),
            },
            _ => (1, format!("{name} is not for this")),
        };
        self.vars = saved;
        answer
    }

    /// The variables that `far/runner.ps1` sets.
    fn enter(&mut self, base: &str) {
        let work = self.work();
        let own = base.starts_with(&work);
        let package = if own {
            base.to_owned()
        } else {
            format!(r"{work}\package")
        };
        let arch = if self.machine.architecture == "ARM64" {
            "arm64"
        } else {
            "x64"
        };
        let dll = format!(r"{package}\{arch}\{}_notify.dll", self.driver);
        for (name, value) in [
            ("IM_WORK", work),
            ("IM_PACKAGE", package),
            ("IM_FROM", base.to_owned()),
            ("IM_DLL", dll),
            ("IM_PLAN", format!(r"{base}\plan.json")),
        ] {
            self.vars.insert(name.to_owned(), value);
        }
    }

    /// Steps of a script, which has to get them from the runner beside it.
    fn steps(&self, script: &str) -> Vec<Step> {
        let text = self.disk.read(script).unwrap_or_default();
        text.lines().filter_map(parse).collect()
    }

    fn place(&self, path: &str) -> bool {
        let path = self.expand(path);
        match path.strip_prefix(r"HKLM:\SYSTEM\CurrentControlSet\Services\") {
            Some(service) => self.machine.services.contains(service),
            None => self.disk.exists(&path),
        }
    }

    fn status(&self) -> Option<Value> {
        self.disk.json(&self.at("status.json"))
    }

    fn status_text(&self) -> String {
        self.disk
            .read(&self.at("status.json"))
            .unwrap_or_else(|| r#"{"state":"absent"}"#.to_owned())
    }

    fn set_status(&self, state: &str, step: &str, reason: &str, difference: &[String]) {
        let old = self.status().unwrap_or_default();
        let options = self.disk.json(&self.at("options.json")).unwrap_or_default();
        let keep = |new: &str, old: &Value| {
            if new.is_empty() {
                old.as_str().unwrap_or_default().to_owned()
            } else {
                new.to_owned()
            }
        };
        let reason = if old["id"] == options["id"] {
            keep(reason, &old["reason"])
        } else {
            reason.to_owned()
        };
        let status = json!({
            "id": options["id"], "state": state, "step": keep(step, &old["step"]), "reason": reason,
            "difference": difference, "restart": self.disk.exists(&self.at("restart.txt")),
            "written": self.machine.now,
        });
        self.disk
            .write(&self.at("status.json"), &status.to_string());
    }

    /// Runs one step; the reason if it failed.
    fn step(&mut self, step: &Step, faults: bool) -> Option<String> {
        if !step.when.is_empty() && !self.place(&step.when)
            || !step.unless.is_empty() && self.place(&step.unless)
        {
            return None;
        }
        for entry in self.entries(&step.each) {
            self.vars
                .extend(entry.into_iter().map(|(k, v)| (k.to_owned(), v)));
            let until = self.machine.now + step.retry;
            loop {
                let reason = self.once(step, faults);
                if reason.is_none() || self.machine.now >= until {
                    if reason.is_some() {
                        return reason;
                    }
                    break;
                }
                self.machine.now += 1;
            }
        }
        None
    }

    fn once(&mut self, step: &Step, faults: bool) -> Option<String> {
        let answer = self.expand(&step.answer);
        if !answer.is_empty() {
            self.disk.remove(&answer);
        }
        let fails = faults && step.id == self.faults.fail;
        if fails && !self.faults.after {
            return Some("exit code 1: told to fail".to_owned());
        }
        let (mut code, text) = self.command(&step.run);
        if fails {
            return Some("exit code 1: told to fail afterwards".to_owned());
        }
        if faults && step.id == self.faults.restart && !self.disk.exists("restarted") {
            self.disk.write("restarted", "once");
            code = *step
                .restart
                .first()
                .expect("a step that may ask for a restart");
        }
        if !step.accept.contains(&code) {
            return Some(format!("exit code {code}: {text}"));
        }
        if step.restart.contains(&code) {
            self.disk.write(&self.at("restart.txt"), &step.id);
        }
        if answer.is_empty() {
            return None;
        }
        match self.disk.json(&answer) {
            None => Some(format!("no answer in {answer}")),
            Some(said) if !step.results.iter().any(|r| said["result"] == *r.as_str()) => {
                Some(format!("answer {} in {answer}", said["result"]))
            }
            Some(_) => None,
        }
    }

    fn journal(&self, name: &str) -> Vec<String> {
        let text = self.disk.read(&self.at(name)).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    fn note(&self, name: &str, line: &str) {
        let text = self.disk.read(&self.at(name)).unwrap_or_default();
        self.disk.write(&self.at(name), &format!("{text}{line}\n"));
    }

    /// Runs steps; the step that failed and why, `crash` if the power is gone.
    fn run_steps(
        &mut self,
        steps: &[Step],
        journal: &str,
        faults: bool,
    ) -> Option<(String, String)> {
        for step in steps {
            if self.journal(journal).contains(&format!("done {}", step.id)) {
                continue;
            }
            self.note(journal, &format!("begin {}", step.id));
            if faults && step.id == self.faults.crash {
                if self.faults.after {
                    let _ = self.step(step, false);
                }
                self.faults.crash.clear();
                let _ = std::fs::remove_file(self.disk.root.join("faults.json"));
                return Some((step.id.clone(), "crash".to_owned()));
            }
            if let Some(reason) = self.step(step, faults) {
                return Some((step.id.clone(), reason));
            }
            self.note(journal, &format!("done {}", step.id));
            if self.disk.exists(&self.at("restart.txt")) {
                return Some((step.id.clone(), "restart".to_owned()));
            }
        }
        None
    }

    fn undo_steps(&mut self, steps: &[Step], journal: &str) {
        let begun = self.journal(journal);
        for step in steps.iter().rev() {
            if step.undo.is_empty() || !begun.contains(&format!("begin {}", step.id)) {
                continue;
            }
            if !step.when.is_empty() && !self.place(&step.when) {
                continue;
            }
            for entry in self.entries(&step.undo_each) {
                self.vars
                    .extend(entry.into_iter().map(|(k, v)| (k.to_owned(), v)));
                let _ = self.command(&step.undo);
            }
        }
        self.disk.remove(&self.at(journal));
    }

    fn differences(&mut self, script: &str) -> Vec<String> {
        self.make_folder("after");
        let mut all = Vec::new();
        for step in self.steps(script) {
            if let Some(reason) = self.step(&step, true) {
                all.push(format!("{}: {reason}", step.id));
            }
        }
        all
    }

    fn make_folder(&self, name: &str) {
        let _ = std::fs::create_dir_all(self.disk.real(&self.at(name)));
    }

    fn install(&mut self, base: &str, id: &str, within: Option<String>, restart: bool) -> Answer {
        let old = self.status().unwrap_or_default();
        if BUSY.iter().any(|b| old["state"] == *b) && old["id"] != id {
            return (1, r#"{"state":"busy"}"#.to_owned());
        }
        let fresh = !self.disk.exists(&self.at("installed.txt"));
        let _ = std::fs::create_dir_all(self.disk.real(&self.work()));
        let within: u64 = within.and_then(|w| w.parse().ok()).unwrap_or(120);
        let options = json!({ "id": id, "confirmWithin": within, "restart": restart });
        self.disk
            .write(&self.at("options.json"), &options.to_string());
        self.disk.remove(&self.at("restart.txt"));
        self.disk.remove(&self.at("confirmed.json"));
        self.set_status("begun", "", "", &[]);
        let steps = self.steps(&format!(r"{base}\install.ps1"));
        if let Some((step, reason)) = self.run_steps(&steps, "begin.journal", true) {
            self.undo_steps(&steps, "begin.journal");
            self.set_status("not-begun", &step, &reason, &[]);
            let text = self.status_text();
            if fresh {
                self.disk.remove(&self.work());
            }
            return (1, text);
        }
        self.disk.remove(&self.at("begin.journal"));
        (0, self.status_text())
    }

    fn confirm(&mut self, id: &str) -> Answer {
        let status = self.status().unwrap_or_default();
        if status["id"] == id && status["state"] == "waiting" {
            self.disk
                .write(&self.at("confirmed.json"), &json!({ "id": id }).to_string());
            self.tick();
        }
        (0, self.status_text())
    }

    fn uninstall(&mut self, base: &str) -> Answer {
        if !self.disk.exists(&self.at("installed.txt")) {
            let state = self.status().unwrap_or_default();
            if BUSY.iter().any(|b| state["state"] == *b) {
                return (1, r#"{"state":"busy"}"#.to_owned());
            }
            return (0, r#"{"state":"absent"}"#.to_owned());
        }
        self.set_status("removing", "", "", &[]);
        let steps = self.steps(&format!(r"{base}\uninstall.ps1"));
        if let Some((step, reason)) = self.run_steps(&steps, "begin.journal", true) {
            self.undo_steps(&steps, "begin.journal");
            self.set_status("not-begun", &step, &reason, &[]);
            return (1, self.status_text());
        }
        self.disk.remove(&self.at("begin.journal"));
        (0, self.status_text())
    }

    fn finish(&mut self, base: &str) -> Answer {
        for step in self.steps(&format!(r"{base}\far\finish.ps1")) {
            if let Some(reason) = self.step(&step, true) {
                return (1, format!("{}: {reason}", step.id));
            }
        }
        for folder in [r"trust\ROOT", r"trust\TrustedPublisher", "trust", ""] {
            let path = format!(r"C:\Windows\RustIM\{folder}");
            if self.disk.exists(&path) && self.disk.names(&path).is_empty() {
                self.disk.remove(&path);
            }
        }
        (0, r#"{"state":"finished"}"#.to_owned())
    }

    /// Another package's steps, called by a step of the new one.
    fn nested(&mut self, script: &str, deploy: bool) -> Answer {
        let steps = self.steps(script);
        if deploy {
            let own: Vec<_> = steps
                .into_iter()
                .filter(|s| s.id != "remove-previous")
                .collect();
            self.disk.remove(&self.at("nested.journal"));
            return match self.run_steps(&own, "nested.journal", false) {
                Some((step, reason)) => (1, format!("{step}: {reason}")),
                None => (0, String::new()),
            };
        }
        let mut first = None;
        for step in &steps {
            if let Some(reason) = self.step(step, false) {
                first.get_or_insert(format!("{}: {reason}", step.id));
            }
        }
        first.map_or((0, String::new()), |reason| (1, reason))
    }

    fn plan(&mut self, from: &str, to: &str) -> Answer {
        let Some(mut plan) = self.disk.json(from) else {
            return (1, "no plan".to_owned());
        };
        if plan["driver"] != *self.driver {
            return (1, format!("a plan for {}", plan["driver"]));
        }
        plan["confirm_within"] = json!(0);
        self.disk.write(to, &plan.to_string());
        (0, String::new())
    }

    fn ip(&mut self, to: &str) -> Answer {
        let (mut addresses, mut routes, mut servers, mut gateways) =
            (vec![], vec![], vec![], vec![]);
        for setting in &self.machine.settings {
            let words: Vec<_> = setting.split(' ').collect();
            let adapter = self
                .machine
                .adapters
                .iter()
                .find(|a| a.index.to_string() == words[2]);
            let Some(guid) = adapter.map(|a| &a.guid) else {
                continue;
            };
            match words[1] {
                "address" => addresses
                    .push(json!({ "adapter": guid, "family": words[0], "address": words[3] })),
                "server" => servers
                    .push(json!({ "adapter": guid, "family": words[0], "address": words[3] })),
                _ => {
                    routes.push(json!({ "adapter": guid, "family": words[0], "prefix": words[3], "nexthop": words[4], "metric": words[5] }));
                    gateways.push(json!({ "adapter": guid, "address": words[4] }));
                }
            }
        }
        let all = json!({ "result": "state", "addresses": addresses, "routes": routes, "nameServers": servers, "gateways": gateways });
        self.disk.write(to, &all.to_string());
        (0, String::new())
    }

    /// The tasks' turn: what was started works, what waits looks at the clock.
    pub fn tick(&mut self) {
        let names: Vec<_> = self.machine.tasks.keys().cloned().collect();
        for name in names {
            let Some(task) = self.machine.tasks.get(&name).cloned() else {
                continue;
            };
            if !task.running || !self.disk.exists(&task.script) {
                continue;
            }
            let saved = self.vars.clone();
            let base = task
                .script
                .rsplit_once(r"\far\")
                .map_or("", |(b, _)| b)
                .to_owned();
            self.enter(&base);
            match task.script.rsplit('\\').next() {
                Some("deploy.ps1") => self.deploy_task(&name, &base),
                Some("remove.ps1") => self.remove_task(&name, &base),
                Some("watchdog.ps1") => self.watchdog(&name, &base),
                other => panic!("a task that is not known: {other:?}"),
            }
            self.vars = saved;
        }
    }

    fn stop(&mut self, task: &str) {
        if let Some(task) = self.machine.tasks.get_mut(task) {
            task.running = false;
            task.deadline = None;
        }
    }

    fn deploy_task(&mut self, name: &str, base: &str) {
        let steps = self.steps(&format!(r"{base}\far\deploy.ps1"));
        let options = self.disk.json(&self.at("options.json")).unwrap_or_default();
        if self.machine.tasks[name].deadline.is_none() {
            self.make_folder("before");
            self.disk.remove(&self.at("restart.txt"));
            self.set_status("working", "", "", &[]);
            match self.run_steps(&steps, "deploy.journal", true) {
                None => {}
                Some((_, reason)) if reason == "crash" => {
                    self.machine.restart();
                    return;
                }
                Some((step, reason)) if reason == "restart" && options["restart"] == true => {
                    self.set_status("restart", &step, "Windows asks for a restart", &[]);
                    self.stop(name);
                    let _ = self.command("shutdown.exe /r /t 5");
                    self.machine.restart();
                    self.drop_connection = true;
                    return;
                }
                Some((step, reason)) => {
                    let reason = if reason == "restart" {
                        "Windows asks for a restart".to_owned()
                    } else {
                        reason
                    };
                    self.stop(name);
                    self.roll_back(base, &step, &reason);
                    return;
                }
            }
            let within = options["confirmWithin"].as_u64().unwrap_or(120);
            let deadline = self.machine.now + within;
            if let Some(task) = self.machine.tasks.get_mut(name) {
                task.deadline = Some(deadline);
            }
            self.set_status("waiting", "", "", &[]);
            return;
        }
        let confirmed = self
            .disk
            .json(&self.at("confirmed.json"))
            .unwrap_or_default();
        if confirmed["id"] == options["id"] && !confirmed["id"].is_null() {
            self.disk.write(
                &self.at("installed.txt"),
                options["id"].as_str().unwrap_or_default(),
            );
            self.disk.remove(&self.at("previous"));
            self.disk.remove(&self.at("deploy.journal"));
            self.set_status("confirmed", "", "", &[]);
            self.stop(name);
        } else if self.machine.tasks[name]
            .deadline
            .is_some_and(|d| self.machine.now >= d)
        {
            self.stop(name);
            self.roll_back(base, "confirm", "no confirmation in time");
        }
    }

    fn roll_back(&mut self, base: &str, step: &str, reason: &str) {
        self.set_status("rolling-back", step, reason, &[]);
        let steps = self.steps(&format!(r"{base}\far\deploy.ps1"));
        self.undo_steps(&steps, "deploy.journal");
        if self.disk.exists(&self.at("previous")) {
            self.disk.remove(&self.at("package"));
            let (from, to) = (self.at("previous"), self.at("package"));
            let _ = std::fs::rename(self.disk.real(&from), self.disk.real(&to));
        }
        let mut difference = Vec::new();
        if !self.disk.exists(&self.at("installed.txt")) {
            difference = self.differences(&format!(r"{base}\far\compare.ps1"));
            self.clear_marks();
        }
        self.set_status("rolled-back", step, reason, &difference);
    }

    fn remove_task(&mut self, name: &str, base: &str) {
        let steps = self.steps(&format!(r"{base}\far\remove.ps1"));
        let mut first: Option<(String, String)> = None;
        for step in &steps {
            if step.id == self.faults.crash {
                self.faults.crash.clear();
                let _ = std::fs::remove_file(self.disk.root.join("faults.json"));
                self.machine.restart();
                return;
            }
            if let Some(reason) = self.step(step, true) {
                first.get_or_insert((step.id.clone(), reason));
            }
        }
        let difference = self.differences(&format!(r"{base}\far\compare.ps1"));
        self.stop(name);
        if first.is_none() && difference.is_empty() {
            self.disk.remove(&self.at("installed.txt"));
            self.clear_marks();
            self.set_status("removed", "", "", &[]);
            return;
        }
        let (step, reason) = first.unwrap_or((
            "compare".to_owned(),
            "something differs from the backup".to_owned(),
        ));
        self.set_status("left", &step, &reason, &difference);
    }

    fn watchdog(&mut self, name: &str, base: &str) {
        let status = self.status().unwrap_or_default();
        let state = status["state"].as_str().unwrap_or_default().to_owned();
        if !BUSY.contains(&state.as_str()) {
            self.stop(name);
            return;
        }
        let written = status["written"].as_u64().unwrap_or(0);
        let started = self.machine.boot > written;
        let age = self.machine.now - written;
        let running = |far: &Self, what: &str| {
            let name = format!(r"RustIM\{}-{what}", far.driver);
            far.machine.tasks.get(&name).is_some_and(|t| t.running)
        };
        let start = |far: &mut Self, what: &str| {
            let name = format!(r"RustIM\{}-{what}", far.driver);
            if let Some(task) = far.machine.tasks.get_mut(&name) {
                task.running = true;
            }
        };
        if state == "removing" {
            if !running(self, "remove") && (started || age > 60) {
                start(self, "remove");
            }
        } else if !running(self, "deploy") {
            if state == "restart" && started {
                start(self, "deploy");
            } else if started || age > 600 || state != "restart" && age > 60 {
                let step = status["step"].as_str().unwrap_or_default().to_owned();
                self.roll_back(base, &step, "the work was cut off, or nobody confirmed");
                self.stop(name);
            }
        }
    }
}
