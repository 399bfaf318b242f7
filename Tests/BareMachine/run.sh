#!/usr/bin/env bash
# The README's commands on a machine that has nothing but Debian 12 and the toolchain. The machine is a folder with a minimal
# Debian, what the toolchain needs, sudo, a user alice and her clone of HEAD; it has mounts and processes of its own, and the
# kernel and network of this machine. What README.md has between its ``` is pasted there, word for word, by alice. Needs
# root, and half an hour: a release build, a build of the tests, and all of them.
#   run.sh [--setup]     --setup leaves out the tests
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/../.."
source systemd/setup.bash

tests=yes
case ${1:-} in
--setup) tests=no ;;
?*) echo "usage: $0 [--setup]" >&2 && exit 64 ;;
esac
need_root
need_swift
need_packages debootstrap git python3 shfmt util-linux
# A first look, in seconds. Not in CI, since it depends on what is installed by chance.
Tests/BareMachine/packages.py
toolchain=$(dirname "$(dirname "$(dirname "$(readlink -f "$swift")")")")
work=$PWD/.build-bare
machine=$work/machine
clone=/home/alice/kmesh-bypassd
rows=()

# pasted LINE: the first block of commands in README.md that begins with that line.
pasted() {
    awk -v first="$1" '
        inside && $0 == "```" { exit }
        last == "```" && $0 == first { inside = 1 }
        inside { print }
        { last = $0 }' README.md | grep . || fail "README.md has no block of commands that begins with: $1"
}

# on_machine USER COMMAND: in the user's login shell, in the clone.
on_machine() {
    # shellcheck disable=SC2016  # Expanded there.
    unshare --mount --pid --fork --kill-child bash -euo pipefail -c '
        machine=$1 toolchain=$2 user=$3 command=$4
        mount --bind "$machine" "$machine"
        for folder in "${@:5}"; do mount --bind -o ro "$folder" "$machine$folder"; done
        mount --bind -o ro "$toolchain" "$machine/opt/swift"
        mount -t proc proc "$machine/proc"
        mount -t sysfs sysfs "$machine/sys"
        mount --rbind /sys/fs/cgroup "$machine/sys/fs/cgroup"
        mount -t bpf bpf "$machine/sys/fs/bpf"
        mount --rbind /dev "$machine/dev"
        mount -t tmpfs -o mode=0755 tmpfs "$machine/run"
        # Its root is that of its mounts, as on a machine: `ip netns exec` changes them, and the kernel makes no user namespace
        # for what is in a chroot.
        cd "$machine"
        pivot_root . .
        umount --lazy .
        # Not the last command, which would take the place of this shell: it is the one that reaps processes.
        runuser --login "$user" --command "cd kmesh-bypassd && $command"
        exit
    ' bash "$machine" "$toolchain" "$1" "$2" "${shared[@]}"
}

# step NAME COMMAND...: with its seconds, for the table at the end.
step() {
    local started=$SECONDS
    printf '\n=== %s\n' "$1"
    "${@:2}"
    rows+=("$(printf '%-48s %7d' "$1" $((SECONDS - started)))")
}

# Where git finds repositories on this machine, if that is not where their addresses say.
mapfile -t shared < <(git config --get-regexp '^url\..*\.insteadof$' | sed -n 's|^url\.\(/.*\)\.insteadof .*|\1|p' | sort --unique)

make_machine() {
    local file folder
    rm -rf --one-file-system "$work"
    mkdir -p "$machine"
    debootstrap --variant=minbase --include="$(Tests/BareMachine/packages.py --toolchain),ca-certificates" bookworm "$machine" \
        ${MIRROR:+"$MIRROR"} >"$work/log" || { tail -n 20 "$work/log" >&2; fail "Debian could not be installed"; }
    # How it reaches Debian's packages, PyPI and the repositories of dependencies.
    for file in /etc/resolv.conf /etc/hosts /etc/gitconfig /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
        if [ -f "$file" ]; then cp "$file" "$machine$file"; fi
    done
    for folder in /opt/swift "${shared[@]}"; do mkdir -p "$machine$folder"; done
    chroot "$machine" useradd --create-home --shell /bin/bash alice
    echo 'alice ALL=(ALL) NOPASSWD: ALL' >"$machine/etc/sudoers.d/alice"
    git clone --quiet --no-hardlinks . "$machine$clone"
    chroot "$machine" chown -R alice: "$clone"
}

# Without systemd no unit starts the daemon; install.sh says that it is to be started by hand.
set_up_and_bypass() {
    local commands
    mapfile -t commands < <(pasted 'sudo systemd/install.sh')
    [ ${#commands[@]} -eq 2 ] || fail "the README's two commands are not two"
    on_machine alice "
        set -e
        ${commands[0]}
        sudo ip netns add web
        sudo ip netns exec web iptables -t nat -A OUTPUT -p tcp -j REDIRECT --to-ports 15001
        sudo kmesh-bypassd 2>/tmp/daemon.log &
        for _ in {1..600}; do sudo kmesh-bypassctl info >/dev/null 2>&1 && break; sleep 0.1; done
        ${commands[1]} | tee /tmp/answer
        grep -q '^effective:  yes' /tmp/answer
        sudo kmesh-bypassctl off web
        sudo kill \$!
        wait \$!
        sudo systemd/uninstall.sh --remove-group
    "
    # What is left: the log, and what its build needed.
    find "$machine"/{etc,usr,var/lib} -name '*kmesh*' | grep . && fail "uninstall.sh has left these"
    return 0
}

step "Debian 12 and what the toolchain needs" make_machine
step "the README's set-up and its main job" set_up_and_bypass
if [ "$tests" = yes ]; then
    step "the README's tests" on_machine alice "$(pasted 'sudo Tests/run.sh')"
fi
rm -rf --one-file-system "$work"
printf '\n%-48s %7s\n' step seconds
printf '%s\n' "${rows[@]}"
