#!/bin/bash
# What a status is compared with: a row per pidfile, from the process and the end of its log.
cd "$1" || exit
echo '| Repo | PID | State | Last line |'
for file in ralph/*.pid; do
  name=${file##*/}
  name=${name%.pid}
  pid=$(cat "$file")
  state=gone
  kill -0 "$pid" 2>/dev/null && state=running
  printf '| %s | %s | %s | %s |\n' "$name" "$pid" "$state" "$(tail -n 1 "ralph/logs/$name.log")"
done
