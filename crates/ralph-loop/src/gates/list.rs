//! Gates that a person has written down: the list cut into commands, and whether a shell can start each at all.
//!
//! A command with a typing error fails everywhere, which must not pass for a failure that was there before. What must
//! never be here: the run of a gate.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// The commands of a list, which `;` separates where no quotation and no backslash keeps it.
pub(super) fn split(list: &str) -> Vec<String> {
    let mut commands = vec![String::new()];
    let mut quote = None;
    let mut is_escaped = false;
    for c in list.chars() {
        if c == ';' && quote.is_none() && !is_escaped {
            commands.push(String::new());
            continue;
        }
        // Between single quotes a backslash is one.
        let escapes = c == '\\' && !is_escaped && quote != Some('\'');
        if !is_escaped && matches!(c, '\'' | '"') {
            quote = match quote {
                None => Some(c),
                Some(open) if open == c => None,
                open => open,
            };
        }
        is_escaped = escapes;
        if let Some(command) = commands.last_mut() {
            command.push(c);
        }
    }
    let trimmed = commands.iter().map(|command| command.trim());
    trimmed
        .filter(|command| !command.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Why a shell cannot start a command in a folder; `None` where nothing speaks against it. The command is not run.
pub(super) async fn trouble(command: &str, folder: &Path) -> Option<String> {
    if let Some(words) = refusal(&["-n", "-c", command], folder).await {
        return Some(words);
    }
    let program = program(command)?;
    let asked = ["-c", "command -v -- \"$1\"", "sh", program];
    let refused = refusal(&asked, folder).await;
    refused.map(|_| format!("there is no program `{program}`"))
}

/// The program of a command whose first word is a plain name. What a path names may come with the work.
fn program(command: &str) -> Option<&str> {
    let first = command.split_whitespace().next()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let is_name = first.chars().all(is_plain) && !first.starts_with(['-', '.']);
    is_name.then_some(first)
}

/// What a shell says against something; `None` where it has nothing to say, or is not there.
async fn refusal(arguments: &[&str], folder: &Path) -> Option<String> {
    let ended = Command::new("sh")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = ended.await.ok()?;
    let words = String::from_utf8_lossy(&ended.stderr);
    (!ended.status.success()).then(|| words.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_keep_a_separator() {
        assert_eq!(
            split(r#"crago test; sh -c "exit 1; true" ;; echo 'a;"b' ; x \; y;"#),
            [
                "crago test",
                r#"sh -c "exit 1; true""#,
                r#"echo 'a;"b'"#,
                r"x \; y"
            ]
        );
        assert_eq!(
            split(r#"echo "\";" 'it\'; b"#),
            [r#"echo "\";" 'it\'"#, "b"]
        );
        assert_eq!(split(" ; "), [""; 0]);
        // A quotation that stays open is one command, of which the shell says what is wrong.
        assert_eq!(split("a; b 'c; d"), ["a", "b 'c; d"]);
    }

    #[tokio::test]
    async fn a_command_that_no_shell_can_start_is_told_from_one_that_fails() {
        let here = Path::new("/");
        for good in [
            "false",
            "test -e never",
            "if true; then false; fi",
            "X=1 no-such-program",
            "./not-yet.sh",
            "(exit 3)",
            "cd / && false",
        ] {
            assert_eq!(trouble(good, here).await, None, "{good}");
        }
        let missing = trouble("crago test", here).await;
        assert_eq!(missing.as_deref(), Some("there is no program `crago`"));
        for broken in ["sh -c \"exit 1", "if true", "a && && b"] {
            assert!(trouble(broken, here).await.is_some(), "{broken}");
        }
    }
}
