/*
 * many MARKS MIB: sets MARKS checkpoints named c0000, c0001, ... in one go, touches MIB MiB of
 * memory a little at a time in between, and ends with the code MARKS % 100.
 *
 * Prints `ready PID` and waits for a line on stdin (or its end) before the first, so that a test
 * may start two hundred of them and let all go at once.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memtrace.h"

#define MIB (1024UL * 1024UL)
#define PAGE 4096UL

int main(int argc, char **argv)
{
	char name[24];
	char go[64];
	unsigned long marks = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned long pages = argc > 2 ? strtoul(argv[2], NULL, 10) * (MIB / PAGE) : 0;
	unsigned long touched = 0;
	volatile char *memory = NULL;

	if (argc != 3) {
		fputs("usage: many MARKS MIB\n", stderr);
		return 2;
	}
	if (pages != 0) {
		void *start = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (start == MAP_FAILED) {
			perror("many: mmap");
			return 2;
		}
		madvise(start, pages * PAGE, MADV_NOHUGEPAGE);
		memory = start;
	}
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	if (fgets(go, sizeof(go), stdin) == NULL)
		go[0] = '\0';

	for (unsigned long i = 0; i < marks; i++) {
		for (; touched < pages * (i + 1) / marks; touched++)
			memory[touched * PAGE] = 1;
		snprintf(name, sizeof(name), "c%04lu", i);
		memtrace_checkpoint(name, NULL);
	}
	return (int)(marks % 100);
}
