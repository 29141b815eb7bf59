//! `cargo xtask verify`: everything about a package that its files tell.

use anyhow::{Context as _, Result};
use fs_err as fs;
use win_trust::{Cert, Finding, Moment, Package, Trust};

use crate::cli::VerifyArgs;
use crate::inf;

/// Judges a package and says what is wrong; the exit code is 1 if something is.
pub fn verify(args: &VerifyArgs) -> Result<i32> {
    let mut roots = Vec::new();
    for path in &args.root {
        let cert = Cert::from_file(&fs::read(path)?)
            .with_context(|| format!("{} is no certificate", path.display()))?;
        roots.push(cert);
    }
    let package = Package::load(&args.dir)?;
    let mut report = package.verify(&Trust {
        roots,
        now: Moment::now(),
    });
    for finding in inf::lint(&args.dir)? {
        if finding.severity == inf::Severity::Error {
            report.findings.push(Finding {
                path: finding.file,
                problem: format!(
                    "line {}: {} {}",
                    finding.line, finding.rule, finding.message
                ),
            });
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        for finding in &report.findings {
            println!("{finding}");
        }
        for note in &report.notes {
            println!("note: {note}");
        }
        let verdict = if report.is_good() {
            "as it was made"
        } else {
            "NOT as it was made"
        };
        let signer = report.signer.as_deref().unwrap_or("nobody");
        println!(
            "{}: {verdict}; {} files, {} signatures, signed by {signer}",
            args.dir.display(),
            report.files,
            report.signatures
        );
    }
    Ok(i32::from(!report.is_good()))
}
