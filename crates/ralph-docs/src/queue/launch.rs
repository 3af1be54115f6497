//! What a clause says of whether, when and by whom its item is to be run.
//!
//! No list can know what people wait for, so it is not looked at. A language has few words that deny, condition, put in
//! order, or make a thing somebody's: a clause with one of them beside a word for running the item is about running it,
//! and any other is a remark. What runs already and what happens while it runs is told with other forms of the same words:
//! `stop if the loss is NaN`, `runs until it converges`, `after the run, copy the table`.

use super::words::{self, is_count};

/// To run an item, as one says it to somebody.
const RUN: [&str; 12] = [
    "run", "submit", "launch", "start", "execute", "resubmit", "rerun", "relaunch", "go", "queue",
    "fire", "kick",
];

/// That an item is run, as one says it of the item: `goes in once …`.
const RUNS: [&str; 5] = ["runs", "starts", "launches", "goes", "follows"];

/// The running of an item as something that comes after something else: `before submitting`.
const RUNNING: [&str; 9] = [
    "running",
    "submitting",
    "submission",
    "launching",
    "launch",
    "starting",
    "resubmitting",
    "rerunning",
    "spending",
];

/// That an item was run.
const RAN: [&str; 9] = [
    "ran",
    "did",
    "tried",
    "submitted",
    "launched",
    "started",
    "finished",
    "completed",
    "executed",
];

/// What a thing that is told of may be: the item itself.
const THIS: [&str; 4] = ["this", "it", "these", "that"];

/// Words that make a clause a condition.
const CONDITION: [&str; 9] = [
    "once", "when", "after", "if", "unless", "provided", "whenever", "assuming", "pending",
];

/// Words behind a condition that make it none: `once per seed`, `if possible`, `once more`.
const NO_CONDITION: [&str; 12] = [
    "per", "a", "more", "for", "every", "each", "with", "as", "again", "possible", "needed", "on",
];

/// Words in front of a word for running that tell somebody to: `only run …`, `then submit …`, `can go in …`.
const TELLING: [&str; 13] = [
    "only", "then", "can", "should", "could", "may", "please", "just", "ll", "will", "we", "i",
    "and",
];

/// Words of somebody who is still to act, or must.
const MUST: [&str; 11] = [
    "need", "needs", "must", "should", "have", "has", "want", "wants", "let", "lets", "remember",
];

/// Whose it is to run it.
const OWN: [&str; 4] = ["myself", "herself", "himself", "ourselves"];

/// Words of a time at which people let things run.
const TIMES: [&str; 17] = [
    "weekend",
    "weekends",
    "night",
    "nights",
    "overnight",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "tomorrow",
    "later",
    "week",
    "month",
    "holidays",
];

/// Words that make what has been the reason to run again.
const AGAIN: [&str; 15] = [
    "again",
    "rerun",
    "redo",
    "retry",
    "repeat",
    "resume",
    "resumes",
    "resubmission",
    "resubmit",
    "resubmitted",
    "once more",
    "this time",
    "fixed",
    "now",
    "another",
];

/// Words of somebody whom a past tense denies.
const NOBODY: [&str; 5] = ["nobody", "never", "none", "not", "t"];

/// What a denied "has been" is not about: that the thing was never tried is why it is run.
const TRIED: [&str; 12] = [
    "run",
    "ran",
    "tried",
    "tested",
    "submitted",
    "started",
    "measured",
    "explored",
    "seen",
    "reported",
    "tuned",
    "done",
];

/// The words of a clause, in lower case.
struct Clause(Vec<String>);

impl Clause {
    fn at(&self, at: usize) -> &str {
        self.0.get(at).map_or("", String::as_str)
    }

    fn is(&self, at: usize, known: &[&str]) -> bool {
        known.contains(&self.at(at))
    }

    fn has(&self, known: &[&str]) -> bool {
        (0..self.0.len()).any(|at| self.is(at, known))
    }

    fn find(&self, known: &[&str]) -> impl Iterator<Item = usize> {
        (0..self.0.len()).filter(move |&at| self.is(at, known))
    }

    /// Whether a condition stands at a place, with what is to happen behind it.
    fn is_condition(&self, at: usize) -> bool {
        self.is(at, &CONDITION) && at + 1 < self.0.len() && !self.is(at + 1, &NO_CONDITION)
    }

    /// `submit after Lena has merged`, `goes in once the numbers are there`, `once the mirror is back, run it`, `launch on
    /// Monday`. How long it runs is no condition, nor is by when it has to.
    fn conditions(&self) -> bool {
        let told = |at: usize| at == 0 || self.is(at - 1, &TELLING);
        let mut asked = self.find(&RUN).filter(|&at| told(at));
        let is_put_off = asked.any(|at| {
            let mut behind = at + 1..self.0.len();
            self.is_condition(0) || behind.any(|at| self.is_condition(at) || self.is(at, &TIMES))
        });
        let runs = self.is(0, &RUNS) && (1..4).any(|at| self.is_condition(at));
        let only = self.is(0, &["only"]);
        let only = only && ((1..4).any(|at| self.is_condition(at)) || self.has(&TIMES));
        is_put_off || runs || only
    }

    /// `check the mask before submitting`, `I need to look at the mask first`. `must run first` is its rank, and a
    /// `check before running the whole sweep` is what the item is.
    fn comes_first(&self) -> bool {
        let last = self.0.len().saturating_sub(1);
        let before = |at: usize| {
            let is_said = |at: usize| self.is(at, &RUN) || self.is(at, &RUNS);
            let is_this =
                |at: usize| at > last || self.is(at, &THIS) || self.is(at, &["here", "in", "out"]);
            let running = self.is(at + 1, &RUNNING) && is_this(at + 2);
            let we = self.is(at + 1, &["this", "it", "we", "i"]);
            running || we && (at + 2..at + 4).any(|at| is_said(at) && is_this(at + 1))
        };
        let is_last = last > 0 && self.is(last, &["first"]);
        let named = |known: &[&str]| self.is(last - 1, known);
        let is_rank = || {
            named(&RUN)
                || named(&RUNS)
                || named(&THIS)
                || named(&["one", "ones", "seeds", "priority"])
                || self.has(&RUNS)
                || self.at(0).ends_with("est")
        };
        self.find(&["before"]).any(|at| at > 0 && before(at)) || is_last && !is_rank()
    }

    /// `hasn't signed off`, `is not there yet`, `still has to agree`, `approval pending`, `needs updating`. `has not been
    /// tried yet` is why it is run.
    fn is_missing(&self) -> bool {
        let denied = |at: usize| {
            let perfect = self.is(at, &["hasn", "haven"])
                || self.is(at, &["has", "have"]) && self.is(at + 1, &["not"]);
            let yet = self.is(at, &["not", "isn", "aren"]) && self.has(&["yet"]);
            let still = self.is(at, &["still"]) && self.is(at + 1, &MUST);
            let work = self.at(at + 1).ends_with("ing")
                || self.is(at + 1, &["to"]) && self.is(at + 2, &["be"]);
            perfect || yet || still || self.is(at, &["needs"]) && work
        };
        let last = self.0.len().saturating_sub(1);
        (0..self.0.len()).any(denied) && !self.has(&TRIED)
            || last > 0 && self.is(last, &["pending"])
    }

    /// `Mei will submit this one herself`, `I'll run it from my account`. What a script will run is the job.
    fn is_anothers(&self) -> bool {
        let will = |at: usize| {
            let to = self.is(at + 1, &["to"]) || self.is(at + 2, &["to"]);
            let verb = if to { at + 2..at + 4 } else { at + 1..at + 2 };
            verb.into_iter()
                .any(|at| self.is(at, &RUN) && self.is(at + 1, &THIS))
        };
        let mut modal = self.find(&["will", "ll", "going", "wants", "plans"]);
        let script = ["script", "sbatch", "it", "job", "this"];
        self.has(&OWN) || modal.any(|at| will(at) && !(at > 0 && self.is(at - 1, &script)))
    }

    /// `Frank ran this last night`, `ran on Tuesday, FID 29.9`. That nobody ever did is why it is run.
    fn has_run(&self) -> bool {
        let this = |at: usize| self.is(at + 1, &THIS) && !self.is(at + 2, &["with", "before"]);
        let is_told = self.find(&RAN).any(this) || self.is(0, &["ran", "came", "finished"]);
        is_told && !self.has(&NOBODY)
    }

    /// `maybe`, `let's see`, `pick one`, `leave this to me`, `use Q-699 instead`: nobody has decided, or somebody has,
    /// against it.
    fn is_open(&self) -> bool {
        let last = self.0.len().saturating_sub(1);
        let is_number = self.0.get(1).is_some_and(|word| is_count(word));
        let doubts = self.is(0, &["maybe", "perhaps", "lets"]) && !is_number
            || self.is(0, &["let"]) && self.is(1, &["s"]);
        let chooses =
            self.is(0, &["pick", "choose"]) && self.is(1, &["one", "either", "a", "which"]);
        let stops = self.is(0, &["wait", "stop", "hold", "skip"])
            && (last == 0 || self.is(1, &["off", "here"]));
        let is_next = self.is(0, &["then"]) && self.is(1, &RUN) && (last == 1 || self.is(2, &THIS));
        let needs = |at: usize| self.is(at, &["need", "want"]) && self.is(at + 1, &THIS);
        let denies = |at: usize| self.is(at, &["don", "not", "no"]) && (at + 1..at + 3).any(needs);
        let from = usize::from(self.is(0, &["please"]));
        let leaves = self.is(from, &["leave", "leaving"]) && self.is(from + 1, &THIS);
        let is_other = self.is(0, &["use", "see", "run", "take"]) && self.is(last, &["instead"]);
        let is_denied = self.is(0, &["not"])
            && self.is(1, &["now", "today", "yet", "here", "sure", "convinced"]);
        doubts
            || is_denied
            || is_next
            || chooses
            || stops
            || (0..self.0.len()).any(denies)
            || leaves
            || is_other
    }
}

/// Whether a clause is about running its item, and not that it goes now.
pub(super) fn is_put_off(clause: &str) -> bool {
    let clause = Clause(words::each(clause).collect());
    clause.conditions() || clause.comes_first() || clause.is_missing() || clause.is_anothers()
}

/// Whether a clause has a condition for running its item.
pub(super) fn is_conditional(clause: &str) -> bool {
    Clause(words::each(clause).collect()).conditions()
}

/// Whether a text is a condition and nothing that would depend on it: `when Olaf is back`.
pub(super) fn is_only_condition(text: &str) -> bool {
    let clause = Clause(words::each(text).collect());
    let goes_on = text.contains([',', ';']) || clause.has(&["we", "i", "it", "you", "then"]);
    clause.is_condition(0) && !goes_on
}

/// Whether a part of a clause gives the item up or leaves it open.
pub(super) fn is_open(part: &str) -> bool {
    Clause(words::each(part).collect()).is_open()
}

/// Whether a text names a day or a time of the week: `Dec 24`, `Monday night`.
pub(super) fn names_time(text: &str) -> bool {
    let months = [
        "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    words::has_word(text, &TIMES) || words::has_word(text, &months)
}

/// Whether a text tells that its item has been run, and not that it is to run again.
pub(super) fn has_run(text: &str) -> bool {
    let all: Vec<String> = words::each(text).collect();
    let said = format!(" {} ", all.join(" "));
    Clause(all).has_run() && !AGAIN.iter().any(|word| said.contains(&format!(" {word} ")))
}

#[cfg(test)]
mod tests {
    use super::super::put_off::puts_off;

    #[test]
    fn a_remark_on_whether_or_when_to_run_holds() {
        for text in [
            "submit after Lena has merged",
            "goes in once the numbers are there",
            "launch on Monday",
            "look at the mask before submitting",
            "I need to look at the mask first",
            "Basel still has to agree",
            "PI hasn't signed off",
            "config needs updating",
            "Mei will submit this herself",
            "Frank ran this last night",
            "ran on Tuesday, FID 29.9",
            "upload ends tonight, then submit",
            "seas_gpu is down, hold off",
            "please leave this to me",
            "when Olaf is back",
        ] {
            assert!(puts_off(text), "{text}");
        }
    }

    #[test]
    fn a_remark_on_what_is_run_holds_nothing() {
        for text in [
            "stop if the loss is NaN",
            "runs until it converges, at most 24 h",
            "after the run, copy the table",
            "quick check before running the whole sweep",
            "normalise before training, not after",
            "the big one must run first",
            "the array runs the small ranks first",
            "nobody has tried this yet",
            "Tom ran seeds 0-9 last week",
            "was run with the old loader, which is fixed now",
            "will write to results and start from ckpt/a.pt",
            "if this works it goes into table 3",
            "one array task once per seed",
        ] {
            assert!(!puts_off(text), "{text}");
        }
    }
}
