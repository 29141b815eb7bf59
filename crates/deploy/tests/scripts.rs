//! The scripts of a package, as texts: PowerShell's grammar (tree-sitter's; there is no
//! PowerShell here), and that they say what the table says.

use deploy::Driver;
use deploy::table::Phase;

fn scripts() -> Vec<(String, String)> {
    let driver = Driver {
        name: "mux".to_owned(),
        component: "RustIM_Mux".to_owned(),
        protocol_service: "ImMux".to_owned(),
        miniport_service: "ImMuxMp".to_owned(),
    };
    deploy::scripts(&driver)
        .into_iter()
        .filter(|(name, _)| {
            std::path::Path::new(name)
                .extension()
                .is_some_and(|e| e == "ps1")
        })
        .map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap()))
        .collect()
}

fn find(node: tree_sitter::Node<'_>) -> Option<tree_sitter::Node<'_>> {
    if node.is_error() || node.is_missing() {
        return Some(node);
    }
    let mut cursor = node.walk();
    let children: Vec<_> = node.children(&mut cursor).collect();
    children.into_iter().find_map(find)
}

/// The first place that the grammar does not take.
fn fault(text: &str) -> Option<String> {
    let mut parser = tree_sitter::Parser::new();
    parser
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .unwrap();
    let tree = parser.parse(text, None).unwrap();
    find(tree.root_node()).map(|n| format!("{}: {}", n.start_position(), &text[n.byte_range()]))
}

#[test]
fn every_script_is_powershell_by_its_grammar() {
    let all = scripts();
    assert_eq!(all.len(), 15);
    let mut faults = Vec::new();
    for (name, text) in &all {
        if let Some(fault) = fault(text) {
            faults.push(format!("{name}: {fault}"));
        }
        assert!(
            text.is_ascii(),
            "{name}: Windows' PowerShell would misread it"
        );
        assert!(
            text.lines().all(|l| l.len() < 8000),
            "{name}: too long for cmd.exe"
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // The grammar does find faults.
    assert!(fault("if ($a { 'b' }").is_some());
    assert!(fault("foreach ($a in $b) { $c = @(1, ").is_some());
}

#[test]
fn the_table_is_in_the_scripts_and_nowhere_twice() {
    let all = scripts();
    let mut ids = std::collections::BTreeSet::new();
    for phase in Phase::ALL {
        for step in phase.steps() {
            let place = format!("(Step -Id '{}' -Run '", step.id);
            let count = all.iter().filter(|(_, text)| text.contains(&place)).count();
            assert_eq!(count, 1, "{}", step.id);
            assert!(ids.insert(step.id), "{} is there twice", step.id);
            assert!(
                step.page.starts_with("https://learn.microsoft.com/"),
                "{}",
                step.id
            );
            assert!(
                !step.what.is_empty() && !step.failure.is_empty(),
                "{}",
                step.id
            );
            let bare = |text: &str| {
                !text
                    .replace("@driver@", "")
                    .replace("@component@", "")
                    .replace("-service@", "")
                    .contains("@@")
            };
            assert!(bare(step.run));
        }
    }
    // Every list that a step names is one of the far side's.
    let lists = &all.iter().find(|(n, _)| n == "far/lists.ps1").unwrap().1;
    for step in Phase::ALL.iter().flat_map(|p| p.steps()) {
        for list in [step.each, step.undo_each].into_iter().flatten() {
            assert!(
                lists.contains(&format!("'{}' {{", list.name())),
                "{}",
                list.name()
            );
        }
    }
    for (name, text) in &all {
        assert!(
            !text.contains("#STEPS:") && !text.contains("-service@"),
            "{name}"
        );
    }
}

#[test]
fn the_documentation_has_the_table() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/deploy.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (start, end) = ("<!-- steps -->\n", "<!-- end of steps -->");
    let (head, rest) = text.split_once(start).expect("a mark");
    let (table, tail) = rest.split_once(end).expect("an end");
    let wanted = deploy::script::markdown();
    if std::env::var_os("IM_WRITE_DOCS").is_some() {
        std::fs::write(page, [head, start, &wanted, end, tail].concat()).unwrap();
    } else {
        assert_eq!(
            table, wanted,
            "IM_WRITE_DOCS=1 cargo test -p deploy --test scripts writes it"
        );
    }
}
