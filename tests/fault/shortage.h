/*
 * shortage.h - a process that runs out of memory or of descriptors, at any
 * place and for as long as a test wants.
 *
 * The program that links this has functions of its own named malloc, mmap,
 * socket and so on, and those of a program come before those of any library:
 * libweir, its plugins, libltdl and the C library all get them.
 */
#ifndef TESTS_FAULT_SHORTAGE_H
#define TESTS_FAULT_SHORTAGE_H

#include <stdbool.h>

enum shortage {
    SHORTAGE_NONE,
    SHORTAGE_MEMORY,     /* one allocation fails */
    SHORTAGE_NO_MEMORY,  /* so do all that follow */
    SHORTAGE_DESCRIPTOR, /* one descriptor cannot be had, or not be watched */
    SHORTAGE_NO_DESCRIPTORS,
    SHORTAGE_LIMIT /* the process may have only so many more of them */
};

/* Can this build do it?  Not without the C library's second names of malloc
 * and its like, or those of a sanitizer. */
bool shortage_works(void);

/* From now on, the `nth` allocation or descriptor (from 0) cannot be had. */
void shortage_begin(enum shortage kind, long nth);
/* There is enough again. */
void shortage_end(void);
/* How often something could not be had since shortage_begin().  Of a limit
 * that is not known, and 1. */
long shortage_hits(void);

/* Blocks and mappings that have been allocated and not been freed. */
long shortage_live(void);

/* Write to a descriptor where the first thing that could not be had was asked
 * for.  Safe in a signal handler. */
void shortage_where(int fd);

#endif
