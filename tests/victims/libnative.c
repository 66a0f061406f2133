/* A library that a program in Python calls by ctypes: grows for ever, and keeps frame pointers. */
#include <stdlib.h>

#pragma GCC optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")

#define PIECE (1 << 20)

static char *volatile held;

static __attribute__((noinline, noclone)) void fill(char *piece)
{
    for (size_t at = 0; at < PIECE; at += 4096)
        ((volatile char *)piece)[at] = 1;
}

void native_grow(void)
{
    for (;;) {
        held = malloc(PIECE);
        if (!held)
            abort();
        fill(held);
    }
}
