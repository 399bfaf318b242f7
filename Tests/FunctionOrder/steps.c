/*
 * steps THREAD FILE: writes each address that a thread executes, from the end of its next wait (ppoll) to the wait after that,
 * as numbers of eight bytes. Says "waiting" once the thread is watched.
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

enum { SYSCALL_INSTRUCTION = 0x050f };

static struct user_regs_struct go_on(enum __ptrace_request how, pid_t thread)
{
	struct user_regs_struct registers;
	int status;

	if (ptrace(how, thread, 0, 0) < 0 || waitpid(thread, &status, __WALL) < 0 || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_GETREGS, thread, 0, &registers) < 0)
		err(1, "thread %d", thread);
	return registers;
}

int main(int count, char **arguments)
{
	struct user_regs_struct registers;
	pid_t thread;
	FILE *file;

	if (count != 3)
		errx(2, "usage: steps THREAD FILE");
	thread = atoi(arguments[1]);
	file = fopen(arguments[2], "w");
	if (!file)
		err(1, "%s", arguments[2]);
	registers = go_on(PTRACE_ATTACH, thread);
	puts("waiting");
	fflush(stdout);
	do
		registers = go_on(PTRACE_SYSCALL, thread);
	while (registers.orig_rax != SYS_ppoll || registers.rax != 1);
	for (;;) {
		uint64_t address;

		registers = go_on(PTRACE_SINGLESTEP, thread);
		address = registers.rip;
		fwrite(&address, sizeof address, 1, file);
		if ((ptrace(PTRACE_PEEKTEXT, thread, address, 0) & 0xffff) == SYSCALL_INSTRUCTION && registers.rax == SYS_ppoll)
			break;
	}
	if (fclose(file))
		err(1, "%s", arguments[2]);
	ptrace(PTRACE_DETACH, thread, 0, 0);
	return 0;
}
