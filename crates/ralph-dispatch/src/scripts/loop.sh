#!/bin/bash
# The loop of one repository as a job: clone at the pushed commit, run the loop, push what came of it.
#
# Every value comes by a variable: GIT_URL and GIT_SHA, LOOP_REPOSITORY, LOOP_BASE, LOOP_BRANCH, LOOP_PROGRAM, and
# LOOP_ARGUMENTS with one argument per line; LOOP_DELIVERED_* with what waits to be merged, a key and its record per
# line. What the loop merged comes back on LOOP_BRANCH, every branch that holds other work under its own name, and what
# it delivered with the log.
set -u
exec 2>&1
fail() {
  printf 'ralph: error: %s\n' "$1"
  exit "${2:-1}"
}
work=$(mktemp -d "${TMPDIR:-/tmp}/ralph-loop.XXXXXX") || fail 'no folder for the clone; set TMPDIR'
trap 'rm -rf -- "$work"' EXIT
# A folder of the repository's name, because worktrees are made beside it.
checkout=$work/$LOOP_REPOSITORY
git clone --quiet --no-checkout -- "$GIT_URL" "$checkout" || fail "$GIT_URL cannot be cloned"
cd "$checkout" || fail 'the clone cannot be entered'
git checkout --quiet -B "$LOOP_BASE" "$GIT_SHA" || fail "$GIT_SHA is not in $GIT_URL; push it"
command -v -- "$LOOP_PROGRAM" >/dev/null || fail "there is no loop program $LOOP_PROGRAM here; see WB_RALPH_JOB_PROGRAM" 32
delivered=.ralph/state/delivered
mkdir -p "$delivered" "$work/told" || fail 'the clone cannot be written'
for name in "${!LOOP_DELIVERED_@}"; do
  while read -r key record; do
    [[ $key =~ ^[0-9a-f]+$ ]] || continue
    printf '%s\n' "$record" | tee -- "$work/told/$key" >"$delivered/$key.json"
  done <<<"${!name}"
  unset "$name"
done
# Says each delivery once, as soon as it is there: a node that dies must not take with it what is pushed.
tell() {
  local file key record
  for file in "$delivered"/*.json; do
    [ -s "$file" ] || continue
    key=${file##*/}
    key=${key%.json}
    record=$(tr -d '\n' <"$file")
    [ -e "$work/told/$key" ] && [ "$record" = "$(tr -d '\n' <"$work/told/$key")" ] && continue
    printf 'ralph: delivered: %s %s\n' "$key" "$record"
    printf '%s' "$record" >"$work/told/$key"
  done
}
mapfile -t arguments <<<"$LOOP_ARGUMENTS"
"$LOOP_PROGRAM" "${arguments[@]}" &
loop=$!
trap 'kill -TERM "$loop" 2>/dev/null' TERM INT
teller=
# Reading from a pipe that nobody writes into is a pause without a process that could be left behind.
if exec {pause}<> <(:); then
  (while ! read -r -t 10 -u "$pause"; do tell; done) &
  teller=$!
fi
wait "$loop"
code=$?
# A signal ends the waiting, not the loop.
while kill -0 "$loop" 2>/dev/null; do
  wait "$loop"
  code=$?
done
trap '' TERM INT
if [ -n "$teller" ]; then
  kill "$teller" 2>/dev/null
  wait "$teller" 2>/dev/null
fi
tell
if [ -s .ralph/status.json ]; then
  printf 'ralph: status: %s\n' "$(tr -d '\n' <.ralph/status.json)"
fi
if [ "$(git rev-parse "refs/heads/$LOOP_BASE")" != "$GIT_SHA" ]; then
  if git push --quiet origin "refs/heads/$LOOP_BASE:refs/heads/$LOOP_BRANCH"; then
    printf 'ralph: result: branch %s\n' "$LOOP_BRANCH"
  else
    fail "the result cannot be pushed to $LOOP_BRANCH"
  fi
fi
if [ -n "$(git for-each-ref --count=1 'refs/heads/ralph-*' 'refs/heads/ralph-*/**')" ]; then
  git push --quiet origin 'refs/heads/ralph-*:refs/heads/ralph-*' || fail 'branches that hold work cannot be pushed'
fi
exit "$code"
