#!/usr/bin/env bash
# A real systemd: boots a Debian 12 in an emulated machine, where systemd/install.sh installs the release binaries, and
# guest/ tests what an administrator and their users would do. Needs root, and Debian's packages from a mirror (MIRROR)
# the first time. BINARIES=FOLDER tests a build that is there already.
#   run.sh                         all tests, on Debian 12's own kernel
#   run.sh --upgrade FOLDER        the Debian packages only: from the release build in FOLDER, of an earlier version, to this
#                                  one and back
#   run.sh --selinux               all tests but AppArmor's, where SELinux enforces Debian's policy for it
#   run.sh --kernels [VERSION...]  installation and traffic only, on each of the kernels in kernels.bash, or on those
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/../.."
source systemd/setup.bash
source Tests/VirtualMachine/image.bash
source Tests/VirtualMachine/kernels.bash
source Tests/VirtualMachine/selinux.bash
source Tests/VirtualMachine/machine.bash

need_root
with_all_packages
need_packages debootstrap e2fsprogs qemu-system-x86 util-linux
if [ -n "${BINARIES:-}" ]; then
    built=$BINARIES
else
    need_swift
    need_packages "${build_packages[@]}"
    build_release
fi

need_image
work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null || true; rm -rf "$work"' EXIT

# test_kernel [PART...]: in a machine with the kernel in `kernel`. Sets `seconds` to what it took.
test_kernel() {
    local started=$SECONDS result=0
    make_second_drive "$@"
    run_machine 1800 && is_good || result=$?
    seconds=$((SECONDS - started))
    [ "$result" -eq 0 ] && return
    echo "--- the end of the machine's console:" >&2
    # Without colours, and without what systemd says only while it waits.
    sed 's/\x1b\[[0-9;]*[A-Za-z]//g; s/\r$//' "$work/console" | grep -v ' Job .*running' | tail -n 40 >&2
    return "$result"
}

earlier=
parts=()
kernel_options=
case ${1:-} in
--upgrade)
    earlier=$(readlink -f "${2:?the folder of an earlier release build}")
    parts=(10-install 30-callers 95-packages)
    ;;
--selinux)
    need_selinux_image
    mapfile -t parts < <(cd Tests/VirtualMachine/guest && printf '%s\n' [0-9]*.bash | sed 's/\.bash$//; /container/d')
    ;;
esac
need_packed "$built" "$earlier"
if [ "${1:-}" != --kernels ]; then
    kernel=$image
    if [ ${#parts[@]} -eq 0 ]; then
        need_packages umoci golang-github-containers-common python3-yaml
        python3 Tests/Images/bundle.py "$built" "$work/container" /var/tmp/container
    fi
    test_kernel "${parts[@]}" || fail "the test in the virtual machine failed, see the lines above"
    echo "the test in the virtual machine passed in $seconds s"
    exit
fi

shift
[ $# -eq 0 ] || kernels=("$@")
need_packages cpio debian-archive-keyring kmod
rows=()
failed=no
for version in "${kernels[@]}"; do
    need_kernel "$version"
    release=$(ls "$kernel/lib/modules")
    echo "--- kernel $release"
    result=passed
    test_kernel 10-install 80-traffic || result=failed
    [ "$result" = passed ] || failed=yes
    rows+=("$(printf '%-32s %7d  %s' "$release" "$seconds" "$result")")
done
printf '\n%-32s %7s  %s\n' kernel seconds result
printf '%s\n' "${rows[@]}"
[ "$failed" = no ]
