#!/bin/bash
# A private Docker engine for container tests: in a network namespace of its own, without a way out, the host's firewall
# rules untouched.
#
#   up [FOLDER]      starts it; FOLDER holds all of its state (default: ${TMPDIR:-/var/tmp}/hostmesh-dockerd)
#   env [FOLDER]     prints what clients need, for eval
#   status [FOLDER]  prints its version, fails where it is not up
#   down [FOLDER]    ends it with all containers and removes FOLDER
#
# Exit code 77: this machine cannot do it (reason on stderr).
set -euo pipefail

VERB=${1:-help}
FOLDER=${2:-${TMPDIR:-/var/tmp}/hostmesh-dockerd}
SOCKET=$FOLDER/docker.sock
# One engine a folder, one network namespace an engine.
NAMESPACE=hmdk-$(cksum <<<"$FOLDER" | cut -d ' ' -f 1)

main() {
  case $VERB in
    up) engine_up ;;
    env) engine_env ;;
    status) version ;;
    down) engine_down ;;
    *)
      sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$0"
      exit 2
      ;;
  esac
}

engine_up() {
  can_run
  mkdir -p "$FOLDER"
  if version; then return; fi
  rm -f "$FOLDER/docker.pid" "$SOCKET"
  ip netns add "$NAMESPACE" 2>/dev/null || true
  nsenter --net="/run/netns/$NAMESPACE" ip link set lo up
  setsid nohup nsenter --net="/run/netns/$NAMESPACE" dockerd \
    --data-root "$FOLDER/data" --exec-root "$FOLDER/exec" --pidfile "$FOLDER/docker.pid" --host "unix://$SOCKET" \
    --bridge none --ip-forward=false --ip-masq=false --userland-proxy=false \
    --default-address-pool base=198.18.128.0/17,size=24 --exec-opt native.cgroupdriver=cgroupfs \
    --log-level warn --shutdown-timeout 5 >"$FOLDER/dockerd.log" 2>&1 </dev/null &
  local engine=$! try
  for ((try = 0; try < 150; try++)); do
    if version; then return; fi
    kill -0 "$engine" 2>/dev/null || skip "dockerd ended at its start: $(tail -n 5 "$FOLDER/dockerd.log")"
    sleep 0.2
  done
  kill "$engine"
  skip "dockerd gave no answer within 30 s, see $FOLDER/dockerd.log"
}

# Testcontainers falls back to another engine without a word where one of these is missing; its own reaper is an image
# that no registry brings here.
engine_env() {
  echo "export DOCKER_HOST=unix://$SOCKET TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1"
}

engine_down() {
  local ids networks pid try
  if version >/dev/null; then
    mapfile -t ids < <(client ps --all --quiet)
    [ ${#ids[@]} = 0 ] || client rm --force --volumes "${ids[@]}" >/dev/null
    mapfile -t networks < <(client network ls --quiet --filter type=custom)
    [ ${#networks[@]} = 0 ] || client network rm "${networks[@]}" >/dev/null || true
  fi
  if [ -s "$FOLDER/docker.pid" ]; then
    pid=$(cat "$FOLDER/docker.pid")
    kill "$pid" 2>/dev/null || true
    for ((try = 0; try < 100; try++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  # What containers mounted below FOLDER, the deepest first.
  cut -d ' ' -f 2 /proc/mounts | grep "^$FOLDER/" | sort -r | xargs -r umount --lazy 2>/dev/null || true
  ip netns del "$NAMESPACE" 2>/dev/null || true
  rm -rf --one-file-system "$FOLDER"
}

can_run() {
  [ "$(uname -s)" = Linux ] || skip 'needs Linux'
  command -v dockerd >/dev/null || skip 'no dockerd on the PATH (Debian package docker.io)'
  [ "$(id -u)" = 0 ] || skip 'a private engine needs root; one that runs already can be given with DOCKER_HOST'
  mountpoint -q /sys/fs/cgroup || skip 'no file system of control groups at /sys/fs/cgroup'
}

client() { docker --host "unix://$SOCKET" "$@"; }
version() { client version --format '{{.Server.Version}}' 2>/dev/null; }

skip() {
  echo "dockerd: cannot run here: $*" >&2
  exit 77
}

main
