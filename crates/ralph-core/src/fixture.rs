//! Projects for tests, as one text: `//- project/path` before each file, and what the cluster said.
//!
//! Besides files there are `//- settings` (JSON of `config.json`) and `//- cluster`, one line per job or submission:
//! `1001 RUNNING`, `1002 FAILED 1:0`, `1003 absent`, `1004 unknown`, `ralph-t1 accepted 1005`, `unreachable`.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::backend::{BackendError, FoundBy, Receipt};
use crate::change::ChangeSet;
use crate::id::{JobId, Slug};
use crate::job::{Evidence, ExitInfo, JobReport, JobState, Observation, Sighting};
use crate::plan::Context;
use crate::project::{self, Texts};
use crate::settings::{self, Settings};
use crate::time::Timestamp;
use crate::world::{ClusterReach, Facts, Observations, Project, ProjectState, World};

/// The time of all tests.
pub(crate) const NOW: &str = "2026-11-20T12:00:00Z";

/// What a fixture says.
pub(crate) struct Fixture {
    pub(crate) projects: BTreeMap<Slug, Texts>,
    pub(crate) settings: Settings,
    pub(crate) seen: Observations,
    pub(crate) now: Timestamp,
    zone: TimeZone,
}

impl Fixture {
    pub(crate) fn parse(text: &str) -> Self {
        let mut fixture = Self {
            projects: BTreeMap::new(),
            settings: Settings::default(),
            seen: Observations::none(),
            now: NOW.parse().unwrap(),
            zone: TimeZone::UTC,
        };
        for part in text.split("//- ").skip(1) {
            let (name, content) = part.split_once('\n').unwrap_or((part, ""));
            match name.trim() {
                "settings" => {
                    let object = serde_json::from_str(content).unwrap();
                    let (settings, problems) = settings::read(&object);
                    assert!(problems.is_empty(), "{problems:?}");
                    fixture.settings = settings;
                }
                "cluster" => fixture.seen = observations(content, fixture.now),
                path => {
                    let (slug, path) = path.split_once('/').unwrap();
                    let texts = fixture.projects.entry(slug.parse().unwrap()).or_default();
                    texts.insert(path.to_owned(), content.to_owned());
                }
            }
        }
        fixture
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            settings: &self.settings,
            now: self.now,
            zone: &self.zone,
        }
    }

    pub(crate) fn world(&self) -> World {
        let project = |(slug, texts): (&Slug, &Texts)| Project {
            slug: slug.clone(),
            state: match project::facts(slug, texts) {
                Ok(facts) => ProjectState::Readable(Box::new(facts)),
                Err(unreadable) => ProjectState::Unreadable(unreadable),
            },
        };
        World {
            projects: self.projects.iter().map(project).collect(),
        }
    }

    /// The facts of the only project.
    pub(crate) fn facts(&self) -> Facts {
        let (slug, texts) = self.projects.first_key_value().unwrap();
        project::facts(slug, texts).unwrap()
    }

    /// Applies changes to the only project, and shows what they did to each file.
    pub(crate) fn apply(&mut self, changes: &ChangeSet) -> String {
        let texts = self.projects.values_mut().next().unwrap();
        let mut shown = String::new();
        for file in changes.ordered() {
            let before = texts.get(&file.path).cloned();
            let after = file.edit.apply(before.as_deref()).unwrap();
            match &after {
                Some(text) => drop(texts.insert(file.path.clone(), text.clone())),
                None => drop(texts.remove(&file.path)),
            }
            shown += &difference(&file.path, before.as_deref(), after.as_deref());
        }
        shown
    }
}

/// Only the lines that changed, with `-` and `+` in front.
fn difference(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    let (before, after) = (before.unwrap_or(""), after.unwrap_or(""));
    if before == after {
        return String::new();
    }
    let diff = similar::TextDiff::from_lines(before, after);
    let lines = diff.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            similar::ChangeTag::Equal => return None,
            similar::ChangeTag::Delete => '-',
            similar::ChangeTag::Insert => '+',
        };
        let line = change.value().trim_end();
        (!line.is_empty()).then(|| format!("{sign}{line}\n"))
    });
    format!("== {path}\n{}", lines.collect::<String>())
}

fn observations(text: &str, now: Timestamp) -> Observations {
    let mut seen = Observations::none();
    seen.cluster = ClusterReach::Answered;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["unreachable"] => {
                let detail = "the test says so".to_owned();
                seen.cluster = ClusterReach::Failed(BackendError::Unreachable { detail });
            }
            ["no_session"] => {
                let host = "login".to_owned();
                seen.cluster = ClusterReach::Failed(BackendError::NoSession { host });
            }
            [token, rest @ ..] if token.starts_with("ralph-") => {
                let receipt = receipt(rest, now).ok_or_else(|| "no answer".to_owned());
                seen.receipts.insert(token.parse().unwrap(), receipt);
            }
            [job, rest @ ..] => {
                let job: JobId = job.parse().unwrap();
                let sighting = sighting(job, rest, now);
                seen.jobs.insert(
                    job,
                    Observation {
                        job,
                        sighting,
                        at: now,
                    },
                );
            }
            [] => {}
        }
    }
    seen
}

fn receipt(words: &[&str], now: Timestamp) -> Option<Receipt> {
    Some(match words {
        ["accepted", job] => Receipt::Accepted {
            job: job.parse().unwrap(),
            cluster: None,
            how: FoundBy::Marker,
            remarks: String::new(),
        },
        ["absent"] => Receipt::Absent,
        ["claimed"] => Receipt::Claimed {
            since: now,
            at: now,
        },
        ["unproven"] => Receipt::Unproven {
            message: "Socket timed out".to_owned(),
            at: now,
        },
        ["nameless"] => Receipt::Nameless {
            message: "no id".to_owned(),
        },
        ["unreadable"] => Receipt::Unreadable {
            message: "not mounted".to_owned(),
        },
        ["refused", message @ ..] => Receipt::Refused {
            message: message.join(" "),
            limit: false,
        },
        ["limit"] => Receipt::Refused {
            message: "QOSMaxSubmitJobPerUserLimit".to_owned(),
            limit: true,
        },
        _ => return None,
    })
}

fn sighting(job: JobId, words: &[&str], now: Timestamp) -> Sighting {
    match words {
        ["absent"] => Sighting::Absent {
            asked: vec!["squeue".to_owned(), "sacct".to_owned()],
        },
        ["unknown"] => Sighting::Unknown {
            why: "half a reply".to_owned(),
        },
        _ => Sighting::Seen(Box::new(report(job, words, now))),
    }
}

/// `STATE [EXIT] [task=STATE]…`
pub(crate) fn report(job: JobId, words: &[&str], now: Timestamp) -> JobReport {
    let exit = words.iter().find_map(|word| {
        let (code, signal) = word.split_once(':')?;
        Some(ExitInfo {
            code: code.parse().ok()?,
            signal: signal.parse().ok()?,
        })
    });
    let tasks = words.iter().filter_map(|word| {
        let (task, state) = word.split_once('=')?;
        let job = format!("{job}_{task}").parse().unwrap();
        Some(report(job, &[state], now))
    });
    let state = JobState::parse(words.first().unwrap());
    let ended = state.finality() != crate::job::Finality::Alive;
    let ago = |minutes| now - crate::time::SignedDuration::from_mins(minutes);
    JobReport {
        job,
        name: "train".to_owned(),
        submitted: Some(ago(60)),
        started: state.is_started().then(|| ago(50)),
        ended: ended.then(|| ago(10)),
        exit,
        nodes: Some("node007".to_owned()),
        reason: None,
        cancelled_by: None,
        restarts: 0,
        stdout: None,
        stderr: None,
        tasks: tasks.collect(),
        evidence: Evidence {
            source: "sacct".to_owned(),
            line: String::new(),
            at: now,
        },
        state,
    }
}
