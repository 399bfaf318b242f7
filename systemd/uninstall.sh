#!/usr/bin/env bash
# Takes away what systemd/install.sh installed, and what the daemon left in the kernel: ends every bypass first, so that
# no namespace stays outside its mesh. May be run again. Needs root. PREFIX is as it was at the installation, and need
# only be said where systemd does not run.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

usage="usage: uninstall.sh [--keep-bypasses] [--remove-group] [--purge]
  --keep-bypasses  ends no bypass and leaves what the daemon has in the kernel, for the Debian package to take over
  --remove-group   also removes the group kmesh
  --purge          also removes the policy, the controller's credentials and changes to the units
  PREFIX=FOLDER    where it was installed, if that is not /usr/local and systemd does not run"

keep=no
remove_group=no
purge=no
for argument in "$@"; do
    case $argument in
    --keep-bypasses) keep=yes ;;
    --remove-group) remove_group=yes ;;
    --purge) purge=yes ;;
    --help) echo "$usage" && exit ;;
    *) echo "$usage" >&2 && exit 64 ;;
    esac
done

need_root
with_all_packages
# The units know where the programs went.
layout local
prefix=$(prefix_of kmesh-bypassd)
installed=()
for package in "${packages[@]}"; do
    own=$(prefix_of "$package")
    layout local "${PREFIX:-${own:-${prefix:-/usr/local}}}"
    mapfile -t -O "${#installed[@]}" installed < <(files_of "$package" | cut -d' ' -f2)
done
layout local "${PREFIX:-${prefix:-/usr/local}}"
# What belongs to the administrator: policy, credentials, changes to the units, the log of the installation.
administrators=(/etc/kmesh "${LOG:-/var/log/kmesh-bypassd-install.log}" /etc/systemd/system/{kmesh-bypassd.{socket,service},$controller.service}{,.d})

# Removes what is there of its arguments, and says so.
remove() {
    local path
    for path in "$@"; do
        if [ ! -e "$path" ] && [ ! -L "$path" ]; then continue; fi
        rm -rf --one-file-system "$path"
        echo "removed $path"
    done
}

is_ours() {
    runs_systemd && [ -f "$units/$1" ]
}

if has_package kmesh-bypassd && ! is_ours kmesh-bypassd.service; then
    fail "kmesh-bypassd is installed as a Debian package: apt-get remove kmesh-bypassd"
fi
if ! is_unit && "$bin/kmesh-bypassctl" info >/dev/null 2>&1; then
    fail "a kmesh-bypassd runs that systemd did not start: end it first (its bypasses stay on)"
fi
# First, since it would turn bypasses on again.
if is_ours "$controller.service"; then systemctl stop "$controller.service"; fi
if [ "$keep" = no ]; then end_bypasses; fi
if is_ours "$controller.service"; then
    systemctl disable --quiet "$controller.service"
    echo "stopped and disabled $controller.service"
fi
if is_ours kmesh-bypassd.service; then
    systemctl disable --quiet --now kmesh-bypassd.socket kmesh-bypassd.service
    echo "stopped and disabled kmesh-bypassd.service and kmesh-bypassd.socket"
fi
remove "${installed[@]}"
rmdir --ignore-fail-on-non-empty -p "$share"/doc/kmesh-bypass{d/examples,-controller} 2>/dev/null || true
if [ "$keep" = no ]; then remove "${pins[@]}" /run/kmesh; fi
if [ "$purge" = yes ]; then remove "${administrators[@]}"; fi
if runs_systemd; then
    systemctl daemon-reload
    systemctl reset-failed kmesh-bypassd.socket kmesh-bypassd.service "$controller.service" 2>/dev/null || true
fi
if [ "$remove_group" = yes ] && getent group kmesh >/dev/null; then
    groupdel kmesh
    echo "removed the group kmesh"
fi

# What belongs to the administrator is left, unless asked for.
rmdir --ignore-fail-on-non-empty /etc/kmesh 2>/dev/null || true
for path in "${administrators[@]}"; do
    if [ -e "$path" ]; then echo "left $path (--purge removes it)"; fi
done
if getent group kmesh >/dev/null; then echo "left the group kmesh (--remove-group removes it)"; fi
