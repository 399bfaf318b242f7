# Debian's other kernels for the machine, whose disk stays Debian 12. They are unpacked, not installed: the machine takes
# modules from its second drive, and the initrd is the disk's own with what that needs of them in front. Sourced by run.sh;
# image.bash sets `mirror` and `image`. Kept in .build-vm/, like the disk.
# shellcheck disable=SC2154

# Where Debian has the newest of each. Their order is the order of the runs.
kernels=(5.10 6.1 6.12 6.18)
declare -A suites=([5.10]=bullseye-security [6.1]=bookworm [6.12]=trixie [6.18]=trixie-backports)

# need_kernel VERSION: sets `kernel` to the folder with vmlinuz, initrd and lib/modules.
need_kernel() {
    local version=$1 key
    [ -n "${suites[$version]:-}" ] || fail "no such kernel: '$version'; there are ${kernels[*]}"
    key=$( (cat "${BASH_SOURCE[0]}" "$image/initrd" && echo "$mirror") | sha256sum)
    kernel=$PWD/.build-vm/kernel-$version-${key:0:16}
    if [ -f "$kernel/initrd" ]; then return; fi
    rm -rf --one-file-system .build-vm/kernel-"$version"-*
    mkdir -p "$kernel/unpacked"
    echo "fetching Debian's kernel $version"
    # In the background, since in a condition no error would end it.
    (
        unpack_kernel "$version"
        make_initrd
    ) >"$kernel/log" 2>&1 &
    wait $! || { tail -n 20 "$kernel/log" >&2; fail "kernel $version could not be had, see $kernel/log"; }
}

# With lists and settings of its own: the host's Debian need not be another's. apt checks the signatures.
unpack_kernel() {
    local version=$1 suite=${suites[$1]} archive=${mirror:-http://deb.debian.org/debian} package
    # The security archive is the other one's neighbour on every mirror.
    case $suite in *-security) archive+=-security ;; esac
    mkdir -p "$kernel"/apt/{lists/partial,cache/archives/partial}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main" >"$kernel/apt/sources"
    touch "$kernel/apt/status"
    private_apt get update
    package=$(private_apt cache pkgnames "linux-image-$version." | grep -- '-cloud-amd64$' | sort --version-sort | tail -n 1)
    (cd "$kernel/apt" && private_apt get download "$package" && dpkg-deb --extract "$package"_*.deb "$kernel/unpacked")
    mv "$kernel"/unpacked/boot/vmlinuz-* "$kernel/vmlinuz"
    # Newer ones have no /lib of their own.
    [ -d "$kernel/unpacked/lib" ] || mv "$kernel/unpacked/usr/lib" "$kernel/unpacked/"
    mv "$kernel/unpacked/lib" "$kernel/"
    rm -r "$kernel"/{unpacked,apt}
}

# private_apt get|cache ARGUMENT...
private_apt() {
    "apt-$1" -q -o Dir::Etc::SourceList="$kernel/apt/sources" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$kernel/apt/lists" -o Dir::State::status="$kernel/apt/status" \
        -o Dir::Cache="$kernel/apt/cache" -o APT::Architecture=amd64 -o APT::Sandbox::User=root \
        -o Acquire::Languages=none "${@:2}"
}

# An initrd is one archive after the other, of which only the last may be compressed. The disk's brings the programs, which
# load the modules that the disk needs.
make_initrd() {
    local release file
    release=$(ls "$kernel/lib/modules")
    depmod --basedir "$kernel" "$release"
    install -D --target-directory="$kernel/part/usr/lib/modules/$release" "$kernel/lib/modules/$release"/modules.*
    for file in $(modprobe --dirname "$kernel" --set-version "$release" --show-depends --all virtio_pci virtio_blk ext4 |
        sed -n "s|^insmod $kernel/\([^ ]*\).*|\1|p" | sort -u); do
        install -D "$kernel/$file" "$kernel/part/usr/$file"
    done
    (cd "$kernel/part" && find usr | cpio --quiet --create --format=newc) >"$kernel/initrd.part"
    cat "$image/initrd" >>"$kernel/initrd.part"
    rm -r "$kernel/part"
    # The name says that it is whole.
    mv "$kernel/initrd.part" "$kernel/initrd"
}
