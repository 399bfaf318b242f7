#!/usr/bin/env bash
# Copies the files of a package to where they belong, for what packs or installs them: Debian packages, the tarball,
# container images. BINARIES names the folder of a release build, with its programs and papers/.
#   stage.sh PACKAGE ROOT                  as a distribution's package has them, under the folder ROOT
#   stage.sh --local PREFIX PACKAGE ROOT   as install.sh has them: programs in PREFIX/bin, the rest in /usr/local
#   stage.sh --list PACKAGE                prints `mode path source` of each instead
# The packages are those that systemd/programs names.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$self"
}

layout vendor
case ${1:-} in
--help) usage && exit ;;
--list) [ $# -eq 2 ] || { usage >&2 && exit 64; } && files_of "$2" && exit ;;
--local) layout local "$2" && shift 2 ;;
esac
[ $# -eq 2 ] || { usage >&2 && exit 64; }
[ -n "$(programs_of "$1")" ] || fail "there is no package '$1'; systemd/programs names them"
stage "$1" "${BINARIES:?the folder of a release build}" "$(absolute "$2")"
