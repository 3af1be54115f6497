#!/bin/sh
# ssh.sh COMMAND [ARGUMENT]...: runs a command on the login node over the shared session, with its exit code. One word is
# a command line; several are a program and its arguments. 20: there is no .claude/cluster.local.json. 21: there is no
# session; none is opened.
root=${CLAUDE_PROJECT_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
exec ralph --root "$root" __cluster run -- "$@"
