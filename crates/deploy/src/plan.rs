//! A plan, as far as this side looks at it; the notify object judges the rest of it.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// A plan.
#[derive(Debug, Clone)]
pub struct Plan {
    json: Value,
}

impl Plan {
    /// Reads a plan for `driver`.
    pub fn parse(text: &str, driver: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(text).context("the plan is no JSON")?;
        if json["format"] != 1 {
            bail!("the plan has no \"format\": 1");
        }
        if json["driver"] != driver {
            bail!("the plan is for {}, not for {driver}", json["driver"]);
        }
        Ok(Self { json })
    }

    /// The plainest plan for these adapters: a miniport on each, or one team on all.
    pub fn for_adapters(driver: &str, adapters: &[String], accept: &[String]) -> Self {
        let team = driver == "lbfo";
        let name = |i: usize| {
            if team {
                "Team".to_owned()
            } else {
                format!("{driver} {}", i + 1)
            }
        };
        let count = if team { 1 } else { adapters.len() };
        let miniports: Vec<_> = (0..count).map(|i| json!({ "name": name(i) })).collect();
        let adapters: Vec<_> = adapters
            .iter()
            .enumerate()
            .map(|(i, a)| json!({ "adapter": a, "miniports": [name(i)] }))
            .collect();
        Self {
            json: json!({
                "format": 1, "driver": driver, "accept": accept,
                "miniports": miniports, "adapters": adapters,
            }),
        }
    }

    /// The adapters that it names, as it names them.
    pub fn adapters(&self) -> impl Iterator<Item = &str> {
        let list = self.json["adapters"].as_array();
        list.into_iter()
            .flatten()
            .filter_map(|a| a["adapter"].as_str())
    }

    /// Whether it overrides a refusal.
    pub fn accepts(&self, code: &str) -> bool {
        let list = self.json["accept"].as_array();
        list.is_some_and(|l| l.iter().any(|a| a == code))
    }

    /// Its own time for a confirmation.
    pub fn confirm_within(&self) -> Option<u32> {
        let seconds = self.json["confirm_within"].as_u64()?;
        u32::try_from(seconds).ok().filter(|s| *s > 0)
    }

    /// As text.
    pub fn text(&self) -> String {
        format!("{:#}\n", self.json)
    }
}
