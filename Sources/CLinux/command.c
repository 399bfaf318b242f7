#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* What has failed in the process that was to become the command. */
struct failure {
	int step;
	int error;
};

/* The command that signals are passed on to, and one that came before it was known. */
static volatile pid_t running;
static volatile sig_atomic_t pending;

static const int passed_on[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
#define PASSED_ON (sizeof(passed_on) / sizeof(passed_on[0]))

static void pass_on(int number, siginfo_t *information, void *context)
{
	int error = errno;

	(void)context;
	/* What a terminal sends, it sends to the command, too. */
	if (information->si_code != SI_KERNEL) {
		if (running)
			kill(running, number);
		else
			pending = number;
	}
	errno = error;
}

static void handle_signals(void)
{
	struct sigaction action = { .sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART };

	for (size_t index = 0; index < PASSED_ON; index++) {
		struct sigaction now;

		/* What the caller ignores, as nohup(1) has it, the command ignores. */
		if (!sigaction(passed_on[index], NULL, &now) && now.sa_handler != SIG_IGN)
			sigaction(passed_on[index], &action, NULL);
	}
}

/* In the process that becomes the command: nothing but system calls. Returns the step that has failed. */
static int become(const struct clinux_command *command, pid_t parent)
{
	sigset_t blocked;

	sigemptyset(&blocked);
	/* A worker ends with its channel: a terminal's Ctrl-C is for the caller. */
	if (command->channel >= 0)
		sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (command->channel >= 0 && (dup2(command->channel, 0) < 0 || dup2(command->channel, 1) < 0))
		return CLINUX_STEP_START;
	if (command->group >= 0 && write(command->group, "0", 1) < 0)
		return CLINUX_STEP_GROUP;
	if (setns(command->network, CLONE_NEWNET) < 0)
		return CLINUX_STEP_NETWORK;
	if (command->has_user && (setgroups(command->group_count, command->groups) < 0 ||
				  setresgid(command->gid, command->gid, command->gid) < 0 ||
				  setresuid(command->uid, command->uid, command->uid) < 0))
		return CLINUX_STEP_USER;
	/* After the change of the user, which takes it back. A parent that has ended before sends no signal. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return CLINUX_STEP_START;
	if (getppid() != parent) {
		errno = ESRCH;
		return CLINUX_STEP_START;
	}
	execvp(command->arguments[0], command->arguments);
	return CLINUX_STEP_EXECUTE;
}

int clinux_run(const struct clinux_command *command, int *status)
{
	struct failure failure = { CLINUX_STEP_NONE, 0 };
	siginfo_t information;
	pid_t parent = getpid(), pid;
	ssize_t count;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	if (command->passes_signals)
		handle_signals();
	pid = fork();
	if (pid == 0) {
		failure.step = become(command, parent);
		failure.error = errno;
		count = write(ends[1], &failure, sizeof(failure));
		_exit(127);
	}
	failure.error = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		errno = failure.error;
		return -1;
	}
	if (command->passes_signals) {
		running = pid;
		if (pending)
			kill(pid, pending);
	}
	do
		count = read(ends[0], &failure, sizeof(failure));
	while (count < 0 && errno == EINTR);
	close(ends[0]);
	/* Its number is its own until it is waited for in earnest. */
	while (waitid(P_PID, (id_t)pid, &information, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	running = 0;
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
	if (count == sizeof(failure)) {
		errno = failure.error;
		return failure.step;
	}
	*status = WIFSIGNALED(*status) ? 128 + WTERMSIG(*status) : WEXITSTATUS(*status);
	return CLINUX_STEP_NONE;
}

/* The control group that sock_diag(7) reports of a listening socket. */
static int read_group(int netlink, const struct sockaddr_in *address, uint64_t *group)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} question = {
		.header = { .nlmsg_len = sizeof(question), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST },
		.request = { .sdiag_family = AF_INET,
			     .sdiag_protocol = IPPROTO_TCP,
			     .idiag_states = 1u << TCP_LISTEN,
			     .id = { .idiag_sport = address->sin_port,
				     .idiag_src = { address->sin_addr.s_addr },
				     .idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } } },
	};
	union {
		struct nlmsghdr header;
		char bytes[8192];
	} answer;
	struct inet_diag_msg *message = NLMSG_DATA(&answer.header);
	ssize_t length;

	if (send(netlink, &question, sizeof(question), 0) < 0)
		return -1;
	length = recv(netlink, &answer, sizeof(answer), 0);
	if (length < 0)
		return -1;
	if (!NLMSG_OK(&answer.header, length) || answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
		errno = EOPNOTSUPP;
		return -1;
	}
	int rest = (int)answer.header.nlmsg_len - (int)NLMSG_LENGTH(sizeof(*message));
	for (struct rtattr *attribute = (struct rtattr *)(message + 1); RTA_OK(attribute, rest);
	     attribute = RTA_NEXT(attribute, rest)) {
		if (attribute->rta_type != INET_DIAG_CGROUP_ID || RTA_PAYLOAD(attribute) < sizeof(*group))
			continue;
		memcpy(group, RTA_DATA(attribute), sizeof(*group));
		return 0;
	}
	errno = EOPNOTSUPP;
	return -1;
}

int clinux_socket_group(uint64_t *group)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int netlink = clinux_netlink_socket(CLINUX_NETLINK_SOCK_DIAG);
	int result = -1;

	if (listener >= 0 && netlink >= 0 && !bind(listener, (struct sockaddr *)&address, size) && !listen(listener, 1) &&
	    !getsockname(listener, (struct sockaddr *)&address, &size))
		result = read_group(netlink, &address, group);
	int error = errno;
	if (listener >= 0)
		close(listener);
	if (netlink >= 0)
		close(netlink);
	errno = error;
	return result;
}
