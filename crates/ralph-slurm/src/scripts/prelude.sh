# What every remote script begins with. Arguments: the id of the request, the repository's folder, the clusters of a
# federation (or nothing); a script sees what follows them. Output outside the marks is noise to the reader.
mark="@ralph $1"
case $2 in
  \~) root=$HOME ;;
  \~/*) root=$HOME/${2#??} ;;
  /*) root=$2 ;;
  *) root=$HOME/$2 ;;
esac
receipts=$root/.ralph/receipts

# What the user's start-up files say to the scheduler's commands must not change their output.
for name in $(env | sed -n -e 's/^\(SQUEUE_[A-Za-z0-9_]*\)=.*/\1/p' -e 's/^\(SACCT_[A-Za-z0-9_]*\)=.*/\1/p' \
  -e 's/^\(SBATCH_[A-Za-z0-9_]*\)=.*/\1/p' -e 's/^\(SCANCEL_[A-Za-z0-9_]*\)=.*/\1/p' \
  -e 's/^\(SLURM_[A-Za-z0-9_]*\)=.*/\1/p'); do
  [ "$name" = SLURM_CONF ] || unset "$name"
done
export LC_ALL=C SLURM_TIME_FORMAT=%s SLURM_BITSTR_LEN=0
if [ -n "$3" ]; then export SLURM_CLUSTERS="$3"; fi
shift 3
us=$(printf '\037')
trap '' HUP

# part NAME COMMAND...: the command's output is the part NAME, its messages are the part NAME.err.
part() {
  part_name=$1
  shift
  printf '\n%s part %s\n' "$mark" "$part_name"
  { part_errors=$("$@" 2>&1 1>&3 3>&-); } 3>&1
  part_code=$?
  printf '\n%s done %s %s\n' "$mark" "$part_name" "$part_code"
  if [ -n "$part_errors" ]; then
    printf '%s part %s.err\n%s\n%s done %s.err 0\n' "$mark" "$part_name" "$part_errors" "$mark" "$part_name"
  fi
  return "$part_code"
}

# within SECONDS COMMAND...: a command that hangs is ended, where the machine can do that.
within() {
  if command -v timeout >/dev/null 2>&1; then
    timeout -k 5 "$@"
  else
    shift
    "$@"
  fi
}

# have_root: the repository's folder is there, or is made now. Only it, and not what it should stand in: a parent that is
# missing may be a file system that is not mounted here, and what was submitted before would then be forgotten.
have_root() {
  [ -d "$root" ] || mkdir "$root" 2>/dev/null || [ -d "$root" ] || no_root
}

# can_have_root: the same question, and nothing is made.
can_have_root() {
  [ -d "$root" ] || [ -w "$(dirname "$root")" ] || no_root
}

no_root() {
  printf '%s is not there and cannot be made; check remote.repo_root, or make it on the cluster: mkdir -p "%s"\n' "$root" "$root"
  return 1
}

# finish CODE: the last line of every reply.
finish() {
  printf '\n%s end %s\n' "$mark" "$1"
  exit "$1"
}

printf '\n%s begin\n' "$mark"
part clock date +%s
