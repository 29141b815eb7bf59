//! What an export answers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use netcfg::{Code, Journal, Op, Reason, State};
use serde_json::{Map, Value, json};

use crate::interfaces::Problem;
use crate::own;

/// An answer that is being made.
pub struct Answer(Map<String, Value>);

impl Answer {
    /// Of `export`.
    pub fn new(export: &str, result: &str) -> Self {
        let mut map = Map::new();
        map.insert("format".into(), json!(1));
        map.insert("export".into(), json!(export));
        map.insert("driver".into(), json!(own::DRIVER));
        map.insert("result".into(), json!(result));
        Self(map)
    }

    /// Nothing was done, for reasons.
    pub fn refused(export: &str, result: &str, reasons: &[Reason]) -> Self {
        Self::new(export, result)
            .with("reasons", json!(reasons))
            .with("rolled_back", json!(true))
    }

    /// A call failed before anything was changed.
    pub fn failed(export: &str, text: impl Into<String>) -> Self {
        Self::refused(export, "failed", &[Reason::new(Code::Failed, text)])
    }

    /// A call failed in the middle of it; `left` could not be undone.
    pub fn broken(export: &str, text: &str, left: &[String]) -> Self {
        let mut reasons = Vec::new();
        reasons.push(Reason::new(Code::Failed, text));
        reasons.extend(
            left.iter()
                .map(|l| Reason::new(Code::Failed, format!("not undone: {l}"))),
        );
        Self::refused(export, "failed", &reasons).with("rolled_back", json!(left.is_empty()))
    }

    /// One more key.
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.into(), value);
        self
    }

    /// With what was done.
    pub fn with_operations(self, ops: &[Op]) -> Self {
        let texts: Vec<_> = ops.iter().map(ToString::to_string).collect();
        self.with("operations", json!(texts))
    }

    /// With the miniports of a journal over the adapters of `plan`.
    pub fn with_miniports(self, journal: &Journal, plan: &netcfg::Plan, state: &State) -> Self {
        let mut list = Vec::new();
        for miniport in &plan.miniports {
            let Some(guid) = journal.miniports().get(&miniport.name) else {
                continue;
            };
            let below = state.adapters.iter().filter(|a| {
                plan.lower(a)
                    .is_some_and(|l| l.miniports.contains(&miniport.name))
            });
            let below: Vec<_> = below.map(|a| a.guid).collect();
            list.push(json!({ "name": miniport.name, "guid": guid, "adapters": below }));
        }
        self.with("miniports", Value::Array(list))
    }

    /// The text.
    pub fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(&self.0).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Its result, for the log.
    pub fn result(&self) -> String {
        self.0
            .get("result")
            .map(ToString::to_string)
            .unwrap_or_default()
    }
}

impl From<(&str, Problem)> for Answer {
    fn from((export, problem): (&str, Problem)) -> Self {
        Self::failed(export, problem.to_string())
    }
}
