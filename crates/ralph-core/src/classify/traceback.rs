//! Finding Python tracebacks in a log: where they start, which line is the exception, which frame is the user's.
//!
//! Tracebacks come with the label of a rank (`[rank0]: `), inside boxes, behind a progress bar, cut off, and with
//! other output in between. Nothing here says what an exception means; [`super::python`] does.

use super::log::{Line, LogText};

const HEADER: &str = "Traceback (most recent call last)";

/// Bounds of the work: how many tracebacks of a log are read, counted from its end, and how long one may be.
const LAST_TRACEBACKS: usize = 64;
const LONGEST: usize = 400;
/// How many lines of other output may stand between the frames and the exception.
const FOREIGN_LINES: usize = 20;
/// How many lines below the word of a crash its frames may stand.
const FRAMES_OF_CRASH: usize = 100;

/// How much a traceback says about the end of the program; a greater one is believed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Python went on (`Exception ignored in …`).
    Ignored,
    /// Does not say how it ended.
    CutOff,
    /// Only reports that another process failed.
    Wrapper,
    /// Ended one thread.
    Thread,
    /// Ended the program.
    Main,
}

/// Exceptions that only report the failure of another process, by name or by message in lower case.
const WRAPPERS: &[&str] = &[
    "ChildFailedError",
    "CalledProcessError",
    "DistBackendError",
    "SignalException",
    "DistStoreError",
    "DistNetworkError",
    "ProcessExitedException",
];
const OF_A_PEER: &[&str] = &[
    "nccl communicator was aborted",
    "connection closed by peer",
    "watchdog",
    "store based barrier",
    "the client socket has ",
    "gloo/transport",
    "see root cause above",
    "nccl error",
];

/// Endings of the names of exceptions; other names are only believed directly below a frame.
const ENDINGS: &[&str] = &[
    "Error",
    "Exception",
    "Interrupt",
    "Exit",
    "Warning",
    "Timeout",
    "Iteration",
    "Group",
];

/// Names of exceptions in lower case, from before such names were capitals; only believed with their module.
const LOWER_CASE: &[&str] = &["error", "timeout", "gaierror", "herror"];

/// Folders of installed code.
const INSTALLED: &[&str] = &[
    "/site-packages/",
    "/dist-packages/",
    "/lib/python",
    "/lib64/python",
    "\\Lib\\",
];

/// One traceback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Traceback<'a> {
    /// Index of the line with the header.
    pub(super) start: usize,
    /// Index of the line with the exception; the header's where the traceback is cut off.
    pub(super) line: usize,
    /// The exception's name without its module; empty where the traceback is cut off.
    pub(super) name: &'a str,
    /// What follows the name, or the next line where nothing does.
    pub(super) message: &'a str,
    /// Whether the message only announces what stands below it.
    pub(super) is_heading: bool,
    pub(super) standing: Standing,
    /// File and line of the innermost frame that is not installed code.
    pub(super) user_frame: Option<(&'a str, usize)>,
    /// File of the innermost frame.
    pub(super) innermost: &'a str,
    /// The last line of code that is shown.
    pub(super) code: &'a str,
}

/// The tracebacks of a log, the last [`LAST_TRACEBACKS`] of them, in their order.
pub(super) fn find(log: &LogText) -> Vec<Traceback<'_>> {
    let mut starts: Vec<usize> = memchr::memmem::rfind_iter(log.text().as_bytes(), HEADER)
        .map(|offset| log.line_at(offset))
        .take(LAST_TRACEBACKS)
        .collect();
    starts.reverse();
    let whole = starts.into_iter().filter_map(|start| read(log, start));
    without_header(log).into_iter().chain(whole).collect()
}

/// The traceback in whose middle a log starts, as the end of a long log may. Nothing is known about its head, so any
/// other traceback is believed before it.
fn without_header(log: &LogText) -> Option<Traceback<'_>> {
    let text = log.text().as_bytes();
    let offset = memchr::memmem::find(text, b"  File \"")?;
    let announced = memchr::memmem::find(text, b"(most recent call ");
    if announced.is_some_and(|announced| announced < offset) {
        return None;
    }
    let first = log.line_at(offset);
    frame(log.line(first)?.text)?;
    let found = read(log, first.saturating_sub(1))?;
    let ended = ["Error", "Exception"].iter();
    ended
        .into_iter()
        .any(|ending| found.name.ends_with(ending))
        .then(|| Traceback {
            standing: found.standing.min(Standing::CutOff),
            ..found
        })
}

/// The innermost frame of the user's own code in the traceback that holds a line; also of a message that goes on for
/// `more` lines below the exception.
pub(super) fn place_of<'a>(
    tracebacks: &[Traceback<'a>],
    line: usize,
    more: usize,
) -> Option<(&'a str, usize)> {
    let holding = tracebacks.iter().rev().find(|found| found.start <= line)?;
    holding.user_frame.filter(|_| line <= holding.line + more)
}

/// The same for a crash, of which Python prints the frames below, the innermost first.
pub(super) fn place_of_crash(log: &LogText, line: usize) -> Option<(&str, usize)> {
    let below = (line + 1..line + FRAMES_OF_CRASH).map_while(|index| log.line(index));
    below
        .skip_while(|line| !line.text.ends_with("(most recent call first):"))
        .skip(1)
        .map_while(|line| frame(line.text))
        .find(|(path, _)| is_own(path))
}

/// Index of the line where the last traceback of a log starts.
pub(super) fn last_start(log: &LogText) -> Option<usize> {
    let offset = memchr::memmem::rfind(log.text().as_bytes(), HEADER.as_bytes())?;
    Some(log.line_at(offset))
}

fn read(log: &LogText, start: usize) -> Option<Traceback<'_>> {
    let header = log.line(start)?.text;
    let before = header.split(HEADER).next();
    let prefix = before.filter(|text| !quotes(text)).unwrap_or_default();
    let below = log.line(start + 1).map_or("", |line| line.text.trim());
    if below == "..." {
        // An example in a documentation, where the frames are left out.
        return None;
    }
    let mut found = Traceback {
        start,
        line: start,
        name: "",
        message: "",
        is_heading: false,
        standing: standing(log, start),
        user_frame: None,
        innermost: "",
        code: "",
    };
    let mut foreign = 0;
    let mut below_frame = false;
    for index in start + 1..(start + LONGEST).min(log.line_count()) {
        let Some(text) = log.line(index).and_then(|line| own_text(line, prefix)) else {
            continue;
        };
        if text.contains(HEADER) || foreign > FOREIGN_LINES {
            break;
        }
        if text.starts_with([' ', '\t', '│', '╭', '╰']) {
            below_frame = true;
            found.add_frame(text);
        } else if let Some((name, message)) = exception(text, below_frame) {
            let next = log.line(index + 1).and_then(|line| own_text(line, prefix));
            found.line = index;
            found.name = name;
            found.is_heading = message.is_empty() || message.ends_with(':');
            found.message = if message.is_empty() {
                next.unwrap_or_default()
            } else {
                message
            };
            if is_wrapper(name) || is_of_a_peer(found.message) {
                found.standing = found.standing.min(Standing::Wrapper);
            }
            break;
        } else {
            foreign += 1;
            below_frame = false;
        }
    }
    if found.name.is_empty() {
        found.standing = found.standing.min(Standing::CutOff);
    }
    Some(found)
}

impl<'a> Traceback<'a> {
    fn add_frame(&mut self, text: &'a str) {
        let Some((path, line)) = frame(text) else {
            if text.contains(char::is_alphabetic) {
                self.code = text;
            }
            return;
        };
        self.innermost = path;
        if is_own(path) {
            self.user_frame = Some((path, line));
        }
    }
}

/// The line without the prefix that the header had; `None` for a line with the label of another process.
fn own_text<'a>(line: Line<'a>, prefix: &str) -> Option<&'a str> {
    let text = match line.text.strip_prefix(prefix) {
        Some(rest) => rest,
        None if is_label(prefix) => return None,
        None => line.text,
    };
    // An exception group draws its members behind a bar.
    Some(text.trim_start().strip_prefix("| ").unwrap_or(text))
}

/// Whether a file is neither installed code nor the interpreter's own, nor a compiled module's, nor the small program
/// that starts an installed one (`/bin/torchrun`).
fn is_own(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    !path.starts_with('<')
        && !path.ends_with(".pyx")
        && !path.ends_with(".pxi")
        && (name.contains('.') || !path.contains("/bin/"))
        && !INSTALLED.iter().any(|folder| path.contains(folder))
}

fn is_wrapper(name: &str) -> bool {
    WRAPPERS.contains(&name)
}

fn is_of_a_peer(message: &str) -> bool {
    // A compiler of kernels hands on what it caught, with its name.
    if message
        .split_once(": ")
        .is_some_and(|(name, _)| is_wrapper(name))
    {
        return true;
    }
    let message = message.to_ascii_lowercase();
    OF_A_PEER.iter().any(|text| message.contains(text))
        || message.starts_with("connection reset by peer")
}

/// `[rank0]: `, torchrun's `[default0]:`, mpirun's `[1,0]<stderr>:`, Ray's `(Worker pid=7, ip=10.0.0.1) `.
fn is_label(prefix: &str) -> bool {
    let label = prefix.trim_end();
    let of_ray = || label.starts_with('(') && label.contains("pid=") && label.ends_with(')');
    prefix.len() <= 60 && (label.ends_with(':') && !label.contains(' ') || of_ray())
}

/// Whether what stands before a header is no label but an exception whose message is a traceback.
fn quotes(prefix: &str) -> bool {
    let name = prefix.trim_end_matches(": ");
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn standing(log: &LogText, start: usize) -> Standing {
    let before = start.checked_sub(1).and_then(|index| log.line(index));
    match before {
        Some(line) if line.text.contains("Exception ignored in") => Standing::Ignored,
        // What pip quotes of a package that it could not build.
        Some(line) if line.text.ends_with(" lines of output]") => Standing::Ignored,
        Some(line) if line.text.contains("Exception in thread") => Standing::Thread,
        _ => Standing::Main,
    }
}

/// `File "path", line 12, in name` of a frame.
pub(super) fn frame(text: &str) -> Option<(&str, usize)> {
    let (_, rest) = text.split_once("File \"")?;
    let (path, rest) = rest.split_once("\", line ")?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    Some((path, rest.get(..digits)?.parse().ok()?))
}

/// The name, without its module, and the message of a line that looks like an exception.
fn exception(text: &str, below_frame: bool) -> Option<(&str, &str)> {
    let (path, message) = text.split_once(':').unwrap_or((text.trim_end(), ""));
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    if path.is_empty() || path.len() > 120 || !path.chars().all(is_name) {
        return None;
    }
    let name = path.rsplit('.').next().unwrap_or(path);
    let believed = ENDINGS.iter().any(|ending| name.ends_with(ending))
        || below_frame && name.starts_with(|c: char| c.is_uppercase())
        || below_frame && path.contains('.') && LOWER_CASE.contains(&name);
    believed.then_some((name, message.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Stream;

    fn shown(text: &str) -> String {
        let log = LogText::from_bytes("job.err", Stream::Err, text.as_bytes());
        let line = |found: &Traceback<'_>| log.line(found.line).map_or(0, |line| line.number);
        find(&log)
            .iter()
            .map(|found| {
                format!(
                    "{} {:?} [{}|{}] user={:?} innermost={}",
                    line(found),
                    found.standing,
                    found.name,
                    found.message,
                    found.user_frame,
                    found.innermost
                )
            })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn a_traceback_without_its_frames_is_an_example() {
        let text = |frames: &str| {
            format!(
                "    Traceback (most recent call last):\n{frames}\n    ZeroDivisionError: x\nok\n"
            )
        };
        assert_eq!(shown(&text("      ...")), "");
        assert_ne!(shown(&text("      File \"/w/a.py\", line 3, in f")), "");
    }

    #[test]
    fn plain_chained_and_cut_off() {
        let text = "Traceback (most recent call last):\n  File \"/w/a.py\", line 3, in <module>\n    f()\n\
            KeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\n\
            \x20 0%|  | 0/9Traceback (most recent call last):\n  File \"/w/b.py\", line 7, in g\n    h()\n    ~^^\n\
            \x20 File \"/env/lib/python3.11/json/decoder.py\", line 9, in raw\n    raise\n\
            loss: 0.1 step: 3\njson.decoder.JSONDecodeError: bad\n\
            Traceback (most recent call last):\n  File \"<frozen runpy>\", line 1, in run\n";
        insta::assert_snapshot!(shown(text), @r#"
        4 Main [KeyError|'x'] user=Some(("/w/a.py", 3)) innermost=/w/a.py
        15 Main [JSONDecodeError|bad] user=Some(("/w/b.py", 7)) innermost=/env/lib/python3.11/json/decoder.py
        16 CutOff [|] user=None innermost=<frozen runpy>
        "#);
    }

    #[test]
    fn the_users_own_code_is_neither_installed_nor_compiled_nor_a_launcher() {
        for path in ["/w/train.py", "run", "/home/u/bin/train.py"] {
            assert!(is_own(path), "{path}");
        }
        for path in [
            "/env/bin/torchrun",
            "/env/lib/python3.9/site-packages/torch/nn/modules/module.py",
            "/usr/lib/python3.10/os.py",
            "pandas/_libs/index.pyx",
            "pandas/_libs/hashtable_class_helper.pxi",
            "<frozen runpy>",
        ] {
            assert!(!is_own(path), "{path}");
        }
    }

    #[test]
    fn a_crash_names_its_innermost_frame_first() {
        let text = "Fatal Python error: Segmentation fault\n\nCurrent thread 0x7f (most recent call first):\n\
            \x20 File \"/env/lib/python3.9/site-packages/torch/nn/functional.py\", line 9 in linear\n\
            \x20 File \"/w/net.py\", line 7 in forward\n  File \"/w/train.py\", line 3 in main\n";
        let log = LogText::from_bytes("job.err", Stream::Err, text.as_bytes());
        assert_eq!(place_of_crash(&log, 0), Some(("/w/net.py", 7)));
    }

    #[test]
    fn names_in_lower_case_need_a_module_and_a_frame() {
        let raised =
            "Traceback (most recent call last):\n  File \"/w/a.py\", line 3, in f\n    g()\n";
        for (line, name) in [
            (
                "cv2.error: OpenCV(4.8.0) empty",
                "[error|OpenCV(4.8.0) empty]",
            ),
            ("socket.timeout: timed out", "[timeout|timed out]"),
            ("error: no module before it", "[|]"),
        ] {
            let shown = shown(&format!("{raised}{line}\n"));
            assert!(shown.contains(name), "{shown}");
        }
    }

    #[test]
    fn lines_of_other_ranks_do_not_cut_a_traceback() {
        for (label, other) in [
            ("[rank1]: ", "[rank0]: "),
            ("[default1]:", "[default0]:"),
            ("[1,1]<stderr>:", "[1,0]<stderr>:"),
            (
                "(Worker pid=8, ip=10.0.0.2) ",
                "(Worker pid=7, ip=10.0.0.1) ",
            ),
        ] {
            let noise = format!("{other}ValueError: other\n").repeat(FOREIGN_LINES + 5);
            let text = format!(
                "{label}Traceback (most recent call last):\n{noise}{label}RuntimeError: boom\n"
            );
            let shown = shown(&text);
            assert!(shown.contains("[RuntimeError|boom]"), "{shown}");
        }
    }

    #[test]
    fn labels_threads_wrappers_and_boxes() {
        let text = "[rank1]: Traceback (most recent call last):\n[rank0]: noise\n[rank1]:   File \"/w/t.py\", line 4, in f\n\
            [rank1]: RuntimeError: boom\nException ignored in: <function D.__del__>\nTraceback (most recent call last):\n\
            AttributeError: x\nException in thread Thread-1:\nTraceback (most recent call last):\n  File \"/w/u.py\", line 2, in g\n\
            ConnectionResetError: [Errno 104] reset\nTraceback (most recent call last):\n  File \"/w/v.py\", line 5, in g\n\
            torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n====\n\
            ╭─ Traceback (most recent call last) ─╮\n│ /w/x.py:3 in f │\n╰───╯\nNanLoss\n";
        insta::assert_snapshot!(shown(text), @r#"
        4 Main [RuntimeError|boom] user=Some(("/w/t.py", 4)) innermost=/w/t.py
        7 Ignored [AttributeError|x] user=None innermost=
        11 Thread [ConnectionResetError|[Errno 104] reset] user=Some(("/w/u.py", 2)) innermost=/w/u.py
        14 Wrapper [ChildFailedError|====] user=Some(("/w/v.py", 5)) innermost=/w/v.py
        19 Main [NanLoss|] user=None innermost=
        "#);
    }
}
