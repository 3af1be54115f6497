#!/bin/sh
# Opens the shared SSH session on this terminal: password, verification code, host key. Exit 0: it is open. 20: there
# is no .claude/cluster.local.json. 21: the login was refused.
root=${CLAUDE_PROJECT_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
exec ralph --root "$root" cluster connect
