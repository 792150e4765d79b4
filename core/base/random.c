#include "config.h"

#include "base/random.h"

#include "base/clock.h"
#include "base/error.h"
#include "weir/weir.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#ifdef HAVE_GETRANDOM
#include <sys/random.h>
#endif

#define DEVICE "/dev/urandom"

static int read_device(unsigned char *data, size_t size)
{
    int fd = open(DEVICE, O_RDONLY | O_CLOEXEC);
    int result = 0;

    if (fd < 0)
        return -errno;
    while (size > 0 && result == 0) {
        ssize_t got = read(fd, data, size);

        if (got > 0) {
            data += got;
            size -= (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            result = got == 0 ? -EIO : -errno;
        }
    }
    close(fd);
    return result;
}

/* How much of `size` the system call gave; less only where it is missing or
 * forbidden. */
static size_t ask_kernel(unsigned char *data, size_t size)
{
    size_t done = 0;

#ifdef HAVE_GETRANDOM
    while (done < size) {
        ssize_t got = getrandom(data + done, size - done, 0);

        if (got > 0)
            done += (size_t)got;
        else if (errno != EINTR)
            break;
    }
#else
    (void)data;
    (void)size;
#endif
    return done;
}

int weir_random_fill(void *data, size_t size)
{
    size_t done = ask_kernel(data, size);
    int result;

    if (done == size)
        return 0;
    result = read_device((unsigned char *)data + done, size - done);
    if (result < 0)
        return weir_fail(-result, "no random octets from %s: %s", DEVICE,
                         weir_strerror(result));
    return 0;
}

uint64_t weir_random_below(uint64_t limit)
{
    uint64_t excess, drawn;

    if (limit == 0)
        return 0;
    excess = (UINT64_MAX % limit + 1) % limit;
    do {
        if (weir_random_fill(&drawn, sizeof drawn) < 0)
            return (uint64_t)weir_now() % limit;
    } while (drawn > UINT64_MAX - excess);
    return drawn % limit;
}
