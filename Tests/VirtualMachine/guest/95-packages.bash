# The Debian packages: installed, used, upgraded and rolled back under traffic, removed, purged, and installed again. It
# begins with what install.sh has installed, and a bypass that is on.

policy=/etc/kmesh/bypassd.toml

# The README's line, for the package of that name in the folder: earlier or later. Anything that apt would ask ends it.
install_package() {
    local line
    line=$(sed -n 's/^sudo \(apt-get install .*kmesh-bypassd_.*\)/\1/p' /payload/README.md)
    [ -n "$line" ] && cd "/payload/$1" && bash -c "${line/kmesh-bypassd/$2}" </dev/null
}

# Without apt, which takes the emulator some seconds each time.
install_by_dpkg() {
    dpkg --install "/payload/$1/$2"_*.deb
}

# The files of a package, as the list beside this names them.
has_listed_files() {
    diff <(dpkg -L "$1" | while read -r path; do [ -d "$path" ] || echo "$path"; done | sort) "/payload/guest/$1.files"
}

version_of() {
    dpkg-query --show --showformat='${Version}' "$1"
}

# The bypasses as they were: not turned on again, and as effective, the one with a scope too.
bypasses() {
    field '.bypasses[] | "\(.netns) \(.state) \(.since) \(.only)"' call root list '[]' | sort | xargs -d '\n'
}

daemon_and_bypasses() {
    echo "$(property MainPID) $(bypasses)"
}

effective() {
    local name
    for name in pod peer; do field .effective call root status "[\"$name\"]"; done | xargs
}

socket_number() {
    # shellcheck disable=SC2154  # lib.bash sets it.
    stat --format=%i "$socket"
}

# Without a network apt's lists are of no use, and reading them takes the emulator a while; so do dpkg's calls of fsync.
rm -rf /var/lib/apt/lists/*
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/quick

# Where the part before this one has removed the group.
usermod --append --groups kmesh oncall
check "a bypass is on" is on field .state call oncall bypass '["pod","on"]'
check "and one for a port" is on field .state call root bypass '{"netns":"peer","state":"on","only":{"ports":[9090]}}'
check "the package is refused beside what install.sh has installed" \
    refuses "uninstall.sh --keep-bypasses" install_package earlier kmesh-bypassd
before=$(bypasses)
watch_traffic 1
check "uninstall.sh makes way for the package" says "left the group" uninstall --keep-bypasses
check "the package can be installed" install_package earlier kmesh-bypassd
check "it has taken the bypasses over" is "$before" bypasses
check "it has the files that are listed" has_listed_files kmesh-bypassd
check "service and socket start with the machine" is "enabled enabled" \
    bash -c 'systemctl is-enabled kmesh-bypassd.service kmesh-bypassd.socket | xargs'
check "systemd finds no fault with the units" is "" \
    systemd-analyze verify --man=no kmesh-bypassd.service kmesh-bypassd.socket
check "an operator may use it" is on field .state call oncall status '["pod"]'
check "install.sh is refused beside the package" refuses "apt-get remove kmesh-bypassd" install_all

main=$(property MainPID)
number=$(socket_number)
check "the package can be upgraded" install_package later kmesh-bypassd
check "to the later version" is 0.0.2 version_of kmesh-bypassd
check "with another daemon" is_another_daemon "$main"
check "and the same socket" is "$number" socket_number
check "the bypasses are as they were" is "$before" bypasses
main=$(property MainPID)
check "a way back that is interrupted" dpkg --unpack /payload/earlier/kmesh-bypassd_*.deb
check "leaves the daemon as it is" is "$main $before" daemon_and_bypasses
check "and can be finished" dpkg --configure --pending
check "to the earlier version" is 0.0.1 version_of kmesh-bypassd
check "with another daemon" is_another_daemon "$main"
check "the bypasses are as they were" is "$before" bypasses
check "both are effective" is "true true" effective
stop_watching
check "the traffic was direct all the time" was_direct

check "the controller's package can be installed" install_by_dpkg later kmesh-bypass-controller
check "it has the files that are listed" has_listed_files kmesh-bypass-controller
check "it is not enabled by itself" fails systemctl is-enabled --quiet kmesh-bypass-controller.service
echo secret >/etc/kmesh/controller.kubeconfig

systemctl stop kmesh-bypassd.service kmesh-bypassd.socket
systemctl mask kmesh-bypassd.service
check "removal fails while no daemon can end the bypass" \
    refuses "kmesh-bypassd.service is masked" dpkg --remove kmesh-bypass-controller kmesh-bypassd
check "then the bypass is still on" is app everywhere
systemctl unmask kmesh-bypassd.service
systemctl stop kmesh-bypassd.service kmesh-bypassd.socket
echo '# mine' >$policy
check "the packages can be removed, also while no daemon runs" dpkg --remove kmesh-bypass-controller kmesh-bypassd
check "the sidecar answers again" is sidecar everywhere
check "no rule is left" is "" traces
check "no pin is left" is "" ls /sys/fs/bpf
check "no unit is left" is "" units_left
check "nothing is left under /run" fails test -e /run/kmesh
check "no process is left" fails pgrep kmesh-bypass
check "policy and credential are left to the administrator" \
    is "/etc/kmesh /etc/kmesh/bypassd.toml" files_left
check "the packages can be purged" dpkg --purge kmesh-bypass-controller kmesh-bypassd
check "no file is left" is "" files_left
check "dpkg knows of none" fails version_of kmesh-bypassd
check "the package can be installed again" install_by_dpkg later kmesh-bypassd
check "and works" is on field .state call root bypass '["pod","on"]'
mkdir -p /etc/systemd/system/kmesh-bypassd.socket.d
check "it can be purged without being removed first" dpkg --purge kmesh-bypassd
check "the sidecar answers again" is sidecar everywhere
check "no pin and no file is left" is "" bash -c "$(declare -f files_left); ls /sys/fs/bpf; files_left"
