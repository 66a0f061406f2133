/*
 * steps: a process that does what it is told, one step at a time.
 *
 * Prints `ready PID`, then reads commands from stdin and answers each with one line that begins
 * with `ok` or `error`. Nothing happens between two commands, so a test may measure there.
 *
 *     anon N              touch N MiB of anonymous memory            ok
 *     free                give back all of anon, file and shmem       ok
 *     file PATH N         map the first N MiB of PATH, which is made as long as that, and read
 *                         each page                                   ok
 *     shmem N             touch N MiB of shared anonymous memory      ok
 *     mark NAME [DETAILS] memtrace_checkpoint; DETAILS to the line's end
 *     marks N             N checkpoints, named c0000, c0001, ...
 *     thread N MIB        N threads touch MIB MiB each and end        ok
 *     fork                a child takes over: it reads the further commands and answers, the
 *                         parent waits for it and ends as it ended    ok PID_OF_CHILD
 *     exec ARGV0          run this program anew under this argv[0]     (`ready PID` again)
 *     serve N             ok ADDRESS of a buffer of N MiB that nobody has touched
 *     rss                 ok Rss KB statm KB: /proc/self/smaps_rollup and statm
 *     exit N              end with this code                          (no answer)
 *     abort               end by SIGABRT                              (no answer)
 *
 * End of input ends it with code 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memtrace.h"

#define MIB (1024UL * 1024UL)

struct region {
	void *start;
	size_t length;
	struct region *next;
};

static struct region *regions;

static void answer_error(const char *what)
{
	printf("error %s: %s\n", what, strerror(errno));
}

static void touch(void *start, size_t length)
{
	volatile char *bytes = start;
	for (size_t at = 0; at < length; at += 4096)
		bytes[at] = 1;
}

static void read_pages(const void *start, size_t length)
{
	const volatile char *bytes = start;
	for (size_t at = 0; at < length; at += 4096)
		(void)bytes[at];
}

/* Maps and remembers; the memory is small pages, so that a size is a number of faults. */
static void *map(size_t length, int flags, int fd)
{
	struct region *region = malloc(sizeof(*region));
	void *start = mmap(NULL, length, fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ, flags, fd, 0);
	if (region == NULL || start == MAP_FAILED) {
		free(region);
		return NULL;
	}
	madvise(start, length, MADV_NOHUGEPAGE);
	*region = (struct region){ start, length, regions };
	regions = region;
	return start;
}

static void map_and_touch(unsigned long mib, int flags)
{
	void *start = map(mib * MIB, flags | MAP_ANONYMOUS, -1);
	if (start == NULL) {
		answer_error("mmap");
		return;
	}
	touch(start, mib * MIB);
	puts("ok");
}

static void free_all(void)
{
	while (regions != NULL) {
		struct region *region = regions;
		regions = region->next;
		munmap(region->start, region->length);
		free(region);
	}
	puts("ok");
}

static void map_file(const char *path, unsigned long mib)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int allocated = fd < 0 ? -1 : posix_fallocate(fd, 0, (off_t)(mib * MIB));
	if (allocated != 0) {
		if (allocated > 0)
			errno = allocated;
		answer_error(path);
	} else {
		void *start = map(mib * MIB, MAP_SHARED, fd);
		if (start == NULL) {
			answer_error("mmap");
		} else {
			read_pages(start, mib * MIB);
			puts("ok");
		}
	}
	if (fd >= 0)
		close(fd);
}

static void number_checkpoints(unsigned long count)
{
	char name[24];
	for (unsigned long i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "c%04lu", i);
		memtrace_checkpoint(name, NULL);
	}
	puts("ok");
}

static void *touching_thread(void *argument)
{
	size_t length = *(size_t *)argument;
	void *start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start != MAP_FAILED) {
		madvise(start, length, MADV_NOHUGEPAGE);
		touch(start, length);
	}
	/* The memory stays, as that of a thread does that has left it to others. */
	return start;
}

static void run_threads(unsigned long count, unsigned long mib)
{
	pthread_t *threads = calloc(count, sizeof(*threads));
	size_t length = mib * MIB;
	unsigned long started = 0;
	unsigned long touched = 0;

	while (threads != NULL && started < count &&
	       pthread_create(&threads[started], NULL, touching_thread, &length) == 0)
		started++;
	for (unsigned long i = 0; i < started; i++) {
		struct region *region = malloc(sizeof(*region));
		void *start;
		pthread_join(threads[i], &start);
		if (region == NULL || start == MAP_FAILED)
			continue;
		*region = (struct region){ start, length, regions };
		regions = region;
		touched++;
	}
	free(threads);
	if (touched == count)
		puts("ok");
	else
		printf("error only %lu of %lu threads\n", touched, count);
}

/* The parent stays as the name that the test knows, and ends as its child does. */
static void hand_over_to_child(void)
{
	int status;
	pid_t child = fork();
	if (child < 0) {
		answer_error("fork");
		return;
	}
	if (child == 0) {
		printf("ok %d\n", (int)getpid());
		return;
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static unsigned long read_rollup_kib(void)
{
	char line[256];
	unsigned long kib = 0;
	FILE *rollup = fopen("/proc/self/smaps_rollup", "re");
	while (rollup != NULL && fgets(line, sizeof(line), rollup) != NULL)
		if (sscanf(line, "Rss: %lu kB", &kib) == 1)
			break;
	if (rollup != NULL)
		fclose(rollup);
	return kib;
}

static unsigned long read_statm_kib(void)
{
	unsigned long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "re");
	if (statm != NULL) {
		if (fscanf(statm, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(statm);
	}
	return pages * ((unsigned long)sysconf(_SC_PAGESIZE) / 1024);
}

static void serve(unsigned long mib)
{
	void *start = map(mib * MIB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (start == NULL)
		answer_error("mmap");
	else
		printf("ok %p\n", start);
}

static void mark(const char *rest)
{
	char name[512];
	int used = 0;
	if (sscanf(rest, "%511s %n", name, &used) != 1) {
		puts("error no name");
		return;
	}
	memtrace_checkpoint(name, rest[used] != '\0' ? rest + used : NULL);
	puts("ok");
}

/* By its own path: through /proc/self/exe the comm would be `exe`. */
static void run_anew(const char *argv0)
{
	char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length > 0) {
		self[length] = '\0';
		execl(self, argv0, (char *)NULL);
	}
	answer_error("exec");
}

static void run_command(char *line)
{
	char path[512];
	unsigned long first;
	unsigned long second;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "anon %lu", &first) == 1) {
		map_and_touch(first, MAP_PRIVATE);
	} else if (sscanf(line, "shmem %lu", &first) == 1) {
		map_and_touch(first, MAP_SHARED);
	} else if (sscanf(line, "file %511s %lu", path, &first) == 2) {
		map_file(path, first);
	} else if (sscanf(line, "marks %lu", &first) == 1) {
		number_checkpoints(first);
	} else if (sscanf(line, "thread %lu %lu", &first, &second) == 2) {
		run_threads(first, second);
	} else if (sscanf(line, "serve %lu", &first) == 1) {
		serve(first);
	} else if (sscanf(line, "exec %511s", path) == 1) {
		run_anew(path);
	} else if (sscanf(line, "exit %lu", &first) == 1) {
		exit((int)first);
	} else if (strncmp(line, "mark ", 5) == 0) {
		mark(line + 5);
	} else if (strcmp(line, "free") == 0) {
		free_all();
	} else if (strcmp(line, "fork") == 0) {
		hand_over_to_child();
	} else if (strcmp(line, "rss") == 0) {
		printf("ok Rss %lu statm %lu\n", read_rollup_kib(), read_statm_kib());
	} else if (strcmp(line, "abort") == 0) {
		abort();
	} else {
		printf("error no such command: %s\n", line);
	}
}

int main(void)
{
	static char line[4096];

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* A byte at a time: after fork and exec the next reader finds the next command. */
	setvbuf(stdin, NULL, _IONBF, 0);
	printf("ready %d\n", (int)getpid());
	while (fgets(line, sizeof(line), stdin) != NULL)
		run_command(line);
	return 0;
}
