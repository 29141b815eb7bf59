//! In the place of signtool and Inf2Cat, which run on Windows only: one program for both,
//! by the name under which it is started.
//!
//! It takes the options that Microsoft documents and no others. Signatures are
//! osslsigncode's, catalogs win-trust's; so what is tested is how xtask calls the tools and
//! what it does with their output, not the tools. Each call is a line of `calls` in the
//! folder that `IM_STAND_IN` names; `IM_STAND_IN_FAULT` says what goes wrong.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use win_trust::{Header, Inf, Member, Moment, PeImageFlags};

type Outcome = Result<ExitCode, String>;

/// Options of `signtool sign` that stand alone, and those with a value.
const FLAGS: [&str; 9] = [
    "/a", "/as", "/debug", "/nph", "/ph", "/q", "/sm", "/uw", "/v",
];
const VALUES: [&str; 17] = [
    "/ac", "/c", "/csp", "/d", "/du", "/f", "/fd", "/i", "/kc", "/n", "/p", "/r", "/s", "/sha1",
    "/td", "/tr", "/u",
];
/// Names of systems from 2004 on, in Inf2Cat's documentation.
const SYSTEMS: [&str; 10] = [
    "10_25H2_X64",
    "10_25H2_ARM64",
    "10_GE_X64",
    "10_GE_ARM64",
    "10_NI_X64",
    "10_NI_ARM64",
    "10_CO_X64",
    "10_CO_ARM64",
    "10_VB_X64",
    "10_VB_ARM64",
];

fn main() -> ExitCode {
    let mut args = std::env::args();
    let program = PathBuf::from(args.next().unwrap_or_default());
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    let args: Vec<String> = args.collect();
    let outcome = record(&name, &args).and_then(|()| match name.to_lowercase().as_str() {
        "signtool" => signtool(&args),
        "inf2cat" => inf2cat(&args),
        other => Err(format!("{other} is the name of neither tool")),
    });
    outcome.unwrap_or_else(|why| {
        // Both say on stdout what is wrong.
        println!("{name} Error: {why}");
        ExitCode::from(1)
    })
}

fn record(name: &str, args: &[String]) -> Result<(), String> {
    let folder = std::env::var("IM_STAND_IN").map_err(|e| e.to_string())?;
    let cwd = std::env::current_dir().map_err(|e| e.to_string())?;
    let call = serde_json::json!({ "program": name, "args": args, "cwd": cwd });
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(Path::new(&folder).join("calls"))
        .and_then(|mut file| writeln!(file, "{call}"))
        .map_err(|e| e.to_string())
}

fn fault(name: &str) -> bool {
    std::env::var("IM_STAND_IN_FAULT").is_ok_and(|fault| fault == name)
}

fn signtool(args: &[String]) -> Outcome {
    let [command, rest @ ..] = args else {
        return Err("a required parameter is missing".to_owned());
    };
    if command != "sign" {
        return Err(format!("{command} is not what this stands in for"));
    }
    let (options, files) = sign_options(rest)?;
    let images = files.iter().all(|file| !is_catalog(file));
    if images && fault("images-are-not-signed") {
        return Err("no certificate met all the given criteria".to_owned());
    }
    if !images && fault("catalogs-are-not-signed") {
        return Err("the catalog is of no form that is known".to_owned());
    }
    for file in &files {
        sign(&options, file)?;
    }
    if fault("no-stamp-but-a-warning") {
        println!("SignTool Warning: signing succeeded, but the time stamp failed");
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::SUCCESS)
}

fn is_catalog(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|e| e == "cat")
}

type Options<'a> = BTreeMap<&'a str, &'a str>;

fn sign_options(args: &[String]) -> Result<(Options<'_>, Vec<&str>), String> {
    let (mut options, mut files) = (Options::new(), Vec::new());
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        if FLAGS.contains(&arg) {
            options.insert(arg, "");
        } else if VALUES.contains(&arg) {
            if arg == "/td" && !options.contains_key("/tr") {
                return Err("/td stands before /tr and has no effect there".to_owned());
            }
            let value = args.next().ok_or(format!("{arg} needs a value"))?;
            if options.insert(arg, value).is_some() {
                return Err(format!("{arg} is there twice"));
            }
        } else if arg.starts_with(['/', '-']) {
            return Err(format!("invalid option: {arg}"));
        } else {
            files.push(arg);
        }
    }
    if files.is_empty() {
        return Err("no file is named".to_owned());
    }
    Ok((options, files))
}

fn sign(options: &Options<'_>, file: &str) -> Result<(), String> {
    let given = |option| options.get(option).copied().ok_or(format!("no {option}"));
    if given("/fd")? != "SHA256" {
        return Err("/fd is not SHA256".to_owned());
    }
    if let Some(issuer) = options.get("/ac") {
        let bytes = std::fs::read(issuer).map_err(|e| format!("{issuer}: {e}"))?;
        win_trust::Cert::from_der(&bytes).map_err(|e| e.to_string())?;
    }
    let signed = format!("{file}.signed");
    let (key, password) = (given("/f")?, given("/p")?);
    let mut cmd = Command::new("osslsigncode");
    cmd.args(["sign", "-h", "sha256", "-n", given("/d")?]);
    if fault("no-chain") {
        // The signer's own certificate alone.
        let pass = format!("pass:{password}");
        for (kind, out) in [("-nocerts", "alone.key"), ("-nokeys", "alone.pem")] {
            let mut cmd = Command::new("openssl");
            cmd.args(["pkcs12", "-in", key, "-passin", &pass, "-clcerts"]);
            run(cmd.args([kind, "-noenc", "-out", out]))?;
        }
        cmd.args(["-key", "alone.key", "-certs", "alone.pem"]);
    } else {
        cmd.args(["-pkcs12", key, "-pass", password]);
    }
    if options.contains_key("/ph") && !fault("no-page-hashes") {
        cmd.arg("-ph");
    }
    if let Some(url) = options.get("/tr")
        && !fault("no-stamp")
    {
        cmd.args(["-ts", url]);
    }
    cmd.args(["-in", file, "-out", &signed]);
    if fault("another-image") && !is_catalog(file) {
        let mut bytes = std::fs::read(file).map_err(|e| e.to_string())?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(file, bytes).map_err(|e| e.to_string())?;
    }
    run(&mut cmd)?;
    std::fs::rename(&signed, file).map_err(|e| e.to_string())?;
    println!("Successfully signed: {file}");
    Ok(())
}

fn run(cmd: &mut Command) -> Result<(), String> {
    let output = cmd.output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&said).into_owned())
}

fn inf2cat(args: &[String]) -> Outcome {
    let (mut driver, mut systems, mut flags) = (None, None, PeImageFlags::CatalogWithoutPages);
    for arg in args {
        if let Some(folder) = arg.strip_prefix("/driver:") {
            driver = Some(PathBuf::from(folder));
        } else if let Some(list) = arg.strip_prefix("/os:") {
            systems = Some(list.split(',').collect::<Vec<_>>());
        } else if arg == "/pageHashes" {
            flags = PeImageFlags::Catalog;
        } else if !["/verbose", "/uselocaltime"].contains(&arg.as_str()) {
            return Err(format!("{arg} is not known"));
        }
    }
    let driver = driver.ok_or("no /driver")?;
    let systems = systems.ok_or("no /os")?;
    if let Some(unknown) = systems.iter().find(|name| !SYSTEMS.contains(name)) {
        return Err(format!("{unknown} is no system"));
    }
    if fault("not-signable") {
        println!("Signability test failed.\n\nErrors:\n22.9.1: a file is missing");
        return Ok(ExitCode::from(254));
    }
    if fault("no-catalog") {
        println!("Catalog generation complete.");
        return Ok(ExitCode::SUCCESS);
    }
    if fault("like-an-older-one") {
        flags = PeImageFlags::CatalogWithoutPages;
    }
    let entries = std::fs::read_dir(&driver).map_err(|e| e.to_string())?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: Vec<_> = paths.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let is_inf = |path: &&PathBuf| path.extension().is_some_and(|e| e == "inf");
    let infs: Vec<_> = paths.iter().filter(is_inf).collect();
    for path in &infs {
        catalog(&driver, path, &infs, &systems, flags).map_err(|e| e.to_string())?;
    }
    println!("Signability test complete.");
    Ok(ExitCode::SUCCESS)
}

/// Writes the catalog of an INF.
fn catalog(
    driver: &Path,
    path: &Path,
    infs: &[&PathBuf],
    systems: &[&str],
    flags: PeImageFlags,
) -> Result<(), Box<dyn std::error::Error>> {
    let text = std::fs::read(path)?;
    let inf = Inf::parse(&text)?;
    let mut listed = vec![path.to_owned()];
    listed.extend(inf.files.iter().map(|file| driver.join(file)));
    if fault("a-file-is-forgotten") {
        listed.pop();
    }
    let mut hardware_ids = inf.hardware_ids.clone();
    if fault("like-an-older-one") {
        // Nothing says that it does not: the INFs that others bring along, ids in another form.
        listed.extend(
            infs.iter()
                .filter(|other| ***other != path)
                .copied()
                .cloned(),
        );
        hardware_ids.reverse();
        for id in &mut hardware_ids {
            id.make_ascii_uppercase();
        }
    }
    let mut members = Vec::new();
    for file in listed {
        let name = file.file_name().ok_or("no name")?;
        members.push((name.to_string_lossy().into_owned(), std::fs::read(file)?));
    }
    let members: Vec<_> = members
        .iter()
        .map(|(name, bytes)| Member { name, bytes })
        .collect();
    let header = Header {
        os: systems
            .iter()
            .map(|name| format!("by option {name}"))
            .collect(),
        hardware_ids,
    };
    let catalog = win_trust::build_unsigned(&members, &header, Moment::now(), flags)?;
    let name = inf.catalog.ok_or("no CatalogFile")?;
    Ok(std::fs::write(driver.join(name), catalog)?)
}
