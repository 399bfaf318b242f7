/* What a thread asks of the network namespace that it is in. */
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the headers of an older distribution lack: asm-generic/socket.h. */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

int clinux_netlink_socket(int protocol)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	int on = 1;

	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&kernel, sizeof kernel) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	/* Acknowledgements that carry the kernel's own words (4.12). */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
	return fd;
}

int clinux_check_dumps(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
}

int clinux_join_traces(int fd)
{
	int group = NFNLGRP_NFTRACE;
	int room = 2 << 20;

	/* Without it there is room for the traces of some ten packets at once, and with it for those of some hundred. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
}

int clinux_join_all_rulesets(int fd)
{
	int group = NFNLGRP_NFTABLES;
	int on = 1;

	if (setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) < 0)
		return -1;
	return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group);
}

int clinux_receive_namespace_number(int fd, int32_t *number)
{
	char content;
	char control[CMSG_SPACE(sizeof *number)] __attribute__((aligned(__alignof__(struct cmsghdr))));
	struct iovec place = { .iov_base = &content, .iov_len = sizeof content };
	struct msghdr message = {
		.msg_iov = &place, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control,
	};

	if (recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC) < 0)
		return -1;
	*number = -1;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part))
		if (part->cmsg_level == SOL_NETLINK && part->cmsg_type == NETLINK_LISTEN_ALL_NSID)
			memcpy(number, CMSG_DATA(part), sizeof *number);
	return 0;
}

/* A port in the machine's own byte order. */
static socklen_t fill_address(struct sockaddr_storage *storage, const uint8_t *address, uint32_t size, uint16_t port)
{
	memset(storage, 0, sizeof *storage);
	if (size == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)storage;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, address, 4);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)storage;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, address, 16);
	return sizeof *in6;
}

int clinux_probe_socket(const uint8_t *address, uint32_t size, int is_tcp, uint16_t *port)
{
	struct sockaddr_storage own;
	socklen_t length = fill_address(&own, address, size, 0);
	int fd = socket(own.ss_family, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int hops = 1;

	if (fd < 0)
		return -1;
	/* Should the packet leave all the same, no router forwards it. */
	(void)setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof hops);
	if (size != 4)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops);
	if (bind(fd, (struct sockaddr *)&own, length) < 0 || getsockname(fd, (struct sockaddr *)&own, &length) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	*port = ntohs(own.ss_family == AF_INET ? ((struct sockaddr_in *)&own)->sin_port
					       : ((struct sockaddr_in6 *)&own)->sin6_port);
	return fd;
}

int clinux_probe_send(int fd, const uint8_t *address, uint32_t size, uint16_t port)
{
	struct sockaddr_storage peer;
	socklen_t length = fill_address(&peer, address, size, port);
	int type = 0;
	socklen_t type_length = sizeof type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) < 0)
		return -1;
	if (type == SOCK_DGRAM)
		return sendto(fd, "", 0, 0, (struct sockaddr *)&peer, length) < 0 && errno != EPERM ? -1 : 0;
	return connect(fd, (struct sockaddr *)&peer, length) < 0 && errno != EINPROGRESS ? -1 : 0;
}

int clinux_connect(const uint8_t *address, uint32_t size, uint16_t port, uint32_t milliseconds)
{
	struct sockaddr_storage peer;
	socklen_t length = fill_address(&peer, address, size, port);
	struct timeval limit = { .tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000L };
	int fd = socket(peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ||
	    connect(fd, (struct sockaddr *)&peer, length) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

int clinux_socket_namespace(int fd)
{
	return ioctl(fd, SIOCGSKNS);
}

int clinux_receive(int fd, void *buffer, uint32_t slot_size, uint32_t slots, uint32_t *lengths)
{
	struct mmsghdr messages[CLINUX_RECEIVE_SLOTS];
	struct iovec places[CLINUX_RECEIVE_SLOTS];
	struct sockaddr_nl senders[CLINUX_RECEIVE_SLOTS];
	int count;

	memset(messages, 0, sizeof messages);
	memset(senders, 0, sizeof senders);
	for (uint32_t i = 0; i < slots; i++) {
		places[i].iov_base = (char *)buffer + (size_t)i * slot_size;
		places[i].iov_len = slot_size;
		messages[i].msg_hdr.msg_iov = &places[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_name = &senders[i];
		messages[i].msg_hdr.msg_namelen = sizeof senders[i];
	}
	count = recvmmsg(fd, messages, slots, MSG_DONTWAIT | MSG_TRUNC, NULL);
	for (int i = 0; i < count; i++)
		lengths[i] = senders[i].nl_pid == 0 ? messages[i].msg_len : 0;
	return count;
}

int clinux_netns_cookie(int fd, uint64_t *cookie)
{
	socklen_t length = sizeof *cookie;

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &length);
}

int clinux_ipv4_addresses(uint32_t *addresses, uint32_t room)
{
	/* One more, to see that there are more than there is room for. */
	struct ifconf list = { .ifc_len = (int)((room + 1) * sizeof(struct ifreq)) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int count = -1;

	if (fd < 0)
		return -1;
	list.ifc_req = malloc((size_t)list.ifc_len);
	if (list.ifc_req && ioctl(fd, SIOCGIFCONF, &list) == 0) {
		count = list.ifc_len / (int)sizeof(struct ifreq);
		if ((uint32_t)count > room) {
			count = -1;
			errno = ENOBUFS;
		}
	}
	for (int i = 0; i < count; i++)
		addresses[i] = ((struct sockaddr_in *)&list.ifc_req[i].ifr_addr)->sin_addr.s_addr;
	free(list.ifc_req);
	close(fd);
	return count;
}
