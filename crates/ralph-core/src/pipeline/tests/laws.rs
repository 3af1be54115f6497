//! Laws over random documents in random forms.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::grammar::Kind;
use super::super::tree::Tree;
use super::super::{PipelineEdit, PipelineError, PipelineFile, skim};
use super::generate::{self, Document};
use super::{key, map, parse, remove, set};

/// Members of the top and one level below, absent ones among them.
fn paths() -> impl Strategy<Value = Vec<String>> {
    let key = || {
        prop_oneof![
            Just("phase".to_owned()),
            Just("slurm_wait".to_owned()),
            Just("next_action".to_owned()),
            "x?[a-e]{1,2}",
        ]
    };
    prop::collection::vec(key(), 1..3)
}

fn members() -> impl Strategy<Value = Map<String, Value>> {
    let status = Just(("status".to_owned(), json!("failed")));
    let other = ("[a-e]{1,3}", generate::values());
    prop::collection::vec(prop_oneof![status, other], 0..3)
        .prop_map(|members| members.into_iter().collect())
}

/// An edit, in part of records that the document may hold.
fn edits() -> impl Strategy<Value = PipelineEdit> {
    let run = || {
        let job = prop_oneof![
            Just(None),
            Just(Some("PENDING".to_owned())),
            (1_u32..40).prop_map(|n| Some(n.to_string())),
        ];
        (0_usize..4, 0_u32..20, job)
            .prop_map(|(index, run, job)| key(index, &format!("q{run:03}"), job.as_deref()))
    };
    prop_oneof![
        (paths(), generate::values()).prop_map(|(path, value)| PipelineEdit::Set { path, value }),
        paths().prop_map(|path| PipelineEdit::Remove { path }),
        (run(), members()).prop_map(|(run, set)| {
            let mut run_members = map(json!({"run_id": run.run_id, "job_id": run.job_id}));
            run_members.extend(set);
            PipelineEdit::AddRun { run: run_members }
        }),
        (run(), members()).prop_map(|(run, set)| PipelineEdit::UpdateRun { run, set }),
        (run(), members()).prop_map(|(run, set)| PipelineEdit::CompleteRun { run, set }),
        (generate::texts(), members()).prop_map(|(detail, more)| {
            let mut event =
                map(json!({"ts": "2026-01-12T14:32:10Z", "action": "RUN", "detail": detail}));
            event.extend(more);
            PipelineEdit::AppendEvent { event }
        }),
    ]
}

/// An edit of a run that the document does hold in `active_runs`, if it holds one.
fn complete_one(
    document: &Document,
    pick: prop::sample::Index,
    set: Map<String, Value>,
) -> Option<PipelineEdit> {
    let runs = parse(&document.text).view().active_runs;
    let named: Vec<_> = runs
        .into_iter()
        .filter(|run| run.key.run_id.is_some())
        .collect();
    let run = (!named.is_empty()).then(|| named[pick.index(named.len())].key.clone())?;
    Some(PipelineEdit::CompleteRun { run, set })
}

/// What serde_json reads, which is not our parser.
fn read(text: &str) -> Value {
    serde_json::from_str(text.strip_prefix('\u{FEFF}').unwrap_or(text)).unwrap()
}

/// The run ids and job ids of all lists, counted, by serde_json.
fn records(text: &str) -> BTreeMap<String, usize> {
    let value = read(text);
    let mut counted = BTreeMap::new();
    for list in ["active_runs", "completed_runs", "cancelled_runs"] {
        for record in value[list]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|r| r.is_object())
        {
            let run = record["run_id"].as_str().unwrap_or("-");
            *counted.entry(run.to_owned()).or_default() += 1;
        }
    }
    counted
}

/// Applies an edit; conflicts and refused losses are no result.
fn try_edit(text: &str, edit: &PipelineEdit) -> Result<Option<String>, TestCaseError> {
    match parse(text).edit(std::slice::from_ref(edit)) {
        Ok(after) => Ok(Some(after)),
        Err(PipelineError::Conflict { .. } | PipelineError::RecordLost { .. }) => Ok(None),
        Err(error) => Err(TestCaseError::fail(format!("{error}\n{text}"))),
    }
}

/// The sources of the entries of a list at the top.
fn entries(text: &str, list: &str) -> Vec<String> {
    let file = parse(text);
    let list = file
        .top(list)
        .filter(|id| file.tree.node(*id).kind == Kind::List);
    let children = list.into_iter().flat_map(|id| file.tree.children(id));
    children.map(|id| file.raw(id).to_owned()).collect()
}

/// The text without the values of `active_runs` and `completed_runs`.
fn outside_run_lists(text: &str) -> String {
    let file = parse(text);
    let lists = ["active_runs", "completed_runs"].map(|list| file.top(list));
    let mut spans: Vec<_> = lists
        .into_iter()
        .flatten()
        .map(|id| file.tree.node(id).span())
        .collect();
    spans.sort_by_key(|span| std::cmp::Reverse(span.start));
    let mut left = text.to_owned();
    for span in spans {
        left.replace_range(span, "");
    }
    left
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_changes_nothing(document in generate::documents()) {
        let file = parse(&document.text);
        drop(file.view());
        prop_assert_eq!(file.text(), &document.text);
        prop_assert_eq!(file.edit(&[]), Ok(document.text.clone()));
        prop_assert_eq!(file, PipelineFile::parse_bytes(document.text.into_bytes()).unwrap());
    }

    #[test]
    fn a_skim_says_what_the_view_says(document in generate::documents()) {
        let view = parse(&document.text).view();
        let skimmed = skim(document.text.as_bytes()).unwrap();
        prop_assert_eq!(skimmed.phase, view.phase);
        prop_assert_eq!(skimmed.has_next_action, view.next_action.is_some());
        prop_assert_eq!(skimmed.needs_user_input, view.needs_user_input.value);
        prop_assert_eq!(skimmed.next_poll_after, view.slurm_wait.next_poll_after);
        let live = view.active_runs.iter().filter(|run| run.status.is_live());
        prop_assert_eq!(skimmed.live_runs, live.clone().count());
        let polls: Vec<_> = live.filter_map(|run| run.next_poll_after).collect();
        prop_assert_eq!(skimmed.run_polls, polls);
    }

    #[test]
    fn an_edit_applied_to_its_own_result_changes_nothing(document in generate::documents(), edit in edits()) {
        if let Some(once) = try_edit(&document.text, &edit)? {
            prop_assert_eq!(parse(&once).edit(&[edit]), Ok(once));
        }
    }

    #[test]
    fn completing_a_run_twice_is_completing_it_once(
        document in generate::documents(), pick in any::<prop::sample::Index>(), set in members(),
    ) {
        let Some(edit) = complete_one(&document, pick, set) else { return Ok(()) };
        if let Some(once) = try_edit(&document.text, &edit)? {
            prop_assert_eq!(parse(&once).edit(&[edit]), Ok(once));
        }
    }

    /// Of two records of a run one may be left, but not without what the other says, and never none.
    #[test]
    fn folding_a_run_loses_no_id_and_no_member(document in generate::documents(), pick in any::<prop::sample::Index>(), copy in any::<bool>()) {
        let mut text = document.text.clone();
        let Some(PipelineEdit::CompleteRun { run, .. }) = complete_one(&document, pick, Map::new()) else { return Ok(()) };
        if copy {
            let done = PipelineEdit::CompleteRun { run: run.clone(), set: map(json!({"status": "completed", "only here": 1})) };
            let Some(done) = try_edit(&text, &done)? else { return Ok(()) };
            let again = parse(&text).view().active_runs.into_iter().find(|other| other.key == run);
            let Some(again) = again else { return Ok(()) };
            let mut back = map(json!({"status": "running", "run_id": again.key.run_id, "job_id": again.key.job_id}));
            back.insert("and here".to_owned(), json!(2));
            let mut value = read(&done);
            let Some(active) = value["active_runs"].as_array_mut() else { return Ok(()) };
            active.push(Value::Object(back));
            text = format!("{value:#}");
        }
        let edit = PipelineEdit::FoldRun { run };
        let Some(after) = try_edit(&text, &edit)? else { return Ok(()) };
        prop_assert_eq!(parse(&after).edit(&[edit]), Ok(after.clone()));
        let (was, is) = (records(&text), records(&after));
        prop_assert_eq!(was.keys().collect::<Vec<_>>(), is.keys().collect::<Vec<_>>());
        for word in ["only here", "and here"] {
            prop_assert_eq!(text.contains(word), after.contains(word), "{}", after);
        }
    }

    #[test]
    fn no_record_is_lost_and_the_form_of_the_file_is_kept(document in generate::documents(), edit in edits()) {
        let before = &document.text;
        let Some(after) = try_edit(before, &edit)? else { return Ok(()) };
        let left = records(&after);
        for (run, count) in records(before) {
            prop_assert!(left.get(&run) >= Some(&count), "{run} was lost:\n{after}");
        }
        prop_assert_eq!(before.starts_with('\u{FEFF}'), after.starts_with('\u{FEFF}'));
        let tail = |text: &str| text.rsplit_once('}').map(|(_, tail)| tail.to_owned());
        prop_assert_eq!(tail(before), tail(&after));
        if before.contains('\n') && !before.replace("\r\n", "").contains('\n') {
            prop_assert!(!after.replace("\r\n", "").contains('\n'), "{after:?}");
        } else {
            prop_assert!(!after.contains('\r'), "{after:?}");
        }
        if before.trim_end().contains('\n') || before.trim_start_matches('\u{FEFF}').trim_end() == "{}" {
            return Ok(());
        }
        prop_assert!(!after.trim_end().contains('\n'), "{after}");
    }

    #[test]
    fn setting_a_member_touches_its_value_alone(document in generate::documents(), name in "phase|next_action|xa", value in generate::values()) {
        let before = &document.text;
        let Some(after) = try_edit(before, &set(&[&name], value.clone()))? else { return Ok(()) };
        let file = parse(before);
        let mut expected = read(before);
        let node = file.top(&name).map(|id| file.tree.node(id));
        let merged = expected[&name].is_object() && value.is_object();
        if !merged {
            expected[&name] = value;
            prop_assert_eq!(&read(&after), &expected);
        }
        // Where the member is new it follows the last one, or fills an empty object.
        let root = file.tree.node(Tree::ROOT);
        let last = file.tree.children(Tree::ROOT).last().map(|id| file.tree.node(id).end);
        let touched = match (node, last) {
            (Some(node), _) => node.span(),
            (None, Some(end)) => end..end,
            (None, None) => root.span(),
        };
        prop_assert!(after.starts_with(&before[..touched.start]), "{}\n{}", before, after);
        prop_assert!(after.ends_with(&before[touched.end..]), "{}\n{}", before, after);
    }

    #[test]
    fn a_completed_run_is_moved_with_its_bytes(document in generate::documents(), pick in any::<prop::sample::Index>()) {
        let before = &document.text;
        let Some(edit) = complete_one(&document, pick, Map::new()) else { return Ok(()) };
        let PipelineEdit::CompleteRun { run, .. } = &edit else { unreachable!() };
        let index = run.index;
        let Some(after) = try_edit(before, &edit)? else { return Ok(()) };
        if after == *before {
            return Ok(());
        }
        let (mut active, mut completed) = (entries(before, "active_runs"), entries(before, "completed_runs"));
        completed.push(active.remove(index));
        prop_assert_eq!(entries(&after, "active_runs"), active);
        let unindented = |records: Vec<String>| -> Vec<Vec<String>> {
            records.iter().map(|raw| raw.lines().map(|line| line.trim_start().to_owned()).collect()).collect()
        };
        prop_assert_eq!(unindented(entries(&after, "completed_runs")), unindented(completed));
        if parse(before).top("completed_runs").is_some() {
            prop_assert_eq!(outside_run_lists(before), outside_run_lists(&after));
        }
    }

    #[test]
    fn edits_of_different_members_commute(document in generate::documents(), one in generate::values(), other in members(), pick in any::<prop::sample::Index>()) {
        let text = &document.text;
        let mut edits = vec![
            set(&["phase"], one),
            remove(&["xa"]),
            PipelineEdit::AppendEvent { event: map(json!({"ts": "t", "action": "A"})) },
        ];
        edits.extend(complete_one(&document, pick, other));
        let Ok(forward) = parse(text).edit(&edits) else { return Ok(()) };
        edits.reverse();
        let backward = parse(text).edit(&edits).unwrap();
        prop_assert_eq!(read(&forward), read(&backward));
        let created = |list: &str| read(text).get(list).is_none_or(Value::is_null);
        if !created("phase") && !created("events") && !created("completed_runs") {
            prop_assert_eq!(forward, backward);
        }
    }
}
