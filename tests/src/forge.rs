//! A `gh` that answers from files, in a folder of its own at the front of the search path.
//!
//! It writes each call into `calls`. `pr list` prints `list`; `pr create` keeps the text in `body`, prints an address,
//! or the words of `fail` with exit code 1. Where `absent` is, it behaves as if it were not there.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::repository::Repository;
use crate::workspace::Ran;

const SCRIPT: &str = r#"#!/bin/sh
here=${0%/*}
[ -e "$here/absent" ] && exit 127
echo "$@" >>"$here/calls"
case "$1 $2" in
"pr list") cat "$here/list" ;;
"pr create")
    cat >"$here/body"
    [ -e "$here/fail" ] && { cat "$here/fail" >&2; exit 1; }
    echo "Warning: 1 uncommitted change" >&2
    echo "https://forge.example/o/r/pull/7"
    ;;
esac
"#;

/// The scripted `gh` of a repository.
#[derive(Debug)]
pub struct Forge {
    folder: PathBuf,
}

impl Forge {
    /// Puts one beside a repository; it knows of no pull request.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn beside(repository: &Repository) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = repository.home().join("forge");
        fs::create_dir_all(&folder).expect("a folder");
        let forge = Self { folder };
        forge.write("gh", SCRIPT);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(forge.folder.join("gh"), mode).expect("a program");
        forge.write("list", "[]");
        forge.write("calls", "");
        forge
    }

    /// The same, as if there were no `gh` on this machine, whether there is one or not.
    #[must_use]
    pub fn absent(repository: &Repository) -> Self {
        let forge = Self::beside(repository);
        forge.write("absent", "");
        forge
    }

    /// Writes one of its files.
    ///
    /// # Panics
    /// It cannot be written.
    #[expect(
        clippy::disallowed_methods,
        reason = "a fixture, not a file of the product"
    )]
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).expect("a file");
    }

    /// Removes one of its files.
    ///
    /// # Panics
    /// It is not there.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.folder.join(name)).expect("a file to remove");
    }

    /// One of its files; empty when there is none.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// How often it was asked to make a pull request.
    #[must_use]
    pub fn creations(&self) -> usize {
        self.read("calls")
            .lines()
            .filter(|call| call.starts_with("pr create"))
            .count()
    }

    /// Lets a command find it.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is behind it stays the caller's"
    )]
    pub fn put_before<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let mut path = OsString::from(&self.folder);
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path)
    }

    /// Runs `ralph` in the repository with it.
    #[must_use]
    pub fn ralph(&self, repository: &Repository, words: &[&str]) -> Ran {
        Ran::of_command(self.put_before(&mut repository.command(words)))
    }
}
