/*
 * vector.h - recorded conversations, tests/vectors/NAME.hex, for replay.
 *
 * One conversation a file.  `# text` is a comment, `! text` says who was who
 * when it was recorded, `C: hex` and `S: hex` are octets of the connecting
 * and the binding side in the order of their arrival, `! eof C` and
 * `! eof S` say who closed.  `hh*N` is octet hh N times.
 */
#ifndef TEST_VECTOR_H
#define TEST_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vector_line {
    char side; /* 'C' or 'S' */
    bool eof;  /* this side closed here; no data */
    uint8_t *data;
    size_t len;
};

struct vector {
    struct vector_line *lines;
    size_t count;
};

/* Read $top_srcdir/tests/vectors/NAME.hex: 0, or -errno; -EINVAL is a line
 * that follows none of the forms above. */
int vector_load(struct vector *vector, const char *name);

/* Release what vector_load made. */
void vector_free(struct vector *vector);

/* Decode hex tokens into `out`: how many octets, or -EINVAL; -ENOSPC when
 * `room` is too small. */
long vector_hex(const char *text, uint8_t *out, size_t room);

#endif
