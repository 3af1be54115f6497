#!/bin/sh
# status.sh JOB_ID: the state of a job as one word on standard output, such as RUNNING, COMPLETED or UNKNOWN; an array
# has one line per task after it. UNKNOWN means that the cluster could not say, never that the job has ended.
# Exit 20: no configuration. 21: no session. 2: no job id.
root=${CLAUDE_PROJECT_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
exec ralph --root "$root" __cluster status -- "$@"
