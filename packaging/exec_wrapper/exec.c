/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EXEC -- COMMAND [ARGUMENT…]: the command, with the hook first on its PYTHONPATH.
 *
 * For pods whose image may set a PYTHONPATH of its own: one in the pod's spec would hide it, this
 * adds to it. The command takes the place of this process, as the same PID 1, with the same
 * argv[0], signals, descriptors and directory. It must never keep a container from starting: what
 * goes wrong here means the command with the environment as it was. It allocates nothing but one
 * mapping, and is linked statically, for glibc, musl and images with neither.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define NAME "PYTHONPATH="
#define BOOTSTRAP "/opt/primus-lens/primus_lens_hook/bootstrap" /* as in contract.py */

extern char **environ;

/* Whether the value has us first already. */
static int hooked(const char *value)
{
    size_t ours = strlen(BOOTSTRAP);
    return !strncmp(value, BOOTSTRAP, ours) && (!value[ours] || value[ours] == ':');
}

/* A copy of the environment with us first; the same one where there is nothing to do or no memory. */
static char **with_hook(char **given)
{
    size_t count = 0, at;
    while (given[count])
        count++;
    for (at = 0; at < count && strncmp(given[at], NAME, strlen(NAME)); at++)
        ;
    const char *old = at < count ? given[at] + strlen(NAME) : "";
    if (hooked(old))
        return given;

    size_t vector = (count + 2) * sizeof *given;
    size_t text = sizeof NAME BOOTSTRAP ":" + strlen(old);
    char **copy = mmap(NULL, vector + text, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return given;
    memcpy(copy, given, count * sizeof *given); /* what follows is zero, as the kernel maps it */
    copy[at] = (char *)copy + vector;
    strcpy(copy[at], NAME BOOTSTRAP);
    if (*old) /* an empty entry would be the current directory */
        strcat(strcat(copy[at], ":"), old);
    return copy;
}

/* In one write, so that lines of several processes do not mix; there is nobody to tell if it fails. */
static void say(const char *command, const char *reason)
{
    const char *parts[] = {"exec: \"", command, "\": ", reason, "\n"};
    struct iovec line[5];
    for (int i = 0; i < 5; i++)
        line[i] = (struct iovec){(char *)parts[i], strlen(parts[i])};
    (void)!writev(STDERR_FILENO, line, 5);
}

int main(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[1], "--")) {
        say(argc ? argv[0] : "", "usage: exec -- COMMAND [ARGUMENT...]");
        return 125;
    }
    char **command = argv + 2;
    /* musl's, which starts no shell on ENOEXEC: nor do the container runtimes. */
    execvpe(command[0], command, with_hook(environ));
    execvp(command[0], command); /* our few bytes may have been too many */
    int error = errno;
    int missing = error == ENOENT || error == ENOTDIR;
    int searched = missing && !strchr(command[0], '/');
    say(command[0], searched ? "executable file not found in $PATH" : strerror(error));
    return missing ? 127 : 126;
}
