/* names.c - a hash table of names behind one mutex. */
#include "config.h"

#include "names.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024 /* a power of two */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_inproc_name *table[BUCKETS];

static bool watched; /* forks are; guarded by the lock */

void weir_inproc_names_lock(void)
{
    (void)pthread_mutex_lock(&lock);
}

void weir_inproc_names_unlock(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* A child that opens a context of its own uses this table, so it must not
 * inherit a lock that a thread of the parent held. */
int weir_inproc_names_init(void)
{
    int code = 0;

    weir_inproc_names_lock();
    if (!watched)
        code = pthread_atfork(weir_inproc_names_lock, weir_inproc_names_unlock,
                              weir_inproc_names_unlock);
    watched = code == 0;
    weir_inproc_names_unlock();
    return -code;
}

/* FNV-1a, over the scope as well. */
static struct weir_inproc_name **bucket(uint64_t scope, const char *text,
                                        size_t size)
{
    uint64_t hash = (14695981039346656037u ^ scope) * 1099511628211u;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    return &table[(hash ^ hash >> 32) & (BUCKETS - 1)];
}

static bool same(const struct weir_inproc_name *name, uint64_t scope,
                 const char *text, size_t size)
{
    return name->scope == scope && name->size == size &&
           memcmp(name->text, text, size) == 0;
}

static struct weir_inproc_name *make(uint64_t scope, const char *text,
                                     size_t size)
{
    struct weir_inproc_name *name = calloc(1, sizeof *name + size);

    if (!name)
        return NULL;
    name->scope = scope;
    name->size = size;
    memcpy(name->text, text, size);
    return name;
}

struct weir_inproc_name *weir_inproc_name_hold(uint64_t scope, const char *text,
                                               size_t size)
{
    struct weir_inproc_name **place = bucket(scope, text, size);
    struct weir_inproc_name *name = *place;

    while (name && !same(name, scope, text, size))
        name = name->next;
    if (!name) {
        name = make(scope, text, size);
        if (!name)
            return NULL;
        name->next = *place;
        *place = name;
    }
    name->users++;
    return name;
}

void weir_inproc_name_drop(struct weir_inproc_name *name)
{
    struct weir_inproc_name **place;

    if (--name->users > 0)
        return;
    place = bucket(name->scope, name->text, name->size);
    while (*place != name)
        place = &(*place)->next;
    *place = name->next;
    free(name);
}

void weir_inproc_name_wait(struct weir_inproc_end *dialer)
{
    struct weir_inproc_name *name = dialer->name;

    if (dialer->waits)
        return;
    dialer->waits = true;
    dialer->next = NULL;
    dialer->prev = name->last;
    if (name->last)
        name->last->next = dialer;
    else
        name->first = dialer;
    name->last = dialer;
}

void weir_inproc_name_leave(struct weir_inproc_end *dialer)
{
    struct weir_inproc_name *name = dialer->name;

    if (!dialer->waits)
        return;
    dialer->waits = false;
    if (dialer->prev)
        dialer->prev->next = dialer->next;
    else
        name->first = dialer->next;
    if (dialer->next)
        dialer->next->prev = dialer->prev;
    else
        name->last = dialer->prev;
}
