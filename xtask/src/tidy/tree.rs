//! The checkout as the checks see it: text files, Rust sources as tokens, packages. Read once, never changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;
use xshell::{Shell, cmd};

use super::rust_source::RustSource;
use crate::{env_vars, workspace};

/// A text file under version control, or about to be.
#[derive(Debug)]
pub(super) struct TextFile {
    /// Path relative to the root, with `/`.
    pub(super) path: String,
    /// Its text. Files that are not UTF-8 are not text and not here.
    pub(super) text: String,
}

/// A direct dependency of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependency {
    /// The package's name.
    pub(super) name: String,
    /// Whether only tests use it.
    pub(super) only_tests: bool,
}

/// A member of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    /// The name.
    pub(super) name: String,
    /// Path of its `Cargo.toml`, relative to the root.
    pub(super) manifest: String,
    /// What it depends on directly.
    pub(super) dependencies: Vec<Dependency>,
}

/// The checkout.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The folder itself; empty for a tree made by a test.
    pub(super) root: PathBuf,
    /// All text files.
    pub(super) files: Vec<TextFile>,
    /// The Rust sources among them.
    pub(super) rust: Vec<RustSource>,
    /// The members.
    pub(super) packages: Vec<Package>,
    /// Folders of this machine whose names must not be in any file.
    pub(super) private_folders: BTreeSet<String>,
    /// What a check could not do here.
    pub(super) notes: Vec<String>,
}

impl Tree {
    /// Reads the checkout at `root`: what git tracks, and what it would.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let root = root
            .canonicalize()
            .with_context(|| format!("looking for {}", root.display()))?;
        let sh = Shell::new()?;
        sh.change_dir(&root);
        let listed = cmd!(
            sh,
            "git ls-files -z --cached --others --exclude-standard --deduplicate"
        )
        .quiet()
        .read()
        .context("listing the files; is this a git checkout?")?;
        let files = listed
            .split('\0')
            .filter(|path| !path.is_empty())
            .filter_map(|path| {
                let text = std::fs::read_to_string(root.join(path)).ok()?;
                Some((path.to_owned(), text))
            });
        let mut tree = Self::of(files);
        tree.packages = packages(&workspace::metadata(&root)?, &root);
        tree.private_folders = private_folders(&root);
        if !super::scripts::has_shellcheck() {
            tree.notes
                .push("shellcheck is not installed; shell scripts were only parsed".to_owned());
        }
        tree.root = root;
        Ok(tree)
    }

    /// A tree of these files and nothing else.
    pub(super) fn of(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let files: Vec<TextFile> = files
            .into_iter()
            .map(|(path, text)| TextFile { path, text })
            .collect();
        let mut rust: Vec<RustSource> = files
            .iter()
            .filter(|file| file.path.ends_with(".rs"))
            .map(|file| RustSource::parse(&file.path, &file.text))
            .collect();
        mark_test_files(&mut rust);
        Self {
            files,
            rust,
            ..Self::default()
        }
    }

    /// A tree made by a test.
    #[cfg(test)]
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        Self::of(
            files
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
        )
    }

    /// One file's text.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        let file = self.files.iter().find(|file| file.path == path)?;
        Some(&file.text)
    }

    /// The sources of the product, without those that only tests see.
    pub(super) fn product(&self) -> impl Iterator<Item = &RustSource> {
        self.rust
            .iter()
            .filter(|source| source.path.starts_with("crates/") && !source.is_test)
    }

    /// The sources of the libraries: the product without the two binaries.
    pub(super) fn libraries(&self) -> impl Iterator<Item = &RustSource> {
        self.product().filter(|source| {
            !source.path.starts_with("crates/ralph-cli/")
                && !source.path.starts_with("crates/ralph-dispatch/")
        })
    }
}

/// Marks the files of modules that are declared under `#[cfg(test)]`, and everything below them.
fn mark_test_files(rust: &mut [RustSource]) {
    let stems: Vec<String> = rust
        .iter()
        .flat_map(|source| {
            let folder = source.module_folder();
            source
                .test_modules
                .iter()
                .map(move |name| format!("{folder}/{name}"))
        })
        .collect();
    for source in rust {
        let below = |stem: &String| {
            source
                .path
                .strip_prefix(stem.as_str())
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        source.is_test |= stems.iter().any(below);
    }
}

fn packages(metadata: &Value, root: &Path) -> Vec<Package> {
    let list = |value: &Value, key: &str| -> Vec<Value> {
        value
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let text = |value: &Value, key: &str| -> String {
        value
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    list(metadata, "packages")
        .iter()
        .map(|package| Package {
            name: text(package, "name"),
            manifest: Path::new(&text(package, "manifest_path"))
                .strip_prefix(root)
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
            dependencies: list(package, "dependencies")
                .iter()
                .map(|dependency| Dependency {
                    name: text(dependency, "name"),
                    only_tests: text(dependency, "kind") == "dev",
                })
                .collect(),
        })
        .collect()
}

/// The checkout, the folder around it and the home folder, unless the name is too short to mean anything.
fn private_folders(root: &Path) -> BTreeSet<String> {
    [
        Some(root.to_path_buf()),
        root.parent().map(Path::to_path_buf),
        env_vars::home(),
    ]
    .into_iter()
    .flatten()
    .map(|folder| format!("{}/", folder.display()))
    .filter(|folder| folder.len() > 2 && folder != "/tmp/")
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_test_modules_are_known_as_such() {
        let tree = Tree::with(&[
            (
                "crates/a/src/lib.rs",
                "//! A.\nmod b;\n#[cfg(test)]\nmod tests;\n",
            ),
            (
                "crates/a/src/b.rs",
                "//! B.\n#[cfg(all(test, unix))]\nmod laws;\n",
            ),
            ("crates/a/src/tests.rs", "//! T.\n"),
            ("crates/a/src/tests/deep.rs", "//! D.\n"),
            ("crates/a/src/b/laws.rs", "//! L.\n"),
            ("crates/a/tests/end.rs", "//! E.\n"),
            ("crates/a/examples/timing.rs", "//! X.\n"),
        ]);
        let product: Vec<&str> = tree.product().map(|source| source.path.as_str()).collect();
        assert_eq!(product, ["crates/a/src/lib.rs", "crates/a/src/b.rs"]);
    }

    #[test]
    fn packages_are_read_from_cargos_answer() -> anyhow::Result<()> {
        let metadata = serde_json::from_str(
            r#"{"packages":[{"name":"a","manifest_path":"/r/crates/a/Cargo.toml","dependencies":[
                {"name":"x","kind":null},{"name":"y","kind":"dev"}]}]}"#,
        )?;
        let found = packages(&metadata, Path::new("/r"));
        let dependency = |name: &str, only_tests| Dependency {
            name: name.to_owned(),
            only_tests,
        };
        assert_eq!(
            found,
            [Package {
                name: "a".to_owned(),
                manifest: "crates/a/Cargo.toml".to_owned(),
                dependencies: vec![dependency("x", false), dependency("y", true)],
            }]
        );
        Ok(())
    }
}
