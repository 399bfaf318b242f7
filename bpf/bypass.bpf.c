// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The matcher: says yes to a packet whose network namespace is bypassed, and whose connection is in the bypass's scope.
 * xt_bpf runs it for the first packet of each connection that reaches one of the daemon's rules. Loads on Linux 5.10 and
 * later.
 */
#include "connection.bpf.h"
#include "sender.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BYPASS_MAX_NAMESPACES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct bypass_key);
	__type(value, struct bypass_value);
} bypassed_netns SEC(".maps");

static __always_inline bool contains_port(const struct bypass_set *set, __u16 port)
{
	__u64 matches = set->port_count == 0;

	for (int i = 0; i < BYPASS_SET_PORTS && i < set->port_count; i++)
		matches |= is_negative(((__s64)set->ports[i].first - port - 1) & ((__s64)port - set->ports[i].last - 1));
	return matches;
}

/* The first bits of 64, from none to all. No shift is by 64, which BPF takes for 0. */
static __always_inline __u64 mask(__u64 bits)
{
	return ~(~0ULL >> bits / 2 >> (bits - bits / 2));
}

static __always_inline bool contains_remote(const struct bypass_set *set, const struct connection *connection)
{
	__u64 matches = set->network_count == 0;

	for (int i = 0; i < BYPASS_SET_NETWORKS && i < set->network_count; i++) {
		__s64 beyond = (__s64)set->lengths[i] - 64;
		__u64 low_bits = beyond & (is_negative(beyond) - 1);

		if ((set->networks[i].high ^ connection->remote.high) & mask(set->lengths[i] - low_bits))
			continue;
		__u64 differs = ((set->networks[i].low ^ connection->remote.low) & mask(low_bits)) |
				(is_negative(i - (__s64)set->ipv4_count) ^ connection->is_ipv4);

		matches |= 1 ^ is_negative(differs | -differs);
	}
	return matches;
}

/* Neither is 0, which the verifier has to be told here. */
VERIFIED_ONCE bool contains(const struct bypass_set *set, const struct connection *connection)
{
	return set && connection && contains_port(set, connection->port) && contains_remote(set, connection);
}

/* A packet whose connection is unknown is in no scope: it goes the way that it would go without a bypass. */
static __always_inline bool is_in_scope(
	const struct bypass_value *value, struct __sk_buff *context, struct net_device *dev)
{
	/* With what lies between its members: a function verified once is passed only what is written. */
	struct connection connection;

	__builtin_memset(&connection, 0, sizeof(connection));
	if (value->scope & BYPASS_SCOPE_CGROUP && !is_sent_by((void *)context, dev, value->cgroup))
		return false;
	if (!(value->scope & (BYPASS_SCOPE_ONLY | BYPASS_SCOPE_EXCEPT)))
		return true;
	if (!read_connection(context, dev, value->only.network_count || value->except.network_count, &connection))
		return false;
	if (value->scope & BYPASS_SCOPE_ONLY && !contains(&value->only, &connection))
		return false;
	return !(value->scope & BYPASS_SCOPE_EXCEPT && contains(&value->except, &connection));
}

SEC("socket")
int bypass(struct __sk_buff *context)
{
	struct sk_buff *skb = (void *)context;
	struct net_device *dev = read_field(struct sk_buff, skb, dev);
	/* In OUTPUT a packet has its socket and no device yet; in PREROUTING it is the other way round. */
	struct sock *sk = dev ? 0 : read_field(struct sk_buff, skb, sk);
	struct net *net = dev ? net_of(dev) : read_field(struct sock, sk, __sk_common.skc_net.net);
	struct bypass_key key = { .netns_inode = read_field(struct net, net, ns.inum) };
	const struct bypass_value *value = bpf_map_lookup_elem(&bypassed_netns, &key);

	if (!value)
		return 0;
	if (value->deadline_ns != 0 && bpf_ktime_get_boot_ns() >= value->deadline_ns)
		return 0;
	return value->scope == 0 || is_in_scope(value, context, dev);
}

char _license[] SEC("license") = "Dual BSD/GPL";
