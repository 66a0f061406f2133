/*
 * changeling: a process that is never the same for long.
 *
 *     changeling N [NAME]     takes the name NAME, or an odd one; prints `ready PID`, waits for a line;
 *                             then N times takes another name and executes itself anew
 *
 * At the end it prints `done PID`, waits for a line, and ends with code 0.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

/* What would break a line, a path, a terminal, or a reader of UTF-8. */
static const char *const names[] = {
	"../../etc/x", "a\nb", "\x1b[2J", "\xe2\x80\xae\xe4\xbd", "\xff\xfe", "", "%s%n", "a\\nb] RSS=",
};

int main(int argc, char **argv)
{
	unsigned long left = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	const char *given = argc > 2 ? argv[2] : NULL;
	char number[24];

	prctl(PR_SET_NAME, given && *given ? given : names[left % (sizeof(names) / sizeof(*names))]);
	/* Whom it executed has an empty NAME, and does not wait. */
	if (given == NULL || *given) {
		printf("ready %d\n", getpid());
		fflush(stdout);
		(void)getchar();
	}
	if (left > 0) {
		snprintf(number, sizeof(number), "%lu", left - 1);
		execl("/proc/self/exe", "changeling", number, "", NULL);
		return 1;
	}
	printf("done %d\n", getpid());
	fflush(stdout);
	(void)getchar();
	return 0;
}
