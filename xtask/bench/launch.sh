#!/bin/bash
# What a launch is compared with: the checks of the protocol one after the other, then one detached loop each.
set -eu
cd "$1"
[ -z "$(git status --porcelain)" ]
for repository in repos/*; do
  [ -z "$(git -C "$repository" status --porcelain)" ]
  [ -s "$repository/.ralph/fix_plan.md" ]
done
mkdir -p ralph/logs
for repository in repos/*; do
  name=${repository##*/}
  (
    cd "$repository"
    exec nohup ../../../bin/ralph --parallel 1 >>"../../ralph/logs/$name.log" 2>&1
  ) &
  echo $! >"ralph/$name.pid"
done
