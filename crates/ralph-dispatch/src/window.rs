//! The status in a window, however small: what does not fit is left out and said to be. Pure.

use unicode_width::UnicodeWidthChar as _;

use crate::render;
use crate::report::StatusReport;

const CLEAR_SCREEN: &str = "\u{1b}[2J";
const TO_THE_TOP: &str = "\u{1b}[H";
/// Takes away what was drawn; the next text begins at the top.
pub(crate) const WIPE: &str = "\u{1b}[H\u{1b}[J";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// A window with fewer columns gets no table.
const TABLE_WIDTH: usize = 60;

/// Columns and lines of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// Whether a terminal of this name can move its cursor (terminfo's `dumb` can not).
pub(crate) fn goes_back(terminal: Option<&str>) -> bool {
    terminal != Some("dumb")
}

/// The status as it fits: all of it, else without the ends of logs, else as many loops as there are lines for.
pub(crate) fn frame(report: &StatusReport, size: Size) -> String {
    let width = size.width.max(1);
    // The cursor stands on the line behind the last one.
    let height = size.height.saturating_sub(1).max(1);
    let is_narrow = width < TABLE_WIDTH;
    let whole = render::status(report, Some(width));
    if !is_narrow && whole.lines().count() <= height {
        return fitted(whole.lines(), width);
    }
    let loops = if is_narrow {
        render::list(report)
    } else {
        render::rows(report, Some(width))
    };
    let mut head: Vec<&str> = loops.lines().collect();
    let sums = render::sums(report);
    let tail: Vec<&str> = sums.lines().take(1).collect();
    let room = height.saturating_sub(tail.len()).max(1);
    let left_out = (head.len() + 1).saturating_sub(room);
    let more = format!("… {left_out} more");
    if head.len() > room {
        head.truncate(room.saturating_sub(1));
        head.push(&more);
    }
    fitted(head.into_iter().chain(tail).take(height), width)
}

fn fitted<'l>(lines: impl Iterator<Item = &'l str>, width: usize) -> String {
    let lines: Vec<String> = lines.map(|line| fit(line, width)).collect();
    lines.join("\n")
}

/// What draws a text over what is on the screen line by line, so that nothing flickers. The line ending behind it comes
/// from whoever prints it.
pub(crate) fn over(text: &str, is_first: bool) -> String {
    let clear = if is_first { CLEAR_SCREEN } else { "" };
    let lines: Vec<String> = text
        .lines()
        .map(|line| [line, CLEAR_LINE].concat())
        .collect();
    [clear, TO_THE_TOP, &lines.join("\n"), CLEAR_BELOW].concat()
}

/// A line cut at a width in columns; what colours it takes none.
pub(crate) fn fit(line: &str, width: usize) -> String {
    let parts = parts(line);
    let columns = |part: &Part| match part {
        Part::Style(_) => 0,
        Part::Character(c) => c.width().unwrap_or(0),
    };
    if parts.iter().map(columns).sum::<usize>() <= width {
        return line.to_owned();
    }
    let (mut text, mut used) = (String::new(), 0);
    for part in &parts {
        match part {
            // Those behind the cut end what was begun before it.
            Part::Style(style) => text.push_str(style),
            Part::Character(c) if used + columns(part) < width => {
                used += columns(part);
                text.push(*c);
            }
            Part::Character(_) => {
                if used < width {
                    text.push('…');
                }
                used = width;
            }
        }
    }
    text
}

enum Part<'l> {
    /// An escape sequence.
    Style(&'l str),
    Character(char),
}

fn parts(line: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let length = if c == '\u{1b}' {
            rest.find(|c: char| c.is_ascii_alphabetic())
                .map_or(rest.len(), |at| at + 1)
        } else {
            c.len_utf8()
        };
        let (part, after) = rest.split_at(length);
        parts.push(if c == '\u{1b}' {
            Part::Style(part)
        } else {
            Part::Character(c)
        });
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::State;
    use crate::report::LaunchRow;

    fn report(count: usize) -> StatusReport {
        let row = |number: usize| {
            render::tests::row(&format!("svc-{number}"), State::Running, "works on a task")
        };
        StatusReport {
            schema_version: 1,
            loops: (1..=count).map(row).collect(),
            foreign: Vec::new(),
            by_hand: Vec::new(),
            launches: vec![LaunchRow {
                launch: "20261126_213300-00000001".to_owned(),
                repositories: Vec::new(),
                attempts: 3,
                max_tasks: Some(30),
            }],
            attempts: 3,
            max_tasks: Some(30),
            tasks_left: 6,
            cost_usd: 0.0,
            pull_requests: 0,
            problems: Vec::new(),
        }
    }

    fn shown(count: usize, width: usize, height: usize) -> String {
        let frame = frame(&report(count), Size { width, height });
        let lines: Vec<&str> = frame.lines().collect();
        assert!(lines.len() < height.max(2), "{height}: {frame:?}");
        for line in &lines {
            let count = ralph_docs::ansi::visible(line).chars().count();
            assert!(count <= width, "{width}: {line}");
        }
        ralph_docs::ansi::visible(&frame)
    }

    #[test]
    fn a_small_window_shows_what_fits_and_says_what_it_leaves_out() {
        insta::assert_snapshot!(shown(9, 20, 6), @r"
        svc-1 running works…
        svc-2 running works…
        svc-3 running works…
        … 6 more
        attempts 3 of 30 · …
        ");
        insta::assert_snapshot!(shown(2, 40, 10), @r"
        svc-1 running works on a task
        svc-2 running works on a task
        attempts 3 of 30 · tasks left 6 · cost …
        ");
        insta::assert_snapshot!(shown(9, 80, 7), @r"
        | Repo  | PID  | State   | Last line |
        |-------|------|---------|---|
        | svc-1 | 4711 | running | works on a task |
        | svc-2 | 4711 | running | works on a task |
        … 7 more
        attempts 3 of 30 · tasks left 6 · cost $0.00 · pull requests 0
        ");
        for (width, height) in [(1, 1), (0, 0), (2, 3), (300, 2)] {
            let _ = shown(3, width.max(1), height);
        }
    }

    #[test]
    fn a_cut_line_keeps_its_colours_and_wide_characters_count_twice() {
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("abcd", 3), "ab…");
        assert_eq!(fit("\u{1b}[31mabcd\u{1b}[0m", 3), "\u{1b}[31mab…\u{1b}[0m");
        assert_eq!(fit("日本語", 6), "日本語");
        assert_eq!(fit("日本語", 5), "日本…");
        assert_eq!(fit("日本語", 4), "日…");
    }

    #[test]
    fn nothing_is_drawn_over_where_the_cursor_cannot_move() {
        assert!(!goes_back(Some("dumb")));
        assert!(goes_back(Some("xterm-256color")) && goes_back(None));
        assert_eq!(over("a\nb", false), "\u{1b}[Ha\u{1b}[K\nb\u{1b}[K\u{1b}[J");
        assert!(over("", true).starts_with(CLEAR_SCREEN));
    }
}
