#!/usr/bin/env bash
# Reads off the programs for use that they are linked as systemd/release-link.cfg means them to be.
#   binaries.sh FOLDER     the programs in FOLDER, as a release build leaves them
set -euo pipefail
self=$(readlink -f "$0")
folder=$(readlink -f "${1:?the folder of a release build}")
cd "$(dirname "$self")/.."
source systemd/setup.bash

need_packages binutils
with_all_packages
faults=0
# The C library of README and of the release's archive: the programs start with this one and any later.
glibc=2.35

# promise PROGRAM WORDS COMMAND...: the words say what is so if the command succeeds.
promise() {
    "${@:3}" && return
    echo "$1: $2" >&2
    faults=$((faults + 1))
}

says() { grep -Eq "$2" <<<"$1"; }
is_silent_on() { ! says "$@"; }

for program in "${programs[@]}"; do
    file=$folder/$program
    [ -x "$file" ] || fail "$file is missing: build it first (Tests/run.sh --release)"
    header=$(readelf --file-header --wide "$file")
    segments=$(readelf --program-headers --wide "$file")
    sections=$(readelf --section-headers --wide "$file")
    dynamic=$(readelf --dynamic --wide "$file")
    promise "$program" "is not position-independent" says "$header" 'Type: +DYN '
    promise "$program" "is not position-independent" says "$dynamic" '\(FLAGS_1\).* PIE'
    promise "$program" "has no read-only relocations (-z relro)" says "$segments" 'GNU_RELRO '
    promise "$program" "binds lazily, so they are not all read-only (-z now)" says "$dynamic" '\(FLAGS_1\).* NOW'
    promise "$program" "has a stack for which nothing is said, or that is executable" says "$segments" 'GNU_STACK .* RW +0'
    promise "$program" "has memory that is writable and executable" is_silent_on "$segments" 'LOAD .* RWE'
    promise "$program" "loads libraries from a folder of its own" is_silent_on "$dynamic" '\((RUNPATH|RPATH)\)'
    promise "$program" "has symbols" is_silent_on "$sections" ' \.(symtab|debug_info) '
    # But the loader itself, which is there in any case: lld names it if something asks for thread-local storage.
    unused=$(ldd -u "$file" 2>&1 | grep -v '/ld-linux-[^/]*$' || true)
    newest=$(readelf --version-info --wide "$file" | grep -o 'GLIBC_[0-9.]*' | sort --version-sort --unique | tail -n 1)
    promise "$program" "needs ${newest/_/ }, not $glibc" says "$(printf '%s\n' "$newest" "GLIBC_$glibc" |
        sort --version-sort | tail -n 1)" "^GLIBC_$glibc\$"
    promise "$program" "names libraries that it does not use: $unused" is_silent_on "$unused" '\.so'
done
[ "$faults" -eq 0 ] || fail "the programs in $folder are not linked as they should be"
echo "${#programs[@]} programs are linked as they should be"
