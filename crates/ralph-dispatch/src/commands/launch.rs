//! A launch: resolve, gate, start, report.

mod awaited;
mod knobs;

use std::collections::BTreeMap;
use std::path::Path;

use ralph_core::env::Env;
use ralph_core::error::Code;
use ralph_core::id::OpId;
use ralph_core::process::Supervisor;
use ralph_core::store::atomic;
use ralph_front::SCHEMA_VERSION;
use ralph_front::failure::{Failure, Outcome, printed, sentence};
use ralph_front::machine::block_on;
use ralph_loop::budget::{Budget, BudgetError, MAX_WORKERS, Terms};

use crate::args::{Act, Flags};
use crate::cluster;
use crate::commands::{sweep as sweep_command, watch};
use crate::env_vars;
use crate::gate::{self, PlanProbe, Refusal};
use crate::home;
use crate::launch::{self, Manners, Order};
use crate::layout::Layout;
use crate::probe;
use crate::program::{self, LoopProgram};
use crate::record::LoopRecord;
use crate::render;
use crate::report::{LaunchReport, LoopOrder, RefusalRow};
use crate::resolve::{self, Knobs, Place, Selection};
use crate::setting::Setting;
use crate::share::{self, Share};
use crate::standing::{JobStanding, Look};
use crate::sweep;
use crate::workbench::Workbench;

/// Everything that is known before anything is started.
struct Plan {
    knobs: Knobs,
    selection: Selection,
    workers: Setting<u32>,
    launch: OpId,
    /// What each loop may use, in the order of the selection.
    shares: Vec<Share>,
    /// The loop's program, and the arguments of each loop; none when they are refused.
    program: Option<LoopProgram>,
    arguments: Vec<Vec<String>>,
    refusals: Vec<Refusal>,
}

/// Launches, or shows what would be launched.
pub(super) fn run(bench: &Workbench, flags: &Flags, act: &Act) -> Outcome {
    let knobs = resolve::resolve(flags, &env_vars::texts(), &bench.conf)?;
    let has_plan = |name: &str| probe::plan(&bench.layout.plan(name)) == PlanProbe::Present;
    let selection = resolve::select(&knobs.filter, &bench.conf.names(), &has_plan)?;
    let jobs = cluster::refresh(bench)?;
    if act.wait
        && flags.is_bare()
        && let Some(awaited) = awaited::awaited(bench, &jobs, &knobs)?
    {
        bench.output.note(&awaited.why);
        return watch::wait(bench, &awaited.repositories);
    }
    let away = match (bench.layout.lock().exists(), act.dry_run) {
        (false, _) => BTreeMap::new(),
        (true, true) => home::out_of_reach(&bench.layout, &Look::new(&bench.layout, &jobs))?,
        (true, false) => sweep_command::beside(bench, &jobs)?,
    };
    let plan = plan(bench, knobs, selection, &jobs, &away)?;
    let mut report = report(bench, &plan, act.dry_run);
    if !bench.output.is_json() {
        printed(bench.output.print(&render::banner(&report)))?;
    }
    not_there(bench, &plan.selection);
    if act.dry_run || !plan.refusals.is_empty() {
        return shown(bench, &plan, &report);
    }
    start(bench, &plan, &jobs, &mut report)?;
    let code = outcome(&report);
    if act.wait && code != Some(Code::Failed) {
        if !bench.output.is_json() {
            printed(
                bench
                    .output
                    .print(&render::launched(&report, bench.output.columns())),
            )?;
        }
        let meant = plan.selection.repositories.iter().cloned().collect();
        let ended = watch::wait(bench, &meant)?;
        return Ok(ended.or(code));
    }
    bench
        .output
        .answer(&report, &render::launched(&report, bench.output.columns()))?;
    if code.is_none() {
        bench.output.note(
            "the loops go on by themselves: --status shows them, --sweep records what ended, --stop ends them",
        );
    }
    Ok(code)
}

/// Says which of the repositories that are passed over are not there at all: a plan would not help them.
fn not_there(bench: &Workbench, selection: &Selection) {
    for name in &selection.without_plan {
        let folder = bench.layout.repository(name);
        if !folder.exists() {
            let folder = folder.display();
            bench.output.note(&format!(
                "{name}: there is no such folder; clone it: git clone URL {folder}"
            ));
        }
    }
}

fn plan(
    bench: &Workbench,
    knobs: Knobs,
    selection: Selection,
    jobs: &BTreeMap<String, JobStanding>,
    away: &BTreeMap<String, String>,
) -> Result<Plan, Failure> {
    let (variables, search_path) = (env_vars::texts(), env_vars::search_path());
    let own = env_vars::program().ok();
    let site = probe::Site {
        layout: &bench.layout,
        knobs: &knobs,
        variables: &variables,
        search_path: &search_path,
        own: own.as_deref(),
        host: &bench.env.host,
        jobs,
        away,
    };
    let found = block_on(probe::probe(site, &selection.repositories))?;
    let mut refusals = gate::gate(&found.probes, &bench.layout.root.display().to_string());
    if selection.repositories.is_empty() {
        refusals.push(no_plan_anywhere(&selection));
    }
    let count = selection.repositories.len();
    let exact = found.program.as_ref().is_none_or(|p| p.capabilities.budget);
    let mut workers = resolve::workers(knobs.parallel.as_ref(), count);
    if !exact && knobs.parallel.is_none() {
        let all = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        workers = Setting::default(all, "one per repository, because the loops share no budget");
    }
    let attempts = knobs.max_tasks.value;
    let slots = usize::try_from(workers.value).unwrap_or(usize::MAX);
    if exact && slots > MAX_WORKERS {
        return Err(BudgetError::Workers { found: slots }.into());
    }
    let shares = if exact {
        share::shared(workers.value, attempts, count)
    } else {
        share::divided(workers.value, attempts, count)?
    };
    let mut plan = Plan {
        launch: bench.env.ids.op(bench.env.now()),
        knobs,
        selection,
        workers,
        shares,
        arguments: Vec::new(),
        program: found.program,
        refusals,
    };
    words(bench, &mut plan);
    Ok(plan)
}

/// The command line of each loop; a program that cannot be told what was asked is a refusal.
fn words(bench: &Workbench, plan: &mut Plan) {
    let Some(program) = plan.program.clone() else {
        return;
    };
    let budget = bench.layout.budget(plan.launch.as_str());
    let budget: Option<&Path> = program.capabilities.budget.then_some(&budget);
    let all: Result<Vec<_>, _> = plan
        .shares
        .iter()
        .map(|share| program::arguments(&program, &plan.knobs, share, budget))
        .collect();
    match all {
        Ok(all) => plan.arguments = all,
        Err(error) => plan.refusals.push(Refusal {
            code: Code::NoEngine,
            message: error.to_string(),
            fix: ralph_core::error::Coded::hint(&error).map_or_else(String::new, |hint| hint.0),
        }),
    }
}

fn no_plan_anywhere(selection: &Selection) -> Refusal {
    let names = selection.without_plan.join(", ");
    Refusal {
        code: Code::NoFixPlan,
        message: if names.is_empty() {
            "no repository is left to launch".to_owned()
        } else {
            format!("no repository has a .ralph/fix_plan.md that is not empty: {names}")
        },
        fix: "Write the plans first: /ralph-workspace-plan.".to_owned(),
    }
}

fn report(bench: &Workbench, plan: &Plan, dry_run: bool) -> LaunchReport {
    let names = plan.selection.repositories.iter();
    let loops = names.enumerate().map(|(index, name)| {
        let arguments = plan.arguments.get(index).cloned().unwrap_or_default();
        let program = plan.program.as_ref();
        let mut command = vec![program.map_or_else(
            || "ralph".to_owned(),
            |program| program.path.display().to_string(),
        )];
        command.extend(arguments);
        LoopOrder {
            repository: name.clone(),
            folder: bench.layout.repository(name).display().to_string(),
            command,
            log: bench.layout.shown(&bench.layout.log(name)),
            pid: None,
            job: None,
            error: None,
        }
    });
    LaunchReport {
        schema_version: SCHEMA_VERSION,
        launch: None,
        dry_run,
        knobs: knobs::shown(plan),
        loops: loops.collect(),
        without_plan: plan.selection.without_plan.clone(),
        refusals: plan.refusals.iter().map(RefusalRow::from).collect(),
    }
}

/// A launch that was only to be shown, or is refused.
fn shown(bench: &Workbench, plan: &Plan, report: &LaunchReport) -> Outcome {
    if bench.output.is_json() {
        printed(bench.output.json(report))?;
    } else {
        if report.dry_run {
            let workspace = bench.layout.repos().display().to_string();
            printed(bench.output.print(&render::commands(report, &workspace)))?;
            printed(bench.output.print("[dry-run] not executing\n"))?;
        }
        let mut refused = render::refusals(report);
        if !report.dry_run {
            refused.push_str("nothing was launched; --exclude leaves repositories out\n");
        }
        bench.output.error_words(refused.trim_end());
    }
    Ok(gate::code(&plan.refusals))
}

fn start(
    bench: &Workbench,
    plan: &Plan,
    jobs: &BTreeMap<String, JobStanding>,
    report: &mut LaunchReport,
) -> Result<(), Failure> {
    let layout = &bench.layout;
    bench.exclude()?;
    for folder in [
        layout.logs(),
        layout.loops(),
        layout.launch(plan.launch.as_str()),
    ] {
        atomic::create_dir(&folder)?;
    }
    let _lock = sweep::lock(layout)?;
    still_free(layout, plan, jobs)?;
    report.launch = Some(plan.launch.to_string());
    if plan.knobs.place.value == Place::Cluster {
        return cluster::submit(
            bench,
            &records(plan, &bench.env),
            &plan.knobs,
            &plan.arguments,
            report,
        );
    }
    let program = plan.program.as_ref().map(|program| program.path.clone());
    let program = program.unwrap_or_default();
    let can = plan.program.as_ref().map(|program| program.capabilities);
    let (can, texts) = (can.unwrap_or_default(), env_vars::texts());
    if can.budget {
        budget(layout, plan)?;
    }
    let orders: Vec<Order> = records(plan, &bench.env)
        .into_iter()
        .zip(&plan.arguments)
        .map(|(record, arguments)| {
            let repository = layout.repository(&record.repository);
            let grace = launch::stop_grace(&repository, &record.engine, &texts);
            Order {
                record,
                program: program.clone(),
                arguments: arguments.clone(),
                variables: variables(layout, &plan.knobs),
                manners: Manners::of(can, grace),
            }
        })
        .collect();
    let supervisor = Supervisor {
        program: env_vars::program().map_err(|error| {
            let message = format!("the running program cannot be found: {error}");
            Failure::new(Code::Failed, message)
        })?,
        args: vec!["__supervise".to_owned()],
    };
    let answers = launch::launch(layout, &bench.env, &supervisor, &orders);
    for (row, answer) in report.loops.iter_mut().zip(answers) {
        match answer {
            Ok(launched) => row.pid = Some(launched.pid),
            Err(error) => row.error = Some(sentence(&error)),
        }
    }
    Ok(())
}

/// The slots and the ledger that the loops of this launch share.
fn budget(layout: &Layout, plan: &Plan) -> Result<(), Failure> {
    let terms = Terms {
        workers: usize::try_from(plan.workers.value).unwrap_or(usize::MAX),
        attempts: plan.knobs.max_tasks.value,
    };
    let loops = plan.selection.repositories.len();
    Budget::create_for(&layout.budget(plan.launch.as_str()), &terms, loops)?;
    Ok(())
}

/// What every loop gets on top of this process's variables.
fn variables(layout: &Layout, knobs: &Knobs) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("WB_ROOT".to_owned(), layout.root.display().to_string()),
        (
            "WORKSPACE_ROOT".to_owned(),
            layout.repos().display().to_string(),
        ),
    ]);
    if let Some(command) = &knobs.agent_command {
        variables.insert("RALPH_AGENT_COMMAND".to_owned(), command.value.clone());
    }
    variables
}

/// Another launcher may have come first since the gate looked: under the lock that is seen.
fn still_free(
    layout: &Layout,
    plan: &Plan,
    jobs: &BTreeMap<String, JobStanding>,
) -> Result<(), Failure> {
    let look = Look::new(layout, jobs);
    let taken: Vec<&str> = plan
        .selection
        .repositories
        .iter()
        .filter(|name| probe::running(layout, &look, name).is_some() || has_job(layout, name))
        .map(String::as_str)
        .collect();
    if taken.is_empty() {
        return Ok(());
    }
    let message = format!(
        "another launcher has just started a loop in {}; nothing was started",
        taken.join(", ")
    );
    Err(Failure::new(Code::AlreadyRunning, message).hint("See them: wb-ralph-dispatch --status"))
}

/// Whether the last loop of a repository is a job whose end is not written down.
fn has_job(layout: &Layout, name: &str) -> bool {
    let record = LoopRecord::read(layout, name).ok().flatten();
    record.is_some_and(|record| record.job.is_some() && record.settled.is_none())
}

fn records(plan: &Plan, env: &Env) -> Vec<LoopRecord> {
    let names = plan.selection.repositories.iter();
    names
        .map(|name| LoopRecord {
            engine: plan.knobs.engine.value.name().to_owned(),
            workers: plan.workers.value,
            max_tasks: plan.knobs.max_tasks.value,
            ..LoopRecord::new(name, plan.launch.as_str(), env.now())
        })
        .collect()
}

/// What a launch came to.
fn outcome(report: &LaunchReport) -> Option<Code> {
    let failed = report.loops.iter().filter(|order| order.error.is_some());
    match failed.count() {
        0 => None,
        count if count == report.loops.len() => Some(Code::Failed),
        _ => Some(Code::Partial),
    }
}
