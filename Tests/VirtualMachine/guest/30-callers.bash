# What all of it is for: a user other than root takes a namespace's sidecar out of the traffic's path. The namespace
# is made while the service runs.

# What the error's message says of a call that must not work.
call_refused() {
    local answer
    if answer=$(call "$@"); then return 1; fi
    jq --raw-output .error.message <<<"$answer"
}

# The socket's own rights, and not only the policy.
stranger_is_shut_out() {
    local words
    if words=$(call stranger info '[]' 2>&1); then return 1; fi
    [[ $words == *"Permission denied"* ]]
}

stranger_in_pod() {
    local pid
    pid=$(pgrep -u stranger -x sleep) && [ "$(field .state call oncall status "[\"pid:$pid\"]")" = off ]
}

check "a mesh can be made" make_mesh
check "without a bypass the sidecar answers" is sidecar everywhere
check "an operator sees that nothing is bypassed" is off field .state call oncall status '["pod"]'
check "an operator turns the bypass on" is "on true" \
    field '"\(.state) \(.effective)"' call oncall bypass '["pod","on"]'
check "the app answers" is app everywhere
check "iptables shows the rule" says "--object-pinned /sys/fs/bpf/bypass -j RETURN" \
    nsenter --net=/run/netns/pod iptables -t nat -S OUTPUT
check "the status line counts it" eventually 10 says "1 " property StatusText
check "the list names it" is pod field '.bypasses[].netns' call oncall list '[]'
check "a stranger cannot connect" stranger_is_shut_out
check "the host's namespace is refused" says "host" call_refused root bypass '["pid:1","on"]'
check "the operator turns it off" is off field .state call oncall bypass '["pod","off"]'
check "the sidecar answers again" is sidecar everywhere
check "no rule is left" is "" traces

# Their files in /proc are closed to a process with fewer capabilities, unless it has CAP_SYS_PTRACE.
server=$(ip netns pids pod | head -n 1)
check "a namespace can be named by a process of root's" is off field .state call oncall status "[\"pid:$server\"]"
ip netns exec pod runuser -u stranger -- sleep 10000 &>/dev/null &
check "and by another user's" eventually 20 stranger_in_pod
