/*
 * memtrace.h - memory checkpoints for C and C++ programs.
 *
 *     #include "memtrace.h"
 *     memtrace_checkpoint("config_loaded", "42 symbols");
 *
 * memtrace finds the function by its name in the executable and in every library, puts a probe on
 * it, and notes the exact RSS with the name at that instant. Nothing is linked, nothing is
 * initialised, and without memtrace a call costs a call: it does nothing at all.
 *
 * Names and details are UTF-8; memtrace keeps 255 bytes of a name. Either may be NULL.
 *
 * Needs C99 or C++, gcc 8 or clang 10 or later. Where several files of a program include this
 * header, the linker keeps one of the copies. Do not strip the symbol table of an executable
 * (`strip --strip-unneeded` and `-Wl,-s` remove it there); a library keeps the symbol when
 * stripped.
 */
#ifndef MEMTRACE_H
#define MEMTRACE_H

#include <stdarg.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The first instruction decides what a probe costs: a one-byte `nop` is emulated by the kernel,
 * most others are single-stepped, with a second trap. So the function begins with one nop, on
 * arm64 too. With -fcf-protection an endbr64 stands before it and has to: a call from another
 * library comes through a jump that may land on nothing else. memtrace then probes the nop.
 *
 * weak: several files may include the header. noinline, noclone, noipa, used: a function of its
 * own, with its own name and both arguments, also with -O2 and -flto. default visibility: in the
 * dynamic symbols of a library, also with -fvisibility=hidden.
 */
#if defined(__clang__)
#define MEMTRACE_WHOLE noinline, used
#else
#define MEMTRACE_WHOLE noinline, noclone, noipa, used
#endif

__attribute__((MEMTRACE_WHOLE, weak, visibility("default"), patchable_function_entry(1, 0)))
void memtrace_checkpoint(const char *name, const char *details);

void memtrace_checkpoint(const char *name, const char *details)
{
	/* Both arguments count as read here, and the call as having an effect. */
	__asm__ volatile("" : : "r"(name), "r"(details) : "memory");
}

#undef MEMTRACE_WHOLE

/*
 * The same with details made by a format, cut to 255 bytes:
 *
 *     memtrace_checkpointf("config_loaded", "%zu symbols", count);
 *
 * The text is made at each call, also without memtrace.
 */
__attribute__((unused, format(printf, 2, 3)))
static void memtrace_checkpointf(const char *name, const char *format, ...)
{
	char details[256];
	va_list arguments;

	va_start(arguments, format);
	if (vsnprintf(details, sizeof(details), format, arguments) < 0)
		details[0] = '\0';
	va_end(arguments);
	memtrace_checkpoint(name, details);
}

#ifdef __cplusplus
}
#endif

#endif /* MEMTRACE_H */
