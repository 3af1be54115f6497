#!/bin/sh
# The demo's agent: it stands where a coding agent would. The work order comes as JSON on standard input,
# its parts also in RALPH_* variables; what it writes into the project's folder is its work.
set -eu
cat >/dev/null
say() { printf '{"ralph":"outcome","outcome":"%s","%s":"%s"}\n' "$1" "$2" "$3"; }

write_job() { # name, script, arguments
    mkdir -p slurm/jobs experiments configs results
    cat >"slurm/jobs/$1.sbatch" <<JOB
#!/bin/sh
#SBATCH --job-name=$1
#SBATCH --output=slurm/logs/%x_%j.out
#SBATCH --error=slurm/logs/%x_%j.err
#SBATCH --time=00:02:00
set -eu
sh experiments/$2 $3
JOB
}

case "$RALPH_PROJECT/$RALPH_KIND/$RALPH_TASK_ID" in
estimate-pi/implement/T1)
    write_job q001 pi.sh 1000
    write_job q002 pi.sh 4000
    cat >experiments/pi.sh <<'SCRIPT'
#!/bin/sh
# Estimates pi from the grid points of a quarter circle; --check only sees that awk is there.
set -eu
[ "$1" = --check ] && exec awk 'BEGIN { exit !(3 > 2) }'
awk -v n="$1" 'BEGIN {
    for (i = 0; i < n; i++) { x = (i + 0.5) / n; inside += int(sqrt(1 - x * x) * n) }
    printf "{\"points\": %d, \"pi\": %.5f}\n", n * n, 4 * inside / (n * n)
}' | tee "results/pi_$1.json"
SCRIPT
    say "done" summary "the estimator and its two job scripts are written"
    ;;
matrix-shapes/implement/T1)
    write_job q001 train.sh ""
    cat >experiments/train.sh <<'SCRIPT'
#!/bin/sh
# Fails as a training script would.
[ "${1:-}" = --check ] && exit 0
echo "step 0: loss 0.6931"
cat >&2 <<'TRACE'
Traceback (most recent call last):
  File "experiments/train.py", line 88, in <module>
    main()
  File "experiments/train.py", line 61, in main
    loss = criterion(model(batch), target)
  File "experiments/losses.py", line 27, in forward
    return ((prediction - target) ** 2).mean()
RuntimeError: The size of tensor a (400) must match the size of tensor b (2048) at non-singleton dimension 1
TRACE
exit 1
SCRIPT
    say "done" summary "the training script is written"
    ;;
matrix-shapes/debug/*)
    say needs_input prompt "The loss compares [2048, 400] with [2048]: should the target be expanded, or was noise meant?"
    ;;
new-dataset/implement/T1)
    say needs_input prompt "Two versions of the dataset exist (v1.2, v2.0). Which one should the experiment use?"
    ;;
*)
    echo "no work for $RALPH_PROJECT $RALPH_KIND $RALPH_TASK_ID"
    ;;
esac
