/*
 * storm: what a page fault costs, and what a checkpoint costs, for the benchmarks.
 *
 *     storm ROUNDS        touches 4 MiB in small pages and gives them back, ROUNDS times
 *     storm marks N       N checkpoints, in ten rounds
 *
 * Prints `ready PID`, waits for a line on stdin (or its end), and prints
 * `faults NUMBER min NS median NS` or `marks NUMBER min NS median NS`: nanoseconds of this thread's
 * CPU time for one, in the best and in the middle round. One round before the first does not count.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "memtrace.h"

#define MIB (1024UL * 1024UL)
#define PAGE 4096UL
/* Small, so that a round is short: on a busy machine some rounds are then undisturbed. */
#define REGION (4 * MIB)
#define MARK_ROUNDS 10UL

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The faults alone: giving the pages back is not in the time. */
static double fault_round(char *region)
{
	double started = now_ns();
	for (size_t at = 0; at < REGION; at += PAGE)
		*(volatile char *)(region + at) = 1;
	started = now_ns() - started;
	madvise(region, REGION, MADV_DONTNEED);
	return started / (double)(REGION / PAGE);
}

static double mark_round(unsigned long marks)
{
	double started = now_ns();
	for (unsigned long i = 0; i < marks; i++)
		memtrace_checkpoint("storm", NULL);
	return (now_ns() - started) / (double)marks;
}

static int compare(const void *left, const void *right)
{
	double difference = *(const double *)left - *(const double *)right;
	return (difference > 0) - (difference < 0);
}

static char *map_region(void)
{
	void *start = mmap(NULL, REGION, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED || madvise(start, REGION, MADV_NOHUGEPAGE) != 0) {
		perror("storm: 4 MiB of small pages");
		exit(2);
	}
	return start;
}

static void wait_for_line(void)
{
	int byte;
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	do
		byte = getchar();
	while (byte != '\n' && byte != EOF);
}

int main(int argc, char **argv)
{
	int marking = argc == 3 && strcmp(argv[1], "marks") == 0;
	unsigned long number = marking ? strtoul(argv[2], NULL, 10)
			     : argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned long rounds = marking ? MARK_ROUNDS : number;
	unsigned long each = number / MARK_ROUNDS > 0 ? number / MARK_ROUNDS : 1;
	char *region;
	double *costs;

	if (number == 0) {
		fputs("usage: storm ROUNDS | storm marks N\n", stderr);
		return 2;
	}
	region = map_region();
	costs = calloc(rounds, sizeof(*costs));
	if (costs == NULL)
		return 2;
	wait_for_line();
	for (unsigned long i = 0; i <= rounds; i++) {
		double cost = marking ? mark_round(each) : fault_round(region);
		if (i > 0)
			costs[i - 1] = cost;
	}
	qsort(costs, rounds, sizeof(*costs), compare);
	printf("%s %lu min %.2f median %.2f\n", marking ? "marks" : "faults",
	       marking ? each * rounds : rounds * (REGION / PAGE), costs[0], costs[rounds / 2]);
	free(costs);
	return 0;
}
