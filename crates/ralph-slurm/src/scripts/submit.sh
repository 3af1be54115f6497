# Submits a bundle, each order at most once. Arguments: the name of the bundle, the tokens. Standard input: a tar archive
# with receipts/TOKEN/BUNDLE/ for each token. A token is claimed by creating its file `claim`, which only one caller can
# do; who loses reads what the winner left. What proves a submission is on disk before a byte of the reply is written.
bundle=$1
shift
newline='
'
# From here on `>` creates files and never replaces one: it is what makes a claim exclusive, without a process.
set -C

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
  since=$(stat -c %Y "$folder/claim" 2>/dev/null || printf 0)
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

# Whether something of the item stands against its submission: a job of an earlier token that lives, or that may.
# SLURM is asked only where there is an earlier token, and once for all of a bundle that was submitted well before.
earlier_stands() {
  read -r mine rest <"$items/$token"
  for entry in "$items"/*; do
    other=${entry##*/}
    [ "$other" != "$token" ] && [ -e "$receipts/$other/claim" ] && read -r theirs rest <"$entry" || continue
    # Read before the queue is: who ends in between counts as one that has not.
    ran=$(cat "$receipts/$other/rc" 2>/dev/null)
    if ! answered_since "$other" && ! ask_queue; then
      said='' complained="whether a job of it lives, submitted as $other, cannot be asked: ${queue%.}" queue=''
      answer item
      return
    fi
    job=$(printf '%s\n' "${queue%.}" | awk -F "$us" -v token="$other" '
      !found && index($0, token) && $2 !~ /^(COMPLETED|CANCELLED|FAILED|TIMEOUT|NODE_FAIL|PREEMPTED|BOOT_FAIL|DEADLINE|OUT_OF_MEMORY|REVOKED)$/ {
        split($1, number, /[_+]/); print number[1]; found = 1
      }')
    if [ -n "$job" ]; then
      said='' complained=''
      if [ "$mine" = "$theirs" ]; then answer earlier "$job" "$other" same "$rest"; else answer earlier "$job" "$other" other "$rest"; fi
      return
    fi
    # Somebody may be submitting it at this moment, and nobody can call that back: `sbatch` sleeps up to 120 seconds in
    # 15 tries for a busy controller, each of which may wait for MessageTimeout, and for a controller in standby 180
    # seconds more. So long after a claim no job comes of it any more; after two minutes one may.
    if [ -z "$ran" ] && is_young "$receipts/$other/claim" 600; then
      said='' complained="it is being submitted already, as $other"
      answer item
      return
    fi
    # The controller may yet work off what it did not answer.
    if [ "${ran:-0}" != 0 ] && is_young "$receipts/$other/rc" 120 && is_doubtful "$receipts/$other/err"; then
      said='' complained="it is not known yet whether there is a job of its submission as $other"
      answer item
      return
    fi
  done
  return 1
}

ask_queue() {
  asked=$(date +%s)
  queue=$(within 30 squeue --me -h -t all -o "%i$us%T$us%k$us%o" 2>&1; code=$?; printf .; exit "$code")
}

# answered_since TOKEN: the queue was asked after its submission had ended. A minute is for clocks that differ.
answered_since() {
  [ -n "$queue" ] || return
  [ -z "$ran" ] || [ $((asked - $(stat -c %Y "$receipts/$1/rc" 2>/dev/null || printf '%s' "$asked"))) -gt 60 ]
}

is_young() { # FILE SECONDS
  [ $(($(date +%s) - $(stat -c %Y "$1" 2>/dev/null || printf 0))) -lt "$2" ]
}

is_doubtful() { # FILE: what `sbatch` complained of
  case $(cat "$1" 2>/dev/null) in
    *'imed out'* | *'nable to contact'* | *'ero bytes'* | *'ommunication '* | *'onnection refused'*) ;;
    *) return 1 ;;
  esac
}

# Whether it is this token's turn to submit the item; what is in the way is answered. The turns are files that one caller
# makes and nobody removes, and the last of them names who may claim. Who takes one looks again whether something
# stands, and who has claimed looks again whether the turn is still its own: of two that know nothing of each other, one
# sees the other, wherever they stop in between. So nobody's safety hangs on how long a turn without a claim is waited
# for: whoever is overtaken gives its claim back. The two minutes are for one that is only slow, which may have to wait
# 25 seconds for the queue, and for a shared file system that shows a new name up to a minute late.
is_its_turn() {
  while :; do
    turn=0 holder=$token
    while [ -e "$items/.turn.$((turn + 1))" ]; do
      turn=$((turn + 1)) holder=''
      read -r holder <"$items/.turn.$turn"
    done
    ! earlier_stands || return
    if [ "$holder" = "$token" ] && [ "$turn" -gt 0 ]; then return 0; fi
    if [ "$holder" != "$token" ] && [ ! -e "$receipts/$holder/claim" ] && is_young "$items/.turn.$turn" 120; then
      said='' complained="it is being submitted already, as ${holder:-another}; if that was cut off, it can be submitted again after 2 minutes"
      answer item
      return 1
    fi
    turn=$((turn + 1))
    if ! complained=$({ printf '%s\n' "$token" >"$items/.turn.$turn"; } 2>&1) && [ ! -e "$items/.turn.$turn" ]; then
      said=''
      answer storage
      return 1
    fi
  done
}

# The folders that the job's logs go to; without them a job dies at once and without a word.
make_folders() {
  [ -d "$root/$workdir" ] || mkdir -p "$root/$workdir" || return
  cd "$root/$workdir" || return
  while IFS= read -r one; do
    [ -z "$one" ] || [ -d "$one" ] || mkdir -p "$one" || return
  done <<END
$folders
END
}

arrived_whole() {
  [ -s "$sent/job" ] || { printf 'the script could not be written to %s\n' "$sent" && return 1; }
  [ -n "$sums_differ" ] || return 0
  sum=$(sha256sum <"$sent/script")
  [ "${sum%% *}" = "$sha256" ] || {
    printf 'the script arrived with another SHA-256: %s\n' "${sum%% *}"
    return 1
  }
}

submit_one() {
  folder=$receipts/$token sent=$receipts/$token/$bundle said='' complained=''
  if [ -e "$folder/claim" ]; then
    read_marker
    return
  fi
  workdir=. item='' folders='' sha256='' preflight='' syntax='' export='' after='' against=''
  set --
  while read -r key value; do
    case $key in
      workdir) workdir=$value ;;
      item) item=$value items=$root/.ralph/items/$value ;;
      folder) folders=$folders$value$newline ;;
      sha256) sha256=$value ;;
      preflight) preflight=$value ;;
      syntax) syntax=$value ;;
      export) export=$value ;;
      after)
        after=$after:$value
        found=$(check_after "$value" </dev/null)
        [ -z "$found" ] || against=$against$found$newline
        ;;
      option) set -- "$@" "$value" ;;
    esac
  done <"$sent/order"
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
  if [ -n "$syntax" ] && command -v "$syntax" >/dev/null 2>&1 && ! complained=$("$syntax" -n "$sent/script" 2>&1); then
    answer syntax
    return
  fi
  if [ -n "$preflight" ] && ! complained=$(cd "$root/$workdir" && within 30 sbatch --test-only "$@" "$sent/script" 2>&1); then
    # The item's own job may be why there is room for no other.
    [ -n "$item" ] && earlier_stands || answer preflight
    return
  fi
  if [ -n "$item" ] && ! is_its_turn; then return; fi
  if ! { printf '%s\n' "$bundle" >"$folder/claim"; } 2>/dev/null; then
    read_marker
    return
  fi
  if [ -n "$item" ] && [ -e "$items/.turn.$((turn + 1))" ]; then
    mv -f "$folder/claim" "$folder/returned.$bundle"
    said='' complained='another submission of it has come in between'
    answer item
    return
  fi
  complained=''
  said=$(
    cd "$root/$workdir" || exit
    if [ -n "$export" ]; then
      export RALPH_RECEIPT="$folder" RALPH_SENT="$bundle"
      . "$sent/variables"
    fi
    exec sbatch --parsable "$@" "$sent/job" 2>"$folder/err"
  )
  code=$?
  printf '%s\n' "$said" >"$folder/out"
  printf '%s\n' "$code" >"$folder/rc"
  [ ! -s "$folder/err" ] || complained=$(cat "$folder/err")
  answer ran "$code"
}

# Writes every job's script: as sent, with the line before its first command that reads the variables and records the
# end. Prints what `sha256sum -c` wants to know of the scripts as they arrived.
write_jobs() {
  quoted=$(printf '%s' "$receipts" | sed "s/'/'\\\\''/g")
  printf '%s\n' "$@" | RALPH_RECEIPTS=$receipts RALPH_QUOTED=$quoted RALPH_BUNDLE=$bundle awk '
    {
      sent = ENVIRON["RALPH_RECEIPTS"] "/" $1 "/" ENVIRON["RALPH_BUNDLE"]
      at = number = 0
      while ((getline line < (sent "/order")) > 0) {
        if (line ~ /^insert /) at = substr(line, 8) + 0
        if (line ~ /^sha256 /) print substr(line, 8) "  " sent "/script"
      }
      while ((getline line < (sent "/script")) > 0) {
        if (++number == at) {
          printf "RALPH_RECEIPT='\''%s/%s'\'' RALPH_SENT=%s; ", ENVIRON["RALPH_QUOTED"], $1, ENVIRON["RALPH_BUNDLE"] >(sent "/job")
          print ". \"$RALPH_RECEIPT/$RALPH_SENT/prologue\"" >(sent "/job")
        }
        print line >(sent "/job")
      }
      close(sent "/order")
      close(sent "/script")
      if (close(sent "/job") != 0) exit 1
    }'
}

# Nothing is claimed before everything has arrived.
prepare() {
  have_root || return
  mkdir -p "$receipts" && tar -xmf - -C "$root/.ralph" || return
  [ -e "$root/.ralph/.gitignore" ] || printf '*\n' >"$root/.ralph/.gitignore"
}

if ! problem=$(prepare 2>&1); then
  part storage printf '%s\n' "$problem"
  finish 0
fi
if ! sums=$(write_jobs "$@"); then
  part storage printf 'the scripts could not be written below %s\n' "$receipts"
  finish 0
fi
sums_differ='' queue='' asked=0
if command -v sha256sum >/dev/null 2>&1; then
  printf '%s\n' "$sums" | sha256sum --status -c 2>/dev/null || sums_differ=yes
fi
for token in "$@"; do submit_one; done
finish 0
