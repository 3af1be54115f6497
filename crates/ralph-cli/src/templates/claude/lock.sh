#!/bin/sh
# Usage: lock.sh acquire|release|status PROJECT_DIR
# The lock belongs to the process that calls this script (or to LOCK_OWNER_PID).
exec ralph lock "$@"
