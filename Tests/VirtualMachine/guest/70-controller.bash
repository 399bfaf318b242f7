# The controller as systemd runs it: it may connect to the daemon's socket, and nothing else.

controller=kmesh-bypass-controller
kubeconfig=/etc/kmesh/controller.kubeconfig

# A property of its service, and the kernel's words for one line of its status.
controller_property() {
    systemctl show --value --property="$1" "$controller.service"
}
controller_status() {
    sed -n "s/^$1:[[:space:]]*//p" "/proc/$(controller_property MainPID)/status" | xargs
}

# What is missing here is an API server: nobody listens.
write_kubeconfig() {
    cat <<'END' >"$kubeconfig"
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "https://localhost:1"}}]
users: [{name: me, user: {token: secret}}]
END
    chmod 600 "$kubeconfig"
}

check "install.sh --controller says how to enable it" \
    says "systemctl enable --now $controller" install_all --controller
check "it is not enabled by itself" fails systemctl is-enabled --quiet "$controller.service"
check "systemd finds no fault with its unit" is "" systemd-analyze verify --man=no "$controller.service"
check "it does not start without a kubeconfig" fails systemctl start "$controller.service"
write_kubeconfig
check "it starts with one, which only root can read" systemctl enable --quiet --now "$controller.service"
check "it is well" eventually 60 says ok "$controller" probe healthz
check "the daemon lets it in" \
    eventually 60 says "kmesh_bypass_controller_daemon_connected 1" "$controller" probe metrics
check "it is not ready without an API server" fails "$controller" probe readyz
check "it is not root, and is in the group" \
    bash -c "[ $(controller_status Uid | cut -d' ' -f1) -gt 60000 ] && [[ ' $(controller_status Groups) ' == *' $(getent group kmesh | cut -d: -f3) '* ]]"
check "it has no capability, and cannot get one" is "0000000000000000 0000000000000000" \
    bash -c "echo $(controller_status CapEff) $(controller_status CapBnd)"
check "its system calls are filtered" is 2 controller_status Seccomp
check "systemd-analyze security finds an exposure of at most 1.5" \
    systemd-analyze security --no-pager --threshold=15 "$controller.service"
first=$(controller_property MainPID)
kill -KILL "$first"
check "it comes back when it is killed" eventually 60 is active controller_property ActiveState
check "install.sh --controller may be run again" says "5/5 demo" install_all --controller
check "it runs after that" is active controller_property ActiveState
