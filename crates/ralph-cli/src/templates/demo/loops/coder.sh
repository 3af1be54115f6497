#!/bin/sh
# The demo's coding agent: the order comes as JSON on standard input, its parts also in RALPH_* variables; what it
# writes into its worktree is its work.
set -eu
cat >/dev/null
sleep 0.5
say() { printf '{"ralph":"outcome","outcome":"done","summary":"%s"}\n' "$1"; }

case "$RALPH_TASK_TEXT" in
"Count the words"*)
    echo 'wc -w <"$1" | tr -d " "' >words.sh
    say "words.sh counts the words of a file"
    ;;
"Count the lines"*)
    echo 'wc -l <"$1" | tr -d " "' >lines.sh
    say "lines.sh counts the lines of a file"
    ;;
"Greet"*)
    echo 'echo "Hello, ${1:-world}!"' >greet.sh
    say "greet.sh greets whoever is named"
    ;;
"Convert"*)
    # At first the wrong way round, which the repository's own check finds.
    factor='9 / 5'
    [ -e "$0.tried" ] || factor='5 / 9'
    : >"$0.tried"
    echo "awk -v c=\"\$1\" 'BEGIN { print c * $factor + 32 }'" >fahrenheit.sh
    say "fahrenheit.sh converts a temperature"
    ;;
*)
    echo "no idea what is meant by: $RALPH_TASK_TEXT"
    ;;
esac
