#!/usr/bin/env bash
# Fuzzes what clients send, what the kernel says, and what a policy file holds: Tests/fuzz.sh [SECONDS], for each fuzzer.
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
found=$PWD/.build-fuzz/found
for fuzzer in RequestLine NetlinkReplies PolicyText; do
    "$swift" build "${flags[@]}" --product "Fuzz$fuzzer"
    built=$("$swift" build "${flags[@]}" --show-bin-path)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$found" "$work/corpus"
    cp Tests/Fuzzing/"$fuzzer"/corpus/* "$work/corpus"
    if ! "$built/Fuzz$fuzzer" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$found/$fuzzer-" -print_final_stats=1 "$work/corpus" >"$work/log" 2>&1; then
        tail -n 60 "$work/log" >&2
        fail "$fuzzer found something, see $found"
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
    places=$(sed -n 's/.*DONE *cov: \([0-9]*\) .*/\1/p' "$work/log")
    [ "$places" -gt 200 ] || fail "$fuzzer sees nothing of what it runs: $places places in the code"
    echo "$fuzzer: $executions executions in $seconds seconds, $places places in the code, no crash"
    rm -rf "$work"
done
