/*
 * Faults on purpose, for tests: of debug builds only. A test arms a plan in memory that it shares with the daemon that it
 * tests; the daemon asks it at every system call.
 */
#ifndef KMESH_CLINUX_FAULTS_H
#define KMESH_CLINUX_FAULTS_H

#include <stdint.h>

enum clinux_fault {
	CLINUX_FAULT_NONE,
	/* The call is not made, and fails with `error`. */
	CLINUX_FAULT_FAIL,
	/* The process kills itself before the call, or after it. */
	CLINUX_FAULT_KILL_BEFORE,
	CLINUX_FAULT_KILL_AFTER,
	/* Of what netlink sends, from here on: half of it is missing. */
	CLINUX_FAULT_CUT,
	/* It is an error message with `error`. */
	CLINUX_FAULT_REFUSE,
	/* It says that what it is part of has changed meanwhile (NLM_F_DUMP_INTR). */
	CLINUX_FAULT_INTERRUPT,
	/* If it is the end of a dump, that says that the dump was broken off with `error`. */
	CLINUX_FAULT_BREAK_OFF,
	/* The call is made when the plan is no longer armed. */
	CLINUX_FAULT_STALL,
};

struct clinux_fault_plan {
	uint32_t fault;
	int32_t error;
	/* Calls that match are let pass, so many of them; and so many then get the fault. */
	uint64_t skip;
	uint64_t times;
	/* What the name of the operation has to begin with; empty for any. */
	char operation[96];
	/* How many have matched, and how many got the fault, since the plan was armed; and the last that did. */
	uint64_t seen;
	uint64_t injected;
	char last[96];
};

/* Maps the file, which has the size of a plan; NULL on failure. */
struct clinux_fault_plan *clinux_fault_map(const char *path);
void clinux_fault_unmap(struct clinux_fault_plan *plan);
/* Writes all of a plan but its report, and then its fault. */
void clinux_fault_arm(struct clinux_fault_plan *plan, const struct clinux_fault_plan *next);
/* The fault that is planned. */
uint32_t clinux_fault_planned(const struct clinux_fault_plan *plan);
/* Its report. */
uint64_t clinux_fault_seen(const struct clinux_fault_plan *plan);
uint64_t clinux_fault_injected(const struct clinux_fault_plan *plan);
/* Counts a call, and returns the fault that is injected into it. */
uint32_t clinux_fault_inject(struct clinux_fault_plan *plan, const char *operation);
/*
 * Does to what netlink has sent what is planned for it. Returns how long it then is; the buffer has room for an error
 * message.
 */
uint32_t clinux_fault_corrupt(struct clinux_fault_plan *plan, const char *operation, void *buffer, uint32_t length);

#endif
