#!/usr/bin/env bash
# Makes container images, as OCI layouts, without a container engine: kmesh-bypass-controller, and kmesh-bypassd for nodes
# where nothing can be installed. Two runs on one machine for one commit write the same bytes.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

usage="usage: image.sh [FOLDER]
  Writes FOLDER/kmesh-bypass-controller and FOLDER/kmesh-bypassd (FOLDER: .build-images). Push them with, for instance:
    skopeo copy oci:FOLDER/kmesh-bypassd docker://registry.example/kmesh-bypassd:TAG
  BINARIES=FOLDER takes programs that are built already (Tests/run.sh --release), and needs no toolchain.
  SOURCE_DATE_EPOCH=SECONDS is the time of all files (default: the commit's)."

case ${1:-} in
--help) echo "$usage" && exit ;;
-*) echo "$usage" >&2 && exit 64 ;;
esac
[ $# -le 1 ] || { echo "$usage" >&2 && exit 64; }
folder=$(realpath -m "$(absolute "${1:-$PWD/.build-images}")")
with_controller
if [ -n "${BINARIES:-}" ]; then
    built=$(realpath "$BINARIES")
else
    need_swift
    build_release
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

# The daemon is root, with the few capabilities that it is given; the controller is nobody.
python3 systemd/oci.py "$folder/kmesh-bypass-controller" --user 65532:65532 --argument=--enable-bypass=true \
    "$built/kmesh-bypass-controller"
python3 systemd/oci.py "$folder/kmesh-bypassd" --user 0:0 "$built/kmesh-bypassd" "$built/kmesh-bypassctl"
