/*
 * remote PID ADDRESS MIB: writes MIB MiB into another process at ADDRESS (process_vm_writev), so
 * that the other one's memory grows by this one's doing. `steps` gives an address by `serve`.
 *
 * Prints `ok BYTES` and ends with 0 when all was written. It does not wait for anything.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define MIB (1024UL * 1024UL)

int main(int argc, char **argv)
{
	static char block[MIB];
	unsigned long written = 0;

	if (argc != 4) {
		fputs("usage: remote PID ADDRESS MIB\n", stderr);
		return 2;
	}
	pid_t pid = (pid_t)strtol(argv[1], NULL, 10);
	uintptr_t address = (uintptr_t)strtoull(argv[2], NULL, 0);
	unsigned long wanted = strtoul(argv[3], NULL, 10) * MIB;

	memset(block, 1, sizeof(block));
	while (written < wanted) {
		struct iovec local = { block, sizeof(block) };
		struct iovec there = { (void *)(address + written), sizeof(block) };
		ssize_t count = process_vm_writev(pid, &local, 1, &there, 1, 0);
		if (count <= 0) {
			perror("remote: process_vm_writev");
			return 1;
		}
		written += (unsigned long)count;
	}
	printf("ok %lu\n", written);
	return 0;
}
