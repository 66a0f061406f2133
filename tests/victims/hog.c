/*
 * hog: touches memory until it is killed.
 *
 *     hog [--threads N] [--leader-exits] [--fork | --vfork] [--mark NAME] [--max MIB]
 *
 * --threads N      N threads allocate together
 * --leader-exits   the main thread ends first (pthread_exit) and the threads go on without it
 * --fork           a forked child allocates; the parent waits and ends as it ended (128 + signal)
 * --vfork          the same by vfork and exec of this program
 * --mark NAME      sets this checkpoint right before the first page
 * --max MIB        stops after so many MiB and waits for a further line, then ends with code 0
 *
 * Prints `ready PID` and waits for a line on stdin (or its end). A child that allocates prints
 * `child PID` then; nobody waits for that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memtrace.h"

#define MIB (1024UL * 1024UL)

static unsigned long threads = 1;
static unsigned long max_mib = -1UL;
static const char *mark_name;
static int leader_exits;
static atomic_ulong taken_mib;

static void wait_for_line(void)
{
	int byte;
	do
		byte = getchar();
	while (byte != '\n' && byte != EOF);
}

static void touch_until_killed(void)
{
	while (atomic_fetch_add(&taken_mib, 1) < max_mib) {
		char *start = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (start == MAP_FAILED) {
			perror("hog: mmap");
			exit(2);
		}
		memset(start, 1, MIB);
	}
}

static void *thread_main(void *unused)
{
	(void)unused;
	touch_until_killed();
	return NULL;
}

/* Waits for all, which the main thread cannot do once it has ended. */
static void *supervisor_main(void *unused)
{
	pthread_t *all = calloc(threads, sizeof(*all));

	(void)unused;
	for (unsigned long i = 0; i < threads; i++) {
		errno = pthread_create(&all[i], NULL, thread_main, NULL);
		if (errno != 0) {
			perror("hog: pthread_create");
			exit(2);
		}
	}
	for (unsigned long i = 0; i < threads; i++)
		pthread_join(all[i], NULL);
	free(all);
	wait_for_line();
	exit(0);
}

static void allocate(void)
{
	if (mark_name != NULL)
		memtrace_checkpoint(mark_name, NULL);
	if (leader_exits) {
		pthread_t supervisor;
		pthread_create(&supervisor, NULL, supervisor_main, NULL);
		pthread_exit(NULL);
	}
	if (threads > 1)
		supervisor_main(NULL);
	touch_until_killed();
	wait_for_line();
	exit(0);
}

static void end_as(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			_exit(2);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void allocate_in_child(void)
{
	pid_t child = fork();
	if (child < 0) {
		perror("hog: fork");
		exit(2);
	}
	if (child != 0)
		end_as(child);
	printf("child %d\n", (int)getpid());
	fflush(stdout);
	allocate();
}

/* The child borrows this memory until it runs the program anew, with --in-child for --vfork. */
static void allocate_after_vfork(char **argv)
{
	static char in_child[] = "--in-child";
	char self[4096];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	pid_t child;

	if (length < 0) {
		perror("hog: /proc/self/exe");
		exit(2);
	}
	self[length] = '\0';

	for (char **argument = argv; *argument != NULL; argument++)
		if (strcmp(*argument, "--vfork") == 0)
			*argument = in_child;
	child = vfork();
	if (child < 0) {
		perror("hog: vfork");
		exit(2);
	}
	if (child == 0) {
		execv(self, argv);
		_exit(2);
	}
	end_as(child);
}

int main(int argc, char **argv)
{
	enum { THREADS = 1, LEADER_EXITS, FORK, VFORK, IN_CHILD, MARK, MAX };
	static const struct option options[] = {
		{ "threads", required_argument, NULL, THREADS },
		{ "leader-exits", no_argument, NULL, LEADER_EXITS },
		{ "fork", no_argument, NULL, FORK },
		{ "vfork", no_argument, NULL, VFORK },
		{ "in-child", no_argument, NULL, IN_CHILD },
		{ "mark", required_argument, NULL, MARK },
		{ "max", required_argument, NULL, MAX },
		{ NULL, 0, NULL, 0 },
	};
	int way = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case THREADS: threads = strtoul(optarg, NULL, 10); break;
		case LEADER_EXITS: leader_exits = 1; break;
		case MARK: mark_name = optarg; break;
		case MAX: max_mib = strtoul(optarg, NULL, 10); break;
		case FORK: case VFORK: case IN_CHILD: way = option; break;
		default: return 2;
		}
	}
	if (optind != argc || threads == 0) {
		fputs("hog: see the comment at the top of hog.c\n", stderr);
		return 2;
	}
	if (way == IN_CHILD) {
		printf("child %d\n", (int)getpid());
		fflush(stdout);
		allocate();
	}
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	wait_for_line();
	if (way == FORK)
		allocate_in_child();
	if (way == VFORK)
		allocate_after_vfork(argv);
	allocate();
}
