# How the tests say what they found, and how they speak to the daemon. Sourced by main.sh.

socket=/run/kmesh/bypassd.sock
count=0
failed=0

# check NAME COMMAND...: a test. If the command fails, what it said stands below the line, as comments.
check() {
    local name=$1 output
    shift
    count=$((count + 1))
    if output=$("$@" 2>&1); then
        echo "ok $count - $name"
    else
        failed=$((failed + 1))
        echo "not ok $count - $name"
        printf '%s\n' "$output" | sed 's/^/# /'
    fi
}

# Ends the run. If a test failed, the services' journal says more than the test can.
finish() {
    if [ "$failed" -gt 0 ]; then
        journalctl --no-pager --lines=80 --unit='kmesh-*' | sed 's/^/# /'
    fi
    echo "1..$count"
}

# is TEXT COMMAND...: the command succeeds and prints just that.
is() {
    local wanted=$1 found
    shift
    found=$("$@") && [ "$found" = "$wanted" ] && return
    printf 'wanted: %s\nfound:  %s\n' "$wanted" "$found"
    return 1
}

# says TEXT COMMAND...: the command succeeds and prints that somewhere.
says() {
    local wanted=$1 found
    shift
    found=$("$@" 2>&1) && [[ $found == *"$wanted"* ]] && return
    printf 'wanted: %s\nin:     %s\n' "$wanted" "$found"
    return 1
}

# fails COMMAND...: it does, and does not just hang.
fails() {
    ! "$@"
}

# refuses TEXT COMMAND...: the command fails and prints that somewhere.
refuses() {
    local wanted=$1 found
    shift
    ! found=$("$@" 2>&1) && [[ $found == *"$wanted"* ]] && return
    printf 'wanted, with a failure: %s\nin: %s\n' "$wanted" "$found"
    return 1
}

# eventually SECONDS COMMAND...: the command succeeds before the time is over. For what systemd does by itself.
eventually() {
    local end=$((SECONDS + $1)) output
    shift
    until output=$("$@" 2>&1); do
        if [ "$SECONDS" -ge "$end" ]; then
            printf '%s\n' "$output"
            return 1
        fi
        sleep 0.2
    done
}

# call USER METHOD PARAMETERS: one call by socat; prints the answer's result. On an error prints its message and fails.
call() {
    local answer
    answer=$(printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' "$2" "$3" |
        runuser -u "$1" -- socat -t 60 - "UNIX-CONNECT:$socket") || return
    jq --exit-status --compact-output .result <<<"$answer" || { jq . <<<"$answer"; return 1; }
}

# field FILTER COMMAND...: jq's raw answer for what the command prints.
field() {
    local filter=$1 output
    shift
    output=$("$@") && jq --raw-output "$filter" <<<"$output"
}

# A property of the service as systemd sees it.
property() {
    systemctl show --value --property="$1" kmesh-bypassd.service
}

# From a release's archive: that is how it is unpacked in /payload.
install_all() {
    /payload/systemd/install.sh "$@"
}

uninstall() {
    /payload/systemd/uninstall.sh "$@"
}

# All that has the project's name on this file system, in one line. What dpkg knows of a package that was not purged, and
# the logs, are not of it.
files_left() {
    find / -xdev \( -path /var/lib/dpkg/info -o -path /var/log \) -prune -o \( -name '*kmesh*' -o -name 'bypass*' \) -print |
        sort | xargs
}

# systemctl fails if it finds none.
units_left() {
    systemctl list-units --all --no-legend 'kmesh*'
    systemctl list-unit-files --no-legend 'kmesh*' || true
}

# watch_traffic SECONDS: asks who answers again and again, with pauses, until the file `stop` is there.
watch_traffic() {
    scratch=$(mktemp -d)
    while [ ! -e "$scratch/stop" ]; do everywhere && sleep "$1"; done >"$scratch/answers" &
    watcher=$!
}

stop_watching() {
    touch "$scratch/stop"
    wait "$watcher"
}

# The traffic was watched, more than once, and never went another way.
was_direct() {
    [ "$(wc -l <"$scratch/answers")" -gt 1 ] && is app sort -u "$scratch/answers"
}

is_another_daemon() {
    [ "$(property MainPID)" != "$1" ] && [ "$(property MainPID)" != 0 ] && systemctl is-active --quiet kmesh-bypassd
}
