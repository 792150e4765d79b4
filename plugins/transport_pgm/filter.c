/*
 * filter.c - the filter, written with jumps to the two verdicts at its end.
 *
 * X is where the PGM header begins, and so all loads are relative to that;
 * M[0] has the octets from there on.
 */
#include "config.h"

#include "filter.h"

#include <errno.h>

#include <netinet/in.h>
#include <sys/socket.h>

#ifdef HAVE_LINUX_SOCK_DIAG_H
#include <linux/sock_diag.h>
#endif

/* The header: ports (4), type, options, checksum (2), source (6), length of
 * the data (2). */
enum { TYPE = 4, OPTIONS = 5, CHECKSUM = 6, LENGTH = 14, HEADER = 16 };
enum { SPM = 0, ODATA = 4, RDATA = 5, NAK = 8, NCF = 10, SPMR = 12 };
enum { DATA = HEADER + 8 }; /* a number and the trail, then the data */
enum { HAS_OPTIONS = 1, FOR_NETWORK = 2 };
enum { END = 0x80, LIST = 2, FIN = 14 }; /* kinds of options */

/* Jumps that mean a verdict; made into distances at the end. */
enum { ON = 0, DROP = 254, KEEP = 255 };

/* Where things are in packets of one family. */
struct layout {
    unsigned spm_afi, spm_end; /* path: address family, end of the packet */
    unsigned source_afi, group_afi, nak_end;
    unsigned afi; /* the value of all of them */
};

static const struct layout layouts[2] = {
    {HEADER + 12, HEADER + 20, HEADER + 4, HEADER + 12, HEADER + 20, 1},
    {HEADER + 12, HEADER + 32, HEADER + 4, HEADER + 24, HEADER + 44, 2},
};

static void add(struct weir_pgm_filter *filter, unsigned code, unsigned k,
                unsigned yes, unsigned no)
{
    if (filter->n < WEIR_PGM_FILTER_MAX)
        filter->code[filter->n] =
            (struct sock_filter){(uint16_t)code, (uint8_t)yes, (uint8_t)no, k};
    filter->n++;
}

static void load(struct weir_pgm_filter *filter, unsigned size, unsigned at)
{
    add(filter, BPF_LD | size | BPF_IND, at, ON, ON);
}

static void load_size(struct weir_pgm_filter *filter)
{
    add(filter, BPF_LD | BPF_MEM, 0, ON, ON);
}

/* Drop the packet unless A is that. */
static void want(struct weir_pgm_filter *filter, unsigned value)
{
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, value, ON, DROP);
}

static void want_at(struct weir_pgm_filter *filter, unsigned size, unsigned at,
                    unsigned value)
{
    load(filter, size, at);
    want(filter, value);
}

static void keep(struct weir_pgm_filter *filter)
{
    add(filter, BPF_RET | BPF_K, 0x40000, ON, ON);
}

/* Drop the packet unless its options octet has no other bits than those. */
static void want_flags(struct weir_pgm_filter *filter, unsigned allowed)
{
    load(filter, BPF_B, OPTIONS);
    add(filter, BPF_JMP | BPF_JSET | BPF_K, 0xff & ~allowed, DROP, ON);
}

/* M[0] is the size; a packet without a checksum is none. */
static void begin(struct weir_pgm_filter *filter, bool udp, int family)
{
    if (udp)
        add(filter, BPF_LDX | BPF_W | BPF_IMM, 8, ON, ON);
    else if (family == AF_INET)
        add(filter, BPF_LDX | BPF_B | BPF_MSH, 0, ON, ON);
    else
        add(filter, BPF_LDX | BPF_W | BPF_IMM, 0, ON, ON);
    add(filter, BPF_LD | BPF_W | BPF_LEN, 0, ON, ON);
    add(filter, BPF_ALU | BPF_SUB | BPF_X, 0, ON, ON);
    add(filter, BPF_ST, 0, ON, ON);
    add(filter, BPF_JMP | BPF_JGE | BPF_K, HEADER, ON, DROP);
    add(filter, BPF_JMP | BPF_JGE | BPF_K, 0x10000, DROP, ON);
    load(filter, BPF_H, CHECKSUM);
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, DROP, ON);
}

/* The packets of one type end with a verdict; others go on behind them. */
static unsigned begin_type(struct weir_pgm_filter *filter, unsigned type)
{
    load(filter, BPF_B, TYPE);
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, type, ON, ON);
    return filter->n - 1;
}

static void end_type(struct weir_pgm_filter *filter, unsigned from)
{
    if (filter->n <= WEIR_PGM_FILTER_MAX)
        filter->code[from].jf = (uint8_t)(filter->n - from - 1);
}

static void pass_data(struct weir_pgm_filter *filter, unsigned type)
{
    unsigned from = begin_type(filter, type);

    want_flags(filter, 0);
    load(filter, BPF_H, LENGTH);
    add(filter, BPF_JMP | BPF_JGE | BPF_K, 2, ON, DROP);
    add(filter, BPF_ALU | BPF_ADD | BPF_K, DATA, ON, ON);
    add(filter, BPF_ST, 1, ON, ON);
    load_size(filter);
    add(filter, BPF_MISC | BPF_TAX, 0, ON, ON);
    add(filter, BPF_LD | BPF_MEM, 1, ON, ON);
    add(filter, BPF_JMP | BPF_JEQ | BPF_X, 0, ON, DROP);
    keep(filter);
    end_type(filter, from);
}

/* Without options, or with the one that ends a session. */
static void pass_spm(struct weir_pgm_filter *filter,
                     const struct layout *layout)
{
    unsigned from = begin_type(filter, SPM);

    want_flags(filter, HAS_OPTIONS);
    want_at(filter, BPF_H, layout->spm_afi, layout->afi);
    load_size(filter);
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, layout->spm_end, ON, 3);
    load(filter, BPF_B, OPTIONS);
    want(filter, 0);
    keep(filter);
    want(filter, layout->spm_end + 8);
    want_at(filter, BPF_B, OPTIONS, HAS_OPTIONS);
    want_at(filter, BPF_W, layout->spm_end, 0x00040008);
    want_at(filter, BPF_H, layout->spm_end + 4, (END | FIN) << 8 | 4);
    keep(filter);
    end_type(filter, from);
}

/* Without options, or with a list of numbers to the end of the packet. */
static void pass_request(struct weir_pgm_filter *filter, unsigned type,
                         const struct layout *layout)
{
    unsigned from = begin_type(filter, type);

    want_flags(filter, HAS_OPTIONS | FOR_NETWORK);
    want_at(filter, BPF_H, layout->source_afi, layout->afi);
    want_at(filter, BPF_H, layout->group_afi, layout->afi);
    load_size(filter);
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, layout->nak_end, ON, 3);
    load(filter, BPF_B, OPTIONS);
    add(filter, BPF_JMP | BPF_JSET | BPF_K, HAS_OPTIONS, DROP, ON);
    keep(filter);
    load(filter, BPF_B, OPTIONS);
    add(filter, BPF_JMP | BPF_JSET | BPF_K, HAS_OPTIONS, ON, DROP);
    want_at(filter, BPF_H, layout->nak_end, 4);
    want_at(filter, BPF_B, layout->nak_end + 4, END | LIST);
    load(filter, BPF_B, layout->nak_end + 5);
    add(filter, BPF_JMP | BPF_JGE | BPF_K, 8, ON, DROP);
    add(filter, BPF_JMP | BPF_JSET | BPF_K, 3, DROP, ON);
    add(filter, BPF_JMP | BPF_JGT | BPF_K, 252, DROP, ON);
    add(filter, BPF_ALU | BPF_ADD | BPF_K, layout->nak_end + 4, ON, ON);
    add(filter, BPF_ST, 1, ON, ON);
    load_size(filter);
    add(filter, BPF_MISC | BPF_TAX, 0, ON, ON);
    add(filter, BPF_LD | BPF_MEM, 1, ON, ON);
    add(filter, BPF_JMP | BPF_JEQ | BPF_X, 0, ON, DROP);
    keep(filter);
    end_type(filter, from);
}

static void pass_bare(struct weir_pgm_filter *filter, unsigned type)
{
    unsigned from = begin_type(filter, type);

    want_flags(filter, 0);
    load_size(filter);
    want(filter, HEADER);
    keep(filter);
    end_type(filter, from);
}

static void set_verdicts(struct weir_pgm_filter *filter)
{
    unsigned drop = filter->n;

    add(filter, BPF_RET | BPF_K, 0, ON, ON);
    if (filter->n > WEIR_PGM_FILTER_MAX)
        return;
    for (unsigned i = 0; i < drop; i++) {
        struct sock_filter *one = &filter->code[i];

        if (one->jt == DROP)
            one->jt = (uint8_t)(drop - i - 1);
        if (one->jf == DROP)
            one->jf = (uint8_t)(drop - i - 1);
    }
}

void weir_pgm_filter_make(struct weir_pgm_filter *filter, int family, bool udp,
                          bool sends)
{
    const struct layout *layout = &layouts[family == AF_INET6];

    filter->n = 0;
    begin(filter, udp, family);
    if (sends) {
        pass_request(filter, NAK, layout);
    } else {
        pass_data(filter, ODATA);
        pass_data(filter, RDATA);
        pass_spm(filter, layout);
        pass_request(filter, NCF, layout);
    }
    pass_bare(filter, SPMR);
    set_verdicts(filter);
}

int weir_pgm_filter_attach(const struct weir_pgm_filter *filter, int fd)
{
    struct sock_fprog program = {
        .len = (unsigned short)filter->n,
        .filter = (struct sock_filter *)(uintptr_t)filter->code,
    };
    uint8_t waste;

    if (filter->n > WEIR_PGM_FILTER_MAX)
        return -ENOBUFS;
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) <
        0)
        return -errno;
    while (recv(fd, &waste, sizeof waste, MSG_DONTWAIT) >= 0)
        ;
    return 0;
}

uint32_t weir_pgm_filter_drops(int fd)
{
#if defined(SO_MEMINFO) && defined(HAVE_LINUX_SOCK_DIAG_H)
    uint32_t values[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof values;

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &size) == 0)
        return values[SK_MEMINFO_DROPS];
#else
    (void)fd;
#endif
    return 0;
}
