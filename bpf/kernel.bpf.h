/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's structures, and how their fields are read.
 *
 * A socket filter's context is really the struct sk_buff, which CO-RE reads through the running kernel's BTF; the few
 * structures are declared here, so no vmlinux.h has to fit the kernel. To find one of them by its name takes libbpf about half
 * a millisecond of the daemon's start: a field of a structure within another one is read by the outer one's name.
 */
#ifndef KMESH_KERNEL_BPF_H
#define KMESH_KERNEL_BPF_H

#include <linux/bpf.h>
#include <linux/in6.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

struct net_device;

struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
	struct net_device *loopback_dev;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	possible_net_t skc_net;
} __attribute__((preserve_access_index));

struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));

struct cgroup {
	struct kernfs_node *kn;
} __attribute__((preserve_access_index));

/* Its first 8 bytes are a pointer to the control group in every kernel. Before 5.15 they may be net_cls's number instead. */
struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
} __attribute__((preserve_access_index));

struct in_ifaddr {
	struct in_ifaddr *ifa_next;
	__be32 ifa_local;
} __attribute__((preserve_access_index));

struct in_device {
	struct in_ifaddr *ifa_list;
} __attribute__((preserve_access_index));

struct list_head {
	struct list_head *next;
} __attribute__((preserve_access_index));

struct inet6_ifaddr {
	struct in6_addr addr;
	struct list_head if_list;
} __attribute__((preserve_access_index));

struct inet6_dev {
	struct list_head addr_list;
} __attribute__((preserve_access_index));

struct net_device {
	possible_net_t nd_net;
	struct in_device *ip_ptr;
	struct inet6_dev *ip6_ptr;
} __attribute__((preserve_access_index));

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _nfct;
} __attribute__((preserve_access_index));

/*
 * One field of a structure of the kernel's; 0 if the pointer leads nowhere. This file is compiled twice. Where the kernel
 * lets a program name a pointer's type (since Linux 6.2), the field is read by a load instruction, which takes about a
 * nanosecond; elsewhere by a helper, which takes about 20.
 */
#ifdef BYPASS_TYPED_POINTERS
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym;
#define typed(type, pointer) ((type *)bpf_rdonly_cast(pointer, bpf_core_type_id_kernel(type)))
#define read_field(type, pointer, field) (typed(type, pointer)->field)
#define read_words(type, pointer, field, words)                                                              \
	({                                                                                                   \
		const __u64 *from = (const void *)__builtin_preserve_access_index(&typed(type, pointer)->field); \
		for (unsigned int i = 0; i < sizeof(words) / sizeof((words)[0]); i++)                        \
			(words)[i] = from[i];                                                                \
	})
#else
#define read_field(type, pointer, field) BPF_CORE_READ((type *)(pointer), field)
#define read_words(type, pointer, field, words) bpf_core_read(words, sizeof(words), &((type *)(pointer))->field)
#endif

/*
 * A function that the verifier checks by itself, for all arguments, and not again at each call. What is called by pointers is
 * taken so since Linux 5.12; elsewhere it is a part of what calls it.
 */
#ifdef BYPASS_TYPED_POINTERS
#define VERIFIED_ONCE __attribute__((noinline))
#else
#define VERIFIED_ONCE static __always_inline
#endif

#endif
