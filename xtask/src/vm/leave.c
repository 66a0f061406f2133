/* Ends the emulator with a status: the number given, times two plus one. */
#include <stdlib.h>

#if defined(__x86_64__)
#include <sys/io.h>

/* QEMU's isa-debug-exit does the sum. */
static void leave(int number)
{
	if (iopl(3) == 0)
		outb((unsigned char)number, 0xf4);
}
#elif defined(__aarch64__)
/* Arm's semihosting, SYS_EXIT: the reason (ADP_Stopped_ApplicationExit) and the status. */
static void leave(int number)
{
	long block[2] = { 0x20026, number * 2 + 1 };
	register long operation __asm__("x0") = 0x18;
	register void *argument __asm__("x1") = block;

	__asm__ volatile("hlt 0xf000" : "+r"(operation) : "r"(argument) : "memory");
}
#endif

int main(int count, char **arguments)
{
	if (count == 2)
		leave(atoi(arguments[1]));
	return 1;
}
