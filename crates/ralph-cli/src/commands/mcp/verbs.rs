//! The verbs as tools: which ones, what they take, and the command line that a call stands for. Pure.
//!
//! Names, descriptions and arguments are those of the command line itself, so that they cannot drift from it. What waits for
//! hours, asks a person or draws on a terminal is no tool.

use std::any::TypeId;

use clap::{Arg, ArgAction, Command};
use serde_json::{Map, Value, json};

/// What a tool does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Nothing.
    Reads,
    /// It changes what `ralph` keeps, and can be called again.
    Writes,
    /// It ends or takes back something.
    Ends,
}

use Effect::{Ends, Reads, Writes};

/// The verbs that are tools.
const TOOLS: [(&[&str], Effect); 18] = [
    (&["dispatch"], Writes),
    (&["verify"], Writes),
    (&["status"], Reads),
    (&["results"], Reads),
    (&["submit"], Writes),
    (&["runs"], Reads),
    (&["logs"], Reads),
    (&["cancel"], Ends),
    (&["cluster", "check"], Reads),
    (&["cluster", "jobs"], Writes),
    (&["new"], Writes),
    (&["validate"], Writes),
    (&["ops", "list"], Reads),
    (&["ops", "show"], Reads),
    (&["ops", "undo"], Ends),
    (&["on"], Writes),
    (&["off"], Writes),
    (&["doctor"], Reads),
];

/// Arguments with which a verb would not come back, and those that only make sense with them.
const LEFT_OUT: [&str; 4] = ["watch", "follow", "until_idle", "max_steps"];

/// A verb that can be called.
#[derive(Debug)]
pub(super) struct Verb {
    path: &'static [&'static str],
    effect: Effect,
    about: String,
    arguments: Vec<Arg>,
}

/// All of them.
pub(super) fn all(command: &Command) -> Vec<Verb> {
    let verb = |(path, effect): (&'static [&'static str], Effect)| {
        let found = path
            .iter()
            .try_fold(command, |command, word| command.find_subcommand(word))?;
        let arguments = found.get_arguments();
        Some(Verb {
            path,
            effect,
            about: found
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default(),
            arguments: arguments
                .filter(|argument| !argument.is_hide_set())
                .filter(|argument| !LEFT_OUT.contains(&argument.get_id().as_str()))
                .cloned()
                .collect(),
        })
    };
    TOOLS.into_iter().filter_map(verb).collect()
}

impl Verb {
    /// Its name as a tool.
    pub(super) fn name(&self) -> String {
        self.path.join("_")
    }

    /// As an agent sees it.
    pub(super) fn tool(&self) -> Value {
        json!({
            "name": self.name(),
            "description": self.about,
            "inputSchema": self.schema(),
            "annotations": {
                "readOnlyHint": self.effect == Reads,
                "destructiveHint": self.effect == Ends,
            },
        })
    }

    fn schema(&self) -> Value {
        let arguments = || self.arguments.iter();
        let properties: Map<String, Value> = arguments()
            .map(|argument| (name(argument), property(argument)))
            .collect();
        let required: Vec<String> = arguments()
            .filter(|argument| argument.is_required_set())
            .map(name)
            .collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    /// The words of the command line behind `ralph`.
    ///
    /// # Errors
    /// What is wrong with the values, for whoever called.
    pub(super) fn words(&self, given: &Map<String, Value>) -> Result<Vec<String>, String> {
        let mut words: Vec<String> = self.path.iter().map(ToString::to_string).collect();
        words.push("--json".to_owned());
        let mut positional = Vec::new();
        for (key, value) in given {
            let argument = self
                .arguments
                .iter()
                .find(|argument| name(argument) == *key);
            let Some(argument) = argument else {
                let known: Vec<String> = self.arguments.iter().map(name).collect();
                return Err(format!(
                    "{} takes no `{key}`; it takes: {}",
                    self.name(),
                    known.join(", ")
                ));
            };
            let values = values(argument, value)
                .ok_or_else(|| format!("`{key}` cannot be {value}; {}", property(argument)))?;
            match argument.get_long() {
                Some(long) if is_flag(argument) => {
                    words.extend(values.iter().map(|_| format!("--{long}")));
                }
                Some(long) => words.extend(values.iter().map(|value| format!("--{long}={value}"))),
                None => positional.extend(values),
            }
        }
        words.push("--".to_owned());
        words.extend(positional);
        Ok(words)
    }
}

/// An argument's name: that of its option, else that of its place.
fn name(argument: &Arg) -> String {
    let name = argument.get_long().unwrap_or(argument.get_id().as_str());
    name.replace('-', "_")
}

fn is_flag(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::SetTrue)
}

fn is_list(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append)
        || argument
            .get_num_args()
            .is_some_and(|count| count.max_values() > 1)
}

/// The JSON type of one value.
fn kind(argument: &Arg) -> &'static str {
    let of = argument.get_value_parser().type_id();
    let whole = [
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<i64>(),
    ];
    if is_flag(argument) {
        "boolean"
    } else if whole.iter().any(|id| of == *id) {
        "integer"
    } else if of == TypeId::of::<f64>() {
        "number"
    } else {
        "string"
    }
}

fn property(argument: &Arg) -> Value {
    let mut one = json!({ "type": kind(argument) });
    let words: Vec<String> = argument
        .get_possible_values()
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect();
    if !words.is_empty() && !is_flag(argument) {
        one["enum"] = json!(words);
    }
    let mut property = if is_list(argument) {
        json!({ "type": "array", "items": one })
    } else {
        one
    };
    if let Some(help) = argument.get_help() {
        property["description"] = json!(help.to_string());
    }
    property
}

/// The words for a value; none for a flag that is off, `None` for what the argument cannot be.
fn values(argument: &Arg, value: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match (kind(argument), value) {
        ("string", Value::String(text)) => Some(text.clone()),
        ("integer", Value::Number(number)) if number.is_u64() || number.is_i64() => {
            Some(number.to_string())
        }
        ("number", Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    match value {
        Value::Null => Some(Vec::new()),
        Value::Bool(is_on) if is_flag(argument) => Some(vec![String::new(); usize::from(*is_on)]),
        Value::Array(items) if is_list(argument) => items.iter().map(one).collect(),
        other => Some(vec![one(other)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(name: &str) -> Verb {
        let all = all(&crate::command());
        let found = all.into_iter().find(|verb| verb.name() == name);
        found.unwrap_or_else(|| panic!("no {name}"))
    }

    fn words(name: &str, given: &Value) -> Result<String, String> {
        let given = given.as_object().cloned().unwrap_or_default();
        verb(name).words(&given).map(|words| words.join(" "))
    }

    #[test]
    fn every_verb_of_the_table_is_one_of_the_command_line() {
        assert_eq!(all(&crate::command()).len(), TOOLS.len());
    }

    #[test]
    fn a_tool_is_described_by_the_command_line_itself() {
        let dispatch = verb("dispatch").tool();
        insta::assert_json_snapshot!(dispatch, @r#"
        {
          "name": "dispatch",
          "description": "Verify every outstanding job, then advance projects by one step each",
          "inputSchema": {
            "type": "object",
            "properties": {
              "project": {
                "type": "array",
                "items": {
                  "type": "string"
                },
                "description": "Only this project; may be given several times"
              },
              "batch_size": {
                "type": "integer",
                "description": "Projects that advance; default: `batch_size` of .claude/ralph/config.json"
              },
              "dry_run": {
                "type": "boolean",
                "description": "Print the plan and change nothing, on disk or on the cluster"
              },
              "fail_if_idle": {
                "type": "boolean",
                "description": "Exit with 4 when there was nothing to do"
              }
            },
            "required": [],
            "additionalProperties": false
          },
          "annotations": {
            "readOnlyHint": false,
            "destructiveHint": false
          }
        }
        "#);
    }

    #[test]
    fn a_call_is_a_command_line_and_no_value_becomes_an_option() {
        let call =
            json!({"project": ["a", "b"], "batch_size": 2, "dry_run": true, "fail_if_idle": false});
        assert_eq!(
            words("dispatch", &call).as_deref(),
            Ok("dispatch --json --project=a --project=b --batch-size=2 --dry-run --")
        );
        assert_eq!(
            words("logs", &json!({"run": "--follow"})).as_deref(),
            Ok("logs --json -- --follow")
        );
        assert_eq!(
            words("cluster_jobs", &json!({"adopt": "--x", "project": "toy"})).as_deref(),
            Ok("cluster jobs --json --adopt=--x --project=toy --")
        );
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (name, call, says) in [
            (
                "dispatch",
                json!({"until_idle": true}),
                "takes no `until_idle`",
            ),
            (
                "dispatch",
                json!({"batch_size": "many"}),
                "`batch_size` cannot be \"many\"",
            ),
            ("dispatch", json!({"dry_run": "yes"}), "`dry_run` cannot be"),
            ("logs", json!({"run": ["a", "b"]}), "`run` cannot be"),
            ("dispatch", json!({"project": [1]}), "`project` cannot be"),
        ] {
            let said = words(name, &call).expect_err("an error");
            assert!(said.contains(says), "{said}");
        }
    }
}
