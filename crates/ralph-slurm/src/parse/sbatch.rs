//! `sbatch`: the id that it printed, and what its complaints prove.
//!
//! Only a text on the lists below proves that no job exists; everything else that failed proves nothing, because the
//! controller may have taken the job before the reply was lost.

use ralph_core::id::JobId;

/// What a failed `sbatch` proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No job exists, and asking again is useless.
    Refused,
    /// No job exists now; a limit or a full queue, which passes.
    Limit,
    /// Nothing.
    Unclear,
}

/// Texts after which a job may exist all the same (slurm-users, sbatch's own retries).
const UNCLEAR: &[&str] = &[
    "socket timed out",
    "unable to contact slurm controller",
    "zero bytes were transmitted",
    "standby mode",
    "unexpected message received",
    "rate limit exceeded",
    "invalid user for slurmuser",
    "connection refused",
    "communication connection failure",
    "communication shutdown failure",
    "protocol authentication error",
    "munge",
    "i/o error",
];

/// Limits of an association or a QOS, and a controller that is full: the item waits.
const LIMIT: &[&str] = &[
    "maxsubmitjob",
    "grpsubmitjob",
    "maxjobsperuser",
    "maxjobsperaccount",
    "grpjobs",
    "maxarraysize",
    "temporarily unable to accept job",
    "resource temporarily unavailable",
    "required partition not available",
    "requested partition configuration not available now",
    "required node not available",
    "reservation is not usable",
    "requested reservation is in the future",
];

/// The policy line stands for many limits; the line before it names which.
const POLICY: &str = "job violates accounting/qos policy";

/// Mistakes of the script or of the account.
const REFUSED: &[&str] = &[
    "invalid partition",
    "invalid account",
    "invalid qos",
    "invalid qos specification",
    "invalid feature specification",
    "invalid generic resource",
    "invalid job array specification",
    "invalid node name",
    "invalid reservation",
    "invalid constraint",
    "invalid license",
    "invalid wckey",
    "invalid dependency",
    "job dependency problem",
    "invalid directive",
    "invalid argument",
    "invalid --",
    "invalid time limit",
    "invalid numeric value",
    "requested time limit is invalid",
    "requested node configuration is not available",
    "requested gres option unsupported",
    "requested topology configuration is not available",
    "memory required by task is not available",
    "memory specification can not be satisfied",
    "more processors requested than permitted",
    "node count specification invalid",
    "pathname of a file, directory or other parameter too long",
    "user's group not permitted",
    "access/permission denied",
    "does not look like a batch script",
    "this does not look like a batch script",
    "dos line breaks",
    "unable to open file",
    "unable to open batch file",
    "unrecognized option",
    "unknown option",
    "requires an argument",
    "invalid option",
    "script is empty",
    "batch script is empty",
    "contains null character",
];

/// The job in the output of `sbatch --parsable`: the last line that is exactly `id` or `id;cluster`. A site's filter
/// may print more lines; a word such as `job` or `limits)` is no id (incident 47).
pub(crate) fn accepted_job(stdout: &str) -> Option<(JobId, Option<String>)> {
    stdout.lines().rev().find_map(|line| {
        let (id, cluster) = match line.trim().split_once(';') {
            Some((id, cluster)) => (id, Some(cluster.to_owned())),
            None => (line.trim(), None),
        };
        let digits = id.bytes().all(|byte| byte.is_ascii_digit());
        let job = id.parse().ok().filter(|_| digits)?;
        Some((job, cluster.filter(|name| !name.is_empty())))
    })
}

/// What this complaint proves.
pub(crate) fn judge(message: &str) -> Verdict {
    let text = message.to_lowercase();
    let any = |list: &[&str]| list.iter().any(|known| text.contains(known));
    if any(UNCLEAR) {
        Verdict::Unclear
    } else if any(LIMIT) {
        Verdict::Limit
    } else if text.contains(POLICY) {
        // `QOSMaxWallDurationPerJobLimit` and its like never clear; without a reason, waiting is the safe reading.
        if text.contains("perjob")
            || text.contains("maxwall")
            || text.contains("minimum")
            || text.contains("mincpu")
        {
            Verdict::Refused
        } else {
            Verdict::Limit
        }
    } else if any(REFUSED) {
        Verdict::Refused
    } else {
        Verdict::Unclear
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_line_that_is_an_id_is_an_id() {
        let job = |text: &str| accepted_job(text).map(|(job, cluster)| (job.to_string(), cluster));
        assert_eq!(job("39000001\n"), Some(("39000001".into(), None)));
        assert_eq!(job("12;west"), Some(("12".into(), Some("west".into()))));
        assert_eq!(
            job("Welcome!\n17\nYour quota is fine.\n"),
            Some(("17".into(), None))
        );
        assert_eq!(job("Submitted batch job 12"), None);
        assert_eq!(job("12_3"), None);
        assert_eq!(job("12345678901"), None);
        assert_eq!(job("job\nlimits)\n0\n"), None);
    }

    #[test]
    fn what_a_complaint_proves() {
        let real = [
            (
                "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
                Verdict::Unclear,
            ),
            (
                "sbatch: error: Unable to contact slurm controller (connect failure)",
                Verdict::Unclear,
            ),
            (
                "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates \
                 accounting/QOS policy (job submit limit, user's size and/or time limits)",
                Verdict::Limit,
            ),
            (
                "sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: Batch job submission failed: Job violates \
                 accounting/QOS policy (job submit limit, user's size and/or time limits)",
                Verdict::Refused,
            ),
            (
                "sbatch: error: invalid partition specified: nosuch",
                Verdict::Refused,
            ),
            (
                "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
                Verdict::Refused,
            ),
            (
                "sbatch: error: This does not look like a batch script.",
                Verdict::Refused,
            ),
            ("sbatch: error: something new", Verdict::Unclear),
            ("", Verdict::Unclear),
        ];
        for (message, verdict) in real {
            assert_eq!(judge(message), verdict, "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in ".{0,200}") {
            judge(&text);
            accepted_job(&text);
        }
    }
}
