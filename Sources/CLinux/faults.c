#include "clinux_faults.h"

#ifdef FAULT_POINTS

#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct clinux_fault_plan *clinux_fault_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *place;

	if (fd < 0)
		return NULL;
	place = mmap(NULL, sizeof(struct clinux_fault_plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return place == MAP_FAILED ? NULL : place;
}

void clinux_fault_unmap(struct clinux_fault_plan *plan)
{
	munmap(plan, sizeof(*plan));
}

void clinux_fault_arm(struct clinux_fault_plan *plan, const struct clinux_fault_plan *next)
{
	__atomic_store_n(&plan->fault, CLINUX_FAULT_NONE, __ATOMIC_SEQ_CST);
	plan->error = next->error;
	plan->skip = next->skip;
	plan->times = next->times;
	memcpy(plan->operation, next->operation, sizeof(plan->operation));
	memset(plan->last, 0, sizeof(plan->last));
	__atomic_store_n(&plan->seen, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&plan->injected, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&plan->fault, next->fault, __ATOMIC_SEQ_CST);
}

uint32_t clinux_fault_planned(const struct clinux_fault_plan *plan)
{
	return __atomic_load_n(&plan->fault, __ATOMIC_SEQ_CST);
}

uint64_t clinux_fault_seen(const struct clinux_fault_plan *plan)
{
	return __atomic_load_n(&plan->seen, __ATOMIC_SEQ_CST);
}

uint64_t clinux_fault_injected(const struct clinux_fault_plan *plan)
{
	return __atomic_load_n(&plan->injected, __ATOMIC_SEQ_CST);
}

uint32_t clinux_fault_inject(struct clinux_fault_plan *plan, const char *operation)
{
	uint32_t fault = __atomic_load_n(&plan->fault, __ATOMIC_SEQ_CST);
	uint64_t number;

	if (fault == CLINUX_FAULT_NONE || strncmp(operation, plan->operation, strlen(plan->operation)) != 0)
		return CLINUX_FAULT_NONE;
	number = __atomic_fetch_add(&plan->seen, 1, __ATOMIC_SEQ_CST);
	if (number < plan->skip || number - plan->skip >= plan->times)
		return CLINUX_FAULT_NONE;
	strncpy(plan->last, operation, sizeof(plan->last) - 1);
	__atomic_add_fetch(&plan->injected, 1, __ATOMIC_SEQ_CST);
	return fault;
}

uint32_t clinux_fault_corrupt(struct clinux_fault_plan *plan, const char *operation, void *buffer, uint32_t length)
{
	struct nlmsghdr *message = buffer;
	struct nlmsgerr *answer = NLMSG_DATA(message);
	uint32_t rest;

	switch (clinux_fault_inject(plan, operation)) {
	case CLINUX_FAULT_CUT:
		return length / 2;
	case CLINUX_FAULT_REFUSE:
		message->nlmsg_len = NLMSG_LENGTH(sizeof(*answer));
		message->nlmsg_type = NLMSG_ERROR;
		message->nlmsg_flags = 0;
		memset(answer, 0, sizeof(*answer));
		answer->error = -plan->error;
		return message->nlmsg_len;
	case CLINUX_FAULT_INTERRUPT:
		message->nlmsg_flags |= NLM_F_DUMP_INTR;
		return length;
	case CLINUX_FAULT_BREAK_OFF:
		for (rest = length; NLMSG_OK(message, rest); message = NLMSG_NEXT(message, rest))
			if (message->nlmsg_type == NLMSG_DONE)
				*(int *)NLMSG_DATA(message) = -plan->error;
		return length;
	default:
		return length;
	}
}

#endif
