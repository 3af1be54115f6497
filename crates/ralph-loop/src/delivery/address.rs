//! The address of a remote: which forge, which repository. Nothing here asks anybody.

use std::net::IpAddr;

/// A repository at a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The host, with a port where one is named.
    pub host: String,
    /// The path on it, such as `owner/name`.
    pub path: String,
}

impl Address {
    /// Reads the forms of git-clone(1) that name a host: `https://`, `ssh://`, `git://` and `user@host:path`. User and
    /// password are not kept.
    #[must_use]
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let (host, path) = match url.split_once("://") {
            Some((scheme, rest)) if scheme != "file" => {
                let (host, path) = rest.split_once('/')?;
                let host = host.rsplit('@').next()?;
                // Elsewhere a port belongs to that protocol, not to the web pages.
                let is_web = scheme.starts_with("http");
                let host = if is_web {
                    host
                } else {
                    host.split(':').next()?
                };
                (host, path)
            }
            Some(_) => return None,
            None => {
                let (host, path) = url.split_once(':')?;
                if host.contains('/') {
                    return None;
                }
                (host.rsplit('@').next()?, path)
            }
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let is_complete = !host.is_empty() && path.contains('/');
        is_complete.then(|| Self {
            host: host.to_owned(),
            path: path.to_owned(),
        })
    }

    /// Whether the host of such an address is a name of ssh's, which may be one that only the user's own settings know
    /// (ssh_config(5), `Host`).
    #[must_use]
    pub(crate) fn is_ssh(url: &str) -> bool {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        !scheme.is_some_and(|scheme| scheme.starts_with("http") || scheme == "git")
    }

    /// The same at the host that `ssh -G` has shown for its name. Where that is a bare number, the name says more; and
    /// GitHub's second entrance for ssh has no web pages.
    #[must_use]
    pub(crate) fn at(self, shown: &str) -> Self {
        let host = shown
            .lines()
            .find_map(|line| line.strip_prefix("hostname "));
        match host.map(str::trim) {
            Some("ssh.github.com") => Self {
                host: "github.com".to_owned(),
                ..self
            },
            Some(host) if host.parse::<IpAddr>().is_err() => Self {
                host: host.to_owned(),
                ..self
            },
            _ => self,
        }
    }

    /// As `gh --repo` takes it; it knows owners and names only.
    #[must_use]
    pub(crate) fn repository(&self) -> Option<String> {
        let is_owned = self.path.matches('/').count() == 1;
        is_owned.then(|| format!("{}/{}", self.host, self.path))
    }

    /// Who owns the repository: what stands before its name.
    pub(super) fn owner(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(owner, _)| owner)
    }

    /// Whether this is another repository at the same forge, as a fork is. Forges take names for the same whatever their case.
    pub(super) fn is_fork_of(&self, other: &Self) -> bool {
        self.host.eq_ignore_ascii_case(&other.host) && !self.path.eq_ignore_ascii_case(&other.path)
    }

    /// The page on which a person makes a pull request from the branch of a fork.
    pub(super) fn compare_fork(&self, base: &str, fork: &Self, branch: &str) -> Option<String> {
        if self.host.contains("gitlab") || self.host.contains("bitbucket") {
            // Theirs is asked for at the fork.
            return fork.compare(base, branch);
        }
        let (host, path, owner) = (&self.host, &self.path, encoded(fork.owner()));
        let (base, branch) = (encoded(base), encoded(branch));
        Some(format!(
            "https://{host}/{path}/compare/{base}...{owner}:{branch}?expand=1"
        ))
    }

    /// The page on which a person makes a pull request from the branch.
    #[must_use]
    pub(crate) fn compare(&self, base: &str, branch: &str) -> Option<String> {
        let (host, path) = (&self.host, &self.path);
        let (base, branch) = (encoded(base), encoded(branch));
        Some(if host.contains("gitlab") {
            let query = format!(
                "merge_request%5Bsource_branch%5D={branch}&merge_request%5Btarget_branch%5D={base}"
            );
            format!("https://{host}/{path}/-/merge_requests/new?{query}")
        } else if host.contains("bitbucket") {
            format!("https://{host}/{path}/pull-requests/new?source={branch}&dest={base}")
        } else {
            format!("https://{host}/{path}/compare/{base}...{branch}?expand=1")
        })
    }
}

/// Percent-encodes what a path of an address must not hold (RFC 3986); `/` stays.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes()
        .map(|byte| match byte {
            byte if is_plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_an_address_are_read_and_no_password_is_kept() {
        let read = |url: &str| Address::parse(url).map(|found| (found.host, found.path));
        let found = |host: &str, path: &str| Some((host.to_owned(), path.to_owned()));
        for url in [
            "https://github.com/owner/name.git",
            "https://user:token@github.com/owner/name/",
            "git@github.com:owner/name.git",
            "ssh://git@github.com:22/owner/name.git",
        ] {
            assert_eq!(read(url), found("github.com", "owner/name"), "{url}");
        }
        assert_eq!(read("https://host:8443/a/b"), found("host:8443", "a/b"));
        for url in [
            "/srv/git/name.git",
            "../name",
            "file:///a/b",
            "C:name",
            "",
            "host:name",
        ] {
            assert_eq!(read(url), None, "{url}");
        }
    }

    #[test]
    fn a_name_of_ssh_s_stands_for_the_host_that_it_shows() {
        let url = "git@github.com-work:owner/name.git";
        let host = |shown: &str| Address::parse(url).unwrap().at(shown).host;
        assert!(Address::is_ssh(url) && Address::is_ssh("ssh://git@work/o/n"));
        assert!(!Address::is_ssh("https://github.com/o/n"));
        assert_eq!(
            host("user git\nhostname github.com\nport 22\n"),
            "github.com"
        );
        assert_eq!(host("hostname ssh.github.com\nport 443\n"), "github.com");
        for unclear in ["", "hostname 10.0.0.7\n", "hostname ::1\n"] {
            assert_eq!(host(unclear), "github.com-work");
        }
    }

    #[test]
    fn a_fork_is_another_repository_at_the_same_forge() {
        let read = |url: &str| Address::parse(url).unwrap();
        let upstream = read("https://github.com/Their/name");
        let fork = read("git@github.com:mine/name.git");
        assert!(fork.is_fork_of(&upstream));
        assert!(!read("git@github.com:their/Name").is_fork_of(&upstream));
        assert!(!read("git@elsewhere.org:mine/name").is_fork_of(&upstream));
        assert_eq!(
            upstream.compare_fork("main", &fork, "x/a b").as_deref(),
            Some("https://github.com/Their/name/compare/main...mine:x/a%20b?expand=1")
        );
    }

    #[test]
    fn the_page_to_compare_is_the_forges_own() {
        let page = |url: &str| {
            let address = Address::parse(url).unwrap();
            address.compare("main", "ralph-claude/a&b").unwrap()
        };
        insta::assert_snapshot!([
            page("git@github.com:o/n.git"),
            page("https://gitlab.example.org/group/sub/n"),
            page("https://bitbucket.org/o/n"),
        ].join("\n"), @r"
        https://github.com/o/n/compare/main...ralph-claude/a%26b?expand=1
        https://gitlab.example.org/group/sub/n/-/merge_requests/new?merge_request%5Bsource_branch%5D=ralph-claude/a%26b&merge_request%5Btarget_branch%5D=main
        https://bitbucket.org/o/n/pull-requests/new?source=ralph-claude/a%26b&dest=main
        ");
    }
}
