//! Plain tables: columns as wide as their widest cell, numbers to the right.

/// A table with a header.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self {
            rows: vec![header.map(str::to_owned).to_vec()],
        }
    }

    /// A table with as many columns as there are names.
    pub fn with_columns(names: Vec<String>) -> Self {
        Self { rows: vec![names] }
    }

    /// Adds a row of any length.
    pub fn cells(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(Vec::from(cells));
    }

    /// Whether there is nothing but the header.
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// Text, each line indented.
    pub fn render(&self, indent: &str) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .map(|row| console::measure_text_width(&cell(row, column)))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let numeric: Vec<bool> = (0..columns)
            .map(|column| {
                self.rows.len() > 1
                    && self.rows.iter().skip(1).all(|row| {
                        let text = cell(row, column);
                        text.starts_with(|c: char| c.is_ascii_digit())
                            && !text.contains(char::is_alphabetic)
                    })
            })
            .collect();
        let mut lines = Vec::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for (column, (width, numeric)) in widths.iter().zip(&numeric).enumerate() {
                let text = cell(row, column);
                let pad = " ".repeat(width.saturating_sub(console::measure_text_width(&text)));
                if column > 0 {
                    line.push_str("  ");
                }
                if *numeric {
                    line.push_str(&pad);
                    line.push_str(&text);
                } else {
                    line.push_str(&text);
                    line.push_str(&pad);
                }
            }
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_right_text_left() {
        let mut table = Table::new(["name", "count"]);
        table.row(["a".into(), "7".into()]);
        table.row(["longer".into(), "1,234".into()]);
        assert_eq!(
            table.render("  "),
            "  name    count\n  a           7\n  longer  1,234"
        );
        assert!(!table.is_empty());
        assert!(Table::new(["x"]).is_empty());
    }
}
