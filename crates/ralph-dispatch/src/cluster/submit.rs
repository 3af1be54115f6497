//! A loop's submission: its job script, what it is told by variables, and the record that comes first.

use std::collections::BTreeMap;
use std::path::Path;

use ralph_core::backend::{ClusterBackend, GitCommit, SubmitRequest};
use ralph_core::crash_point;
use ralph_core::digest::sha256;
use ralph_core::error::Code;
use ralph_core::id::{IdError, JobId};
use ralph_core::project;
use ralph_core::store::atomic;
use ralph_core::time::Timestamp;
use ralph_front::failure::Failure;
use ralph_front::machine::block_on;

use super::{backend, named};
use crate::carry;
use crate::probe;
use crate::record::{Figures, Job, LoopRecord, Settled};
use crate::report::LaunchReport;
use crate::resolve::Knobs;
use crate::standing::JobStanding;
use crate::workbench::Workbench;

/// What the job runs; a shell reads it as it is, and every value comes by a variable.
const SCRIPT: &str = include_str!("../scripts/loop.sh");

/// What every job asks for; a person's own options follow.
const DIRECTIVES: &str = "#SBATCH --job-name=ralph-loop\n#SBATCH --output=slurm/logs/%x_%j.out\n";

/// Submits the loops, each with its record on disk first. The caller holds the workbench's lock.
pub(crate) fn submit(
    bench: &Workbench,
    records: &[LoopRecord],
    knobs: &Knobs,
    arguments: &[Vec<String>],
    report: &mut LaunchReport,
) -> Result<(), Failure> {
    let cluster = backend(bench)?;
    block_on(cluster.check())??;
    let script = script(knobs.job_options.as_ref().map(|found| found.value.as_str()))?;
    for ((record, arguments), row) in records.iter().zip(arguments).zip(&mut report.loops) {
        let submitted = block_on(submit_one(
            bench,
            cluster.as_ref(),
            record,
            knobs,
            arguments,
            &script,
        ))?;
        match submitted {
            Ok(job) => row.job = Some(job.to_string()),
            Err(failure) => row.error = Some(failure.message()),
        }
    }
    Ok(())
}

async fn submit_one(
    bench: &Workbench,
    cluster: &dyn ClusterBackend,
    record: &LoopRecord,
    knobs: &Knobs,
    arguments: &[String],
    script: &str,
) -> Result<JobId, Failure> {
    let layout = &bench.layout;
    let request = request(bench, record, knobs, arguments, script).await?;
    let folder = project::folder(&layout.cluster(), &request.project);
    atomic::create_dir(&folder)?;
    let branch = request
        .variables
        .get("LOOP_BRANCH")
        .cloned()
        .unwrap_or_default();
    let mut record = LoopRecord {
        log_from: crate::log_text::size(&layout.log(&record.repository)),
        job: Some(Box::new(Job {
            kind: cluster.kind().to_owned(),
            request: request.clone(),
            job: None,
            branch,
            fetched: 0,
            log_missed: None,
        })),
        ..record.clone()
    };
    record.write_submission(layout)?;
    record.write(layout)?;
    crash_point!("dispatch.job-intended");
    let receipt = cluster.submit(&request).await?;
    crash_point!("dispatch.job-submitted");
    let Some(job) = record.job.as_deref_mut() else {
        return Err(Failure::new(Code::Bug, "a job's record lost its job"));
    };
    let refused = named(job, receipt).err();
    if let Some(standing) = refused {
        let reason = standing.reason.clone().unwrap_or_default();
        if standing.state.is_final() {
            record.settled = Some(settled(&standing, bench.env.now()));
            record.write(layout)?;
            return Err(Failure::new(Code::Refused, reason));
        }
        let code = Code::Unclear;
        return Err(Failure::new(code, reason).hint("The next look asks the cluster again."));
    }
    let number = job.job;
    record.write(layout)?;
    number.ok_or_else(|| Failure::new(Code::Bug, "an accepted job has no number"))
}

fn settled(standing: &JobStanding, now: Timestamp) -> Settled {
    Settled {
        state: standing.state,
        exit_code: standing.exit_code,
        reason: standing.reason.clone(),
        ended: Some(now),
        pull_requests: Vec::new(),
        figures: Figures::default(),
        in_pipeline: false,
    }
}

/// The submission of one loop: its commit was found pushed by the gate.
async fn request(
    bench: &Workbench,
    record: &LoopRecord,
    knobs: &Knobs,
    arguments: &[String],
    script: &str,
) -> Result<SubmitRequest, Failure> {
    let folder = bench.layout.repository(&record.repository);
    let git = |arguments: &'static [&'static str]| {
        let folder = folder.clone();
        async move {
            probe::git(&folder, arguments)
                .await
                .map(|text| text.trim().to_owned())
        }
    };
    let failed =
        |why: String| Failure::new(Code::Failed, format!("{}: git: {why}", record.repository));
    let source = probe::source(&folder).await.map_err(failed)?;
    let sha = git(&["rev-parse", "HEAD"]).await.map_err(failed)?;
    let base = git(&["rev-parse", "--abbrev-ref", "HEAD"])
        .await
        .map_err(failed)?;
    let mut variables = BTreeMap::from([
        ("LOOP_REPOSITORY", record.repository.clone()),
        (
            "LOOP_BASE",
            if base == "HEAD" {
                "main".to_owned()
            } else {
                base
            },
        ),
        (
            "LOOP_BRANCH",
            format!("ralph-{}/cluster-{}", record.engine, record.launch),
        ),
        ("LOOP_PROGRAM", knobs.job_program.value.clone()),
        ("LOOP_ARGUMENTS", arguments.join("\n")),
    ]);
    if let Some(command) = &knobs.agent_command {
        variables.insert("RALPH_AGENT_COMMAND", command.value.clone());
    }
    let plan = carry::plan_at_home(&folder, &bench.env).map_err(failed)?;
    let deliveries = carry::told(&plan.deliveries()?)?;
    variables.extend(author(&folder).await);
    let wrong = |error: IdError| Failure::new(Code::Bug, error.to_string());
    let run = record.launch.parse().map_err(wrong)?;
    Ok(SubmitRequest {
        token: bench.env.ids.token(&run),
        run,
        item: None,
        project: format!("loop-{}", record.repository)
            .parse()
            .map_err(wrong)?,
        script_path: "slurm/jobs/loop.sbatch".to_owned(),
        script: script.to_owned(),
        script_sha256: sha256(script.as_bytes()),
        config_path: None,
        config: None,
        variables: variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .chain(deliveries)
            .collect(),
        git: Some(GitCommit {
            url: source.url,
            sha,
        }),
        after: Vec::new(),
        exclude: Vec::new(),
        intent_at: bench.env.now(),
    })
}

/// Who commits: the clone has none of this user's configuration.
async fn author(folder: &Path) -> Vec<(&'static str, String)> {
    let mut variables = Vec::new();
    for (key, names) in [
        ("user.name", ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"]),
        ("user.email", ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"]),
    ] {
        if let Ok(value) = probe::git(folder, &["config", key]).await {
            variables.extend(names.map(|name| (name, value.trim().to_owned())));
        }
    }
    variables
}

/// The job's script: directives, then the fixed text. The user's options become comment lines, which no shell runs.
fn script(options: Option<&str>) -> Result<String, Failure> {
    let (shebang, rest) = SCRIPT.split_once('\n').unwrap_or((SCRIPT, ""));
    let mut text = format!("{shebang}\n{DIRECTIVES}");
    for word in options.unwrap_or_default().split_whitespace() {
        if !word.starts_with('-') {
            let message = format!(
                "WB_RALPH_JOB_OPTIONS: expected an option such as --partition=gpu, found `{word}`"
            );
            return Err(Failure::new(Code::Usage, message));
        }
        text.push_str("#SBATCH ");
        text.push_str(word);
        text.push('\n');
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_directives_and_nothing_else_does() {
        let text = script(Some("--partition=gpu  --time=4:00:00")).unwrap();
        let lines: Vec<&str> = text.lines().take(6).collect();
        assert_eq!(
            lines[..5],
            [
                "#!/bin/bash",
                "#SBATCH --job-name=ralph-loop",
                "#SBATCH --output=slurm/logs/%x_%j.out",
                "#SBATCH --partition=gpu",
                "#SBATCH --time=4:00:00",
            ]
        );
        assert!(lines[5].starts_with("# The loop of one repository"));
        assert!(script(Some("rm -rf")).is_err());
    }
}
