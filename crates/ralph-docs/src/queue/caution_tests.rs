//! What keeps an item from being submitted, in the forms that people and agents write: each of these was submitted once.

use super::*;

/// Whether an item is free to be submitted, as far as the document says.
fn may_go(doc: &str) -> bool {
    let free = |item: &QueueItem| {
        let is_done = |id: &String| id == "Q-000";
        item.section == QueueSection::Ready
            && item.held.is_none()
            && item.script_more.is_none()
            && item.after.iter().all(is_done)
    };
    items(doc).iter().any(free)
}

fn under_ready(body: &str) -> String {
    format!("# Queue\n\n## READY\n\n{body}\n## DONE\n### Q-000: old\n")
}

#[test]
fn a_title_says_that_an_item_must_wait_in_the_words_that_people_use() {
    for title in [
        "<title>",
        "Baseline (DO NOT RUN)",
        "Baseline — DO NOT SUBMIT YET",
        "Baseline (draft)",
        "Baseline (not ready)",
        "Baseline - NOT READY",
        "Baseline - IN PROGRESS",
        "Baseline (IN_PROGRESS)",
        "Baseline - RESUBMITTED",
        "Baseline (pending approval)",
        "Baseline (awaiting the data of Ada)",
        "Baseline (job 56017331)",
        "Example (template, copy me)",
        "Sweep (after Q-001)",
        "Sweep — depends on Q-001",
    ] {
        let doc = under_ready(&format!("### Q-002: {title}\n- Script: a.sbatch\n"));
        assert!(!may_go(&doc), "{title}");
    }
    for title in [
        "Complete grid of 12",
        "Failed seeds of the sweep, again",
        "Rerun with the fix (after OOM in Q-000)",
        "Rerun after Q-001 failed",
        "Draft model distillation",
        "Sweep (after Q-000)",
        "Baseline (pending)",
        "Start from pretrained",
    ] {
        let doc = under_ready(&format!("### Q-002: {title}\n- Script: a.sbatch\n"));
        assert!(may_go(&doc), "{title}");
    }
}

#[test]
fn what_an_item_says_without_a_key_holds_it_back() {
    for body in [
        "- Depends on Q-001",
        "- Run after Q-001 completes",
        "- Priority: LOW (run after Q-001)",
        "- Notes: wait for Q-001 to finish first",
        "- Gate: Q-001 FID below 30",
        "- Superseded by Q-010",
        "- Superseded by: Q-010",
        "- BLOCKED on the data of Ada",
        "- On hold until Monday",
        "- Paused: yes",
        "- [x] Submitted as job 61003257",
        "\n✅ DONE 2026-06-01, val_mse 0.0096",
        "\n**DONE 2026-06-01** (see results/summary.md)",
        "- Notes: DO NOT SUBMIT until the partition is back",
        "\nDo not run this before Ada has looked at it.",
        "- Status: QUEUED as job 56017331 on the cluster",
        "- Status: READY -> RUNNING",
        "- Status: ~~READY~~ DONE 2026-01-03",
        "- SLURM Status: RUNNING since 10:00",
    ] {
        let doc = under_ready(&format!("### Q-002: a\n- Script: a.sbatch\n{body}\n"));
        assert!(!may_go(&doc), "{body}");
    }
    for body in [
        "- Done when val_mse < 0.01",
        "- Done criteria: FID",
        "- Failed seeds are rerun by hand",
        "- [ ] submitted\n- [ ] done",
        "- Block size: 16\n- Skip connections: yes",
        "- Notes: compare with Q-001 later",
        "- Status: not yet submitted",
        "- **Status**: READY (config written, smoke test passed)",
        "- SLURM Status: QUEUED - will be submitted later",
        "- Notes: do not change the seed",
        "- Depends on: [Q-000](#q-000-old)",
    ] {
        let doc = under_ready(&format!("### Q-002: a\n- Script: a.sbatch\n{body}\n"));
        assert!(may_go(&doc), "{body}");
    }
}

#[test]
fn a_key_may_stand_alone_above_its_value() {
    for body in [
        "\n**Dependencies:**\n- Q-000 must be done\n\n**Script:** `b.sbatch`",
        "\n**Dependencies**\n\n- Q-000\n\n**Script**\n\n`b.sbatch`",
        "Depends on:\n- Q-000\n\nScript: b.sbatch",
        "- Dependencies\n  - Q-000\n- Script: b.sbatch <!-- was a.sbatch -->",
        "- [ ] Depends on: Q-000\n- [x] Script: b.sbatch",
        "#### Dependencies\n- Q-000\n\n#### Submission\n- Script: b.sbatch",
    ] {
        let item = items(&under_ready(&format!("### Q-002: a\n{body}\n"))).remove(0);
        assert_eq!(item.script.as_deref(), Some("b.sbatch"), "{body}");
        assert_eq!(item.after, ["Q-000"], "{body}");
    }
    for body in [
        "**Status:**\nBLOCKED on data",
        "#### Status\nBLOCKED on data",
    ] {
        let item = items(&under_ready(&format!("### Q-002: a\n{body}\n"))).remove(0);
        assert!(item.held.is_some(), "{body}");
    }
}

#[test]
fn what_would_be_passed_to_a_script_is_kept_wherever_it_is_said() {
    for body in [
        "- Args: --seed 3",
        "- Sbatch options: --array=0-9",
        "- Env: SEED=3 LR=1e-4",
        "- `sbatch --array=0-3 a.sbatch`",
        "- Run with `sbatch --array=0-3 a.sbatch`",
        "\nSubmit with `SEED=3 sbatch a.sbatch`.",
    ] {
        let item = items(&under_ready(&format!(
            "### Q-002: a\n- Script: a.sbatch\n{body}\n"
        )));
        assert!(item[0].script_more.is_some(), "{body}");
    }
    let plain = under_ready(
        "### Q-002: a\n\nSubmit with `sbatch a.sbatch`, env as ever.\n- Env: default\n",
    );
    assert_eq!(items(&plain)[0].script.as_deref(), Some("a.sbatch"));
    assert!(may_go(&plain));
}

#[test]
fn what_is_around_an_item_may_put_it_aside() {
    let item = "### Q-001: a\n- Script: a.sbatch\n";
    for doc in [
        format!("## READY\n\n<details>\n<summary>Old</summary>\n\n{item}\n</details>\n\n## DONE\n"),
        format!("## READY\n\n**HOLD: do not submit anything below until Friday**\n\n{item}"),
        format!("# Old queue (archived)\n## READY\n{item}## DONE\n"),
        format!("# Queue\n## READY\n(none)\n\n# Template\n## READY\n{item}"),
        format!("# Queue\n## READY\n(none)\n\n## How to add one (example)\n### READY\n#{item}"),
        format!("## READY (frozen)\n{item}"),
        format!("## READY?\n{item}"),
        format!("## Ready (ask Ada)\n{item}"),
    ] {
        assert!(!may_go(&doc), "{doc}");
    }
    for doc in [
        format!("## READY\n\n{item}\n<details>\n\n- lr: 1e-4\n\n</details>\n"),
        format!("# Queue of adversarial examples\n## READY\n{item}"),
        format!("## READY\n### Phase 1: Validate Results (10 seeds)\n#{item}"),
    ] {
        assert!(may_go(&doc), "{doc}");
    }
    let results = format!("## READY\n### Results of phase 1\n#{item}");
    assert!(!may_go(&results) && !strays(&results).is_empty());
}

#[test]
fn what_nobody_can_read_beside_items_is_told() {
    let item = "### Q-001: a\n- Script: a.sbatch\n";
    for (doc, line) in [
        (
            format!("## READY\n| ID | Script |\n|---|---|\n| Q-005 | b.sbatch |\n\n{item}"),
            4,
        ),
        (
            format!("## READY\n{item}### Phase 2\n- Later\n  - [ ] Q-005: b\n"),
            6,
        ),
        (format!("# Queue\n\n```\nnotes\n\n## READY\n{item}"), 7),
        (format!("## READY\n(none)\n\n<!-- a note\n\n{item}"), 6),
        (format!("#Queue\n\n##READY\n\n#{item}"), 5),
        (
            "## READY\n### Q-001 & Q-002: both\n- Script: a.sbatch\n".to_owned(),
            2,
        ),
    ] {
        let lines: Vec<usize> = strays(&doc).iter().map(|stray| stray.line).collect();
        assert!(lines.contains(&line), "{doc}: {lines:?}");
    }
    let summary = format!("## READY\n| ID | Script |\n|---|---|\n| Q-001 | a.sbatch |\n\n{item}");
    assert!(strays(&summary).is_empty());
}

/// Each of these was held back once, and says nothing against going.
#[test]
fn what_describes_the_work_holds_nothing_back() {
    for body in [
        "- Status: READY — smoke test passed",
        "- Status: READY. Debug run completed.",
        "- Notes: Do not run more than two at a time",
        "\nDo not start from the old checkpoint.",
        "- Never run on the login node.",
        "- Running 5 seeds on FFHQ",
        "\nRunning on 4 A100 GPUs for about 6 h.",
        "- Environment: python=3.11",
    ] {
        let doc = under_ready(&format!("### Q-002: a\n- Script: a.sbatch\n{body}\n"));
        assert!(may_go(&doc), "{body}");
    }
    for title in [
        "Complete 3 seeds",
        "Rerun (failed seeds)",
        "Speculative decoding (draft model 1B)",
        "Rerun (after the bug fix)",
        "Rerun (once more)",
    ] {
        let doc = under_ready(&format!("### Q-002: {title}\n- Script: a.sbatch\n"));
        assert!(may_go(&doc), "{title}");
    }
    for title in [
        "Rerun (failed: out of memory)",
        "Baseline (running since Monday)",
        "Baseline (running fine, job 56017331)",
        "Baseline (failed again)",
        "Baseline (draft)",
        "Baseline (failed OOM)",
    ] {
        let doc = under_ready(&format!("### Q-002: {title}\n- Script: a.sbatch\n"));
        assert!(!may_go(&doc), "{title}");
    }
    let rules = "Rules: never run more than two at once; do not submit the same item twice.\n\n";
    let doc = under_ready(&format!("{rules}### Q-002: a\n- Script: a.sbatch\n"));
    assert!(may_go(&doc));
    for held in [
        "- Status: Ready, was submitted 2026-01-03",
        "- Do not run more than two at once. Do not run it yet.",
        "- Env: SEED=3 python=3.11",
    ] {
        let doc = under_ready(&format!("### Q-002: a\n- Script: a.sbatch\n{held}\n"));
        assert!(!may_go(&doc), "{held}");
    }
}

/// What an item says of those that follow it, or of one that failed, is nothing to wait for: the queue would stand still.
#[test]
fn an_item_does_not_wait_for_those_that_wait_for_it() {
    let afters = |doc: &str| {
        let each = items(doc).into_iter();
        each.filter(|item| item.section == QueueSection::Ready)
            .map(|item| item.after.join("+"))
            .collect::<Vec<_>>()
            .join("|")
    };
    for (first, second, third, wanted) in [
        (
            "- Notes: if Q-002 beats this, go on with Q-003",
            "- Depends on: Q-001",
            "",
            "|Q-001|",
        ),
        (
            "- Notes: Q-003 runs after Q-002",
            "- Notes: run after Q-001",
            "- Depends on: Q-002",
            "|Q-001|Q-002",
        ),
        (
            "- Notes: once Q-003 is done, write up",
            "- Depends on: Q-001",
            "- Run after Q-002",
            "|Q-001|Q-002",
        ),
        ("- Run after Q-003", "", "", "Q-003||"),
        ("", "- After Q-001 hit OOM, half the batch", "", "||"),
        ("", "- Since Q-001: after Q-001's timeout, 24 h", "", "||"),
        ("", "- Again, after Q-001 was killed", "", "||"),
    ] {
        let doc = format!(
            "## READY\n### Q-001: a\n{first}\n### Q-002: b\n{second}\n### Q-003: c\n{third}\n"
        );
        assert_eq!(afters(&doc), wanted, "{doc}");
    }
}

#[test]
fn a_remark_on_a_script_that_asks_for_more_is_not_dropped() {
    for script in [
        "a.sbatch x3",
        "`a.sbatch` (twice)",
        "a.sbatch with seed 1..5",
        "a.sbatch (needs the new loader)",
        "modified a.sbatch",
    ] {
        let doc = under_ready(&format!("### Q-002: a\n- Script: {script}\n"));
        assert!(!may_go(&doc), "{script}");
    }
    for script in [
        "`my run.sbatch`",
        "a.sbatch (2 h)",
        "a.sbatch: the baseline, 3 seeds",
    ] {
        let doc = under_ready(&format!("### Q-002: a\n- Script: {script}\n"));
        assert!(may_go(&doc), "{script}");
    }
}

#[test]
fn a_heading_about_results_alone_is_no_work() {
    for title in [
        "Q-002 results",
        "Q-002: Results (2026-01-02)",
        "Q-002 (results)",
        "Q-002 - final results",
    ] {
        let doc = under_ready(&format!("### {title}\n\nThe loss fell to 0.1.\n"));
        assert!(!may_go(&doc), "{title}");
        let doc = under_ready(&format!("### {title}\n- Script: a.sbatch\n"));
        assert!(may_go(&doc), "{title}");
    }
    let doc = under_ready("### Q-002: reproduce the published results\n\nAs in the paper.\n");
    assert!(may_go(&doc));
}

#[test]
fn a_heading_that_is_almost_ready_is_told_where_nothing_is_ready() {
    let told = |heading: &str, more: &str| {
        let doc = format!("{heading}\n### Q-001: a\n- Script: a.sbatch\n\n## DONE\n(none)\n{more}");
        assert!(!may_go(&doc), "{heading}");
        let found = strays(&doc);
        found
            .iter()
            .map(|stray| stray.is_outside)
            .collect::<Vec<_>>()
    };
    assert_eq!(told("## READY for review", ""), [true]);
    assert_eq!(told("## Ready when Ada says so", ""), [true]);
    // Where something is, the rest was put aside on purpose.
    assert_eq!(
        told("## READY for review", "## READY\n### Q-002 (done): b\n"),
        [false; 0]
    );
    assert_eq!(told("## Not ready", ""), [false; 0]);
    assert!(may_go("## [READY]\n### Q-001: a\n- Script: a.sbatch\n"));
}

/// Each of these was submitted once.
#[test]
fn an_item_is_put_off_in_the_words_of_a_tired_person() {
    for body in [
        "\nAlready ran this by hand last night, do not resubmit!",
        "\nWait until Tuesday, the cluster is in maintenance.",
        "\n**Hold off** on this one",
        "- Ready: no",
        "- Approved: not yet",
        "- Approval: waiting for Bob",
        "- Blocked? yes, by the disk quota",
        "\n✅ done, see results/q001",
        "✅ done, see results/q001",
        "- To do: write the config first",
        "- Repeat: 5 times",
    ] {
        let doc = under_ready(&format!("### Q-002: a\n- Script: a.sbatch\n{body}\n"));
        assert!(!may_go(&doc), "{body}");
    }
    for body in [
        "- Ready: yes",
        "- To do: plot the results",
        "- Approved: 2026-01-02 by Ada",
        "- Repeat: 1",
        "\nWait for Q-000.",
        "\nDo not resubmit the same seeds twice.",
        "- Seeds: 0,1,2",
        "\nThe jobs wait for a GPU.",
    ] {
        let doc = under_ready(&format!("### Q-002: a\n- Script: a.sbatch\n{body}\n"));
        assert!(may_go(&doc), "{body}");
    }
}

#[test]
fn an_order_above_the_items_puts_none_of_them_off() {
    for said in [
        "Run these from the top, the cheap baselines first.",
        "Most important first; stop at the first failure.",
    ] {
        let doc = under_ready(&format!("{said}\n\n### Q-002: a\n- Script: a.sbatch\n"));
        assert!(may_go(&doc), "{said}");
    }
    let doc = under_ready("Only on the weekend.\n\n### Q-002: a\n- Script: a.sbatch\n");
    assert!(!may_go(&doc));
}
