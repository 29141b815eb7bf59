//! Tables of the documentation that are printed from the code: on the page they stand
//! between two comments, of which the first names the source. After a wanted change, run
//! the tests with `UPDATE_APPROVED=1`, read the difference, and commit it.

use super::root;

const END: &str = "<!-- end of table -->";

/// Compares the table of a source on a page with what the source says.
pub fn keep(page: &str, source: &str, wanted: &str) {
    let path = root().join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let begin = format!("<!-- table: {source} -->");
    let parts = text.split_once(&begin);
    let (head, rest) = parts.unwrap_or_else(|| panic!("{page} has no table of {source}"));
    let (shown, tail) = rest.split_once(END).expect("the table ends");
    let wanted = wanted.trim();
    if std::env::var_os("UPDATE_APPROVED").is_some() {
        std::fs::write(&path, format!("{head}{begin}\n\n{wanted}\n\n{END}{tail}")).unwrap();
    } else {
        assert_eq!(shown.trim(), wanted, "{page}, {source}");
    }
}

// On Windows that would take a kit and a kernel build.
#[cfg(not(windows))]
mod printed {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::keep;

    #[test]
    fn states_of_a_member() {
        let mut wanted = String::new();
        lbfo::brain::table::markdown(&mut wanted).unwrap();
        keep("docs/lbfo.md", "drivers/lbfo/src/brain/table.rs", &wanted);
    }

    #[test]
    fn what_a_team_shows_of_its_members() {
        let mut wanted = "| Structure | Field | The team's | Why |\n|---|---|---|---|\n".to_owned();
        let mut rows = 0;
        for row in lbfo::merge::TABLES.iter().copied().flatten() {
            let rule = row.rule.text();
            writeln!(
                wanted,
                "| {} | `{}` | {rule} | {} |",
                row.structure, row.field, row.why
            )
            .unwrap();
            rows += 1;
        }
        assert!(rows > 50, "{rows} rows");
        keep("docs/lbfo.md", "drivers/lbfo/src/merge.rs", &wanted);
    }

    #[test]
    fn machines_of_link_aggregation() {
        let mut wanted = String::new();
        lacp::table::markdown(&mut wanted).unwrap();
        let names: BTreeSet<_> = lacp::table::MACHINES
            .iter()
            .flat_map(|machine| machine.transitions())
            .collect();
        assert!(names.len() > 60, "{} transitions", names.len());
        keep("docs/lacp.md", "crates/lacp/src/table", &wanted);
    }
}
