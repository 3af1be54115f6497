//! Any order of claims, ends, crashes, edits and recoveries: each task is in one state, and nobody's work is lost.

use proptest::prelude::*;

use super::*;

/// What can happen next. The number chooses among what there is.
#[derive(Debug, Clone)]
enum Step {
    /// A worker of this process claims.
    Claim,
    /// A worker of this process ends its attempt: it ticks, gives back or delivers.
    End(usize, u8),
    /// Another process claims and dies: behind its claim, before its mark, or behind its tick.
    Crash(u8),
    /// A person puts a line in front of everything.
    Insert,
    /// A person takes every `[~]` away.
    Unmark,
    /// A person moves the last task below another heading.
    Move,
    /// The marks are lifted, a worker claims meanwhile, and they are put back.
    Lift,
    /// A loop starts.
    Recover,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Claim),
        4 => (any_number(), 0_u8..3).prop_map(|(which, how)| Step::End(which, how)),
        2 => (0_u8..3).prop_map(Step::Crash),
        1 => Just(Step::Insert),
        1 => Just(Step::Unmark),
        1 => Just(Step::Move),
        1 => Just(Step::Lift),
        2 => Just(Step::Recover),
    ]
}

fn any_number() -> impl Strategy<Value = usize> {
    0_usize..8
}

/// A plan, and what must be true of it.
struct Story {
    place: Place,
    plan: PlanFile,
    /// What this process has, by attempt.
    had: Vec<(String, Task)>,
    ticked: BTreeSet<String>,
    delivered: BTreeSet<String>,
    steps: usize,
}

impl Story {
    fn claim(&mut self) {
        let name = self.next_name();
        let taken = take(&self.plan, &super::any(), &name);
        self.note(name, taken);
    }

    fn next_name(&mut self) -> String {
        self.steps += 1;
        format!("a{}", self.steps)
    }

    fn note(&mut self, name: String, taken: Option<Task>) {
        let Some(task) = taken else {
            return;
        };
        let text = &task.row.text;
        let mut had = self.had.iter();
        assert!(
            !had.any(|(_, other)| other.row.text == *text),
            "{text} twice"
        );
        assert!(!self.ticked.contains(text), "{text} is done");
        assert!(!self.delivered.contains(text), "{text} is delivered");
        self.had.push((name, task));
    }

    fn end(&mut self, which: usize, how: u8) {
        if self.had.is_empty() {
            return;
        }
        let (name, task) = self.had.remove(which % self.had.len());
        let name = attempt(&name);
        let settled = match how {
            0 => self.plan.complete(&task, &name).unwrap(),
            1 => self.plan.revert(&task, &name).unwrap(),
            _ => self
                .plan
                .record_delivered(&task, &name, &delivered())
                .unwrap(),
        };
        assert!(
            !matches!(settled, Settled::Gone | Settled::NotOurs),
            "{settled:?}"
        );
        match how {
            0 => self.ticked.insert(task.row.text),
            1 => false,
            _ => self.delivered.insert(task.row.text),
        };
    }

    fn crash(&mut self, how: u8) {
        let dead = self.place.plan_of(dead_process());
        let before = self.place.text();
        let Some(task) = take(&dead, &super::any(), "dead") else {
            return;
        };
        match how {
            0 => {}
            1 => self.place.edit(&before),
            _ => {
                let box_of = |mark: &str| format!("[{mark}] {}\n", task.row.text);
                self.place
                    .edit(&self.place.text().replace(&box_of("~"), &box_of("x")));
                self.ticked.insert(task.row.text);
            }
        }
    }

    fn act(&mut self, step: &Step) {
        let text = self.place.text();
        match step {
            Step::Claim => self.claim(),
            Step::End(which, how) => self.end(*which, *how),
            Step::Crash(how) => self.crash(*how),
            Step::Insert => self.place.edit(&format!("a note\n\n{text}")),
            Step::Unmark => self.place.edit(&text.replace("[~]", "[ ]")),
            Step::Move => {
                let (start, last) = text.trim_end().rsplit_once('\n').unwrap();
                // Without it, all of them are moved.
                if let Some((first, rest)) = start.split_once("## A\n") {
                    self.place.edit(&format!("{first}{last}\n## A\n{rest}\n"));
                }
            }
            Step::Lift => {
                let name = self.next_name();
                let lifted = self.plan.lift_marks().unwrap();
                assert!(!self.place.text().contains("[~]"));
                let taken = take(&self.plan, &super::any(), &name);
                assert!(!self.place.text().contains("[~]"));
                lifted.restore().unwrap();
                self.note(name, taken);
            }
            Step::Recover => {
                let recovered = self.plan.recover(&|_| true).unwrap();
                assert!(
                    recovered
                        .claims
                        .iter()
                        .all(|claim| claim.attempt == attempt("dead"))
                );
                assert!(recovered.forgotten.is_empty());
            }
        }
    }

    /// Each task is in exactly the state that its story says.
    fn check(&self) {
        let plan = self.plan.read().unwrap();
        assert_eq!(plan.tasks.len(), 5, "no task comes or goes");
        for planned in &plan.tasks {
            let text = &planned.task.row.text;
            let ours = self.had.iter().any(|(_, task)| task.row.text == *text);
            match &planned.standing {
                Standing::Done => assert!(self.ticked.contains(text), "{text}"),
                Standing::Delivered(_) => assert!(self.delivered.contains(text), "{text}"),
                Standing::Claimed(claimant) => {
                    assert_eq!(claimant.life == Life::Alive, ours, "{text}");
                }
                Standing::ClaimedByNobodyKnown => panic!("{text}: a mark without a record"),
                Standing::Open => assert!(!ours, "{text}"),
            }
            assert!(
                !ours || matches!(planned.standing, Standing::Claimed(_)),
                "{text}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_leaves_each_task_in_one_state(steps in prop::collection::vec(step(), 1..16)) {
        let text = "# Plan\n## B\n## A\n- [ ] one\n- [ ] two\n- [ ] three\n- [ ] four\n- [ ] five\n";
        let place = Place::new(text);
        let mut story = Story {
            plan: place.plan(),
            place,
            had: Vec::new(),
            ticked: BTreeSet::new(),
            delivered: BTreeSet::new(),
            steps: 0,
        };
        for step in &steps {
            story.act(step);
            story.check();
        }
        story.act(&Step::Recover);
        story.check();
        // What nobody has, and is not done, can be had.
        while take(&story.plan, &super::any(), "last").is_some() {}
        let plan = story.plan.read().unwrap();
        prop_assert!(plan.tasks.iter().all(|planned| planned.standing != Standing::Open));
    }
}
