#include "config.h"

#include "trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "flow.h"

static char plugin[2 * TRIAL_DIR];

void trial_folder(char dir[TRIAL_DIR])
{
    const char *base = getenv("TMPDIR");

    snprintf(dir, TRIAL_DIR, "%s/weir-swap-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(dir));
}

void trial_name(const char *dir, const char *name, char path[TRIAL_PATH])
{
    snprintf(path, TRIAL_PATH, "%s/%s", dir, name);
}

void trial_command(const char *dir, const char *name)
{
    char path[TRIAL_PATH];
    FILE *file;

    trial_name(dir, name, path);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

void trial_recall(const char *dir, const char *name)
{
    char path[TRIAL_PATH];

    trial_name(dir, name, path);
    assert_int_equal(unlink(path), 0);
}

long long trial_kept(const char *dir)
{
    char path[TRIAL_PATH];
    long long octets = -1;
    FILE *file;

    trial_name(dir, "kept", path);
    file = fopen(path, "r");
    if (!file)
        return -1;
    if (fscanf(file, "%lld", &octets) != 1)
        octets = 1; /* it is being written */
    fclose(file);
    return octets;
}

bool trial_is_full(void)
{
    const char *full = getenv("WEIR_TEST_FULL");

    return full && full[0] == '1';
}

/* The number, the size, and the same octet again and again. */
void trial_fill(void *data, size_t size, uint32_t number)
{
    uint32_t head[2] = {number, (uint32_t)size};

    assert_in_range(size, TRIAL_LEAST, TRIAL_LARGEST);
    memset(data, (int)(number % 251), size);
    memcpy(data, head, sizeof(head));
}

uint32_t trial_check(const void *data, size_t size)
{
    const unsigned char *octets = data;
    uint32_t head[2];

    assert_in_range(size, TRIAL_LEAST, TRIAL_LARGEST);
    memcpy(head, data, sizeof(head));
    assert_int_equal(head[1], size);
    octets += sizeof(head);
    if (octets[0] != head[0] % 251 ||
        memcmp(octets, octets + 1, size - sizeof(head) - 1) != 0)
        fail_msg("message %u is not what was sent", head[0]);
    return head[0];
}

int trial_send(weir_socket socket, uint32_t number, size_t size, int deadline)
{
    static _Thread_local unsigned char data[TRIAL_LARGEST];

    trial_fill(data, size, number);
    return weir_send(socket, data, size, deadline);
}

/* Returns 0 if there is none within so many ms. */
static uint32_t receive_within(weir_socket socket, int ms)
{
    static _Thread_local unsigned char data[TRIAL_LARGEST];
    size_t size = sizeof(data);
    int r = weir_recv(socket, data, &size, ms);

    if (r == -EAGAIN && ms < FLOW_SOON)
        return 0;
    flow_ok(r);
    return trial_check(data, size);
}

uint32_t trial_receive(weir_socket socket)
{
    return receive_within(socket, FLOW_SOON);
}

bool trial_take_within(weir_socket socket, struct trial_tally *tally, int ms)
{
    uint32_t number = receive_within(socket, ms);

    if (number == 0)
        return false;
    assert_true(number > tally->last);
    tally->last = number;
    tally->got++;
    return true;
}

void trial_take(weir_socket socket, struct trial_tally *tally)
{
    (void)trial_take_within(socket, tally, FLOW_SOON);
}

void trial_send_pair(weir_socket socket, uint32_t number, size_t size)
{
    weir_message message;

    weir_message_init(&message);
    flow_add(&message, 20, number);
    flow_add(&message, size, number + 1);
    flow_ok(weir_send_message(socket, &message, FLOW_SOON));
    weir_message_fini(&message);
}

void trial_receive_pair(weir_socket socket, uint32_t number, size_t size)
{
    weir_message message;

    weir_message_init(&message);
    flow_ok(weir_recv_message(socket, &message, FLOW_SOON));
    assert_int_equal(weir_message_count(&message), 2);
    flow_check_frame(&message, 0, 20, number);
    flow_check_frame(&message, 1, size, number + 1);
    weir_message_fini(&message);
}

void trial_pause(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    nanosleep(&pause, NULL);
}

void trial_await(const char *dir, long long octets)
{
    int64_t end = flow_now() + FLOW_SOON;

    while (trial_kept(dir) != octets) {
        assert_true(flow_now() < end);
        trial_pause();
    }
}

void trial_await_some(const char *dir)
{
    int64_t end = flow_now() + FLOW_SOON;

    while (trial_kept(dir) <= 0) {
        assert_true(flow_now() < end);
        trial_pause();
    }
}

void trial_end(const char *dir)
{
    trial_await(dir, -1);
    assert_int_equal(rmdir(dir), 0);
}

uint64_t trial_resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long all = 0, pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &all, &pages) != 2)
        pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool trial_find(void)
{
    const char *built = getenv("top_builddir");

    snprintf(plugin, sizeof(plugin),
             "%s/tests/fixtures/plugins/" LT_OBJDIR "store_trial.so",
             built ? built : ".");
    return access(plugin, R_OK) == 0;
}

int trial_load(void **state)
{
    (void)state;
    flow_ok(weir_plugin_load(plugin, NULL));
    return 0;
}
