# install.sh on a machine that knows nothing of the project; and once more, as an upgrade does.

# The steps that install.sh counts.
numbered_lines() {
    install_all | grep -c '^[1-5]/5 .* ([0-9]* s)$'
}

with_variable() {
    env "$1" /payload/systemd/install.sh
}

# With paths of its own, and one of them relative.
install_elsewhere() {
    cd /tmp && env PREFIX=/opt/mesh LOG=install.log /payload/systemd/install.sh
}

# With a file system as full as /var may be.
with_full_log() {
    mkdir /tmp/full && mount -t tmpfs -o size=4k tmpfs /tmp/full && head -c 4096 /dev/zero >/tmp/full/file
    with_variable LOG=/tmp/full/log
    local result=$?
    umount /tmp/full && rmdir /tmp/full
    return $result
}

check "systemd is PID 1" is systemd cat /proc/1/comm
check "install.sh refuses a folder without programs" refuses "kmesh-bypassd is not in '/tmp'" with_variable BINARIES=/tmp
check "and a relative prefix" refuses "not 'opt'" with_variable PREFIX=opt
check "and one that the unit hides from the daemon" refuses "hides '/home/mesh'" with_variable PREFIX=/home/mesh
check "and a log that cannot be written" refuses "'/nowhere/log' cannot be written" with_variable LOG=/nowhere/log
check "and one for which there is no space" refuses "No space left on device" with_full_log
# nft and iptables-nft are in sbin.
check "install.sh names programs that are missing" refuses "not in PATH: nft iptables-nft" with_variable PATH=/usr/bin:/bin
for variable in PREFIX BINARIES SWIFT LOG; do
    check "install.sh --help names $variable" says "  $variable=" install_all --help
done
check "install.sh installs, starts and demonstrates it" says "5/5 demo" install_elsewhere
check "what was said is in the log" says "bypass on       app" cat /tmp/install.log
check "the programs are where they were wanted" test -x /opt/mesh/bin/kmesh-bypassctl
ln -s /opt/mesh /opt/link
check "another name of that folder is not another folder" says "5/5 demo" with_variable PREFIX=/opt/link
check "the programs are still there" test -x /opt/mesh/bin/kmesh-bypassctl
check "the service runs" is active systemctl is-active kmesh-bypassd.service
check "service and socket start with the machine" is "enabled enabled" \
    bash -c 'systemctl is-enabled kmesh-bypassd.service kmesh-bypassd.socket | xargs'
check "the status line says that nothing is bypassed" says "0 " property StatusText
check "systemd finds no fault with the units" is "" \
    systemd-analyze verify --man=no kmesh-bypassd.service kmesh-bypassd.socket
first=$(property MainPID)
check "install.sh may be run again, in five steps" is 5 numbered_lines
check "that replaced the daemon" fails is "$first" property MainPID
check "and the programs in the other folder" is "" ls /opt/mesh/bin
rm /opt/link

useradd oncall --groups kmesh
useradd stranger
