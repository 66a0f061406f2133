/*
 * late LIBRARY: a program without a marker, which loads a library that has one, later.
 *
 *     ready PID           printed at the start; waits for a line on stdin
 *     loaded PID          after dlopen of LIBRARY; waits for a line again
 *     done                after the checkpoints late_first (details `from liblate`) and late_second;
 *                         waits for a line again, then ends with code 7
 *
 * A tracer that is told of new mappings has between `loaded` and the next line to find the marker.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

static void say_and_wait(const char *word)
{
	int byte;
	printf("%s %d\n", word, (int)getpid());
	fflush(stdout);
	do
		byte = getchar();
	while (byte != '\n' && byte != EOF);
}

int main(int argc, char **argv)
{
	void *library;
	void (*late_mark)(const char *, const char *);

	if (argc != 2) {
		fputs("usage: late LIBRARY\n", stderr);
		return 2;
	}
	say_and_wait("ready");
	library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		fprintf(stderr, "late: %s\n", dlerror());
		return 2;
	}
	*(void **)&late_mark = dlsym(library, "late_mark");
	if (late_mark == NULL) {
		fprintf(stderr, "late: %s\n", dlerror());
		return 2;
	}
	say_and_wait("loaded");
	late_mark("late_first", "from liblate");
	late_mark("late_second", NULL);
	say_and_wait("done");
	return 7;
}
