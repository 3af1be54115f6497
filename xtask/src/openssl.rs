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

/// The flags that a build of this package, alone or among others, needs on this machine: without headers the feature
/// that builds OpenSSL from source.
pub(crate) fn build_flags(package: &str, has_headers: bool) -> Vec<String> {
    if has_headers {
        Vec::new()
    } else {
        vec![format!("--features={package}/vendored-openssl")]
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
        assert!(build_flags("ralph-cli", true).is_empty());
        let vendored = ["--features=ralph-cli/vendored-openssl"];
        assert_eq!(build_flags("ralph-cli", false), vendored);
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
