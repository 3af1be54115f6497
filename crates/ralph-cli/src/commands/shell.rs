//! `ralph completions` and `ralph man`.

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
    printed(page(&crate::command(), &mut text))?;
    printed(output.bytes(&text))?;
    Ok(None)
}

fn page(command: &clap::Command, text: &mut Vec<u8>) -> std::io::Result<()> {
    let mut command = command.clone();
    command.build();
    clap_mangen::Man::new(command.clone()).render(text)?;
    for verb in command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
    {
        clap_mangen::Man::new(verb.clone()).render_synopsis_section(text)?;
        clap_mangen::Man::new(verb.clone()).render_description_section(text)?;
        clap_mangen::Man::new(verb.clone()).render_options_section(text)?;
    }
    Ok(())
}
