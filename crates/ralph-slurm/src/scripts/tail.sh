# A piece of one log, found by the job's id. Arguments: project, job, token (or nothing), out or err, the first
# byte or `end` for the last ones, most bytes.
project=$1 job=$2 token=$3 stream=$4 offset=$5 limit=$6
cd "$root" 2>/dev/null || { part missing printf '%s\n' "$root" && finish 0; }
base=${job%%[_+]*}
task=''
case $job in *_*) task=${job#*_} ;; esac

# The raw id of an array task is another number than the array's; only patterns with %j need it.
raw_id() {
  [ -n "$task" ] || { printf '%s\n' "$base" && return; }
  id=$(within 20 squeue -h -t all -j "$job" -o %A 2>/dev/null | head -n 1)
  [ -n "$id" ] || id=$(within 30 sacct -n -P -X -j "$job" -o JobIDRaw 2>/dev/null | head -n 1)
  printf '%s\n' "${id:-$base}"
}

newest() { # PATTERN: the newest file that matches
  IFS=''
  # shellcheck disable=SC2086 # the pattern is to be expanded, and without a separator it is not split
  found=$(ls -td $1 2>/dev/null | head -n 1)
  unset IFS
  [ -f "$found" ]
}

# Where the submission said that its logs go: %x, %u and the like stand as *, the ids are put in here.
by_receipt() {
  [ -n "$token" ] && read -r sent <"$receipts/$token/claim" || return
  [ -f "$receipts/$token/$sent/log.$stream" ] || return
  pattern=$(cat "$receipts/$token/$sent/log.$stream")
  case $pattern in *%j*) raw=$(raw_id) ;; *) raw=$base ;; esac
  newest "$(printf '%s' "$pattern" | sed -e "s/%j/$raw/g" -e "s/%A/$base/g" -e "s/%a/${task:-*}/g")"
}

by_name() {
  if [ -n "$task" ]; then
    newest "projects/$project/slurm/logs/*[!0-9]${base}_$task.$stream" && return
  fi
  raw=$(raw_id)
  newest "projects/$project/slurm/logs/*[!0-9]$raw.$stream" || newest "projects/$project/slurm/logs/$raw.$stream" ||
    newest "projects/$project/slurm/logs/*[!0-9]${raw}_*.$stream"
}

if ! { by_receipt || by_name; }; then
  part missing printf '%s\n' "$job"
  finish 0
fi
case $found in /*) path=$found ;; *) path=$PWD/$found ;; esac
size=$(wc -c <"$path") && size=$((size + 0)) || finish 1
if [ "$offset" = end ]; then offset=$((size > limit ? size - limit : 0)); fi
if [ "$offset" -gt "$size" ]; then offset=0; fi
part path printf '%s\n' "$path"
part place printf '%s %s\n' "$size" "$offset"
piece() { tail -c "+$((offset + 1))" "$path" | head -c "$limit"; }
part log piece
finish 0
