//! What a bench found, against its limits: as a table for people and as JSON for programs. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::measure::Times;

/// What a case has to meet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Greatest median.
    pub(super) milliseconds: Option<u64>,
    /// Least ratio to what it is compared with.
    pub(super) ratio: Option<f64>,
    /// Greatest peak of resident memory.
    pub(super) megabytes: Option<u64>,
}

/// What a number has to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// Shown for comparison.
    None,
}

/// A number beside the times, with what it has to be.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    /// What it is, unit included.
    pub(super) name: String,
    /// How much.
    pub(super) value: f64,
    /// What it has to be.
    pub(super) bound: Bound,
}

impl Figure {
    /// A number and what it has to be.
    pub(super) fn new(name: impl Into<String>, value: f64, bound: Bound) -> Self {
        Self {
            name: name.into(),
            value,
            bound,
        }
    }

    /// Whether it is what it has to be; nothing where it need not be anything.
    fn is_met(&self) -> Option<bool> {
        match self.bound {
            Bound::AtMost(most) => Some(self.value <= most),
            Bound::AtLeast(least) => Some(self.value >= least),
            Bound::None => None,
        }
    }

    fn words(&self) -> String {
        let (name, value) = (&self.name, (self.value * 1_000.0).round() / 1_000.0);
        let word = match self.is_met() {
            Some(true) => " met",
            Some(false) => " MISSED",
            None => "",
        };
        match self.bound {
            Bound::AtMost(most) => format!("{name} {value} (≤ {most}){word}"),
            Bound::AtLeast(least) => format!("{name} {value} (≥ {least}){word}"),
            Bound::None => format!("{name} {value}"),
        }
    }
}

/// What a case found.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// The case, in words.
    pub(super) case: String,
    /// The times of our binary.
    pub(super) ours: Times,
    /// The times of what it is compared with.
    pub(super) compared: Option<Times>,
    /// Peak of resident memory, where it could be read.
    pub(super) peak_bytes: Option<u64>,
    /// The limits.
    pub(super) limits: Limits,
    /// Other numbers.
    pub(super) figures: Vec<Figure>,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        let ours = self.ours.median.as_secs_f64();
        let compared = self.compared?.median.as_secs_f64();
        (ours > 0.0).then(|| compared / ours)
    }

    /// Each limit in words, and whether it was met.
    fn verdicts(&self) -> Vec<(String, bool)> {
        let mut verdicts = Vec::new();
        if let Some(most) = self.limits.milliseconds {
            let is_met = self.ours.median <= Duration::from_millis(most);
            verdicts.push((format!("{most} ms"), is_met));
        }
        if let Some(least) = self.limits.ratio {
            let is_met = self.ratio().is_some_and(|ratio| ratio >= least);
            verdicts.push((format!("{least}×"), is_met));
        }
        if let Some(most) = self.limits.megabytes {
            let is_met = self.peak_bytes.is_some_and(|peak| peak <= most * 1_000_000);
            verdicts.push((format!("{most} MB"), is_met));
        }
        verdicts
    }

    /// The row as JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "case": self.case,
            "median_ms": milliseconds(self.ours.median),
            "least_ms": milliseconds(self.ours.least),
            "compared_median_ms": self.compared.map(|times| milliseconds(times.median)),
            "compared_least_ms": self.compared.map(|times| milliseconds(times.least)),
            "ratio": self.ratio(),
            "peak_bytes": self.peak_bytes,
            "limits": self.verdicts().iter().map(|(limit, is_met)| json!({ "limit": limit, "met": is_met })).collect::<Vec<_>>(),
            "figures": self.figures.iter().map(|figure| json!({ "name": figure.name, "value": figure.value, "met": figure.is_met() })).collect::<Vec<_>>(),
        })
    }
}

/// The table.
pub(super) fn text(rows: &[Row]) -> String {
    let mut text = "\
| case | median | least | compared | ratio | memory | limits |
|---|---|---|---|---|---|---|
"
    .to_owned();
    for row in rows {
        let verdicts: Vec<String> = row
            .verdicts()
            .into_iter()
            .map(|(limit, is_met)| format!("{limit} {}", if is_met { "met" } else { "MISSED" }))
            .chain(row.figures.iter().map(Figure::words))
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {:.2} ms | {:.2} ms | {} | {} | {} | {} |",
            row.case,
            milliseconds(row.ours.median),
            milliseconds(row.ours.least),
            row.compared.map_or("–".to_owned(), |times| format!(
                "{:.2} ms",
                milliseconds(times.median)
            )),
            row.ratio()
                .map_or("–".to_owned(), |ratio| format!("{ratio:.1}×")),
            row.peak_bytes.map_or("–".to_owned(), |peak| format!(
                "{} MB",
                peak.div_ceil(1_000_000)
            )),
            verdicts.join(", ")
        );
    }
    text
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(median: u64) -> Times {
        Times {
            median: Duration::from_millis(median),
            least: Duration::from_millis(median - 1),
        }
    }

    fn row(ours: u64, compared: u64, peak: Option<u64>) -> Row {
        Row {
            case: "a case".to_owned(),
            ours: times(ours),
            compared: Some(times(compared)),
            peak_bytes: peak,
            limits: Limits {
                milliseconds: Some(30),
                ratio: Some(10.0),
                megabytes: Some(100),
            },
            figures: Vec::new(),
        }
    }

    #[test]
    fn a_missed_limit_is_named() {
        let shown = text(&[row(20, 200, Some(90_000_000)), row(31, 200, None)]);
        let lines: Vec<&str> = shown.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| a case | 20.00 ms | 19.00 ms | 200.00 ms | 10.0× | 90 MB | 30 ms met, 10× met, 100 MB met |",
                "| a case | 31.00 ms | 30.00 ms | 200.00 ms | 6.5× | – | 30 ms MISSED, 10× MISSED, 100 MB MISSED |",
            ]
        );
    }

    #[test]
    fn numbers_beside_the_times_have_bounds_of_their_own() {
        let mut row = row(20, 200, None);
        row.limits.milliseconds = None;
        row.figures = vec![
            Figure::new("p99 ms", 51.0, Bound::AtMost(50.0)),
            Figure::new("used", 0.981_26, Bound::AtLeast(0.97)),
            Figure::new("xargs", 2.5, Bound::None),
        ];
        let shown = text(std::slice::from_ref(&row));
        let expected = "p99 ms 51 (≤ 50) MISSED, used 0.981 (≥ 0.97) met, xargs 2.5 |";
        assert!(shown.trim_end().ends_with(expected), "{shown}");
        assert_eq!(row.json()["figures"][0]["met"], false);
        assert_eq!(row.json()["figures"][2]["met"], Value::Null);
    }

    #[test]
    fn programs_get_numbers() {
        let json = row(20, 200, None).json();
        assert_eq!(json["ratio"], 10.0);
        assert_eq!(json["peak_bytes"], Value::Null);
        assert_eq!(json["limits"][0]["met"], true);
    }
}
