#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include <errno.h>

int clinux_open_path(const char *path)
{
	return open(path, O_PATH | O_CLOEXEC);
}

int clinux_step(int folder, const char *name, int crosses_mounts)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | (crosses_mounts ? 0 : RESOLVE_NO_XDEV),
	};

	return (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
}

int clinux_follow(int folder, const char *name)
{
	return openat(folder, name, O_PATH | O_CLOEXEC);
}

int clinux_status(int folder, const char *name, struct clinux_status *status)
{
	const unsigned int wanted = STATX_TYPE | STATX_MODE | STATX_UID | STATX_INO | STATX_NLINK;
	struct statx result;

	if (statx(folder, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, wanted,
		  &result) < 0)
		return -1;
	if ((result.stx_mask & wanted) != wanted) {
		errno = EOPNOTSUPP;
		return -1;
	}
	status->device = makedev(result.stx_dev_major, result.stx_dev_minor);
	status->inode = result.stx_ino;
	status->owner = result.stx_uid;
	status->mode = result.stx_mode;
	status->links = result.stx_nlink;
	return 0;
}

int clinux_open_read(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int clinux_open_without_links(const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_NO_SYMLINKS,
	};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

static int descriptors = -1;

static void open_descriptors(void)
{
	descriptors = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int clinux_reopen(int fd)
{
	static const char folder[] = "/proc/self/fd/";
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char path[sizeof folder + 16];
	const char *name = path;

	pthread_once(&once, open_descriptors);
	snprintf(path, sizeof path, "%s%d", folder, fd);
	/* Without the folder, which could not be opened for want of descriptors, by the whole path. */
	if (descriptors >= 0)
		name += sizeof folder - 1;
	return openat(descriptors >= 0 ? descriptors : AT_FDCWD, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static pthread_key_t task_key;

static void close_task(void *value)
{
	close((int)(intptr_t)value - 1);
}

static void make_task_key(void)
{
	pthread_key_create(&task_key, close_task);
}

/* The calling thread's folder in proc, opened once and closed when the thread ends. */
static int task_folder(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	void *value;
	int fd;

	pthread_once(&once, make_task_key);
	value = pthread_getspecific(task_key);
	if (value)
		return (int)(intptr_t)value - 1;
	fd = open("/proc/thread-self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if ((errno = pthread_setspecific(task_key, (void *)(intptr_t)(fd + 1)))) {
		close(fd);
		return -1;
	}
	return fd;
}

int clinux_open_in_task(const char *name)
{
	int task = task_folder();

	return task < 0 ? -1 : openat(task, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int clinux_fstatfs_type(int fd, uint64_t *type)
{
	struct statfs result;

	if (fstatfs(fd, &result) < 0)
		return -1;
	*type = (uint64_t)result.f_type & 0xffffffffu;
	return 0;
}

int clinux_is_network_namespace(int fd)
{
	int type = ioctl(fd, NS_GET_NSTYPE);

	return type < 0 ? -1 : type == CLONE_NEWNET;
}

int clinux_setns_network(int fd)
{
	return setns(fd, CLONE_NEWNET);
}

int clinux_timer(void)
{
	return timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
}

int clinux_timer_set(int fd, uint64_t nanoseconds)
{
	struct itimerspec when = {
		.it_value = { .tv_sec = (time_t)(nanoseconds / 1000000000u), .tv_nsec = (long)(nanoseconds % 1000000000u) },
	};

	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int clinux_timer_wait(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof count) < 0 ? -1 : 0;
}

int clinux_pidfd_open(int32_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int clinux_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

const char *clinux_errno_name(int number)
{
	return strerrorname_np(number);
}

uint64_t clinux_boottime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int clinux_columns(uint32_t scalar)
{
	static _Thread_local locale_t utf8;
	locale_t previous;
	int columns;

	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (!utf8)
		return 1;
	previous = uselocale(utf8);
	columns = wcwidth((wchar_t)scalar);
	uselocale(previous);
	return columns;
}

int clinux_terminal_columns(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) < 0 ? 0 : size.ws_col;
}
