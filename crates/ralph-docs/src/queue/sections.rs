//! The four sections of a queue, and which titles mean them.

use super::words::{self, without_groups};
use crate::section::normalise;

/// Where an item stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueSection {
    /// `READY`: may be submitted.
    Ready,
    /// `IN_PROGRESS`, also `RUNNING` and `In-flight`.
    InProgress,
    /// `DONE`, also `COMPLETED`.
    Done,
    /// `FAILED`.
    Failed,
    /// Any other heading, such as `PARKED`, as it is written; empty where there is none.
    Other(String),
}

impl QueueSection {
    /// The heading that is written when the section is missing.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::Ready => "READY",
            Self::InProgress => "IN_PROGRESS",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
            Self::Other(title) => title,
        }
    }

    /// The section with one of the four meanings that a heading has. A number in front does not count, nor a count of
    /// items, nor what follows a dash or a colon, nor `Queue:` in front. Of `Ready/Queued` all parts may mean the same;
    /// a heading for what is ready and for what runs means none.
    #[must_use]
    pub fn from_title(title: &str) -> Option<Self> {
        if !may_name(title) {
            return None;
        }
        // `[READY]`, with perhaps a remark behind it.
        let title = title.trim_matches(['*', '_', ' ']);
        let boxed = title
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'));
        let boxed = boxed.filter(|(_, rest)| without_groups(rest).trim().is_empty());
        let title = boxed.map_or(title, |(inner, _)| inner);
        if let Some(section) = Self::named(&title.to_lowercase().replace('_', " ")) {
            return Some(section);
        }
        // `1. Ready`, `A) Ready`, `II. Ready`.
        let numbered = title.split_once(['.', ')']).filter(|(number, _)| {
            (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_alphanumeric())
        });
        let title = numbered.map_or(title, |(_, rest)| rest.trim_start());
        let cut = [" — ", " – ", " - ", ": "]
            .into_iter()
            .filter_map(|mark| title.split_once(mark));
        let (head, tail) = cut
            .min_by_key(|(head, _)| head.len())
            .unwrap_or((title, ""));
        let prefixed = ["queue", "experiments", "section"].contains(&normalise(head).as_str());
        Self::of_parts(title)
            .or_else(|| Self::of_parts(if prefixed { tail } else { head }))
            .filter(|section| *section != Self::Ready || !is_of_a_scheduler(title))
    }

    /// Whether a heading that means no section begins as if it meant READY: `READY for review`.
    pub(super) fn is_near_ready(title: &str) -> bool {
        let first = words::each(title).next();
        first.as_deref() == Some("ready") && Self::from_title(title).is_none()
    }

    fn of_parts(title: &str) -> Option<Self> {
        let parts = title.replace(" and ", "/");
        let found: Vec<Option<Self>> = parts
            .split(['/', '&', '+', ','])
            .map(|part| Self::named(&bare(&normalise(part))))
            .collect();
        let first = found.first().cloned().flatten();
        let agree = found
            .iter()
            .flatten()
            .all(|other| Some(other) == first.as_ref());
        match Self::named(&bare(&normalise(title))) {
            Some(_) if !agree => None,
            None if !agree => None,
            found => found.or(first),
        }
    }

    /// Whether a heading is for what is ready and for something else at once: `READY / RUNNING`.
    pub(super) fn is_mixed(title: &str) -> bool {
        if !may_name(title) {
            return false;
        }
        let parts = title.replace(" and ", "/");
        let mut parts = parts.split(['/', '&', '+', ',']);
        let ready = parts.any(|part| Self::named(&bare(&normalise(part))) == Some(Self::Ready));
        ready && Self::from_title(title).is_none()
    }

    /// The section of a normalised title.
    fn named(name: &str) -> Option<Self> {
        let known = [Self::Ready, Self::InProgress, Self::Done, Self::Failed];
        known
            .into_iter()
            .find(|section| section.names().contains(&name))
    }

    /// The normalised titles that mean this one of the four sections.
    fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Ready => &[
                "ready",
                "ready to run",
                "ready to submit",
                "ready to launch",
                "ready to start",
                "ready to go",
                "ready for submission",
                "ready for launch",
                "queued",
                "pending",
                "to run",
                "to submit",
            ],
            Self::InProgress => &[
                "in progress",
                "inprogress",
                "running",
                "in flight",
                "inflight",
                "currently running",
                "running now",
                "submitted",
                "active",
                "ongoing",
            ],
            Self::Done => &[
                "done",
                "completed",
                "complete",
                "finished",
                "succeeded",
                "successful",
                "success",
            ],
            Self::Failed => &["failed", "failures", "errored"],
            Self::Other(_) => &[],
        }
    }

    /// Whether a heading is one of this section's.
    pub(super) fn is_titled(&self, title: &str) -> bool {
        match (Self::from_title(title), self) {
            (Some(section), _) => section.is_same(self),
            (None, Self::Other(own)) => normalise(own) == normalise(title),
            (None, _) => false,
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(one), Self::Other(other)) => normalise(one) == normalise(other),
            _ => self == other,
        }
    }
}

/// What a list of experiments is called.
pub(super) const NOUNS: [&str; 10] = [
    "experiment",
    "experiments",
    "run",
    "runs",
    "job",
    "jobs",
    "item",
    "items",
    "queue",
    "list",
];

/// What every title of a section has in it; most headings are items and have none of these.
const STEMS: [&str; 15] = [
    "ready", "queued", "pending", "run", "submit", "progress", "flight", "active", "ongoing",
    "done", "complete", "finished", "succe", "fail", "errored",
];

/// Whether a title can be a section's: every heading is asked, several times, so this allocates nothing.
fn may_name(title: &str) -> bool {
    let bytes = title.as_bytes();
    STEMS.iter().any(|stem| {
        let mut parts = bytes.windows(stem.len());
        parts.any(|part| part.eq_ignore_ascii_case(stem.as_bytes()))
    })
}

/// Whether a title tells of work that a scheduler has already: `Pending jobs (in the SLURM queue)`. What nobody has
/// submitted is "ready", or pending without a word of jobs.
fn is_of_a_scheduler(title: &str) -> bool {
    let title = title.to_lowercase();
    let has = |known: &[&str]| {
        let mut words = title.split(|c: char| !c.is_alphanumeric());
        words.any(|word| known.contains(&word))
    };
    has(&["pending", "queued"]) && has(&["job", "jobs", "slurm", "cluster", "scheduler"])
}

/// A normalised title without what a list of experiments is called, and without their count.
fn bare(title: &str) -> String {
    let words: Vec<&str> = title.split(' ').collect();
    let is_extra = |word: &&str| NOUNS.contains(word) || word.bytes().all(|b| b.is_ascii_digit());
    let first = words.iter().position(|word| !is_extra(word));
    let last = words.iter().rposition(|word| !is_extra(word));
    match (first, last) {
        // `Ready to run` ends with a word that is none of those.
        (Some(first), Some(last)) if words.get(last) == Some(&"to") => words
            .get(first..(last + 2).min(words.len()))
            .unwrap_or(&[])
            .join(" "),
        (Some(first), Some(last)) => words.get(first..last + 1).unwrap_or(&[]).join(" "),
        _ => title.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_section_is_found_by_its_stem() {
        use QueueSection::{Done, Failed, InProgress, Ready};
        for section in [Ready, InProgress, Done, Failed] {
            for name in section.names() {
                assert!(may_name(&name.to_uppercase()), "{name}");
            }
        }
        assert!(!may_name("Q-001: title of it"));
    }

    #[test]
    fn titles_mean_one_of_four_sections_or_none() {
        let of =
            |title: &str| QueueSection::from_title(title).map(|section| section.title().to_owned());
        for (wanted, titles) in [
            (
                "READY",
                &[
                    "READY",
                    "Ready",
                    "ready:",
                    "**READY**",
                    "🚀 READY (2)",
                    "READY [2]",
                    "READY - 2 items",
                    "2 ready experiments",
                    "Ready to run",
                    "READY / QUEUED",
                    "Ready/Queued",
                    "Pending experiments",
                    "1. Ready",
                    "A) Ready",
                    "II. Ready",
                    "Queue: READY",
                    "READY (pending user go-ahead)",
                    "Ready queue",
                    "Experiments — Ready",
                    "_Ready_ ✅",
                    "Runs to submit",
                    "[READY]",
                    "[READY] (2)",
                    "**[Ready]**",
                ][..],
            ),
            (
                "IN_PROGRESS",
                &[
                    "IN_PROGRESS",
                    "In Progress",
                    "In-progress (1)",
                    "InProgress",
                    "RUNNING",
                    "Running jobs",
                    "In-flight",
                    "IN_PROGRESS / SUBMITTED",
                    "IN_PROGRESS / NEXT ACTIONS",
                    "Submitted & Running",
                    "🏃 Running",
                    "Active runs",
                ],
            ),
            (
                "DONE",
                &[
                    "DONE",
                    "Done ✓",
                    "Completed (3)",
                    "✅ Completed experiments",
                    "COMPLETED / PAIRED COMPARISON RESULTS",
                    "Finished",
                ],
            ),
            (
                "FAILED",
                &[
                    "FAILED",
                    "❌ Failed",
                    "Failed / Cancelled",
                    "Failed/Cancelled",
                    "Failed experiments",
                    "Failures",
                ],
            ),
        ] {
            for title in titles {
                assert_eq!(of(title).as_deref(), Some(wanted), "{title}");
            }
        }
        for none in [
            "READY / RUNNING",
            "READY for review",
            "Done and failed",
            "BLOCKED",
            "PARKED",
            "Backlog",
            "Future",
            "Top-of-queue",
            "Not ready",
            "Experiments",
            "Queue",
            "3",
            "",
            "Running notes",
            "Done criteria",
            "Failed attempts at a proof",
            "TODO",
            "Pending jobs",
            "Pending jobs (in the SLURM queue)",
            "Queued on the cluster",
            "Pending (SLURM)",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
