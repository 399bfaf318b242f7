# A mesh in miniature: the namespace `pod` with an app and a sidecar, `peer` to talk to, and the redirects that a
# sidecar's init sets by iptables. Sourced by main.sh.

# answer TEXT NETNS PORT: each client that connects there gets the text.
answer() {
    ip netns exec "$2" socat -U "TCP6-LISTEN:$3,ipv6only=0,fork,reuseaddr" "SYSTEM:echo $1" &>/dev/null &
    eventually 30 listens "$2" "$3"
}

listens() {
    ip netns exec "$1" ss -Hltn "sport = :$2" | grep -q .
}

make_mesh() {
    local iptables
    ip netns add pod && ip netns add peer && ip -n pod link add eth0 type veth peer name eth0 netns peer || return
    connect_namespace pod 1
    connect_namespace peer 2
    for iptables in iptables-nft ip6tables-nft; do
        ip netns exec pod $iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 15006
        ip netns exec pod $iptables -t nat -A OUTPUT -p tcp -o eth0 -j REDIRECT --to-ports 15001
    done
    answer sidecar pod 15006
    answer sidecar pod 15001
    answer app pod 8080
    answer app peer 9090
}

connect_namespace() {
    ip -n "$1" address add "10.7.0.$2/24" dev eth0
    ip -n "$1" address add "fd07::$2/64" dev eth0 nodad
    ip -n "$1" link set eth0 up
    ip -n "$1" link set lo up
}

# Who answers a new connection to the pod, or from it.
inbound() {
    ip netns exec peer socat -u "TCP:$1:8080,connect-timeout=10" -
}

outbound() {
    ip netns exec pod socat -u "TCP:$1:9090,connect-timeout=10" -
}

# Who answers, in all four ways; one word if it is the same everywhere.
everywhere() {
    local answers
    answers="$(inbound 10.7.0.1) $(inbound '[fd07::1]') $(outbound 10.7.0.2) $(outbound '[fd07::2]')"
    case $answers in
    "app app app app") echo app ;;
    "sidecar sidecar sidecar sidecar") echo sidecar ;;
    *) echo "$answers" ;;
    esac
}

# What the bypass has put into the pod's ruleset.
traces() {
    ip netns exec pod nft list ruleset 2>/dev/null | grep -e kmesh_bypass -e 'xt match "bpf"' -e RETURN || true
}
