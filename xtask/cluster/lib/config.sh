#!/usr/bin/env bash
# Part of cluster.sh: every file that the daemons and the clients read.

# ----------------------------------------------------------- configuration ---
own() { # OWNER MODE DIR...
  local owner=$1 mode=$2
  shift 2
  install -d -o "${owner%:*}" -g "${owner#*:}" -m "$mode" "$@"
}

write_config() {
  local node i task_plugin=task/none gather_params=OverMemoryKill
  echo "$PORT" >"$DIR/port"
  own root:root 755 "$ETC" "$RUN" "$RUN/faults" "$CLIENT" "$SCRATCH" "$DIR/home" "$DIR/cgroup" \
    "$DIR/cgroup/memory" "$DIR/gres"
  own root:root 755 "$LOG" "$ETC/otp"
  own slurm:slurm 755 "$DIR/slurm" "$DIR/slurm/ctld" "$DIR/slurm/run" "$DIR/db-run"
  own root:root 755 "$DIR/slurm/spool"
  own munge:munge 755 "$DIR/munge"
  own "$HPC_UID:$GROUP_ID" 700 "$DIR/home/$HPC_USER" "$DIR/home/$HPC_USER/.ssh"
  own "$MFA_UID:$GROUP_ID" 700 "$DIR/home/$MFA_USER"

  # Users, hosts and PAM as the cluster sees them (bind mounts in init_namespace).
  cat /etc/passwd - >"$ETC/passwd" <<EOF
$HPC_USER:*:$HPC_UID:$GROUP_ID:test user:$DIR/home/$HPC_USER:/bin/bash
$MFA_USER:*:$MFA_UID:$GROUP_ID:test user, two factors:$DIR/home/$MFA_USER:/bin/bash
EOF
  { cat /etc/group && echo "$GROUP:x:$GROUP_ID:"; } >"$ETC/group"
  echo "127.0.0.1 localhost login01 ${NODES[*]}" >"$ETC/hosts"
  [[ ! -e /etc/hosts ]] || cat /etc/hosts >>"$ETC/hosts"
  cat >"$ETC/pam-sshd" <<EOF
auth     required pam_exec.so quiet expose_authtok /bin/bash $ETC/check-password
auth     required pam_google_authenticator.so user=root secret=$ETC/otp/\${USER} allowed_perm=0400
account  required pam_permit.so
session  required pam_permit.so
password required pam_deny.so
EOF
  cat >"$ETC/check-password" <<EOF
# pam_exec hands the password over on stdin, without a newline.
IFS= read -r -d '' password || true
[[ \$PAM_USER == $MFA_USER && \$password == '$MFA_PASSWORD' ]]
EOF
  rm -f "$ETC/otp/$MFA_USER"
  printf '%s\n" WINDOW_SIZE 3\n" TOTP_AUTH\n' "$MFA_SECRET" >"$ETC/otp/$MFA_USER"
  chmod 400 "$ETC/otp/$MFA_USER"

  # SSH: host keys (the second one serves `break hostkey`), client key, clients' files.
  for i in host host_other; do
    [[ -s $ETC/ssh_${i}_key ]] || ssh-keygen -q -t ed25519 -N '' -C login01 -f "$ETC/ssh_${i}_key"
  done
  [[ -s $CLIENT/id_ed25519 ]] || ssh-keygen -q -t ed25519 -N '' -C ralph-test -f "$CLIENT/id_ed25519"
  install -o "$HPC_UID" -g "$GROUP_ID" -m 600 "$CLIENT/id_ed25519.pub" \
    "$DIR/home/$HPC_USER/.ssh/authorized_keys"
  echo "[127.0.0.1]:$PORT,[localhost]:$PORT $(cut -d' ' -f1,2 "$ETC/ssh_host_key.pub")" >"$CLIENT/known_hosts"
  cat >"$ETC/sshd_config" <<EOF
ListenAddress 127.0.0.1:$SSHD_PORT
HostKey $ETC/ssh_host_key
PidFile none
UsePAM yes
AllowUsers $HPC_USER $MFA_USER
AuthenticationMethods publickey
AuthorizedKeysFile .ssh/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv SLURM_CONF=$ETC/slurm.conf SCRATCH=$SCRATCH
Subsystem sftp internal-sftp
# the post-quantum default costs 0.1 s of CPU on each side of every connection
KexAlgorithms -sntrup761x25519-sha512*
AllowTcpForwarding yes
MaxSessions 10
MaxStartups 50:30:100
PrintMotd no
PrintLastLog no
UseDNS no
LogLevel VERBOSE
Match User $MFA_USER
  AuthenticationMethods keyboard-interactive
  KbdInteractiveAuthentication yes
  PubkeyAuthentication no
EOF
  cat >"$CLIENT/ssh_config" <<EOF
Host ralph ralph-2fa
  HostName 127.0.0.1
  Port $PORT
  IdentityFile $CLIENT/id_ed25519
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile $CLIENT/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  UpdateHostKeys no
Host ralph
  User $HPC_USER
  PreferredAuthentications publickey
Host ralph-2fa
  User $MFA_USER
  PreferredAuthentications keyboard-interactive
EOF
  cat >"$CLIENT/askpass" <<EOF
#!/bin/sh
# Answers the two prompts: SSH_ASKPASS=$CLIENT/askpass SSH_ASKPASS_REQUIRE=force
case \$1 in
  *[Pp]assword*) echo '$MFA_PASSWORD' ;;
  *[Cc]ode*) oathtool --totp --base32 $MFA_SECRET ;;
  *) exit 1 ;;
esac
EOF
  chmod 755 "$CLIENT/askpass"
  chown -R "${SUDO_UID:-0}:${SUDO_GID:-0}" "$CLIENT"
  : >"$RUN/net.conf"

  # MUNGE
  if [[ ! -s $DIR/munge/key ]]; then
    (umask 077 && head -c 128 /dev/urandom >"$DIR/munge/key")
    chown munge:munge "$DIR/munge/key"
  fi

  # MariaDB: no network, and no durability (fsync is off as well, see start_service).
  cat >"$ETC/init.sql" <<EOF
CREATE DATABASE IF NOT EXISTS slurm_acct_db;
CREATE USER IF NOT EXISTS slurm@localhost IDENTIFIED VIA unix_socket;
GRANT ALL ON slurm_acct_db.* TO slurm@localhost;
EOF
  cat >"$ETC/my.cnf" <<EOF
[mariadbd]
user=slurm
datadir=$DIR/db
socket=$MYSQL_SOCKET
pid-file=$DIR/db-run/pid
init-file=$ETC/init.sql
skip-networking
skip-log-bin
performance_schema=0
innodb_buffer_pool_size=64M
innodb_log_file_size=32M
innodb_flush_log_at_trx_commit=0
innodb_doublewrite=0
innodb_lock_wait_timeout=900
innodb_fast_shutdown=2
EOF

  # SLURM
  case $OOM in
    gather) ;;
    auto | cgroup1)
      if [[ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]] && mkdir -p "$CGROUP"; then
        task_plugin=task/cgroup gather_params=NoOverMemoryKill
      elif [[ $OOM == cgroup1 ]]; then
        die "no writable cgroup v1 memory controller here"
      fi
      ;;
    *) die "RALPH_CLUSTER_OOM must be auto, cgroup1 or gather" ;;
  esac
  cat >"$ETC/cgroup.conf" <<EOF
CgroupPlugin=cgroup/v1
CgroupMountpoint=$DIR/cgroup
ConstrainRAMSpace=yes
EOF
  write_slurmdbd_conf "${RALPH_CLUSTER_SACCT_LAG:-1}"
  for i in 0 1 2 3; do ln -sf /dev/null "$DIR/gres/nvidia$i"; done # must be devices
  cat >"$ETC/gres.conf" <<EOF
AutoDetect=off
NodeName=gpu[01-02] Name=gpu Type=a100 File=$DIR/gres/nvidia[0-3]
EOF
  cat >"$ETC/slurm.conf" <<EOF
ClusterName=ralph
SlurmctldHost=login01(127.0.0.1)
SlurmctldPort=$CTLD_PORT
SlurmUser=slurm
AuthType=auth/munge
# cred_expire also sets how long a requeued job waits (BeginTime)
AuthInfo=socket=$MUNGE_SOCKET,cred_expire=10
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$DIR/slurm/ctld
SlurmdSpoolDir=$DIR/slurm/spool/%n
SlurmctldPidFile=$DIR/slurm/run/slurmctld.pid
SlurmdPidFile=$DIR/slurm/run/slurmd.%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=$task_plugin
PrologFlags=Contain
PropagateResourceLimits=NONE
MpiDefault=none
ReturnToService=2
MailProg=/bin/true
GresTypes=gpu
FirstJobId=39000001
MaxJobCount=20000
MaxArraySize=1001

SlurmctldTimeout=30
SlurmdTimeout=10
MessageTimeout=10
BatchStartTimeout=10
UnkillableStepTimeout=20
InactiveLimit=0
KillWait=2
OverTimeLimit=0
MinJobAge=5

SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,bf_continue
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PriorityType=priority/multifactor
PriorityWeightAge=1000
PriorityWeightFairshare=10000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
EnforcePartLimits=ALL
DefMemPerCPU=100

AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$DBD_PORT
AccountingStoragePass=$MUNGE_SOCKET
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=$gather_params
JobCompType=jobcomp/none

EOF
  for i in "${!NODES[@]}"; do
    node=${NODES[i]}
    printf 'NodeName=%s NodeAddr=127.0.0.1 Port=%d CPUs=64 Sockets=2 CoresPerSocket=32 RealMemory=256000%s\n' \
      "$node" $((NODE_PORT + i)) "$([[ $node != gpu* ]] || echo ' Gres=gpu:a100:4')"
  done >>"$ETC/slurm.conf"
  cat >>"$ETC/slurm.conf" <<EOF

PartitionName=shared Nodes=cpu[01-02] Default=YES MaxTime=3-00:00:00 DefaultTime=00:10:00 PriorityTier=10 PreemptMode=OFF
PartitionName=gpu Nodes=gpu[01-02] MaxTime=3-00:00:00 DefaultTime=00:10:00 PriorityTier=10 PreemptMode=OFF
PartitionName=gpu_test Nodes=gpu[01-02] MaxTime=00:10:00 DefaultTime=00:01:00 MaxNodes=1 QOS=gpu_test PriorityTier=10 PreemptMode=OFF
PartitionName=gpu_requeue Nodes=gpu[01-02] MaxTime=3-00:00:00 DefaultTime=00:10:00 PriorityTier=1 PreemptMode=REQUEUE
EOF
}

write_slurmdbd_conf() { # COMMIT_DELAY
  cat >"$ETC/slurmdbd.conf" <<EOF
AuthType=auth/munge
AuthInfo=socket=$MUNGE_SOCKET
DbdHost=login01
DbdAddr=127.0.0.1
DbdPort=$DBD_PORT
CommunicationParameters=NoInAddrAny
SlurmUser=slurm
PidFile=$DIR/slurm/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StorageLoc=slurm_acct_db
CommitDelay=$1
EOF
  chown slurm:slurm "$ETC/slurmdbd.conf"
  chmod 600 "$ETC/slurmdbd.conf"
}

init_database() {
  [[ ! -d $DIR/db ]] || return 0
  say "creating the accounting database"
  rm -rf "$DIR/db.new"
  own slurm:slurm 700 "$DIR/db.new"
  LD_PRELOAD=libeatmydata.so timeout "$LIMIT" mariadb-install-db --no-defaults --user=slurm --datadir="$DIR/db.new" \
    --auth-root-authentication-method=socket --skip-test-db --innodb-log-file-size=32M \
    >"$LOG/mariadb-install-db.log" 2>&1 || die "mariadb-install-db failed; see $LOG/mariadb-install-db.log"
  mv "$DIR/db.new" "$DIR/db"
  rm -f "$RUN/accounts"
}

init_accounts() {
  [[ ! -e $RUN/accounts ]] || return 0
  say "creating SLURM accounts, users and QOS"
  slurm sacctmgr -i >"$LOG/sacctmgr.log" 2>&1 <<EOF || die "sacctmgr failed; see $LOG/sacctmgr.log"
add cluster ralph
add qos gpu_test Flags=DenyOnLimit MaxSubmitJobsPerUser=2 MaxJobsPerUser=1
add account $GROUP Description=test Organization=test
add user $HPC_USER,$MFA_USER Account=$GROUP
EOF
  : >"$RUN/accounts"
}
