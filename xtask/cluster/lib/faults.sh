#!/usr/bin/env bash
# Part of cluster.sh: break and heal.

# ------------------------------------------------------------------ faults ---
fault() { echo "${*:2}" >"$RUN/faults/$1"; } # NAME [DETAIL...]: note an active fault

net_set() { # KEY VALUE
  sed -i "/^$1=/d" "$RUN/net.conf"
  echo "$1=$2" >>"$RUN/net.conf"
  if alive netproxy; then send HUP "$(pid_of netproxy)"; fi
}

number() { [[ ${1:-} =~ ^[0-9]+$ ]] || die "expected a number, got '${1:-}'"; }
node_name() { [[ " ${NODES[*]} " == *" ${1:-} "* ]] || die "expected one of: ${NODES[*]}"; }

restart_sshd() { # HOST_KEY: the listener only; open sessions go on
  if alive sshd; then send KILL "$(pid_of sshd)"; fi
  stop_service sshd
  sed -i "s|^HostKey .*|HostKey $ETC/$1|" "$ETC/sshd_config"
  start_service sshd
}

restart_slurmdbd() { # COMMIT_DELAY
  stop_service slurmdbd
  write_slurmdbd_conf "$1"
  start_service slurmdbd
  wait_for slurmdbd ready_slurmdbd
}

cmd_break() {
  need_root
  need_up
  local what=${1:-} pids
  shift || true
  take_lock
  case $what in
    ssh)
      stop_service netproxy
      # shellcheck disable=SC2046
      send KILL $(alive sshd && tree "$(pid_of sshd)")
      stop_service sshd
      ;;
    auth) mv "$DIR/home/$HPC_USER/.ssh/authorized_keys" "$ETC/authorized_keys.off" ;;
    hostkey) restart_sshd ssh_host_other_key ;;
    noise)
      mv "$BASHRC" "$ETC/bashrc.off" 2>/dev/null || true
      printf 'echo "Welcome to login01"\necho "Lmod: modules loaded" >&2\n' >"$BASHRC"
      ;;
    latency)
      number "${1:-}"
      net_set latency_ms "$1"
      net_set jitter_ms "${2:-0}"
      ;;
    rate)
      number "${1:-}"
      net_set rate_kib "$1"
      ;;
    net) net_set blackhole 1 ;;
    drop)
      send USR1 "$(pid_of netproxy)"
      say "cut all open connections (nothing to heal)"
      return
      ;;
    munged | mariadbd | slurmdbd | slurmctld) stop_service "$what" ;;
    sacct-lag)
      number "${1:-}"
      restart_slurmdbd "$1"
      ;;
    hang)
      case ${1:-} in
        sshd) pids=$(tree "$(pid_of sshd)") ;;
        slurmctld | slurmdbd) pids=$(pid_of "$1") ;;
        *) die "hang what? sshd, slurmctld or slurmdbd" ;;
      esac
      # shellcheck disable=SC2086
      send STOP $pids
      what=hang-$1
      echo "$pids" >"$RUN/$what.stopped"
      ;;
    node)
      node_name "${1:-}"
      # shellcheck disable=SC2046
      send KILL $(node_pids "$1")
      stop_service "slurmd-$1"
      [[ ${2:-} != now ]] || slurm scontrol update NodeName="$1" State=DOWN Reason="break node"
      what=node-$1
      ;;
    drain)
      node_name "${1:-}"
      slurm scontrol update NodeName="$1" State=DRAIN Reason="break drain"
      what=drain-$1
      ;;
    partition)
      slurm scontrol update PartitionName="${1:?which partition?}" State=DOWN
      what=partition-$1
      ;;
    disk)
      ns dd if=/dev/zero of="$SCRATCH/filler" bs=1M status=none 2>/dev/null || true
      ns dd if=/dev/zero of="$SCRATCH/filler" bs=4k status=none oflag=append conv=notrunc 2>/dev/null || true
      ;;
    *) die "break what? see: $SELF help" ;;
  esac
  fault "$what" "$@"
  say "broken: $what $*"
}

heal_hang() {
  local file
  for file in "$RUN"/hang-*.stopped; do
    [[ -e $file ]] || continue
    # shellcheck disable=SC2046
    send CONT $(<"$file")
    rm -f "$file"
  done
}

heal_one() { # FAULT as noted: NAME or NAME-OBJECT
  case $1 in
    ssh)
      start_service sshd
      start_service netproxy
      wait_for "SSH login" ready_ssh
      ;;
    auth) mv "$ETC/authorized_keys.off" "$DIR/home/$HPC_USER/.ssh/authorized_keys" ;;
    hostkey) restart_sshd ssh_host_key ;;
    noise)
      rm -f "$BASHRC"
      mv "$ETC/bashrc.off" "$BASHRC" 2>/dev/null || true
      ;;
    latency)
      net_set latency_ms 0
      net_set jitter_ms 0
      ;;
    rate) net_set rate_kib 0 ;;
    net) net_set blackhole 0 ;;
    munged | mariadbd | slurmdbd | slurmctld)
      start_service "$1"
      wait_for "$1" "ready_$1"
      ;;
    sacct-lag) restart_slurmdbd "${RALPH_CLUSTER_SACCT_LAG:-1}" ;;
    hang-*) heal_hang ;;
    node-*)
      start_service "slurmd-${1#node-}"
      wait_for "node ${1#node-}" ready_nodes "${1#node-}"
      ;;
    drain-*) slurm scontrol update NodeName="${1#drain-}" State=RESUME ;;
    partition-*) slurm scontrol update PartitionName="${1#partition-}" State=UP ;;
    disk) ns rm -f "$SCRATCH/filler" ;;
  esac
  rm -f "$RUN/faults/$1"
  say "healed: $1"
}

heal_all() {
  local fault
  heal_hang # before anything that talks to a stopped daemon
  for fault in munged mariadbd slurmdbd slurmctld; do
    [[ ! -e $RUN/faults/$fault ]] || heal_one "$fault"
  done
  for fault in "$RUN"/faults/*; do
    [[ ! -e $fault ]] || heal_one "${fault##*/}"
  done
}

cmd_heal() {
  need_root
  need_up
  take_lock
  local what=${1:-}
  case $what in
    all)
      heal_all
      return
      ;;
    hang | node | drain | partition) what=$what-${2:?heal $what WHICH?} ;;
  esac
  if [[ -e $RUN/faults/$what ]]; then heal_one "$what"; else say "not broken: $what"; fi
}
