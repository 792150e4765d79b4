/* meter.c - time, CPU time and memory of processes. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "meter.h"

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t weir_meter_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t weir_meter_thread(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t weir_meter_cpu(pid_t process)
{
    clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;

    if (process && clock_getcpuclockid(process, &clock) != 0)
        return 0;
    return read_clock(clock);
}

/* A line "NAME:  NUMBER kB" of what Linux says about a process. */
static uint64_t read_status(pid_t process, const char *name)
{
    char path[64], line[256];
    unsigned long long kb = 0;
    size_t length = strlen(name);
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/status",
             (long)(process ? process : getpid()));
    file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, name, length) == 0 &&
            sscanf(line + length, ": %llu kB", &kb) == 1)
            break;
    }
    fclose(file);
    return (uint64_t)kb * 1024;
}

uint64_t weir_meter_memory(pid_t process)
{
    return read_status(process, "VmRSS");
}

uint64_t weir_meter_peak(pid_t process)
{
    return read_status(process, "VmHWM");
}

void weir_meter_sleep(uint64_t ns)
{
    struct timespec left = {(time_t)(ns / 1000000000u),
                            (long)(ns % 1000000000u)};

    nanosleep(&left, NULL);
}

uint64_t weir_meter_seconds(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}
