//! What can be configured about an engine, as values. Where they come from is [`crate::settings`]'s business.

use ralph_core::error::{Code, Coded, Hint};

use super::EngineName;
use crate::outcome::Usage;

/// The settings of one engine.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSettings {
    /// Which agent.
    pub name: EngineName,
    /// Its program and leading arguments; empty means the program of its own name.
    pub command: Vec<String>,
    /// The model, where the agent's default is not wanted.
    pub model: Option<String>,
    /// The permission mode in the agent's own word; the engine's default when not set.
    pub permission_mode: Option<String>,
    /// Tools that need no permission (`claude`); none means the usual ones.
    pub allowed_tools: Vec<String>,
    /// Turns that one attempt may take (`claude`).
    pub max_turns: Option<u32>,
    /// US dollars that one attempt may cost (`claude`).
    pub max_budget_usd: Option<f64>,
    /// Whether an API key in the environment reaches the agent (`claude`). It outranks a subscription there, so by
    /// default it does not.
    pub use_api_key: bool,
    /// What tokens cost, for agents that do not say.
    pub prices: Option<Prices>,
}

impl EngineSettings {
    /// The defaults of an engine.
    #[must_use]
    pub fn new(name: EngineName) -> Self {
        Self {
            name,
            command: Vec::new(),
            model: None,
            permission_mode: None,
            allowed_tools: Vec::new(),
            max_turns: None,
            max_budget_usd: None,
            use_api_key: false,
            prices: None,
        }
    }

    /// Program and leading arguments.
    pub(super) fn program(&self) -> (String, Vec<String>) {
        match self.command.split_first() {
            Some((program, args)) => (program.clone(), args.to_vec()),
            None => (self.name.as_str().to_owned(), Vec::new()),
        }
    }
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Tokens in.
    pub input: f64,
    /// Tokens from or into a cache.
    pub cached: f64,
    /// Tokens out.
    pub output: f64,
}

impl Prices {
    /// What a usage costs, in US dollars.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a count of tokens is far below 2^52"
        )]
        let part = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
        part(usage.input_tokens, self.input)
            + part(usage.cached_tokens, self.cached)
            + part(usage.output_tokens, self.output)
    }
}

/// Why an engine cannot be used as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The `command` engine needs one.
    #[error("the engine `command` has no command")]
    NoCommand,
    /// A command line that ends inside a quotation.
    #[error("the command {text:?} ends inside a quotation")]
    OpenQuote {
        /// The text.
        text: String,
    },
}

impl Coded for SettingsError {
    fn code(&self) -> Code {
        match self {
            Self::NoCommand => Code::NoEngine,
            Self::OpenQuote { .. } => Code::Usage,
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(match self {
            Self::NoCommand => {
                "Give one with --agent-command, RALPH_AGENT_COMMAND, or AGENT_COMMAND in .ralphrc."
            }
            Self::OpenQuote { .. } => {
                "Close the quotation, or write \\\" for the character itself."
            }
        }))
    }
}

/// Splits a command line into words: blanks separate, quotes and backslashes join, as in a POSIX shell without
/// expansion. Nothing is ever run by a shell.
///
/// # Errors
/// [`SettingsError::OpenQuote`].
pub fn split_command(text: &str) -> Result<Vec<String>, SettingsError> {
    let open = || SettingsError::OpenQuote {
        text: text.chars().take(200).collect(),
    };
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                quoted(&mut chars, word).then_some(()).ok_or_else(open)?;
            }
            '"' => {
                let word = word.get_or_insert_default();
                double_quoted(&mut chars, word)
                    .then_some(())
                    .ok_or_else(open)?;
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> bool {
    for c in chars {
        if c == '\'' {
            return true;
        }
        word.push(c);
    }
    false
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> bool {
    while let Some(c) = chars.next() {
        match c {
            '"' => return true,
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => return false,
            },
            c => word.push(c),
        }
    }
    false
}
