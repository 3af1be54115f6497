# The queue of this user, and accounting for what has left it. Argument: how many seconds accounting looks back.
# Standard input: one job and its token (or `-`) per line.
seconds=$1
wanted=$(cat)
queue_format="%i$us%A$us%T$us%r$us%V$us%S$us%e$us%N$us%j"
accounting_format=JobID,JobIDRaw,State,ExitCode,Submit,Start,End,NodeList,JobName

show_queue() {
  if [ "$queue_code" = 0 ]; then printf '%s\n' "$queue"; else printf '%s\n' "$queue" >&2; fi
  return "$queue_code"
}

queue=$(within 30 squeue --me -h -t all -o "$queue_format" 2>&1)
queue_code=$?
part queue show_queue

# Asked of accounting: what the queue does not know, what has ended there, and arrays, whose tasks leave one by one.
left=$({ printf '%s\n=\n' "$wanted"; [ "$queue_code" != 0 ] || printf '%s\n' "$queue"; } | awk -F "$us" '
  !listed && $0 == "=" { listed = 1; next }
  !listed { split($0, words, " "); order[++count] = words[1]; token[words[1]] = words[2]; next }
  $1 !~ /_/ && $3 !~ /^(COMPLETED|CANCELLED|FAILED|TIMEOUT|NODE_FAIL|PREEMPTED|BOOT_FAIL|DEADLINE|OUT_OF_MEMORY|REVOKED)$/ {
    split($1, number, "+"); alive[number[1]] = 1
  }
  END { for (i = 1; i <= count; i++) if (!(order[i] in alive)) print order[i], token[order[i]] }')

# More ids than one command line holds are asked for by user and time instead.
accounting() {
  set -- within 40 sacct -n -P -X -D "--delimiter=$us" -S "now-${seconds}seconds" -E now -o "$accounting_format"
  ids=$(printf '%s\n' "$left" | awk '{ printf "%s%s", (NR > 1 ? "," : ""), $1 }')
  if [ "${#ids}" -lt 100000 ]; then "$@" -j "$ids"; else "$@" -u "$(id -un)"; fi
}

# What the jobs themselves recorded, and which parts they were submitted with: tasks of an array, components.
records() {
  cd "$receipts" || return
  endings=''
  while read -r job token; do
    [ "$token" != - ] && read -r sent <"$token/claim" || continue
    for parts in array components; do
      [ ! -e "$token/$sent/$parts" ] || printf '%s %s %s\n' "$parts" "$job" "$(cat "$token/$sent/$parts")"
    done
    endings="$endings $token/ended.$job $token/ended.${job}_*"
  done <<END
$left
END
  # One process for the times of all: an array may have left ten thousand.
  # shellcheck disable=SC2086 # tokens and ids hold no blanks, and the patterns are to be expanded
  times=$(printf '%s\n' $endings | xargs stat -c '%n %Y' 2>/dev/null)
  # shellcheck disable=SC2086
  [ -n "$times" ] || times=$(printf '%s -\n' $endings)
  while read -r record at; do
    [ -s "$record" ] && read -r code restarts <"$record" || continue
    printf 'ended %s %s %s %s\n' "${record##*/ended.}" "$code" "$at" "$restarts"
  done <<END
$times
END
}

# The records come first: a reply that breaks off must not show an end without what might contradict it.
if [ -n "$left" ]; then
  part records records
  part accounting accounting
fi
finish 0
