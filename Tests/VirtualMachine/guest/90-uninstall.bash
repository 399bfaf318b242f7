# uninstall.sh: the bypass ends, and nothing is left.

check "the bypass is on" is "on" field .state call oncall bypass '["pod","on"]'
systemctl stop kmesh-bypassd.service kmesh-bypassd.socket
check "the app answers while no daemon runs" is app everywhere
echo 'rule = "bypass"' >/etc/kmesh/bypassd.toml
check "uninstall.sh fails if no daemon can end the bypass" fails uninstall
check "then the bypass is still on" is app everywhere
check "and nothing was taken away" test -e /sys/fs/bpf/bypass -a -x /usr/local/bin/kmesh-bypassctl
echo '# mine' >/etc/kmesh/bypassd.toml
check "uninstall.sh works" says "removed /sys/fs/bpf/bypass" uninstall
check "the sidecar answers again" is sidecar everywhere
check "no rule is left" is "" traces
check "no pin is left" is "" ls /sys/fs/bpf
check "no unit is left" is "" units_left
check "nothing is left under /run" fails test -e /run/kmesh
check "no process is left" fails pgrep kmesh-bypass
check "the policy and the group are left to the administrator" is "/etc/kmesh /etc/kmesh/bypassd.toml" files_left
check "the group is there" getent group kmesh
check "uninstall.sh may be run again, and takes those, too" says "removed the group" uninstall --remove-group --purge
check "no file is left" is "" files_left
check "no group is left" fails getent group kmesh
check "uninstall.sh has nothing more to do" is "" uninstall --remove-group --purge
check "all can be installed again" says "5/5 demo" install_all
