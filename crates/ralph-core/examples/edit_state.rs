//! Changes one member of a state file and nothing else of it: `edit_state PROJECT_FOLDER PHASE`.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::PathBuf;

use ralph_core::env::Env;
use ralph_core::pipeline::{PipelineEdit, PipelineFile};
use ralph_core::store::{LockRequest, ProjectLock, atomic, layout};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or("expected a project's folder")?);
    let phase = args.next().ok_or("expected a phase")?;

    // Whoever changes a project holds its lock; a dispatch waits for it.
    let env = Env::system("example", "nobody");
    let _lock = ProjectLock::acquire(&LockRequest::new(&folder, "edit_state", &env), &env)?;

    let path = folder.join(layout::PIPELINE);
    let bytes = atomic::read(&path)?.ok_or("there is no state file")?;
    let file = PipelineFile::parse_bytes(bytes)?;
    for warning in &file.view().warnings {
        println!("{}:{}: {}", path.display(), warning.line, warning.message);
    }
    let set = PipelineEdit::Set {
        path: vec!["phase".to_owned()],
        value: phase.into(),
    };
    let text = file.edit(&[set])?;
    atomic::replace(&path, text.as_bytes())?;
    println!("{}: {} bytes", path.display(), text.len());
    Ok(())
}
