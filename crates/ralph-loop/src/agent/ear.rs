//! What is heard of an agent: into the log, into the reader of its engine, and out again without secrets.

use jiff::tz::TimeZone;
use ralph_core::job::ExitInfo;
use ralph_core::process::guard::GuardEnd;
use ralph_core::time::Timestamp;
use ralph_docs::ansi::visible;

use super::lines::Lines;
use super::{AgentEnd, AgentEvent, AgentRun, Ending};
use crate::engine::{Finish, Launch, Progress, Reading, StatusBlock, StreamReader};
use crate::log::{AttemptLog, LogError, SEGMENT_BYTES, Source};
use crate::outcome::{Hang, Verdict};
use crate::redact::Redactor;

/// How much of standard error is kept for the verdict, in bytes.
const STDERR_TAIL: usize = 8 * 1024;

/// The longest text of what an agent does that is shown, in characters. It is cut behind the masking.
const LONGEST_DOING: usize = 120;

/// Both streams of one run.
pub(super) struct Ear<'a> {
    reader: Box<dyn StreamReader>,
    redactor: &'a Redactor,
    log: Option<AttemptLog>,
    log_trouble: Option<String>,
    out: Lines,
    err: Lines,
    stderr: String,
    bytes: u64,
}

impl<'a> Ear<'a> {
    pub(super) fn new(run: &AgentRun<'a>, launch: &Launch) -> Self {
        let mut ear = Self {
            reader: run.engine.reader(),
            redactor: run.redactor,
            log: None,
            log_trouble: None,
            out: Lines::default(),
            err: Lines::default(),
            stderr: String::new(),
            bytes: 0,
        };
        ear.log = ear.noted(AttemptLog::create(run.log, SEGMENT_BYTES));
        ear.write(
            Source::Loop,
            &format!("attempt {}: {}", run.order.attempt, run.order.task.row.text),
        );
        ear.write(
            Source::Loop,
            &format!("{} {}", launch.program.display(), launch.args.join(" ")),
        );
        ear.flush();
        ear
    }

    pub(super) fn has_result(&self) -> bool {
        self.reader.has_result()
    }

    /// Takes a piece of a stream; an empty one is its end.
    pub(super) fn hear(&mut self, source: Source, piece: &[u8], tell: &mut dyn FnMut(AgentEvent)) {
        self.bytes += piece.len() as u64;
        let is_out = source == Source::Stdout;
        let mut lines = std::mem::take(if is_out { &mut self.out } else { &mut self.err });
        let mut take = |line: &str| self.line(source, line, tell);
        if piece.is_empty() {
            lines.end(&mut take);
        } else {
            lines.push(piece, &mut take);
        }
        *(if is_out { &mut self.out } else { &mut self.err }) = lines;
        self.flush();
    }

    fn line(&mut self, source: Source, line: &str, tell: &mut dyn FnMut(AgentEvent)) {
        self.write(source, line);
        if source == Source::Stdout {
            let redactor = self.redactor;
            let mut told = |progress| tell(AgentEvent::Progress(shown(progress, redactor)));
            self.reader.line(line, &mut told);
            return;
        }
        self.stderr.push_str(line);
        self.stderr.push('\n');
        if self.stderr.len() > 2 * STDERR_TAIL {
            let mut from = self.stderr.len() - STDERR_TAIL;
            // Not in the middle of a token, which is masked as a whole or not at all.
            while !self.stderr.is_char_boundary(from)
                || !self.stderr[..from].ends_with(char::is_whitespace)
            {
                from += 1;
            }
            self.stderr.drain(..from);
        }
    }

    /// What it all meant.
    pub(super) fn end(
        mut self,
        end: GuardEnd,
        ending: Ending,
        now: Timestamp,
        zone: &TimeZone,
        tell: &mut dyn FnMut(AgentEvent),
    ) -> AgentEnd {
        for source in [Source::Stdout, Source::Stderr] {
            self.hear(source, &[], tell);
        }
        self.write(Source::Loop, &in_words(&end, ending));
        self.flush();
        // Having given its result, it was ended by us: that is no exit of its own.
        let after_result = ending == Ending::Hung(Hang::AfterResult);
        let exit = if after_result {
            ExitInfo { code: 0, signal: 0 }
        } else {
            end.exit
        };
        let reading = self.reader.finish(&Finish {
            exit,
            stderr: &visible(&self.stderr),
            now,
            zone,
        });
        let Reading {
            verdict,
            usage,
            session_id,
            summary,
            status,
            denials,
        } = masked(reading, self.redactor);
        AgentEnd {
            verdict,
            ending,
            usage,
            session_id,
            summary,
            status,
            denials,
            exit: end.exit,
            output_bytes: self.bytes,
            left_running: end.left_running,
            remaining: end.remaining,
            log_trouble: self.log_trouble,
        }
    }

    fn write(&mut self, source: Source, line: &str) {
        if let Some(log) = &mut self.log {
            let written = log.line(source, line, self.redactor);
            self.noted(written);
        }
    }

    fn flush(&mut self) {
        if let Some(log) = &mut self.log {
            let flushed = log.flush();
            self.noted(flushed);
        }
    }

    /// The first trouble ends the log, not the agent.
    fn noted<T>(&mut self, result: Result<T, LogError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let source = std::error::Error::source(&error);
                let source = source.map_or_else(String::new, |source| format!(": {source}"));
                self.log_trouble = Some(format!("{error}{source}"));
                self.log = None;
                None
            }
        }
    }
}

fn in_words(end: &GuardEnd, ending: Ending) -> String {
    let why = match ending {
        Ending::Own => "",
        Ending::Hung(Hang::Wall) => ", ended by ralph: its time was over",
        Ending::Hung(Hang::Idle) => ", ended by ralph: no sign of life",
        Ending::Hung(Hang::AfterResult) => ", ended by ralph: it had given its result and stayed",
        Ending::Stopped => ", ended by ralph: told to stop",
        Ending::Unguarded => ", ended with its guard, by somebody else",
    };
    let exit = if end.exit.signal == 0 {
        format!("exit {}", end.exit.code)
    } else {
        format!("signal {}", end.exit.signal)
    };
    let left = match end.left_running {
        0 => String::new(),
        count => format!("; {count} processes that it left running were ended"),
    };
    format!("{exit}{why}{left}")
}

/// Fit for a terminal and for a record.
fn clean(text: &str, redactor: &Redactor) -> String {
    redactor.mask(&visible(text))
}

fn shown(progress: Progress, redactor: &Redactor) -> Progress {
    match progress {
        Progress::Doing(text) => {
            let text = clean(&text, redactor);
            Progress::Doing(text.chars().take(LONGEST_DOING).collect())
        }
        Progress::Retrying { reason } => Progress::Retrying {
            reason: clean(&reason, redactor),
        },
        Progress::Session { .. } | Progress::Usage(_) | Progress::RateLimit(_) => progress,
    }
}

fn masked(reading: Reading, redactor: &Redactor) -> Reading {
    let clean = |text: String| clean(&text, redactor);
    Reading {
        verdict: masked_verdict(reading.verdict, &clean),
        summary: reading.summary.map(clean),
        session_id: reading.session_id.map(clean),
        status: reading.status.map(|block| StatusBlock {
            tests: block.tests.map(clean),
            work_type: block.work_type.map(clean),
            recommendation: block.recommendation.map(clean),
            ..block
        }),
        denials: reading.denials.into_iter().map(clean).collect(),
        ..reading
    }
}

fn masked_verdict(verdict: Verdict, clean: &dyn Fn(String) -> String) -> Verdict {
    match verdict {
        Verdict::Finished => Verdict::Finished,
        Verdict::UsageLimit {
            resets_at,
            window,
            message,
        } => Verdict::UsageLimit {
            resets_at,
            window,
            message: clean(message),
        },
        Verdict::Throttled {
            retry_after,
            message,
        } => Verdict::Throttled {
            retry_after,
            message: clean(message),
        },
        Verdict::Auth { message } => Verdict::Auth {
            message: clean(message),
        },
        Verdict::Budget { message } => Verdict::Budget {
            message: clean(message),
        },
        Verdict::PermissionDenied { what } => Verdict::PermissionDenied { what: clean(what) },
        Verdict::NeedsInput { prompt } => Verdict::NeedsInput {
            prompt: clean(prompt),
        },
        Verdict::Blocked { reason } => Verdict::Blocked {
            reason: clean(reason),
        },
        Verdict::ConfigError { message } => Verdict::ConfigError {
            message: clean(message),
        },
        Verdict::Crashed { message } => Verdict::Crashed {
            message: clean(message),
        },
    }
}
