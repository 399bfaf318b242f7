/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the matcher (bpf/bypass.bpf.c) and the daemon agree on: names of the pins, key and value of the map.
 * Included by the BPF program and imported by Swift as the module CBypassABI: there is no second definition.
 */
#ifndef KMESH_BYPASS_ABI_H
#define KMESH_BYPASS_ABI_H

#include <linux/types.h>

/* Names below the bpffs folder. The map's pin has the map's own name, as `bpftool map` prints it. */
#define BYPASS_PROGRAM_PIN "bypass"
#define BYPASS_MAP_PIN "bypassed_netns"

/* A node has a few hundred pods at most (the kubelet's default limit is 110). */
#define BYPASS_MAX_NAMESPACES 16384

/* The network namespace, by the inode number of its file on nsfs (what `lsns -t net` prints). */
struct bypass_key {
	__u64 netns_inode;
};

/*
 * How many port ranges and networks a set of connections has at most. The members below have a fixed size, so that one
 * update of the map changes a scope as a whole.
 */
#define BYPASS_SET_PORTS 16
#define BYPASS_SET_NETWORKS 16

/* From `first` to `last`, in the host's byte order. */
struct bypass_ports {
	__u16 first;
	__u16 last;
};

/* The first bits of an address, in the host's byte order. An IPv4 address is the upper half of `high`. */
struct bypass_address {
	__u64 high;
	__u64 low;
};

/* Connections to one of the ports, with one of the networks on the other side. None of either is no condition. */
struct bypass_set {
	__u8 port_count;
	/* IPv4 networks come first. */
	__u8 ipv4_count;
	__u8 network_count;
	__u8 reserved[5];
	struct bypass_ports ports[BYPASS_SET_PORTS];
	struct bypass_address networks[BYPASS_SET_NETWORKS];
	/* How many bits of each network count. */
	__u8 lengths[BYPASS_SET_NETWORKS];
};

/*
 * One bypassed namespace. A namespace without an entry is in the mesh.
 *
 * Members are only ever added, at the end: a daemon that finds the map of another version takes what both know. A new
 * member that leaves connections out of a bypass has a bit of its own in `scope`: a version that does not know the bit ends
 * the bypass, as it would be for more connections than was asked for.
 */
struct bypass_value {
	/* CLOCK_BOOTTIME in nanoseconds at which the matcher stops saying yes; 0 for never. */
	__u64 deadline_ns;
	/* BYPASS_HOOK_* bits: the direction that was asked for. The rules decide which packets reach the matcher. */
	__u32 hooks;
	/* BYPASS_MADE_* bits: what the daemon had to make in the namespace, and takes away again at the end. */
	__u32 made;
	/* The tag of the program that the namespace's rules ask; 0 if that is not known. */
	__u64 program;
	/* BYPASS_SCOPE_* bits: which of the members below restrict the bypass. */
	__u64 scope;
	/* The bypass is for these connections. */
	struct bypass_set only;
	/* The bypass is not for these. */
	struct bypass_set except;
	/* The bypass is for sockets of this control group: its number in cgroup v2. */
	__u64 cgroup;
};

/* The size of the first version's value: without program and what follows it. */
#define BYPASS_VALUE_MIN_SIZE 16

#define BYPASS_SCOPE_ONLY 1u
#define BYPASS_SCOPE_EXCEPT 2u
#define BYPASS_SCOPE_CGROUP 4u

#define BYPASS_HOOK_PREROUTING 1u /* inbound */
#define BYPASS_HOOK_OUTPUT 2u     /* outbound */

#define BYPASS_MADE_IP_TABLE 0x01u
#define BYPASS_MADE_IP_PREROUTING 0x02u
#define BYPASS_MADE_IP_OUTPUT 0x04u
#define BYPASS_MADE_IP6_TABLE 0x10u
#define BYPASS_MADE_IP6_PREROUTING 0x20u
#define BYPASS_MADE_IP6_OUTPUT 0x40u
#define BYPASS_MADE_MASK 0x100u /* the chains that hide inbound connections from TPROXY */

#endif
