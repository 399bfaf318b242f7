// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The matcher: says yes to a packet whose network namespace is bypassed. xt_bpf runs it for the first packet of each
 * connection that reaches one of the daemon's rules.
 *
 * A socket filter's context is really the struct sk_buff, which CO-RE reads through the running kernel's BTF; the few
 * structures are declared here, so no vmlinux.h has to fit the kernel. Loads on Linux 5.10 and later.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bypass_abi.h"

struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	possible_net_t skc_net;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
} __attribute__((preserve_access_index));

struct net_device {
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BYPASS_MAX_NAMESPACES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct bypass_key);
	__type(value, struct bypass_value);
} bypassed_netns SEC(".maps");

SEC("socket")
int bypass(struct __sk_buff *context)
{
	struct sk_buff *skb = (void *)context;
	struct net_device *dev = BPF_CORE_READ(skb, dev);
	/* In OUTPUT a packet has its socket and no device yet; in PREROUTING it is the other way round. */
	struct net *net = dev ? BPF_CORE_READ(dev, nd_net.net) : BPF_CORE_READ(skb, sk, __sk_common.skc_net.net);
	struct bypass_key key = { .netns_inode = BPF_CORE_READ(net, ns.inum) };
	const struct bypass_value *value = bpf_map_lookup_elem(&bypassed_netns, &key);

	if (!value)
		return 0;
	return value->deadline_ns == 0 || bpf_ktime_get_boot_ns() < value->deadline_ns;
}

char _license[] SEC("license") = "Dual BSD/GPL";
