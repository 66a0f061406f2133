/*
 * faults SECONDS MIB_PER_SECOND LAST_MIB: page faults at a pace.
 *
 * Maps 4 MiB, touches each page and unmaps it again, for SECONDS and at most so often that
 * MIB_PER_SECOND are touched; then touches LAST_MIB and keeps them. Prints `ready PID` and waits for
 * a line on stdin (or its end) first; prints `faulted MIB SECONDS rss KIB peak KIB` in the end,
 * sets the checkpoint `last`, waits for a further line and ends with code 7. RSS is that of
 * smaps_rollup, the peak that of getrusage.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "memtrace.h"

#define MIB (1024UL * 1024UL)
#define EACH_MIB 4UL

static double now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void pause_until(double until)
{
	time_t seconds = (time_t)until;
	struct timespec at = { seconds, (long)((until - (double)seconds) * 1e9) };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

/* Small pages, so that a size is a number of faults. */
static void *map_and_touch(size_t length)
{
	char *start = mmap(NULL, length, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED) {
		perror("faults: mmap");
		exit(2);
	}
	madvise(start, length, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < length; at += 4096)
		*(volatile char *)(start + at) = 1;
	return start;
}

static unsigned long rollup_kib(void)
{
	char line[256];
	unsigned long kib = 0;
	FILE *rollup = fopen("/proc/self/smaps_rollup", "re");
	while (rollup != NULL && fgets(line, sizeof(line), rollup) != NULL)
		if (sscanf(line, "Rss: %lu kB", &kib) == 1)
			break;
	if (rollup != NULL)
		fclose(rollup);
	return kib;
}

static void wait_for_line(void)
{
	int byte;
	do
		byte = getchar();
	while (byte != '\n' && byte != EOF);
}

int main(int argc, char **argv)
{
	double seconds = argc == 4 ? strtod(argv[1], NULL) : 0;
	double rate = argc == 4 ? strtod(argv[2], NULL) : 0;
	unsigned long last = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	unsigned long touched = 0;
	unsigned long kib;
	struct rusage usage;
	double began;
	double took;

	if (seconds <= 0 || rate <= 0) {
		fputs("usage: faults SECONDS MIB_PER_SECOND LAST_MIB\n", stderr);
		return 2;
	}
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	wait_for_line();
	began = now();
	while (now() < began + seconds) {
		munmap(map_and_touch(EACH_MIB * MIB), EACH_MIB * MIB);
		touched += EACH_MIB;
		pause_until(began + (double)touched / rate);
	}
	took = now() - began;
	map_and_touch(last * MIB);
	/* Twice: the first time what reading and printing need comes in. */
	rollup_kib();
	printf("faulted %lu %.3f ", touched, took);
	fflush(stdout);
	kib = rollup_kib();
	memtrace_checkpoint("last", NULL);
	getrusage(RUSAGE_SELF, &usage);
	printf("rss %lu peak %ld\n", kib, usage.ru_maxrss);
	fflush(stdout);
	wait_for_line();
	return 7;
}
