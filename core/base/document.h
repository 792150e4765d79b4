/*
 * document.h - a text of JSON that grows.
 * Above: report.c.  Below: malloc.
 *
 * Without memory, or beyond `most` octets, the document is marked as failed,
 * and what follows does nothing: it is looked at once, at the end.
 */
#ifndef WEIR_BASE_DOCUMENT_H
#define WEIR_BASE_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weir_document {
    char *data; /* no NUL behind it */
    size_t size, room;
    size_t most; /* octets it may have; set by the owner */
    bool failed;
};

/* Forget the content, keep the memory.  Zeroed memory and a `most` is an empty
 * document. */
void weir_document_clear(struct weir_document *doc);

/* Free it. */
void weir_document_fini(struct weir_document *doc);

/* Begin an object ('{') or a list ('['), and end it ('}', ']').  In what
 * follows `name` is that of a member of an object; NULL: it is an element of a
 * list, or the outermost. */
void weir_document_open(struct weir_document *doc, const char *name, char kind);
void weir_document_close(struct weir_document *doc, char kind);

/* A number, true or false. */
void weir_document_number(struct weir_document *doc, const char *name,
                          uint64_t number);
void weir_document_flag(struct weir_document *doc, const char *name, bool is);

/* A string.  Octets that are no UTF-8 become U+FFFD, each. */
void weir_document_text(struct weir_document *doc, const char *name,
                        const char *text);

#endif
