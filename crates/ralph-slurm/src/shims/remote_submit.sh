#!/bin/sh
# remote_submit.sh PROJECT SCRIPT: the same as submit.sh; there is no scheduler on this machine.
root=${CLAUDE_PROJECT_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
exec ralph --root "$root" __cluster submit -- "$@"
