#!/bin/sh
# remote_fetch.sh PROJECT: brings the logs of the project's jobs to slurm/logs/<job_name>_<job_id>.{out,err}, only what
# is new, never deleting. Exit 20: no configuration. 21: no session. 22: no such project.
root=${CLAUDE_PROJECT_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
exec ralph --root "$root" __cluster fetch -- "$@"
