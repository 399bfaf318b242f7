#!/usr/bin/env bash
# Runs in the virtual machine, as root, from a read-only drive: what an administrator and their users would do, in the
# order in which they would do it. Prints TAP, one line a test; the plan comes last.
set -uo pipefail
# TAP is text.
export SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0
guest=$(dirname "$(readlink -f "$0")")
# shellcheck source=Tests/VirtualMachine/guest/lib.bash
source "$guest/lib.bash"
# shellcheck source=Tests/VirtualMachine/guest/mesh.bash
source "$guest/mesh.bash"

# Of a kernel that is not the disk's own (../kernels.bash).
[ ! -d /payload/modules ] || ln -s /payload/modules/* /lib/modules/

for part in "$guest"/[0-9]*.bash; do
    # shellcheck source=/dev/null
    source "$part"
done
finish
