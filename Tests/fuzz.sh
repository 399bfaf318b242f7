#!/usr/bin/env bash
# Fuzzes request lines, netlink replies, iptables-legacy's tables, policy files and record logs, all at the same time:
# Tests/fuzz.sh [SECONDS].
# Fails if one finds anything, and leaves the input that did it in .build-fuzz/found.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

seconds=${1:-60}
need_swift
need_packages "${build_packages[@]}"
# What the toolchain prints at a crash would go into libFuzzer's way.
export KMESH_FUZZ=1 SWIFT_BACKTRACE=enable=no

# With two --sanitize options SwiftPM gives them to the compiler in any order, another at every build; and the last one
# decides whether there is coverage to go by.
flags=(--configuration release --scratch-path .build-fuzz --sanitize=fuzzer)
flags+=(-Xswiftc -sanitize=address -Xswiftc -sanitize=fuzzer)
# For the invariants to be seen inside the modules; and what a linker drops as dead includes the coverage counters.
flags+=(-Xswiftc -enable-testing --disable-dead-strip)
fuzzers=(RequestLine NetlinkReplies LegacyEntries PolicyText RecordLines)
for fuzzer in "${fuzzers[@]}"; do
    "$swift" build "${flags[@]}" --product "Fuzz$fuzzer"
done
built=$("$swift" build "${flags[@]}" --show-bin-path)
found=$PWD/.build-fuzz/found
mkdir -p "$found"
work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null || true; rm -rf "$work"' EXIT

# fuzz NAME: its log is $work/NAME.log.
fuzz() {
    mkdir "$work/$1"
    cp Tests/Fuzzing/"$1"/corpus/* "$work/$1"
    exec "$built/Fuzz$1" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$found/$1-" -print_final_stats=1 "$work/$1" >"$work/$1.log" 2>&1
}

# result NAME STATUS: says how it went.
result() {
    local log=$work/$1.log executions places
    if [ "$2" -ne 0 ]; then
        tail -n 60 "$log" >&2
        fail "$1 found something, see $found"
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    places=$(sed -n 's/.*DONE *cov: \([0-9]*\) .*/\1/p' "$log")
    [ "$places" -gt 100 ] || fail "$1 sees nothing of what it runs: $places places in the code"
    echo "$1: $executions executions in $seconds seconds, $places places in the code, no crash"
}

# Side by side: each is one thread.
declare -A running
for fuzzer in "${fuzzers[@]}"; do
    fuzz "$fuzzer" &
    running[$fuzzer]=$!
done
for fuzzer in "${fuzzers[@]}"; do
    status=0
    wait "${running[$fuzzer]}" || status=$?
    result "$fuzzer" "$status"
done
