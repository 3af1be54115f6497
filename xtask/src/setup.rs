//! Installs what the build and the tests need, where it may: as root on a machine with `apt-get`.
//!
//! A package that cannot be installed is said aloud and is no failure here: OpenSSL is then built from source,
//! and a test that misses its program says so itself.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use xshell::{Shell, cmd};

use crate::openssl;

/// What a task is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Build the binaries and run them.
    Build,
    /// Run all tests and checks as well.
    Test,
    /// Measure beside what others use.
    Bench,
}

/// One thing that a task needs.
struct Need {
    /// The least purpose that needs it.
    since: Purpose,
    /// Whether it is there.
    is_there: fn() -> bool,
    /// The Debian packages that bring it.
    packages: &'static [&'static str],
    /// Who needs it.
    used_by: &'static str,
}

const NEEDS: [Need; 7] = [
    Need {
        since: Purpose::Build,
        is_there: openssl::has_headers,
        packages: &["libssl-dev", "pkg-config"],
        used_by: "the libssh2 transport",
    },
    Need {
        since: Purpose::Build,
        is_there: || on_path("git"),
        packages: &["git"],
        used_by: "the check that a commit is pushed",
    },
    Need {
        since: Purpose::Build,
        is_there: || on_path("bash"),
        packages: &["bash"],
        used_by: "job scripts",
    },
    Need {
        since: Purpose::Test,
        is_there: || on_path("ssh"),
        packages: &["openssh-client"],
        used_by: "the OpenSSH transport",
    },
    Need {
        since: Purpose::Test,
        is_there: || on_path("python3"),
        packages: &["python3"],
        used_by: "the bench's comparison and its test",
    },
    Need {
        since: Purpose::Test,
        is_there: || on_path("shellcheck"),
        packages: &["shellcheck"],
        used_by: "the check of shell scripts",
    },
    Need {
        since: Purpose::Bench,
        is_there: || on_path("parallel"),
        packages: &["parallel"],
        used_by: "the bench's comparison of the loop's pace",
    },
];

/// Installs what is missing and returns the flags that builds on this machine need.
pub(crate) fn prepare(root: &Path, purpose: Purpose) -> anyhow::Result<Vec<String>> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    let missing: Vec<&Need> = NEEDS
        .iter()
        .filter(|need| need.since <= purpose && !(need.is_there)())
        .collect();
    let packages = packages_of(&missing);
    if !packages.is_empty() {
        if may_install() {
            install(&sh, &packages);
        }
        for need in missing.iter().filter(|need| !(need.is_there)()) {
            eprintln!(
                "note: {} missing ({}); install it to have everything",
                need.packages.join(" and "),
                need.used_by
            );
        }
    }
    let has_headers = openssl::has_headers();
    if !has_headers {
        eprintln!(
            "note: no OpenSSL headers here: OpenSSL is built from source, which takes minutes and needs perl and make"
        );
    }
    Ok(openssl::build_flags(has_headers))
}

/// Installs what is missing and prints the flags on stdout, for scripts.
pub(crate) fn print_flags(root: &Path) -> anyhow::Result<ExitCode> {
    println!("{}", prepare(root, Purpose::Test)?.join(" "));
    Ok(ExitCode::SUCCESS)
}

fn packages_of(missing: &[&Need]) -> Vec<&'static str> {
    missing
        .iter()
        .flat_map(|need| need.packages.iter().copied())
        .collect()
}

/// Root on a machine with `apt-get`. Nothing is installed with `sudo`: that would ask for a password.
fn may_install() -> bool {
    let id = Command::new("id").arg("-u").output();
    let is_root = id.is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    is_root && on_path("apt-get")
}

fn install(sh: &Shell, packages: &[&str]) {
    eprintln!("installing {}", packages.join(" "));
    let _quiet = sh.push_env("DEBIAN_FRONTEND", "noninteractive");
    // What apt prints goes to stderr: stdout carries the flags. A failure shows in what is still missing.
    let listed = to_stderr(cmd!(sh, "apt-get update --quiet"));
    let installed = to_stderr(cmd!(
        sh,
        "apt-get install --yes --quiet --no-install-recommends {packages...}"
    ));
    if !(listed && installed) {
        eprintln!("note: apt-get could not install everything");
    }
}

fn to_stderr(command: xshell::Cmd<'_>) -> bool {
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    command.status().is_ok_and(|status| status.success())
}

/// Whether a program can be started by its name.
pub(crate) fn on_path(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", "command -v \"$1\"", "sh", program])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_names_its_packages() {
        let absent = Need {
            since: Purpose::Build,
            is_there: || on_path("no-such-program-anywhere"),
            packages: &["one", "two"],
            used_by: "a test",
        };
        assert!(!(absent.is_there)());
        assert_eq!(packages_of(&[&absent]), ["one", "two"]);
        assert!(on_path("sh"));
    }
}
