//! `ralph completions` and `ralph man`.

use std::io::{self, Write as _};

use clap::{Arg, Command};
use clap_mangen::Man;

use crate::args::Completions;
use ralph_front::failure::{Outcome, printed};
use ralph_front::output::Output;

/// Prints the completions of a shell.
pub(crate) fn completions(arguments: &Completions, output: &Output) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::command(), "ralph", &mut text);
    printed(output.bytes(&text))?;
    Ok(None)
}

/// Prints the manual page: the command, then every verb.
pub(crate) fn man(output: &Output) -> Outcome {
    let mut text = Vec::new();
    printed(page(&mut text))?;
    printed(output.bytes(&text))?;
    Ok(None)
}

/// One page for all: there is no other that it could refer to.
fn page(text: &mut Vec<u8>) -> io::Result<()> {
    let mut command = crate::command();
    command.build();
    let whole = Man::new(command.clone());
    whole.render_title(text)?;
    whole.render_name_section(text)?;
    whole.render_synopsis_section(text)?;
    whole.render_options_section(text)?;
    whole.render_extra_section(text)?;
    verbs(&command, text)
}

/// A section for each verb, and one for each verb of a verb. What is the same for all of them stands above.
fn verbs(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    let shown = |verb: &&Command| !verb.is_hide_set() && verb.get_name() != "help";
    for verb in command.get_subcommands().filter(shown) {
        let own = |argument: Arg| {
            let common = argument.is_global_set()
                || ["help", "version"].contains(&argument.get_id().as_str());
            argument.hide(common)
        };
        let own = verb.clone().mut_args(own);
        let name = verb.get_bin_name().unwrap_or(verb.get_name());
        let page = Man::new(own.clone());
        let mut parts = Vec::new();
        page.render_description_section(&mut parts)?;
        page.render_synopsis_section(&mut parts)?;
        if own.get_arguments().any(|argument| !argument.is_hide_set()) {
            page.render_options_section(&mut parts)?;
        }
        page.render_extra_section(&mut parts)?;
        writeln!(text, ".SH \"{name}\"")?;
        text.extend(below(&String::from_utf8_lossy(&parts)).into_bytes());
        verbs(verb, text)?;
    }
    Ok(())
}

/// The sections of a verb as what they are here, parts of one. The first, what it does, and the last, the examples, need
/// no name.
fn below(sections: &str) -> String {
    sections
        .replace(".SH DESCRIPTION\n", "")
        .replace(".SH EXTRA\n", ".PP\n")
        .replace(".SH ", ".SS ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_page_has_every_verb_and_refers_to_no_other() {
        let mut text = Vec::new();
        page(&mut text).expect("written");
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
}
