#!/usr/bin/env bash
# Part of cluster.sh: what the machine has to have.

# ---------------------------------------------------------------- packages ---
missing_tools() {
  local tool
  for tool in "${TOOLS[@]}"; do
    type -P "$tool" >/dev/null || echo "$tool"
  done
  ldconfig -p | grep -q libeatmydata.so || echo libeatmydata
}

cmd_install() {
  need_root
  local missing guard=/usr/sbin/policy-rc.d guarded=''
  missing=$(missing_tools | tr '\n' ' ')
  [[ -n $missing ]] || return 0
  say "missing: $missing"
  [[ $INSTALL == 1 ]] || die "not installing (RALPH_CLUSTER_INSTALL=$INSTALL)"
  type -P apt-get >/dev/null || die "no apt-get here; install by hand: ${PACKAGES[*]}"
  if [[ ! -e $guard ]]; then # keep the packages' own services from starting
    printf '#!/bin/sh\nexit 101\n' >"$guard"
    chmod 755 "$guard"
    guarded=1
  fi
  export DEBIAN_FRONTEND=noninteractive
  local get=(apt-get install -y -q --no-install-recommends "${PACKAGES[@]}") rc=0
  say "installing packages (minutes at most)"
  timeout 600 "${get[@]}" </dev/null >/dev/null 2>&1 ||
    { timeout 120 apt-get update -q >/dev/null && timeout 600 "${get[@]}" </dev/null >/dev/null; } || rc=$?
  [[ -z $guarded ]] || rm -f "$guard"
  ((rc == 0)) || die "apt-get failed ($rc)"
  missing=$(missing_tools | tr '\n' ' ')
  [[ -z $missing ]] || die "still missing after the install: $missing"
}
