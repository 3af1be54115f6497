//! N workers and M attempts over several loops: one budget for all, or a part for each. Pure.

use ralph_core::error::{Code, Coded, Hint};

/// What one loop may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Workers at once.
    pub(crate) workers: u32,
    /// Attempts altogether; `None` in batch mode.
    pub(crate) attempts: Option<u64>,
}

/// N or M has no part for each loop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{amount} {what} cannot be divided over {loops} loops that do not share a budget: each needs one"
)]
pub(crate) struct ShareError {
    amount: u64,
    what: &'static str,
    loops: usize,
}

impl Coded for ShareError {
    fn code(&self) -> Code {
        Code::Usage
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(format!(
            "Allow at least {} {}, choose fewer repositories with --repos, or run this project's ralph here, which shares both.",
            self.loops, self.what
        )))
    }
}

/// Every loop is told all of N and M, and takes from the one budget.
pub(crate) fn shared(workers: u32, attempts: Option<u64>, loops: usize) -> Vec<Share> {
    vec![Share { workers, attempts }; loops]
}

/// Parts whose sums are N and M exactly, as equal as can be; the first get the rest.
///
/// # Errors
/// One of the parts would be nothing.
pub(crate) fn divided(
    workers: u32,
    attempts: Option<u64>,
    loops: usize,
) -> Result<Vec<Share>, ShareError> {
    let workers = parts(workers.into(), "workers", loops)?;
    let attempts = match attempts {
        Some(attempts) => parts(attempts, "attempts", loops)?
            .into_iter()
            .map(Some)
            .collect(),
        None => vec![None; loops],
    };
    let pairs = workers.into_iter().zip(attempts);
    Ok(pairs
        .map(|(workers, attempts)| Share {
            workers: u32::try_from(workers).unwrap_or(u32::MAX),
            attempts,
        })
        .collect())
}

fn parts(amount: u64, what: &'static str, loops: usize) -> Result<Vec<u64>, ShareError> {
    let count = loops as u64;
    if amount < count {
        return Err(ShareError {
            amount,
            what,
            loops,
        });
    }
    let (each, rest) = match count {
        0 => return Ok(Vec::new()),
        count => (amount / count, amount % count),
    };
    Ok((0..count)
        .map(|index| each + u64::from(index < rest))
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_be_divided_is_refused() {
        assert_eq!(
            divided(3, Some(30), 6).unwrap_err().to_string(),
            "3 workers cannot be divided over 6 loops that do not share a budget: each needs one"
        );
        assert!(divided(6, Some(5), 6).is_err());
        assert_eq!(divided(1, None, 0).unwrap(), []);
    }

    proptest! {
        /// The sums are exact, nobody gets nothing, and no two parts differ by more than one.
        #[test]
        fn parts_add_up(loops in 1_usize..60, workers in 1_u32..200, attempts in 1_u64..5_000) {
            prop_assume!(workers as usize >= loops && attempts as usize >= loops);
            let parts = divided(workers, Some(attempts), loops).unwrap();
            prop_assert_eq!(parts.iter().map(|part| part.workers).sum::<u32>(), workers);
            let given: Vec<u64> = parts.iter().filter_map(|part| part.attempts).collect();
            prop_assert_eq!(given.iter().sum::<u64>(), attempts);
            prop_assert!(given.iter().max().unwrap() - given.iter().min().unwrap() <= 1);
            prop_assert!(parts.iter().all(|part| part.workers >= 1));
        }
    }
}
