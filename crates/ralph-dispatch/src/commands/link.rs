//! `--link`: the second name of this program, `wb.ralph-dispatch`, beside it. A name with a dot can be no crate's, so
//! `cargo install` cannot bring it.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use ralph_core::error::Code;
use ralph_front::SCHEMA_VERSION;
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

use crate::env_vars;
use crate::report::LinkReport;

const NAME: &str = "wb.ralph-dispatch";

/// Makes the link, or finds that it is there.
pub(super) fn run(output: &Output) -> Outcome {
    let program = env_vars::program().and_then(|path| path.canonicalize());
    let program = program.map_err(|error| {
        let message = format!("the running program cannot be found: {error}");
        Failure::new(Code::Failed, message)
    })?;
    let link = program.with_file_name(NAME);
    let made = match symlink(program.file_name().unwrap_or_default(), &link) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::canonicalize(&link).ok().as_ref() != Some(&program) {
                let message = format!("{}: is something else already", link.display());
                return Err(Failure::new(Code::Conflict, message).hint("Move it away first."));
            }
            false
        }
        Err(error) => {
            let message = format!("{}: cannot be made: {error}", link.display());
            return Err(Failure::new(Code::Failed, message).hint(format!(
                "Make it where you may: ln -s {} ~/bin/{NAME}",
                program.display()
            )));
        }
    };
    let report = LinkReport {
        schema_version: SCHEMA_VERSION,
        link: link.display().to_string(),
        program: program.display().to_string(),
        made,
    };
    let said = if made { "made" } else { "there already" };
    output.answer(&report, &format!("{}: {said}", link.display()))?;
    Ok(None)
}
