# Read by the job before its first command: the variables of its submission, and a record of how it ends. A script
# that sets an EXIT trap of its own, or ends with `exec`, leaves no record; accounting is then the only witness.
export RALPH_RECEIPT RALPH_SENT
# shellcheck source=/dev/null
. "$RALPH_RECEIPT/$RALPH_SENT/variables"
ralph_record_end() {
  ralph_code=$?
  set +e +u
  # One short write, and no process: the job's last moment costs nothing. When it ended is the time of the file.
  printf '%s %s\n' "$ralph_code" "${SLURM_RESTART_COUNT:-0}" 2>/dev/null \
    >|"$RALPH_RECEIPT/ended.${SLURM_ARRAY_JOB_ID:-${SLURM_JOB_ID:-}}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
  return "$ralph_code"
}
trap ralph_record_end EXIT
