/*
 * stranger: has the marks of a CPython 3.99, and touches memory until it is killed.
 *
 * Prints `ready PID` and waits for a line on stdin.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024UL * 1024UL)

/* What every CPython exports, and what one begins with that publishes its layout. */
struct {
	char cookie[8];
	uint64_t version;
	uint64_t published[126];
} _PyRuntime = { .cookie = "xdebugpy", .version = 0x036300f0 };
uint64_t PyCode_Type[64] = { 1 };
const unsigned long Py_Version = 0x036300f0;

int main(void)
{
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	getchar();
	for (;;) {
		char *start = malloc(MIB);
		if (start == NULL)
			return 2;
		memset(start, 1, MIB);
	}
}
