//! What a shell and `man` are told of a command line.

use std::io::{self, Write as _};

use clap::{Arg, Command};
use clap_complete::Shell;
use clap_mangen::Man;

/// The completions of a shell for the program of this name.
#[must_use]
pub fn completions(command: &Command, name: &'static str, shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut shown(command, name), name, &mut text);
    text
}

/// The manual page of the program of this name: the command, then every verb.
///
/// # Errors
/// None that a program can meet: it is written into memory.
pub fn page(command: &Command, name: &'static str) -> io::Result<Vec<u8>> {
    let mut command = shown(command, name);
    command.build();
    let mut text = Vec::new();
    write(&command, &mut text)?;
    Ok(text)
}

/// The command without its hidden verbs: they are told to nobody.
fn shown(command: &Command, name: &'static str) -> Command {
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .about(command.get_about().cloned().unwrap_or_default())
        .after_help(command.get_after_help().cloned().unwrap_or_default())
        .subcommand_required(command.is_subcommand_required_set())
        .args(command.get_arguments().cloned())
        .subcommands(verbs.cloned())
}

/// One page for all: there is no other that it could refer to.
fn write(command: &Command, text: &mut Vec<u8>) -> io::Result<()> {
    let whole = Man::new(command.clone());
    whole.render_title(text)?;
    whole.render_name_section(text)?;
    whole.render_synopsis_section(text)?;
    whole.render_options_section(text)?;
    whole.render_extra_section(text)?;
    verbs(command, text)
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
