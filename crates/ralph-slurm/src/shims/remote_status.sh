#!/bin/sh
# remote_status.sh JOB_ID: the same as status.sh; there is no scheduler on this machine.
root=${CLAUDE_PROJECT_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
exec ralph --root "$root" __cluster status -- "$@"
