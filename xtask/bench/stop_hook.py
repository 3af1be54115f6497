#!/usr/bin/env python3
"""The comparison of the Stop hook's bench: the same question, answered by an interpreter that parses each state
file whole. Written from a description of what such hooks do; it is no part of the product.

Exit 0: the agent may stop. Exit 2: work remains, and four lines on stderr say so.
"""

import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path


def read_json(path, otherwise):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return otherwise


def poll_is_in_the_future(state, now):
    text = (state.get("slurm_wait") or {}).get("next_poll_after")
    try:
        when = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return False
    return when.astimezone(timezone.utc) > now


def is_actionable(state, now):
    if (state.get("needs_user_input") or {}).get("value") or not state.get("next_action"):
        return False
    return not (state.get("phase") == "WAIT_SLURM" and poll_is_in_the_future(state, now))


def main():
    root = Path(os.environ.get("CLAUDE_PROJECT_DIR") or os.getcwd())
    settings = root / ".claude" / "ralph"
    if not (settings / "enabled").exists():
        return 0
    try:
        session = json.load(sys.stdin).get("session_id", "")
    except ValueError:
        session = ""
    config = read_json(settings / "config.json", {})
    counter = read_json(settings / "loop-state.json", {})
    if counter.get("session_id") != session:
        counter = {"session_id": session, "iterations_blocked": 0}

    now = datetime.now(timezone.utc)
    found = []
    for state_file in sorted((root / "projects").glob("*/.state/pipeline.json")):
        state = read_json(state_file, None)
        if isinstance(state, dict) and is_actionable(state, now):
            found.append(state_file.parent.parent.name)
    if not found or counter["iterations_blocked"] >= int(config.get("max_iterations", 25)):
        return 0

    counter["iterations_blocked"] += 1
    counter["last_blocked_at"] = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    partial = settings / "loop-state.json.partial"
    partial.write_text(json.dumps(counter, indent=2) + "\n", encoding="utf-8")
    partial.replace(settings / "loop-state.json")
    batch = found[: int(config.get("batch_size", 3))]
    print(f"{len(found)} projects have work left.", file=sys.stderr)
    print(f"Next: {', '.join(batch)}.", file=sys.stderr)
    print(f"Stopped {counter['iterations_blocked']} times in this session.", file=sys.stderr)
    print("Run the dispatch again.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
