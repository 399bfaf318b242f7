# The machine's disk: Debian 12 with systemd as PID 1, its kernel, and nothing of this project. Sourced by run.sh.
# Making it takes minutes, so it is kept in .build-vm/ under a name that changes with this recipe.

# Empty for the one that debootstrap chooses.
mirror=${MIRROR:-}
image_packages=(
    systemd systemd-sysv dbus initramfs-tools linux-image-cloud-amd64
    iproute2 iptables nftables socat jq procps util-linux mount kmod
    libbpf1 libmnl0 libnftnl11
    apparmor runc
)

# Sets `image` to the folder with disk, vmlinuz and initrd.
need_image() {
    local key
    key=$( (cat "${BASH_SOURCE[0]}" && echo "$mirror") | sha256sum)
    image=$PWD/.build-vm/image-${key:0:16}
    if [ -f "$image/disk" ]; then return; fi
    rm -rf --one-file-system .build-vm/image-*
    mkdir -p "$image"
    echo "making the machine's disk (once, some minutes): $image"
    export -f make_image install_debian write_profile shrink_initrd run_second_drive
    # In a mount namespace of its own, all that debootstrap mounts and makes is gone with it, also when interrupted.
    mirror=$mirror image=$image packages=$(IFS=,; echo "${image_packages[*]}") \
        unshare --mount bash -euo pipefail -c make_image >"$image/log" 2>&1 ||
        { tail -n 30 "$image/log" >&2; fail "the machine's disk could not be made, see $image/log"; }
}

make_image() {
    root=$image/root
    mkdir "$root"
    # In memory, since dpkg syncs every file that it writes.
    mount -t tmpfs -o size=2G,mode=0755 tmpfs "$root"
    install_debian
    write_profile
    shrink_initrd
    run_second_drive
    cp -L "$root/vmlinuz" "$image/vmlinuz"
    cp -L "$root/initrd.img" "$image/initrd"
    rm -rf "${root:?}"/boot/* "$root"/var/cache/apt/archives/*.deb
    umount -q -R "$root/proc" "$root/sys" || true
    # The name says that it is whole.
    mke2fs -q -t ext4 -d "$root" "$image/disk.part" 1500M
    mv "$image/disk.part" "$image/disk"
}

install_debian() {
    # shellcheck disable=SC2154  # From the environment, as an array cannot be.
    debootstrap --variant=minbase --include="$packages" bookworm "$root" ${mirror:+"$mirror"}
    echo machine >"$root/etc/hostname"
    echo '127.0.0.1 localhost machine' >"$root/etc/hosts"
    # Every service that starts costs emulated time, and these do nothing for the test.
    local unit
    for unit in apparmor.service getty.target apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
        e2scrub_reap.service fstrim.timer systemd-logind.service systemd-pstore.service; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
}

# AppArmor's profile of containers, as containerd makes it: from Debian's package of its sources, where it is a template.
write_profile() {
    local package=golang-github-containerd-containerd-dev
    chroot "$root" bash -c "cd /tmp && apt-get update -q && apt-get download -q $package && dpkg -x $package*.deb sources"
    # Its conditions are true for this version of AppArmor.
    # shellcheck disable=SC2016
    sed -n '/^const defaultTemplate = `/,/^`/p' \
        "$root/tmp/sources/usr/share/gocode/src/github.com/containerd/containerd/contrib/apparmor/template.go" |
        sed -e '1d; $d; /{{\(range\|if\|end\)/d' \
            -e 's|^{{$value}}|#include <tunables/global>|; s|^  {{$value}}|  #include <abstractions/base>|' \
            -e 's/{{.Name}}/cri-containerd.apparmor.d/; s/{{.DaemonProfile}}/unconfined/' \
            >"$root/etc/apparmor.d/cri-containerd.apparmor.d"
    rm -rf "$root"/tmp/*
}

# Only what the disk needs: the usual thirty megabytes take the emulator ten seconds.
shrink_initrd() {
    echo 'MODULES=list' >"$root/etc/initramfs-tools/conf.d/machine"
    printf '%s\n' virtio_pci virtio_blk ext4 >>"$root/etc/initramfs-tools/modules"
    mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
    chroot "$root" update-initramfs -u
}

# What the machine is for: it runs guest/main.sh from its second drive, sends what that says to its second serial port,
# and is switched off when that ends, however it ends.
run_second_drive() {
    cat >"$root/etc/systemd/system/second-drive.service" <<'UNIT'
[Unit]
Description=Runs what the second drive brings
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=exec
ExecStartPre=mount --mkdir --options ro /dev/vdb /payload
ExecStart=/payload/guest/main.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1

[Install]
WantedBy=multi-user.target
UNIT
    chroot "$root" systemctl enable second-drive.service
}
