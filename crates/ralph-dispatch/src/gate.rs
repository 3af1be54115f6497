//! Whether a launch may happen. Pure: what was probed comes in, every reason against it comes out at once.

use std::path::PathBuf;

use ralph_core::error::Code;
use ralph_front::shell::word;

/// What was found about a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probes {
    /// The workbench, as git shows it.
    pub(crate) workbench: WorkTree,
    /// Each selected repository.
    pub(crate) repositories: Vec<RepositoryProbe>,
    /// What is wrong with the loop's program, if anything is: the message and what to do.
    pub(crate) program: Option<(String, String)>,
    /// The engine, and its program when that is not there.
    pub(crate) engine: Option<MissingEngine>,
}

/// A work tree, as git shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WorkTree {
    /// Nothing is changed.
    Clean,
    /// Lines of `git status --porcelain`.
    Dirty(Vec<String>),
    /// There is no such folder.
    Missing,
    /// The folder is no repository of its own.
    NoRepository,
    /// git could not be asked.
    Unknown(String),
}

/// What was found about a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryProbe {
    /// Its name.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its work tree.
    pub(crate) work_tree: WorkTree,
    /// What its HEAD is.
    pub(crate) head: Head,
    /// The name under which the same folder is selected before.
    pub(crate) same_as: Option<String>,
    /// Its plan.
    pub(crate) plan: PlanProbe,
    /// A loop that runs there already.
    pub(crate) running: Option<Running>,
    /// Why the record of its last loop cannot be read.
    pub(crate) unreadable: Option<Refusal>,
    /// Why the work of its last job, which has ended, is not here.
    pub(crate) away: Option<String>,
    /// Why it cannot go to a cluster, with `--on cluster`.
    pub(crate) not_pushed: Vec<String>,
}

/// A HEAD, as a loop looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// A loop can begin there.
    Usable,
    /// It is on no branch, and the loop knows no other base.
    Detached,
    /// Its branch has no commit.
    NoCommit,
}

/// A plan, as a launch asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlanProbe {
    Present,
    Empty,
    Missing,
}

/// What runs there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Running {
    /// A loop of a former launch.
    Launched { pid: Option<u32> },
    /// A loop whose supervisor was killed.
    Orphaned { pid: Option<u32> },
    /// A loop that no launch here knows.
    ByHand { pid: Option<u32> },
    /// A pidfile of another launcher names a living process.
    Foreign { pid: u32, file: PathBuf },
    /// A job of the cluster.
    Job { id: String },
}

/// An engine whose program is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MissingEngine {
    /// The engine.
    pub(crate) engine: &'static str,
    /// Its program.
    pub(crate) program: String,
}

/// One reason against a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Its class.
    pub(crate) code: Code,
    /// What was found.
    pub(crate) message: String,
    /// What to do.
    pub(crate) fix: String,
}

/// As many changed files as are shown of a work tree.
const SHOWN: usize = 5;

/// Every reason against the launch, the workbench's first.
pub(crate) fn gate(probes: &Probes, workbench: &str) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let git_in = |folder: &str| format!("git -C {}", word(folder));
    let root = git_in(workbench);
    refusals.extend(work_tree(&probes.workbench, "workbench", &root));
    for probe in &probes.repositories {
        let git = git_in(&probe.folder.display().to_string());
        // What a loop changes while it runs is not a person's to commit or to stash.
        if probe.running.is_none() {
            refusals.extend(work_tree(&probe.work_tree, &probe.name, &git));
            refusals.extend(head(probe, &git));
            refusals.extend(plan(probe));
        }
        refusals.extend(same(probe));
        refusals.extend(running(probe));
        refusals.extend(probe.unreadable.clone());
        refusals.extend(away(probe));
        refusals.extend(probe.not_pushed.iter().map(|problem| Refusal {
            code: Code::Dirty,
            message: format!("{}: not ready for the cluster: {problem}", probe.name),
            fix: format!("Commit and push: {git} push"),
        }));
    }
    refusals.extend(probes.program.iter().map(|(message, fix)| Refusal {
        code: Code::NoEngine,
        message: message.clone(),
        fix: fix.clone(),
    }));
    refusals.extend(probes.engine.as_ref().map(|missing| Refusal {
        code: Code::NoEngine,
        message: format!(
            "engine {}: there is no program `{}` on the PATH",
            missing.engine, missing.program
        ),
        fix: "Install it, or choose another engine with --agent.".to_owned(),
    }));
    refusals
}

/// The code of a launch that was refused: the lowest, so that what is to be mended first is told first.
pub(crate) fn code(refusals: &[Refusal]) -> Option<Code> {
    refusals.iter().map(|refusal| refusal.code).min()
}

fn work_tree(found: &WorkTree, name: &str, git: &str) -> Option<Refusal> {
    let refusal = |message: String, fix: String| Refusal {
        code: Code::Dirty,
        message,
        fix,
    };
    Some(match found {
        WorkTree::Clean => return None,
        WorkTree::Dirty(lines) => {
            let mut shown: Vec<&str> = lines.iter().take(SHOWN).map(|line| line.trim()).collect();
            let more = format!("and {} more", lines.len().saturating_sub(SHOWN));
            if lines.len() > SHOWN {
                shown.push(&more);
            }
            refusal(
                format!("{name}: the work tree is not clean: {}", shown.join(", ")),
                format!("Commit, stash or ignore it: {git} status"),
            )
        }
        WorkTree::Missing => refusal(
            format!("{name}: there is no such folder"),
            format!(
                "Clone it: git clone URL {}",
                git.trim_start_matches("git -C ")
            ),
        ),
        WorkTree::NoRepository => refusal(
            format!("{name}: not a git repository of its own"),
            format!("Make it one, or clone it there: {git} init"),
        ),
        WorkTree::Unknown(why) => refusal(
            format!("{name}: git cannot tell whether it is clean: {why}"),
            format!("See what git says: {git} status"),
        ),
    })
}

fn head(probe: &RepositoryProbe, git: &str) -> Option<Refusal> {
    let name = &probe.name;
    let (message, fix) = match probe.head {
        Head::Usable => return None,
        Head::Detached => (
            format!("{name}: on no branch (detached HEAD)"),
            format!("Check out the branch that the work is meant for: {git} switch BRANCH"),
        ),
        Head::NoCommit => (
            format!("{name}: there is no commit yet"),
            format!("Make the first one: {git} commit"),
        ),
    };
    Some(Refusal {
        code: Code::Dirty,
        message,
        fix,
    })
}

/// Never two loops in one repository, whatever names it has.
fn same(probe: &RepositoryProbe) -> Option<Refusal> {
    let first = probe.same_as.as_ref()?;
    let name = &probe.name;
    Some(Refusal {
        code: Code::AlreadyRunning,
        message: format!("{name}: the same folder as {first}, and one loop is enough"),
        fix: format!("Leave one of them out: --exclude {name}"),
    })
}

fn plan(probe: &RepositoryProbe) -> Option<Refusal> {
    let what = match probe.plan {
        PlanProbe::Present => return None,
        _ if probe.work_tree == WorkTree::Missing => return None,
        PlanProbe::Empty => "empty",
        PlanProbe::Missing => "missing",
    };
    Some(Refusal {
        code: Code::NoFixPlan,
        message: format!(
            "fix_plan missing or empty: {}: .ralph/fix_plan.md is {what}",
            probe.name
        ),
        fix: format!(
            "Write its tasks (/ralph-workspace-plan), or leave it out: --exclude {}",
            probe.name
        ),
    })
}

fn running(probe: &RepositoryProbe) -> Option<Refusal> {
    let name = &probe.name;
    let pid = |pid: &Option<u32>| pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let (message, fix) = match probe.running.as_ref()? {
        Running::Launched { pid: found } => (
            format!("{name}: a loop runs there already{}", pid(found)),
            format!("Let it end, or end it: wb-ralph-dispatch --stop --repos {name}"),
        ),
        Running::Orphaned { pid: found } => (
            format!(
                "{name}: a loop whose supervisor was killed still runs there{}",
                pid(found)
            ),
            format!("End it: wb-ralph-dispatch --stop --repos {name}"),
        ),
        Running::ByHand { pid: found } => (
            format!(
                "{name}: a loop that was not launched from here runs there{}",
                pid(found)
            ),
            match found {
                Some(found) => format!("Let it end, or end it: kill {found}"),
                None => "Let it end, or end it where it was started.".to_owned(),
            },
        ),
        Running::Foreign { pid, file } => (
            format!(
                "{name}: {} of another launcher names a living process (pid {pid})",
                file.display()
            ),
            format!(
                "End that process, or delete the file: rm {}",
                file.display()
            ),
        ),
        Running::Job { id } => (
            format!("{name}: its loop is job {id} of the cluster, which has not ended"),
            format!("Let it end, or end it: wb-ralph-dispatch --stop --repos {name}"),
        ),
    };
    Some(Refusal {
        code: Code::AlreadyRunning,
        message,
        fix,
    })
}

/// The next launch would forget the last one's job, and do its work again.
fn away(probe: &RepositoryProbe) -> Option<Refusal> {
    let name = &probe.name;
    Some(Refusal {
        code: Code::Unclear,
        message: probe.away.clone()?,
        fix: format!(
            "Sweep once origin answers: wb-ralph-dispatch --sweep. To give that work up: rm ralph/state/loops/{name}.json"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(name: &str) -> RepositoryProbe {
        RepositoryProbe {
            name: name.to_owned(),
            folder: format!("/wb/repos/{name}").into(),
            work_tree: WorkTree::Clean,
            head: Head::Usable,
            same_as: None,
            plan: PlanProbe::Present,
            running: None,
            unreadable: None,
            away: None,
            not_pushed: Vec::new(),
        }
    }

    fn probes(repositories: Vec<RepositoryProbe>) -> Probes {
        Probes {
            workbench: WorkTree::Clean,
            repositories,
            program: None,
            engine: None,
        }
    }

    #[test]
    fn nothing_against_it() {
        assert_eq!(gate(&probes(vec![probe("svc-a")]), "/wb"), []);
        assert_eq!(code(&[]), None);
    }

    /// All reasons are told at once, each with what to do.
    #[test]
    fn every_reason_is_told() {
        let dirty =
            |count: usize| WorkTree::Dirty((0..count).map(|n| format!(" M file{n}")).collect());
        let mut found = probes(vec![
            RepositoryProbe {
                work_tree: dirty(7),
                plan: PlanProbe::Empty,
                ..probe("svc-a")
            },
            RepositoryProbe {
                work_tree: WorkTree::Missing,
                plan: PlanProbe::Missing,
                ..probe("svc-b")
            },
            RepositoryProbe {
                work_tree: WorkTree::NoRepository,
                ..probe("svc-c")
            },
            RepositoryProbe {
                running: Some(Running::Launched { pid: Some(42) }),
                ..probe("svc-d")
            },
            RepositoryProbe {
                running: Some(Running::Orphaned { pid: Some(43) }),
                ..probe("svc-e")
            },
            RepositoryProbe {
                running: Some(Running::ByHand { pid: Some(45) }),
                work_tree: dirty(1),
                plan: PlanProbe::Missing,
                ..probe("svc-f")
            },
            RepositoryProbe {
                running: Some(Running::Foreign {
                    pid: 44,
                    file: "ralph/svc-g.pid".into(),
                }),
                ..probe("svc-g")
            },
            RepositoryProbe {
                running: Some(Running::Job { id: "1001".into() }),
                ..probe("svc-h")
            },
            RepositoryProbe {
                not_pushed: vec!["commit 1234 is not pushed".into()],
                ..probe("svc-i")
            },
            RepositoryProbe {
                work_tree: WorkTree::Unknown("timed out".into()),
                ..probe("svc-j")
            },
            RepositoryProbe {
                head: Head::Detached,
                ..probe("svc-k")
            },
            RepositoryProbe {
                head: Head::NoCommit,
                same_as: Some("svc-k".to_owned()),
                ..probe("svc-l")
            },
            RepositoryProbe {
                away: Some("svc-m: not here yet".to_owned()),
                ..probe("svc-m")
            },
        ]);
        found.workbench = dirty(1);
        found.program = Some(("ralph: not found".into(), "Install it.".into()));
        found.engine = Some(MissingEngine {
            engine: "codex",
            program: "codex".into(),
        });
        let refusals = gate(&found, "/wb");
        let text: Vec<String> = refusals
            .iter()
            .map(|r| format!("{} {}\n   {}", r.code.exit_code(), r.message, r.fix))
            .collect();
        insta::assert_snapshot!(text.join("\n"), @r"
        30 workbench: the work tree is not clean: M file0
           Commit, stash or ignore it: git -C /wb status
        30 svc-a: the work tree is not clean: M file0, M file1, M file2, M file3, M file4, and 2 more
           Commit, stash or ignore it: git -C /wb/repos/svc-a status
        31 fix_plan missing or empty: svc-a: .ralph/fix_plan.md is empty
           Write its tasks (/ralph-workspace-plan), or leave it out: --exclude svc-a
        30 svc-b: there is no such folder
           Clone it: git clone URL /wb/repos/svc-b
        30 svc-c: not a git repository of its own
           Make it one, or clone it there: git -C /wb/repos/svc-c init
        33 svc-d: a loop runs there already (pid 42)
           Let it end, or end it: wb-ralph-dispatch --stop --repos svc-d
        33 svc-e: a loop whose supervisor was killed still runs there (pid 43)
           End it: wb-ralph-dispatch --stop --repos svc-e
        33 svc-f: a loop that was not launched from here runs there (pid 45)
           Let it end, or end it: kill 45
        33 svc-g: ralph/svc-g.pid of another launcher names a living process (pid 44)
           End that process, or delete the file: rm ralph/svc-g.pid
        33 svc-h: its loop is job 1001 of the cluster, which has not ended
           Let it end, or end it: wb-ralph-dispatch --stop --repos svc-h
        30 svc-i: not ready for the cluster: commit 1234 is not pushed
           Commit and push: git -C /wb/repos/svc-i push
        30 svc-j: git cannot tell whether it is clean: timed out
           See what git says: git -C /wb/repos/svc-j status
        30 svc-k: on no branch (detached HEAD)
           Check out the branch that the work is meant for: git -C /wb/repos/svc-k switch BRANCH
        30 svc-l: there is no commit yet
           Make the first one: git -C /wb/repos/svc-l commit
        33 svc-l: the same folder as svc-k, and one loop is enough
           Leave one of them out: --exclude svc-l
        25 svc-m: not here yet
           Sweep once origin answers: wb-ralph-dispatch --sweep. To give that work up: rm ralph/state/loops/svc-m.json
        32 ralph: not found
           Install it.
        32 engine codex: there is no program `codex` on the PATH
           Install it, or choose another engine with --agent.
        ");
        assert_eq!(code(&refusals), Some(Code::Unclear));
    }
}
