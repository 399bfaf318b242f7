# The machine's disk with SELinux and Debian's policy for it, which the kernel enforces. Sourced by run.sh; image.bash sets
# `image`. Kept in .build-vm/, like the disk.
# shellcheck disable=SC2034

# Sets `image` to the folder with that disk, and `kernel_options` to what has the kernel enforce the policy.
need_selinux_image() {
    local plain=$image key
    kernel_options="security=selinux selinux=1 enforcing=1"
    key=$( (cat "${BASH_SOURCE[0]}" && echo "$plain") | sha256sum)
    image=$PWD/.build-vm/selinux-${key:0:16}
    if [ -f "$image/disk" ]; then return; fi
    rm -rf --one-file-system .build-vm/selinux-*
    mkdir -p "$image/root"
    cp "$plain"/{vmlinuz,initrd} "$image/"
    cp --sparse=always "$plain/disk" "$image/disk.part"
    truncate --size=2300M "$image/disk.part"
    echo "putting SELinux on the machine's disk (once): $image"
    export -f add_selinux
    # In a mount namespace of its own, all that is mounted is gone with it, also when interrupted.
    image=$image unshare --mount bash -euo pipefail -c add_selinux >"$image/log" 2>&1 ||
        { tail -n 30 "$image/log" >&2; fail "SELinux could not be put on the machine's disk, see $image/log"; }
    # The name says that it is whole.
    mv "$image/disk.part" "$image/disk"
}

add_selinux() {
    local root=$image/root
    e2fsck -f -p "$image/disk.part"
    resize2fs "$image/disk.part"
    mount -o loop "$image/disk.part" "$root"
    mount -t proc proc "$root/proc"
    cp /etc/resolv.conf "$root/etc/"
    chroot "$root" apt-get update -q
    DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -q -y --no-install-recommends \
        selinux-policy-default policycoreutils auditd
    rm -rf "$root"/var/cache/apt/archives/*.deb
    # The tests have the domain of an administrator's login, and the second drive gets labels with which that may run them.
    mkdir -p "$root/payload" "$root/etc/systemd/system/second-drive.service.d"
    printf '%s\n' '#!/bin/sh' \
        'mount --options ro,context=system_u:object_r:bin_t:s0 /dev/vdb /payload && exec /payload/guest/main.sh' |
        install -m 0755 /dev/stdin "$root/usr/local/sbin/second-drive"
    printf '%s\n' '[Service]' 'ExecStartPre=' 'ExecStart=' 'ExecStart=/usr/local/sbin/second-drive' \
        'SELinuxContext=unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023' \
        >"$root/etc/systemd/system/second-drive.service.d/selinux.conf"
    # Every file has a label from the start. This kernel need not know SELinux (-m).
    chroot "$root" setfiles -m -F /etc/selinux/default/contexts/files/file_contexts /
    umount "$root/proc" "$root"
}
