//! Logs by offset, bounded; and which files exist. Read-only on the cluster.

use std::time::Duration;

use ralph_core::backend::{BackendError, FetchReport, FetchRequest, LogPart};
use ralph_core::id::{JobId, Slug};

use crate::remote::{Call, Remote};
use crate::script::{CANCEL, EXISTING, TAIL};

/// A piece of one log.
pub(crate) async fn fetch(
    remote: &Remote,
    request: &FetchRequest,
) -> Result<FetchReport, BackendError> {
    let part = match request.part {
        LogPart::From(offset) => offset.to_string(),
        LogPart::End => "end".to_owned(),
    };
    let arguments = [
        request.project.as_str(),
        &request.job.to_string(),
        request.token.as_ref().map_or("", |token| token.as_str()),
        request.stream.suffix(),
        &part,
        &request.limit.to_string(),
    ];
    let reply = remote
        .call(Call {
            script: &TAIL,
            arguments: &arguments,
            data: b"",
            limit: Duration::from_secs(120),
        })
        .await?
        .whole()?;
    if reply.part("missing").is_some() {
        return Ok(FetchReport {
            path: None,
            bytes: Vec::new(),
            offset: 0,
            size: None,
        });
    }
    let place = reply
        .answer("place")
        .map_err(|detail| unreadable(&detail))?;
    let (size, offset) = place
        .trim()
        .split_once(' ')
        .and_then(|(size, offset)| Some((size.parse().ok()?, offset.parse().ok()?)))
        .ok_or_else(|| unreadable(&place))?;
    let log = reply.part("log").filter(|part| part.code == 0);
    Ok(FetchReport {
        path: reply
            .answer("path")
            .ok()
            .map(|path| path.trim_end_matches('\n').to_owned()),
        bytes: log
            .map(|part| part.body.clone())
            .ok_or_else(|| unreadable(&reply.complaint("log")))?,
        offset,
        size: Some(size),
    })
}

/// Which of these paths exist in the project's folder there.
pub(crate) async fn existing(
    remote: &Remote,
    project: &Slug,
    paths: &[String],
) -> Result<Vec<bool>, BackendError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let mut data = String::new();
    for path in paths {
        // A path with a line break would be two questions.
        data.push_str(&path.replace(['\n', '\r'], "\u{fffd}"));
        data.push('\n');
    }
    let reply = remote
        .call(Call {
            script: &EXISTING,
            arguments: &[project.as_str()],
            data: data.as_bytes(),
            limit: Duration::from_secs(60),
        })
        .await?
        .whole()?;
    if reply.part("missing").is_some() {
        return Ok(vec![false; paths.len()]);
    }
    let answer = reply
        .answer("existing")
        .map_err(|detail| unreadable(&detail))?;
    let found: Vec<bool> = answer.lines().map(|line| line == "yes").collect();
    if found.len() == paths.len() {
        Ok(found)
    } else {
        Err(unreadable(&format!(
            "{} answers to {} questions",
            found.len(),
            paths.len()
        )))
    }
}

/// Asks for jobs to be cancelled, all in one command. That it was asked is all that success says.
pub(crate) async fn cancel(remote: &Remote, jobs: &[JobId]) -> Result<(), BackendError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let lines: String = jobs.iter().map(|job| format!("{job}\n")).collect();
    let reply = remote
        .call(Call {
            script: &CANCEL,
            arguments: &[],
            data: lines.as_bytes(),
            limit: Duration::from_secs(60),
        })
        .await?
        .whole()?;
    match reply.answer("cancel") {
        Ok(_) => Ok(()),
        // A job that is gone needs no cancelling; the observation that follows says which it was.
        Err(detail) if detail.to_lowercase().contains("invalid job id") => Ok(()),
        Err(detail) => Err(BackendError::Unreachable {
            detail: format!("scancel failed: {detail}"),
        }),
    }
}

fn unreadable(detail: &str) -> BackendError {
    BackendError::Garbled {
        detail: detail.chars().take(300).collect(),
    }
}
