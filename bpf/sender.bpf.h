/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the matcher reads of the kernel about who sends a packet. */
#ifndef KMESH_SENDER_BPF_H
#define KMESH_SENDER_BPF_H

#include "connection.bpf.h"

/*
 * Whether the socket of a packet belongs to a control group: that of the process that opened it, at that time. A packet that
 * came in by a device has no sender here.
 */
static __always_inline bool is_sent_by(struct sk_buff *skb, struct net_device *dev, __u64 cgroup)
{
	struct sock *sk = BPF_CORE_READ(skb, sk);
	struct cgroup *group = 0;

	if (dev || !sk || !bpf_core_field_exists(sk->sk_cgrp_data))
		return false;
	bpf_core_read(&group, sizeof(group), &sk->sk_cgrp_data);
	/* The lowest bits are set where it is not a pointer. */
	return !((__u64)group & 3) && BPF_CORE_READ(group, kn, id) == cgroup;
}

#endif
