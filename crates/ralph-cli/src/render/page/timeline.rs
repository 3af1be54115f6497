//! Bars on a common line of time, packed into as few rows as they need. Pure: times in, places out.

use ralph_core::time::Timestamp;
use serde::Serialize;

/// Widths and heights in the units of the drawing.
const LEFT: f64 = 150.0;
const WIDTH: f64 = 1_000.0;
const ROW: f64 = 9.0;
const BAR: f64 = 7.0;
const GAP: f64 = 8.0;
/// A bar is never thinner: it must be seen and pointed at.
const THINNEST: f64 = 3.0;
/// Rows of one group; what would need more is counted instead.
const MOST_ROWS: usize = 30;
/// Letters of a group's name.
const MOST_LETTERS: usize = 24;
/// Marks on the line of time.
const MOST_TICKS: i64 = 8;

/// A line of time is never shorter, in milliseconds: a single moment still has a place.
const SHORTEST: i64 = 5_000;

/// Seconds between two marks, from the shortest that is offered.
const STEPS: [i64; 20] = [
    1,
    2,
    5,
    10,
    30,
    60,
    300,
    600,
    1_800,
    3_600,
    3 * 3_600,
    6 * 3_600,
    12 * 3_600,
    86_400,
    2 * 86_400,
    7 * 86_400,
    14 * 86_400,
    30 * 86_400,
    90 * 86_400,
    365 * 86_400,
];

/// What is drawn as one bar.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Bars of a group are drawn together; groups come in the order of their first item.
    pub(super) group: String,
    /// The colour's name in the style sheet.
    pub(super) class: &'static str,
    /// What is said when somebody points at it.
    pub(super) title: String,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// Where everything is.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    width: f64,
    height: f64,
    left: f64,
    ticks: Vec<Tick>,
    bands: Vec<Band>,
    bars: Vec<Bar>,
    /// Bars for which there was no row.
    hidden: usize,
}

#[derive(Debug, Serialize)]
struct Tick {
    x: f64,
    label: String,
}

/// The place of a group.
#[derive(Debug, Serialize)]
struct Band {
    y: f64,
    height: f64,
    /// The group's name, as much of it as has room.
    label: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct Bar {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    class: &'static str,
    title: String,
}

/// The line of time from the first start to the last end, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Scale {
    first: i64,
    last: i64,
}

impl Scale {
    fn of(items: &[Item]) -> Option<Self> {
        let first = items.iter().map(|item| item.start.as_millisecond()).min()?;
        let last = items.iter().map(|item| item.end.as_millisecond()).max()?;
        let last = last.max(first + SHORTEST);
        Some(Self { first, last })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a place on a screen; milliseconds of centuries are exact in it"
    )]
    fn x(self, millisecond: i64) -> f64 {
        let part = (millisecond - self.first) as f64 / (self.last - self.first) as f64;
        rounded(LEFT + part * (WIDTH - LEFT))
    }

    fn ticks(self) -> Vec<Tick> {
        let (first, last) = (self.first.div_euclid(1_000), self.last.div_euclid(1_000));
        let span = last - first;
        let coarsest = STEPS.last().copied().unwrap_or(1);
        let step = STEPS.into_iter().find(|step| span / step <= MOST_TICKS);
        let step = step.unwrap_or_else(|| coarsest * (span / coarsest / MOST_TICKS + 1));
        let pattern = match step {
            ..60 => "%H:%M:%S",
            60..86_400 => "%m-%d %H:%M",
            _ => "%Y-%m-%d",
        };
        let mut at = (first + step - 1).div_euclid(step) * step;
        let mut ticks = Vec::new();
        while at <= last {
            if let Ok(time) = Timestamp::from_second(at) {
                let label = time.strftime(pattern).to_string();
                ticks.push(Tick {
                    x: self.x(at * 1_000),
                    label,
                });
            }
            at += step;
        }
        ticks
    }
}

/// To a tenth: nobody sees more, and a page has many numbers.
fn rounded(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

/// Places all bars; `None` without any.
pub(super) fn layout(items: &[Item]) -> Option<Timeline> {
    let scale = Scale::of(items)?;
    let mut groups: Vec<(&str, Vec<&Item>)> = Vec::new();
    for item in items {
        match groups.iter_mut().find(|(name, _)| *name == item.group) {
            Some((_, members)) => members.push(item),
            None => groups.push((&item.group, vec![item])),
        }
    }
    let (mut bands, mut bars, mut hidden) = (Vec::new(), Vec::new(), 0);
    // Below the marks.
    let mut y = 24.0;
    for (label, mut members) in groups {
        members.sort_by_key(|item| (item.start, item.end));
        let mut rows: Vec<f64> = Vec::new();
        for item in members {
            let x = scale.x(item.start.as_millisecond()).min(WIDTH - THINNEST);
            let width = rounded((scale.x(item.end.as_millisecond()) - x).max(THINNEST));
            let Some(row) = free_row(&mut rows, x, x + width) else {
                hidden += 1;
                continue;
            };
            bars.push(Bar {
                x,
                y: y + row * ROW,
                width,
                height: BAR,
                class: item.class,
                title: item.title.clone(),
            });
        }
        #[expect(clippy::cast_precision_loss, reason = "at most MOST_ROWS")]
        let height = rows.len() as f64 * ROW;
        bands.push(Band {
            y,
            height,
            label: cut(label),
            name: label.to_owned(),
        });
        y += height + GAP;
    }
    Some(Timeline {
        width: WIDTH,
        height: y,
        left: LEFT,
        ticks: scale.ticks(),
        bands,
        bars,
        hidden,
    })
}

/// A name that fits beside the bars.
fn cut(name: &str) -> String {
    if name.chars().count() <= MOST_LETTERS {
        return name.to_owned();
    }
    let start: String = name.chars().take(MOST_LETTERS - 1).collect();
    format!("{start}…")
}

/// The first row whose last bar ends before `from`, now taken up to `to`.
fn free_row(rows: &mut Vec<f64>, from: f64, to: f64) -> Option<f64> {
    let row = match rows.iter().position(|end| *end <= from) {
        Some(row) => row,
        None if rows.len() < MOST_ROWS => {
            rows.push(0.0);
            rows.len() - 1
        }
        None => return None,
    };
    *rows.get_mut(row)? = to;
    #[expect(clippy::cast_precision_loss, reason = "at most MOST_ROWS")]
    Some(row as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(group: &str, start: i64, length: i64) -> Item {
        let at = |second| Timestamp::from_second(second).expect("a time");
        Item {
            group: group.to_owned(),
            class: "completed",
            title: format!("{start}"),
            start: at(start),
            end: at(start + length),
        }
    }

    #[test]
    fn a_day_has_marks_every_three_hours_and_parallel_runs_their_own_rows() {
        let day = 1_800_000_000;
        let items = [
            item("one", day, 3_600),
            item("one", day + 1_800, 3_600),
            item("two", day + 80_000, 0),
            item("one", day + 40_000, 46_400),
        ];
        let drawn = layout(&items).expect("a drawing");
        let ticks: Vec<&str> = drawn.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(ticks.len(), 8, "{ticks:?}");
        assert_eq!(ticks.first(), Some(&"01-15 09:00"));
        let rows: Vec<f64> = drawn.bars.iter().map(|bar| bar.y).collect();
        assert_eq!(rows, [24.0, 33.0, 24.0, 50.0]);
        assert!(layout(&[]).is_none());
    }

    #[test]
    fn what_takes_seconds_fills_the_line_of_time() {
        let drawn = layout(&[item("one", 60, 4), item("one", 64, 8)]).expect("a drawing");
        let ticks: Vec<&str> = drawn.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(ticks.first(), Some(&"00:01:00"));
        assert_eq!(ticks.last(), Some(&"00:01:12"));
        let (first, last) = (&drawn.bars[0], &drawn.bars[1]);
        assert!((first.x - LEFT).abs() < 0.1 && (last.x + last.width - WIDTH).abs() < 0.1);
        // One moment has a place.
        let drawn = layout(&[item("one", 60, 0)]).expect("a drawing");
        assert!(
            (drawn.bars[0].width - THINNEST).abs() < 0.1,
            "{:?}",
            drawn.bars
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn bars_are_inside_and_never_over_each_other(
            runs in prop::collection::vec(("[ab]", 0_i64..4_000_000_000, 0_i64..40_000_000), 1..200),
        ) {
            let items: Vec<Item> = runs.iter().map(|(group, start, length)| item(group, *start, *length)).collect();
            let drawn = layout(&items).expect("a drawing");
            prop_assert_eq!(drawn.bars.len() + drawn.hidden, items.len());
            prop_assert!(drawn.ticks.len() <= 10, "{:?}", drawn.ticks);
            for bar in &drawn.bars {
                prop_assert!(bar.x >= LEFT && bar.x + bar.width <= WIDTH + 0.001, "{:?}", bar);
                prop_assert!(bar.y + bar.height <= drawn.height, "{:?}", bar);
            }
            for (at, one) in drawn.bars.iter().enumerate() {
                for other in &drawn.bars[at + 1..] {
                    let same_row = (one.y - other.y).abs() < 0.1;
                    prop_assert!(!same_row || one.x + one.width <= other.x || other.x + other.width <= one.x);
                }
            }
        }
    }
}
