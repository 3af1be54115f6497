//! A ceiling in US dollars for one run: money is set aside before an agent starts, and settled when it has ended, before
//! its work is checked. While nobody knows what an attempt costs, one agent at a time runs: several would be as many times
//! an unknown amount. Pure.

use std::collections::BTreeMap;

use crate::outcome::AttemptId;

/// The money of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CostCeiling {
    ceiling: Option<f64>,
    /// What one attempt is expected to cost at most, where that is configured.
    expected: Option<f64>,
    spent: f64,
    /// The highest cost of an attempt so far.
    highest: f64,
    reserved: BTreeMap<AttemptId, f64>,
}

/// Whether an attempt may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostAnswer {
    /// It may; it has to be settled.
    Granted,
    /// Not while the others run: what they leave may be enough.
    Wait,
    /// Never again in this run.
    Exhausted,
}

impl CostCeiling {
    /// `ceiling` in US dollars, `None` for no limit; `expected` is the most that one attempt may cost, if that is known.
    /// Else the dearest attempt so far stands for it.
    #[must_use]
    pub fn new(ceiling: Option<f64>, expected: Option<f64>) -> Self {
        Self {
            ceiling,
            expected,
            ..Self::default()
        }
    }

    /// US dollars spent by ended attempts.
    #[must_use]
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// US dollars set aside for running attempts.
    #[must_use]
    pub fn reserved(&self) -> f64 {
        // The sum of nothing would be -0.
        self.reserved.values().fold(0.0, |sum, amount| sum + amount)
    }

    /// Sets money aside for an attempt. Asking again for the same one changes nothing.
    pub fn reserve(&mut self, attempt: &AttemptId) -> CostAnswer {
        if self.reserved.contains_key(attempt) {
            return CostAnswer::Granted;
        }
        let amount = self.expected.unwrap_or(self.highest);
        if let Some(ceiling) = self.ceiling {
            let is_spent = self.spent >= ceiling;
            let is_unknown = amount <= 0.0 && !self.reserved.is_empty();
            if is_spent || is_unknown || self.spent + self.reserved() + amount > ceiling {
                let may_come_back = !is_spent && !self.reserved.is_empty();
                return if may_come_back {
                    CostAnswer::Wait
                } else {
                    CostAnswer::Exhausted
                };
            }
        }
        self.reserved.insert(attempt.clone(), amount);
        CostAnswer::Granted
    }

    /// Takes in what a running attempt has cost so far, which may be more than was set aside for it.
    pub fn told(&mut self, attempt: &AttemptId, cost: f64) {
        if let Some(amount) = self.reserved.get_mut(attempt)
            && cost.is_finite()
        {
            *amount = amount.max(cost);
        }
    }

    /// Takes in what an attempt cost, once. Where its agent did not say, what was set aside counts.
    pub fn settle(&mut self, attempt: &AttemptId, cost: Option<f64>) {
        let reserved = self.reserved.remove(attempt).unwrap_or(0.0);
        let cost = cost
            .filter(|cost| cost.is_finite() && *cost >= 0.0)
            .unwrap_or(reserved);
        self.spent += cost;
        self.highest = self.highest.max(cost);
    }
}
