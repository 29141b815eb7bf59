//! Commands as they are documented: those of the table of steps, pattern by pattern. What is
//! not known is a failure, as is what a real machine would refuse.

use serde_json::{Value, json};

use crate::Far;
use crate::machine::{Adapter, Binding};

/// Exit code and output.
pub type Answer = (i32, String);

fn ok() -> Answer {
    (0, String::new())
}

fn fail(text: impl Into<String>) -> Answer {
    (1, text.into())
}

/// Splits a line as `cmd.exe` and the C runtime do it for the plain cases of the table.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                any = true;
            }
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        all.push(word);
    }
    all
}

impl Far {
    /// Runs a line of the table.
    pub fn command(&mut self, line: &str) -> Answer {
        let line = self.expand(line);
        self.machine.commands.push(line.clone());
        self.machine.now += 1;
        if let Some(rest) = line.strip_prefix("(echo {\"before\": & type ") {
            return self.question(rest);
        }
        let (line, target) = match line.split_once(" > ") {
            Some((line, target)) => (line.to_owned(), Some(target.trim_matches('"').to_owned())),
            None => (line, None),
        };
        let all = words(&line);
        let words: Vec<&str> = all.iter().map(String::as_str).collect();
        let answer = self.known(&words);
        if let Some(target) = target {
            if !self.folder_exists(&target) {
                return fail("The system cannot find the path specified.");
            }
            self.disk.write(&target, &answer.1);
        }
        answer
    }

    fn folder_exists(&self, path: &str) -> bool {
        path.rsplit_once('\\')
            .is_some_and(|(folder, _)| self.disk.exists(folder))
    }

    fn known(&mut self, words: &[&str]) -> Answer {
        match words {
            ["move", "/y", from, to] => {
                let (from, to) = (self.disk.real(from), self.disk.real(to));
                std::fs::rename(from, to).map_or_else(|e| fail(e.to_string()), |()| ok())
            }
            ["rmdir", "/s", "/q", path] => {
                self.disk.remove(path);
                ok()
            }
            ["xcopy.exe", from, to, "/E", "/I", "/Q", "/Y"] => {
                if !self.disk.exists(from) {
                    return (4, "File not found".to_owned());
                }
                crate::machine::copy(&self.disk.real(from), &self.disk.real(to));
                ok()
            }
            ["type", "nul"] => ok(),
            ["schtasks.exe", rest @ ..] => self.schtasks(rest),
            ["reg.exe", "query", key, ..] => self.query(key),
            ["reg.exe", "delete", key, "/f"] => {
                let guid = key.rsplit('\\').next().unwrap_or_default().to_owned();
                if self.machine.interfaces.remove(&guid) {
                    ok()
                } else {
                    fail(
                        "ERROR: The system was unable to find the specified registry key or value.",
                    )
                }
            }
            ["dir", "/b", "/o:n", r"C:\Windows\INF\oem*.inf"] => {
                let names = self.disk.names(r"C:\Windows\INF");
                (i32::from(names.is_empty()), names.join("\r\n"))
            }
            ["fc.exe", "/l", a, b] => match (self.disk.read(a), self.disk.read(b)) {
                (Some(a), Some(b)) if a == b => (0, "FC: no differences encountered".to_owned()),
                (Some(a), Some(b)) => {
                    let only = |a: &str, b: &str| {
                        let lines = a.lines().filter(|l| !b.lines().any(|m| m == *l));
                        lines.collect::<Vec<_>>().join("; ")
                    };
                    fail(format!("before: {} after: {}", only(&a, &b), only(&b, &a)))
                }
                _ => (2, "FC: cannot open".to_owned()),
            },
            ["certutil.exe", "-f", "-addstore", store, file] => {
                let Some(thumbprint) = self.thumbprint(file) else {
                    return fail("CertUtil: -addstore command FAILED: 0x80070002");
                };
                self.store(store).insert(thumbprint);
                ok()
            }
            ["certutil.exe", "-delstore", store, thumbprint] => {
                // It says so and succeeds if there is none.
                self.store(store).remove(*thumbprint);
                ok()
            }
            ["pnputil.exe", "/add-driver", inf] => self.add_driver(inf),
            ["pnputil.exe", "/delete-driver", oem, "/uninstall", "/force"] => {
                self.delete_driver(oem)
            }
            ["netcfg.exe", "-v", "-l", inf, "-c", "p", "-i", component] => {
                self.netcfg_install(inf, component)
            }
            ["netcfg.exe", "-v", "-u", component] => self.netcfg_remove(component),
            ["start", "", "/wait", "rundll32.exe", entry, input, output] => {
                self.rundll32(entry, input, output)
            }
            ["netsh.exe", "interface", family, "add", what, rest @ ..] => {
                self.netsh(family, what, rest)
            }
            ["ping.exe", "-n", "3", "-w", "1000", _] => {
                if self
                    .machine
                    .adapters
                    .iter()
                    .any(|a| a.up_at <= self.machine.now)
                {
                    ok()
                } else {
                    fail("Request timed out.")
                }
            }
            ["shutdown.exe", "/r", "/t", _] => {
                self.restart_wanted = true;
                ok()
            }
            [
                "powershell.exe",
                "-NoProfile",
                "-NonInteractive",
                "-ExecutionPolicy",
                "Bypass",
                "-File",
                script,
                args @ ..,
            ] => {
                let args: Vec<_> = args.iter().map(|a| (*a).to_owned()).collect();
                self.script(script, &args)
            }
            [
                "powershell.exe",
                "-NoProfile",
                "-NonInteractive",
                "-Command",
                text,
            ] => self.cmdlet(text),
            other => (9009, format!("'{}' is not recognized", other.join(" "))),
        }
    }

    /// The two questions that no command line answers.
    fn cmdlet(&mut self, text: &str) -> Answer {
        let up = "if ((Get-NetAdapter -IncludeHidden | Where-Object InterfaceGuid -eq '";
        let running = "if ((Get-CimInstance Win32_SystemDriver -Filter 'Name=''";
        if let Some(rest) = text.strip_prefix(up) {
            let Some(guid) = rest.strip_suffix("').Status -ne 'Up') { exit 1 }") else {
                return (9009, text.to_owned());
            };
            let adapter = self.machine.adapters.iter().find(|a| a.guid == guid);
            return (
                i32::from(adapter.is_none_or(|a| a.up_at > self.machine.now)),
                String::new(),
            );
        }
        if let Some(rest) = text.strip_prefix(running) {
            let Some(service) = rest.strip_suffix("''').State -ne 'Running') { exit 1 }") else {
                return (9009, text.to_owned());
            };
            return (
                i32::from(!self.machine.services.contains(service)),
                String::new(),
            );
        }
        (9009, text.to_owned())
    }

    fn schtasks(&mut self, words: &[&str]) -> Answer {
        match words {
            ["/create", "/tn", name, "/xml", file, "/f"] => {
                let Ok(bytes) = std::fs::read(self.disk.real(file)) else {
                    return fail("ERROR: The system cannot find the file specified.");
                };
                let units: Vec<_> = bytes
                    .chunks_exact(2)
                    .map(|c| u16::from_le_bytes([c[0], c[1]]))
                    .collect();
                let text = String::from_utf16_lossy(&units);
                let script = text
                    .split_once("-File \"%SystemRoot%")
                    .and_then(|(_, rest)| rest.split_once('"'))
                    .map(|(path, _)| format!(r"C:\Windows{path}"));
                let system =
                    text.starts_with('\u{feff}') && text.contains("<UserId>S-1-5-18</UserId>");
                let (Some(script), true) = (script, system) else {
                    return fail("ERROR: The task XML is malformed.");
                };
                let task = crate::machine::Task {
                    script,
                    at_start: text.contains("<BootTrigger>"),
                    running: false,
                    deadline: None,
                };
                self.machine.tasks.insert((*name).to_owned(), task);
                ok()
            }
            [verb @ ("/run" | "/end"), "/tn", name] => match self.machine.tasks.get_mut(*name) {
                Some(task) => {
                    task.running = *verb == "/run";
                    ok()
                }
                None => fail("ERROR: The system cannot find the file specified."),
            },
            ["/delete", "/tn", name, "/f"] => match self.machine.tasks.remove(*name) {
                Some(_) => ok(),
                None => fail("ERROR: The specified task name does not exist in the system."),
            },
            other => (9009, other.join(" ")),
        }
    }

    fn query(&self, key: &str) -> Answer {
        let key = key.to_ascii_uppercase();
        let list: Vec<String> = if key == r"HKLM\SYSTEM\CURRENTCONTROLSET\SERVICES" {
            self.machine.services.iter().cloned().collect()
        } else if key.ends_with(r"\TCPIP\PARAMETERS\INTERFACES") {
            self.machine.interfaces.iter().cloned().collect()
        } else if key.contains(r"\CONTROL\CLASS\") || key.contains(r"\CONTROL\NETWORK\") {
            self.machine
                .adapters
                .iter()
                .map(|a| a.guid.clone())
                .collect()
        } else if let Some(store) = key
            .strip_prefix(r"HKLM\SOFTWARE\MICROSOFT\SYSTEMCERTIFICATES\")
            .and_then(|k| k.strip_suffix(r"\CERTIFICATES"))
        {
            self.machine
                .stores
                .get(store)
                .into_iter()
                .flatten()
                .cloned()
                .collect()
        } else {
            return fail(
                "ERROR: The system was unable to find the specified registry key or value.",
            );
        };
        let lines: Vec<_> = list.iter().map(|name| format!(r"{key}\{name}")).collect();
        (0, lines.join("\r\n"))
    }

    fn store(&mut self, name: &str) -> &mut std::collections::BTreeSet<String> {
        self.machine
            .stores
            .entry(name.to_ascii_uppercase())
            .or_default()
    }

    /// No SHA-1 here; any name that follows from the content will do.
    pub fn thumbprint(&self, file: &str) -> Option<String> {
        let text = self.disk.read(file)?;
        let sum = text.bytes().fold(7_u64, |sum, b| {
            sum.wrapping_mul(31).wrapping_add(u64::from(b))
        });
        Some(format!("{sum:016X}"))
    }

    fn add_driver(&mut self, inf: &str) -> Answer {
        let Some(text) = self.disk.read(inf) else {
            return (2, "No such INF".to_owned());
        };
        // Signed under what the package brings: both have to be trusted by now.
        let folder = inf.rsplit_once('\\').map_or("", |(f, _)| f);
        for (store, file) in [
            ("ROOT", "test-root.cer"),
            ("TRUSTEDPUBLISHER", "signer.cer"),
        ] {
            let path = format!(r"{folder}\{file}");
            let known = self.thumbprint(&path);
            if known.is_none_or(|t| !self.machine.stores[store].contains(&t)) {
                return (
                    -536_870_333,
                    "The third-party INF does not contain digital signature information."
                        .to_owned(),
                );
            }
        }
        let there = self.disk.names(r"C:\Windows\INF");
        let same =
            |n: &String| self.disk.read(&format!(r"C:\Windows\INF\{n}")).as_ref() == Some(&text);
        if !there.iter().any(same) {
            let number = (0..1000)
                .find(|n| !there.contains(&format!("oem{n}.inf")))
                .unwrap_or(0);
            self.disk
                .write(&format!(r"C:\Windows\INF\oem{number}.inf"), &text);
        }
        ok()
    }

    fn delete_driver(&mut self, oem: &str) -> Answer {
        let path = format!(r"C:\Windows\INF\{oem}");
        let Some(text) = self.disk.read(&path) else {
            return fail(
                "Failed to delete driver package: The specified file is not an installed OEM INF.",
            );
        };
        self.disk.remove(&path);
        // With the miniport's INF go its devices and its service.
        if text.contains("_mp.cat") {
            self.machine.services.remove(&self.miniport_service());
        }
        ok()
    }

    fn netcfg_install(&mut self, inf: &str, component: &str) -> Answer {
        let Some(text) = self.disk.read(inf) else {
            return (-2_147_024_894, "cannot find the file".to_owned());
        };
        if !text.contains(component) {
            return (-2_147_024_894, format!("no {component} in the INF"));
        }
        let staged = self.disk.names(r"C:\Windows\INF");
        if staged.len() < 2 {
            return (
                -2_146_498_048,
                "CopyINF: the miniport's INF is not in the driver store".to_owned(),
            );
        }
        let services = [self.protocol_service(), self.miniport_service()];
        self.machine.services.extend(services);
        let real: Vec<_> = self
            .machine
            .adapters
            .iter()
            .filter(|a| !a.own)
            .map(|a| a.guid.clone())
            .collect();
        for adapter in real {
            let binding = Binding {
                component: component.to_ascii_lowercase(),
                adapter,
                enabled: false,
            };
            if !self.machine.bindings.contains(&binding) {
                self.machine.bindings.push(binding);
            }
        }
        ok()
    }

    fn netcfg_remove(&mut self, component: &str) -> Answer {
        if !self.machine.services.remove(&self.protocol_service()) {
            return (-2_147_023_728, "the component is not installed".to_owned());
        }
        let id = component.to_ascii_lowercase();
        self.machine.bindings.retain(|b| b.component != id);
        ok()
    }

    fn netsh(&mut self, family: &str, what: &str, rest: &[&str]) -> Answer {
        let setting = match (what, rest) {
            ("address", [index, address]) => {
                Some((*index, format!("{family} address {index} {address}")))
            }
            ("route", [prefix, index, hop, metric, "store=persistent"]) => {
                let metric = metric.strip_prefix("metric=").unwrap_or_default();
                Some((
                    *index,
                    format!("{family} route {index} {prefix} {hop} {metric}"),
                ))
            }
            ("dnsservers", [index, server, "validate=no"]) => {
                Some((*index, format!("{family} server {index} {server}")))
            }
            _ => None,
        };
        let Some((index, setting)) = setting else {
            return (9009, format!("{what} {}", rest.join(" ")));
        };
        let bound = self.machine.adapters.iter().any(|a| {
            let tcpip = |b: &Binding| b.adapter == a.guid && b.component == "ms_tcpip" && b.enabled;
            a.index.to_string() == index && self.machine.bindings.iter().any(tcpip)
        });
        if !bound {
            return fail("The filename, directory name, or volume label syntax is incorrect.");
        }
        self.machine.settings.insert(setting);
        ok()
    }

    fn question(&mut self, rest: &str) -> Answer {
        let Some((from, to)) = rest.split_once(" & echo }) > ") else {
            return (9009, rest.to_owned());
        };
        let (from, to) = (from.trim_matches('"'), to.trim_matches('"'));
        match self.disk.read(from) {
            Some(text) => {
                self.disk.write(to, &format!("{{\"before\": \n{text}}}\n"));
                ok()
            }
            None => fail("The system cannot find the file specified."),
        }
    }

    /// The notify object: what `docs/notify-object.md` says of its exports.
    fn rundll32(&mut self, entry: &str, input: &str, output: &str) -> Answer {
        let Some((dll, export)) = entry.split_once(',') else {
            return ok();
        };
        // rundll32 has no exit code that means anything: without the DLL there is no answer.
        if !self.disk.exists(dll) || !self.folder_exists(output) {
            return ok();
        }
        let answer = match export {
            "State" => json!({ "result": "state", "state": self.machine.state() }),
            // The driver runs when its miniports are up.
            "Device" => {
                let mut own = self.machine.adapters.iter().filter(|a| a.own).peekable();
                let runs = own.peek().is_some() && own.all(|a| self.machine.now >= a.up_at);
                json!({ "result": if runs { "running" } else { "not-running" } })
            }
            "Apply" => self.apply(&self.disk.json(input).unwrap_or_default()),
            "Restore" => self.restore(&self.disk.json(input).unwrap_or_default()),
            "Compare" => {
                let before = &self.disk.json(input).unwrap_or_default()["before"]["state"];
                let sorted = |state: &Value| {
                    let list = state["bindings"].as_array().cloned().unwrap_or_default();
                    let mut list: Vec<_> = list.iter().map(ToString::to_string).collect();
                    list.sort();
                    (list, state["adapters"].clone())
                };
                if sorted(before) == sorted(&self.machine.state()) {
                    json!({ "result": "same" })
                } else {
                    json!({ "result": "different", "differences": [{ "what": "bindings" }] })
                }
            }
            _ => return ok(),
        };
        self.disk.write(output, &answer.to_string());
        ok()
    }

    fn apply(&mut self, plan: &Value) -> Value {
        let refused = |text: &str| json!({ "result": "refused", "reasons": [{ "code": "failed", "text": text }] });
        if !self.machine.services.contains(&self.protocol_service()) {
            return refused("the protocol is not installed");
        }
        if plan["confirm_within"] != 0 {
            return json!({ "result": "pending" });
        }
        let component = self.component.to_ascii_lowercase();
        let mut miniports = Vec::new();
        for entry in plan["adapters"].as_array().into_iter().flatten() {
            let named = entry["adapter"].as_str().unwrap_or_default();
            let found = self.machine.adapters.iter().find(|a| {
                [&a.guid, &a.mac, &a.location]
                    .iter()
                    .any(|n| n.as_str() == named)
            });
            let Some(below) = found.cloned() else {
                return refused("no such adapter");
            };
            if below.connection {
                self.drop_connection = true;
            }
            for name in entry["miniports"].as_array().into_iter().flatten() {
                self.machine.made += 1;
                let made = self.machine.made;
                let guid = format!("{{BBBBBBBB-0000-0000-0000-0000000000{made:02}}}");
                self.machine.adapters.push(Adapter {
                    name: name.as_str().unwrap_or_default().to_owned(),
                    guid: guid.clone(),
                    index: 40 + made,
                    up_at: self.machine.now + 8,
                    own: true,
                    ..below.clone()
                });
                self.machine.interfaces.insert(guid.clone());
                let moved: Vec<_> = self
                    .machine
                    .bindings
                    .iter()
                    .filter(|b| b.adapter == below.guid && b.component != component)
                    .map(|b| Binding {
                        adapter: guid.clone(),
                        ..b.clone()
                    })
                    .collect();
                self.machine.bindings.extend(moved);
                miniports.push(json!({ "name": name, "guid": guid, "adapters": [below.guid] }));
            }
            for b in self
                .machine
                .bindings
                .iter_mut()
                .filter(|b| b.adapter == below.guid)
            {
                b.enabled = b.component == component;
            }
        }
        json!({ "result": "confirmed", "miniports": miniports, "restart": false })
    }

    fn restore(&mut self, before: &Value) -> Value {
        let Ok(bindings) =
            serde_json::from_value::<Vec<Binding>>(before["state"]["bindings"].clone())
        else {
            return json!({ "result": "failed", "reasons": [{ "code": "failed", "text": "no state" }] });
        };
        let gone: Vec<_> = self
            .machine
            .adapters
            .iter()
            .filter(|a| a.own)
            .cloned()
            .collect();
        for adapter in &gone {
            let of = format!(" {} ", adapter.index);
            self.machine.settings.retain(|s| !s.contains(&of));
            self.machine.bindings.retain(|b| b.adapter != adapter.guid);
        }
        // Keys of TCP/IP outlive the adapter, as they do on a real machine.
        self.machine.adapters.retain(|a| !a.own);
        for b in &mut self.machine.bindings {
            b.enabled = bindings
                .iter()
                .any(|o| o.component == b.component && o.adapter == b.adapter && o.enabled);
        }
        json!({ "result": if gone.is_empty() { "unchanged" } else { "restored" }, "restart": false })
    }
}
