#!/usr/bin/env bash
# Installs kmesh-bypassd, kmesh-bypassctl and kmesh-bypass-demo on Debian 12: packages, a release build, the binaries, and
# where systemd runs the units, enabled and started; then a demo as proof. May be run again, also over an older version: bypasses stay
# on. Needs root and a Swift 6.3 toolchain. PREFIX says where to (default /usr/local). BINARIES=FOLDER installs a build
# that is there already, and needs no toolchain. With --controller also what bypasses a Kubernetes node's labelled pods.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

usage="usage: install.sh [--controller]
  --controller  also installs kmesh-bypass-controller, for a Kubernetes node, or a new version of it; building it takes
                minutes more"

controller_too=no
for argument in "$@"; do
    case $argument in
    --controller) controller_too=yes ;;
    --help) echo "$usage" && exit ;;
    *) echo "$usage" >&2 && exit 64 ;;
    esac
done

need_root
if [ "$controller_too" = yes ]; then with_controller; fi
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

# Installs the units and what goes with them. Sets `socket_changed` to whether the socket must be made again.
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

# Not enabled by itself: who it is, for the API server, only the administrator knows. One that runs is made the new one.
update_controller() {
    echo "installed $controller.service in $units"
    systemctl is-active --quiet "$controller.service" || return 0
    systemctl restart "$controller.service" && return
    systemctl status --no-pager --full --lines=20 "$controller.service" >&2 || true
    fail "$controller was installed, but does not start"
}

tell_about_controller() {
    cat <<END

To run kmesh-bypass-controller on this node:
  1. Write /etc/kmesh/controller.kubeconfig, for root's eyes only (chmod 600), with certificates and a token or key in
     it. Its user needs the rights of the ClusterRole that 'kmesh-bypassctl manifest' prints.
  2. If Kubernetes does not call this node '$(uname -n)': echo NODE_NAME=NAME >/etc/kmesh/controller.env
  3. systemctl enable --now kmesh-bypass-controller
To run it as a DaemonSet instead: kmesh-bypassctl manifest --help
END
}

# A daemon that was started by hand has the socket and the pins.
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
    if [ "$controller_too" = yes ]; then update_controller; fi
fi

"$prefix/bin/kmesh-bypassctl" demo
if [ "$controller_too" = yes ] && runs_systemd && ! systemctl is-enabled --quiet "$controller.service"; then
    tell_about_controller
fi
