/*
 * markers THREADS MARKS GAP_US: threads that set checkpoints at a pace, or as fast as they can.
 *
 * Each of THREADS threads sets MARKS checkpoints named c0000, c0001, ..., with GAP_US microseconds
 * between two; with 0 MARKS it sets one named `loud` again and again until a further line comes on
 * stdin. Prints `ready PID`, waits for a line on stdin (or its end) before the first, prints
 * `set NUMBER` after the last, waits for a further line and ends with code 5.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "memtrace.h"

#define MOST 64

static unsigned long marks;
static useconds_t gap;
static atomic_int is_over;
static atomic_ulong set;

static void wait_for_line(void)
{
	int byte;
	do
		byte = getchar();
	while (byte != '\n' && byte != EOF);
}

static void *thread_main(void *unused)
{
	char name[24];
	unsigned long count = 0;

	(void)unused;
	while (marks == 0 ? !is_over : count < marks) {
		if (marks == 0) {
			memtrace_checkpoint("loud", NULL);
		} else {
			snprintf(name, sizeof(name), "c%04lu", count);
			memtrace_checkpoint(name, NULL);
		}
		count++;
		if (gap != 0)
			usleep(gap);
	}
	atomic_fetch_add(&set, count);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t all[MOST];
	unsigned long threads = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;

	if (threads == 0 || threads > MOST) {
		fputs("usage: markers THREADS MARKS GAP_US\n", stderr);
		return 2;
	}
	marks = strtoul(argv[2], NULL, 10);
	gap = (useconds_t)strtoul(argv[3], NULL, 10);
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	wait_for_line();
	for (unsigned long i = 0; i < threads; i++)
		if (pthread_create(&all[i], NULL, thread_main, NULL) != 0) {
			fputs("markers: no thread\n", stderr);
			return 2;
		}
	if (marks == 0) {
		wait_for_line();
		is_over = 1;
	}
	for (unsigned long i = 0; i < threads; i++)
		pthread_join(all[i], NULL);
	printf("set %lu\n", (unsigned long)set);
	fflush(stdout);
	wait_for_line();
	return 5;
}
