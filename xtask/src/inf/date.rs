//! The date in `DriverVer`: that of the source, never that of the build, so that
//! two builds of one commit are the same bytes.

use std::{fmt, path::Path, process::Command, str::FromStr};

use anyhow::{Context, bail, ensure};

/// A calendar day in UTC, as `DriverVer` carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DriverDate(time::Date);

impl DriverDate {
    /// The day of the source in `root`: `SOURCE_DATE_EPOCH` when it is set, else
    /// the commit that is checked out.
    pub fn of_source(root: &Path) -> anyhow::Result<Self> {
        if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
            return Self::from_epoch(&epoch)
                .with_context(|| format!("SOURCE_DATE_EPOCH is {epoch:?}"));
        }
        let output = Command::new("git")
            .args(["show", "--no-patch", "--format=%ct", "HEAD"])
            .current_dir(root)
            .output()
            .context(
                "cannot run git, which tells the date of the commit (or set SOURCE_DATE_EPOCH)",
            )?;
        if !output.status.success() {
            bail!(
                "git does not tell the date of the commit in {}: {}; set SOURCE_DATE_EPOCH \
                 to seconds since 1970 when building outside a git checkout",
                root.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Self::from_epoch(String::from_utf8_lossy(&output.stdout).trim())
    }

    fn from_epoch(seconds: &str) -> anyhow::Result<Self> {
        let seconds: i64 = seconds
            .parse()
            .context("not a number of seconds since 1970")?;
        Ok(Self(
            time::OffsetDateTime::from_unix_timestamp(seconds)?.date(),
        ))
    }
}

impl fmt::Display for DriverDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = (self.0.year(), u8::from(self.0.month()), self.0.day());
        write!(f, "{month:02}/{day:02}/{year:04}")
    }
}

impl FromStr for DriverDate {
    type Err = anyhow::Error;

    /// Reads `mm/dd/yyyy`, with `-` allowed for `/`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let fields: Vec<&str> = text.split(['/', '-']).collect();
        let [month, day, year] = fields[..] else {
            bail!("{text:?} is not mm/dd/yyyy");
        };
        ensure!(
            (month.len(), day.len(), year.len()) == (2, 2, 4),
            "{text:?} is not mm/dd/yyyy with two, two and four digits"
        );
        let month = time::Month::try_from(month.parse::<u8>()?)?;
        Ok(Self(time::Date::from_calendar_date(
            year.parse()?,
            month,
            day.parse()?,
        )?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_becomes_a_day_in_utc() {
        assert_eq!(
            DriverDate::from_epoch("0").unwrap().to_string(),
            "01/01/1970"
        );
        assert_eq!(
            DriverDate::from_epoch("1709251199").unwrap().to_string(),
            "02/29/2024"
        );
        assert!(DriverDate::from_epoch("yesterday").is_err());
    }

    #[test]
    fn a_date_is_read_as_windows_reads_it() {
        assert_eq!(
            "02-29-2024".parse::<DriverDate>().unwrap().to_string(),
            "02/29/2024"
        );
        for bad in ["2/29/2024", "02/30/2024", "13/01/2024", "02/29", "02/29/24"] {
            assert!(bad.parse::<DriverDate>().is_err(), "{bad}");
        }
    }
}
