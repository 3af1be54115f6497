//! A run of git under a guard, for one that works elsewhere than in this repository, such as a push: it ends with this
//! process, however that ends, and so does what it has started, such as a hook of the user's.

use std::ffi::OsStr;
use std::io;

use ralph_core::process::bounded::run_request;
use ralph_core::process::guard::{Guard, GuardProgram, GuardRequest, Inherit};

use super::{Call, FOREIGN, Output};
use crate::git::GitError;

impl Call<'_> {
    /// As [`Call::run`]. Dropping the future ends it.
    ///
    /// # Errors
    /// As [`Call::run`].
    pub async fn guarded(self, guard: &GuardProgram) -> Result<Output, GitError> {
        let request = self.request();
        let run = async { run_request(Guard::start(guard)?, &request, self.limit).await };
        let ended = run.await;
        let ended = ended.map_err(|error| self.started(io::Error::other(error)))?;
        let (is_good, how, is_too_long) = (ended.success(), ended.how(), ended.is_time_limit());
        let output = Output {
            code: i32::from(!is_good),
            stdout: ended.stdout,
            stderr: ended.stderr,
        };
        match (is_good, is_too_long) {
            (true, _) => Ok(output),
            (false, true) => Err(self.too_long()),
            (false, false) => Err(GitError::Failed {
                command: self.shown(),
                how,
                stderr: output.words(),
            }),
        }
    }

    fn request(&self) -> GuardRequest {
        let text = |text: &OsStr| text.to_string_lossy().into_owned();
        let command = self.command();
        let variables = command.get_envs();
        let variables = variables.filter_map(|(name, value)| Some((text(name), text(value?))));
        GuardRequest {
            inherit: Inherit::Without(FOREIGN.map(str::to_owned).into()),
            variables: variables.collect(),
            stdin: self.input.concat(),
            ..GuardRequest::new(
                command.get_program(),
                command.get_args().map(text),
                self.git.top(),
            )
        }
    }
}
