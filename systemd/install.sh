#!/usr/bin/env bash
# Installs kmesh-bypassd, kmesh-bypassctl and kmesh-bypass-demo beside the distribution: checks the machine, builds, installs
# the programs, and where systemd runs the units, enabled and started; then runs the demo as proof. May be run again, also
# over an older version: bypasses stay on.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

usage="usage: install.sh [--controller]
  --controller     also installs kmesh-bypass-controller, for a Kubernetes node, or a new version of it; building it takes
                   minutes more

Variables:
  PREFIX=FOLDER    the programs go to FOLDER/bin (default /usr/local)
  BINARIES=FOLDER  installs the release build that is there, and needs no toolchain (default in a release's archive: bin)
  SWIFT=FILE       the toolchain's swift, if it is not in PATH, /opt/swift or /usr/local/swift
  LOG=FILE         where the output goes (default /var/log/kmesh-bypassd-install.log)"

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
log=${LOG:-/var/log/kmesh-bypassd-install.log}
number=0
notes=()

# Refuses wrong variables before anything is done.
check_variables() {
    local program fault
    prefix=${PREFIX:-/usr/local}
    [[ $prefix =~ ^(/[A-Za-z0-9._+-]+)+$ ]] || fail "PREFIX must be an absolute path of plain characters, not '$prefix'"
    # By ProtectHome= and PrivateTmp=.
    if runs_systemd && [[ $prefix/ =~ ^/(home|root|run/user|tmp|var/tmp)/ ]]; then
        fail "PREFIX: the daemon's unit hides '$prefix' from it"
    fi
    # A line is written, since a file can be made where there is no space left.
    fault=$({ date --utc --rfc-3339=seconds >"$log"; } 2>&1) || fail "LOG: '$log' cannot be written: ${fault##*: }"
    # A release's archive has programs and no sources.
    [ -e Package.swift ] || : "${BINARIES:=$PWD/bin}"
    if [ -z "${BINARIES:-}" ]; then
        need_swift
        [ -x "$swift" ] || fail "SWIFT: '$swift' is not there, or cannot be executed"
        return
    fi
    [ -d "$BINARIES" ] || fail "BINARIES: there is no folder '$BINARIES'"
    built=$(readlink -f "$BINARIES")
    for program in "${programs[@]}"; do
        [ -x "$built/$program" ] || fail "BINARIES: $program is not in '$BINARIES', or cannot be executed"
    done
}

# step NAME COMMAND...: runs a step, and shows its number, progress and seconds in one line. Its output goes to the log.
step() {
    local line started=$SECONDS status=0 begin
    number=$((number + 1))
    line="$number/5 $1"
    shift
    begin=$(wc -c <"$log")
    printf '%s' "$line"
    "$@" </dev/null >>"$log" 2>&1 &
    while kill -0 $! 2>/dev/null; do
        if [ -t 1 ]; then printf '\r%s %s ' "$line" "$(progress "$begin")"; fi
        sleep 0.2
    done
    wait $! || status=$?
    if [ "$status" -ne 0 ]; then
        printf ' failed (%d s)\n' $((SECONDS - started))
        tail -c "+$((begin + 1))" "$log" | tail -n 20 >&2
        fail "step $number of 5 failed, all of its output is in $log"
    fi
    if [ -t 1 ]; then printf '\r\e[K%s' "$line"; fi
    printf ' (%d s)\n' $((SECONDS - started))
}

# The last `[done/of]` that the build has printed.
progress() {
    tail -c "+$(($1 + 1))" "$log" | grep -o '^\[[0-9]*/[0-9]*\]' | tail -n 1 || true
}

# Checks that the kernel and the machine have what the daemon needs. Reports everything that is missing at once.
check_machine() {
    local missing=() tools=() tool release
    release=$(uname -r)
    [ "$(printf '%s\n' 5.10 "$release" | sort --version-sort | head -n 1)" = 5.10 ] ||
        missing+=("Linux 5.10 or later is needed, and this is $release")
    [ -r /sys/kernel/btf/vmlinux ] ||
        missing+=("the kernel has no BTF (/sys/kernel/btf/vmlinux): use one that was built with CONFIG_DEBUG_INFO_BTF=y")
    # Where there is no dpkg, nothing has installed them.
    for tool in ip nft iptables-nft unshare; do
        command -v "$tool" >/dev/null || tools+=("$tool")
    done
    if [ ${#tools[@]} -gt 0 ]; then
        missing+=("not in PATH: ${tools[*]}. Install iproute2, nftables, iptables (with iptables-nft) and util-linux")
    elif unshare --net true; then
        unshare --net nft list tables ||
            missing+=("the kernel has no nf_tables: use one with CONFIG_NF_TABLES")
        # A program that returns 0: xt_bpf, by way of nft_compat.
        unshare --net iptables-nft -t nat -A OUTPUT -m bpf --bytecode '1,6 0 0 0' -j RETURN ||
            missing+=("the kernel has no xt_bpf for nf_tables: use one with CONFIG_NETFILTER_XT_MATCH_BPF and CONFIG_NFT_COMPAT")
    else
        echo "no network namespace can be made here: nf_tables and xt_bpf were not checked"
    fi
    if runs_systemd && ! has_bpffs; then
        missing+=("/sys/fs/bpf is not a BPF file system: mount -t bpf bpf /sys/fs/bpf")
    fi
    [ -n "${BINARIES:-}" ] || check_toolchain || missing+=("$swift is not Swift 6.3 or later: install it (swift.org/install)")
    [ -z "${BINARIES:-}" ] || check_programs || missing+=("the programs in $BINARIES do not run here, see above")
    [ ${#missing[@]} -eq 0 ] && return
    printf '%s\n' "${missing[@]}"
    return 1
}

has_bpffs() {
    [ "$(stat --file-system --format=%T /sys/fs/bpf 2>/dev/null)" = bpf_fs ]
}

check_toolchain() {
    local version
    version=$("$swift" --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] && [ "$(printf '%s\n' 6.3 "$version" | sort --version-sort | head -n 1)" = 6.3 ]
}

# Starts each program. If one does not start, prints the libraries that are missing, or a C library that is too old.
check_programs() {
    local program
    for program in "${programs[@]}"; do
        "$built/$program" --version && continue
        ldd "$built/$program" 2>&1 | grep 'not found' || true
        return 1
    done
}

install_needed_packages() {
    if [ -n "${BINARIES:-}" ]; then
        need_packages "${run_packages[@]}" "${use_packages[@]}"
    else
        need_packages "${build_packages[@]}" "${use_packages[@]}"
    fi
}

build() {
    if [ -z "${BINARIES:-}" ]; then
        build_release
    elif [ ! -d "$built/$papers" ]; then
        need_packages python3
        systemd/papers.py "$built"
    fi
}

# Installs the files, without those in an earlier PREFIX: they would be found first, and be left by uninstall.sh.
install_files() {
    local package earlier
    for package in "${packages[@]}"; do
        earlier=$(prefix_of "$package")
        stage "$package" "$built"
        # One folder can have several names, and may have gone.
        if [ -n "$earlier" ] && [ -d "$earlier/bin" ] && ! [ "$earlier/bin" -ef "$bin" ]; then
            programs_of "$package" | cut -d' ' -f1 | (cd "$earlier/bin" && xargs rm -f)
        fi
    done
}

# Installs the files, and starts the units, or restarts them with the new version.
install_all() {
    local socket_changed=no before after
    if ! runs_systemd; then
        install_files
        return
    fi
    before=$(cat "$units/kmesh-bypassd.socket" 2>/dev/null || true)
    install_files
    after=$(cat "$units/kmesh-bypassd.socket")
    [ "$before" = "$after" ] || socket_changed=yes
    systemd-sysusers "$lib/sysusers.d/kmesh-bypassd.conf"
    systemd-tmpfiles --create "$lib/tmpfiles.d/kmesh-bypassd.conf"
    systemctl daemon-reload
    systemctl enable --quiet kmesh-bypassd.service kmesh-bypassd.socket
    # With the old socket kept, clients that call now wait for the new daemon instead of being refused.
    if [ "$socket_changed" = yes ]; then systemctl stop kmesh-bypassd.socket; fi
    start_service restart || fail "kmesh-bypassd was installed, but does not start"
    # The controller is not enabled by itself: only the administrator has its credential for the API server.
    if [ "$controller_too" = yes ] && systemctl is-active --quiet "$controller.service"; then
        systemctl restart "$controller.service" && return
        systemctl status --no-pager --full --lines=20 "$controller.service" || true
        fail "$controller was installed, but does not start"
    fi
}

demo() {
    local output
    output=$("$bin/kmesh-bypassctl" demo)
    echo "$output"
    grep -q 'bypass on  *app  *app  *app  *app' <<<"$output"
}

# A daemon that was started by hand has the socket and the pins.
stranger_runs() {
    ! systemctl is-active --quiet kmesh-bypassd.socket && ! systemctl is-active --quiet kmesh-bypassd.service &&
        grep -q ' /run/kmesh/bypassd.sock$' /proc/net/unix
}

print_next_steps() {
    local with='' client=kmesh-bypassctl
    [ "$prefix" = /usr/local ] || with="PREFIX=$prefix "
    [ "$(command -v "$client")" = "$bin/$client" ] || client=$bin/$client
    cat <<END

kmesh-bypassd is installed in $bin. Next:
  $client namespaces        what can be bypassed here
  $client on NAME --for 15m
  usermod -aG kmesh USER            lets a user who is not root do it
Undo: sudo ${with}$PWD/systemd/uninstall.sh (ends every bypass first)
Log:  $log
END
    if [ "$controller_too" = yes ] && ! { runs_systemd && systemctl is-enabled --quiet "$controller.service"; }; then
        cat <<END

To run $controller on this node:
  1. Write /etc/kmesh/controller.kubeconfig, for root's eyes only (chmod 600), with certificates and a token or key in
     it. Its user needs the rights of the ClusterRole that 'kmesh-bypassctl manifest' prints.
  2. If Kubernetes does not call this node '$(uname -n)': echo NODE_NAME=NAME >/etc/kmesh/controller.env
  3. systemctl enable --now $controller
To run it as a DaemonSet instead: kmesh-bypassctl manifest --help
END
    fi
}

check_variables
layout local "$prefix"
if has_package kmesh-bypassd; then
    fail "the Debian package kmesh-bypassd is installed: upgrade that, or remove it first (apt-get remove kmesh-bypassd)"
fi
if runs_systemd && stranger_runs; then
    fail "a kmesh-bypassd runs that systemd did not start: end it first (its bypasses stay on)"
fi
step "packages that it needs" install_needed_packages
step "check of the machine" check_machine
if [ -n "${BINARIES:-}" ]; then
    step "programs of $BINARIES" build
else
    step "build" build
    built=$("$swift" build "${release_flags[@]}" --show-bin-path)
fi
step "installation of ${programs[*]}" install_all
step "demo: who answers with and without a bypass" demo
runs_systemd || notes+=("systemd does not run here: no unit was started; start $bin/kmesh-bypassd as root")
has_bpffs || notes+=("/sys/fs/bpf is not a BPF file system, which kmesh-bypassd needs: mount -t bpf bpf /sys/fs/bpf")
if [ ${#notes[@]} -gt 0 ]; then printf 'Note: %s.\n' "${notes[@]}"; fi
print_next_steps
