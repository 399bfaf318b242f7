#!/usr/bin/env bash
# Checks that the sources use no name of the kernel's headers which only an update of Debian has: machines that build this
# may have the headers as they were released. Those are fetched, and kept in .build.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash

# The version of linux-libc-dev that was released first, of those that apt knows.
released() {
    apt-cache madison linux-libc-dev | cut -d'|' -f2 | tr -d ' ' | sort --version-sort | head -n 1
}

# names PATH...: prints the names that can be constants of a header, without those in comments.
names() {
    grep -rhE --include='*.swift' --include='*.[ch]' -v '^ *(//|\*|/\*)' "$@" | grep -oE '\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b' | sort -u
}

command -v apt-cache >/dev/null || fail "there is no apt, which has the kernel headers of Debian's release"
[ -n "$(released)" ] || apt-get update -q
version=$(released)
[ -n "$version" ] || fail "apt knows no version of linux-libc-dev: see its sources in /etc/apt"
headers=$PWD/.build/headers-$version
if [ ! -d "$headers" ]; then
    part=$(mktemp -d --tmpdir="$(mkdir -p .build && cd .build && pwd)" headers.XXXXXX)
    trap 'rm -rf "$part"' EXIT
    (cd "$part" && apt-get download -q -o APT::Sandbox::User=root "linux-libc-dev=$version" && dpkg-deb --extract ./*.deb .)
    mv "$part/usr/include" "$headers"
fi
# A name that neither has is not of these headers.
unknown=$(comm -12 <(names Sources bpf) <(names /usr/include/linux) | comm -23 - <(names "$headers/linux"))
[ -z "$unknown" ] || fail "not in the kernel headers of linux-libc-dev $version, so it does not build with them: ${unknown//$'\n'/ }"
echo "the kernel headers of linux-libc-dev $version have all names that the sources use"
