#!/usr/bin/env bash
# Checks what systemd/package.sh packs: two builds give the same bytes, the files are those that the lists in
# Tests/VirtualMachine/guest name, and lintian and man report nothing.
#   packages.sh FOLDER     packs the programs in FOLDER, as a release build leaves them
set -euo pipefail
self=$(readlink -f "$0")
build=$(readlink -f "${1:?the folder of a release build}")
cd "$(dirname "$self")/.."
source systemd/setup.bash

need_root
need_packages dpkg-dev lintian man-db
with_all_packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
faults=0

# promise WORDS COMMAND...: prints the words, which say what is wrong, if the command fails or prints anything.
promise() {
    local output
    output=$("${@:2}" 2>&1) && [ -z "$output" ] && return
    printf '%s\n' "$1:" "$output" >&2
    faults=$((faults + 1))
}

# Another folder, time zone, mask and language, copies that are younger, and what differs in another compilation of the commit.
mkdir "$work/build"
cp -R --no-preserve=timestamps "$build/$papers" "$work/build/"
for program in "${programs[@]}"; do
    objcopy --dump-section .swift_modhash="$work/hashes" "$build/$program" "$work/build/$program"
    tr '\000-\377' '\001-\377\000' <"$work/hashes" >"$work/other"
    cp "$build/$program" "$work/build/"
    offset=$(readelf --section-headers --wide "$build/$program" |
        sed -n 's/.* \.swift_modhash  *PROGBITS  *[0-9a-f]*  *\([0-9a-f]*\) .*/\1/p')
    dd if="$work/other" of="$work/build/$program" bs=1 seek=$((16#$offset)) conv=notrunc status=none
    ! cmp --silent "$build/$program" "$work/build/$program" || fail "$program was not changed"
done
BINARIES=$build systemd/package.sh --fast "$work/first" >/dev/null &
(umask 077 && TZ=Asia/Kolkata LC_ALL=C.UTF-8 BINARIES=$work/build systemd/package.sh --fast "$work/second" >/dev/null)
wait $!
promise "packages of the same programs differ" diff --recursive "$work/first" "$work/second"

package_files() {
    dpkg-deb --fsys-tarfile "$work/first/$1"_*.deb | tar --list | sed -n 's|^\.\(/.*[^/]\)$|\1|p' | LC_ALL=C sort
}

for package in "${packages[@]}"; do
    promise "the files of $package are not those of its list" \
        diff <(package_files "$package") "Tests/VirtualMachine/guest/$package.files"
done
# As a user, since lintian warns root.
chmod -R go+rX "$work"
promise "lintian complains" setpriv --reuid=nobody --regid=nogroup --clear-groups --reset-env \
    env --chdir "$work" lintian --fail-on error,warning "$work"/first/*.deb

manual_warnings() {
    local page
    for page in "$build/$papers"/*.[0-9].gz; do
        # shellcheck disable=SC2069  # The warnings, without the page.
        LC_ALL=C.UTF-8 man --warnings --local-file -Tutf8 -Z "$page" 2>&1 >/dev/null
    done
}
promise "man warns of the manuals" manual_warnings
for program in "${programs[@]}"; do
    promise "$program has no manual" test -n "$(compgen -G "$build/$papers/$program.[0-9].gz")"
done
[ "$faults" -eq 0 ] || fail "the packages of $build are not as they should be"
echo "${#packages[@]} packages and an archive are as they should be"
