/* Functions that keep frame pointers, for stacks without Python: grows by 5 MiB for each line "warm", and for
 * ever once another line comes.
 *
 *     native          by its own code: main → grow → fill
 *     native memset   by the C library's, which keeps none: main → grow → memset
 *     native thread   likewise, in a thread: work → grow → memset
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#pragma GCC optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")

#define PIECE (1 << 20)
#define OF_ITS_OWN __attribute__((noinline, noclone))

static char *volatile held;

OF_ITS_OWN void fill(char *piece)
{
    for (size_t at = 0; at < PIECE; at += 4096)
        ((volatile char *)piece)[at] = 1;
}

OF_ITS_OWN void grow(int by_library)
{
    for (;;) {
        held = malloc(PIECE);
        if (!held)
            abort();
        if (by_library)
            memset(held, 1, PIECE);
        else
            fill(held);
    }
}

OF_ITS_OWN void warm(void)
{
    for (int piece = 0; piece < 5; piece++) {
        held = malloc(PIECE);
        if (!held)
            abort();
        fill(held);
    }
}

OF_ITS_OWN void *work(void *unused)
{
    (void)unused;
    grow(1);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    char line[16];
    pthread_t thread;
    printf("ready %d\n", getpid());
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) && !strcmp(line, "warm\n")) {
        warm();
        puts("ok");
        fflush(stdout);
    }
    if (strcmp(how, "thread"))
        grow(!strcmp(how, "memset"));
    else if (!pthread_create(&thread, NULL, work, NULL))
        pthread_join(thread, NULL);
    return 0;
}
