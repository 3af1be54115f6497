//! `ralph completions` and `ralph man`.

use ralph_front::manual::{completions as completed, page};

use crate::args::Completions;
use ralph_front::failure::{Outcome, printed};
use ralph_front::output::Output;

/// Prints the completions of a shell.
pub(crate) fn completions(arguments: &Completions, output: &Output) -> Outcome {
    printed(output.bytes(&completed(&crate::command(), "ralph", arguments.shell)))?;
    Ok(None)
}

/// Prints the manual page: the command, then every verb.
pub(crate) fn man(output: &Output) -> Outcome {
    printed(page(&crate::command(), "ralph").and_then(|text| output.bytes(&text)))?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use clap_complete::Shell;

    use super::*;

    #[test]
    fn the_manual_page_has_every_verb_and_refers_to_no_other() {
        let text = page(&crate::command(), "ralph").expect("written");
        let text = String::from_utf8(text).expect("UTF-8");
        for verb in ["init", "status", "cluster connect", "ops undo", "hook stop"] {
            let heading = format!(".SH \"ralph {verb}\"\n");
            assert_eq!(text.matches(&heading).count(), 1, "{verb}");
        }
        assert!(!text.contains("(1)"), "{text}");
        assert!(!text.contains("__"), "{text}");
        // Said once, for all verbs.
        assert_eq!(text.matches("schema_version").count(), 1, "{text}");
        assert!(text.contains("\\-\\-until\\-idle"), "{text}");
    }

    #[test]
    fn the_completions_have_every_verb_that_is_shown_and_no_other() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text =
                String::from_utf8(completed(&crate::command(), "ralph", shell)).expect("UTF-8");
            for word in ["dispatch", "undo", "until-idle", "json"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
            assert!(!text.contains("__supervise"), "{shell}");
        }
    }
}
