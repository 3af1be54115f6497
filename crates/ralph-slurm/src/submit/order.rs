//! One order of a bundle: the files of its folder in the archive, and the lines that `scripts/submit.sh` reads. Pure.
//!
//! Values travel as data, never as script text: an order's line is read, not run, and the variables' file is made of
//! quoted values only.

use std::io;

use ralph_core::backend::SubmitRequest;
use ralph_core::id::Token;

use super::script_text::{ScriptText, folder_of, glob};
use crate::transport::quote;

/// Read by the job before its first command.
const PROLOGUE: &str = include_str!("../scripts/prologue.sh");

/// One submission, ready to be sent.
#[derive(Debug)]
pub(super) struct Order<'a> {
    request: &'a SubmitRequest,
    script: ScriptText<'a>,
    /// The script's directives, to tell whether another one has passed the preflight for them.
    pub(super) directives: String,
    /// Whether the scheduler is asked first.
    pub(super) preflight: bool,
    variables: String,
}

impl<'a> Order<'a> {
    /// Prepares a request.
    ///
    /// # Errors
    /// Why it cannot be submitted at all, as a message for a person.
    pub(super) fn new(request: &'a SubmitRequest) -> Result<Self, String> {
        if request.script.trim().is_empty() {
            return Err(format!("`{}` is empty", request.script_path));
        }
        let script = ScriptText::new(&request.script);
        let variables = variables(request)?;
        let order = Self {
            directives: script.directive_text(),
            preflight: true,
            variables,
            request,
            script,
        };
        match order
            .lines()
            .into_iter()
            .find(|line| line.contains(['\n', '\r', '\0']))
        {
            Some(line) => Err(format!(
                "a value of the submission holds a line break: {line:?}"
            )),
            None => Ok(order),
        }
    }

    pub(super) fn token(&self) -> &Token {
        &self.request.token
    }

    /// The lines of the file `order`.
    fn lines(&self) -> Vec<String> {
        let request = self.request;
        let folder = self.script.work_folder(&request.project);
        let (out, err) = self.script.logs();
        let mut lines = vec![
            format!("workdir {folder}"),
            format!("sha256 {}", request.script_sha256),
        ];
        lines.extend(
            request
                .item
                .as_ref()
                .map(|item| format!("item {}/{item}", request.project)),
        );
        // The contract's folder is there before any job starts, whatever the script says.
        let contract = if folder == "." {
            format!("projects/{}/slurm/logs", request.project)
        } else {
            "slurm/logs".to_owned()
        };
        lines.push(format!("folder {contract}"));
        for pattern in [Some(&out), err.as_ref()].into_iter().flatten() {
            let pattern = match self.script.value("chdir") {
                Some(chdir) if !pattern.starts_with('/') => {
                    format!("{}/{pattern}", chdir.trim_end_matches('/'))
                }
                _ => pattern.clone(),
            };
            lines.extend(folder_of(&pattern).map(|folder| format!("folder {folder}")));
        }
        if let Some(shell) = self.script.shell() {
            lines.push(format!("syntax {shell}"));
            lines.extend(
                self.script
                    .first_command()
                    .map(|line| format!("insert {line}")),
            );
        } else {
            lines.push("export yes".to_owned());
        }
        if self.preflight {
            lines.push("preflight yes".to_owned());
        }
        lines.extend(request.after.iter().map(|job| format!("after {job}")));
        lines.extend(
            self.options(&out, err.as_deref())
                .into_iter()
                .map(|option| format!("option {option}")),
        );
        lines
    }

    /// What `sbatch` is told besides what the script says. The token stands in the comment and, by the script's path,
    /// in the command, so that queue and accounting can be searched for it.
    fn options(&self, out: &str, err: Option<&str>) -> Vec<String> {
        let request = self.request;
        let mut options = Vec::new();
        if !self.script.sets("comment") {
            options.push(format!("--comment=ralph:{}", request.token));
        }
        if !self.script.sets("job-name") {
            let name = request.script_path.rsplit('/').next().unwrap_or("job");
            options.push(format!("--job-name={name}"));
        }
        if !self.script.sets("open-mode") {
            // A requeued job would otherwise cut its own log (incident 68).
            options.push("--open-mode=append".to_owned());
        }
        if !self.script.sets("output") {
            options.push(format!("--output={out}"));
        }
        if let Some(err) = err.filter(|_| !self.script.sets("error")) {
            options.push(format!("--error={err}"));
        }
        if !request.exclude.is_empty() {
            options.push(format!("--exclude={}", request.exclude.join(",")));
        }
        options
    }

    /// The file below `items/` that says whose submission this is: what it does, when its intent was made, its run.
    fn of_item(&self) -> Option<(String, Vec<u8>)> {
        let request = self.request;
        let item = request.item.as_ref()?;
        let since = request.intent_at.as_second();
        let text = format!("{} {since} {}\n", request.fingerprint(), request.run);
        let path = format!("items/{}/{item}/{}", request.project, request.token);
        Some((path, text.into_bytes()))
    }

    /// The files of the order's folder.
    fn files(&self) -> Vec<(&'static str, Vec<u8>)> {
        let folder = self.script.work_folder(&self.request.project);
        let (out, err) = self.script.logs();
        let place = |pattern: &str| glob(&self.script.place(&folder, pattern)).into_bytes();
        let mut order = self.lines().join("\n").into_bytes();
        order.push(b'\n');
        let mut files = vec![
            ("order", order),
            ("script", self.request.script.clone().into_bytes()),
            ("variables", self.variables.clone().into_bytes()),
            ("prologue", PROLOGUE.as_bytes().to_vec()),
            ("log.out", place(&out)),
        ];
        files.extend(err.map(|err| ("log.err", place(&err))));
        files.extend(
            self.script
                .value("array")
                .map(|spec| ("array", spec.as_bytes().to_vec())),
        );
        let components = self.script.components();
        files.extend((components > 1).then(|| ("components", components.to_string().into_bytes())));
        files.extend(
            self.request
                .config
                .as_ref()
                .map(|config| ("config", config.clone().into_bytes())),
        );
        files
    }
}

/// The variables of the job as shell assignments with quoted values.
fn variables(request: &SubmitRequest) -> Result<String, String> {
    let mut all = request.variables.clone();
    let mut add = |name: &str, value: &str| all.insert(name.to_owned(), value.to_owned());
    add("RALPH_TOKEN", request.token.as_str());
    add("RALPH_RUN_ID", request.run.as_str());
    add("RALPH_PROJECT", request.project.as_str());
    if let Some(git) = &request.git {
        add("GIT_URL", &git.url);
        add("GIT_SHA", &git.sha);
    }
    let mut text = String::new();
    for (name, value) in &all {
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!(
                "`{name}` is not the name of a variable (letters, digits and `_`)"
            ));
        }
        if value.contains('\0') {
            return Err(format!("the value of `{name}` holds a NUL character"));
        }
        text.push_str("export ");
        text.push_str(name);
        text.push('=');
        text.push_str(&quote(value));
        text.push('\n');
    }
    if request.config.is_some() {
        text.push_str("export RALPH_CONFIG=\"$RALPH_RECEIPT/$RALPH_SENT/config\"\n");
    }
    Ok(text)
}

/// The bundle as a tar archive: one folder per token, below the token's own, and one file per item's token.
pub(super) fn archive<'o, 'a: 'o>(
    bundle: &str,
    orders: impl Iterator<Item = &'o Order<'a>>,
) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    for order in orders.filter(|order| seen.insert(order.token().clone())) {
        let files = order.files().into_iter();
        let files = files.map(|(name, bytes)| {
            let path = format!("receipts/{}/{bundle}/{name}", order.token());
            (path, bytes)
        });
        for (path, bytes) in files.chain(order.of_item()) {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            // `tar -m` unpacks with the cluster's own time.
            header.set_mtime(0);
            archive.append_data(&mut header, path, bytes.as_slice())?;
        }
    }
    archive.into_inner()
}
