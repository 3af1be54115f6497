//! The one question of a pass: everything that is outstanding, of all chosen projects, at once.
//!
//! What could not be asked is kept apart from what was answered. Nothing is concluded here.

use crate::act::{Dispatcher, Options};
use crate::backend::BackendError;
use crate::id::Token;
use crate::phase::Phase;
use crate::plan::rules::SET_BY_SESSION;
use crate::plan::{Questions, due, not_before};
use crate::time::Timestamp;
use crate::world::{ClusterReach, Facts, Observations, Project, ProjectState, World};

impl Dispatcher {
    /// Asks the cluster once about everything that is outstanding.
    pub(super) async fn ask(&self, world: &World, options: &Options) -> Observations {
        let chosen = world
            .projects
            .iter()
            .filter(|project| options.chooses(&project.slug));
        let facts: Vec<&Facts> = chosen.filter_map(readable).collect();
        let questions = due(facts.iter().copied(), &self.context(self.env.now()));
        let steps_need_it = facts
            .iter()
            .any(|facts| matches!(facts.phase(), Phase::Run) || asked_for_session(facts));
        let mut seen = Observations::none();
        if questions.is_empty() && !steps_need_it {
            return seen;
        }
        seen.cluster = match self.put(&questions, &mut seen).await {
            Ok(()) => ClusterReach::Answered,
            Err(error) => ClusterReach::Failed(error),
        };
        seen
    }

    /// Stops at the first sign that nobody answers: a login node that is asked again and again throttles (incident
    /// 56). What could not be found out about one submission keeps only that one waiting.
    async fn put(
        &self,
        questions: &Questions,
        seen: &mut Observations,
    ) -> Result<(), BackendError> {
        let backend = self.cluster.as_ref().map_err(Clone::clone)?;
        backend.check().await?;
        let asked: Vec<(Token, Timestamp)> = questions
            .intents
            .iter()
            .map(|intent| &intent.request)
            .map(|request| (request.token.clone(), not_before(request.intent_at)))
            .collect();
        if !asked.is_empty() {
            let receipts = backend.receipts(&asked).await?;
            for ((token, _), receipt) in asked.into_iter().zip(receipts) {
                let receipt = receipt.map_err(|error| error.to_string());
                seen.receipts.insert(token, receipt);
            }
        }
        if !questions.jobs.is_empty() {
            let observations = backend.observe(&questions.jobs).await?;
            seen.jobs = observations
                .into_iter()
                .map(|observation| (observation.job, observation))
                .collect();
        }
        Ok(())
    }
}

/// The facts of a project that could be read.
pub(super) fn readable(project: &Project) -> Option<&Facts> {
    match &project.state {
        ProjectState::Readable(facts) => Some(facts),
        ProjectState::Unreadable(_) => None,
    }
}

/// As [`readable`], to be changed.
pub(super) fn readable_mut(project: &mut Project) -> Option<&mut Facts> {
    match &mut project.state {
        ProjectState::Readable(facts) => Some(facts),
        ProjectState::Unreadable(_) => None,
    }
}

/// Whether the machine asked a person for a session.
pub(super) fn asked_for_session(facts: &Facts) -> bool {
    let input = &facts.view.needs_user_input;
    input.value && input.set_by.as_deref() == Some(SET_BY_SESSION)
}
