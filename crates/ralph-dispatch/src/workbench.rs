//! The workbench that is meant, opened: its folder, its `project.conf`, and what acts there.

use std::path::PathBuf;

use ralph_core::env::Env;
use ralph_core::error::Code;
use ralph_core::store::{append, atomic};
use ralph_front::failure::{Failure, sentence};
use ralph_front::machine::{self, block_on};
use ralph_front::output::Output;

use crate::args::Global;
use crate::conf::Conf;
use crate::env_vars;
use crate::layout::{CONF, Layout, OWN};
use crate::probe;

/// An opened workbench.
#[derive(Debug)]
pub(crate) struct Workbench {
    pub(crate) layout: Layout,
    pub(crate) conf: Conf,
    pub(crate) env: Env,
    pub(crate) output: Output,
}

impl Workbench {
    /// Finds it and reads its `project.conf`. Loops that run can be seen and stopped while somebody is still mending that
    /// file: whoever does not need it is warned only.
    pub(crate) fn open(global: &Global, output: Output, needs_conf: bool) -> Result<Self, Failure> {
        let layout = Layout::new(root(global)?);
        let conf = match Conf::open(&layout.conf()) {
            Err(error) if !needs_conf => {
                output.note(&format!("warning: {}; it is passed over", sentence(&error)));
                Conf::default()
            }
            read => read?,
        };
        Ok(Self {
            layout,
            conf,
            env: machine::env(env_vars::user()),
            output,
        })
    }

    /// Tells git once which files of the workbench are ours, so that its work tree stays as clean as it was.
    pub(crate) fn exclude(&self) -> Result<(), Failure> {
        let layout = &self.layout;
        let ask =
            |arguments: &'static [&'static str]| block_on(probe::git(&layout.root, arguments));
        let told = |why: String| Failure::new(Code::Failed, format!("git: {why}"));
        let prefix = ask(&["rev-parse", "--show-prefix"])?.map_err(told)?;
        let path = ask(&["rev-parse", "--git-path", "info/exclude"])?.map_err(told)?;
        let path = layout.root.join(path.trim_end_matches('\n'));
        let known = atomic::read(&path)?.unwrap_or_default();
        let known = String::from_utf8_lossy(&known).into_owned();
        let prefix = prefix.trim_end_matches('\n');
        for pattern in OWN {
            let line = format!("/{prefix}{}", pattern.trim_start_matches('/'));
            if !known.lines().any(|found| found == line) {
                if let Some(folder) = path.parent() {
                    atomic::create_dir(folder)?;
                }
                append::append_line(&path, &line)?;
            }
        }
        Ok(())
    }
}

/// `--root`, else `$WB_ROOT`, else the nearest folder upward with a `project.conf`.
fn root(global: &Global) -> Result<PathBuf, Failure> {
    let current = env_vars::current_dir().map_err(|error| {
        let message = format!("the current folder cannot be read: {error}");
        Failure::new(Code::Failed, message)
    })?;
    let named = global.root.clone().map(|root| (root, "--root"));
    let named = named.or_else(|| Some((env_vars::path(env_vars::WB_ROOT)?, "WB_ROOT")));
    if let Some((root, who)) = named {
        let root = current.join(root);
        if root.join(CONF).is_file() {
            return root.canonicalize().map_err(|error| {
                let message = format!("{}: {error}", root.display());
                Failure::new(Code::Failed, message)
            });
        }
        let message = format!("{}: there is no {CONF}", root.display());
        return Err(Failure::new(Code::Usage, message).hint(format!("Check {who}.")));
    }
    let found = current.ancestors().find(|dir| dir.join(CONF).is_file());
    found.map(PathBuf::from).ok_or_else(|| {
        let here = current.display();
        let message = format!("{here}: neither here nor above is there a {CONF}");
        Failure::new(Code::Usage, message)
            .hint("Go to the workbench, or name it with --root or WB_ROOT.")
    })
}
