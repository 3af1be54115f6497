//! The scripts on this machine: a transport for tests, with fake scheduler commands on `PATH`.
//!
//! The product has no such path: a scheduler is never asked on this machine.

use std::path::PathBuf;
use std::process::Stdio;

use async_trait::async_trait;
use tokio::process::Command;

use super::control_master::drive;
use super::{ExecRequest, Exit, Receiver, Transport, TransportError};

/// Runs commands with `sh` in a folder that stands for the remote home.
#[derive(Debug)]
pub struct Local {
    home: PathBuf,
    path: String,
}

impl Local {
    /// A "remote" machine with this home and this `PATH`.
    #[must_use]
    pub fn new(home: PathBuf, path: String) -> Self {
        Self { home, path }
    }
}

#[async_trait]
impl Transport for Local {
    fn host(&self) -> &'static str {
        "localhost"
    }

    async fn check(&self) -> Result<(), TransportError> {
        Ok(())
    }

    async fn exec(
        &self,
        request: &ExecRequest<'_>,
        output: &mut Receiver<'_>,
    ) -> Result<Exit, TransportError> {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", request.command])
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", &self.path)
            .current_dir(&self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let fail = |error: std::io::Error| TransportError::Lost {
            host: "localhost".to_owned(),
            detail: error.to_string(),
        };
        let mut child = shell.spawn().map_err(fail)?;
        match tokio::time::timeout(request.limit, drive(&mut child, request.input, output)).await {
            Ok(exit) => exit.map_err(fail),
            Err(_) => Err(TransportError::Deadline {
                host: "localhost".to_owned(),
                seconds: request.limit.as_secs(),
            }),
        }
    }
}
