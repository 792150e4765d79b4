/*
 * biased.c - the ways that are not the owner's; see biased.h.
 *
 * What a lock's word goes through:
 *
 *   FREE -> HELD -> FREE       by whoever comes
 *   HELD -> CONTENDED -> FREE  somebody waits
 *   HELD -> OWNED              instead of releasing it
 *   OWNED -> REVOKING -> HELD  by another thread, or CONTENDED if that has
 *                              slept; `handed_to` says whose it is
 *   OWNED -> HELD              by an owner who holds another lock so
 *   OWNED -> FREE              by an owner who gives it up
 */
#include "config.h"

#include "base/biased.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/park.h"

enum {
    SPINS = 40,    /* about a microsecond: critical sections are shorter than
                      going to sleep */
    LOOKS = 400,   /* as long as a heavy fence takes where that takes long */
    NAP_NS = 50000 /* then whoever passes it was interrupted */
};

struct weir_resident weir_residents[WEIR_BIASED_RESIDENTS];

static struct weir_lock registering;
static _Atomic uint32_t n_residents;

static enum weir_biased_state state_of(uint32_t word)
{
    return (enum weir_biased_state)(uint8_t)word;
}

static uint32_t load(struct weir_biased *lock)
{
    return atomic_load(&lock->word);
}

static bool change(struct weir_biased *lock, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong(&lock->word, &from, to);
}

void weir_biased_in_child(void)
{
    weir_lock_init(&registering);
    for (uint32_t i = 0; i < atomic_load(&n_residents); i++)
        atomic_init(&weir_residents[i].inside, NULL);
}

void weir_biased_init(struct weir_biased *lock)
{
    atomic_init(&lock->word, WEIR_BIASED_FREE);
    atomic_init(&lock->handed_to, NULL);
    lock->streak = 0;
}

/* ---- taking ---- */

/* Somebody finds out where the owner is, which takes no longer than a heavy
 * fence, unless it was interrupted.  Nobody wakes us from this: a wake-up of
 * the word is for one who waits for the lock, and would be lost on us. */
static void nap(void)
{
    _Atomic uint32_t never = 0;

    (void)weir_park(&never, 0, weir_now() + NAP_NS);
}

/* The owner, who has found the word changed, has left or stands aside, and
 * waits until whoever changed it has decided.  True: it was seen inside, and
 * holds the lock. */
bool weir_biased_await_decision(struct weir_biased *lock,
                                struct weir_resident *owner)
{
    uint32_t index = (uint32_t)(owner - weir_residents);
    uint32_t undecided = WEIR_BIASED_REVOKING | index << WEIR_BIASED_INDEX;

    atomic_store(&owner->inside, NULL);
    for (int i = 0; load(lock) == undecided; i++) {
        if (i < LOOKS)
            weir_cpu_relax();
        else
            nap();
    }
    if (atomic_load_explicit(&lock->handed_to, memory_order_relaxed) != owner)
        return false;
    atomic_store_explicit(&lock->handed_to, NULL, memory_order_relaxed);
    return true;
}

bool weir_biased_stays(struct weir_biased *lock, struct weir_resident *owner)
{
    return weir_biased_owner_if_me(load(lock)) == owner ||
           weir_biased_await_decision(lock, owner);
}

/* The owner holds another lock by being its owner, and can be noted inside of
 * only one: it takes this one as anybody does.  Nobody has to be asked. */
static bool step_down(struct weir_biased *lock, uint32_t word, uint32_t as,
                      struct weir_resident *owner)
{
    return atomic_load(&owner->inside) != lock && change(lock, word, as);
}

/* Take the bias away.  True: the lock is ours. */
static bool revoke(struct weir_biased *lock, uint32_t word, uint32_t as)
{
    struct weir_resident *owner = &weir_residents[word >> WEIR_BIASED_INDEX];
    bool inside;

    if (!change(lock, word, WEIR_BIASED_REVOKING | (word & ~UINT32_C(0xff))))
        return false;
    weir_fence_heavy();
    inside = atomic_load(&owner->inside) == lock;
    if (inside)
        atomic_store_explicit(&lock->handed_to, owner, memory_order_relaxed);
    else
        lock->streak = 0;
    atomic_store(&lock->word, inside ? WEIR_BIASED_HELD : as);
    return !inside;
}

/* One attempt at the lock as it is; `as` is what it becomes. */
static bool attempt(struct weir_biased *lock, uint32_t word, uint32_t as)
{
    struct weir_resident *owner = weir_biased_owner_if_me(word);

    if (owner)
        return step_down(lock, word, as, owner);
    if (state_of(word) == WEIR_BIASED_OWNED)
        return revoke(lock, word, as);
    return state_of(word) == WEIR_BIASED_FREE && change(lock, word, as);
}

/* Again, if it has changed meanwhile and may be had. */
bool weir_biased_try_slowly(struct weir_biased *lock)
{
    uint32_t word, next = load(lock);

    do {
        word = next;
        if (attempt(lock, word, WEIR_BIASED_HELD))
            return true;
        next = load(lock);
    } while (next != word && (state_of(next) == WEIR_BIASED_FREE ||
                              state_of(next) == WEIR_BIASED_OWNED));
    return false;
}

/* It is held: sleep until it is released, or somebody has decided. */
static void sleep_for(struct weir_biased *lock, uint32_t word)
{
    if (state_of(word) == WEIR_BIASED_REVOKING)
        nap();
    else if (state_of(word) == WEIR_BIASED_CONTENDED ||
             (state_of(word) == WEIR_BIASED_HELD &&
              change(lock, word, WEIR_BIASED_CONTENDED)))
        (void)weir_park(&lock->word, WEIR_BIASED_CONTENDED, WEIR_NEVER);
}

/* Whoever has slept takes the lock as contended, since others may be asleep
 * still; the price is one needless wake-up by the last of them. */
void weir_biased_wait(struct weir_biased *lock)
{
    uint32_t word = load(lock);

    for (int i = 0; i < SPINS && state_of(word) != WEIR_BIASED_CONTENDED; i++) {
        if (attempt(lock, word, WEIR_BIASED_HELD))
            return;
        weir_cpu_relax();
        word = load(lock);
    }
    while (!attempt(lock, word, WEIR_BIASED_CONTENDED)) {
        sleep_for(lock, word);
        word = load(lock);
    }
}

/* ---- releasing ---- */

/* Of a thread that has owned a lock before, or can from now on; NULL: there are
 * too many. */
static struct weir_resident *find_resident(weir_thread_id thread)
{
    struct weir_resident *found = NULL;
    uint32_t n;

    weir_lock_take(&registering);
    n = atomic_load(&n_residents);
    for (uint32_t i = 0; i < n && !found; i++)
        if (weir_thread_same(weir_residents[i].thread, thread))
            found = &weir_residents[i];
    if (!found && n < WEIR_BIASED_RESIDENTS) {
        found = &weir_residents[n];
        found->thread = thread;
        atomic_store(&n_residents, n + 1);
    }
    weir_lock_release(&registering);
    return found;
}

/* The lock was taken so often by this thread that it should be its own: by then
 * that has cost as much more as it costs to take a bias away, so that a lock
 * which goes to and fro is not much dearer than one that is never biased. */
static bool earned(struct weir_biased *lock, weir_thread_id thread)
{
    if (lock->streak == 0 || !weir_thread_same(lock->last, thread)) {
        lock->last = thread;
        lock->streak = 1;
        return false;
    }
    return ++lock->streak >= WEIR_BIASED_EARNED && weir_fence_is_asymmetric();
}

/* Leave the lock to this thread, if nobody waits for it. */
static bool keep(struct weir_biased *lock, weir_thread_id thread)
{
    struct weir_resident *owner = find_resident(thread);

    lock->streak = 0;
    return owner &&
           change(lock, WEIR_BIASED_HELD,
                  WEIR_BIASED_OWNED | (uint32_t)(owner - weir_residents)
                                          << WEIR_BIASED_INDEX);
}

/* The owner, from whom the bias was taken while it was inside. */
static bool was_handed(struct weir_biased *lock)
{
    struct weir_resident *owner =
        atomic_load_explicit(&lock->handed_to, memory_order_relaxed);

    if (!owner)
        return false;
    atomic_store_explicit(&lock->handed_to, NULL, memory_order_relaxed);
    atomic_store(&owner->inside, NULL);
    return true;
}

void weir_biased_release_slowly(struct weir_biased *lock)
{
    uint32_t word = load(lock);
    weir_thread_id self = weir_thread_self();

    weir_debug_assert(word != WEIR_BIASED_FREE);
    if (state_of(word) == WEIR_BIASED_REVOKING) {
        if (!weir_biased_await_decision(
                lock, &weir_residents[word >> WEIR_BIASED_INDEX]))
            return;
    } else if (!was_handed(lock) && earned(lock, self) && keep(lock, self)) {
        return;
    }
    if (atomic_exchange(&lock->word, WEIR_BIASED_FREE) == WEIR_BIASED_CONTENDED)
        weir_unpark(&lock->word, 1);
}

void weir_biased_left(struct weir_biased *lock, struct weir_resident *owner)
{
    if (weir_biased_await_decision(lock, owner))
        weir_biased_release_slowly(lock);
}

/* From when it has left on it may be anybody's, and its word something else. */
void weir_biased_give_up(struct weir_biased *lock)
{
    uint32_t word = load(lock);
    struct weir_resident *owner = weir_biased_owner_if_me(word);

    if (!owner) {
        weir_biased_release(lock);
        return;
    }
    lock->streak = WEIR_BIASED_EARNED - 1; /* `last` is the owner */
    if (weir_biased_leave(lock, owner, word)) {
        (void)change(lock, word, WEIR_BIASED_FREE);
    } else if (weir_biased_await_decision(lock, owner)) {
        lock->streak = 0; /* not to have it back at once */
        weir_biased_release_slowly(lock);
    }
}
