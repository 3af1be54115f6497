#!/bin/sh
# Is the shared SSH session open? Exit 0: yes. 20: there is no .claude/cluster.local.json. 21: no, and the hint says
# how to open it. Asks nobody, opens nothing.
root=${CLAUDE_PROJECT_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
exec ralph --root "$root" cluster check
