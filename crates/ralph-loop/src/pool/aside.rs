//! Work that does not go on, and worktrees that do not go: kept where they are, and named in the attempt's record.

use super::PoolError;
use super::attempt_end::{End, SafeWork, Undelivered};
use super::checks;
use super::finish::Finishing;
use super::ready::words;
use super::schedule::Ended;
use super::shop::Shop;
use crate::git::GitError;
use crate::integrate::IntegrateError;
use crate::outcome::Outcome;
use crate::worktree::{Safe, Work, WorktreeError};

/// Work that does not go on is kept on its branch and named. One that was put aside before is found there. What cannot
/// be put aside stays in its worktree, which is named then.
pub(super) async fn put_aside(
    shop: &Shop,
    attempt: &Finishing,
    mut why: Undelivered,
) -> Result<End, PoolError> {
    let (worktrees, assigned) = (&attempt.site.worktrees, &attempt.assigned);
    if !assigned.path.is_dir() {
        return as_it_was_kept(attempt, why).await;
    }
    let message = format!(
        "ralph: unfinished work on {} ({})",
        attempt.record.task.id, why.outcome
    );
    match worktrees.keep(assigned, &message, shop.env.now()).await {
        Ok((kept, spare)) => {
            attempt.site.put_by(spare);
            Ok(End::undelivered(why, kept))
        }
        Err(error) => {
            why.reason = joined(Some(why.reason), &stays(attempt, &error));
            as_it_was_kept(attempt, why).await
        }
    }
}

/// The end of an attempt whose work git does not take down, such as for a file that cannot be read. It stays in its
/// worktree, and each later start tries once more to put it on its branch.
pub(super) async fn uncaptured(
    attempt: &Finishing,
    error: &WorktreeError,
) -> Result<End, PoolError> {
    let why = Undelivered::new(Outcome::Crashed, stays(attempt, error), Ended::Tried);
    as_it_was_kept(attempt, why).await
}

async fn as_it_was_kept(attempt: &Finishing, why: Undelivered) -> Result<End, PoolError> {
    let kept = attempt.site.worktrees.kept_before(&attempt.assigned);
    Ok(End::undelivered(why, kept.await?))
}

/// Whether git has said no, and would say so again.
pub(super) fn is_refused(error: &PoolError) -> bool {
    let git = match error {
        PoolError::Git(git)
        | PoolError::Worktree(WorktreeError::Git(git))
        | PoolError::Integrate(
            IntegrateError::Git(git) | IntegrateError::Worktree(WorktreeError::Git(git)),
        ) => git,
        _ => return false,
    };
    matches!(git, GitError::Failed { .. })
}

/// Why work is not delivered whatever the checks say of it.
pub(super) async fn unfit(attempt: &Finishing, work: &Work) -> Result<Option<String>, PoolError> {
    if let Some(reason) = unfinished(work) {
        return Ok(Some(reason));
    }
    let deleted = attempt.site.worktrees.deletes_everything(work).await?;
    Ok(deleted.map(|files| {
        format!(
            "it deletes all {files} files of the repository and brings none: look at its branch, and merge that by hand \
             where it is what you want"
        )
    }))
}

fn unfinished(work: &Work) -> Option<String> {
    let in_submodules = || {
        let names = work.submodules.join(", ");
        format!("commits or changes in the submodule {names} are nowhere else")
    };
    let has_some = !work.submodules.is_empty();
    work.unfinished
        .clone()
        .or_else(|| has_some.then(in_submodules))
}

/// Says of an attempt where else commits of it are, and of one whose work is safe that its worktree stays.
pub(super) async fn tell_of(
    shop: &Shop,
    attempt: &Finishing,
    end: &mut End,
) -> Result<(), PoolError> {
    let (worktrees, assigned) = (&attempt.site.worktrees, &attempt.assigned);
    worktrees
        .take_notes()
        .into_iter()
        .for_each(|note| shop.note(note));
    let reason = &mut end.closing.reason;
    if end.closing.outcome == Outcome::Done
        && let Some(words) = checks::failed_before(&attempt.record)
    {
        *reason = Some(joined(reason.take(), &words));
    }
    let asides = if attempt.is_resumed {
        worktrees.find_asides(assigned).await?
    } else {
        worktrees.take_asides(Some(assigned))
    };
    if !asides.is_empty() {
        let words = format!("commits that the agent left are on {}", asides.join(", "));
        shop.note(format!("{}: {words}", attempt.record.task.id));
        *reason = Some(joined(reason.take(), &words));
    }
    if let Some(SafeWork { work, .. }) = &end.safe
        && let Some(error) = held(attempt, work)
    {
        *reason = Some(joined(reason.take(), &words(&error)));
    }
    Ok(())
}

fn held(attempt: &Finishing, work: &Work) -> Option<WorktreeError> {
    (!work.embedded.is_empty()).then(|| WorktreeError::Embedded {
        path: attempt.assigned.path.clone(),
        folders: work.embedded.clone(),
    })
}

/// Gives the worktree of an attempt back. Its work is safe, so that a worktree which does not go is no failure of the
/// attempt: it is named, and the next start looks at it again.
pub(super) async fn release(shop: &Shop, attempt: &Finishing, safe: &SafeWork, is_merged: bool) {
    let SafeWork { commit, work } = safe;
    let safe = if is_merged {
        Safe::Merged(commit)
    } else {
        Safe::OnBranch(commit)
    };
    let worktrees = &attempt.site.worktrees;
    match worktrees.release(&attempt.assigned, work, safe).await {
        Ok(spare) => attempt.site.put_by(spare),
        Err(error) => {
            let what = stays(attempt, &error);
            shop.note(format!("{}: {what}", attempt.record.task.id));
        }
    }
}

/// What keeps a worktree, and where it is.
fn stays(attempt: &Finishing, error: &WorktreeError) -> String {
    let why = words(error);
    let path = attempt.assigned.path.display().to_string();
    if why.contains(&path) {
        return why;
    }
    format!("{why}; the worktree {path} was left as it is")
}

/// The reason of an end, with more words.
fn joined(reason: Option<String>, words: &str) -> String {
    match reason {
        // After a crash it was said before.
        Some(reason) if reason.contains(words) => reason,
        Some(reason) => format!("{reason}; {words}"),
        None => words.to_owned(),
    }
}
