/* What `import Glibc` does not show. Only <stdint.h> here: glibc headers would take names away from Glibc. */
#ifndef KMESH_CLINUX_H
#define KMESH_CLINUX_H

#include <stdbool.h>
#include <stdint.h>

#include "clinux_faults.h"

/* f_type of statfs(2), from linux/magic.h. */
#define CLINUX_BPF_FS_MAGIC 0xcafe4a11

/* struct ucred of unix(7), as SO_PEERCRED gives it. */
struct clinux_ucred {
	int32_t pid;
	uint32_t uid;
	uint32_t gid;
};

/* What statx(2) says about a file, without asking the server of its file system. */
struct clinux_status {
	uint64_t device;
	uint64_t inode;
	uint32_t owner;
	uint32_t mode;
	uint32_t links;
};

/* Every function returns -1 and sets errno on failure, as the system call that it names. */

/* open(path, O_PATH | O_CLOEXEC): a handle that does not open what it names. */
int clinux_open_path(const char *path);
/*
 * openat2(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC): a handle on what name is, be it a link. No link is followed on
 * the way, and no automount is triggered. EXDEV if it lies on another mount than the folder, unless crosses_mounts.
 */
int clinux_step(int folder, const char *name, int crosses_mounts);
/* openat(folder, name, O_PATH | O_CLOEXEC): a handle on what a link leads to. */
int clinux_follow(int folder, const char *name);
/* statx(folder, name, ...) of what name is, be it a link; of the folder itself if name is empty. */
int clinux_status(int folder, const char *name, struct clinux_status *status);
/* open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY). */
int clinux_open_read(const char *path);
/* The same by openat2(2) with RESOLVE_NO_SYMLINKS. */
int clinux_open_without_links(const char *path);
/* Opens, to read, the very file that fd is on, which may be a handle (O_PATH): open("/proc/self/fd/FD", ...). */
int clinux_reopen(int fd);
/*
 * open("/proc/thread-self/NAME", ...) to read: a file of the calling thread's in proc, such as "net/dev" of the network
 * namespace that the thread is in now. The folder is looked up once a thread.
 */
int clinux_open_in_task(const char *name);
/*
 * capset(2): puts one capability into the calling thread's effective set, or takes it out. EPERM if it is to be put in and
 * is not in the permitted set.
 */
int clinux_set_effective(uint32_t capability, int is_effective);
/* f_type of the file system that fd is on. */
int clinux_fstatfs_type(int fd, uint64_t *type);
/* NS_GET_NSTYPE: 1 if fd is a network namespace, 0 if it is another kind. */
int clinux_is_network_namespace(int fd);
/* setns(fd, CLONE_NEWNET) for the calling thread. */
int clinux_setns_network(int fd);
/*
 * A netlink socket of one of these protocols, with extended acknowledgements. It is connected to the kernel, so every other
 * process that sends to it gets ECONNREFUSED.
 */
int clinux_netlink_socket(int protocol);
#define CLINUX_NETLINK_ROUTE 0
#define CLINUX_NETLINK_SOCK_DIAG 4
#define CLINUX_NETLINK_NETFILTER 12
/*
 * NETLINK_GET_STRICT_CHK: rtnetlink refuses a dump whose conditions it does not know, instead of sending everything.
 */
int clinux_check_dumps(int fd);
/* ioctl(fd, SIOCGSKNS): a new descriptor of the network namespace that a socket is in. */
int clinux_socket_namespace(int fd);
/* NETLINK_ADD_MEMBERSHIP: from now on the socket receives the traces of nf_tables of its namespace. */
int clinux_join_traces(int fd);
/*
 * The same for changes of rulesets, of its namespace and of every other one that has a number (nsid) there:
 * NETLINK_LISTEN_ALL_NSID, which needs CAP_NET_BROADCAST.
 */
int clinux_join_all_rulesets(int fd);
/*
 * recvmsg(fd, ...) without waiting, on such a socket: drops the message and gives the number of the namespace that it comes
 * from, which is -1 for the socket's own. EAGAIN if there is none, ENOBUFS if some were lost.
 */
int clinux_receive_namespace_number(int fd, int32_t *number);
/*
 * socket(2) and bind(2) to an address of 4 or 16 bytes, and a free port, which is returned in the machine's byte order. The
 * packets of the socket are for one hop.
 */
int clinux_probe_socket(const uint8_t *address, uint32_t size, int is_tcp, uint16_t *port);
/*
 * socket(2) and connect(2) of TCP to an address of 4 or 16 bytes. Each call on it takes so long at most, and fails with
 * EAGAIN, or connect with EINPROGRESS, then.
 */
int clinux_connect(const uint8_t *address, uint32_t size, uint16_t port, uint32_t milliseconds);
/* connect(2) without waiting, or sendto(2) of an empty datagram. That a rule drops the packet is not a failure. */
int clinux_probe_send(int fd, const uint8_t *address, uint32_t size, uint16_t port);
/*
 * SIOCGIFCONF: the IPv4 addresses of all interfaces of the network namespace that the calling thread is in, in network byte
 * order. Returns how many; ENOBUFS if there are more than there is room for.
 */
int clinux_ipv4_addresses(uint32_t *addresses, uint32_t room);
/*
 * recvmmsg(fd, ...): takes the messages that are there, each into a slot of the buffer; EAGAIN if there is none. Returns
 * how many, with their lengths; a length greater than the slot's size says that the message was cut off, and 0 that another
 * process has sent it, in the moment before the socket was connected.
 */
int clinux_receive(int fd, void *buffer, uint32_t slot_size, uint32_t slots, uint32_t *lengths);
#define CLINUX_RECEIVE_SLOTS 9u /* at most: a generation, and the rules of a bypass in both families and directions */
/* timerfd_create(CLOCK_BOOTTIME, ...). */
int clinux_timer(void);
/* timerfd_settime(fd, ...): the timer expires at that moment of CLOCK_BOOTTIME, which is not 0. */
int clinux_timer_set(int fd, uint64_t nanoseconds);
/* read(fd, ...): waits until the timer has expired. */
int clinux_timer_wait(int fd);
/* SO_NETNS_COOKIE: unique for each namespace since boot; ENOPROTOOPT before Linux 5.14. */
int clinux_netns_cookie(int fd, uint64_t *cookie);
/* accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK). */
int clinux_accept(int fd);
/* SO_PEERCRED. */
int clinux_peer_credentials(int fd, struct clinux_ucred *credentials);
/* SO_PEERGROUPS (Linux 4.13): room for `count` numbers; ERANGE, and how many there are in `count`, if that is too little. */
int clinux_peer_groups(int fd, uint32_t *groups, uint32_t *count);
/* SO_PEERPIDFD: a new descriptor; ENOPROTOOPT before Linux 6.5. */
int clinux_peer_pidfd(int fd);
/* pidfd_open(pid, 0). */
int clinux_pidfd_open(int32_t pid);
/* eventfd(0, EFD_CLOEXEC). */
int clinux_eventfd(void);
/*
 * A detached thread with a stack of that size, and with every signal blocked that the process has blocked (pthread_create).
 * `elsewhere`: for all its life on other processors than the one that the caller is on now, if that can be.
 */
int clinux_thread_start(uint64_t stack_size, bool elsewhere, void *(*body)(void *), void *argument);
/* PR_SET_NAME: names the calling thread; at most 15 bytes. */
void clinux_name_thread(const char *name);
/*
 * mallopt(M_ARENA_MAX, 2): one arena for each processor that a small node has, and not one for each thread;
 * mallopt(M_MMAP_THRESHOLD, 1 MiB): what is larger goes back to the system when it is freed.
 */
void clinux_bound_heap(void);
/* Blocks SIGTERM, SIGINT and SIGHUP in the calling thread, and ignores SIGPIPE in the process. */
int clinux_block_signals(void);
/* sigwaitinfo(2) for the signals that clinux_block_signals blocks: which one came. */
int clinux_wait_for_signal(void);
#define CLINUX_RELOAD_SIGNAL 1 /* SIGHUP */
/*
 * The signal by which a thread is woken that waits in clinux_wait: SIGUSR1, which this blocks in the calling thread and
 * gives a handler that does nothing.
 */
void clinux_become_wakeable(void);
/* The calling thread, for clinux_wake (pthread_self). */
uint64_t clinux_thread_self(void);
/* Wakes a thread that is wakeable and has not ended (pthread_kill). */
void clinux_wake(uint64_t thread);
/*
 * ppoll(2) for one descriptor in a wakeable thread: 1 if it is ready or has failed, 0 after so many milliseconds (-1: never),
 * -1 with EINTR if the thread was woken, also if that was just before.
 */
int clinux_wait(int fd, int16_t events, int milliseconds);
/*
 * SO_PASSRIGHTS off (Linux 6.16): who sends descriptors to the socket gets EPERM from now on. ENOPROTOOPT on older kernels.
 * Returns 1 if it was on, so that some may have arrived already.
 */
int clinux_refuse_descriptors(int fd);
/* SO_OOBINLINE: what is sent with MSG_OOB is received like all else. */
int clinux_receive_urgent_inline(int fd);
/* SIOCINQ: how many bytes have arrived and were not taken, those sent with MSG_OOB too. */
int clinux_unread(int fd);
/*
 * recvmsg(2) with MSG_PEEK and MSG_DONTWAIT: how many bytes are there, up to `size`, and whether descriptors have come with
 * one of them (MSG_CTRUNC, since there is no room for them; none is taken).
 */
int clinux_peek(int fd, void *buffer, uint32_t size, int *has_descriptors);
/*
 * Closes descriptors on a thread that only ends: no close of a process or thread that ends waits for SO_LINGER (PF_EXITING;
 * inet_release in the kernel's net/ipv4/af_inet.c). EAGAIN, ENOMEM or EPERM if there is no such thread; all are open then.
 */
int clinux_close_by_exit(const int *fds, uint32_t count);
/*
 * wcwidth(3) in UTF-8, whatever the locale of the process is: how many columns of a terminal a Unicode scalar takes; -1 for
 * one that a terminal does not print.
 */
int clinux_columns(uint32_t scalar);
/* TIOCGWINSZ: how many columns the terminal has that fd is on; 0 if it is not on one, or the terminal does not say. */
int clinux_terminal_columns(int fd);
/* The name of an error number, such as "EPERM"; NULL if it has none. */
const char *clinux_errno_name(int number);
/* A command to run in a network namespace. */
struct clinux_command {
	/* Ends with NULL; the first is looked up in PATH. */
	char *const *arguments;
	/* The network namespace. */
	int network;
	/* cgroup.procs of its control group, open to write; -1 for that of the caller. */
	int group;
	/* What becomes its standard input and output; -1 for those of the caller. */
	int channel;
	/* Signals that the caller gets from other processes go to the command. */
	int passes_signals;
	/* Its user, if that is not the caller's. */
	int has_user;
	uint32_t uid;
	uint32_t gid;
	uint32_t group_count;
	const uint32_t *groups;
};

/* What of it has failed, with errno set. */
#define CLINUX_STEP_NONE 0
#define CLINUX_STEP_START 1
#define CLINUX_STEP_GROUP 2
#define CLINUX_STEP_NETWORK 3
#define CLINUX_STEP_USER 4
#define CLINUX_STEP_EXECUTE 5

/*
 * Runs a command to its end (fork(2), setns(2), execvp(3)), and returns the step that has failed, or -1. Its status is as a
 * shell has it: 128 and the number of a signal that has ended it. It is killed if the calling thread ends before.
 */
int clinux_run(const struct clinux_command *command, int *status);
/*
 * The number of the control group that the kernel has for a new socket of the caller's, in cgroup v2; EOPNOTSUPP if it keeps
 * none.
 */
int clinux_socket_group(uint64_t *group);
/* CLOCK_BOOTTIME in nanoseconds. */
uint64_t clinux_boottime_ns(void);

#endif
