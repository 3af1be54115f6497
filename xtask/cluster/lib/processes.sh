#!/usr/bin/env bash
# Part of cluster.sh: processes, namespaces, health.

# --------------------------------------------------------------- processes ---
# Everything runs in one private mount, UTS, IPC and PID namespace, so that the
# cluster has its own users, PAM stack and host names without a change to the
# machine's, and no process outlives `down`. A pid file holds the pid as seen
# from the machine and the process's start time, so a reused pid is never hit.

start_time() { # PID
  local fields
  { read -r fields <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra fields <<<"${fields##*) }" # field 3 and on; the start time is field 22
  echo "${fields[19]}"
}

alive() { # NAME
  local pid start
  read -r pid start 2>/dev/null <"$RUN/$1.pid" || return 1
  [[ -n $start && $(start_time "$pid") == "$start" ]]
}

pid_of() { cut -d' ' -f1 "$RUN/$1.pid"; }

record_pid() { echo "$2 $(start_time "$2")" >"$RUN/$1.pid"; } # NAME PID

# Run a command inside the cluster's namespaces, as root.
ns() {
  nsenter --target "$(pid_of init)" --mount --uts --ipc --pid --root -- \
    env -i PATH="$PATH" HOME=/root LC_ALL=C.UTF-8 SLURM_CONF="$ETC/slurm.conf" \
    MYSQL_UNIX_PORT="$MYSQL_SOCKET" "$@" 9>&-
}

slurm() { ns timeout 10 "$@"; } # an admin command that cannot hang us

# spawn NAME COMMAND...: start a daemon in the namespaces and record its pid.
spawn() {
  local name=$1 inner pid i space
  shift
  rm -f "$RUN/$name.pid" "$RUN/$name.inner"
  # shellcheck disable=SC2016 # for the inner shell
  ns setsid --fork "$BASH" -c 'echo "$$" >"$0"; exec "$@"' "$RUN/$name.inner" "$@" \
    </dev/null >>"$LOG/$name.log" 2>&1
  for ((i = 0; i < 200; i++)); do
    read -r inner 2>/dev/null <"$RUN/$name.inner" && break
    sleep 0.01
  done
  # The machine's pid is the one whose innermost pid is $inner in our namespace.
  space=$(readlink "/proc/$(pid_of init)/ns/pid")
  while read -r pid; do
    [[ $(readlink "/proc/$pid/ns/pid") != "$space" ]] || { record_pid "$name" "$pid" && return; }
  done < <(grep -s '^NSpid:' /proc/[0-9]*/status |
    awk -v inner="${inner:?$name did not start}" '$NF == inner && NF > 2 { split($1, f, "/"); print f[3] }')
  die "$name ended at once; see $LOG/$name.log"
}

tree() { # PID: it and all its descendants
  ps -e -o pid=,ppid= | awk -v root="$1" '
    { parent[$1] = $2 }
    END { for (p in parent) { q = p; while (q > 1 && q != root) q = parent[q]; if (q == root) print p } }'
}

node_pids() { # NODE: everything in the node's own UTS namespace
  local uts
  uts=$(readlink "/proc/$(pid_of "slurmd-$1")/ns/uts")
  # shellcheck disable=SC2012 # the names are numbers
  ls -l /proc/[0-9]*/ns/uts 2>/dev/null |
    awk -v uts="$uts" '$NF == uts { split($(NF - 2), f, "/"); print f[3] }'
}

send() { # SIGNAL PID...
  local signal=$1
  shift
  (($# == 0)) || kill -s "$signal" -- "$@" 2>/dev/null || true
}

stop_service() { # NAME [SECONDS before KILL]
  local pid i
  alive "$1" || { rm -f "$RUN/$1.pid" && return; }
  pid=$(pid_of "$1")
  send CONT "$pid"
  send TERM "$pid"
  for ((i = 0; i < ${2:-5} * 50; i++)); do
    alive "$1" || break
    sleep 0.02
  done
  if alive "$1"; then send KILL "$pid"; fi
  rm -f "$RUN/$1.pid"
}

start_service() { # NAME
  local as_slurm=(setpriv --reuid slurm --regid slurm --clear-groups)
  local no_fsync=(env LD_PRELOAD=libeatmydata.so)
  alive "$1" && return
  # shellcheck disable=SC2016 # for the inner shell
  case $1 in
    munged) spawn munged setpriv --reuid munge --regid munge --clear-groups \
      munged --foreground --key-file="$DIR/munge/key" --socket="$MUNGE_SOCKET" \
      --pid-file="$DIR/munge/pid" --seed-file="$DIR/munge/seed" --num-threads=4 ;;
    mariadbd) spawn mariadbd "${no_fsync[@]}" mariadbd --defaults-file="$ETC/my.cnf" ;;
    slurmdbd) spawn slurmdbd "${as_slurm[@]}" slurmdbd -D ;;
    slurmctld) spawn slurmctld "${as_slurm[@]}" "${no_fsync[@]}" slurmctld -D ;;
    slurmd-*) spawn "$1" unshare --uts \
      sh -c 'hostname "$1" && exec slurmd -D -N "$1"' sh "${1#slurmd-}" ;;
    sshd) spawn sshd /usr/sbin/sshd -D -f "$ETC/sshd_config" -e ;;
    netproxy) spawn netproxy python3 "$HERE/netproxy.py" "$PORT" "$SSHD_PORT" "$RUN/net.conf" ;;
    *) die "no service $1" ;;
  esac
}

# ------------------------------------------------------------ health checks ---
ready_munged() { timeout 5 munge --socket="$MUNGE_SOCKET" --no-input; }
ready_mariadbd() { timeout 5 mariadb --no-defaults --socket="$MYSQL_SOCKET" -e "SELECT 1"; }
ready_slurmdbd() { slurm sacctmgr -n list cluster; }
ready_slurmctld() { slurm scontrol ping | grep -q UP; }
ready_nodes() { # [NODE...]: all (given) nodes answer and can run jobs
  local states
  states=$(slurm sinfo -h -N -o '%T' -n "$(IFS=, && echo "${*:-${NODES[*]}}")") || return
  [[ -n $states ]] && ! grep -qvE '^(idle|mixed|allocated|completing|reserved)$' <<<"$states"
}
ready_ssh() { timeout 5 ssh -F "$CLIENT/ssh_config" -o BatchMode=yes ralph true; }

# -------------------------------------------------------------- namespaces ---
# The first process of the cluster: makes the machine look like a cluster to all
# others, then reaps orphans. Killing it makes the kernel kill every other one.
init_namespace() {
  local file
  mount -t proc proc /proc
  hostname login01
  mount --bind "$ETC/passwd" /etc/passwd
  mount --bind "$ETC/group" /etc/group
  [[ ! -e /etc/hosts ]] || mount --bind "$ETC/hosts" /etc/hosts
  mount --bind "$ETC/pam-sshd" /etc/pam.d/sshd
  for file in wtmp btmp lastlog; do # keep logins out of the machine's records
    [[ ! -e /var/log/$file ]] || { install -m 600 /dev/null "$LOG/$file" && mount --bind "$LOG/$file" "/var/log/$file"; }
  done
  [[ ! -d $CGROUP ]] || mount --bind "$CGROUP" "$DIR/cgroup/memory"
  mount -t tmpfs -o "size=${SCRATCH_MB}m,mode=755" ralph-scratch "$SCRATCH"
  own "$HPC_UID:$GROUP_ID" 700 "$SCRATCH/$HPC_USER"
  own "$MFA_UID:$GROUP_ID" 700 "$SCRATCH/$MFA_USER"
  : >"$RUN/ready"
  while :; do
    sleep 3600 &
    wait $! || true
  done
}

start_namespace() {
  local parent
  rm -f "$RUN/ready" "$RUN"/*.pid
  (exec setsid unshare --mount --uts --ipc --pid --fork --kill-child --propagation private \
    "$BASH" "$SELF" init-namespace) </dev/null >"$LOG/namespaces.log" 2>&1 9>&- &
  parent=$!
  record_pid namespaces "$parent"
  wait_for namespaces test -e "$RUN/ready"
  record_pid init "$(ps -o pid= --ppid "$parent" | tr -d ' ')"
}
