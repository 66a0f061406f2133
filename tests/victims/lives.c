/*
 * lives COUNT PER_MINUTE: a parent of short lives at a steady pace.
 *
 * Forks COUNT children, PER_MINUTE of them a minute; every other one runs this program anew. Each
 * ends at once, with a code from 1 to 250 that differs from those of the lives around it. Prints
 * `ready PID`, waits for a line on stdin (or its end), prints `life PID CODE` for each child that
 * has ended so, and `done NUMBER SECONDS` at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BILLION 1000000000ULL

static unsigned long reaped;

static unsigned long long now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned long long)now.tv_sec * BILLION + (unsigned long long)now.tv_nsec;
}

static void pause_until(unsigned long long ns)
{
	struct timespec until = { (time_t)(ns / BILLION), (long)(ns % BILLION) };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static void live(char *self, unsigned long number)
{
	char code[16];
	char *argv[] = { self, code, NULL };

	snprintf(code, sizeof(code), "%lu", number % 250 + 1);
	if (number % 2 == 0)
		_exit((int)(number % 250 + 1));
	execv(self, argv);
	_exit(255);
}

static void reap(int options)
{
	int status;
	pid_t child;
	while ((child = waitpid(-1, &status, options)) > 0) {
		if (WIFEXITED(status))
			printf("life %d %d\n", (int)child, WEXITSTATUS(status));
		reaped++;
	}
}

int main(int argc, char **argv)
{
	char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	unsigned long count;
	unsigned long per_minute;
	unsigned long long began;
	int byte;

	if (argc == 2)
		return atoi(argv[1]);
	if (argc != 3 || length < 0) {
		fputs("usage: lives COUNT PER_MINUTE\n", stderr);
		return 2;
	}
	self[length] = '\0';
	count = strtoul(argv[1], NULL, 10);
	per_minute = strtoul(argv[2], NULL, 10);
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	do
		byte = getchar();
	while (byte != '\n' && byte != EOF);

	began = now_ns();
	for (unsigned long i = 0; i < count; i++) {
		pid_t child;
		pause_until(began + i * 60 * BILLION / per_minute);
		/* What is not printed yet would be printed by the child as well. */
		fflush(stdout);
		child = fork();
		if (child < 0) {
			perror("lives: fork");
			return 2;
		}
		if (child == 0)
			live(self, i);
		reap(WNOHANG);
	}
	reap(0);
	printf("done %lu %.1f\n", reaped, (double)(now_ns() - began) / (double)BILLION);
	return 0;
}
