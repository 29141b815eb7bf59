//! Configuration values as a driver's data file of `inf/` declares them.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// One configuration value of a virtual miniport, or of a binding of the protocol.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The name of the registry value.
    pub name: String,
    /// What it does, in a few words.
    pub description: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The value when none is set; a parameter without one is optional or a list.
    pub default: Option<String>,
    /// Whether it may be absent.
    #[serde(default)]
    pub optional: bool,
    /// Smallest number.
    pub min: Option<i64>,
    /// Largest number.
    pub max: Option<i64>,
    /// Distance between numbers.
    #[serde(default = "one")]
    pub step: i64,
    /// Most characters of a text.
    pub limit: Option<u16>,
    /// Whether a text is put into capitals.
    #[serde(default)]
    pub upper_case: bool,
    /// The choices of an `enum`.
    #[serde(default)]
    pub values: Vec<Choice>,
}

/// What a parameter holds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A number of 32 bits with sign.
    Int,
    /// The same.
    Long,
    /// A number of 16 bits.
    Word,
    /// A number of 32 bits.
    Dword,
    /// A text.
    Edit,
    /// One of several numbers, each with a text.
    Enum,
    /// A list of texts (`REG_MULTI_SZ`). The Advanced page has no such type.
    Multi,
}

impl Kind {
    /// The numbers that it can hold, if it holds numbers.
    pub fn range(self) -> Option<std::ops::RangeInclusive<i64>> {
        match self {
            Self::Int | Self::Long => Some(i64::from(i32::MIN)..=i64::from(i32::MAX)),
            Self::Word => Some(0..=i64::from(u16::MAX)),
            Self::Dword => Some(0..=i64::from(u32::MAX)),
            Self::Edit | Self::Enum | Self::Multi => None,
        }
    }
}

/// One choice of an `enum` parameter.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What is stored.
    pub value: String,
    /// What is shown.
    pub description: String,
}

fn one() -> i64 {
    1
}

impl Parameter {
    /// Checks what a type cannot say.
    pub fn check(&self) -> anyhow::Result<()> {
        let may_lack = self.optional || self.kind == Kind::Multi;
        ensure!(
            self.default.is_some() || may_lack,
            "there is no default, and it is not optional"
        );
        ensure!(
            self.kind != Kind::Multi || self.default.is_none() && !self.optional,
            "a list is empty by default and never asked for"
        );
        ensure!(
            (self.kind == Kind::Enum) != self.values.is_empty(),
            "an enum has values, others have none"
        );
        ensure!(
            self.kind == Kind::Edit || self.limit.is_none() && !self.upper_case,
            "only texts have a limit and capitals"
        );
        self.check_number()?;
        if let (Some(limit), Some(default)) = (self.limit, &self.default) {
            ensure!(
                default.len() <= usize::from(limit),
                "the default {default:?} is longer than {limit} characters"
            );
        }
        for (index, choice) in self.values.iter().enumerate() {
            // Windows' documents count them from zero, and drivers read numbers.
            ensure!(
                choice.value == index.to_string(),
                "the choices are numbered from 0: {:?} comes as number {index}",
                choice.value
            );
        }
        if let (Kind::Enum, Some(default)) = (self.kind, &self.default) {
            ensure!(
                self.values.iter().any(|choice| choice.value == *default),
                "the default {default:?} is none of its values"
            );
        }
        Ok(())
    }

    fn check_number(&self) -> anyhow::Result<()> {
        let Some(range) = self.kind.range() else {
            ensure!(
                self.min.is_none() && self.max.is_none(),
                "a numeric type has min and max, others have neither"
            );
            return Ok(());
        };
        let (Some(min), Some(max)) = (self.min, self.max) else {
            anyhow::bail!("a numeric type has min and max, others have neither");
        };
        ensure!(
            min <= max && range.contains(&min) && range.contains(&max),
            "{min} to {max} is no range of this type"
        );
        ensure!(self.step > 0, "the step {} is not positive", self.step);
        if let Some(default) = &self.default {
            let number: i64 = default
                .parse()
                .with_context(|| format!("the default {default:?} is not a number"))?;
            ensure!(
                (min..=max).contains(&number) && (number - min) % self.step == 0,
                "the default {number} is not in {min}, {min}+{} ... {max}",
                self.step
            );
        }
        Ok(())
    }

    /// Every text that reaches an INF. The default may be empty, the others may not.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let values = self
            .values
            .iter()
            .flat_map(|choice| [&choice.value, &choice.description]);
        [&self.name, &self.description]
            .into_iter()
            .chain(values)
            .chain(self.default.iter().filter(|text| !text.is_empty()))
            .map(String::as_str)
    }
}
