//! `cargo xtask demo`: builds the binaries and runs `ralph demo` in a new folder. What is shown there is the
//! product's own; nothing is staged here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::openssl;
use crate::setup;
use crate::workspace::{Profile, build_binaries};

/// Builds and runs the demo; its exit code is the task's.
pub(crate) fn run(root: &Path, folder: Option<&str>) -> anyhow::Result<ExitCode> {
    let flags = setup::prepare(root, setup::Purpose::Build)?;
    let program = build_binaries(root, Profile::Dev, &flags)?.join("ralph");
    let folder = match folder {
        Some(folder) => PathBuf::from(folder),
        None => new_folder(&std::env::temp_dir())?,
    };
    let status = Command::new(&program)
        .arg("demo")
        .arg(&folder)
        .status()
        .with_context(|| format!("starting {}", program.display()))?;
    if status.success() {
        println!("{}", installing(root, flags.is_empty()));
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// How the programs come to stay, once the demo has shown what they are for.
fn installing(root: &Path, has_headers: bool) -> String {
    let mut text = "\nTo install it\n\n".to_owned();
    let flags = openssl::build_flags_of_one(has_headers).join(" ");
    for (name, flags) in [("ralph-cli", &*flags), ("ralph-dispatch", "")] {
        let path = root.join("crates").join(name);
        let path = path.display();
        let line = format!("cargo install --locked --path \"{path}\" {flags}");
        let _ = writeln!(text, "  {}", line.trim_end());
    }
    text
}

/// A folder that did not exist before. It is kept: the person is going to look at it.
fn new_folder(parent: &Path) -> anyhow::Result<PathBuf> {
    for number in 1_u32.. {
        let folder = parent.join(format!("ralph-demo-{number}"));
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("making {}", folder.display()));
            }
        }
    }
    anyhow::bail!(
        "every name for a demo folder is taken under {}",
        parent.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_there_and_builds_where_openssl_is_missing() {
        let root = crate::workspace::root();
        let text = installing(&root, false);
        let lines: Vec<&str> = text.lines().skip(3).collect();
        assert!(
            lines[0].ends_with("/crates/ralph-cli\" --features=vendored-openssl"),
            "{text}"
        );
        assert!(lines[1].ends_with("/crates/ralph-dispatch\""), "{text}");
        for path in text.split('"').skip(1).step_by(2) {
            assert!(Path::new(path).join("Cargo.toml").is_file(), "{path}");
        }
        assert!(!installing(&root, true).contains("--features"));
    }

    #[test]
    fn each_demo_gets_a_folder_of_its_own() -> anyhow::Result<()> {
        let sh = xshell::Shell::new()?;
        let parent = sh.create_temp_dir()?;
        let first = new_folder(parent.path())?;
        let second = new_folder(parent.path())?;
        assert_ne!(first, second);
        assert!(first.is_dir() && second.is_dir());
        assert!(new_folder(&parent.path().join("missing")).is_err());
        Ok(())
    }
}
