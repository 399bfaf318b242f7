# install.sh on a machine that knows nothing of the project; and once more, as an upgrade does.

install_all() {
    BINARIES=/payload/bin /payload/systemd/install.sh
}

check "systemd is PID 1" is systemd cat /proc/1/comm
check "install.sh installs, starts and demonstrates it" says "bypass on       app" install_all
check "the service runs" is active systemctl is-active kmesh-bypassd.service
check "service and socket start with the machine" is "enabled enabled" \
    bash -c 'systemctl is-enabled kmesh-bypassd.service kmesh-bypassd.socket | xargs'
check "the status line says that nothing is bypassed" says "0 " property StatusText
check "systemd finds no fault with the units" is "" \
    systemd-analyze verify kmesh-bypassd.service kmesh-bypassd.socket
first=$(property MainPID)
check "install.sh may be run again" says "bypass on       app" install_all
check "that replaced the daemon" fails is "$first" property MainPID

useradd oncall --groups kmesh
useradd stranger
