//! `cargo xtask picture`: the README's picture, drawn from what `ralph demo` really prints.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};

use crate::setup;
use crate::workspace::{Profile, build_binaries};

/// What follows this heading is a list of files, which nobody needs in a picture.
const END: &str = "What was written";

/// Runs the demo in colour and writes `docs/demo.svg`.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let flags = setup::prepare(root, setup::Purpose::Build)?;
    let program = build_binaries(root, Profile::Dev, &flags)?.join("ralph");
    let sh = xshell::Shell::new()?;
    let folder = sh.create_temp_dir()?;
    let shown = folder.path().join("ralph-demo");
    let output = Command::new(&program)
        .arg("demo")
        .arg(&shown)
        .env("CLICOLOR_FORCE", "1")
        .env_remove("NO_COLOR")
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    ensure!(
        output.status.success(),
        "the demo failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).context("the demo's output is not text")?;
    let text = text.replace(&shown.display().to_string(), "/tmp/ralph-demo");
    sh.write_file(
        root.join("docs/demo.svg"),
        svg(&format!("$ cargo xtask demo\n{text}")),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// The part of the output that tells the story, as a drawing of a terminal.
fn svg(text: &str) -> String {
    let story: Vec<&str> = text
        .lines()
        .take_while(|line| !line.contains(END))
        .collect();
    anstyle_svg::Term::new().render_svg(&story.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_is_drawn_and_the_rest_is_left_out() {
        let drawn = svg("one\n\u{1b}[32mtwo\u{1b}[0m\n\u{1b}[1mWhat was written\u{1b}[0m\nthree");
        assert!(drawn.contains("two") && !drawn.contains("three"), "{drawn}");
    }
}
