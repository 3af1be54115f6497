//! The workbench that is meant, opened: its folder, its `project.conf`, and what acts there.

use std::path::PathBuf;

use ralph_core::env::Env;
use ralph_core::error::Code;
use ralph_front::failure::Failure;
use ralph_front::machine;
use ralph_front::output::Output;

use crate::args::Global;
use crate::conf::Conf;
use crate::env_vars;
use crate::layout::{CONF, Layout};

/// An opened workbench.
#[derive(Debug)]
pub(crate) struct Workbench {
    pub(crate) layout: Layout,
    pub(crate) conf: Conf,
    pub(crate) env: Env,
    pub(crate) output: Output,
}

impl Workbench {
    /// Finds it and reads its `project.conf`.
    pub(crate) fn open(global: &Global, output: Output) -> Result<Self, Failure> {
        let layout = Layout::new(root(global)?);
        let conf = Conf::open(&layout.conf())?;
        Ok(Self {
            layout,
            conf,
            env: machine::env(env_vars::user()),
            output,
        })
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
