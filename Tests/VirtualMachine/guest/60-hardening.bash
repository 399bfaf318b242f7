# What the unit says of itself, as systemd and the kernel see it.

# The kernel's own words for one line of the daemon's status.
kernel_status() {
    sed -n "s/^$1:\t//p" "/proc/$(property MainPID)/status"
}

# 0.1 of it is for CAP_NET_BROADCAST, which systemd counts with CAP_NET_RAW.
check "systemd-analyze security finds an exposure of at most 3.2" \
    systemd-analyze security --no-pager --threshold=32 kmesh-bypassd.service
# CAP_NET_BROADCAST (11), CAP_NET_ADMIN (12), CAP_SYS_PTRACE (19), CAP_SYS_ADMIN (21), CAP_PERFMON (38), CAP_BPF (39).
check "the daemon has just the capabilities that its unit gives reasons for" is 000000c000281800 kernel_status CapEff
# And CAP_DAC_READ_SEARCH (2), which it raises for some files of others in proc.
check "it cannot get more" is "000000c000281804 0000000000000000 0000000000000000" \
    bash -c "$(declare -f kernel_status property); echo \$(kernel_status CapBnd; kernel_status CapInh; kernel_status CapAmb)"
check "no new privileges" is 1 kernel_status NoNewPrivs
check "its memory and its threads are bounded" is "268435456 512" \
    bash -c "$(declare -f property); echo \$(property MemoryMax; property TasksMax)"
check "its system calls are filtered" is 2 kernel_status Seccomp
check "it may look at a namespace's addresses" is on \
    field .state call root bypass '{"netns":"peer","state":"on","expectAddresses":["10.7.0.2"]}'
check "and ends that bypass" is off field .state call root bypass '["peer","off"]'
check "records are kept where only root looks" is "drwx------ root root" stat --format='%A %U %G' /run/kmesh/state

# The unit's filter fails a system call that it does not allow. Here that ends the daemon instead, so that it is seen.
restart_with_reload() {
    systemctl daemon-reload
    systemctl restart kmesh-bypassd.service
}

use_everything() {
    call root bypass '["peer","on"]' && call oncall status '["peer"]' && call root list '[]' && call root info '[]' &&
        systemctl reload kmesh-bypassd.service && call root bypass '["peer","off"]'
}

mkdir -p /run/systemd/system/kmesh-bypassd.service.d
printf '%s\n' '[Service]' 'SystemCallErrorNumber=kill' >/run/systemd/system/kmesh-bypassd.service.d/test.conf
check "the daemon starts where a refused system call would end it" restart_with_reload
main=$(property MainPID)
check "it serves there" use_everything
check "it made no system call that its unit refuses" is "$main" property MainPID
rm -r /run/systemd/system/kmesh-bypassd.service.d
check "it starts as before" restart_with_reload
