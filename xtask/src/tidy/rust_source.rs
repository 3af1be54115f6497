//! A Rust source as a flat list of tokens, each with its line and whether only tests see it.
//!
//! Comments are no tokens, and documentation is dropped, so a check of the code never trips over prose.
//! Types and names are not resolved: a check looks at how a thing is written.

use std::ops::Range;
use std::str::FromStr as _;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Word,
    /// One character of punctuation.
    Mark,
    /// A literal, with its quotes.
    Literal,
    /// An opening bracket.
    Open,
    /// A closing bracket.
    Close,
}

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: Kind,
    /// As it is written.
    pub(super) text: String,
    /// Line, from one.
    pub(super) line: usize,
    /// How many brackets are open around it; an opening and its closing bracket have the same depth.
    pub(super) depth: usize,
    /// Whether only tests see it.
    pub(super) is_test: bool,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// Its first and its last line.
    pub(super) lines: (usize, usize),
    /// Whether only tests see it.
    pub(super) is_test: bool,
}

/// A Rust source file.
#[derive(Debug)]
pub(super) struct RustSource {
    /// Path relative to the root, with `/`.
    pub(super) path: String,
    /// The lines as they are written.
    pub(super) lines: Vec<String>,
    /// The tokens; empty when the file cannot be read.
    pub(super) tokens: Vec<Token>,
    /// Whether only tests see the whole file.
    pub(super) is_test: bool,
    /// Modules declared here, in files of their own, that only tests see.
    pub(super) test_modules: Vec<String>,
    /// Why the file cannot be read.
    pub(super) error: Option<String>,
}

impl RustSource {
    /// Reads a source. One that cannot be read has no tokens and says why.
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let mut source = Self {
            path: path.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            tokens: Vec::new(),
            is_test: is_beside_the_product(path),
            test_modules: Vec::new(),
            error: None,
        };
        match TokenStream::from_str(text) {
            Ok(stream) => {
                flatten(stream, 0, &mut source.tokens);
                source.tokens = without_documentation(&source.tokens);
                for range in test_items(&source.tokens) {
                    source
                        .test_modules
                        .extend(module_of_another_file(&source.tokens[range.clone()]));
                    for token in &mut source.tokens[range] {
                        token.is_test = true;
                    }
                }
            }
            Err(error) => source.error = Some(error.to_string()),
        }
        source
    }

    /// The tokens that the product sees.
    pub(super) fn code(&self) -> Vec<&Token> {
        self.tokens.iter().filter(|token| !token.is_test).collect()
    }

    /// The lines on which `words` stand one after the other in the product's code.
    pub(super) fn lines_with(&self, words: &[&str]) -> Vec<usize> {
        self.code()
            .windows(words.len())
            .filter(|window| {
                window
                    .iter()
                    .zip(words)
                    .all(|(token, word)| token.text == *word)
            })
            .map(|window| window[0].line)
            .collect()
    }

    /// The number of lines that are not part of an item that only tests see.
    pub(super) fn lines_without_tests(&self) -> usize {
        let tests: usize = test_items(&self.tokens)
            .into_iter()
            .filter_map(|range| self.tokens.get(range))
            .filter_map(|item| Some(item.last()?.line + 1 - item.first()?.line))
            .sum();
        self.lines.len().saturating_sub(tests)
    }

    /// All functions that have a body.
    pub(super) fn functions(&self) -> Vec<Function> {
        let tokens = &self.tokens;
        let starts = (0..tokens.len()).filter(|at| tokens[*at].text == "fn");
        starts
            .filter_map(|at| {
                let (start, name) = (&tokens[at], tokens.get(at + 1)?);
                let rest = tokens.get(at + 2..)?;
                let body = rest.iter().position(|token| {
                    token.depth == start.depth && matches!(token.text.as_str(), "{" | ";" | "}")
                })?;
                let end = closing(rest, body)?;
                (name.kind == Kind::Word && rest[body].text == "{").then(|| Function {
                    name: name.text.clone(),
                    lines: (start.line, rest[end].line),
                    is_test: start.is_test || self.is_test,
                })
            })
            .collect()
    }

    /// The folder in which the modules declared here have their files.
    pub(super) fn module_folder(&self) -> String {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
        match name {
            "mod" | "lib" | "main" => folder.to_owned(),
            _ => stem.to_owned(),
        }
    }
}

/// Integration tests, examples and benches: built for developers only.
fn is_beside_the_product(path: &str) -> bool {
    let folders = ["/tests/", "/examples/", "/benches/"];
    !path.contains("/src/") && folders.iter().any(|folder| path.contains(folder))
}

fn flatten(stream: TokenStream, depth: usize, into: &mut Vec<Token>) {
    for tree in stream {
        let mut push = |kind, text: String, line| {
            into.push(Token {
                kind,
                text,
                line,
                depth,
                is_test: false,
            });
        };
        match tree {
            TokenTree::Ident(word) => push(Kind::Word, word.to_string(), word.span().start().line),
            TokenTree::Punct(mark) => {
                push(
                    Kind::Mark,
                    mark.as_char().to_string(),
                    mark.span().start().line,
                );
            }
            TokenTree::Literal(literal) => push(
                Kind::Literal,
                literal.to_string(),
                literal.span().start().line,
            ),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(Kind::Open, open.to_owned(), group.span_open().start().line);
                flatten(group.stream(), depth + 1, into);
                into.push(Token {
                    kind: Kind::Close,
                    text: close.to_owned(),
                    line: group.span_close().start().line,
                    depth,
                    is_test: false,
                });
            }
        }
    }
}

/// The index of the bracket that closes the one at `open`; `open` itself when it is none.
fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let first = tokens.get(open)?;
    if first.kind != Kind::Open {
        return Some(open);
    }
    let after = tokens.get(open + 1..)?;
    let inside = after
        .iter()
        .position(|token| token.kind == Kind::Close && token.depth == first.depth)?;
    Some(open + 1 + inside)
}

/// The attributes, as ranges from `#` to `]`.
fn attributes(tokens: &[Token]) -> Vec<Range<usize>> {
    (0..tokens.len())
        .filter(|at| tokens[*at].text == "#")
        .filter_map(|at| {
            let inner = usize::from(tokens.get(at + 1)?.text == "!");
            let open = at + 1 + inner;
            (tokens.get(open)?.text == "[").then_some(())?;
            Some(at..closing(tokens, open)? + 1)
        })
        .collect()
}

fn without_documentation(tokens: &[Token]) -> Vec<Token> {
    let mut keep = vec![true; tokens.len()];
    for range in attributes(tokens) {
        let is_doc = tokens[range.clone()]
            .iter()
            .find(|token| token.kind == Kind::Word)
            .is_some_and(|word| word.text == "doc");
        if is_doc {
            keep[range].fill(false);
        }
    }
    let kept = tokens.iter().zip(keep).filter(|(_, keep)| *keep);
    kept.map(|(token, _)| token.clone()).collect()
}

/// The outermost items behind `#[cfg(test)]` or a test attribute, as ranges from the attribute to the end.
fn test_items(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for attribute in attributes(tokens) {
        let inside = items
            .last()
            .is_some_and(|item| item.contains(&attribute.start));
        if inside || !is_for_tests(&tokens[attribute.clone()]) {
            continue;
        }
        let depth = tokens[attribute.start].depth;
        let is_item = starts_an_item(&tokens[attribute.end..]);
        let ends = |at: &usize| {
            let token = &tokens[*at];
            // A bracket of the level around means that the attribute stood on the last thing inside.
            token.depth < depth
                || (token.depth == depth && matches!(token.text.as_str(), "}" | ";"))
                || (token.depth == depth && token.text == "," && !is_item)
        };
        let end = (attribute.end..tokens.len())
            .find(ends)
            .unwrap_or(tokens.len().saturating_sub(1));
        let end = if tokens[end].depth < depth {
            end
        } else {
            end + 1
        };
        items.push(attribute.start..end);
    }
    items
}

/// Whether an item follows, rather than a field, a variant or an argument: those end at a comma.
fn starts_an_item(tokens: &[Token]) -> bool {
    const ITEMS: [&str; 14] = [
        "async",
        "const",
        "enum",
        "extern",
        "fn",
        "impl",
        "macro_rules",
        "mod",
        "static",
        "struct",
        "trait",
        "type",
        "union",
        "use",
    ];
    let mut words = tokens.iter().filter(|token| token.kind == Kind::Word);
    words
        .find(|word| !matches!(word.text.as_str(), "pub" | "crate" | "super"))
        .is_some_and(|word| ITEMS.contains(&word.text.as_str()))
}

fn is_for_tests(attribute: &[Token]) -> bool {
    let words: Vec<&str> = attribute
        .iter()
        .filter(|token| token.kind == Kind::Word)
        .map(|token| token.text.as_str())
        .collect();
    let is_negated = words.contains(&"not");
    match words.as_slice() {
        ["cfg", conditions @ ..] => conditions.contains(&"test") && !is_negated,
        ["test"] | [_, "test", ..] => true,
        _ => false,
    }
}

/// The name in `mod name;`.
fn module_of_another_file(item: &[Token]) -> Option<String> {
    let at = item.iter().position(|token| token.text == "mod")?;
    let is_declaration = item.get(at + 2)?.text == ";";
    is_declaration.then(|| item[at + 1].text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r##"//! Top: sbatch.
use std::fs;

/// Doc: squeue.
fn product(x: [u8; 2]) -> usize {
    // sacct
    let text = "ssh"; let c = '"'; let raw = r#"a "quoted" {"#;
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one() {
        fs::write("a", "b");
    }
}

#[cfg(not(test))]
fn also_product() {}

struct Fields {
    #[cfg(test)]
    only: u8,
    always: u8,
}

#[cfg(test)]
fn bounded<A, B>(only: A) where A: Copy, B: Copy { only_here(); }
"##;

    fn words(source: &RustSource) -> Vec<&str> {
        let code = source.tokens.iter().filter(|token| !token.is_test);
        code.map(|token| token.text.as_str()).collect()
    }

    #[test]
    fn prose_is_dropped_and_literals_are_kept() {
        let source = RustSource::parse("a/src/a.rs", SOURCE);
        let words = words(&source);
        for absent in [
            "sbatch",
            "squeue",
            "sacct",
            "doc",
            "one",
            "only",
            "only_here",
        ] {
            assert!(!words.contains(&absent), "{absent}");
        }
        for present in ["\"ssh\"", "product", "also_product", "always"] {
            assert!(words.contains(&present), "{present}");
        }
    }

    #[test]
    fn sequences_are_found_in_product_code_only() {
        let source = RustSource::parse("a/src/a.rs", SOURCE);
        assert_eq!(source.lines_with(&["fs", ":", ":", "write"]), [0; 0]);
        assert_eq!(source.lines_with(&["text", ".", "len"]), [8]);
    }

    #[test]
    fn functions_and_files_are_measured_without_tests() {
        let source = RustSource::parse("a/src/a.rs", SOURCE);
        let functions: Vec<(String, (usize, usize), bool)> = source
            .functions()
            .into_iter()
            .map(|function| (function.name, function.lines, function.is_test))
            .collect();
        assert_eq!(
            functions,
            [
                ("product".to_owned(), (5, 9), false),
                ("one".to_owned(), (16, 18), true),
                ("also_product".to_owned(), (22, 22), false),
                ("bounded".to_owned(), (31, 31), true)
            ]
        );
        assert_eq!(
            source.lines_without_tests(),
            SOURCE.lines().count() - 9 - 2 - 2
        );
    }

    #[test]
    fn a_broken_file_says_why() {
        let source = RustSource::parse("a/src/a.rs", "fn broken( {");
        assert!(source.error.is_some());
        assert!(source.tokens.is_empty());
    }

    #[test]
    fn module_folders_follow_the_files() {
        for (path, folder) in [
            ("crates/a/src/lib.rs", "crates/a/src"),
            ("crates/a/src/b/mod.rs", "crates/a/src/b"),
            ("crates/a/src/b.rs", "crates/a/src/b"),
        ] {
            assert_eq!(RustSource::parse(path, "").module_folder(), folder);
        }
    }
}
