# Submits a bundle, each order at most once. Arguments: the tokens. Standard input: a tar archive with one folder per
# token. A token is claimed by making its folder, which only one caller can do; who loses reads what the winner left.
# What proves a submission is on disk before a byte of the reply is written.
incoming=$root/.ralph/incoming/${mark#@ralph }
newline='
'

answer() { # WORDS...: the receipt of $token, with what sbatch said
  printf '\n%s part receipt.%s\n%s\n' "$mark" "$token" "$*"
  each_line out "$said"
  each_line err "$complained"
  printf '\n%s done receipt.%s 0\n' "$mark" "$token"
}

each_line() { # WORD TEXT
  [ -n "$2" ] || return 0
  while IFS= read -r line; do printf '%s %s\n' "$1" "$line"; done <<END
$2
END
}

# What an earlier call left for this token.
read_marker() {
  since=$(stat -c %Y "$folder/sent" 2>/dev/null || stat -c %Y "$folder" 2>/dev/null || printf 0)
  said=$(cat "$folder/out" 2>/dev/null)
  complained=$(cat "$folder/err" 2>/dev/null)
  code=$(cat "$folder/rc" 2>/dev/null)
  if [ -n "$code" ]; then answer ran "$code"; else answer claimed "$since"; fi
}

# SLURM takes `afterok` on a failed job that it has forgotten as satisfied, so accounting is asked before. Prints
# what stands against the dependency: `no ...` for good, `wait ...` for now.
check_after() { # JOB
  known=$(within 20 squeue -h -t all -j "$1" -o %T 2>/dev/null)
  if [ -n "$known" ]; then
    states=$known
  elif ! states=$(within 30 sacct -n -P -X -j "$1" -o State 2>&1); then
    printf 'wait: job %s cannot be checked, accounting does not answer: %s\n' "$1" "$states"
    return
  fi
  while IFS= read -r state; do
    case $state in
      COMPLETED) ;;
      FAILED | CANCELLED* | TIMEOUT | DEADLINE | OUT_OF_MEMORY | REVOKED) printf 'no: job %s is %s\n' "$1" "$state" ;;
      NODE_FAIL | PREEMPTED | BOOT_FAIL) printf 'wait: job %s is %s and may be requeued\n' "$1" "$state" ;;
      '') printf 'wait: job %s is unknown to the queue and to accounting\n' "$1" ;;
      *) [ -n "$known" ] || printf 'wait: job %s has left the queue, but accounting says %s\n' "$1" "$state" ;;
    esac
  done <<END
$states
END
}

# The folders that the job's logs go to; without them a job dies at once and without a word.
make_folders() {
  mkdir -p "$root/$workdir" && cd "$root/$workdir" || return
  while IFS= read -r one; do
    [ -z "$one" ] || [ -d "$one" ] || mkdir -p "$one" || return
  done <<END
$folders
END
}

# The job's script: as sent, with the line before its first command that reads the variables and records the end.
write_job() {
  if [ -z "$insert" ]; then
    cp "$folder/sent/script" "$folder/sent/job"
    return
  fi
  RALPH_LINE="RALPH_RECEIPT='$quoted_receipts/$token'; . \"\$RALPH_RECEIPT/sent/prologue\"" \
    awk -v at="$insert" 'NR == at { print ENVIRON["RALPH_LINE"] } { print }' "$folder/sent/script" >"$folder/sent/job"
}

arrived_whole() {
  command -v sha256sum >/dev/null 2>&1 || return 0
  sum=$(sha256sum <"$staged/script")
  [ "${sum%% *}" = "$sha256" ] || {
    printf 'the script arrived with another SHA-256: %s\n' "${sum%% *}"
    return 1
  }
}

submit_one() {
  folder=$receipts/$token staged=$incoming/$token said='' complained=''
  if [ -d "$folder" ]; then
    read_marker
    return
  fi
  workdir=. folders='' insert='' sha256='' preflight='' syntax='' export='' after='' against=''
  set --
  while read -r key value; do
    case $key in
      workdir) workdir=$value ;;
      folder) folders=$folders$value$newline ;;
      insert) insert=$value ;;
      sha256) sha256=$value ;;
      preflight) preflight=$value ;;
      export) export=$value ;;
      syntax) syntax=$value ;;
      after)
        after=$after:$value
        found=$(check_after "$value" </dev/null)
        [ -z "$found" ] || against=$against$found$newline
        ;;
      option) set -- "$@" "$value" ;;
    esac
  done <"$staged/order"
  if [ -n "$against" ]; then
    complained=${against%"$newline"}
    case $newline$against in
      *"${newline}no: "*) answer dependency no ;;
      *) answer dependency wait ;;
    esac
    return
  fi
  [ -z "$after" ] || set -- "$@" "--dependency=afterok$after" --kill-on-invalid-dep=yes
  if ! complained=$(arrived_whole && make_folders 2>&1); then
    answer storage
    return
  fi
  if [ -n "$syntax" ] && command -v "$syntax" >/dev/null 2>&1 && ! complained=$("$syntax" -n "$staged/script" 2>&1); then
    answer syntax
    return
  fi
  if [ -n "$preflight" ] && ! complained=$(cd "$root/$workdir" && within 30 sbatch --test-only "$@" "$staged/script" 2>&1); then
    answer preflight
    return
  fi
  if ! complained=$(mkdir "$folder" 2>&1); then
    if [ -d "$folder" ]; then read_marker; else answer storage; fi
    return
  fi
  if ! complained=$({ mv "$staged" "$folder/sent" && write_job; } 2>&1); then
    answer unsent
    return
  fi
  complained=''
  said=$(
    cd "$root/$workdir" || exit
    if [ -n "$export" ]; then
      export RALPH_RECEIPT="$folder"
      . "$folder/sent/variables"
    fi
    exec sbatch --parsable "$@" "$folder/sent/job" 2>"$folder/err"
  )
  code=$?
  printf '%s\n' "$said" >"$folder/out"
  printf '%s\n' "$code" >"$folder/rc.tmp" && mv "$folder/rc.tmp" "$folder/rc"
  [ ! -s "$folder/err" ] || complained=$(cat "$folder/err")
  answer ran "$code"
}

# Nothing is claimed before everything has arrived.
prepare() {
  [ -d "$root" ] || { printf '%s does not exist on the cluster\n' "$root" && return 1; }
  mkdir -p "$receipts" "$incoming" && tar -xmf - -C "$incoming" || return
  [ -e "$root/.ralph/.gitignore" ] || printf '*\n' >"$root/.ralph/.gitignore"
}

if ! problem=$(prepare 2>&1); then
  part storage printf '%s\n' "$problem"
  finish 0
fi
quoted_receipts=$(printf '%s' "$receipts" | sed "s/'/'\\\\''/g")
for token in "$@"; do submit_one; done
rmdir "$incoming" 2>/dev/null
finish 0
