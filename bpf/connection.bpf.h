/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The connection that a packet belongs to, as the matcher reads it. */
#ifndef KMESH_CONNECTION_BPF_H
#define KMESH_CONNECTION_BPF_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>

#include "bypass_abi.h"
#include "kernel.bpf.h"

/*
 * Whether a number is below 0, without a branch. The kernel's verifier follows both sides of each branch, in each round of a
 * loop: with branches in the loops, it took 224,498 instructions and 210 ms to load this program, without them 11,859 and
 * 8; with functions that are VERIFIED_ONCE 5,242 and 4.
 */
static __always_inline __u64 is_negative(__s64 number)
{
	__u64 bits = number;

	asm volatile("" : "+r"(bits));
	return bits >> 63;
}

/* A connection, as its packet shows it. */
struct connection {
	/* Of the other side. */
	struct bypass_address remote;
	bool is_ipv4;
	/* The destination port that the client asked for; 0 of a protocol without ports. */
	__u16 port;
};

/* As many as RFC 8200 has kinds of, the destination options twice: more are not found in packets of TCP and UDP. */
#define MAX_EXTENSION_HEADERS 6

/* Their numbers are all below 64. */
#define EXTENSION_HEADERS                                                                              \
	(1ULL << IPPROTO_HOPOPTS | 1ULL << IPPROTO_ROUTING | 1ULL << IPPROTO_FRAGMENT | 1ULL << IPPROTO_AH | \
	 1ULL << IPPROTO_DSTOPTS)

/* The bits of a fragment's offset, in IPv4's header and in IPv6's. */
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8

static __always_inline struct bypass_address ipv6_address(const struct in6_addr *address)
{
	const __u32 *words = address->in6_u.u6_addr32;

	return (struct bypass_address){
		.high = (__u64)bpf_ntohl(words[0]) << 32 | bpf_ntohl(words[1]),
		.low = (__u64)bpf_ntohl(words[2]) << 32 | bpf_ntohl(words[3]),
	};
}

/* Whether conntrack has the packet as an answer. The mask asks about each packet of UDP, the other rules about first ones. */
static __always_inline bool is_reply(struct sk_buff *skb)
{
	/* enum ip_conntrack_info: 3 and 4 are replies, 7 is a packet that is not tracked. */
	int info = bpf_core_field_exists(skb->_nfct) ? read_field(struct sk_buff, skb, _nfct) & 7 : 0;

	return info == 3 || info == 4;
}

/* The transport protocol of an IPv6 packet, and where its header begins; -1 if it is unknown. */
static __always_inline int ipv6_transport(struct __sk_buff *context, __u8 next, __u32 *offset)
{
	struct {
		__u8 next;
		__u8 length;
		__be16 fragment;
	} header;

	for (int i = 0; i <= MAX_EXTENSION_HEADERS; i++) {
		/* By arithmetic: see is_negative. */
		__u64 kind = next < 64 ? 1ULL << next : 0;
		__u32 is_fragment = kind >> IPPROTO_FRAGMENT & 1, is_authentication = kind >> IPPROTO_AH & 1;

		if (!(kind & EXTENSION_HEADERS))
			return next;
		if (bpf_skb_load_bytes(context, *offset, &header, sizeof(header)))
			return -1;
		if (is_fragment && header.fragment & bpf_htons(IPV6_FRAGMENT_OFFSET))
			return -1;
		/* In units of 8 bytes behind the first 8; of 4 in authentication headers. A fragment's has no length. */
		*offset += ((header.length & (is_fragment - 1)) + 1 + is_authentication) << (3 - is_authentication);
		next = header.next;
	}
	return -1;
}

/* Each namespace's loopback device is its first. */
#define LOOPBACK_IFINDEX 1

/* IPv4's addresses from here on are no host's. */
#define MULTICAST 0xe0000000

/* A device with more has the address, too, as far as this program is concerned. */
#define MAX_ADDRESSES 16

/* The namespace of a device. */
static __always_inline struct net *net_of(struct net_device *dev)
{
	return read_field(struct net_device, dev, nd_net.net);
}

/* The device by which a packet came in, or the loopback device of the same namespace. */
static __always_inline struct net_device *device_of(struct __sk_buff *context, bool loopback)
{
	struct sk_buff *skb = (void *)context;
	struct net_device *dev = read_field(struct sk_buff, skb, dev);

	if (!loopback)
		return dev;
	struct net *net = net_of(dev);

	return read_field(struct net, net, loopback_dev);
}

VERIFIED_ONCE bool has_ipv4(struct __sk_buff *context, bool loopback, __be32 address)
{
	struct net_device *dev = device_of(context, loopback);
	struct in_device *device = read_field(struct net_device, dev, ip_ptr);
	struct in_ifaddr *entry = read_field(struct in_device, device, ifa_list);

	for (int i = 0; i < MAX_ADDRESSES; i++) {
		if (!entry)
			return false;
		if (read_field(struct in_ifaddr, entry, ifa_local) == address)
			return true;
		entry = read_field(struct in_ifaddr, entry, ifa_next);
	}
	return true;
}

/* The address comes in two halves, as it lies in memory. */
VERIFIED_ONCE bool has_ipv6(struct __sk_buff *context, bool loopback, __u64 first, __u64 second)
{
	/* A kernel without IPv6 has no such packets. */
	if (!bpf_core_type_exists(struct inet6_dev) || !bpf_core_type_exists(struct inet6_ifaddr))
		return true;
	struct net_device *dev = device_of(context, loopback);
	struct inet6_dev *device = read_field(struct net_device, dev, ip6_ptr);

	if (!device)
		return false;
	struct list_head *head = __builtin_preserve_access_index(&device->addr_list);
	struct list_head *link = read_field(struct inet6_dev, device, addr_list.next);
	__u64 found[2];

	for (int i = 0; i < MAX_ADDRESSES; i++) {
		if (link == head)
			return false;
		struct inet6_ifaddr *entry =
			(void *)link - __builtin_preserve_field_info(((struct inet6_ifaddr *)0)->if_list, BPF_FIELD_BYTE_OFFSET);

		read_words(struct inet6_ifaddr, entry, addr, found);
		if (!((found[0] ^ first) | (found[1] ^ second)))
			return true;
		link = read_field(struct inet6_ifaddr, entry, if_list.next);
	}
	return true;
}

/*
 * Whether a packet that came in by a device is for an address of this namespace: of that device or of the loopback device.
 * One for another address is forwarded, from a virtual machine behind the pod: its other side is where it goes. Multicast
 * and broadcast are for all that hear them, and nothing is forwarded that came in by the loopback device.
 */
static __always_inline bool is_ipv4_local(struct __sk_buff *context, __be32 address)
{
	return context->ifindex == LOOPBACK_IFINDEX || has_ipv4(context, false, address) ||
	       bpf_ntohl(address) >= MULTICAST || has_ipv4(context, true, address);
}

static __always_inline bool is_ipv6_local(struct __sk_buff *context, const struct in6_addr *address)
{
	const __u64 *halves = (const void *)address;

	return context->ifindex == LOOPBACK_IFINDEX || has_ipv6(context, false, halves[0], halves[1]) ||
	       address->in6_u.u6_addr8[0] == 0xff || has_ipv6(context, true, halves[0], halves[1]);
}

/* A packet's first bytes: it begins with its IP header at each hook that rules of ours stand at. */
struct ipv4_packet {
	struct iphdr header;
	__be16 ports[2];
};

struct ipv6_packet {
	struct ipv6hdr header;
	__be16 ports[2];
};

/*
 * False if the connection is unknown. In OUTPUT a packet has no device yet, and the other side is its destination. Where a
 * packet goes that came in has to be known only for the other side.
 */
static __always_inline bool read_connection(
	struct __sk_buff *context, struct net_device *dev, bool needs_remote, struct connection *connection)
{
	union {
		struct ipv4_packet ipv4;
		struct ipv6_packet ipv6;
	} packet;
	__be16 ports[2];
	__u32 offset, end;
	int protocol;

	if (context->protocol == bpf_htons(ETH_P_IP)) {
		const struct iphdr *header = &packet.ipv4.header;

		if (bpf_skb_load_bytes(context, 0, &packet.ipv4, sizeof(packet.ipv4)))
			return false;
		if (header->version != 4 || header->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
			return false;
		bool is_inbound = dev && needs_remote && is_ipv4_local(context, header->daddr);
		connection->remote.high = (__u64)bpf_ntohl(is_inbound ? header->saddr : header->daddr) << 32;
		connection->remote.low = 0;
		protocol = header->protocol;
		offset = header->ihl * 4;
		end = sizeof(*header);
		__builtin_memcpy(ports, packet.ipv4.ports, sizeof(ports));
	} else {
		const struct ipv6hdr *header = &packet.ipv6.header;

		if (bpf_skb_load_bytes(context, 0, &packet.ipv6, sizeof(packet.ipv6)) || header->version != 6)
			return false;
		bool is_inbound = dev && needs_remote && is_ipv6_local(context, &header->daddr);
		connection->remote = ipv6_address(is_inbound ? &header->saddr : &header->daddr);
		offset = end = sizeof(*header);
		protocol = ipv6_transport(context, header->nexthdr, &offset);
		if (protocol < 0)
			return false;
		__builtin_memcpy(ports, packet.ipv6.ports, sizeof(ports));
	}
	/* By arithmetic, so that the verifier does not follow the two families separately from here on. */
	connection->is_ipv4 = is_negative((__s64)(context->protocol ^ bpf_htons(ETH_P_IP)) - 1);
	connection->port = 0;
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return true;
	/* Options or extension headers are in between. */
	if (offset != end && bpf_skb_load_bytes(context, offset, ports, sizeof(ports)))
		return false;
	connection->port = bpf_ntohs(ports[dev && protocol == IPPROTO_UDP && is_reply((void *)context) ? 0 : 1]);
	return true;
}

#endif
