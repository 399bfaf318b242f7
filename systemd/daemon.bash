# How scripts deal with the daemon: start it, and end its bypasses before it is removed, so that no namespace stays outside
# its mesh. Sourced by setup.bash; the package's prerm begins with it (package.sh). Where the programs are is in `bin`.
# shellcheck disable=SC2154

fail() {
    echo "$(basename "$0"): $1" >&2
    exit 1
}

runs_systemd() {
    [ -d /run/systemd/system ]
}

is_unit() {
    runs_systemd && systemctl cat kmesh-bypassd.service >/dev/null 2>&1
}

# start_service start|restart: if that fails, shows what the daemon said. Earlier failures do not count.
start_service() {
    systemctl reset-failed kmesh-bypassd.service kmesh-bypassd.socket 2>/dev/null || true
    systemctl "$1" kmesh-bypassd.service && return
    systemctl status --no-pager --full --lines=20 kmesh-bypassd.service >&2
    return 1
}

# What the daemon pins: the matcher, and the map that says who is bypassed.
pins=(/sys/fs/bpf/bypass /sys/fs/bpf/bypassed_netns)

is_pinned() {
    local pin
    for pin in "${pins[@]}"; do
        if [ -e "$pin" ]; then return 0; fi
    done
    return 1
}

# Ensures that a daemon answers. Sets `daemon` to its process if it is one of our own.
need_daemon() {
    local tries
    daemon=
    [ -x "$bin/kmesh-bypassctl" ] ||
        fail "bypasses may be on, but $bin/kmesh-bypassctl is not there: install again first, or name its PREFIX"
    if is_unit; then
        start_service start || fail "the daemon must run to end bypasses, but does not start; nothing was taken away"
        return
    fi
    "$bin/kmesh-bypassd" &
    daemon=$!
    trap 'kill "$daemon" 2>/dev/null || true' EXIT
    for ((tries = 0; tries < 50; tries++)); do
        if "$bin/kmesh-bypassctl" info >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    fail "the daemon must run to end bypasses, but does not answer; nothing was taken away"
}

# The pins hold the rules' switch: they may go only when nothing is bypassed.
end_bypasses() {
    is_pinned || return 0
    need_daemon
    "$bin/kmesh-bypassctl" clear
    "$bin/kmesh-bypassctl" list --json | grep -q '"bypasses":\[\]' ||
        fail "there are bypasses still, see '$bin/kmesh-bypassctl list'"
    echo "ended every bypass"
    if [ -n "$daemon" ]; then
        kill "$daemon"
        wait "$daemon" || true
    fi
}
