# On a machine that enforces SELinux (../selinux.bash), after all other parts: in which domain the programs run, and what the
# kernel has denied.
[ -e /sys/fs/selinux/enforce ] || return 0

# domain_of UNIT: of its main process.
domain_of() {
    cut -d: -f3 "/proc/$(systemctl show --value --property=MainPID "$1")/attr/current"
}

# Denials, but for those that are not of the project: of Debian's own services at boot, of what reads or writes the test's
# terminal and pipes, and of the lock and the output of iptables, which modprobe inherits.
denials() {
    grep -a -e denied -e SELINUX_ERR /var/log/audit/audit.log |
        grep -v -e ':\(udev\|systemd_tmpfiles\|kmod\)_t:.* tcontext' -e 'comm="dbus-daemon"' \
            -e ':tty_device_t:.* tclass=chr_file' -e ' tclass=fifo_file'
    return 0
}

check "the package can be installed" install_by_dpkg later kmesh-bypassd
check "SELinux is enforced" is 1 cat /sys/fs/selinux/enforce
check "the daemon's domain is that of services without a policy of their own" is initrc_t domain_of kmesh-bypassd
check "its programs have the label of programs" is bin_t bash -c 'stat --format=%C /usr/bin/kmesh-bypassd | cut -d: -f3'
check "the audit has records" test -s /var/log/audit/audit.log
check "nothing was denied" is "" denials
