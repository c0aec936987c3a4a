#!/bin/bash
# Test hosts on one machine: a network namespace each, around a switch in a namespace of its own.
#
#   up N [--uplink]           hosts h1..hN with the addresses NET.1..NET.N on eth0; the uplink joins the machine as NET.254
#   down                      removes everything, also what a crash left behind
#   boot HOST [COMMAND...]    powers the host on: process and host name of its own, pid 1 is COMMAND (default: one that
#                             waits and reaps); the end of pid 1 ends every process of the host at once
#   exec HOST COMMAND...      runs a command on that host, among its processes where it is booted
#   cut HOST | join HOST      pulls, plugs the cable (the host sees the carrier go)
#   drop FROM TO | undrop     packets FROM -> TO vanish silently; ALL stands for everybody
#   split "h1 h2" "h3"        nothing passes between the groups, silently
#   loss HOST PERCENT         that share of the packets to and from HOST vanishes
#   rate HOST RATE|off        both ways, for example 100mbit
#   cpu HOST PERCENT|off      the processes of the host share PERCENT of one core: a capacity of its own
#   heal                      all cables in, no packet dropped, no rate limited; CPU limits stay
#   freeze HOST | thaw HOST   stops, continues every process of the host
#   crash HOST                kills every process of the host; its kernel lives, so that peers hear of it at once
#   poweroff HOST             cable first, then the kill: peers hear nothing, as in a power cut (join and boot to come back)
#   status                    one line a host
#
# LAB prefixes the names of the namespaces, NET the addresses: labs run side by side. DIR holds logs and pids.
# The rules of loss and partition sit in the switch, where no host can see the cause of what it suffers.
# Exit code 77: this machine cannot do it (reason on stderr).
set -euo pipefail

LAB=${LAB:-hml}
NET=${NET:-198.18.0}
DIR=${DIR:-${TMPDIR:-/var/tmp}/netlab.$LAB.$UID}
SWITCH=$LAB-switch

# No answer within 10 s is a broken lab.
TRIES=200
PAUSE=0.05

main() {
  local verb=${1:-help}
  shift || true
  case $verb in
    up | down | boot | exec | cut | join | drop | undrop | split | loss | rate | cpu | heal | freeze | thaw | crash | poweroff | status)
      "lab_$verb" "$@"
      ;;
    *)
      sed -n '2,/^set -/{/^#/s/^# \{0,1\}//p}' "$0"
      exit 2
      ;;
  esac
}

lab_up() {
  local count=${1:?number of hosts} uplink=${2:-} i
  can_run
  [ ! -e "/run/netns/$SWITCH" ] || die "lab $LAB is up already (netlab.sh down)"
  mkdir -p "$DIR"
  # The bridge comes first: a veth whose two ends have the same index reports its carrier up to 1 s late.
  if ! { ip netns add "$SWITCH" && ip -n "$SWITCH" link add br0 type bridge; } 2>"$DIR/up.log"; then
    lab_down
    skip "this machine allows no network namespaces: $(cat "$DIR/up.log")"
  fi
  {
    for ((i = 1; i <= count; i++)); do echo "netns add $LAB-h$i"; done
    for ((i = 1; i <= count; i++)); do echo "link add p$i netns $SWITCH type veth peer name eth0 netns $LAB-h$i"; done
    if [ "$uplink" = --uplink ]; then
      echo "link add ${LAB}up type veth peer name uplink netns $SWITCH"
      echo "addr add $NET.254/24 dev ${LAB}up"
      echo "link set ${LAB}up up"
    fi
  } | ip -batch -
  {
    echo 'link set lo up'
    echo 'link set br0 up'
    for ((i = 1; i <= count; i++)); do printf 'link set p%d master br0\nlink set p%d up\n' "$i" "$i"; done
    [ "$uplink" != --uplink ] || printf 'link set uplink master br0\nlink set uplink up\n'
  } | ip -n "$SWITCH" -batch -
  for ((i = 1; i <= count; i++)); do
    printf 'link set lo up\naddr add %s.%d/24 dev eth0\nlink set eth0 up\n' "$NET" "$i" | ip -n "$LAB-h$i" -batch -
  done
  rules_anew
  # Names are never resolved: whoever tries hangs on a server that is not there, and is found out.
  echo "nameserver $NET.253" >"$DIR/resolv.conf"
}

lab_down() {
  local host group
  for host in $(hosts); do lab_crash "$host" || true; done
  for host in $(hosts); do
    group=$(cpu_group "$host")
    [ -z "$group" ] || rmdir "$group"
  done
  for host in $(hosts); do ip netns del "$LAB-$host"; done
  [ ! -e "/run/netns/$SWITCH" ] || ip netns del "$SWITCH"
  ip link del "${LAB}up" 2>/dev/null || true
}

lab_boot() {
  local host=$1 launcher first i
  shift
  known "$host"
  [ -z "$(first_process "$host")" ] || die "$host is booted already"
  # It reaps what its processes leave behind: a zombie would look alive to whoever asks for its pid.
  [ $# != 0 ] || set -- sh -c 'sleep infinity & wait'
  join_cpu_group "$host"
  # shellcheck disable=SC2016 # the host's own shell expands it
  setsid nsenter --net="/run/netns/$LAB-$host" unshare --pid --fork --kill-child --uts --mount --mount-proc sh -c '
    echo "$1" >/proc/sys/kernel/hostname
    mount --bind "$2" /etc/resolv.conf
    shift 2
    exec "$@"
  ' boot "$host" "$DIR/resolv.conf" "$@" >>"$DIR/$host.log" 2>&1 </dev/null &
  launcher=$!
  for ((i = 0; i < TRIES; i++)); do
    first=$(cat "/proc/$launcher/task/$launcher/children" 2>/dev/null || true)
    [ -z "$first" ] || break
    sleep "$PAUSE"
  done
  [ -n "${first:-}" ] || die "$host did not boot, see $DIR/$host.log"
  echo "${first%% *}" >"$DIR/$host.pid"
}

lab_exec() {
  local host=$1 first
  shift
  known "$host"
  join_cpu_group "$host"
  first=$(first_process "$host")
  [ -n "$first" ] || exec nsenter --net="/run/netns/$LAB-$host" "$@"
  exec nsenter --target "$first" --net --pid --mount --uts "$@"
}

lab_cut() { ip -n "$SWITCH" link set "p$(number "$1")" down; }
lab_join() { ip -n "$SWITCH" link set "p$(number "$1")" up; }

lab_drop() { rules "add element bridge lab oneway { $(address "$1") . $(address "$2") }"; }
lab_undrop() { rules "delete element bridge lab oneway { $(address "$1") . $(address "$2") }"; }

lab_split() {
  local left right
  for left in $1; do
    for right in $2; do
      echo "add element bridge lab oneway { $(address "$left") . $(address "$right"), $(address "$right") . $(address "$left") }"
    done
  done | rules_from_stdin
}

lab_loss() {
  local address dice="numgen random mod 100 <= $(($2 - 1))"
  address=$(address "$1")
  rules "add rule bridge lab lossy ip saddr $address $dice drop
add rule bridge lab lossy ip daddr $address $dice drop"
}

lab_rate() {
  local host=$1 rate=$2 port
  port=p$(number "$host")
  if [ "$rate" = off ]; then
    tc -n "$SWITCH" qdisc del dev "$port" root 2>/dev/null || true
    tc -n "$LAB-$host" qdisc del dev eth0 root 2>/dev/null || true
  else
    tc -n "$SWITCH" qdisc replace dev "$port" root tbf rate "$rate" burst 128kb latency 50ms
    tc -n "$LAB-$host" qdisc replace dev eth0 root tbf rate "$rate" burst 128kb latency 50ms
  fi
}

lab_cpu() {
  local host=$1 percent=$2 controller group pid
  known "$host"
  controller=$(cpu_controller)
  [ -n "$controller" ] || skip 'no control group with a cpu controller'
  group=$controller/$LAB-$host
  [ "$controller" != /sys/fs/cgroup ] || echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
  mkdir -p "$group"
  if [ -e "$group/cpu.max" ]; then
    if [ "$percent" = off ]; then echo max; else echo "$((percent * 1000)) 100000"; fi >"$group/cpu.max"
  else
    if [ "$percent" = off ]; then echo -1; else echo "$((percent * 1000))"; fi >"$group/cpu.cfs_quota_us"
  fi
  for pid in $(pids "$host"); do echo "$pid" >"$group/cgroup.procs" 2>/dev/null || true; done
}

lab_heal() {
  local host
  rules 'delete table bridge lab'
  rules_anew
  # One process for all cables and one for all rates: between two faults a test waits for this.
  hosts | sed 's/^h\(.*\)$/link set p\1 up/' | ip -n "$SWITCH" -batch -
  hosts | sed 's/^h\(.*\)$/qdisc del dev p\1 root/' | tc -n "$SWITCH" -force -batch - 2>/dev/null || true
  for host in $(hosts); do
    tc -n "$LAB-$host" qdisc del dev eth0 root 2>/dev/null || true
  done
}

lab_freeze() { signal STOP "$1"; }
lab_thaw() { signal CONT "$1"; }

lab_crash() {
  local host=$1 i
  # The host's first process takes all others with it; what was started without a boot goes one by one.
  for ((i = 0; i < TRIES; i++)); do
    [ -n "$(pids "$host")" ] || break
    signal KILL "$host"
    sleep "$PAUSE"
  done
  rm -f "$DIR/$host.pid"
  [ -z "$(pids "$host")" ] || die "$host still has processes: $(pids "$host" | tr '\n' ' ')"
}

lab_poweroff() {
  lab_cut "$1"
  lab_crash "$1"
}

lab_status() {
  local host link
  for host in $(hosts); do
    link=$(ip -n "$SWITCH" -o link show "p$(number "$host")" | sed -n 's/.* state \([A-Z]*\).*/\1/p')
    printf '%s address=%s port=%s pid1=%s processes=%s\n' "$host" "$(address "$host")" "$link" "$(first_process "$host")" "$(pids "$host" | wc -l)"
  done
}

can_run() {
  [ "$(uname -s)" = Linux ] || skip 'needs Linux'
  [ "$(id -u)" = 0 ] || skip 'needs root, or: unshare -Urmn --propagation private, with a tmpfs on /run'
  command -v ip >/dev/null || skip 'no ip on the PATH (Debian package iproute2)'
  command -v nft >/dev/null || skip 'no nft on the PATH (Debian package nftables)'
}

# The names of all hosts of this lab.
hosts() {
  local file
  for file in /run/netns/"$LAB"-h*; do
    [ ! -e "$file" ] || echo "${file##*/"$LAB"-}"
  done | sort -V
}

known() { [ -e "/run/netns/$LAB-$1" ] || die "no such host: $1"; }

number() {
  known "$1"
  echo "${1#h}"
}

address() {
  if [ "$1" = ALL ]; then echo "$NET.0/24"; else echo "$NET.$(number "$1")"; fi
}

pids() { ip netns pids "$LAB-$1" 2>/dev/null || true; }

# Pid 1 of a booted host as this machine numbers it, nothing where the host is off.
first_process() {
  local pid
  pid=$(cat "$DIR/$1.pid" 2>/dev/null || true)
  [ -z "$pid" ] || ! pids "$1" | grep -qx "$pid" || echo "$pid"
}

signal() {
  local pid
  for pid in $(pids "$2"); do kill -"$1" "$pid" 2>/dev/null || true; done
}

rules() { rules_from_stdin <<<"$1"; }
rules_from_stdin() { nsenter --net="/run/netns/$SWITCH" nft -f -; }

rules_anew() {
  rules 'table bridge lab {
    set oneway { type ipv4_addr . ipv4_addr; flags interval; }
    chain relay {
      type filter hook forward priority 0; policy accept;
      ip saddr . ip daddr @oneway drop
      arp saddr ip . arp daddr ip @oneway drop
      jump lossy
    }
    chain lossy { }
  }'
}

# Where control groups limit CPU: version 1 has a folder for it, version 2 one for all. Nothing where neither is there.
cpu_controller() {
  if [ -d /sys/fs/cgroup/cpu ]; then
    echo /sys/fs/cgroup/cpu
  elif grep -qw cpu /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
    echo /sys/fs/cgroup
  fi
}

cpu_group() {
  local controller
  controller=$(cpu_controller)
  if [ -n "$controller" ] && [ -d "$controller/$LAB-$1" ]; then echo "$controller/$LAB-$1"; fi
}

join_cpu_group() {
  local group
  group=$(cpu_group "$1")
  [ -z "$group" ] || echo $BASHPID >"$group/cgroup.procs"
}

die() {
  echo "netlab: $*" >&2
  exit 1
}

skip() {
  echo "netlab: cannot run here: $*" >&2
  exit 77
}

main "$@"
