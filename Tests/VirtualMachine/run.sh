#!/usr/bin/env bash
# A real systemd: boots a Debian 12 in an emulated machine, where systemd/install.sh installs the release binaries, and
# guest/ tests what an administrator and their users would do. Needs root, and Debian's packages from a mirror (MIRROR)
# the first time. BINARIES=FOLDER tests a build that is there already.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/../.."
source systemd/setup.bash
source Tests/VirtualMachine/image.bash
source Tests/VirtualMachine/machine.bash

need_root
with_controller
need_packages debootstrap e2fsprogs qemu-system-x86 util-linux
if [ -n "${BINARIES:-}" ]; then
    built=$BINARIES
else
    need_swift
    need_packages "${build_packages[@]}"
    build_release
fi

need_image
work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null || true; rm -rf "$work"' EXIT
make_second_drive "$built"
started=$SECONDS
if ! run_machine 1800 || ! is_good; then
    echo "--- the end of the machine's console:" >&2
    # Without colours, and without what systemd says only while it waits.
    sed 's/\x1b\[[0-9;]*[A-Za-z]//g; s/\r$//' "$work/console" | grep -v ' Job .*running' | tail -n 40 >&2
    fail "the test in the virtual machine failed, see the lines above"
fi
echo "the test in the virtual machine passed in $((SECONDS - started)) s"
