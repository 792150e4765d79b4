/*
 * meter.h - time, CPU time and memory of processes.
 * Above: side.c and the tests.  Below: nothing.
 */
#ifndef WEIR_TOOLS_PEERS_METER_H
#define WEIR_TOOLS_PEERS_METER_H

#include <stdint.h>
#include <sys/types.h>

/* Monotonic time in ns. */
uint64_t weir_meter_now(void);

/* CPU time of this thread, of this process (0) or of another one, in ns; 0
 * where the system does not tell. */
uint64_t weir_meter_thread(void);
uint64_t weir_meter_cpu(pid_t process);

/* Octets of memory that a process (0: this one) has, and had at most; 0 where
 * the system does not tell. */
uint64_t weir_meter_memory(pid_t process);
uint64_t weir_meter_peak(pid_t process);

/* Sleep; seconds as ns. */
void weir_meter_sleep(uint64_t ns);
uint64_t weir_meter_seconds(double seconds);

#endif
