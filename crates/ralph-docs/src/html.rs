//! Where an HTML block begins and what ends it: the seven kinds of the CommonMark specification (0.31).
//!
//! Only the block structure is of interest: a comment hides headings and lists until it ends. No HTML is
//! interpreted here.

/// What ends an HTML block. The end may be on the line that begins it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HtmlEnd {
    /// The line that holds the text ends the block.
    Text(&'static str),
    /// The line that closes `script`, `pre`, `style` or `textarea` ends the block.
    RawTag,
    /// A blank line ends the block and is not part of it.
    Blank,
}

impl HtmlEnd {
    /// Whether the block ends with this line.
    pub(crate) fn is_in(self, line: &str) -> bool {
        match self {
            Self::Text(end) => line.contains(end),
            Self::RawTag => {
                let lower = line.to_ascii_lowercase();
                RAW_TAGS
                    .iter()
                    .any(|tag| lower.contains(&format!("</{tag}>")))
            }
            Self::Blank => false,
        }
    }
}

/// Elements whose content is not Markdown, blank lines included.
const RAW_TAGS: [&str; 4] = ["script", "pre", "style", "textarea"];

/// Elements that begin a block even in the middle of a paragraph.
const BLOCK_TAGS: [&str; 62] = [
    "address",
    "article",
    "aside",
    "base",
    "basefont",
    "blockquote",
    "body",
    "caption",
    "center",
    "col",
    "colgroup",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "iframe",
    "legend",
    "li",
    "link",
    "main",
    "menu",
    "menuitem",
    "nav",
    "noframes",
    "ol",
    "optgroup",
    "option",
    "p",
    "param",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "track",
    "ul",
];

/// The end of the HTML block that begins with `content`, or `None` where none begins. A lone tag of an
/// unknown name does not interrupt a paragraph.
pub(crate) fn block_start(content: &str, in_paragraph: bool) -> Option<HtmlEnd> {
    let rest = content.strip_prefix('<')?;
    if rest.starts_with("!--") {
        return Some(HtmlEnd::Text("-->"));
    }
    if rest.starts_with('?') {
        return Some(HtmlEnd::Text("?>"));
    }
    if rest.starts_with("![CDATA[") {
        return Some(HtmlEnd::Text("]]>"));
    }
    if let Some(declaration) = rest.strip_prefix('!') {
        let named = declaration.starts_with(|c: char| c.is_ascii_alphabetic());
        return named.then_some(HtmlEnd::Text(">"));
    }
    let closing = rest.starts_with('/');
    let (name, after) = split_name(rest.strip_prefix('/').unwrap_or(rest))?;
    let name = name.to_ascii_lowercase();
    let blank_after = after.is_empty() || after.starts_with([' ', '\t']);
    if !closing && RAW_TAGS.contains(&name.as_str()) && (blank_after || after.starts_with('>')) {
        return Some(HtmlEnd::RawTag);
    }
    let ends = blank_after || after.starts_with('>') || after.starts_with("/>");
    if ends && BLOCK_TAGS.contains(&name.as_str()) {
        return Some(HtmlEnd::Blank);
    }
    let alone = !in_paragraph && is_lone_tag(after, closing);
    alone.then_some(HtmlEnd::Blank)
}

/// Splits a tag's name off.
fn split_name(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .unwrap_or(text.len());
    text.split_at_checked(end)
}

/// Whether what follows a tag's name completes the tag and leaves nothing but blank space behind it.
fn is_lone_tag(after_name: &str, closing: bool) -> bool {
    if closing {
        return after_name
            .trim_start_matches([' ', '\t'])
            .strip_prefix('>')
            .is_some_and(|rest| rest.trim_matches([' ', '\t']).is_empty());
    }
    let mut rest = after_name;
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t']);
        let spaced = trimmed.len() < rest.len();
        if let Some(behind) = trimmed
            .strip_prefix("/>")
            .or_else(|| trimmed.strip_prefix('>'))
        {
            return behind.trim_matches([' ', '\t']).is_empty();
        }
        match after_attribute(trimmed) {
            Some(behind) if spaced => rest = behind,
            _ => return false,
        }
    }
}

/// What follows one attribute, with its value if it has one.
fn after_attribute(text: &str) -> Option<&str> {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':') {
        return None;
    }
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || "_.:-".contains(c)))
        .unwrap_or(text.len());
    let rest = text.get(end..)?;
    let Some(value) = rest.trim_start_matches([' ', '\t']).strip_prefix('=') else {
        return Some(rest);
    };
    let value = value.trim_start_matches([' ', '\t']);
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            return quoted.split_once(quote).map(|(_, behind)| behind);
        }
    }
    let end = value
        .find(|c: char| c.is_ascii_whitespace() || "\"'=<>`".contains(c))
        .unwrap_or(value.len());
    if end == 0 { None } else { value.get(end..) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_blocks() {
        assert_eq!(block_start("<!-- x", true), Some(HtmlEnd::Text("-->")));
        assert_eq!(block_start("<?php", true), Some(HtmlEnd::Text("?>")));
        assert_eq!(block_start("<!DOCTYPE", true), Some(HtmlEnd::Text(">")));
        assert_eq!(block_start("<![CDATA[", true), Some(HtmlEnd::Text("]]>")));
        assert_eq!(block_start("<pre>", true), Some(HtmlEnd::RawTag));
        assert_eq!(block_start("<PRE", true), Some(HtmlEnd::RawTag));
        assert_eq!(block_start("<details>", true), Some(HtmlEnd::Blank));
        assert_eq!(block_start("</div foo", true), Some(HtmlEnd::Blank));
        assert_eq!(block_start("<b a='1' c=d e>", false), Some(HtmlEnd::Blank));
        assert_eq!(block_start("</b>", false), Some(HtmlEnd::Blank));
    }

    #[test]
    fn what_is_no_block() {
        assert_eq!(block_start("<b>", true), None);
        assert_eq!(block_start("<b> text", false), None);
        assert_eq!(block_start("<a=1>", false), None);
        assert_eq!(block_start("< b>", false), None);
        assert_eq!(block_start("<https://x.y>", false), None);
        assert_eq!(block_start("text", false), None);
        assert_eq!(block_start("<1>", false), None);
    }

    #[test]
    fn what_ends_them() {
        assert!(HtmlEnd::Text("-->").is_in("a --> b"));
        assert!(HtmlEnd::RawTag.is_in("x </PRE>"));
        assert!(!HtmlEnd::Blank.is_in("</div>"));
    }
}
