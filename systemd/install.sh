#!/usr/bin/env bash
# Installs kmesh-bypassd and kmesh-bypassctl on Debian 12: packages, a release build, the binaries, and where systemd
# runs the units, enabled and started; then a demo as proof. May be run again, also over an older version: bypasses stay
# on. Needs root and a Swift 6.3 toolchain. PREFIX says where to (default /usr/local). BINARIES=FOLDER installs a build
# that is there already, and needs no toolchain.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

need_root
prefix=${PREFIX:-/usr/local}
[[ $prefix =~ ^(/[A-Za-z0-9._+-]+)+$ ]] || fail "PREFIX must be an absolute path of plain characters, not '$prefix'"
if [ -n "${BINARIES:-}" ]; then
    need_packages "${run_packages[@]}" "${use_packages[@]}"
    built=$BINARIES
else
    need_swift
    need_packages "${build_packages[@]}" "${use_packages[@]}"
    build_release
fi

install_programs() {
    install -d "$prefix/bin"
    install -m 0755 "${programs[@]/#/$built/}" "$prefix/bin/"
    echo "installed ${programs[*]} in $prefix/bin"
}

# Installs the units and what goes with them. Sets `socket_changed` to whether the socket must be made anew.
install_units() {
    local name target text
    socket_changed=no
    for name in "${!configuration[@]}"; do
        target=${configuration[$name]}
        text=$(sed "s|/usr/local/bin/|$prefix/bin/|g" "systemd/$name")
        [ "$name" != kmesh-bypassd.socket ] || cmp -s "$target" <<<"$text" || socket_changed=yes
        install -D -m 0644 /dev/stdin "$target" <<<"$text"
    done
    systemd-sysusers "${configuration[kmesh-bypassd.sysusers]}"
    systemd-tmpfiles --create "${configuration[kmesh-bypassd.tmpfiles]}"
    systemctl daemon-reload
    systemctl enable --quiet kmesh-bypassd.service kmesh-bypassd.socket
    echo "installed kmesh-bypassd.service and kmesh-bypassd.socket in $units"
}

# With the old socket kept, clients that call now wait for the new daemon instead of being refused.
start_units() {
    if [ "$socket_changed" = yes ]; then systemctl stop kmesh-bypassd.socket; fi
    start_service restart || fail "kmesh-bypassd was installed, but does not start"
    systemctl status --no-pager --lines=0 kmesh-bypassd.service
}

# One that somebody started by hand has the socket and the pins.
stranger_runs() {
    ! systemctl is-active --quiet kmesh-bypassd.socket && ! systemctl is-active --quiet kmesh-bypassd.service &&
        "$built/kmesh-bypassctl" info >/dev/null 2>&1
}

if ! runs_systemd; then
    install_programs
    echo "systemd does not run here: no units were installed"
else
    if stranger_runs; then fail "a kmesh-bypassd runs that systemd did not start: end it first (its bypasses stay on)"; fi
    install_programs
    install_units
    start_units
fi

"$prefix/bin/kmesh-bypassctl" demo
