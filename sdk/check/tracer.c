/* tracer.c - see tracer.h.  What a call's number and result are called is the
 * processor's matter; two of them are known here. */
#include "config.h"

#include "tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

/* ---- registers ---- */

struct call {
    long number, flags; /* flags: of an openat() */
};

static int get_registers(pid_t pid, struct user_regs_struct *registers)
{
    struct iovec all = {registers, sizeof *registers};

    return ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &all) < 0 ? -errno
                                                                        : 0;
}

static int set_registers(pid_t pid, struct user_regs_struct *registers)
{
    struct iovec all = {registers, sizeof *registers};

    return ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &all) < 0 ? -errno
                                                                        : 0;
}

#ifdef __x86_64__

static struct call call_of(const struct user_regs_struct *registers)
{
    return (struct call){(long)registers->orig_rax, (long)registers->rdx};
}

/* No call has this number: the system does nothing. */
static int take_away(pid_t pid, struct user_regs_struct *registers)
{
    registers->orig_rax = (unsigned long long)-1;
    return set_registers(pid, registers);
}

static int set_result(pid_t pid, struct user_regs_struct *registers,
                      long result)
{
    registers->rax = (unsigned long long)result;
    return set_registers(pid, registers);
}

#else

static struct call call_of(const struct user_regs_struct *registers)
{
    return (struct call){(long)registers->regs[8], (long)registers->regs[2]};
}

static int take_away(pid_t pid, struct user_regs_struct *registers)
{
    int number = -1;
    struct iovec one = {&number, sizeof number};

    (void)registers;
    return ptrace(PTRACE_SETREGSET, pid, (void *)NT_ARM_SYSTEM_CALL, &one) < 0
               ? -errno
               : 0;
}

static int set_result(pid_t pid, struct user_regs_struct *registers,
                      long result)
{
    registers->regs[0] = (unsigned long long)result;
    return set_registers(pid, registers);
}

#endif

/* ---- which calls change a file, or make it last ---- */

static bool changes(const struct call *call)
{
    static const long numbers[] = {
        SYS_write,     SYS_writev,    SYS_pwrite64,  SYS_pwritev,
        SYS_pwritev2,  SYS_ftruncate, SYS_fallocate, SYS_fsync,
        SYS_fdatasync, SYS_msync,     SYS_mkdirat,   SYS_unlinkat,
        SYS_renameat2, SYS_linkat,
#ifdef SYS_mkdir
        SYS_mkdir,     SYS_unlink,    SYS_rmdir,     SYS_rename,
#endif
    };

    if (call->number == SYS_openat)
        return (call->flags & O_CREAT) != 0;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (call->number == numbers[i])
            return true;
    }
    return false;
}

/* ---- the child, and who watches it ---- */

static pid_t start(void (*child)(void *arg), void *arg)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid < 0 ? -errno : pid;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(127);
    raise(SIGSTOP);
    child(arg);
    _exit(0);
}

/* Run the child to the next stop.  Returns 1 if it is at a call, 0 if it is at
 * its end, or an error. */
static int to_next(pid_t pid, int *status)
{
    long signal = 0;

    for (;;) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)signal) < 0)
            return -errno;
        if (waitpid(pid, status, __WALL) != pid)
            return -errno;
        if (!WIFSTOPPED(*status))
            return 0;
        if (WSTOPSIG(*status) == (SIGTRAP | 0x80))
            return 1;
        signal = WSTOPSIG(*status);
    }
}

static int kill_child(pid_t pid, int *status)
{
    (void)kill(pid, SIGKILL);
    return waitpid(pid, status, __WALL) == pid ? 0 : -errno;
}

/* One call of the child, which is about to make it, with another outcome. */
static int make_fail(pid_t pid, struct user_regs_struct *registers, int code,
                     int *status)
{
    int rc = take_away(pid, registers);

    if (rc == 0)
        rc = to_next(pid, status);
    if (rc == 1)
        rc = get_registers(pid, registers);
    return rc < 0 ? rc : set_result(pid, registers, -code);
}

static int watch(pid_t pid, const struct weir_tracer_plan *plan, bool *fired,
                 int *status)
{
    struct user_regs_struct registers;
    struct call call;
    long count = -1;
    int rc;

    while ((rc = to_next(pid, status)) == 1) {
        rc = get_registers(pid, &registers);
        call = call_of(&registers);
        if (rc == 0 && changes(&call) &&
            (++count == plan->at || (plan->lasting && count > plan->at))) {
            *fired = true;
            if (plan->code == 0)
                return kill_child(pid, status);
            rc = make_fail(pid, &registers, plan->code, status);
        } else if (rc == 0) {
            rc = to_next(pid, status); /* the call's end */
            if (rc == 0)
                return 0;
            rc = rc == 1 ? 0 : rc;
        }
        if (rc < 0)
            break;
    }
    return rc;
}

int weir_tracer_run(const struct weir_tracer_plan *plan,
                    void (*child)(void *arg), void *arg, bool *fired,
                    int *status)
{
    pid_t pid = start(child, arg);
    int rc;

    *fired = false;
    if (pid < 0)
        return (int)pid;
    if (waitpid(pid, status, __WALL) != pid)
        return -errno;
    if (!WIFSTOPPED(*status))
        return -ENOSYS;
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL,
               (void *)(uintptr_t)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) <
        0)
        rc = -ENOSYS;
    else
        rc = watch(pid, plan, fired, status);
    if (rc < 0)
        (void)kill_child(pid, status);
    return rc;
}

#else

int weir_tracer_run(const struct weir_tracer_plan *plan,
                    void (*child)(void *arg), void *arg, bool *fired,
                    int *status)
{
    (void)plan;
    (void)child;
    (void)arg;
    (void)fired;
    (void)status;
    return -ENOSYS;
}

#endif
