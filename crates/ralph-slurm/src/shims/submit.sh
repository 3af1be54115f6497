#!/bin/sh
# submit.sh PROJECT SCRIPT (or SCRIPT PROJECT): submits a script of a project once and prints "Submitted batch job N".
# PROJECT is a name or projects/NAME, SCRIPT a path or the name of a script in slurm/jobs/. SBATCH_EXPORTS (A=1,B=2),
# SBATCH_DEPENDENCY (afterok:N[:N]) and SBATCH_EXCLUDE (node,node) are honoured. Exit 2: exports that cannot be passed
# on whole. 20: no configuration. 21: no session. 22: no such project. 24: refused. 25: unclear, nothing is retried.
root=${CLAUDE_PROJECT_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
exec ralph --root "$root" __cluster submit -- "$@"
