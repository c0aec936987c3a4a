#!/bin/sh
# Puts QEMU 10 or newer on a Debian machine; on Debian 12 from its backports suite, at the mirror that apt uses already.
#
# Why 10: before QEMU 9.0 a live migration under TCG loses dirty pages (with 7.2, 1 to 15 of 18 guests panicked at the
# destination; with 10.0, none of 50). The backports suite is read for this one installation: the machine's own list of
# sources, and with it the next `apt-get upgrade`, stay as they were.
set -eu

packages=${*:-qemu-system-x86 qemu-utils}

# The major version of the QEMU on the PATH, 0 without one.
qemu_major() {
  found=$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9]*\).*/\1/p')
  echo "${found:-0}"
}

# apt-get without questions; all arguments are its own.
apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@"
}

if [ "$(qemu_major)" -ge 10 ]; then exit 0; fi
if [ "$(id -u)" != 0 ]; then
  echo 'qemu10: installing QEMU needs root' >&2
  exit 77
fi
# shellcheck source=/dev/null
. /etc/os-release

# $packages is a list: it is split on purpose, here and below.
if [ "${VERSION_CODENAME:-}" != bookworm ]; then
  apt update -qq
  # shellcheck disable=SC2086
  apt install -y -qq --no-install-recommends $packages
else
  # shellcheck disable=SC2016 # apt-get expands it
  mirror=$(apt-get indextargets --format '$(SITE)' 'Release: bookworm' 'Created-By: Packages' | head -n 1)
  if [ -z "$mirror" ]; then
    echo 'qemu10: no source of Debian 12 (bookworm) found in /etc/apt' >&2
    exit 1
  fi
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  mkdir -p "$scratch/lists/partial" "$scratch/sources"
  cp /etc/apt/sources.list.d/debian*.sources "$scratch/sources/" 2>/dev/null || true
  cat >"$scratch/sources/backports.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
  set -- -o "Dir::Etc::sourceparts=$scratch/sources" -o "Dir::State::Lists=$scratch/lists"
  apt "$@" update -qq
  # shellcheck disable=SC2086
  apt "$@" install -y -qq --no-install-recommends -t bookworm-backports $packages
fi

if [ "$(qemu_major)" -lt 10 ]; then
  echo "qemu10: needed QEMU 10 or newer, found version $(qemu_major) after the installation" >&2
  exit 1
fi
