#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/privileged.h"

#define NOBODY 65534

static const char *self;

static void test_plain(void **state)
{
    (void)state;
    assert_false(weir_privileged());
}

static void copy_self(const char *to)
{
    static char octets[1 << 16];
    FILE *in = fopen(self, "rb"), *out = fopen(to, "wb");
    size_t size;

    assert_true(in && out);
    while ((size = fread(octets, 1, sizeof octets, in)) > 0)
        assert_int_equal(fwrite(octets, 1, size, out), size);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

enum { PRIVILEGED = 10, SAME_USER = 11, MISSED = 12 };

/* What a copy of this program that was started with "answer" ends with. */
static int answer(void)
{
    if (weir_privileged())
        return PRIVILEGED;
    return getuid() == geteuid() ? SAME_USER : MISSED;
}

static int run(const char *program)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        alarm(20);
        execl(program, program, "answer", (char *)NULL);
        _exit(99);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A copy that becomes another user when it starts. */
static void test_setuid(void **state)
{
    char folder[] = "/tmp/weir-privileged-XXXXXX", program[64];
    int plain, changed;

    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can give a file away */
    assert_non_null(mkdtemp(folder));
    snprintf(program, sizeof program, "%s/answer", folder);
    copy_self(program);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(program, 0755), 0);
    plain = run(program);
    assert_int_equal(chown(program, NOBODY, NOBODY), 0);
    assert_int_equal(chmod(program, 04755), 0);
    changed = run(program);
    assert_int_equal(unlink(program), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(plain, SAME_USER);
    if (changed == SAME_USER)
        skip(); /* the file system knows no setuid */
    assert_int_equal(changed, PRIVILEGED);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_setuid),
    };

    self = argv[0];
    if (argc == 2 && strcmp(argv[1], "answer") == 0)
        _exit(answer());
    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
