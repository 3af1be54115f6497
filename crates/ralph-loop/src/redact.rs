//! Takes secrets out of text before it is kept or shown: tokens of known form, values of variables whose names say
//! that they are secret, and private keys, also over several lines.
//!
//! Pure. Works on whole lines: whoever reads a stream in pieces puts its lines together first, so no token is ever
//! seen in two halves. What must never be here: a secret in a message or in `Debug`.

use std::fmt;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// What stands in the place of a secret.
const MASK: &str = "[masked]";

/// How a token is recognised: its fixed beginning, and how many token characters at least have to follow.
const TOKENS: [(&str, usize); 32] = [
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("gldt-", 16),
    ("sk-ant-", 16),
    ("sk-proj-", 16),
    ("sk-", 20),
    ("sk_live_", 16),
    ("rk_live_", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xoxa-", 16),
    ("xoxs-", 16),
    ("xapp-", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ya29.", 20),
    ("eyJ", 40),
    ("npm_", 30),
    ("pypi-", 40),
    ("hf_", 30),
    ("dop_v1_", 40),
    ("SG.", 40),
    ("lin_api_", 30),
    ("cog_", 24),
    ("apk_user_", 16),
    ("whsec_", 20),
];

/// Words before a credential of an `Authorization` header.
const SCHEMES: [&str; 4] = ["Bearer ", "bearer ", "Basic ", "token "];
/// Shorter words after a scheme are words.
const LEAST_CREDENTIAL: usize = 20;

/// No token is longer, in bytes: what is, is one block of data.
const LONGEST_TOKEN: usize = 8192;

/// Endings of names of variables whose values are secret.
const SECRET_NAMES: [&str; 10] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "CREDENTIAL",
    "CREDENTIALS",
];
/// A shorter value is too common to be taken out wherever it stands.
const LEAST_SECRET: usize = 8;

const KEY_BEGIN: &str = "-----BEGIN ";
const KEY_END: &str = "-----END ";
const PRIVATE: &str = "PRIVATE KEY";
/// A key that has not ended by then was the mention of one.
const LONGEST_KEY: usize = 200;

/// Knows what to mask.
pub struct Redactor {
    /// Everything that a line to be changed holds at least one of: most lines are passed on after one look.
    triggers: Option<AhoCorasick>,
    /// Values, tokens and schemes, in this order.
    finder: Option<AhoCorasick>,
    values: usize,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} values)", self.values)
    }
}

/// How far into a private key a stream is.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyLines(Option<usize>);

impl Default for Redactor {
    fn default() -> Self {
        Self::new(std::iter::empty::<(&str, &str)>())
    }
}

impl Redactor {
    /// Masks known tokens, and the values of those of the variables whose names end as names of secrets do.
    pub fn new<N: AsRef<str>, V: AsRef<str>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut patterns: Vec<String> = variables
            .into_iter()
            .filter(|(name, value)| is_secret(name.as_ref(), value.as_ref()))
            .map(|(_, value)| value.as_ref().to_owned())
            .collect();
        patterns.sort_unstable();
        patterns.dedup();
        let values = patterns.len();
        patterns.extend(TOKENS.iter().map(|(prefix, _)| (*prefix).to_owned()));
        patterns.extend(SCHEMES.map(str::to_owned));
        let signs = [KEY_BEGIN, "://"].into_iter().chain(SECRET_NAMES);
        // Small rather than fast: a table for each state and byte would be a quarter of a megabyte.
        let small = || {
            let mut builder = AhoCorasick::builder();
            builder.kind(Some(AhoCorasickKind::ContiguousNFA));
            builder
        };
        let triggers = small().build(patterns.iter().map(String::as_str).chain(signs));
        let finder = small()
            .match_kind(MatchKind::LeftmostLongest)
            .build(patterns);
        let (triggers, finder) = (triggers.ok(), finder.ok());
        Self {
            triggers,
            finder,
            values,
        }
    }

    /// A text of any number of lines without its secrets.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut lines = KeyLines::default();
        let masked: Vec<String> = text
            .split('\n')
            .map(|line| self.mask_line(line, &mut lines))
            .collect();
        masked.join("\n")
    }

    /// The end of a longer text without its secrets. What was cut in two where it begins would not be known for one, and
    /// is taken off: the first line, or the first token of a text of one line, and the rest of a private key.
    #[must_use]
    pub fn mask_tail(&self, text: &str) -> String {
        let text = match text.split_once('\n') {
            Some((_, rest)) if !rest.trim().is_empty() => rest,
            _ => text.trim_start_matches(is_in_a_token),
        };
        let (begin, end) = (private(text, KEY_BEGIN), private(text, KEY_END));
        let from = end.filter(|end| begin.is_none_or(|begin| end < &begin));
        self.mask(text.get(from.unwrap_or(0)..).unwrap_or_default())
    }

    /// One line of a stream without its secrets; `lines` belongs to the stream.
    #[must_use]
    pub fn mask_line(&self, line: &str, lines: &mut KeyLines) -> String {
        let is_suspicious = self
            .triggers
            .as_ref()
            .is_none_or(|find| find.is_match(line));
        if !is_suspicious && lines.0.is_none() {
            return line.to_owned();
        }
        let line = mask_keys(line, lines);
        let line = self.mask_tokens(&line);
        mask_assignments(&mask_passwords(&line))
    }

    fn mask_tokens(&self, line: &str) -> String {
        let Some(finder) = &self.finder else {
            return MASK.to_owned();
        };
        let mut out = String::with_capacity(line.len());
        let mut from = 0;
        while let Some(found) = line.get(from..).and_then(|rest| finder.find(rest)) {
            let (start, end) = (from + found.start(), from + found.end());
            let pattern = found.pattern().as_usize();
            out.push_str(line.get(from..start).unwrap_or_default());
            let prefix = line.get(start..end).unwrap_or_default();
            let tail = token_length(line.get(end..).unwrap_or_default());
            from = end;
            if pattern < self.values {
                out.push_str(MASK);
                continue;
            }
            // Asked of what is shown: a token right behind a masked value continues no word.
            let is_a_word = prefix.len() < 5 && ends_in_a_word(&out);
            out.push_str(prefix);
            let least = TOKENS
                .get(pattern - self.values)
                .map_or(LEAST_CREDENTIAL, |(_, least)| *least);
            let is_scheme = pattern - self.values >= TOKENS.len();
            if tail >= least && (is_scheme || !is_a_word) {
                out.push_str(MASK);
                from = end + tail;
            }
        }
        out.push_str(line.get(from..).unwrap_or_default());
        out
    }
}

fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let named = SECRET_NAMES.iter().any(|ending| name.ends_with(ending));
    named && value.len() >= LEAST_SECRET && !value.contains(['\n', '\r'])
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '=' | '~')
}

/// Whether a character may be part of a secret of any form.
fn is_in_a_token(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '"' | '\'' | ',')
}

/// A text that is cut behind its last character, without the token there: the part of it that is left would not be known
/// for a secret.
pub(crate) fn without_last_token(text: &str) -> &str {
    let end = text.trim_end_matches(is_in_a_token).len();
    let end = if text.len() - end <= LONGEST_TOKEN {
        end
    } else {
        text.len() - LONGEST_TOKEN
    };
    text.get(..end).unwrap_or(text)
}

/// Where the first line of a private key begins that starts with this sign. Others may stand before it: in JSON a
/// certificate and its key are one line.
fn private(text: &str, sign: &str) -> Option<usize> {
    let mut signs = text.match_indices(sign).map(|(at, _)| at);
    signs.find(|at| {
        let label = text.get(at + sign.len()..).unwrap_or_default();
        let label = label.split("-----").next();
        label.is_some_and(|label| label.len() < 40 && label.contains(PRIVATE))
    })
}

/// How many token characters the text begins with; all of them are one byte long.
fn token_length(text: &str) -> usize {
    text.find(|c: char| !is_token_char(c)).unwrap_or(text.len())
}

/// Whether a letter or a digit ends it: `task-` is no `sk-`. The letter of an escape, as in `\nsk-`, is none.
fn ends_in_a_word(before: &str) -> bool {
    let mut before = before.chars().rev();
    let is_in_a_word = before.next().is_some_and(|c| c.is_ascii_alphanumeric());
    is_in_a_word && before.next() != Some('\\')
}

/// From the line that begins a private key to the one that ends it. In JSON a whole key is one line.
fn mask_keys(line: &str, lines: &mut KeyLines) -> String {
    let mut out = String::new();
    let mut rest = line;
    loop {
        if let KeyLines(Some(seen)) = *lines {
            let Some((_, after)) = rest.split_once(KEY_END) else {
                *lines = KeyLines(Some(seen + 1).filter(|seen| *seen < LONGEST_KEY));
                out.push_str(MASK);
                return out;
            };
            out.push_str(MASK);
            out.push_str(KEY_END);
            *lines = KeyLines(None);
            rest = after;
        }
        let begin = private(rest, KEY_BEGIN);
        let Some(begin) = begin else {
            out.push_str(rest);
            return out;
        };
        let label = begin + KEY_BEGIN.len();
        let body = rest
            .get(label..)
            .and_then(|text| text.find("-----"))
            .map_or(rest.len(), |at| label + at + 5);
        out.push_str(rest.get(..body).unwrap_or_default());
        rest = rest.get(body..).unwrap_or_default();
        *lines = KeyLines(Some(0));
        if rest.trim().is_empty() {
            return out;
        }
    }
}

/// `NAME_TOKEN=value`, as `env` and `set` print it, and `"NAME_TOKEN": "value"`.
fn mask_assignments(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['=', ':']) {
        let (name, after) = rest.split_at(at);
        let sign = after.get(..1).unwrap_or_default();
        let value = after.get(1..).unwrap_or_default();
        out.push_str(name);
        out.push_str(sign);
        rest = value;
        if !ends_as_a_secret(name, sign) {
            continue;
        }
        let gap = value.len() - value.trim_start_matches([' ', '"', '\'', '\\']).len();
        let gap = if sign == "=" && value.starts_with(' ') {
            0
        } else {
            gap
        };
        let body = value.get(gap..).unwrap_or_default();
        let length = body
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | ',' | ';'))
            .unwrap_or(body.len());
        if length >= LEAST_SECRET && !body.starts_with('[') && !body.starts_with('$') {
            out.push_str(value.get(..gap).unwrap_or_default());
            out.push_str(MASK);
            rest = body.get(length..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

/// Upper case only: code is full of variables called `token`.
fn ends_as_a_secret(name: &str, sign: &str) -> bool {
    let name = if sign == ":" {
        let Some(name) = name.strip_suffix('"') else {
            return false;
        };
        name.strip_suffix('\\').unwrap_or(name)
    } else {
        name
    };
    SECRET_NAMES.iter().any(|ending| name.ends_with(ending))
}

/// `https://user:password@host`.
fn mask_passwords(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '<' | '>' | '`'))
            .unwrap_or(after.len());
        // The next address may follow with nothing between: its `://` is not for this one to take.
        let end = after.find("://").map_or(end, |next| end.min(next));
        let (authority, tail) = after.split_at(end);
        match authority
            .rsplit_once('@')
            .map(|(who, host)| (who.split_once(':'), host))
        {
            Some((Some((user, password)), host)) if !password.is_empty() => {
                out.extend([user, ":", MASK, "@", host]);
            }
            _ => out.push_str(authority),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef01234567";

    fn mask(text: &str) -> String {
        Redactor::new([("GH_TOKEN", "hunter2hunter2"), ("HOME", "/home/somebody")]).mask(text)
    }

    #[test]
    fn every_known_token_is_masked_wherever_it_stands() {
        for (prefix, _) in TOKENS {
            let token = format!("{prefix}{HEX}");
            for text in [
                token.clone(),
                format!("key: '{token}'."),
                format!("{{\"text\":\"a\\n{token}\\nb\"}}"),
                format!("({token})({token})"),
            ] {
                let masked = mask(&text);
                assert!(!masked.contains(HEX), "{text} became {masked}");
                assert!(masked.contains(MASK), "{text} became {masked}");
            }
        }
    }

    #[test]
    fn headers_urls_and_assignments_are_masked() {
        let cases = [
            (
                format!("Authorization: Bearer {HEX}"),
                "Authorization: Bearer [masked]".to_owned(),
            ),
            (
                "https://me:s3cret@host/x https://host/y".to_owned(),
                "https://me:[masked]@host/x https://host/y".to_owned(),
            ),
            (
                "https://a:s3cret@://b:s3cret@host".to_owned(),
                "https://a:[masked]@://b:[masked]@host".to_owned(),
            ),
            (
                "AWS_SECRET_ACCESS_KEY=abcdefgh/+12 x".to_owned(),
                "AWS_SECRET_ACCESS_KEY=[masked] x".to_owned(),
            ),
            (
                "{\"MY_TOKEN\": \"abcdefghij\", \"a\": 1}".to_owned(),
                "{\"MY_TOKEN\": \"[masked]\", \"a\": 1}".to_owned(),
            ),
            (
                "it is hunter2hunter2!".to_owned(),
                "it is [masked]!".to_owned(),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(mask(&text), expected);
        }
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in [
            "let token = parse_token(input)?; // task-force-of-many-many-words sk-short",
            "bearer of news, basic understanding",
            "https://example.org:8080/path?a=b user@host http://user@host/",
            "/home/somebody/flask-login-extension-for-everybody",
            "PATH=/usr/bin TOKEN=$GITHUB_TOKEN_FROM_ENV",
            "-----BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn a_private_key_is_masked_over_its_lines_and_within_one() {
        let key =
            "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIabc\ndef=\n-----END RSA PRIVATE KEY-----\nb";
        let expected = "a\n-----BEGIN RSA PRIVATE KEY-----\n[masked]\n[masked]\n[masked]-----END RSA PRIVATE KEY-----\nb";
        assert_eq!(mask(key), expected);
        let line = "x -----BEGIN PRIVATE KEY-----\\nMIIabc\\n-----END PRIVATE KEY----- y";
        assert_eq!(
            mask(line),
            "x -----BEGIN PRIVATE KEY-----[masked]-----END PRIVATE KEY----- y"
        );
    }

    #[test]
    fn a_private_key_is_masked_behind_a_certificate_and_as_a_block() {
        let line = "-----BEGIN CERTIFICATE-----\\nMIIcert\\n-----END CERTIFICATE-----\\n\
                    -----BEGIN PRIVATE KEY-----\\nMIIkey\\n-----END PRIVATE KEY-----";
        let masked = mask(line);
        assert!(
            masked.contains("MIIcert") && !masked.contains("MIIkey"),
            "{masked}"
        );
        let block =
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQdGkey\n-----END PGP PRIVATE KEY BLOCK-----";
        assert!(!mask(block).contains("lQdGkey"));
    }

    #[test]
    fn half_a_secret_at_a_cut_is_taken_off() {
        let redactor = Redactor::new([("GH_TOKEN", "hunter2hunter2")]);
        for (text, expected) in [
            (
                "89abcdef01234567 rest\nlast hunter2hunter2",
                "last [masked]",
            ),
            ("89abcdef01234567 of one line", " of one line"),
            ("89abcdef01234567 of one line\n", " of one line\n"),
            (
                "x\nIabc\ndef=\n-----END RSA PRIVATE KEY-----\nb",
                "-----END RSA PRIVATE KEY-----\nb",
            ),
        ] {
            assert_eq!(redactor.mask_tail(text), expected);
        }
        for (text, expected) in [
            ("it is hunter2hun", "it is "),
            ("{\"token\":\"ghp_012345", "{\"token\":\""),
            ("das ist ü", "das ist ü"),
        ] {
            assert_eq!(without_last_token(text), expected);
        }
    }

    #[test]
    fn a_key_that_never_ends_does_not_swallow_the_rest() {
        let text = format!(
            "-----BEGIN PRIVATE KEY-----{}\nlast words",
            "\nline".repeat(LONGEST_KEY + 1)
        );
        assert!(mask(&text).ends_with("\nlast words"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let redactor = Redactor::new([("A_PASSWORD", "hunter2hunter2")]);
        assert_eq!(format!("{redactor:?}"), "Redactor(1 values)");
    }

    proptest! {
        #[test]
        fn masking_twice_is_masking_once(text in "(ghp_|sk-|eyJ|Bearer |A_TOKEN=|://u:p@|hunter2hunter2|-----BEGIN PRIVATE KEY-----|[a-z0-9 \"\\\\]{1,30}|\n){0,12}") {
            let once = mask(&text);
            prop_assert_eq!(mask(&once), once);
        }

        #[test]
        fn any_text_is_masked_without_a_panic(text in ".{0,300}", before in ".{0,20}", after in "[^0-9a-zA-Z_./+=~-].{0,20}") {
            let _ = mask(&text);
            let secret = format!("{before} ghp_{HEX}{after}");
            prop_assert!(!mask(&secret).contains(HEX));
        }
    }
}
