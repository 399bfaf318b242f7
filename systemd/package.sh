#!/usr/bin/env bash
# Packs a release: a Debian package for each package that systemd/programs names, and an archive of all for other
# distributions, with install.sh in it. Two builds of a commit give the same bytes.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
source systemd/setup.bash
umask 022

usage="usage: package.sh [--debian] [--node] [--fast] [FOLDER]
  FOLDER                   where the packages go (default .build/packages)
  --debian                 makes no archive
  --node                   makes only the Debian package of the daemon
  --fast                   compresses less, for tests

Variables:
  BINARIES=FOLDER          packs the release build that is there, and needs no toolchain
  SWIFT=FILE               the toolchain's swift, if it is not in PATH, /opt/swift or /usr/local/swift
  MAINTAINER=WHO           who packs it, as Name <address>
  VERSION=VERSION          the packages' version (default: the one that the programs print)
  SOURCE_DATE_EPOCH=TIME   the time of all files, in seconds since 1970 (default: the commit's, else that of CHANGELOG.md)"

compression=(-Zxz) gzip=-9
folder=.build/packages
archive=yes
node=no
for argument in "$@"; do
    case $argument in
    --fast) compression=(-Zgzip -z1) gzip=-1 ;;
    --debian) archive=no ;;
    --node) archive=no node=yes ;;
    --help) echo "$usage" && exit ;;
    -*) echo "$usage" >&2 && exit 64 ;;
    *) folder=$(absolute "$argument") ;;
    esac
done

[ "$node" = yes ] || with_all_packages
if [ -n "${BINARIES:-}" ]; then
    built=$(readlink -f "$BINARIES")
    [ -d "$built/$papers" ] || systemd/papers.py "$built"
else
    need_root
    need_swift
    need_packages "${build_packages[@]}"
    build_release
fi
if [ "$(id -u)" -eq 0 ]; then need_packages dpkg-dev; fi

# What the programs print as their version, as in `kmesh-bypassd 0.2.0-dev (commit bf33df01)`, and the time of their commit.
stated=$("$built/kmesh-bypassd" --version)
commit=$(sed -n 's/.*(commit \([0-9a-f]\{8\}\).*/\1/p' <<<"$stated")
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git show --no-patch --format=%ct "${commit:-HEAD}" 2>/dev/null || stat --format=%Y CHANGELOG.md)
fi
export SOURCE_DATE_EPOCH

# A build between releases is older than the next release, and newer than those of earlier commits.
version=${VERSION:-}
if [ -z "$version" ]; then
    version=$(sed -n 's/^\(kmesh-bypassd \)\?\([0-9.]*\).*/\2/p' <<<"$stated")
    if [[ $stated == *-dev* ]]; then
        version+=~dev$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y%m%d.%H%M%S)${commit:+.$commit}
        [[ $stated != *-modified* ]] || version+=.modified
    fi
fi
maintainer=${MAINTAINER:-kmesh-bypassd <kmesh-bypassd@localhost>}
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder" "$work/debian"

# section NAME FILE: prints where it is in the file, and its size.
section() {
    local fields
    read -ra fields < <(readelf --section-headers --wide "$2" | sed 's/^ *\[ *[0-9]*\] *//' | grep "^$1 ")
    echo $((16#${fields[3]})) $((16#${fields[4]}))
}

# overwrite FILE OFFSET: with standard input.
overwrite() {
    dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# Two compilations of one commit differ in the hash that the compiler keeps of each module (.swift_modhash), and so in the
# linker's build id. The hashes are of no use in a program; the id is made from the rest. What they are overwritten with has
# their size.
make_reproducible() {
    local offset size
    read -r offset size < <(section .swift_modhash "$1")
    head -c "$size" /dev/zero | overwrite "$1" "$offset"
    # The id's 20 bytes come after the note's header.
    read -r offset size < <(section .note.gnu.build-id "$1")
    head -c 20 /dev/zero | overwrite "$1" $((offset + 16))
    printf '%b' "$(sha1sum <"$1" | cut -c1-40 | sed 's/../\\x&/g')" | overwrite "$1" $((offset + 16))
}

# The libraries that the programs load, as the names and versions of Debian's packages.
library_dependencies() {
    printf '%s\n' "Source: kmesh-bypassd" "" "Package: $1" "Architecture: any" >"$work/debian/control"
    (cd "$work" && dpkg-shlibdeps -O "debian/$1"/usr/bin/* | sed 's/^shlibs:Depends=//')
}

copyright() {
    cat <<'END'
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: kmesh-bypassd
Comment: NOTICE, in this folder, lists what the programs contain and under which licences.

Files: *
Copyright: 2026 the authors of kmesh-bypassd
License: Apache-2.0

License: Apache-2.0
 On Debian systems, the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
END
}

changelog() {
    printf 'kmesh-bypassd (%s) stable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' "$version" \
        "$maintainer" "$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")"
}

# control PACKAGE: what dpkg needs to know, from debian/PACKAGE.control. A `Depends:` that it has comes after the libraries.
control() {
    local template=systemd/debian/$1.control depends
    depends=$(library_dependencies "$1")
    printf '%s\n' "Package: $1" "Version: $version" "Architecture: $architecture" "Maintainer: $maintainer" \
        "Priority: optional" "Installed-Size: $(du --apparent-size --summarize --block-size=1K "$work/debian/$1" | cut -f1)"
    if grep -q '^Depends: ' "$template"; then
        sed "s/^Depends: /Depends: $depends, /" "$template"
    else
        echo "Depends: $depends"
        cat "$template"
    fi
}

debian_package() {
    local root=$work/debian/$1 documents=$work/debian/$1/usr/share/doc/$1 script
    mkdir -p "$root/DEBIAN"
    stage "$1" "$built" "$root"
    copyright >"$documents/copyright"
    changelog | gzip --no-name -9 >"$documents/changelog.gz"
    gzip --no-name -9 "$documents/CHANGELOG.md"
    if [ -e "systemd/debian/$1.lintian-overrides" ]; then
        install -D -m 0644 "systemd/debian/$1.lintian-overrides" "$root/usr/share/lintian/overrides/$1"
    fi
    control "$1" >"$work/control"
    mv "$work/control" "$root/DEBIAN/"
    (cd "$root" && find usr -type f -print0 | LC_ALL=C sort --zero-terminated | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
    for script in preinst postinst prerm postrm; do
        [ -e "systemd/debian/$1.$script" ] || continue
        maintainer_script "$1" "$script" >"$root/DEBIAN/$script"
        chmod 0755 "$root/DEBIAN/$script"
    done
    dpkg-deb --root-owner-group "${compression[@]}" --build "$root" "$folder" >/dev/null
}

maintainer_script() {
    local digest
    if [ "$1.$2" = kmesh-bypassd.prerm ]; then
        printf '#!/bin/bash\nset -euo pipefail\n'
        cat systemd/daemon.bash
    fi
    digest=$(sha256sum <"$work/debian/kmesh-bypassd/usr/lib/systemd/system/kmesh-bypassd.socket" | cut -d' ' -f1)
    sed "s/@SOCKET_DIGEST@/$digest/" "systemd/debian/$1.$2"
}

# All packages in one folder, as install.sh expects it: the programs and their papers in bin.
make_archive() {
    local name program
    name=kmesh-bypassd-$version-linux-$(uname -m)
    mkdir -p "$work/$name"/{bin,systemd}
    for program in "${programs[@]}"; do install -m 0755 "$built/$program" "$work/$name/bin/"; done
    cp -R "$built/$papers" "$work/$name/bin/"
    cp systemd/{{install,uninstall}.sh,*.bash,programs,*.{service,socket,sysusers,tmpfiles}} "$work/$name/systemd/"
    cp -R README.md CHANGELOG.md SECURITY.md LICENSE NOTICE systemd/SBOM.spdx.json proto-docs "$work/$name/"
    chmod -R u=rwX,go=rX "$work/$name"
    tar --create --directory "$work" --sort=name --owner=root:0 --group=root:0 --mtime="@$SOURCE_DATE_EPOCH" \
        --format=gnu "$name" | gzip --no-name "$gzip" >"$folder/$name.tar.gz"
}

mkdir "$work/build"
for program in "${programs[@]}"; do
    [ -x "$built/$program" ] || fail "$program is not in $built, or cannot be executed"
    cp "$built/$program" "$work/build/"
    make_reproducible "$work/build/$program"
done
cp -R "$built/$papers" "$work/build/"
built=$work/build

layout vendor
for package in "${packages[@]}"; do debian_package "$package"; done
[ "$archive" = no ] || make_archive
cd "$folder"
sha256sum ./*"$version"* >SHA256SUMS
cat SHA256SUMS
