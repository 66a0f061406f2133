/* Ends the emulator: it takes a number written to this port as its exit status, times two plus one. */
#include <stdlib.h>
#include <sys/io.h>

int main(int count, char **arguments)
{
	if (count != 2 || iopl(3) != 0)
		return 1;
	outb((unsigned char)atoi(arguments[1]), 0xf4);
	return 1;
}
