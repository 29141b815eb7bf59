//! The INF syntax: text encodings, sections, entries, quoting, continuation,
//! comments and string keys, as the general syntax rules for INF files say.
//! What is wrong is noted with its line and parsing goes on.

use std::collections::BTreeMap;

/// One INF, as far as its syntax tells.
#[derive(Debug, Default)]
pub struct Inf {
    /// Sections in the order of the file; a name may come twice.
    pub sections: Vec<Section>,
    /// Lines that break the syntax, with the reason.
    pub problems: Vec<(usize, String)>,
}

/// One `[section]`.
#[derive(Debug)]
pub struct Section {
    /// The name as written.
    pub name: String,
    /// The line of the header.
    pub line: usize,
    /// Its entries.
    pub entries: Vec<Entry>,
}

/// `key = value, value` or `value, value`.
#[derive(Debug)]
pub struct Entry {
    /// The line on which it starts.
    pub line: usize,
    /// What stands before the equals sign.
    pub key: Option<String>,
    /// What stands between the commas; quotes are resolved, string keys are not.
    pub values: Vec<String>,
}

impl Entry {
    /// The value at `index`; missing ones are empty, as Windows has it.
    pub fn value(&self, index: usize) -> &str {
        self.values.get(index).map_or("", String::as_str)
    }

    /// Whether the key is `name`.
    pub fn has_key(&self, name: &str) -> bool {
        self.key
            .as_deref()
            .is_some_and(|key| key.eq_ignore_ascii_case(name))
    }
}

impl Inf {
    /// Decodes and parses a whole file.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut inf = Self::default();
        let text = match decode(bytes) {
            Ok(text) => text,
            Err((line, problem)) => {
                inf.problems.push((line, problem));
                String::from_utf8_lossy(bytes).into_owned()
            }
        };
        inf.read(&text);
        inf
    }

    fn read(&mut self, text: &str) {
        let mut lines = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        let mut number = 0;
        while let Some(line) = lines.next() {
            number += 1;
            let start = number;
            let mut logical = self.strip(line, number);
            // A backslash at the end joins the next line, unless quotes make it text.
            while logical.continues {
                let Some(next) = lines.next() else {
                    self.problems
                        .push((number, "the last line is continued".to_owned()));
                    break;
                };
                number += 1;
                let next = self.strip(next, number);
                logical.text.push_str(&next.text);
                logical.continues = next.continues;
            }
            self.line(&logical.text, start);
        }
    }

    /// Takes the comment, the outer blanks and a continuation mark off a line.
    fn strip(&mut self, line: &str, number: usize) -> Stripped {
        let mut quoted = false;
        let mut end = line.len();
        for (at, c) in line.char_indices() {
            match c {
                '"' => quoted = !quoted,
                ';' if !quoted => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        if quoted {
            self.problems
                .push((number, "a quotation mark is not closed".to_owned()));
        }
        let text = line[..end].trim();
        match text.strip_suffix('\\') {
            Some(head) if !quoted && !text.starts_with('[') => Stripped {
                text: head.trim_end().to_owned(),
                continues: true,
            },
            _ => Stripped {
                text: text.to_owned(),
                continues: false,
            },
        }
    }

    fn line(&mut self, text: &str, line: usize) {
        if text.is_empty() {
            return;
        }
        if let Some(rest) = text.strip_prefix('[') {
            match rest.strip_suffix(']') {
                Some(name) if !name.trim().is_empty() && !name.contains(['[', ']']) => {
                    let name = name.trim().to_owned();
                    self.sections.push(Section {
                        name,
                        line,
                        entries: Vec::new(),
                    });
                }
                _ => self
                    .problems
                    .push((line, format!("{text:?} is not a section name"))),
            }
            return;
        }
        let (key, values) = split(text);
        let Some(section) = self.sections.last_mut() else {
            self.problems
                .push((line, "an entry before the first section".to_owned()));
            return;
        };
        section.entries.push(Entry { line, key, values });
    }

    /// Whether there is a section of this name.
    pub fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }

    /// Every section of this name: Windows merges them.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Section> {
        self.sections
            .iter()
            .filter(move |section| section.name.eq_ignore_ascii_case(name))
    }

    /// The entries of all sections of this name.
    pub fn entries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.named(name).flat_map(|section| &section.entries)
    }

    /// The first entry `key = …` of a section.
    pub fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        let sections = self
            .sections
            .iter()
            .filter(|found| found.name.eq_ignore_ascii_case(section));
        sections
            .flat_map(|section| &section.entries)
            .find(|entry| entry.has_key(key))
    }

    /// The line of a section's header, or 0.
    pub fn line_of(&self, section: &str) -> usize {
        self.named(section).next().map_or(0, |section| section.line)
    }

    /// String keys of `[Strings]`, in lower case, with line and text.
    pub fn strings(&self) -> BTreeMap<String, (usize, &str)> {
        let entries = self.entries("Strings");
        entries
            .filter_map(|entry| {
                let key = entry.key.as_ref()?.to_ascii_lowercase();
                Some((key, (entry.line, entry.value(0))))
            })
            .collect()
    }

    /// The text with its string keys replaced; unknown keys and directory ids stay.
    pub fn expand(&self, text: &str) -> String {
        if !text.contains('%') {
            return text.to_owned();
        }
        let strings = self.strings();
        let mut out = String::new();
        for token in tokens(text) {
            match token {
                Token::Text(text) => out.push_str(text),
                Token::Percent => out.push('%'),
                Token::Key(key) => {
                    if let Some((_, value)) = strings.get(&key.to_ascii_lowercase()) {
                        out.push_str(value);
                    } else {
                        out.push('%');
                        out.push_str(key);
                        out.push('%');
                    }
                }
            }
        }
        out
    }
}

struct Stripped {
    text: String,
    continues: bool,
}

/// A piece of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// Plain text.
    Text(&'a str),
    /// `%%`.
    Percent,
    /// `%key%`: a string key, or a directory id where it is a number.
    Key(&'a str),
}

/// Splits a value at its percent signs. A lone one is text.
pub fn tokens(mut text: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    while let Some(at) = text.find('%') {
        if at > 0 {
            out.push(Token::Text(&text[..at]));
        }
        let rest = &text[at + 1..];
        match rest.find('%') {
            Some(0) => out.push(Token::Percent),
            Some(end) => out.push(Token::Key(&rest[..end])),
            None => {
                out.push(Token::Text(&text[at..]));
                return out;
            }
        }
        let end = rest.find('%').unwrap_or(0);
        text = &rest[end + 1..];
    }
    if !text.is_empty() {
        out.push(Token::Text(text));
    }
    out
}

/// Splits an entry at its first equals sign and its commas, outside quotes, and
/// resolves the quotes.
fn split(text: &str) -> (Option<String>, Vec<String>) {
    let mut key = None;
    let mut values = Vec::new();
    let mut field = Field::default();
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            // Two quotes inside quotes are one; those around a text mark only its ends.
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"', true);
            }
            '"' => {
                quoted = !quoted;
                field.quoted_to = field.text.len();
            }
            '=' if !quoted && key.is_none() && values.is_empty() => key = Some(field.take()),
            ',' if !quoted => values.push(field.take()),
            c => field.push(c, quoted),
        }
    }
    values.push(field.take());
    // Trailing commas may be left out, so an empty last value says nothing.
    while values.len() > 1 && values.last().is_some_and(String::is_empty) {
        values.pop();
    }
    (key, values)
}

/// A value under way. Blanks at its ends count only inside quotes.
#[derive(Default)]
struct Field {
    text: String,
    quoted_to: usize,
}

impl Field {
    fn push(&mut self, c: char, quoted: bool) {
        if !quoted && c.is_whitespace() && self.text.is_empty() {
            return;
        }
        self.text.push(c);
        if quoted {
            self.quoted_to = self.text.len();
        }
    }

    fn take(&mut self) -> String {
        let field = std::mem::take(self);
        let (quoted, rest) = field.text.split_at(field.quoted_to);
        format!("{quoted}{}", rest.trim_end())
    }
}

/// UTF-16LE with a byte order mark, UTF-8 with one, or ASCII. Anything else
/// would be read in the code page of whoever installs it.
fn decode(bytes: &[u8]) -> Result<String, (usize, String)> {
    if let Some(rest) = bytes.strip_prefix(&[0xFF, 0xFE]) {
        let (pairs, odd) = rest.as_chunks::<2>();
        if !odd.is_empty() {
            return Err((0, "UTF-16 text with an odd number of bytes".to_owned()));
        }
        let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        return String::from_utf16(&units).map_err(|_| (0, "not valid UTF-16".to_owned()));
    }
    if bytes.starts_with(&[0xFE, 0xFF]) {
        return Err((0, "big-endian UTF-16 is not read by Windows".to_owned()));
    }
    let (bytes, marked) = match bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]) {
        Some(rest) => (rest, true),
        None => (bytes, false),
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        (
            line_at(bytes, error.valid_up_to()),
            "not valid UTF-8".to_owned(),
        )
    })?;
    match text.find(|c: char| !c.is_ascii()) {
        Some(at) if !marked => Err((
            line_at(bytes, at),
            "text beyond ASCII needs a byte order mark".to_owned(),
        )),
        _ => Ok(text.to_owned()),
    }
}

fn line_at(bytes: &[u8], offset: usize) -> usize {
    bytes[..offset].split(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Entry {
        let mut inf = Inf::parse(format!("[s]\n{text}").as_bytes());
        assert_eq!(inf.problems, [], "{text}");
        let mut entries = std::mem::take(&mut inf.sections[0].entries);
        assert_eq!(entries.len(), 1, "{text}");
        entries.remove(0)
    }

    #[test]
    fn keys_values_and_quotes() {
        let entry = one(r#" Key = a , "b, ""c"" " ,, d ; comment"#);
        assert_eq!(entry.key.as_deref(), Some("Key"));
        assert_eq!(entry.values, ["a", r#"b, "c" "#, "", "d"]);
        let entry = one(r#"HKR,,EventMessageFile,0x20000,"%%SystemRoot%%\x.dll""#);
        assert_eq!(
            (entry.key.as_deref(), entry.value(2)),
            (None, "EventMessageFile")
        );
        assert_eq!(one(r#"a = "x;y" ; z"#).values, ["x;y"]);
        assert_eq!(one("f.sys,,,").values, ["f.sys"]);
        assert_eq!(one(r#"HKR,k,"a=b",0"#).key, None);
    }

    #[test]
    fn lines_continue() {
        let entry = one("AddReg = a,\\ ; comment\r\n  b,\\\r\n  c");
        assert_eq!(
            (entry.line, entry.values.as_slice()),
            (2, &["a", "b", "c"].map(str::to_owned)[..])
        );
        let entry = one("CopyFiles = \"dir\\\"\\\n,file");
        assert_eq!(entry.values, ["dir\\", "file"]);
        assert!(!Inf::parse(b"[s]\na = b\\").problems.is_empty());
    }

    #[test]
    fn sections_merge_and_ignore_case() {
        let inf = Inf::parse(b"[Abc]\nx = 1\n[other]\n[aBC]\ny = 2");
        assert_eq!(inf.entries("ABC").count(), 2);
        assert_eq!(inf.entry("abc", "Y").map(|entry| entry.value(0)), Some("2"));
        assert_eq!(inf.line_of("abc"), 1);
    }

    #[test]
    fn string_keys() {
        let inf = Inf::parse(b"[Strings]\nName = \"the \"\"one\"\"\"\n");
        assert_eq!(
            inf.expand("a %NAME% 100%% %13%\\x %gone%"),
            "a the \"one\" 100% %13%\\x %gone%"
        );
        assert_eq!(tokens("50%"), [Token::Text("50"), Token::Text("%")]);
    }

    #[test]
    fn encodings() {
        let text = "[Strings]\r\nName = \"é\"\r\n";
        let utf16: Vec<u8> = std::iter::once(0xFEFF)
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let utf8 = [&[0xEF, 0xBB, 0xBF], text.as_bytes()].concat();
        for bytes in [utf16.as_slice(), utf8.as_slice()] {
            let inf = Inf::parse(bytes);
            assert_eq!(
                (inf.problems.len(), inf.expand("%name%")),
                (0, "é".to_owned())
            );
        }
        assert_eq!(Inf::parse(text.as_bytes()).problems[0].0, 2);
        assert!(!Inf::parse(&utf16[..utf16.len() - 1]).problems.is_empty());
        assert!(!Inf::parse(b"\xFE\xFF\0[").problems.is_empty());
        assert!(!Inf::parse(b"[s]\n\xFF").problems.is_empty());
    }

    #[test]
    fn what_is_no_inf_is_said_with_its_line() {
        for (text, line) in [
            ("a = b", 1),
            ("[s]\n[]", 2),
            ("[s\nx = 1", 1),
            ("[s]\n\nx = \"open", 3),
            ("[a]b", 1),
        ] {
            let problems = Inf::parse(text.as_bytes()).problems;
            assert_eq!(
                problems.first().map(|problem| problem.0),
                Some(line),
                "{text}: {problems:?}"
            );
        }
    }
}
