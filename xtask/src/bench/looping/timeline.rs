//! What a log of agents says about the time between them. Pure.
//!
//! The log has one line per event, `begin ID NANOSECONDS` or `end ID NANOSECONDS`, of the machine's clock.

use std::time::Duration;

use anyhow::{Context as _, ensure};

/// When agents began and ended, each in order, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Timeline {
    begins: Vec<u64>,
    ends: Vec<u64>,
}

impl Timeline {
    /// Reads a log.
    pub(super) fn read(log: &str) -> anyhow::Result<Self> {
        let mut timeline = Self::default();
        for line in log.lines() {
            let mut words = line.split(' ');
            let (what, at) = (words.next().unwrap_or(""), words.next_back().unwrap_or(""));
            let at = at
                .parse()
                .with_context(|| format!("in the line `{line}`"))?;
            match what {
                "begin" => timeline.begins.push(at),
                "end" => timeline.ends.push(at),
                _ => {}
            }
        }
        timeline.begins.sort_unstable();
        timeline.ends.sort_unstable();
        ensure!(
            timeline.begins.len() == timeline.ends.len(),
            "{} agents began and {} ended",
            timeline.begins.len(),
            timeline.ends.len()
        );
        Ok(timeline)
    }

    /// How many agents ran.
    pub(super) fn agents(&self) -> usize {
        self.begins.len()
    }

    /// The times between an agent's end and the start of the next one in its place, shortest first. The first `workers`
    /// starts fill the places; from then on each start takes the place that has been free for longest.
    pub(super) fn gaps(&self, workers: usize) -> Vec<Duration> {
        let next = self.begins.iter().skip(workers);
        let gap = |(end, begin): (&u64, &u64)| Duration::from_nanos(begin.saturating_sub(*end));
        let mut gaps: Vec<Duration> = self.ends.iter().zip(next).map(gap).collect();
        gaps.sort_unstable();
        gaps
    }

    /// The part of the workers' time in which agents of so many seconds did their work, from the first start to the
    /// last end.
    pub(super) fn utilization(&self, workers: usize, each: Duration) -> f64 {
        let (Some(first), Some(last)) = (self.begins.first(), self.ends.last()) else {
            return 0.0;
        };
        let time = Duration::from_nanos(last - first).as_secs_f64();
        let worked = each.as_secs_f64() * count(self.agents());
        worked / (time * count(workers))
    }

    /// When the agent with this number, from zero, began, in nanoseconds since 1970.
    pub(super) fn begin(&self, number: usize) -> Option<u64> {
        self.begins.get(number).copied()
    }
}

/// The value below which so many of a hundred lie; the values are sorted.
pub(super) fn percentile(sorted: &[Duration], of_hundred: usize) -> Duration {
    let at = (sorted.len() * of_hundred).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
begin a 1000
begin b 1500
end a 3000
begin c 3200
end b 4000
begin d 4100
end d 6000
end c 5000
";

    #[test]
    fn each_start_takes_the_place_that_is_free_for_longest() -> anyhow::Result<()> {
        let timeline = Timeline::read(LOG)?;
        let gaps = timeline.gaps(2);
        assert_eq!(gaps, [100, 200].map(Duration::from_nanos));
        assert_eq!(percentile(&gaps, 50).as_nanos(), 100);
        assert_eq!(percentile(&gaps, 99).as_nanos(), 200);
        let used = timeline.utilization(2, Duration::from_nanos(2_000));
        assert!((used - 0.8).abs() < 1e-9, "{used}");
        Ok(())
    }

    #[test]
    fn an_agent_that_did_not_end_is_an_error() {
        assert!(Timeline::read("begin a 1\n").is_err());
        assert!(Timeline::read("begin a x\n").is_err());
    }
}
