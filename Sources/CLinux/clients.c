/* The sockets that clients of a server connect to. */
#define _GNU_SOURCE
#include "CLinux.h"

#include <linux/sockios.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* What the headers of an older distribution lack: asm-generic/socket.h. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

int clinux_accept(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int clinux_peer_credentials(int fd, struct clinux_ucred *credentials)
{
	struct ucred peer;
	socklen_t length = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return -1;
	credentials->pid = peer.pid;
	credentials->uid = peer.uid;
	credentials->gid = peer.gid;
	return 0;
}

int clinux_peer_groups(int fd, uint32_t *groups, uint32_t *count)
{
	socklen_t length = *count * (socklen_t)sizeof *groups;
	int result = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length);

	*count = length / (socklen_t)sizeof *groups;
	return result;
}

int clinux_peer_pidfd(int fd)
{
	int pidfd;
	socklen_t length = sizeof pidfd;

	return getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) < 0 ? -1 : pidfd;
}

int clinux_refuse_descriptors(int fd)
{
	int off = 0, was_on = 1;
	socklen_t length = sizeof was_on;

	if (getsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &was_on, &length) < 0)
		return -1;
	return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off) < 0 ? -1 : was_on;
}

int clinux_receive_urgent_inline(int fd)
{
	int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
}

int clinux_unread(int fd)
{
	int count = 0;

	return ioctl(fd, SIOCINQ, &count) < 0 ? -1 : count;
}

int clinux_peek(int fd, void *buffer, uint32_t size, int *has_descriptors)
{
	struct iovec room = { .iov_base = buffer, .iov_len = size };
	struct msghdr message = { .msg_iov = &room, .msg_iovlen = 1 };
	ssize_t count = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT);

	*has_descriptors = (message.msg_flags & MSG_CTRUNC) != 0;
	return (int)count;
}
