#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void keep_off_own_processor(pthread_attr_t *attributes)
{
	cpu_set_t processors;
	int own = sched_getcpu();

	if (own < 0 || own >= CPU_SETSIZE || sched_getaffinity(0, sizeof processors, &processors) < 0)
		return;
	CPU_CLR(own, &processors);
	if (CPU_COUNT(&processors) > 0)
		pthread_attr_setaffinity_np(attributes, sizeof processors, &processors);
}

static int start_thread(uint64_t stack_size, bool elsewhere, void *(*body)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, stack_size);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (elsewhere)
		keep_off_own_processor(&attributes);
	error = pthread_create(&thread, &attributes, body, argument);
	pthread_attr_destroy(&attributes);
	return error;
}

int clinux_thread_start(uint64_t stack_size, bool elsewhere, void *(*body)(void *), void *argument)
{
	/* Not every sandbox permits sched_setaffinity(2): the unit does not. */
	static atomic_bool is_refused;
	bool chooses = elsewhere && !is_refused;
	int error = start_thread(stack_size, chooses, body, argument);

	if (error && chooses) {
		if (error == EPERM)
			is_refused = true;
		error = start_thread(stack_size, false, body, argument);
	}
	errno = error;
	return error ? -1 : 0;
}

struct farewell {
	int error;
	/* The thread has a table of descriptors of its own; the process has closed what the thread is to close. */
	sem_t has_copies, may_end;
};

static void *end_with_copies(void *argument)
{
	struct farewell *farewell = argument;

	/* Closes none. unshare(CLONE_FILES) does the same, but the unit permits no unshare. */
	if (syscall(SYS_close_range, ~0u, ~0u, CLOSE_RANGE_UNSHARE) < 0)
		farewell->error = errno;
	sem_post(&farewell->has_copies);
	while (sem_wait(&farewell->may_end) < 0)
		;
	return NULL;
}

int clinux_close_by_exit(const int *fds, uint32_t count)
{
	struct farewell farewell = { 0 };
	pthread_t thread;

	sem_init(&farewell.has_copies, 0, 0);
	sem_init(&farewell.may_end, 0, 0);
	errno = pthread_create(&thread, NULL, end_with_copies, &farewell);
	if (errno)
		return -1;
	while (sem_wait(&farewell.has_copies) < 0)
		;
	if (!farewell.error)
		for (uint32_t i = 0; i < count; i++)
			close(fds[i]);
	sem_post(&farewell.may_end);
	pthread_join(thread, NULL);
	errno = farewell.error;
	return errno ? -1 : 0;
}

void clinux_name_thread(const char *name)
{
	prctl(PR_SET_NAME, name);
}

void clinux_bound_heap(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

/* A wakeable thread's signals while it waits: all that it has, and the one that wakes it. */
static __thread sigset_t while_waiting;

static void do_nothing(int number)
{
	(void)number;
}

static void handle_wake_signal(void)
{
	struct sigaction action = { .sa_handler = do_nothing };

	sigaction(SIGUSR1, &action, NULL);
}

void clinux_become_wakeable(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	sigset_t signals;

	pthread_once(&once, handle_wake_signal);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, &while_waiting);
	sigdelset(&while_waiting, SIGUSR1);
}

uint64_t clinux_thread_self(void)
{
	return (uint64_t)pthread_self();
}

void clinux_wake(uint64_t thread)
{
	pthread_kill((pthread_t)thread, SIGUSR1);
}

int clinux_wait(int fd, int16_t events, int milliseconds)
{
	struct pollfd question = { .fd = fd, .events = events };
	struct timespec timeout = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L };

	return ppoll(&question, 1, milliseconds < 0 ? NULL : &timeout, &while_waiting);
}

static sigset_t waited_for(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	return signals;
}

int clinux_block_signals(void)
{
	sigset_t signals = waited_for();

	signal(SIGPIPE, SIG_IGN);
	/* Until threads that it wakes handle it. */
	signal(SIGUSR1, SIG_IGN);
	return sigprocmask(SIG_BLOCK, &signals, NULL);
}

int clinux_wait_for_signal(void)
{
	sigset_t signals = waited_for();

	return sigwaitinfo(&signals, NULL);
}

int clinux_set_effective(uint32_t capability, int is_effective)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -1;
	if (is_effective)
		data[capability / 32].effective |= 1u << capability % 32;
	else
		data[capability / 32].effective &= ~(1u << capability % 32);
	return (int)syscall(SYS_capset, &header, data);
}
