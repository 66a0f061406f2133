/*
 * deadfs: a program whose library lies on a file system that answers until it is to be read.
 *
 *     deadfs DIR      mounts it on DIR, in a mount namespace of its own, and maps DIR/lib to execute
 *                     it, without a look into it
 *
 * Prints `ready PID`, then waits for a line, and ends with code 0. Needs root and /dev/fuse. A child
 * is the file system: it answers what it must for the file to be found, opened and mapped, and no
 * read at all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define LIB 2 /* the inode of the only file; FUSE_ROOT_ID is 1 */

static void die(const char *what)
{
	printf("error %s: %s\n", what, strerror(errno));
	exit(1);
}

static void answer(int fd, const struct fuse_in_header *in, int error, const void *body, size_t size)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + size,
		.error = -error,
		.unique = in->unique,
	};
	struct iovec parts[] = { { &out, sizeof(out) }, { (void *)body, size } };
	/* Who asked may have been interrupted meanwhile. */
	if (writev(fd, parts, 2) < 0 && errno == ENODEV)
		exit(0);
}

static struct fuse_attr attributes(uint64_t inode)
{
	struct fuse_attr attr = { .ino = inode, .nlink = 1, .blksize = 4096 };
	attr.mode = inode == LIB ? S_IFREG | 0755 : S_IFDIR | 0755;
	attr.size = inode == LIB ? 1 << 20 : 0;
	return attr;
}

static void serve(int fd)
{
	static char buffer[1 << 18];
	ssize_t size;

	while ((size = read(fd, buffer, sizeof(buffer))) > 0 || errno == EINTR) {
		const struct fuse_in_header *in = (void *)buffer;
		struct fuse_init_out init = {
			.major = FUSE_KERNEL_VERSION,
			.minor = FUSE_KERNEL_MINOR_VERSION,
			.max_readahead = 4096,
			.flags = FUSE_ASYNC_READ,
			.max_write = 4096,
		};
		struct fuse_entry_out entry = { .nodeid = LIB, .entry_valid = 3600, .attr_valid = 3600 };
		struct fuse_attr_out attr = { .attr_valid = 3600 };
		struct fuse_open_out open = { 0 };

		if (size <= 0)
			continue;
		switch (in->opcode) {
		case FUSE_INIT:
			answer(fd, in, 0, &init, sizeof(init));
			break;
		case FUSE_LOOKUP:
			entry.attr = attributes(LIB);
			answer(fd, in, 0, &entry, sizeof(entry));
			break;
		case FUSE_GETATTR:
			attr.attr = attributes(in->nodeid);
			answer(fd, in, 0, &attr, sizeof(attr));
			break;
		case FUSE_OPEN:
			answer(fd, in, 0, &open, sizeof(open));
			break;
		case FUSE_READ:
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break; /* nobody waits for these but who reads, and he waits for ever */
		default:
			answer(fd, in, ENOSYS, NULL, 0);
		}
	}
}

int main(int argc, char **argv)
{
	char options[100], path[4096];
	int fuse, file;

	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		die("unshare");
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
	if (mount("deadfs", argv[1], "fuse", MS_NODEV | MS_NOSUID, options) != 0)
		die("mount");
	switch (fork()) {
	case -1:
		die("fork");
		break;
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fuse);
		return 0;
	}
	close(fuse);
	snprintf(path, sizeof(path), "%s/lib", argv[1]);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		die(path);
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED)
		die("mmap");
	printf("ready %d\n", getpid());
	(void)getchar();
	return 0;
}
