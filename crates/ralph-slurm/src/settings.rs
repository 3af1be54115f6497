//! `.claude/cluster.local.json`: read leniently, because people have had it since before this program.
//!
//! A number may be a string, a missing member has its default, an unknown member is reported and otherwise left
//! alone. The file is never written here.

use std::time::Duration;

use ralph_core::error::{Code, Coded, Hint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The cluster as the user configured it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// How to reach the login node.
    pub ssh: SshSettings,
    /// Where things are there.
    pub remote: RemoteSettings,
    /// How a job gets its code.
    pub git: GitSettings,
    /// The shortest time between two looks at this host's queue.
    pub min_interval: Option<Duration>,
}

/// Which transport is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportKind {
    /// OpenSSH's client over the session that the user opened.
    Openssh,
    /// The embedded client, for hosts that take a key or an agent.
    Libssh2,
}

/// `ssh`: the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshSettings {
    /// Login name; `None` leaves it to OpenSSH's configuration.
    pub user: Option<String>,
    /// Host name, or an alias of OpenSSH's configuration.
    pub host: String,
    /// Port; `None` leaves it to OpenSSH's configuration.
    pub port: Option<u16>,
    /// The control socket, with `~` and the `%` words of ssh_config(5).
    pub control_path: String,
    /// How long an idle session stays open, as in ssh_config(5).
    pub control_persist: String,
    /// Which transport is used.
    pub transport: TransportKind,
    /// Another OpenSSH configuration file than the user's own.
    pub config_file: Option<String>,
    /// Private key for `libssh2`; `None` asks the agent.
    pub identity_file: Option<String>,
    /// Known hosts for `libssh2`; `None` is the user's own file.
    pub known_hosts: Option<String>,
}

/// `remote`: the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSettings {
    /// The folder of the research repository there; `~` is the remote home.
    pub repo_root: String,
    /// What the synchronisation leaves out, in rsync's pattern language.
    pub rsync_excludes: Vec<String>,
    /// Clusters of a federation, as `--clusters` takes them.
    pub clusters: Option<String>,
}

/// `git`: how a job gets its code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GitSettings {
    /// Where the cluster clones; `None` means that the files are synchronised.
    pub url: Option<String>,
    /// The branch that is meant when none is named.
    pub default_branch: Option<String>,
}

/// The file is not a cluster configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not JSON.
    #[error("not JSON: {detail}")]
    Json {
        /// What the parser found, with line and column.
        detail: String,
    },
    /// A member is missing or cannot be used.
    #[error("`{member}` is {found}, expected {expected}")]
    Member {
        /// The member, such as `ssh.host`.
        member: &'static str,
        /// What is expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
}

impl Coded for SettingsError {
    fn code(&self) -> Code {
        Code::NoClusterConfig
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(
            "Compare .claude/cluster.local.json with .claude/cluster.example.json.",
        ))
    }
}

const KNOWN: &[(&str, &[&str])] = &[
    (
        "ssh",
        &[
            "user",
            "host",
            "port",
            "control_path",
            "control_persist",
            "transport",
            "config_file",
            "identity_file",
            "known_hosts",
        ],
    ),
    ("remote", &["repo_root", "rsync_excludes", "clusters"]),
    ("git", &["url", "default_branch"]),
    ("min_interval_seconds", &[]),
];

impl ClusterSettings {
    /// Reads the file's text. The second value names the members that nothing here reads.
    ///
    /// # Errors
    /// See [`SettingsError`]; `ssh.host` and `remote.repo_root` are the only members that must be there.
    pub fn parse(text: &str) -> Result<(Self, Vec<String>), SettingsError> {
        let value: Value = serde_json::from_str(text).map_err(|error| SettingsError::Json {
            detail: error.to_string(),
        })?;
        let empty = Map::new();
        let root = value.as_object().ok_or_else(|| SettingsError::Member {
            member: "the file",
            expected: "an object with `ssh`, `remote` and `git`",
            found: kind(&value).to_owned(),
        })?;
        let section = |name: &str| root.get(name).and_then(Value::as_object).unwrap_or(&empty);
        let settings = Self {
            ssh: ssh(section("ssh"))?,
            remote: remote(section("remote"))?,
            git: GitSettings {
                url: text_of(section("git"), "url"),
                default_branch: text_of(section("git"), "default_branch"),
            },
            min_interval: number_of(root, "min_interval_seconds").map(Duration::from_secs),
        };
        Ok((settings, unknown_members(root)))
    }
}

fn ssh(section: &Map<String, Value>) -> Result<SshSettings, SettingsError> {
    let host = required(section, "host", "ssh.host", "the login node's name")?;
    if host.starts_with('-') {
        return Err(SettingsError::Member {
            member: "ssh.host",
            expected: "the login node's name",
            found: format!("`{host}`"),
        });
    }
    let transport = match text_of(section, "transport").as_deref() {
        None | Some("openssh") => TransportKind::Openssh,
        Some("libssh2") => TransportKind::Libssh2,
        Some(other) => {
            return Err(SettingsError::Member {
                member: "ssh.transport",
                expected: "`openssh` or `libssh2`",
                found: format!("`{other}`"),
            });
        }
    };
    Ok(SshSettings {
        user: text_of(section, "user"),
        host,
        port: number_of(section, "port").and_then(|port| u16::try_from(port).ok()),
        control_path: text_of(section, "control_path")
            .unwrap_or_else(|| "~/.ssh/ralph-%C".to_owned()),
        control_persist: text_of(section, "control_persist").unwrap_or_else(|| "30m".to_owned()),
        transport,
        config_file: text_of(section, "config_file"),
        identity_file: text_of(section, "identity_file"),
        known_hosts: text_of(section, "known_hosts"),
    })
}

fn remote(section: &Map<String, Value>) -> Result<RemoteSettings, SettingsError> {
    let excludes = section.get("rsync_excludes").and_then(Value::as_array);
    Ok(RemoteSettings {
        repo_root: required(
            section,
            "repo_root",
            "remote.repo_root",
            "the repository's folder on the cluster",
        )?,
        rsync_excludes: excludes
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        clusters: text_of(section, "clusters"),
    })
}

fn required(
    section: &Map<String, Value>,
    name: &str,
    member: &'static str,
    expected: &'static str,
) -> Result<String, SettingsError> {
    text_of(section, name)
        .filter(|text| !text.contains(['\n', '\r', '\0']))
        .ok_or_else(|| SettingsError::Member {
            member,
            expected,
            found: section.get(name).map_or("missing", kind).to_owned(),
        })
}

/// A string or a number as text; empty is absent.
fn text_of(section: &Map<String, Value>, name: &str) -> Option<String> {
    let text = match section.get(name)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn number_of(section: &Map<String, Value>, name: &str) -> Option<u64> {
    text_of(section, name)?.parse().ok()
}

fn unknown_members(root: &Map<String, Value>) -> Vec<String> {
    let mut unknown = Vec::new();
    for (name, value) in root {
        match KNOWN.iter().find(|(known, _)| known == name) {
            None => unknown.push(name.clone()),
            Some((_, members)) => unknown.extend(
                value
                    .as_object()
                    .into_iter()
                    .flat_map(Map::keys)
                    .filter(|key| !members.contains(&key.as_str()))
                    .map(|key| format!("{name}.{key}")),
            ),
        }
    }
    unknown
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(text) if text.trim().is_empty() => "empty",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_that_people_have_is_read() {
        let text = r#"{
            "ssh": {"user": "me", "host": "login.example.edu", "port": "2222", "control_path": "~/.ssh/cm-%r@%h:%p",
                    "control_persist": 1800, "color": "blue"},
            "remote": {"repo_root": "/n/home/me/research repo", "rsync_excludes": ["*.pyc", "results/"]},
            "git": {"url": "", "default_branch": "main"},
            "min_interval_seconds": "120",
            "notes": []
        }"#;
        let (settings, unknown) = ClusterSettings::parse(text).unwrap();
        assert_eq!(unknown, ["ssh.color", "notes"]);
        assert_eq!(settings.ssh.port, Some(2222));
        assert_eq!(settings.ssh.control_persist, "1800");
        assert_eq!(settings.ssh.transport, TransportKind::Openssh);
        assert_eq!(settings.remote.rsync_excludes, ["*.pyc", "results/"]);
        assert_eq!(settings.git.url, None);
        assert_eq!(settings.min_interval, Some(Duration::from_secs(120)));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let found = |text: &str| ClusterSettings::parse(text).unwrap_err().to_string();
        assert_eq!(
            found("[]"),
            "`the file` is a list, expected an object with `ssh`, `remote` and `git`"
        );
        assert_eq!(
            found(r#"{"ssh":{}}"#),
            "`ssh.host` is missing, expected the login node's name"
        );
        assert_eq!(
            found(r#"{"ssh":{"host":"-oProxyCommand=x"},"remote":{"repo_root":"/r"}}"#),
            "`ssh.host` is `-oProxyCommand=x`, expected the login node's name"
        );
        assert_eq!(
            found(r#"{"ssh":{"host":"h"},"remote":{"repo_root":" "}}"#),
            "`remote.repo_root` is empty, expected the repository's folder on the cluster"
        );
        assert!(found("{,}").starts_with("not JSON: "));
    }
}
