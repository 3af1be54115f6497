//! What a sentence says that keeps an item from being submitted: it is forbidden, put off, given up or left to somebody.
//!
//! A prohibition counts wherever it stands, in any of the languages that people write remarks in; the rest only where a
//! clause begins with it, since `the seeds that already ran` and `already ran` are not the same.

use super::held::stands;
use super::launch;
use super::words::{self, CONDITIONS, HOLDING, has_word};

/// Where a text stands that may keep an item back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// In the middle of a paragraph, or below a key: nothing begins here.
    Within,
    /// Behind a key that is about something.
    Value,
    /// Behind `Notes` or below it: a remark, which may also tell what has been.
    Note,
    /// A statement about the item begins here.
    Begins,
}

/// How a language forbids, and what it forbids.
struct Forbidding {
    never: &'static [&'static str],
    submit: &'static [&'static str],
}

const FORBIDDING: [Forbidding; 5] = [
    Forbidding {
        never: &["ne lancez", "ne lance", "ne soumettez", "ne démarrez"],
        submit: &["pas"],
    },
    Forbidding {
        never: &[
            "do not",
            "don t",
            "must not",
            "may not",
            "should not",
            "never",
        ],
        submit: &SUBMIT,
    },
    Forbidding {
        never: &["nicht", "nichts"],
        submit: &[
            "starten",
            "abschicken",
            "einreichen",
            "ausführen",
            "losschicken",
            "submitten",
            "laufen lassen",
            "gestartet werden",
            "abgeschickt werden",
            "eingereicht werden",
        ],
    },
    Forbidding {
        never: &["pas"],
        submit: &["lancer", "soumettre", "démarrer", "exécuter", "envoyer"],
    },
    Forbidding {
        never: &["no"],
        submit: &[
            "lanzar", "lances", "ejecutar", "ejecutes", "enviar", "envíes", "iniciar", "correr",
        ],
    },
];

const SUBMIT: [&str; 12] = [
    "run",
    "duplicate",
    "submit",
    "launch",
    "start",
    "execute",
    "resubmit",
    "rerun",
    "re run",
    "relaunch",
    "be run",
    "be submitted",
];

/// What may stand between the two.
const YET: [&str; 9] = [
    "yet", "ever", "please", "noch", "jetzt", "bitte", "encore", "todavía", "aún",
];

/// What puts off wherever it stands.
const NOT_NOW: [&str; 5] = [
    "not ready",
    "not before",
    "nicht bereit",
    "pas avant",
    "no antes",
];

/// What follows a prohibition that is about the way of running: `do not run more than two at once`.
const WAYS: [&str; 18] = [
    "more than",
    "longer",
    "over",
    "out of",
    "with",
    "from",
    "concurrently",
    "simultaneously",
    "in parallel",
    "at the same time",
    "by hand",
    "manually",
    "twice",
    "it twice",
    "the same",
    "on login",
    "on the login",
    "anything by hand",
];

/// What a clause begins with that gives the item up, or leaves it to somebody.
const GIVEN_UP: [&str; 28] = [
    "nicht mehr",
    "ya no",
    "moved to",
    "do we",
    "should we",
    "should i",
    "shall we",
    "still needed",
    "already ran",
    "already done",
    "already submitted",
    "already running",
    "already finished",
    "already completed",
    "no longer",
    "not needed",
    "not necessary",
    "replaced by",
    "decided against",
    "do not bother",
    "don t bother",
    "not sure",
    "unsure",
    "check with",
    "confirm with",
    "discuss with",
    "talk to",
    "en attente",
];

/// What a clause ends with that asks for something to be done first, in languages that [`super::launch`] does not know.
const FIRST: [&str; 5] = [
    "vor dem start",
    "vor dem abschicken",
    "avant de lancer",
    "antes de lanzar",
    "antes de enviar",
];

/// Words of whoever is still to decide.
const UNDECIDED: [&str; 3] = ["decide", "decides", "undecided"];

/// Words of waiting, where a clause begins with one and names no item.
const WAITING: [&str; 7] = [
    "wait", "waits", "waiting", "warten", "wartet", "attendre", "esperar",
];

/// Words of which every prohibition has one. Most texts have none, and are not taken apart.
const NO: [&str; 8] = ["not", "don", "never", "ne", "nicht", "nichts", "pas", "no"];

/// Whether a text forbids to submit: `DO NOT RUN`, `not ready yet`, `bitte noch nicht starten`.
pub(super) fn forbids(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    if !words.any(|word| NO.iter().any(|no| word.eq_ignore_ascii_case(no))) {
        return false;
    }
    let all = words::each(text).filter(|word| !YET.contains(&word.as_str()));
    let all = format!(" {} ", all.collect::<Vec<_>>().join(" "));
    let has = |phrase: &str| all.contains(&format!(" {phrase} "));
    let forbidden = |never: &str, submit: &str| {
        let phrase = format!(" {never} {submit} ");
        let mut behind = all.split(&phrase).skip(1);
        behind.any(|behind| !WAYS.iter().any(|way| behind.starts_with(way)))
    };
    let by = |language: &Forbidding| {
        let mut never = language.never.iter().filter(|never| has(never));
        never.any(|never| {
            language
                .submit
                .iter()
                .any(|submit| forbidden(never, submit))
        })
    };
    NOT_NOW.iter().any(|phrase| has(phrase)) || FORBIDDING.iter().any(by)
}

/// Whether a clause of a text puts the item off: `Not sure, ask Bob`, `2026-03-06: decided against it`.
pub(super) fn puts_off(text: &str) -> bool {
    // What is struck out is not said.
    let said: String = text.split("~~").step_by(2).collect();
    let clauses = said.split(['.', ';', ':', '!', '?', '—', '–', '(', ')']);
    let is_said = |clause: &str| {
        is_put_off(clause)
            || launch::is_put_off(clause) && !names_item(clause)
            || clause.split(',').any(launch::is_open)
    };
    clauses.flat_map(|clause| clause.split(" - ")).any(is_said)
        || launch::has_run(&said)
        || launch::is_only_condition(&said) && !names_item(&said)
        || said
            .split_once(',')
            .is_some_and(|(first, _)| !first.contains(' ') && stands(first))
}

/// Whether the value of a field that is no remark makes the item wait: `Gate: only if the small one converges`.
pub(super) fn is_conditional(text: &str) -> bool {
    let mut clauses = text.split(['.', ';', ':', '(', ')']);
    clauses.any(|clause| launch::is_conditional(clause) && !names_item(clause))
}

/// Whether a remark asks something: whoever wrote it does not know yet.
pub(super) fn asks(text: &str) -> bool {
    text.split("~~")
        .step_by(2)
        .flat_map(str::split_whitespace)
        .any(|word| word.trim_end_matches([')', '"', '*', '_']).ends_with('?'))
}

fn is_put_off(clause: &str) -> bool {
    // A date may stand in front.
    let all: Vec<String> = words::each(clause)
        .skip_while(|word| words::is_count(word))
        .collect();
    let Some((first, rest)) = all.split_first() else {
        return false;
    };
    let first = first.as_str();
    let said = format!("{} ", all.join(" "));
    let begins = |phrase: &&str| said.starts_with(&format!("{phrase} "));
    let ends = |phrase: &&str| {
        let said = said.trim_end();
        let said = [" it", " this", " the job"]
            .iter()
            .find_map(|what| said.strip_suffix(what))
            .unwrap_or(said);
        said.ends_with(*phrase)
    };
    let has = |phrase: &&str| said.contains(&format!(" {phrase} "));
    let asks = first == "ask"
        && !rest
            .first()
            .is_some_and(|word| ["whether", "if", "how", "what"].contains(&word.as_str()));
    let is_denied = ["nothing", "none", "no"].contains(&first)
        && SUBMIT
            .iter()
            .any(|submit| submit.starts_with("be ") && has(submit));
    let is_conditional = first == "ready" && has_word(&rest.join(" "), &CONDITIONS);
    let is_only = ["only", "erst"].contains(&first)
        && rest.first().is_some_and(|word| {
            CONDITIONS.contains(&word.as_str()) || ["wenn", "nach", "ab"].contains(&word.as_str())
        });
    let waits = (WAITING.contains(&first) && rest.len() > 1 || is_only) && !names_item(clause);
    GIVEN_UP.iter().any(begins)
        || FIRST.iter().any(ends)
        || has_word(clause, &UNDECIDED)
        || asks
        || is_denied
        || is_conditional
        || waits
        || (HOLDING.contains(&first) || first == "on") && stands(clause)
}

/// Whether a text has a word that may be the id of an item: what waits for one goes on when that is done.
pub(super) fn names_item(text: &str) -> bool {
    let mut words = text.split(|c: char| !crate::ids::is_id_char(c));
    words.any(|word| crate::ids::split_numbered(word).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_prohibition_is_missed_by_the_first_look() {
        let never = FORBIDDING.iter().flat_map(|language| language.never);
        for phrase in never.chain(&NOT_NOW) {
            let first_look = phrase.split(' ').any(|word| NO.contains(&word));
            assert!(first_look, "{phrase}");
        }
        assert!(forbids("DO NOT RUN") && forbids("don’t run") && forbids("noch nicht starten"));
    }
}
