//! What the source text of `ndis-sys` declares.
//!
//! The tables list what the macros of `ndis-sys` declare. This reads the same
//! source without compiling it, so that nothing can be declared past the
//! macros, or by them and not reach the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Names by the macro that declares them, and the number of members written.
#[derive(Debug, Default)]
pub struct Source {
    pub names: BTreeMap<String, BTreeSet<String>>,
    pub fields: usize,
    pub enum_members: usize,
    /// Items outside the macros: file, kind and name.
    pub others: BTreeSet<(String, String, String)>,
}

/// The source directory of `ndis-sys`.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/ndis-sys/src")
}

impl Source {
    /// Reads every file below `directory`.
    pub fn read(directory: &Path) -> Self {
        let mut source = Self::default();
        let mut stack = vec![directory.to_owned()];
        while let Some(path) = stack.pop() {
            if path.is_dir() {
                let entries = std::fs::read_dir(&path).expect("a readable directory");
                stack.extend(entries.map(|entry| entry.expect("a readable entry").path()));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a readable file");
                let name = path.strip_prefix(directory).expect("a path below it");
                source.add(&name.to_string_lossy(), &text);
            }
        }
        source
    }

    /// Reads one file.
    pub fn add(&mut self, file: &str, text: &str) {
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.items(file, &parsed.items);
    }

    fn items(&mut self, file: &str, items: &[syn::Item]) {
        for item in items {
            let (kind, name) = match item {
                syn::Item::Use(_) => continue,
                syn::Item::Mod(item) => {
                    if let Some((_, items)) = &item.content {
                        self.items(file, items);
                    }
                    continue;
                }
                syn::Item::Macro(item) => {
                    let name = item.mac.path.get_ident().map(ToString::to_string);
                    match name.as_deref() {
                        Some("macro_rules") => continue,
                        Some(name) if self.invocation(name, item.mac.tokens.clone()) => continue,
                        _ => ("macro", name.unwrap_or_default()),
                    }
                }
                syn::Item::Struct(item) => ("struct", item.ident.to_string()),
                syn::Item::Union(item) => ("union", item.ident.to_string()),
                syn::Item::Enum(item) => ("enum", item.ident.to_string()),
                syn::Item::Const(item) => ("const", item.ident.to_string()),
                syn::Item::Static(item) => ("static", item.ident.to_string()),
                syn::Item::Type(item) => ("type", item.ident.to_string()),
                syn::Item::Fn(item) => ("fn", item.sig.ident.to_string()),
                syn::Item::ForeignMod(_) => ("extern", String::new()),
                syn::Item::Impl(_) => ("impl", String::new()),
                _ => ("other", String::new()),
            };
            self.others.insert((file.to_owned(), kind.to_owned(), name));
        }
    }

    /// Takes the names out of one invocation; false for a macro not known.
    fn invocation(&mut self, name: &str, tokens: TokenStream) -> bool {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let names = match name {
            // `NAME = TYPE;`, `NAME(TYPE);` or `NAME;`: the first word of each.
            "scalars" | "newtypes" | "aliases" | "opaque" => statements(&tokens)
                .iter()
                .filter_map(|line| first_word(line))
                .collect(),
            // `TYPE { NAME = value, .. }`
            "constants" => groups(&tokens)
                .iter()
                .flat_map(|(_, group)| assigned(group))
                .collect(),
            // `NAME { Member = value, .. }`
            "enums" => groups(&tokens)
                .iter()
                .filter_map(|(head, group)| {
                    self.enum_members += assigned(group).len();
                    first_word(head)
                })
                .collect(),
            // `struct NAME .. { offset Field: TYPE, .. }`
            "structs" => groups(&tokens)
                .iter()
                .filter_map(|(head, group)| {
                    self.fields += members(group);
                    word_after(head, &["struct", "union"])
                })
                .collect(),
            // `fn NAME(..);`
            "callbacks" | "imports" => statements(&tokens)
                .iter()
                .filter_map(|line| word_after(line, &["fn"]))
                .collect::<Vec<_>>(),
            _ => return false,
        };
        self.names.entry(name.to_owned()).or_default().extend(names);
        true
    }
}

fn statements(tokens: &[TokenTree]) -> Vec<Vec<TokenTree>> {
    split(tokens, ';')
}

fn split(tokens: &[TokenTree], at: char) -> Vec<Vec<TokenTree>> {
    tokens
        .split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == at))
        .map(<[TokenTree]>::to_vec)
        .collect()
}

/// Each brace group with the tokens before it.
fn groups(tokens: &[TokenTree]) -> Vec<(Vec<TokenTree>, Group)> {
    let mut found = Vec::new();
    let mut head = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                found.push((std::mem::take(&mut head), group.clone()));
            }
            token => head.push(token.clone()),
        }
    }
    found
}

fn first_word(tokens: &[TokenTree]) -> Option<String> {
    tokens.iter().find_map(|token| match token {
        TokenTree::Ident(ident) => Some(ident.to_string()),
        _ => None,
    })
}

fn word_after(tokens: &[TokenTree], before: &[&str]) -> Option<String> {
    tokens.windows(2).find_map(|pair| match pair {
        [TokenTree::Ident(first), TokenTree::Ident(second)]
            if before.contains(&first.to_string().as_str()) =>
        {
            Some(second.to_string())
        }
        _ => None,
    })
}

/// The names that are given values in a group.
fn assigned(group: &Group) -> Vec<String> {
    let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    split(&tokens, ',')
        .iter()
        .filter_map(|line| {
            let equals = line.iter().position(
                |token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '='),
            )?;
            match line.get(equals.checked_sub(1)?)? {
                TokenTree::Ident(ident) => Some(ident.to_string()),
                _ => None,
            }
        })
        .collect()
}

/// The number of members in the body of a structure: `offset Name:` in it or
/// in its `also` group, and `Name: first, width;` in its `bits` groups.
fn members(group: &Group) -> usize {
    let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    let mut count = tokens
        .windows(3)
        .filter(|window| {
            matches!(window,
                [TokenTree::Literal(_), TokenTree::Ident(name), TokenTree::Punct(colon)]
                    if colon.as_char() == ':' && !name.to_string().starts_with("_pad"))
        })
        .count();
    let mut in_bits = false;
    for token in &tokens {
        match token {
            TokenTree::Ident(ident) if *ident == "bits" => in_bits = true,
            TokenTree::Ident(ident) if *ident == "also" => in_bits = false,
            TokenTree::Group(inner) if inner.delimiter() == Delimiter::Brace => {
                if in_bits {
                    let tokens: Vec<TokenTree> = inner.stream().into_iter().collect();
                    // The unit itself is no member of the C structure.
                    count += statements(&tokens)
                        .iter()
                        .filter(|line| !line.is_empty())
                        .count();
                    count -= 1;
                } else {
                    count += members(inner);
                }
                in_bits = false;
            }
            _ => {}
        }
    }
    count
}
