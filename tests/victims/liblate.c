/*
 * liblate.so: a library with a marker of its own, for `late`. It is compiled with everything else
 * hidden, as libraries are.
 */
#include "memtrace.h"

__attribute__((visibility("default")))
void late_mark(const char *name, const char *details);

void late_mark(const char *name, const char *details)
{
	memtrace_checkpoint(name, details);
}
