# Read by the job before its first command: the variables of its submission, and a record of how it ends. A script
# that sets an EXIT trap of its own, or ends with `exec`, leaves no record; accounting is then the only witness.
export RALPH_RECEIPT
. "$RALPH_RECEIPT/sent/variables"
ralph_record_end() {
  ralph_code=$?
  set +e +u
  ralph_record=$RALPH_RECEIPT/ended.${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
  printf '%s %s %s\n' "$ralph_code" "$(date +%s)" "${SLURM_RESTART_COUNT:-0}" >"$ralph_record.tmp" 2>/dev/null &&
    mv -f "$ralph_record.tmp" "$ralph_record" 2>/dev/null
  return "$ralph_code"
}
trap ralph_record_end EXIT
