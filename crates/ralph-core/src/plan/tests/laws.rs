//! Laws of planning and settling, on random projects.

use proptest::prelude::*;

use crate::change::{ChangeSet, FileEdit};
use crate::classify::{Case, classify};
use crate::fixture::Fixture;
use crate::job::Finality;
use crate::order::OrderOutcome;
use crate::pipeline::PipelineFile;
use crate::plan::verify::{self, RunVerdict};
use crate::plan::{Selection, Step, plan};
use crate::settle::{check, ending, finish, order, submission};
use crate::store::layout;
use crate::time::SignedDuration;
use crate::world::{Facts, Observations, ProjectState};

const PHASES: [&str; 14] = [
    "IDLE",
    "INIT",
    "IMPLEMENT",
    "TEST",
    "RUN",
    "READY",
    "WAIT_SLURM",
    "CHECK",
    "ANALYSIS",
    "DEBUG",
    "DEBATE",
    "DONE",
    "AUTORESEARCH",
    "waiting for gates",
];
const STATUSES: [&str; 8] = [
    "pending",
    "running",
    "submitted",
    "completed",
    "failed",
    "superseded",
    "??",
    "OUT_OF_MEMORY",
];
const SECTIONS: [&str; 5] = ["READY", "IN_PROGRESS", "DONE", "FAILED", "PARKED"];
const STATES: [&str; 7] = [
    "PENDING",
    "RUNNING",
    "COMPLETED",
    "FAILED 1:0",
    "NODE_FAIL",
    "absent",
    "unknown",
];

fn run_record(list: &'static str) -> impl Strategy<Value = String> {
    (
        0..6_u32,
        prop::sample::select(&STATUSES[..]),
        0..4_u32,
        any::<bool>(),
    )
        .prop_map(move |(number, status, item, ours)| {
            let ours = if ours {
                ", \"attempt\": 1, \"submitted_at\": \"2026-11-20T11:00:00Z\""
            } else {
                ""
            };
            format!(
                "{{\"run_id\": \"{list}{number}\", \"job_id\": \"{}\", \"status\": {status:?}, \
                 \"queue_id\": \"Q-00{item}\"{ours}}}",
                1_000 + number
            )
        })
}

fn runs(list: &'static str) -> impl Strategy<Value = String> {
    let distinct = prop::collection::btree_map(0..6_u32, run_record(list), 0..4);
    distinct.prop_map(move |runs| {
        let unique = runs.into_iter().map(|(number, run)| {
            let at = run.find("\"job_id\"").unwrap();
            format!("{{\"run_id\": \"{list}{number}\", {}", &run[at..])
        });
        unique.collect::<Vec<_>>().join(", ")
    })
}

fn queue() -> impl Strategy<Value = String> {
    prop::collection::vec((0..SECTIONS.len(), prop::option::of(0..4_u32)), 0..4).prop_map(|items| {
        let mut text = String::from("# Queue\n");
        for (place, section) in SECTIONS.iter().enumerate() {
            text.push_str(format!("\n## {section}\n\n").as_str());
            let here = items
                .iter()
                .enumerate()
                .filter(|(_, (section, _))| *section == place);
            let mut any = false;
            for (number, (_, after)) in here {
                any = true;
                text.push_str(
                    format!(
                        "### Q-00{number}: item {number}\n\n- Script: slurm/jobs/q{number}.sbatch\n"
                    )
                    .as_str(),
                );
                if let Some(after) = after {
                    text.push_str(format!("- After: Q-00{after}\n").as_str());
                }
                text += "\n";
            }
            if !any {
                text += "(none)\n";
            }
        }
        text
    })
}

fn project() -> impl Strategy<Value = String> {
    let input = prop::sample::select(vec![
        "false".to_owned(),
        "{\"value\": true, \"prompt\": \"which?\"}".to_owned(),
        "{\"value\": true, \"prompt\": \"x\", \"set_by\": \"ralph:preflight:Q-000\"}".to_owned(),
        "null".to_owned(),
        "false".to_owned(),
    ]);
    let wait = prop::sample::select(vec![
        "null",
        "\"2026-11-20T11:00:00Z\"",
        "\"2026-11-20T12:30:00Z\"",
        "\"PENDING\"",
    ]);
    let tasks = prop::collection::vec(any::<bool>(), 0..3).prop_map(|tasks| {
        let lines = tasks.iter().enumerate();
        let lines = lines
            .map(|(n, done)| format!("- [{}] (T{n}) task {n}\n", if *done { 'x' } else { ' ' }));
        format!("## Ready\n\n{}", lines.collect::<String>())
    });
    let debugging = prop::sample::select(vec![
        "",
        "## Active Issues\n\n- [ ] (D1) a <!-- ralph: a1/1001 -->\n  - Blocking: yes\n",
        "## BLOCKING\n\n### DBG-001: by hand\n",
    ]);
    let phase = prop::sample::select(&PHASES[..]);
    (phase, runs("a"), runs("c"), queue(), tasks, debugging, input, wait).prop_map(
        |(phase, active, completed, queue, tasks, debugging, input, wait)| {
            format!(
                "//- SLUG/.state/pipeline.json\n{{\n  \"phase\": {phase:?},\n  \"needs_user_input\": {input},\n  \
                 \"slurm_wait\": {{\"next_poll_after\": {wait}}},\n  \"active_runs\": [{active}],\n  \
                 \"completed_runs\": [{completed}]\n}}\n//- SLUG/documentation/queue.md\n{queue}\
                 //- SLUG/documentation/implementation-todo.md\n{tasks}//- SLUG/documentation/debugging.md\n{debugging}"
            )
        },
    )
}

fn answers() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&STATES[..]), 6).prop_map(|states| {
        let lines = states.iter().enumerate();
        let lines = lines.map(|(n, state)| format!("{} {state}\n", 1_000 + n));
        format!("//- cluster\n{}", lines.collect::<String>())
    })
}

fn world() -> impl Strategy<Value = String> {
    let projects = prop::collection::vec(project(), 1..5).prop_map(|projects| {
        let named = projects.iter().enumerate();
        named
            .map(|(n, text)| text.replace("SLUG", &format!("p{n}")))
            .collect::<String>()
    });
    (projects, answers()).prop_map(|(projects, answers)| projects + &answers)
}

fn records(texts: &str) -> Vec<String> {
    let view = PipelineFile::parse(texts.to_owned()).unwrap().view();
    let runs = view.active_runs.iter().chain(&view.completed_runs);
    let mut ids: Vec<String> = runs.filter_map(|run| run.key.run_id.clone()).collect();
    ids.sort();
    ids
}

fn phase_of(changes: &ChangeSet) -> Option<&serde_json::Value> {
    changes.files.iter().find_map(|file| match &file.edit {
        FileEdit::Pipeline { edits } => edits.iter().find_map(|edit| match edit {
            crate::pipeline::PipelineEdit::Set { path, value } if path == &["phase"] => Some(value),
            _ => None,
        }),
        _ => None,
    })
}

/// One project that lives through passes of dispatch, all in memory: jobs end as the test says, orders are done.
struct Life {
    fixture: Fixture,
    next_job: u64,
    ends: Vec<&'static str>,
}

impl Life {
    fn apply(&mut self, changes: &ChangeSet) -> bool {
        let external = !self.fixture.facts().phase().is_canonical();
        assert!(!(external && phase_of(changes).is_some()), "{changes:?}");
        let state = |life: &Self| {
            let texts = life.fixture.projects.values().next().unwrap();
            texts[layout::PIPELINE].clone()
        };
        let before = records(&state(self));
        let changed = !self.fixture.apply(changes).is_empty();
        let after = records(&state(self));
        let mut left = after.clone();
        for id in &before {
            let at = left.iter().position(|kept| kept == id);
            left.remove(at.unwrap_or_else(|| panic!("{id} of {before:?} is lost: {after:?}")));
        }
        changed
    }

    /// The cluster's answers: every job of the books has ended by now.
    fn answer(&mut self) {
        let facts = self.fixture.facts();
        let jobs = facts.tracked_runs().flat_map(|(_, jobs)| jobs);
        let lines = jobs.map(|job| {
            let end = self.ends[usize::try_from(job.base()).unwrap() % self.ends.len()];
            format!("{job} {end}\n")
        });
        let text = format!("//- cluster\n{}", lines.collect::<String>());
        self.fixture.seen = Fixture::parse(&text).seen;
    }

    fn verify(&mut self) -> bool {
        let facts = self.fixture.facts();
        let (findings, _) = verify::runs(&facts, &self.fixture.seen, &self.fixture.context());
        let mut mending = finish::Mending::default();
        let mut changed = false;
        for finding in &findings {
            match finding.verdict {
                RunVerdict::Misfiled => mending.misfiled.push(finding.key.clone()),
                RunVerdict::FiledTwice => mending.twice.push(finding.key.clone()),
                _ => {}
            }
        }
        changed |= self.apply(&finish::mended(&facts, &mending, self.fixture.now));
        for finding in findings {
            let RunVerdict::Ended { reports } = finding.verdict else {
                continue;
            };
            let facts = self.fixture.facts();
            let same = |run: &&crate::pipeline::RunView| run.key.run_id == finding.key.run_id;
            let run = facts.view.active_runs.iter().find(same).unwrap();
            let diagnosis = classify(&Case::of(verify::decisive(&reports).unwrap(), &[], &[]));
            let ending = ending::Ending {
                run,
                reports: &reports,
                diagnosis: &diagnosis,
                logs: &[],
            };
            let changes = finish::ended(&facts, &ending, &self.fixture.context());
            changed |= self.apply(&changes);
        }
        changed
    }

    fn step(&mut self, selection: &Selection) -> bool {
        let context = self.fixture.context();
        let plan = plan(
            &self.fixture.world(),
            &self.fixture.seen,
            selection,
            &context,
        );
        let Some(step) = plan.steps.first().filter(|step| !step.again) else {
            return false;
        };
        let facts = self.fixture.facts();
        let context = self.fixture.context();
        let changes = match &step.step {
            Step::Submit { item, attempt } => {
                assert!(facts.intents.is_empty());
                self.next_job += 1;
                let mut intent = crate::settle::tests::intent(item.as_str());
                intent.attempt = *attempt;
                intent.request.run = format!("new{}", self.next_job).parse().unwrap();
                let receipt = crate::backend::Receipt::Accepted {
                    job: crate::id::JobId::whole(self.next_job).unwrap(),
                    cluster: None,
                    how: crate::backend::FoundBy::Marker,
                    remarks: String::new(),
                };
                let poll = &self.fixture.settings.poll;
                submission::accepted(&facts, &intent, &receipt, poll, self.fixture.now)
            }
            Step::Poll => check::polled(&facts, &[], &context),
            Step::Check { runs } => {
                let named = |run: &&crate::pipeline::RunView| {
                    runs.iter()
                        .any(|(id, _)| run.key.run_id.as_deref() == Some(id))
                };
                let runs: Vec<_> = facts
                    .view
                    .completed_runs
                    .iter()
                    .filter(named)
                    .map(|run| (run, None))
                    .collect();
                check::checked(&facts, &runs, &context)
            }
            Step::Test(_) => panic!("no command is configured"),
            Step::Order(asked) => order::settled(&facts, asked, &OrderOutcome::HandedOut, &context),
            Step::Advance { to } => check::advanced(&facts, to, &step.because, &context),
        };
        self.apply(&changes)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every project is in exactly one of the two lists, has at most one step, and the plan is the same twice.
    #[test]
    fn a_plan_is_total_and_deterministic(text in world(), batch in 0..4_usize, intents in any::<bool>()) {
        let fixture = Fixture::parse(&text);
        let mut world = fixture.world();
        for project in &mut world.projects {
            if let ProjectState::Readable(facts) = &mut project.state && intents {
                facts.intents = vec![crate::settle::tests::intent("Q-000")];
            }
        }
        let selection = Selection::Batch(batch);
        let made = plan(&world, &fixture.seen, &selection, &fixture.context());
        prop_assert_eq!(&made, &plan(&world, &fixture.seen, &selection, &fixture.context()));
        let mut slugs: Vec<_> = made.steps.iter().map(|step| &step.slug).collect();
        slugs.extend(made.passed_over.iter().map(|passed| &passed.slug));
        slugs.sort();
        let all: Vec<_> = world.projects.iter().map(|project| &project.slug).collect();
        prop_assert_eq!(slugs, all);
        prop_assert!(made.steps.iter().filter(|step| !step.again).count() <= batch);
        for step in &made.steps {
            prop_assert!(!(intents && matches!(step.step, Step::Submit { .. })), "{:?}", step);
        }
        let order: Vec<_> = made.steps.iter().map(|step| step.precedence).collect();
        prop_assert!(order.is_sorted());
    }

    /// A phase that nobody knows is never written, whatever happens to the project's runs.
    #[test]
    fn an_unknown_phase_is_never_written(text in project(), answers in answers(), phase in "[a-z]{3,9} [A-Z0-9 ,]{0,20}") {
        let text = text.replace("SLUG", "p");
        let at = text.find("\"phase\": ").unwrap();
        let end = at + text[at..].find(",\n").unwrap();
        let text = format!("{}\"phase\": {phase:?}{}", &text[..at], &text[end..]);
        let mut life = Life { fixture: Fixture::parse(&(text + &answers)), next_job: 5_000, ends: vec!["COMPLETED"] };
        let before = life.fixture.facts().view.phase;
        life.verify();
        prop_assert!(!life.step(&Selection::Batch(9)));
        prop_assert_eq!(life.fixture.facts().view.phase, before);
    }

    /// From anywhere, passes come to rest: only what a person or an agent owes is left. No record is lost on the way.
    #[test]
    fn passes_come_to_rest(
        text in project(),
        ends in prop::collection::vec(prop::sample::select(vec!["COMPLETED", "FAILED 1:0", "TIMEOUT", "CANCELLED", "NODE_FAIL"]), 1..4),
    ) {
        let fixture = Fixture::parse(&text.replace("SLUG", "p"));
        let mut life = Life { fixture, next_job: 5_000, ends };
        let selection = Selection::Batch(1);
        let mut quiet = 0;
        for _ in 0..80 {
            life.answer();
            let verified = life.verify();
            let stepped = life.step(&selection);
            quiet = if verified || stepped { 0 } else { quiet + 1 };
            if quiet == 3 {
                break;
            }
            life.fixture.now += SignedDuration::from_mins(20);
        }
        prop_assert_eq!(quiet, 3, "it never rests: {}", super::planned(&life.fixture));
        let facts: Facts = life.fixture.facts();
        let alive = |run: &crate::pipeline::RunView| !run.jobs.ids().is_empty();
        prop_assert!(!facts.live_runs().any(alive), "{:?}", facts.view.active_runs);
    }

    /// What was not asked about changes nothing.
    #[test]
    fn without_an_answer_no_run_changes(text in project()) {
        let fixture = Fixture::parse(&text.replace("SLUG", "p"));
        let facts = fixture.facts();
        let (findings, _) = verify::runs(&facts, &Observations::none(), &fixture.context());
        for finding in findings {
            let kept = matches!(finding.verdict, RunVerdict::Unknown { .. } | RunVerdict::NoJob | RunVerdict::Misfiled | RunVerdict::FiledTwice);
            prop_assert!(kept, "{:?}", finding);
        }
    }

    /// An end is only ever concluded from an end.
    #[test]
    fn an_end_needs_an_end(text in project(), answers in answers()) {
        let fixture = Fixture::parse(&(text.replace("SLUG", "p") + &answers));
        let (findings, _) = verify::runs(&fixture.facts(), &fixture.seen, &fixture.context());
        for finding in findings {
            if let RunVerdict::Ended { reports } = finding.verdict {
                prop_assert!(reports.iter().all(|report| report.finality() != Finality::Alive));
            }
        }
    }
}
