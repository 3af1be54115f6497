//! From what was seen of a run to what it means. Pure.

use std::time::Duration;

use ralph_core::time::span_text;

use super::trial::{Circumstance, Seen};
use super::{Finding, Kit, Mark};
use crate::agent::{AgentEnd, AgentError, Ending};
use crate::outcome::{Hang, Verdict};

/// More than this in one small run fills disks.
const MUCH_OUTPUT: u64 = 16 * 1024 * 1024;

/// What a check says where all is well.
struct Check(&'static str);

impl Check {
    fn pass(&self, found: impl Into<String>) -> Finding {
        self.finding(Mark::Pass, found, "", "")
    }

    fn finding(
        &self,
        mark: Mark,
        found: impl Into<String>,
        means: &'static str,
        advice: &'static str,
    ) -> Finding {
        Finding {
            check: self.0,
            mark,
            found: found.into(),
            means,
            advice,
        }
    }
}

/// What the runs of a circumstance show.
pub(super) fn judge(circumstance: Circumstance, seen: &[Seen], kit: &Kit) -> Vec<Finding> {
    let Some(first) = seen.first() else {
        return Vec::new();
    };
    let mut findings = match circumstance {
        Circumstance::Plain => plain(first),
        Circumstance::LongOrder => vec![long_order(first)],
        Circumstance::DirtyTree => vec![dirty_tree(first)],
        Circumstance::NoNetwork => vec![no_network(first)],
        Circumstance::Pair => vec![pair(seen)],
        Circumstance::Stopped => stopped(first, kit.grace),
        Circumstance::Killed => return vec![killed(first)],
    };
    let survivors: usize = seen.iter().map(|seen| seen.survivors).sum();
    if survivors > 0 {
        findings.push(outlived(survivors));
    }
    findings
}

fn outlived(survivors: usize) -> Finding {
    Check("leaves nothing that cannot be ended").finding(
        Mark::Fail,
        format!("{survivors} processes outlived it"),
        "They would go on beside the next attempt, in a folder that is gone.",
        "See what it starts as another user or in a container; that is out of reach.",
    )
}

fn plain(seen: &Seen) -> Vec<Finding> {
    let starts = Check("starts");
    let end = match &seen.end {
        Some(Ok(end)) => end,
        Some(Err(error)) => return vec![not_started(&starts, error)],
        None => return Vec::new(),
    };
    let ends = ends_by_itself(end, seen.took);
    let mut findings = vec![starts.pass("it could be started")];
    let has_ended = ends.mark != Mark::Fail;
    findings.push(ends);
    if !has_ended {
        return findings;
    }
    findings.extend([
        ends_well(end),
        reads_its_order(seen),
        stays_inside(seen),
        cleans_up(end),
        says_what_became(seen),
        says_what_it_used(end),
        output(end),
    ]);
    findings
}

fn not_started(starts: &Check, error: &AgentError) -> Finding {
    let cause = std::error::Error::source(error).map_or_else(String::new, ToString::to_string);
    starts.finding(
        Mark::Fail,
        cause,
        "No attempt can run.",
        "Check the path, the mode (chmod +x) and the first line (#!) of the program.",
    )
}

fn ends_by_itself(end: &AgentEnd, took: Duration) -> Finding {
    let check = Check("ends by itself");
    let after = span_text(took);
    match end.ending {
        Ending::Own => check.pass(format!("after {after}, with standard input closed")),
        Ending::Hung(Hang::AfterResult) => check.finding(
            Mark::Warn,
            format!("it gave its result, stayed, and was ended after {after}"),
            "The work counts, but every attempt takes that much longer.",
            "Lower RALPH_AFTER_RESULT_TIMEOUT, or end background work when the result is given.",
        ),
        Ending::Unguarded => check.finding(
            Mark::Fail,
            format!("ralph's process that watches over it was ended after {after}"),
            "Every attempt would end as `crashed` and be spent.",
            "Keep it from ending its parent process (`kill $PPID`, `pkill ralph`).",
        ),
        Ending::Hung(_) | Ending::Stopped => check.finding(
            Mark::Fail,
            format!("it still ran after {after} and was ended"),
            "Every attempt would end as `hung` and be spent.",
            "It may wait for an answer or a terminal: use its non-interactive mode. If it needs more time, use --time-limit.",
        ),
    }
}

fn ends_well(end: &AgentEnd) -> Finding {
    let check = Check("ends well");
    let (found, means, advice) = match &end.verdict {
        Verdict::Finished => return check.pass("exit 0"),
        Verdict::Auth { message } => (
            message,
            "A loop stops at once: no attempt of this account can succeed.",
            "Log in, or pay, and run this again.",
        ),
        Verdict::UsageLimit { message, .. } | Verdict::Throttled { message, .. } => (
            message,
            "It is understood: a loop would wait, and no attempt would be spent.",
            "Run this again when the limit is over.",
        ),
        Verdict::ConfigError { message } => (
            message,
            "A loop stops at once: every attempt would end so.",
            "Mend the command line.",
        ),
        Verdict::Budget { message } => (
            message,
            "Its own ceiling is below the smallest task.",
            "Raise it.",
        ),
        Verdict::PermissionDenied { what } => (
            what,
            "Attempts are spent without work.",
            "Allow the tools that it needs, in its own settings or with --permission-mode.",
        ),
        Verdict::NeedsInput { prompt } => (
            prompt,
            "Nobody answers: the task waits for a person.",
            "Tell it in .ralph/PROMPT.md to decide by itself.",
        ),
        Verdict::Blocked { reason } => (
            reason,
            "A task as small as this one should not block it.",
            "Read the log.",
        ),
        Verdict::Crashed { message } => (
            message,
            "Every attempt would end as `crashed` and be spent.",
            "Exit with 0 when the work is done; read the log.",
        ),
    };
    check.finding(Mark::Fail, found.clone(), means, advice)
}

fn reads_its_order(seen: &Seen) -> Finding {
    let check = Check("does what the order says");
    if seen.traces.has_wish {
        return check.pass("the file that was asked for is there");
    }
    check.finding(
        Mark::Fail,
        "the file that was asked for is not there, or holds something else",
        "Every attempt would end as `no_change` or do the wrong thing.",
        "The order is one JSON object on standard input (`title`, `instructions`), and in RALPH_TASK_TEXT; the work goes into the current folder.",
    )
}

fn stays_inside(seen: &Seen) -> Finding {
    let check = Check("stays in its work tree");
    let traces = &seen.traces;
    if let Some(first) = traces.outside.first() {
        return check.finding(
            Mark::Fail,
            format!("the checkout beside it changed: {first}"),
            "It would change your own files while you work.",
            "Make it work in the current folder, not in one that it finds by itself.",
        );
    }
    if !traces.is_on_branch {
        return check.finding(
            Mark::Fail,
            "it switched to another branch",
            "Its commits would not be found.",
            "Tell it to commit on the branch that is checked out, or not at all.",
        );
    }
    if !traces.has_kept_plan {
        return check.finding(
            Mark::Warn,
            "it changed .ralph/fix_plan.md",
            "That is undone: the loop ticks tasks itself.",
            "Nothing has to be done.",
        );
    }
    check.pass("branch, plan and the checkout beside it are as they were")
}

fn cleans_up(end: &AgentEnd) -> Finding {
    let check = Check("leaves no processes");
    match end.left_running {
        0 => check.pass("nothing ran on"),
        count => check.finding(
            Mark::Warn,
            format!("{count} ran on and were ended"),
            "Servers and watchers that it starts do not live until its next attempt.",
            "Nothing has to be done, unless it counts on them.",
        ),
    }
}

fn says_what_became(seen: &Seen) -> Finding {
    let check = Check("says what became of its order");
    if seen.has_said {
        return check.pass("a result that is understood");
    }
    check.finding(
        Mark::Warn,
        "only its exit code and its changes",
        "Limits, questions and blocked tasks look like failures, which spend attempts.",
        "Print a line {\"ralph\":\"outcome\",\"outcome\":\"done\"} (or needs_input, blocked, usage_limit with resets_at), or a ---RALPH_STATUS--- block.",
    )
}

fn says_what_it_used(end: &AgentEnd) -> Finding {
    let check = Check("says what it used");
    let usage = &end.usage;
    let tokens = usage.input_tokens + usage.cached_tokens + usage.output_tokens;
    match (usage.cost_usd, tokens) {
        (Some(cost), _) => check.pass(format!("{tokens} tokens, ${cost:.4}")),
        (None, 0) => check.finding(
            Mark::Warn,
            "neither tokens nor cost",
            "A ceiling of cost (--max-cost) cannot hold.",
            "Add \"cost_usd\", \"input_tokens\" and \"output_tokens\" to the outcome line.",
        ),
        (None, _) => check.finding(
            Mark::Warn,
            format!("{tokens} tokens, no cost"),
            "A ceiling of cost (--max-cost) holds only with prices.",
            "Set RALPH_PRICES, in US dollars per million tokens.",
        ),
    }
}

fn output(end: &AgentEnd) -> Finding {
    let check = Check("prints in measure");
    let kibibytes = end.output_bytes.div_ceil(1024);
    if end.output_bytes <= MUCH_OUTPUT {
        return check.pass(format!("{kibibytes} KiB"));
    }
    check.finding(
        Mark::Warn,
        format!("{kibibytes} KiB for a small task"),
        "Logs keep the beginning and the end only.",
        "Make it print less.",
    )
}

fn long_order(seen: &Seen) -> Finding {
    let check = Check("takes a long order");
    if seen.traces.has_wish {
        return check.pass(format!("256 KiB, {}", span_text(seen.took)));
    }
    check.finding(
        Mark::Fail,
        how(seen),
        "Long prompts end as failures.",
        "Read the order from standard input: an argument or a variable holds at most 128 KiB.",
    )
}

fn dirty_tree(seen: &Seen) -> Finding {
    let check = Check("works where work was begun");
    match (seen.traces.has_wish, seen.traces.has_kept_edit) {
        (true, true) => check.pass("the earlier change is still there"),
        (true, false) => check.finding(
            Mark::Warn,
            "it undid a change that was there before",
            "Half-done work that an attempt finds may be lost.",
            "Keep it from `git checkout`, `git reset --hard` and `git stash`.",
        ),
        (false, _) => check.finding(
            Mark::Warn,
            how(seen),
            "A loop gives it clean work trees, but a person's are not.",
            "Keep it from giving up where `git status` is not clean.",
        ),
    }
}

fn no_network(seen: &Seen) -> Finding {
    let check = Check("ends without a network");
    match &seen.end {
        Some(Ok(end)) if end.ending == Ending::Own => check.pass(how(seen)),
        _ => check.finding(
            Mark::Warn,
            how(seen),
            "Without a network each attempt lasts as long as its limits allow.",
            "Keep --timeout and RALPH_SILENCE_TIMEOUT low enough.",
        ),
    }
}

fn pair(seen: &[Seen]) -> Finding {
    let check = Check("works beside itself");
    match seen.iter().find(|seen| !seen.traces.has_wish) {
        None => check.pass("two at once did their work"),
        Some(failed) => check.finding(
            Mark::Fail,
            format!("one of two did not: {}", how(failed)),
            "With --parallel 2 and more, attempts fail.",
            "Look for files, ports or a login that both want; else use --parallel 1.",
        ),
    }
}

fn stopped(seen: &Seen, grace: Duration) -> Vec<Finding> {
    let check = Check("ends on TERM");
    let Some(Ok(end)) = &seen.end else {
        return vec![check.finding(Mark::Skipped, how(seen), "", "")];
    };
    let Some(closing) = seen.closing.filter(|_| end.ending == Ending::Stopped) else {
        return vec![too_quick(&check)];
    };
    let milliseconds = closing.as_millis();
    let mut findings = vec![if closing < grace {
        check.pass(format!("within {milliseconds} ms"))
    } else {
        check.finding(
            Mark::Warn,
            format!("not within {}; KILL ended it", span_text(grace)),
            "What it was writing at that moment is lost.",
            "Let TERM through to it (in a shell script: `exec`), or raise RALPH_STOP_GRACE.",
        )
    }];
    if seen.traces.has_lock {
        findings.push(Check("leaves git usable").finding(
            Mark::Warn,
            "a lock of git's is left in its work tree",
            "The work tree is removed, so nothing is blocked; a commit was cut off.",
            "Nothing has to be done.",
        ));
    }
    findings
}

fn killed(seen: &Seen) -> Finding {
    let check = Check("dies with the loop");
    if seen.end.is_some() {
        return too_quick(&check);
    }
    match seen.survivors {
        0 => check.pass("nothing of it was left"),
        count => check.finding(
            Mark::Fail,
            format!("{count} processes outlived it"),
            "A killed loop leaves agents that go on and cost money.",
            "See what it starts as another user or in a container; that is out of reach.",
        ),
    }
}

fn too_quick(check: &Check) -> Finding {
    check.finding(
        Mark::Skipped,
        "it had ended before it could be interrupted",
        "",
        "",
    )
}

/// An end in words.
fn how(seen: &Seen) -> String {
    let after = span_text(seen.took);
    match &seen.end {
        None => format!("killed after {after}"),
        Some(Err(error)) => error.to_string(),
        Some(Ok(end)) => match (&end.ending, &end.verdict) {
            (Ending::Hung(_) | Ending::Stopped, _) => format!("it had to be ended after {after}"),
            (Ending::Unguarded, _) => format!("somebody ended its guard after {after}"),
            (Ending::Own, Verdict::Crashed { message }) => format!("{message}, after {after}"),
            (Ending::Own, _) => format!("exit {} after {after}", end.exit.code),
        },
    }
}

#[cfg(test)]
mod tests {
    use ralph_core::job::ExitInfo;

    use super::*;
    use crate::outcome::Usage;
    use crate::selftest::ground::Traces;

    fn seen(ending: Ending, verdict: Verdict) -> Seen {
        Seen {
            end: Some(Ok(AgentEnd {
                verdict,
                ending,
                usage: Usage::default(),
                session_id: None,
                summary: None,
                status: None,
                denials: Vec::new(),
                exit: ExitInfo { code: 0, signal: 0 },
                output_bytes: 10,
                left_running: 0,
                remaining: Vec::new(),
                log_trouble: None,
            })),
            took: Duration::from_secs(3),
            closing: None,
            traces: Traces {
                has_wish: true,
                outside: Vec::new(),
                is_on_branch: true,
                has_kept_plan: true,
                has_kept_edit: true,
                has_lock: false,
            },
            survivors: 0,
            has_said: true,
        }
    }

    fn marks(findings: &[Finding]) -> Vec<(&'static str, Mark)> {
        let wrong = findings.iter().filter(|found| found.mark != Mark::Pass);
        wrong.map(|found| (found.check, found.mark)).collect()
    }

    #[test]
    fn a_good_run_lacks_only_what_it_does_not_say() {
        let good = seen(Ending::Own, Verdict::Finished);
        assert_eq!(marks(&plain(&good)), [("says what it used", Mark::Warn)]);
    }

    #[test]
    fn a_run_that_hangs_says_nothing_else() {
        let hung = seen(
            Ending::Hung(Hang::Wall),
            Verdict::Crashed {
                message: String::new(),
            },
        );
        assert_eq!(marks(&plain(&hung)), [("ends by itself", Mark::Fail)]);
    }

    #[test]
    fn what_is_changed_outside_outranks_the_rest() {
        let mut bad = seen(Ending::Own, Verdict::Finished);
        bad.traces = Traces {
            outside: vec![" M README.md".to_owned()],
            ..Traces::default()
        };
        assert_eq!(
            marks(&plain(&bad)),
            [
                ("does what the order says", Mark::Fail),
                ("stays in its work tree", Mark::Fail),
                ("says what it used", Mark::Warn)
            ]
        );
    }

    #[test]
    fn an_end_that_needed_kill_is_a_warning_and_a_quick_agent_shows_nothing() {
        let grace = Duration::from_secs(2);
        let mut late = seen(Ending::Stopped, Verdict::Finished);
        late.closing = Some(Duration::from_secs(2));
        assert_eq!(
            marks(&stopped(&late, grace)),
            [("ends on TERM", Mark::Warn)]
        );
        let quick = seen(Ending::Own, Verdict::Finished);
        assert_eq!(
            marks(&stopped(&quick, grace)),
            [("ends on TERM", Mark::Skipped)]
        );
        assert_eq!(killed(&quick).mark, Mark::Skipped);
    }

    #[test]
    fn a_survivor_is_a_failure_in_every_circumstance() {
        let mut bad = seen(Ending::Own, Verdict::Finished);
        bad.end = None;
        bad.survivors = 2;
        assert_eq!(killed(&bad).mark, Mark::Fail);
    }
}
