#!/usr/bin/env bash
# Takes away what systemd/install.sh installed, and what the daemon left in the kernel: ends every bypass first, so that
# no namespace stays outside its mesh. May be run again. Needs root. PREFIX is as it was at the installation, and need
# only be said where systemd does not run.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

usage="usage: uninstall.sh [--remove-group] [--purge]
  --remove-group  also removes the group kmesh
  --purge         also removes the policy, the controller's credentials and changes to the units"

remove_group=no
purge=no
for argument in "$@"; do
    case $argument in
    --remove-group) remove_group=yes ;;
    --purge) purge=yes ;;
    --help) echo "$usage" && exit ;;
    *) echo "$usage" >&2 && exit 64 ;;
    esac
done

need_root
with_controller
# The unit knows where the programs went.
service=${configuration[kmesh-bypassd.service]}
prefix=$(sed -n 's|^ExecStart=\(/.*\)/bin/kmesh-bypassd.*|\1|p' "$service" 2>/dev/null || true)
prefix=${PREFIX:-${prefix:-/usr/local}}
control=$prefix/bin/kmesh-bypassctl
daemon=
# What belongs to the administrator: policy, credentials, changes to the units.
administrators=(/etc/kmesh /etc/systemd/system/{kmesh-bypassd.{socket,service},$controller.service}{,.d})

# Removes what is there of its arguments, and says so.
remove() {
    local path
    for path in "$@"; do
        if [ ! -e "$path" ] && [ ! -L "$path" ]; then continue; fi
        rm -rf --one-file-system "$path"
        echo "removed $path"
    done
}

# Sees to it that a daemon answers. Sets `daemon` to its process if it is one of our own.
need_daemon() {
    local tries
    [ -x "$control" ] || fail "bypasses may be on, but $control is not there: install again first, or name its PREFIX"
    if is_unit; then
        start_service start || fail "the daemon must run to end bypasses, but does not start; nothing was taken away"
        return
    fi
    "$prefix/bin/kmesh-bypassd" &
    daemon=$!
    trap 'kill "$daemon" 2>/dev/null || true' EXIT
    for ((tries = 0; tries < 50; tries++)); do
        if "$control" info >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    fail "the daemon must run to end bypasses, but does not answer; nothing was taken away"
}

is_unit() {
    runs_systemd && [ -f "$service" ]
}

is_controller() {
    runs_systemd && [ -f "${configuration[$controller.service]}" ]
}

is_pinned() {
    local pin
    for pin in "${pins[@]}"; do
        if [ -e "$pin" ]; then return 0; fi
    done
    return 1
}

# The pins hold the rules' switch: they may go only when nothing is bypassed.
end_bypasses() {
    need_daemon
    "$control" clear
    "$control" list --json | grep -q '"bypasses":\[\]' || fail "there are bypasses still, see '$control list'"
    echo "ended every bypass"
    if [ -n "$daemon" ]; then
        kill "$daemon"
        wait "$daemon" || true
    fi
}

if ! is_unit && "$control" info >/dev/null 2>&1; then
    fail "a kmesh-bypassd runs that systemd did not start: end it first (its bypasses stay on)"
fi
# First, since it would turn bypasses on again.
if is_controller; then systemctl stop "$controller.service"; fi
if is_pinned; then end_bypasses; fi
if is_controller; then
    systemctl disable --quiet "$controller.service"
    echo "stopped and disabled $controller.service"
fi
if is_unit; then
    systemctl disable --quiet --now kmesh-bypassd.socket kmesh-bypassd.service
    echo "stopped and disabled kmesh-bypassd.service and kmesh-bypassd.socket"
fi
remove "${pins[@]}" /run/kmesh "${configuration[@]}" "${programs[@]/#/$prefix/bin/}"
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
