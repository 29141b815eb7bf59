//! The lists that steps go through, as `far/lists.ps1` makes them: certificates, published
//! INFs, miniports, and the addresses that they take over.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Far;

/// What is set for one turn of a step.
pub type Entry = BTreeMap<&'static str, String>;

impl Far {
    /// The lists of `far/lists.ps1`.
    pub fn entries(&mut self, list: &str) -> Vec<Entry> {
        let package = self.vars["IM_PACKAGE"].clone();
        match list {
            "" => vec![Entry::new()],
            "roots" => self.missing(&["test-root.cer", "signer-root.cer"], "ROOT"),
            "publishers" => self.missing(&["signer.cer"], "TrustedPublisher"),
            "added-roots" => self.added(&["test-root.cer", "signer-root.cer"], "ROOT"),
            "added-publishers" => self.added(&["signer.cer"], "TrustedPublisher"),
            "published" => {
                let names = self.disk.names(r"C:\Windows\INF");
                let ours = |n: &String| {
                    let text = self
                        .disk
                        .read(&format!(r"C:\Windows\INF\{n}"))
                        .unwrap_or_default();
                    text.lines().any(|l| {
                        let l = l.replace(' ', "");
                        l.starts_with("CatalogFile")
                            && (l.ends_with(&format!("={}.cat", self.driver))
                                || l.ends_with(&format!("={}_mp.cat", self.driver)))
                    })
                };
                let ours: Vec<_> = names.into_iter().filter(ours).collect();
                ours.into_iter()
                    .map(|n| Entry::from([("IM_OEM", n)]))
                    .collect()
            }
            "left-keys" if !self.disk.exists(&self.at(r"before\complete.txt")) => Vec::new(),
            "left-keys" => {
                let before = self
                    .disk
                    .read(&self.at(r"before\interfaces.txt"))
                    .unwrap_or_default();
                let known = |g: &&String| {
                    !before.lines().any(|l| l.ends_with(g.as_str()))
                        && !self.machine.adapters.iter().any(|a| a.guid == **g)
                };
                let key = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\Interfaces";
                let left = self.machine.interfaces.iter().filter(known);
                left.map(|g| Entry::from([("IM_KEY", format!(r"{key}\{g}"))]))
                    .collect()
            }
            _ => {
                let applied = self
                    .disk
                    .json(&format!(r"{package}\applied.json"))
                    .unwrap_or_default();
                let miniports = applied["miniports"].as_array().cloned().unwrap_or_default();
                self.carried(list, &miniports)
            }
        }
    }

    fn carried(&self, list: &str, miniports: &[Value]) -> Vec<Entry> {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        if list == "miniports" {
            return miniports
                .iter()
                .map(|m| Entry::from([("IM_GUID", text(&m["guid"]))]))
                .collect();
        }
        let ip = self
            .disk
            .json(&self.at(r"before\ip.json"))
            .unwrap_or_default();
        let kind = if list == "name-servers" {
            "nameServers"
        } else {
            list
        };
        let (mut taken, mut all) = (Vec::new(), Vec::new());
        for miniport in miniports {
            let index = self
                .machine
                .adapters
                .iter()
                .find(|a| miniport["guid"] == *a.guid)
                .map_or(0, |a| a.index);
            for guid in miniport["adapters"].as_array().into_iter().flatten() {
                if taken.contains(guid) {
                    continue;
                }
                taken.push(guid.clone());
                for item in ip[kind]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|i| i["adapter"] == *guid)
                {
                    let mut entry = Entry::from([
                        ("IM_FAMILY", text(&item["family"])),
                        ("IM_INDEX", index.to_string()),
                    ]);
                    for (name, key) in match list {
                        "addresses" => &[("IM_ADDRESS", "address")][..],
                        "routes" => &[
                            ("IM_PREFIX", "prefix"),
                            ("IM_NEXTHOP", "nexthop"),
                            ("IM_METRIC", "metric"),
                        ],
                        "name-servers" => &[("IM_SERVER", "address")],
                        "gateways" => &[("IM_GATEWAY", "address")],
                        other => panic!("no list {other}"),
                    } {
                        entry.insert(name, text(&item[*key]));
                    }
                    all.push(entry);
                }
            }
        }
        all
    }

    fn certificates(&self, files: &[&str]) -> Vec<Entry> {
        let package = &self.vars["IM_PACKAGE"];
        let paths = files.iter().map(|f| format!(r"{package}\{f}"));
        paths
            .filter_map(|p| {
                Some(Entry::from([
                    ("IM_THUMBPRINT", self.thumbprint(&p)?),
                    ("IM_CERT", p),
                ]))
            })
            .collect()
    }

    fn missing(&mut self, files: &[&str], store: &str) -> Vec<Entry> {
        let mut all = self.certificates(files);
        all.retain(|entry| {
            let thumbprint = &entry["IM_THUMBPRINT"];
            let there = self.machine.stores[&store.to_ascii_uppercase()].contains(thumbprint);
            let mark = format!(r"C:\Windows\RustIM\trust\{store}\{thumbprint}");
            if !there || self.disk.exists(&mark) {
                self.disk
                    .write(&format!(r"{mark}\{}", self.driver), "needed");
            }
            !there
        });
        all
    }

    fn added(&mut self, files: &[&str], store: &str) -> Vec<Entry> {
        let mut all = self.certificates(files);
        all.retain(|entry| {
            let thumbprint = &entry["IM_THUMBPRINT"];
            let mark = format!(r"C:\Windows\RustIM\trust\{store}\{thumbprint}");
            let own = format!(r"{mark}\{}", self.driver);
            if !self.disk.exists(&own) {
                return false;
            }
            if self.disk.names(&mark).len() > 1 {
                return false;
            }
            self.machine.stores[&store.to_ascii_uppercase()].contains(thumbprint)
        });
        all
    }

    /// Takes this driver's marks from the certificates that it added.
    pub fn clear_marks(&self) {
        for store in ["ROOT", "TrustedPublisher"] {
            let base = format!(r"C:\Windows\RustIM\trust\{store}");
            for thumbprint in self.disk.names(&base) {
                let mark = format!(r"{base}\{thumbprint}");
                self.disk.remove(&format!(r"{mark}\{}", self.driver));
                if self.disk.names(&mark).is_empty() {
                    self.disk.remove(&mark);
                }
            }
        }
    }
}
