//! Whether this machine can build against its own OpenSSL. Decides only; installs nothing.

use std::process::{Command, Stdio};

use crate::env_vars;

/// Where Homebrew and MacPorts put the headers; the build finds them there without `pkg-config`.
const MAC_HEADERS: [&str; 4] = [
    "/opt/homebrew/opt/openssl@3/include/openssl/ssl.h",
    "/usr/local/opt/openssl@3/include/openssl/ssl.h",
    "/opt/homebrew/opt/openssl/include/openssl/ssl.h",
    "/opt/local/include/openssl/ssl.h",
];

/// Whether the headers are where the build looks for them.
pub(crate) fn has_headers() -> bool {
    env_vars::has_openssl_folder()
        || pkg_config_knows("openssl")
        || (cfg!(target_os = "macos")
            && MAC_HEADERS
                .iter()
                .any(|path| std::path::Path::new(path).exists()))
}

/// The feature that builds OpenSSL from source, of every package on the way to what needs it.
const VENDORED: &str = "vendored-openssl";

/// The flags that a build of the binaries, alone or with everything else, needs on this machine.
pub(crate) fn build_flags(has_headers: bool) -> Vec<String> {
    flags(&format!("ralph-cli/{VENDORED}"), has_headers)
}

/// The flags that a build of one package needs. Without its name in front: a package that is its own dependency in its
/// tests would take that for a feature of the dependency, and leave it off.
pub(crate) fn build_flags_of_one(has_headers: bool) -> Vec<String> {
    flags(VENDORED, has_headers)
}

fn flags(feature: &str, has_headers: bool) -> Vec<String> {
    if has_headers {
        Vec::new()
    } else {
        vec![format!("--features={feature}")]
    }
}

/// On Linux the build asks `pkg-config` and nothing else, so headers without it count as missing.
fn pkg_config_knows(library: &str) -> bool {
    Command::new("pkg-config")
        .args(["--exists", library])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machine_without_headers_builds_openssl() {
        assert!(build_flags(true).is_empty() && build_flags_of_one(true).is_empty());
        assert_eq!(
            build_flags(false),
            ["--features=ralph-cli/vendored-openssl"]
        );
        assert_eq!(build_flags_of_one(false), ["--features=vendored-openssl"]);
    }

    /// A flag for a feature that is not there would end the build on just those machines that need it.
    #[test]
    fn the_packages_that_are_built_alone_have_the_feature() -> anyhow::Result<()> {
        let root = crate::workspace::root();
        for package in ["ralph-cli", "ralph-slurm"] {
            let manifest = root.join("crates").join(package).join("Cargo.toml");
            let text = xshell::Shell::new()?.read_file(manifest)?;
            let mut lines = text.lines();
            assert!(
                lines.any(|line| line.starts_with("vendored-openssl = ")),
                "{package}"
            );
        }
        Ok(())
    }
}
