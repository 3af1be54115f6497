//! The fixed remote scripts and how one travels: the login shell sees one constant command with quoted arguments,
//! the script and its data come over standard input.
//!
//! No value of a user ever becomes part of a script's text.

use crate::transport::quote;

/// A fixed POSIX script.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteScript {
    /// Its name, for messages and budgets.
    pub(crate) name: &'static str,
    body: &'static str,
}

macro_rules! scripts {
    ($($(#[$doc:meta])* $constant:ident = $name:literal,)*) => {
        $($(#[$doc])* pub(crate) const $constant: RemoteScript = RemoteScript {
            name: $name,
            body: include_str!(concat!("scripts/", $name, ".sh")),
        };)*

        #[cfg(test)]
        const ALL: &[RemoteScript] = &[$($constant),*];
    };
}

scripts! {
    /// Submits every order of a bundle, each at most once.
    SUBMIT = "submit",
    /// Looks for one submission without submitting.
    RECEIPT = "receipt",
    /// The queue, and accounting for what has left it.
    OBSERVE = "observe",
    /// A piece of one log.
    TAIL = "tail",
    /// Asks for jobs to be cancelled.
    CANCEL = "cancel",
    /// All jobs of this user.
    JOBS = "jobs",
    /// Which files exist.
    EXISTING = "existing",
    /// Version and limits.
    CAPABILITIES = "capabilities",
    /// What the synchronised folders hold.
    LISTING = "listing",
    /// Unpacks synchronised files.
    RECEIVE = "receive",
    /// Adds a piece to a large file.
    PIECE = "piece",
}

const PRELUDE: &str = include_str!("scripts/prelude.sh");

/// What the login shell is given. It reads the script from standard input and runs it only when it arrived whole:
/// a start-up file that reads standard input would otherwise leave us the second half of a script.
const BOOTSTRAP: &str = r##"s=$(dd bs=1 count="$1" 2>/dev/null); case $s in "# ralph $2"*"# end $2") shift; eval "$s" ;; *) exit 97 ;; esac"##;

/// An argument that no shell can carry safely.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an argument of `{script}` holds a control character: {argument:?}")]
pub(crate) struct ArgumentError {
    /// The script.
    pub(crate) script: &'static str,
    /// The argument.
    pub(crate) argument: String,
}

/// A command line and the standard input that goes with it.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) command: String,
    pub(crate) input: Vec<u8>,
}

impl RemoteScript {
    /// Whether it asks the scheduler, and so spends the host's budget; files alone are no burden to a scheduler. A log
    /// asks only where the number of an array task is wanted.
    pub(crate) fn asks_scheduler(&self) -> bool {
        !matches!(
            self.name,
            "tail" | "existing" | "listing" | "receive" | "piece"
        )
    }

    /// Puts the script, its arguments and its data into an envelope for one request.
    pub(crate) fn envelope(
        &self,
        id: &str,
        arguments: &[&str],
        data: &[u8],
    ) -> Result<Envelope, ArgumentError> {
        let text = format!("# ralph {id}\n{PRELUDE}\n{}\n# end {id}", self.body);
        let mut command = format!(
            "exec env LC_ALL=C sh -c {} ralph {} {}",
            quote(BOOTSTRAP),
            text.len(),
            quote(id)
        );
        for argument in arguments {
            if argument.contains(char::is_control) {
                return Err(ArgumentError {
                    script: self.name,
                    argument: (*argument).to_owned(),
                });
            }
            command.push(' ');
            command.push_str(&quote(argument));
        }
        let mut input = text.into_bytes();
        input.extend_from_slice(data);
        Ok(Envelope { command, input })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn arguments_arrive_as_they_were() {
        let arguments = [
            "plain",
            "it's",
            "$HOME `id` $(id)",
            "a;b|c&d",
            "",
            "*",
            "\\n",
            "über",
            "!x",
        ];
        let echo = RemoteScript {
            name: "echo",
            body: r#"for a in "$@"; do printf '<%s>\n' "$a"; done"#,
        };
        let with_root: Vec<&str> = ["/", ""].into_iter().chain(arguments).collect();
        let envelope = echo.envelope("r1", &with_root, b"").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input");
        std::io::Write::write_all(&mut std::fs::File::create(&input).unwrap(), &envelope.input)
            .unwrap();
        let output = Command::new("sh")
            .args(["-c", &envelope.command])
            .stdin(std::fs::File::open(&input).unwrap())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let expected: String = arguments.iter().map(|a| format!("<{a}>\n")).collect();
        assert!(text.contains(&expected), "{text}");
    }

    #[test]
    fn a_script_that_lost_its_beginning_is_not_run() {
        let echo = RemoteScript {
            name: "echo",
            body: "echo ran",
        };
        let envelope = echo.envelope("r1", &["/", ""], b"").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input");
        std::io::Write::write_all(
            &mut std::fs::File::create(&input).unwrap(),
            &envelope.input[9..],
        )
        .unwrap();
        let output = Command::new("sh")
            .args(["-c", &envelope.command])
            .stdin(std::fs::File::open(&input).unwrap())
            .output()
            .unwrap();
        assert_eq!(
            (output.status.code(), output.stdout),
            (Some(97), Vec::new())
        );
    }

    #[test]
    fn an_argument_with_a_newline_is_refused() {
        assert!(TAIL.envelope("r1", &["a\nb"], b"").is_err());
    }

    #[test]
    fn what_spends_no_budget_asks_no_scheduler() {
        for script in ALL.iter().filter(|script| !script.asks_scheduler()) {
            let asks = ["squeue", "sacct", "sbatch", "scancel", "scontrol"]
                .iter()
                .any(|command| script.body.contains(command));
            assert!(!asks || script.name == "tail", "{}", script.name);
        }
    }

    #[test]
    fn every_script_is_posix_to_the_shell_and_deletes_nothing() {
        for script in ALL {
            let text = format!("{PRELUDE}\n{}", script.body);
            let status = Command::new("sh")
                .args(["-n", "-c", &text])
                .status()
                .unwrap();
            assert!(status.success(), "{}", script.name);
            let destructive = [
                "rm ",
                "unlink",
                "--delete",
                "shred",
                "truncate",
                "mkfs",
                "find -delete",
            ];
            for word in destructive {
                assert!(!text.contains(word), "{} holds `{word}`", script.name);
            }
        }
    }
}
