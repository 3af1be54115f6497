#!/usr/bin/env bash
# A real SLURM cluster on one machine, reached over real SSH on loopback: a test
# fixture. Run as root. `cluster.sh help` lists the commands, README.md explains.
# shellcheck disable=SC2034 # the parts under lib/ use the settings
set -euo pipefail
export LC_ALL=C.UTF-8

# ---------------------------------------------------------------- settings ---
DIR=${RALPH_CLUSTER_DIR:-/tmp/ralph-cluster}      # all state lives here
LIMIT=${RALPH_CLUSTER_TIMEOUT:-30}                # seconds, for each single wait
SCRATCH_MB=${RALPH_CLUSTER_SCRATCH_MB:-256}       # size of the remote scratch tmpfs
OOM=${RALPH_CLUSTER_OOM:-auto}                    # auto | cgroup1 | gather
INSTALL=${RALPH_CLUSTER_INSTALL:-1}               # 1: `up` installs missing packages

# The port of a cluster that exists is kept unless the caller names another one.
PORT=${RALPH_CLUSTER_PORT:-$(cat "$DIR/port" 2>/dev/null || echo 22022)}
SSHD_PORT=$((PORT + 1)) CTLD_PORT=$((PORT + 2)) DBD_PORT=$((PORT + 3))
NODE_PORT=$((PORT + 11))                          # first slurmd; one port per node

HPC_USER=ralph-hpc HPC_UID=61001                  # logs in with a key
MFA_USER=ralph-2fa MFA_UID=61002                  # logs in with password + code
GROUP=ralph_lab GROUP_ID=61000                    # unix group and SLURM account
MFA_PASSWORD=ralph-test-password
MFA_SECRET=RALPHTESTSECRET2                       # base32 TOTP secret
NODES=(gpu01 gpu02 cpu01 cpu02)
SERVICES=(munged mariadbd slurmdbd slurmctld "${NODES[@]/#/slurmd-}" sshd netproxy)

PACKAGES=(slurmctld slurmd slurmdbd slurm-client munge openssh-server openssh-client
  mariadb-server-core mariadb-client-core libpam-google-authenticator oathtool
  libeatmydata1 python3 rsync procps util-linux hostname)
TOOLS=(slurmctld slurmd slurmdbd sbatch sacct munged sshd ssh ssh-keygen mariadbd
  mariadb-install-db mariadb google-authenticator oathtool python3 rsync ps
  hostname unshare nsenter setsid setpriv flock timeout)

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SELF=$HERE/${BASH_SOURCE[0]##*/}
ETC=$DIR/etc RUN=$DIR/run LOG=$DIR/log CLIENT=$DIR/client SCRATCH=$DIR/scratch
BASHRC=$DIR/home/$HPC_USER/.bashrc
MYSQL_SOCKET=$DIR/db-run/socket MUNGE_SOCKET=$DIR/munge/socket
CGROUP=/sys/fs/cgroup/memory/ralph-$PORT
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# shellcheck source=lib/processes.sh
. "$HERE/lib/processes.sh"
# shellcheck source=lib/packages.sh
. "$HERE/lib/packages.sh"
# shellcheck source=lib/config.sh
. "$HERE/lib/config.sh"
# shellcheck source=lib/faults.sh
. "$HERE/lib/faults.sh"

# ----------------------------------------------------------------- helpers ---
say() { printf '[cluster] %s\n' "$*"; }
die() {
  printf '[cluster] ERROR: %s\n' "$*" >&2
  exit 1
}

need_root() { ((EUID == 0)) || die "this command needs root"; }
need_up() { alive init || die "the cluster is down; run: $SELF up"; }

take_lock() {
  exec 9>"$DIR/lock"
  flock -w 120 9 || die "another cluster.sh has held $DIR/lock for 120 s"
}

# wait_for WHAT COMMAND...: poll until COMMAND succeeds; die after $LIMIT seconds,
# or at once when WHAT is a service that has ended. COMMAND must not hang itself.
wait_for() {
  local what=$1 start=${EPOCHREALTIME/./} spent
  shift
  printf '[cluster] waiting for %s (at most %s s) ... ' "$what" "$LIMIT"
  until "$@" &>/dev/null; do
    spent=$((${EPOCHREALTIME/./} - start))
    if [[ -e $RUN/$what.pid ]] && ! alive "$what"; then
      printf 'it ended\n'
      tail -n 5 "$LOG/$what.log" >&2
      die "$what ended; see $LOG/$what.log"
    elif ((spent > LIMIT * 1000000)); then
      printf 'TIMED OUT\n'
      tail -n 3 "$LOG"/*.log >&2 2>/dev/null || true
      die "gave up waiting for $what; see $LOG"
    fi
    sleep 0.05
  done
  spent=$((${EPOCHREALTIME/./} - start))
  printf '%d.%02d s\n' $((spent / 1000000)) $((spent / 10000 % 100))
}

# ---------------------------------------------------------------- commands ---
cmd_up() {
  need_root
  local service port id
  [[ $PORT =~ ^[0-9]{4,5}$ ]] || die "RALPH_CLUSTER_PORT must be a port number: $PORT"
  [[ $DIR =~ ^/[A-Za-z0-9_./-]{1,60}$ ]] ||
    die "RALPH_CLUSTER_DIR must be a plain absolute path of at most 60 characters (socket paths): $DIR"
  cmd_install
  for id in "$HPC_UID" "$MFA_UID" "$HPC_USER" "$MFA_USER"; do
    ! getent passwd "$id" >/dev/null || die "the machine has a user $id of its own"
  done
  [[ ! -e $DIR || -O $DIR ]] || die "$DIR belongs to someone else"
  mkdir -p "$DIR" "$RUN" /run/sshd
  take_lock
  if alive init; then
    [[ $PORT == "$(<"$DIR/port")" ]] || die "already up on port $(<"$DIR/port"); run down first"
    heal_all
  else
    for port in "$PORT" "$SSHD_PORT" "$CTLD_PORT" "$DBD_PORT" $(seq "$NODE_PORT" $((NODE_PORT + ${#NODES[@]} - 1))); do
      ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || die "port $port is in use; set RALPH_CLUSTER_PORT"
    done
    say "starting in $DIR"
    rm -rf "$RUN/faults"
    : >"$DIR/.ralph-cluster"
    write_config
    init_database
    start_namespace
  fi
  for service in munged mariadbd sshd netproxy; do start_service "$service"; done
  wait_for munged ready_munged
  wait_for mariadbd ready_mariadbd
  start_service slurmdbd
  wait_for slurmdbd ready_slurmdbd
  init_accounts
  start_service slurmctld
  wait_for slurmctld ready_slurmctld
  for service in "${NODES[@]/#/slurmd-}"; do start_service "$service"; done
  wait_for "nodes ${NODES[*]}" ready_nodes
  wait_for "SSH login on 127.0.0.1:$PORT" ready_ssh
  cmd_env >"$DIR/env"
  say "up; tests find it by RALPH_CLUSTER_ENV=$DIR/env"
}

cmd_down() {
  need_root
  local service i
  [[ -e $DIR/.ralph-cluster ]] || { say "no cluster in $DIR" && return; }
  take_lock
  if alive init; then
    say "stopping"
    heal_hang
    stop_service netproxy
    # shellcheck disable=SC2046
    send KILL $(alive sshd && tree "$(pid_of sshd)")
    if alive slurmctld && cancel_all 2>/dev/null; then
      for ((i = 0; i < 30; i++)); do
        no_jobs && break
        sleep 0.1
      done
    fi
    stop_service slurmctld
    for service in "${NODES[@]/#/slurmd-}"; do stop_service "$service" 2; done
    stop_service slurmdbd
    stop_service mariadbd 10
    stop_service munged
    send KILL "$(pid_of init)"
    wait_for "the last process" gone
  fi
  rm -f "$RUN"/*.pid "$RUN"/*.inner "$RUN/ready"
  [[ ! -d $CGROUP ]] || find "$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null || true
  say "down; state is kept in $DIR"
}

gone() { ! alive init; }
cancel_all() { slurm scancel --quiet --user="$HPC_USER" && slurm scancel --quiet --user="$MFA_USER"; }
no_jobs() { [[ -z $(slurm squeue -h) ]]; }

cmd_purge() {
  cmd_down
  [[ -e $DIR/.ralph-cluster ]] || return 0
  rm -rf -- "${DIR:?}"
  say "removed $DIR"
}

cmd_status() {
  local service fault rc=0
  if ! alive init; then
    say "down ($DIR)"
    return 3
  fi
  printf '%-14s %-8s %s\n' SERVICE PID STATE
  for service in init "${SERVICES[@]}"; do
    if alive "$service"; then
      printf '%-14s %-8s %s\n' "$service" "$(pid_of "$service")" \
        "$(sed -n 's/^State:.*(\(.*\))/\1/p' "/proc/$(pid_of "$service")/status" 2>/dev/null)"
    else
      printf '%-14s %-8s %s\n' "$service" - down
      rc=1
    fi
  done
  for fault in "$RUN"/faults/*; do
    [[ ! -e $fault ]] || { printf 'FAULT          %s %s\n' "${fault##*/}" "$(<"$fault")" && rc=1; }
  done
  ((EUID != 0)) || slurm sinfo -N -o '%.8N %.12P %.12T %.6c %.8m %G' 2>&1 || rc=1
  return "$rc"
}

cmd_env() {
  cat <<EOF
RALPH_CLUSTER_DIR=$DIR
RALPH_SSH_HOST=127.0.0.1
RALPH_SSH_PORT=$PORT
RALPH_SSH_USER=$HPC_USER
RALPH_SSH_KEY=$CLIENT/id_ed25519
RALPH_SSH_KNOWN_HOSTS=$CLIENT/known_hosts
RALPH_SSH_CONFIG=$CLIENT/ssh_config
RALPH_SSH_ALIAS=ralph
RALPH_2FA_USER=$MFA_USER
RALPH_2FA_ALIAS=ralph-2fa
RALPH_2FA_PASSWORD=$MFA_PASSWORD
RALPH_2FA_SECRET=$MFA_SECRET
RALPH_2FA_ASKPASS=$CLIENT/askpass
RALPH_REMOTE_HOME=$DIR/home/$HPC_USER
RALPH_REMOTE_SCRATCH=$SCRATCH/$HPC_USER
RALPH_SLURM_ACCOUNT=$GROUP
RALPH_CLUSTER_CTL=$SELF
EOF
}

cmd_login() {
  local host=ralph
  if [[ ${1:-} == 2fa ]]; then
    host=ralph-2fa
    shift
  fi
  exec ssh -F "$CLIENT/ssh_config" "$host" "$@"
}

cmd_admin() {
  need_root
  need_up
  ns "$@"
}

cmd_reset() {
  need_root
  need_up
  take_lock
  heal_all
  cancel_all
  ns find "$SCRATCH/$HPC_USER" "$SCRATCH/$MFA_USER" -mindepth 1 -delete
  say "reset: no fault, no job, empty scratch"
}

cmd_help() {
  cat <<EOF
usage: cluster.sh COMMAND        (state: RALPH_CLUSTER_DIR=$DIR, SSH port: RALPH_CLUSTER_PORT=$PORT)

  up                 start what is not running, heal every fault (idempotent)
  down               cancel all jobs, stop everything, keep the state
  purge              down, then remove the state
  status             services, active faults, nodes (exit 0 = healthy, 1 = not, 3 = down)
  env                connection data as KEY=VALUE lines; they are also in the file \`env\` of the state
  selftest [PART]    check every job outcome, login and fault switch (jobs, login, faults)
  login [2fa] [CMD]  ssh as $HPC_USER (key), or as $MFA_USER (password + code)
  otp                the verification code of $MFA_USER now
  admin CMD...       run CMD inside the cluster as root (scontrol, sacctmgr, ...)
  reset              heal all, cancel all jobs, empty the scratch
  install            install missing packages (\`up\` does it too)
  break WHAT, heal WHAT, heal all; WHAT is one of
    ssh                      login node gone: connection refused, sessions killed
    auth                     the key is no longer accepted
    hostkey                  the host key changes
    noise                    .bashrc prints to stdout and stderr
    latency MS [JITTER_MS]   added round trip, also on open connections
    rate KIB                 throughput limit in KiB/s
    net                      no byte gets through, nothing is closed
    drop                     cut (RST) all open connections once
    hang sshd|slurmctld|slurmdbd   SIGSTOP: accepts connections, never answers
    slurmctld, slurmdbd, mariadbd, munged   stop that daemon
    sacct-lag SECONDS        accounting rows become visible up to that late
    node NODE [now]          kill a node and all on it (${NODES[*]}); SLURM notices
                             after about 30 s, or at once with \`now\`
    drain NODE, partition PARTITION   as an admin would
    disk                     fill the scratch file system
EOF
}

command=${1:-help}
shift || true
case $command in
  init-namespace) init_namespace ;; # internal
  selftest) exec "$HERE/selftest.sh" "$@" ;;
  up | down | purge | status | env | login | admin | reset | install | break | heal | help)
    "cmd_$command" "$@"
    ;;
  otp) oathtool --totp --base32 "$MFA_SECRET" ;;
  *)
    cmd_help >&2
    exit 2
    ;;
esac
