# Real traffic, taken by every means that a mesh has. With the installation, this is what Tests/run.sh --kernels runs on each
# kernel: what the matcher, the guard and the mask rely on is the kernel's.

# The most instructions of a program of the daemon's that the kernel has verified; of other kinds it has none.
verified_instructions() {
    grep --no-filename --only-matching 'verified_insns:.*' \
        "/proc/$(systemctl show --property MainPID --value kmesh-bypassd.service)"/fdinfo/* | tr -cd '0-9\n' | sort -n | tail -n 1
}

# Where the kernel refuses that program, the other one does the same, only slower, and nothing else would show it. Of this one
# half as many instructions are verified.
if printf '%s\n' 6.2 "$(uname -r)" | sort --check=quiet --version-sort; then
    check "the kernel takes the matcher that reads by typed pointers" test "$(verified_instructions)" -lt 8000
fi

# Rules of iptables-legacy are read by other means, which need the Internet's address families.
for mesh in iptables iptablesLegacy nftables tproxy; do
    check "the demo shows a bypass of $mesh" says "bypass on       app" kmesh-bypassctl demo --mesh $mesh
done

# A pod whose inbound connections are taken by TPROXY, its client, and a namespace behind the pod, as a virtual machine's.
pod=tp-pod client=tp-client behind=tp-behind

make_transparent_pod() {
    local namespace family
    for namespace in $pod $client $behind; do
        ip netns add "$namespace" && ip -n "$namespace" link set lo up || return
    done
    link $pod $client eth0 71 && link $pod $behind eth1 72 || return
    ip netns exec $pod sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    for family in -4 -6; do
        # Where TPROXY's mark leads: to the sockets of this namespace, whatever the address is.
        ip -n $pod $family rule add fwmark 1337 lookup 133 && ip -n $pod $family route add local default dev lo table 133
    done
    ip -n $client route add 10.72.0.0/24 via 10.71.0.1 && ip -n $client -6 route add fd72::/64 via fd71::1
    ip -n $behind route add default via 10.72.0.1 && ip -n $behind -6 route add default via fd72::1
    echo_role app $pod 8080 && echo_role sidecar $pod 15006 && echo_role behind $behind 8080
}

# link NETNS NETNS INTERFACE NET: joins the two by a link of that name. The first is host 1 there, the second host 2.
link() {
    local host=1 namespace
    ip -n "$1" link add "$3" type veth peer name "$3" netns "$2" || return
    for namespace in "$1" "$2"; do
        ip -n "$namespace" address add "10.$4.0.$host/24" dev "$3"
        ip -n "$namespace" address add "fd$4::$host/64" dev "$3" nodad
        ip -n "$namespace" link set "$3" up
        host=2
    done
}

# A server that says its role for each line that it receives, so that what is established can be asked again. Only a
# transparent socket gets what TPROXY takes.
echo_role() {
    ip netns exec "$2" socat "TCP6-LISTEN:$3,ipv6only=0,fork,reuseaddr,ip-transparent" \
        "SYSTEM:while read -r line; do echo $1; done" &>/dev/null &
    eventually 60 listens "$2" "$3"
}

# The words of Istio's interception mode of that name, with what `original_src` needs: the proxy's own connections to the app
# go over lo, with the client's address and this mark.
transparent_rules() {
    cat <<END
*mangle
:MESH_INBOUND - [0:0]
:MESH_DIVERT - [0:0]
:MESH_TPROXY - [0:0]
-A PREROUTING -p tcp -j MESH_INBOUND
-A PREROUTING -p tcp -m mark --mark 1337 -j CONNMARK --save-mark
-A OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark
-A MESH_INBOUND -p tcp -m mark --mark 1337 -j RETURN
-A MESH_INBOUND -p tcp -i lo -m mark ! --mark 1337 -j RETURN
-A MESH_INBOUND -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j MESH_DIVERT
-A MESH_INBOUND -p tcp -j MESH_TPROXY
-A MESH_DIVERT -j MARK --set-mark 1337
-A MESH_DIVERT -j ACCEPT
-A MESH_TPROXY ! -d $1 -p tcp -j TPROXY --on-port 15006 --tproxy-mark 1337/0xffffffff
COMMIT
END
}

transparent_table() {
    cat <<'END'
table inet mesh {
    chain prerouting {
        type filter hook prerouting priority -150; policy accept;
        meta l4proto tcp jump inbound
        meta l4proto tcp meta mark 1337 ct mark set meta mark
    }
    chain output {
        type route hook output priority -150; policy accept;
        meta l4proto tcp ct mark 1337 meta mark set ct mark
    }
    chain inbound {
        meta mark 1337 return
        iifname "lo" meta mark != 1337 return
        ct state established,related jump divert
        ip daddr != 127.0.0.1 meta l4proto tcp tproxy ip to :15006 meta mark set 1337 accept
        ip6 daddr != ::1 meta l4proto tcp tproxy ip6 to :15006 meta mark set 1337 accept
    }
    chain divert {
        meta mark set 1337 accept
    }
}
END
}

# Replaces whatever takes the pod's connections now.
take_connections() {
    remove_rules
    case $1 in
    nft) transparent_table | ip netns exec $pod nft -f - ;;
    *)
        transparent_rules 127.0.0.1/32 | ip netns exec $pod "$1-restore" --noflush &&
            transparent_rules ::1/128 | ip netns exec $pod "${1/ip/ip6}-restore" --noflush
        ;;
    esac
}

remove_rules() {
    local tool
    for tool in iptables ip6tables; do
        ip netns exec $pod $tool-legacy -t mangle -F && ip netns exec $pod $tool-legacy -t mangle -X
    done
    ip netns exec $pod nft flush ruleset
}

# ask NETNS ADDRESS [OPTION]: who answers a new connection. An emulated machine may be very slow.
ask() {
    echo | ip netns exec "$1" socat -t 60 - "TCP:$2:8080,connect-timeout=60${3:+,$3}"
}

# The answers to new connections from the client, in both families.
inbound_answers() {
    echo "$(ask $client 10.71.0.1)" "$(ask $client '[fd71::1]')"
}

# What only passes through the pod is no connection of its own.
forwarded_answers() {
    echo "$(ask $client 10.72.0.2)" "$(ask $client '[fd72::2]')"
}

# The proxy's own connections to the app: bound to the client's address, with the mark (SOL_SOCKET, SO_MARK).
upstream_answers() {
    local own=ip-transparent,setsockopt-listen=1:36:i1337
    echo "$(ask $pod 10.71.0.1 "bind=10.71.0.2,$own")" "$(ask $pod '[fd71::1]' "bind=[fd71::2],$own")"
}

# Who answers on the connection that was opened before.
established_answer() {
    local line
    echo >&"${established[1]}" && read -t 60 -r line <&"${established[0]}" && echo "$line"
}

mask_chains() {
    ip netns exec $pod nft list table inet kmesh_bypass 2>/dev/null | grep -o -w -e 'chain mask' -e 'chain unmask'
}

both_mask_chains() {
    [ "$(mask_chains | wc -l)" = 2 ]
}

switch_transparent() {
    call root bypass "[\"$pod\",\"$1\"]"
}

# bypass_only SET: a bypass for some connections.
bypass_only() {
    call root bypass "{\"netns\":\"$pod\",\"state\":\"on\",\"only\":$1}"
}

check "a pod for TPROXY can be made" make_transparent_pod
for tool in iptables-nft iptables-legacy nft; do
    check "$tool: TPROXY can be set" take_connections $tool
    check "$tool: without a bypass the sidecar answers" is "sidecar sidecar" inbound_answers
    check "$tool: its own connections reach the app" is "app app" upstream_answers
    check "$tool: forwarded connections are the sidecar's, too" is "sidecar sidecar" forwarded_answers
    coproc established { ip netns exec $client socat - TCP:10.71.0.1:8080; }
    check "$tool: a connection is established with the sidecar" is sidecar established_answer
    check "$tool: the bypass is on, and effective" is "on true" field '"\(.state) \(.effective)"' switch_transparent on
    check "$tool: new connections reach the app" is "app app" inbound_answers
    check "$tool: what was established stays with the sidecar" is sidecar established_answer
    check "$tool: the sidecar's own connections reach the app" is "app app" upstream_answers
    check "$tool: forwarded connections are still the sidecar's" is "sidecar sidecar" forwarded_answers
    if [ $tool = iptables-nft ]; then
        for chain in mask unmask; do
            check "another program removes the chain $chain" ip netns exec $pod nft delete chain inet kmesh_bypass $chain
            check "both chains are there again" eventually 60 both_mask_chains
            check "connections reach the app with both" is "app app" inbound_answers
        done
    fi
    check "$tool: off gives new connections back" is off field .state switch_transparent off
    check "$tool: the sidecar answers again" is "sidecar sidecar" inbound_answers
    check "$tool: what was established is still the sidecar's" is sidecar established_answer
    check "$tool: neither chain is left" fails mask_chains
    # shellcheck disable=SC2154  # coproc sets it.
    kill "$established_PID"
    wait "$established_PID" 2>/dev/null
done

pins() {
    stat --format=%i /sys/fs/bpf/bypass /sys/fs/bpf/bypassed_netns | xargs
}

check "the bypass is on for a restart" is on field .state switch_transparent on
before=$(pins)
check "the daemon stops" systemctl stop kmesh-bypassd.service
check "connections reach the app without it" is "app app" inbound_answers
check "it starts" systemctl start kmesh-bypassd.service
check "the pins are the same" is "$before" pins
check "the bypass is as it was" is "on true" field '"\(.state) \(.effective)"' call root status "[\"$pod\"]"
check "connections reach the app after it" is "app app" inbound_answers
# The matcher reads packets by itself where a bypass has a scope.
check "a bypass can be for a port" is on field .state bypass_only '{"ports":["8000-8080"]}'
check "connections to the port reach the app" is "app app" inbound_answers
check "a bypass can be for other ports" is on field .state bypass_only '{"ports":["1-8079",8081]}'
check "connections to the port are the sidecar's" is "sidecar sidecar" inbound_answers
check "a bypass can be for networks" is on field .state bypass_only '{"networks":["10.71.0.2","fd71::/64"]}'
check "connections from there reach the app" is "app app" inbound_answers
check "a bypass can be for other networks" is on field .state bypass_only '{"networks":["10.72.0.0/16","fd71::3"]}'
check "connections from there are the sidecar's" is "sidecar sidecar" inbound_answers
check "it can be turned off" is off field .state switch_transparent off
for namespace in $pod $client $behind; do
    ip netns pids "$namespace" | xargs -r kill
    check "$namespace can be removed" ip netns delete "$namespace"
done
