/*
 * driver.c - runs a fuzz target without libFuzzer, see driver.h.
 *
 *     fuzz_X             seeds, then mutations of them
 *     fuzz_X FILE...     these inputs
 *     fuzz_X -o FOLDER   write the seeds, as a corpus for libFuzzer
 *
 * $WEIR_FUZZ_RUNS mutations ($WEIR_FUZZ_SEED starts their dice).
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/driver.h"

#define ROOM  (1 << 16)
#define SEEDS 1024
#define RUNS  30000

struct input {
    uint8_t *data;
    size_t len;
};

static struct input seeds[SEEDS];
static size_t seed_count;
static uint32_t dice_state;

static uint32_t dice(void)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 17;
    dice_state ^= dice_state << 5;
    return dice_state;
}

static size_t below(size_t n)
{
    return n == 0 ? 0 : dice() % n;
}

static unsigned long setting(const char *name, unsigned long fallback)
{
    const char *text = getenv(name);

    return text == NULL ? fallback : strtoul(text, NULL, 10);
}

static bool load_seeds(void)
{
    static uint8_t room[ROOM];
    struct input *seed = seeds;

    while (seed_count < SEEDS) {
        seed->len = fuzz_seed(seed_count, room, sizeof room);
        if (seed->len == 0)
            break;
        seed->data = malloc(seed->len);
        if (seed->data == NULL)
            return false;
        memcpy(seed->data, room, seed->len);
        seed_count++;
        seed++;
    }
    return seed_count > 0;
}

static void free_seeds(void)
{
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].data);
}

/* From memory of just this size, so that reading beyond it shows. */
static bool run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (copy == NULL)
        return false;
    memcpy(copy, data, len);
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    return true;
}

/* ---- mutations: each changes the input in one place */

static void flip_bit(struct input *input)
{
    if (input->len > 0)
        input->data[below(input->len)] ^= (uint8_t)(1 << below(8));
}

static void set_octet(struct input *input)
{
    static const uint8_t edges[] = {0, 1, 2, 4, 0x7F, 0x80, 0xFE, 0xFF};

    if (input->len > 0)
        input->data[below(input->len)] =
            below(2) ? (uint8_t)dice() : edges[below(sizeof edges)];
}

static void cut_end(struct input *input)
{
    input->len = below(input->len + 1);
}

static void delete_octets(struct input *input)
{
    size_t at = below(input->len), n = below(9);

    if (n > input->len - at)
        n = input->len - at;
    memmove(input->data + at, input->data + at + n, input->len - at - n);
    input->len -= n;
}

static void insert(struct input *input, const uint8_t *data, size_t len)
{
    size_t at = below(input->len + 1);

    if (len > ROOM - input->len)
        return;
    memmove(input->data + at + len, input->data + at, input->len - at);
    memcpy(input->data + at, data, len);
    input->len += len;
}

static void insert_octets(struct input *input)
{
    uint8_t octets[8];
    size_t len = 1 + below(sizeof octets);

    for (size_t i = 0; i < len; i++)
        octets[i] = (uint8_t)dice();
    insert(input, octets, len);
}

static void insert_of_another(struct input *input)
{
    const struct input *seed = &seeds[below(seed_count)];
    size_t from = below(seed->len);

    insert(input, seed->data + from, below(seed->len - from + 1));
}

static void (*const mutations[])(struct input *) = {
    flip_bit,      set_octet,     cut_end,
    delete_octets, insert_octets, insert_of_another,
};

static bool run_mutation(void)
{
    static uint8_t room[ROOM];
    const struct input *seed = &seeds[below(seed_count)];
    struct input input = {room, seed->len};

    memcpy(room, seed->data, seed->len);
    for (size_t n = 1 + below(6); n > 0; n--)
        mutations[below(sizeof mutations / sizeof mutations[0])](&input);
    return run(input.data, input.len);
}

static bool run_seeds(void)
{
    for (size_t i = 0; i < seed_count; i++) {
        if (!run(seeds[i].data, seeds[i].len))
            return false;
    }
    return true;
}

static bool loop(void)
{
    unsigned long runs = setting("WEIR_FUZZ_RUNS", RUNS);

    dice_state = (uint32_t)setting("WEIR_FUZZ_SEED", 1) | 1;
    if (!load_seeds() || !run_seeds())
        return false;
    for (unsigned long i = 0; i < runs; i++) {
        if (!run_mutation())
            return false;
    }
    printf("%zu seeds, %lu mutations\n", seed_count, runs);
    return true;
}

/* ---- files */

static bool run_file(const char *path)
{
    static uint8_t room[ROOM];
    FILE *file = fopen(path, "rb");
    size_t len;

    if (file == NULL) {
        perror(path);
        return false;
    }
    len = fread(room, 1, sizeof room, file);
    fclose(file);
    return run(room, len);
}

static bool write_seed(const char *folder, size_t i)
{
    char path[4096];
    FILE *file;
    bool right;

    snprintf(path, sizeof path, "%s/%zu", folder, i);
    file = fopen(path, "wb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    right = fwrite(seeds[i].data, 1, seeds[i].len, file) == seeds[i].len;
    return fclose(file) == 0 && right;
}

static bool write_seeds(const char *folder)
{
    bool right = load_seeds();

    for (size_t i = 0; right && i < seed_count; i++)
        right = write_seed(folder, i);
    return right;
}

int main(int argc, char **argv)
{
    bool right = true;

    if (argc == 1)
        right = loop();
    else if (argc == 3 && strcmp(argv[1], "-o") == 0)
        right = write_seeds(argv[2]);
    else
        for (int i = 1; right && i < argc; i++)
            right = run_file(argv[i]);
    free_seeds();
    return right ? 0 : 1;
}
