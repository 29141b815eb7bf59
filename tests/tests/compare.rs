//! `lab compare`: the page opens in a browser without an error, and every number in it is the
//! document's.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use workspace_tests::Bench;

/// What the browser is called; `cargo xtask setup --partners` installs it.
const BROWSER: &str = "chromium";

struct Compared {
    folder: PathBuf,
    document: Value,
    text: String,
    code: i32,
}

impl Drop for Compared {
    fn drop(&mut self) {
        // Nothing more can be done about one that stays.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs the comparison of all drivers that are packaged.
fn compare(bench: &Bench, title: &str, passes: &str) -> Compared {
    let folder = std::env::temp_dir().join(format!("im-{title}-{}", std::process::id()));
    let mut command = Command::new(&bench.lab);
    command.args(["compare", "--passes", passes]);
    for (option, driver) in [
        ("--one", "passthrough"),
        ("--many", "mux"),
        ("--team", "lbfo"),
    ] {
        command.arg(option).arg(bench.packages.join(driver));
    }
    let output = command
        .arg("--out")
        .arg(&folder)
        .output()
        .expect("the lab runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = std::fs::read_to_string(folder.join("compare.json"))
        .unwrap_or_else(|error| panic!("{error}:\n{said}"));
    Compared {
        document: serde_json::from_str(&text).expect("a document"),
        text: said,
        code: output.status.code().unwrap_or(-1),
        folder,
    }
}

fn number(value: &Value, pointer: &str) -> u64 {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("no number at {pointer}"))
}

/// An act of the script, of one driver.
fn act<'a>(driver: &'a Value, name: &str) -> &'a Value {
    let acts = driver["life"]["acts"].as_array().expect("acts");
    acts.iter()
        .find(|act| act["name"] == name)
        .unwrap_or_else(|| panic!("no act {name}"))
}

/// What is special about each topology shows in the numbers, and the same seed gives the
/// same ones.
#[test]
fn topologies_differ_where_they_must() {
    let Some(bench) = Bench::of("topologies_differ_where_they_must", "lbfo") else {
        return;
    };
    let compared = compare(&bench, "compare", "11");
    assert_eq!(compared.code, 0, "{}", compared.text);
    let drivers = compared.document["drivers"].as_array().expect("drivers");
    let shapes: Vec<_> = drivers
        .iter()
        .map(|driver| driver["life"]["shape"]["ours"].as_str().expect("a shape"))
        .collect();
    assert_eq!(shapes, ["1:1", "1:N", "N:1", "N:1"]);
    let decides = |driver: &Value, way: &str| {
        let rows = driver["life"]["decides"]["rows"].as_array().expect("rows");
        let mine = rows
            .iter()
            .filter(|r| r["way"] == way && r["decides"] == true);
        mine.map(|r| r["part"].as_str().expect("a part").to_owned())
            .collect::<Vec<_>>()
    };
    let [one, many, backup, spread] = drivers.as_slice() else {
        panic!("{} drivers", drivers.len())
    };
    assert!(decides(one, "up").is_empty() && decides(one, "down").is_empty());
    for part in ["destination MAC", "VLAN"] {
        assert!(decides(many, "up").iter().any(|p| p == part), "{part}");
    }
    assert!(decides(backup, "down").is_empty());
    assert!(decides(spread, "down").iter().any(|p| p == "UDP ports"));
    for driver in drivers {
        let label = &driver["label"];
        assert_eq!(number(act(driver, "steady"), "/lost"), 0, "{label}");
        assert!(number(act(driver, "steady"), "/sent") > 1_000, "{label}");
        for what in ["reordered", "wrong"] {
            assert_eq!(
                number(&driver["life"]["total"], &format!("/{what}")),
                0,
                "{label}"
            );
        }
        let costs = driver["cost"].as_array().expect("costs");
        assert_eq!(costs.len(), 6, "{label}");
        for cost in costs {
            let ratio = cost["ratio"].as_f64().expect("a ratio");
            assert!(ratio > 0.0, "{label}: {cost}");
            // A list at a time the hop costs several times the path without it: that shows
            // on a busy machine, too.
            assert!(cost["batch"] != 1 || ratio > 1.0, "{label}: {cost}");
        }
    }
    // A pulled cable: half of the flows wait for it, or nobody notices.
    for driver in [one, many] {
        let pulled = act(driver, "cable pulled");
        assert!(number(pulled, "/lost") > 1_000, "{pulled}");
        assert!(number(pulled, "/silence_us") >= 8_000, "{pulled}");
        assert!(number(driver, "/life/unbind/miniports_gone") > 0);
    }
    for driver in [backup, spread] {
        let pulled = act(driver, "cable pulled");
        assert!(number(pulled, "/lost") < 100, "{pulled}");
        assert!(number(pulled, "/silence_us") < 1_000, "{pulled}");
        assert_eq!(number(driver, "/life/unbind/miniports_gone"), 0);
    }
    assert_eq!(number(backup, "/life/unbind/flows_ended"), 0);
    // The switch of a static group goes on sending to an adapter that nobody uses any more;
    // what the team sends all arrives.
    let ended = number(spread, "/life/unbind/flows_ended");
    assert!(
        (1..=12).contains(&ended),
        "{ended} flows of 12 that come from the switch"
    );
    let again = compare(&bench, "compare-again", "1");
    let lives = |document: &Value| -> Vec<Value> {
        let drivers = document["drivers"].as_array().expect("drivers");
        drivers
            .iter()
            .map(|driver| driver["life"].clone())
            .collect()
    };
    assert_eq!(lives(&compared.document), lives(&again.document));
}

/// The page in the browser, as it is after its script has run, and what the browser logged.
fn opened(page: &Path) -> Option<(String, String)> {
    let profile = std::env::temp_dir().join(format!("im-browser-{}", std::process::id()));
    let output = Command::new(BROWSER)
        .args([
            "--headless",
            "--disable-gpu",
            "--no-sandbox",
            "--no-first-run",
        ])
        .args(["--enable-logging=stderr", "--v=0", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output();
    // Nothing more can be done about one that stays.
    let _ = std::fs::remove_dir_all(&profile);
    let output = output.ok()?;
    assert!(
        output.status.success(),
        "{BROWSER} failed: {:?}",
        output.status
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(&output.stdout), text(&output.stderr)))
}

/// Contents of elements that begin with `open`, up to `close`.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    text.split(open)
        .skip(1)
        .map(|rest| rest.split(close).next().unwrap_or_default())
        .collect()
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[test]
fn the_page_shows_what_the_document_says() {
    let test = "the_page_shows_what_the_document_says";
    let Some(bench) = Bench::of(test, "lbfo") else {
        return;
    };
    let compared = compare(&bench, "page", "1");
    let Some((dom, log)) = opened(&compared.folder.join("compare.html")) else {
        println!("SKIP {test}: no {BROWSER}; `cargo xtask setup --partners` installs it");
        return;
    };
    assert!(!log.contains("CONSOLE"), "the browser complains:\n{log}");
    let shown = between(&dom, "<span data-p=\"", "</span>");
    assert!(shown.len() > 500, "{} numbers", shown.len());
    for span in &shown {
        let (pointer, text) = span.split_once("\">").expect("an element");
        let value = compared.document.pointer(pointer);
        let expected = match value.unwrap_or_else(|| panic!("no {pointer} in the document")) {
            Value::String(text) => text.clone(),
            Value::Bool(value) => if *value { "yes" } else { "no" }.to_owned(),
            other => other.to_string(),
        };
        assert_eq!(unescaped(text), expected, "{pointer}");
    }
    // The page has compared itself in the browser.
    let root = between(&dom, "<html", ">").concat();
    assert!(root.contains("data-differ=\"0\""), "{root}");
    assert!(
        root.contains(&format!("data-compared=\"{}\"", shown.len())),
        "{root}"
    );
    // No cell has a number that does not come from the document.
    let cells = between(&dom, "<td", "</td>");
    assert!(cells.len() > 200);
    for cell in cells {
        let mut rest = String::new();
        for (at, part) in cell.split("<span data-p=\"").enumerate() {
            let outside = if at == 0 {
                part.split_once('>').map_or("", |(_, text)| text)
            } else {
                part.split_once("</span>").map_or("", |(_, text)| text)
            };
            rest.push_str(outside);
        }
        let digits = rest.chars().any(|c| c.is_ascii_digit());
        assert!(!digits, "a number of nobody's: {cell}");
    }
    // Nothing is fetched from elsewhere.
    for foreign in ["src=", "href=\"http", "@import", "url("] {
        let whole = std::fs::read_to_string(compared.folder.join("compare.html"));
        assert!(!whole.expect("the page").contains(foreign), "{foreign}");
    }
}
