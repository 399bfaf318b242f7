# The daemon's image as a container, as its DaemonSet runs it on a node with AppArmor: container engines give every container
# a profile, and the DaemonSet says that the daemon has none. Tests/Images/bundle.py has made the container.

bundle=/var/tmp/container
profile=cri-containerd.apparmor.d

# start_container CONFIGURATION: as an engine does.
start_container() {
    cp "$bundle/$1.json" "$bundle/config.json"
    runc run --detach --bundle "$bundle" bypassd </dev/null >"$bundle/log" 2>&1
}

end_container() {
    container_is stopped >/dev/null || runc kill bypassd KILL
    eventually 30 container_is stopped && runc delete bypassd
}

container_is() {
    runc state bypassd | jq --exit-status ".status == \"$1\""
}

in_container() {
    runc exec bypassd kmesh-bypassctl "$@"
}

# The profile of the container's first process.
label() {
    cat "/proc/$(runc state bypassd | jq .pid)/attr/current"
}

# denied OPERATION: the kernel says that it has denied that.
denied() {
    dmesg | grep "apparmor=\"DENIED\" operation=\"$1\" profile=\"$profile\""
}

# A process of the pod, in a control group as the kubelet makes it.
pod_process() {
    local group=/sys/fs/cgroup/kubepods/pod$uid/c0ffee
    mkdir -p "$group"
    ip netns exec pod sleep 1000 </dev/null &>/dev/null &
    sleeper=$!
    echo "$sleeper" >"$group/cgroup.procs"
}

check "AppArmor is active" is Y cat /sys/module/apparmor/parameters/enabled
check "the profile of containers is loaded" apparmor_parser --replace --skip-cache /etc/apparmor.d/$profile
cp -R /payload/container "$bundle"
uid=$(cat /proc/sys/kernel/random/uuid)
pod_process
call root clear '[]' >/dev/null
systemctl stop kmesh-bypassd.socket kmesh-bypassd.service

# The pins are there: of the node's daemon.
check "a container gets the profile" start_container default
check "it has it" eventually 60 is "$profile (enforce)" label
check "its daemon begins" eventually 60 in_container info
check "but may not see the namespaces of pods' processes" refuses "/ns/net with EACCES" in_container status "pod:$uid"
check "since AppArmor denies that" denied ptrace
end_container
rm /sys/fs/bpf/bypass*
check "it gets the profile once more, without pins" start_container default
check "its daemon ends" eventually 60 container_is stopped
check "since it may not pin its matcher" says "BPF_OBJ_PIN" cat "$bundle/log"
end_container

check "a container starts as the DaemonSet has it" start_container daemonset
check "it is ready" eventually 60 in_container info
check "it has no profile" is unconfined label
check "it finds a pod by its processes" is off field .state in_container status "pod:$uid" --json
check "and bypasses it" in_container on "pod:$uid"
check "the app answers" is app everywhere
check "it ends that bypass" in_container off "pod:$uid"
check "the sidecar answers" is sidecar everywhere
end_container

kill "$sleeper"
wait "$sleeper" 2>/dev/null
rmdir /sys/fs/cgroup/kubepods/pod"$uid"/c0ffee /sys/fs/cgroup/kubepods/pod"$uid" /sys/fs/cgroup/kubepods
rm -rf --one-file-system "$bundle"
systemctl start kmesh-bypassd.socket kmesh-bypassd.service
