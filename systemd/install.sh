#!/usr/bin/env bash
# Installs kmesh-bypassd and kmesh-bypassctl on Debian 12: packages, a release build, the binaries, and a demo as proof.
# Needs root and a Swift 6.3 toolchain. PREFIX says where to (default /usr/local).
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

need_root
need_swift
need_packages "${build_packages[@]}" "${use_packages[@]}"

# The Swift runtime is linked in: the machine that runs the daemon needs no toolchain.
flags=(--configuration release --static-swift-stdlib -Xlinker -s)
for product in kmesh-bypassd kmesh-bypassctl; do
    "$swift" build "${flags[@]}" --product "$product"
done
built=$("$swift" build "${flags[@]}" --show-bin-path)

prefix=${PREFIX:-/usr/local}
install -d "$prefix/bin"
install -m 0755 "$built/kmesh-bypassd" "$built/kmesh-bypassctl" "$prefix/bin/"
echo "installed kmesh-bypassd and kmesh-bypassctl in $prefix/bin"

"$prefix/bin/kmesh-bypassctl" demo
