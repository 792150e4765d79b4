/* session.c - see session.h. */
#include "config.h"

#include "session.h"

#include "../common/system.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "filter.h"

/* The header (16), the number and the trail (8) are in front of the data;
 * libzmq leaves room for the options of a fragment, and does not use it. */
enum { PGM_HEADER = 24, NO_OPTIONS = 20, UDP_HEADER = 8, DESCRIPTORS = 7 };

/* Times in us; those of libzmq, so that both behave as one on a group. */
enum {
    SECOND = 1000000,
    AMBIENT = 30 * SECOND,
    PEER_EXPIRY = 300 * SECOND,
    SPMR_EXPIRY = 25000,
    NAK_BACK_OFF = 50000,
    NAK_REPEAT = 200000,
    NAK_DATA_WAIT = 200000,
    RETRIES = 50
};

static const int heartbeats[] = {100000,      100000,      100000,
                                 100000,      1300000,     7 * SECOND,
                                 16 * SECOND, 25 * SECOND, 30 * SECOND};

/* openpgm's sentence, which is freed. */
static int complain(const struct weir_pgm_plan *plan, int code,
                    pgm_error_t *why, weir_error *error)
{
    code = plan->host->fail(
        error, code, "%s://%s: %s", plan->scheme, plan->text,
        why && why->message ? why->message : "openpgm gives no reason");
    if (why)
        pgm_error_free(why);
    return code;
}

static int code_of(const pgm_error_t *why)
{
    static const struct {
        int theirs, ours;
    } codes[] = {
        {PGM_ERROR_PERM, EPERM},     {PGM_ERROR_MFILE, EMFILE},
        {PGM_ERROR_NFILE, ENFILE},   {PGM_ERROR_NODEV, ENODEV},
        {PGM_ERROR_NOMEM, ENOMEM},   {PGM_ERROR_NOBUFS, ENOBUFS},
        {PGM_ERROR_INVAL, EINVAL},   {PGM_ERROR_NXIO, ENXIO},
        {PGM_ERROR_NONET, ENETDOWN}, {PGM_ERROR_AFNOSUPPORT, EAFNOSUPPORT},
    };

    for (size_t i = 0; why && i < sizeof codes / sizeof codes[0]; i++)
        if (why->code == codes[i].theirs)
            return codes[i].ours;
    return EIO;
}

/* ------------------------------------------- what must not fail inside -- */

/* There have to be as many before openpgm begins. */
static int check_descriptors(const struct weir_pgm_plan *plan,
                             weir_error *error)
{
    char reason[WEIR_REASON_ROOM];
    int fds[DESCRIPTORS], n = 0, rc = 0;

    while (n < DESCRIPTORS && rc == 0) {
        fds[n] = eventfd(0, EFD_CLOEXEC);
        if (fds[n] < 0)
            rc = -errno;
        else
            n++;
    }
    while (n > 0)
        (void)close(fds[--n]);
    if (rc < 0)
        return plan->host->fail(error, -rc,
                                "%s://%s: %d descriptors are needed: %s",
                                plan->scheme, plan->text, DESCRIPTORS,
                                weir_common_reason(-rc, reason, sizeof reason));
    return 0;
}

/* A socket of openpgm that ends before it has descriptors for its notices
 * closes descriptor 0 with them.  A copy of that is kept meanwhile; fd < 0:
 * there is none.  None is made of a file, since closing the copy would release
 * the locks that the process has on it, see fcntl(2). */
struct zero {
    int fd, flags;
};

static struct zero keep_zero(void)
{
    struct stat is;

    if (fstat(STDIN_FILENO, &is) < 0 || S_ISREG(is.st_mode))
        return (struct zero){.fd = -1};
    return (struct zero){.fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC,
                                     STDERR_FILENO + 1),
                         .flags = fcntl(STDIN_FILENO, F_GETFD)};
}

static void give_back(const struct zero *zero)
{
    if (zero->fd < 0)
        return;
    if (fcntl(STDIN_FILENO, F_GETFD) < 0 &&
        dup2(zero->fd, STDIN_FILENO) == STDIN_FILENO)
        (void)fcntl(STDIN_FILENO, F_SETFD, zero->flags);
    (void)close(zero->fd);
}

static int check_privilege(const struct weir_pgm_plan *plan, weir_error *error)
{
    char reason[WEIR_REASON_ROOM];
    int fd, rc;

    if (plan->udp)
        return 0;
    fd = socket(plan->address.family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_PGM);
    if (fd >= 0) {
        (void)close(fd);
        return 0;
    }
    rc = errno;
    if (rc == EPERM || rc == EACCES)
        return plan->host->fail(error, EPERM,
                                "%s://%s: raw IP needs the capability "
                                "CAP_NET_RAW; epgm:// needs none",
                                plan->scheme, plan->text);
    return plan->host->fail(error, rc, "%s://%s: %s", plan->scheme, plan->text,
                            weir_common_reason(rc, reason, sizeof reason));
}

/* -------------------------------------------------------------- settings -- */

/* A value that openpgm is to have. */
struct setting {
    int what, value;
};

static bool set(pgm_sock_t *sock, int what, int value)
{
    return pgm_setsockopt(sock, IPPROTO_PGM, what, &value, sizeof value);
}

static bool set_all(pgm_sock_t *sock, const struct setting *settings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!set(sock, settings[i].what, settings[i].value))
            return false;
    return true;
}

static bool set_sender(pgm_sock_t *sock, const struct weir_pgm_tuning *tuning)
{
    const struct setting settings[] = {
        {PGM_SEND_ONLY, 1},
        {PGM_TXW_SQNS, tuning->window},
        {PGM_AMBIENT_SPM, AMBIENT},
    };

    return set_all(sock, settings, sizeof settings / sizeof settings[0]) &&
           pgm_setsockopt(sock, IPPROTO_PGM, PGM_HEARTBEAT_SPM, heartbeats,
                          sizeof heartbeats);
}

static bool set_receiver(pgm_sock_t *sock, const struct weir_pgm_tuning *tuning)
{
    const struct setting settings[] = {
        {PGM_RECV_ONLY, 1},
        {PGM_RXW_SQNS, tuning->recv_window},
        {PGM_PEER_EXPIRY, PEER_EXPIRY},
        {PGM_SPMR_EXPIRY, SPMR_EXPIRY},
        {PGM_NAK_BO_IVL, NAK_BACK_OFF},
        {PGM_NAK_RPT_IVL, NAK_REPEAT},
        {PGM_NAK_RDATA_IVL, NAK_DATA_WAIT},
        {PGM_NAK_DATA_RETRIES, RETRIES},
        {PGM_NAK_NCF_RETRIES, RETRIES},
    };

    return set_all(sock, settings, sizeof settings / sizeof settings[0]);
}

static bool set_buffer(pgm_sock_t *sock, int what, int octets)
{
    return octets == 0 ||
           pgm_setsockopt(sock, SOL_SOCKET, what, &octets, sizeof octets);
}

static bool set_before(pgm_sock_t *sock, const struct weir_pgm_plan *plan)
{
    const struct weir_pgm_tuning *tuning = &plan->tuning;
    int port = plan->address.port;

    if (plan->udp && !(set(sock, PGM_UDP_ENCAP_UCAST_PORT, port) &&
                       set(sock, PGM_UDP_ENCAP_MCAST_PORT, port)))
        return false;
    return set(sock, PGM_MTU, tuning->number[WEIR_PGM_TPDU]) &&
           set_buffer(sock, SO_SNDBUF, tuning->number[WEIR_PGM_SEND_BUFFER]) &&
           set_buffer(sock, SO_RCVBUF, tuning->number[WEIR_PGM_RECV_BUFFER]) &&
           (plan->sends ? set_sender(sock, tuning)
                        : set_receiver(sock, tuning));
}

static bool set_after(pgm_sock_t *sock, const struct weir_pgm_plan *plan)
{
    const int *number = plan->tuning.number;
    const struct setting settings[] = {
        {PGM_MULTICAST_LOOP, number[WEIR_PGM_LOOP]},
        {PGM_MULTICAST_HOPS, number[WEIR_PGM_HOPS]},
        {PGM_NOBLOCK, 1},
    };

    return set_all(sock, settings, sizeof settings / sizeof settings[0]) &&
           (plan->address.family == AF_INET6 ||
            set(sock, PGM_TOS, number[WEIR_PGM_TOS]));
}

/* ----------------------------------------------------------- descriptors -- */

static void close_on_exec(int fd)
{
    if (fd >= 0)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* In the order of openpgm: what comes in, repairs to make (of a sender), data
 * that wait (of a receiver), what goes out (of a sender). */
static bool learn_descriptors(struct weir_pgm_session *session, bool sends)
{
    struct pollfd fds[4];
    int n = 4;

    if (pgm_poll_info(session->sock, fds, &n, POLLIN | POLLOUT) !=
        (sends ? 4 : 2))
        return false;
    session->recv_fd = fds[0].fd;
    session->repair_fd = sends ? fds[1].fd : -1;
    session->pending_fd = fds[sends ? 2 : 1].fd;
    session->send_fd = sends ? fds[3].fd : -1;
    for (int i = 0; i < n; i++)
        close_on_exec(fds[i].fd);
    return true;
}

static int hops_of(int fd, int family)
{
    int hops = -1;
    socklen_t size = sizeof hops;

    if (family == AF_INET)
        return getsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, &size) < 0
                   ? -1
                   : hops;
    return getsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, &size) < 0
               ? -1
               : hops;
}

/* openpgm does not know the traffic class of IPv6. */
static void set_class(int fd, const struct weir_pgm_plan *plan)
{
    int class = plan->tuning.number[WEIR_PGM_TOS];

    if (plan->address.family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof class);
}

/* Of the two sockets that openpgm sends by it tells a receiver of none, and
 * nobody of the one for what routers are to look at.  They are found by a
 * setting that only they have just now. */
static void adopt_sockets(const struct weir_pgm_session *session,
                          const struct weir_pgm_plan *plan)
{
    enum { MARK = 213, NEAR = 64 };
    int last = session->recv_fd + NEAR;

    if (!set(session->sock, PGM_MULTICAST_HOPS, MARK))
        return;
    for (int fd = 0; fd < last; fd++) {
        if (hops_of(fd, plan->address.family) != MARK)
            continue;
        close_on_exec(fd);
        set_class(fd, plan);
    }
}

/* Otherwise a socket gets what any other socket of the machine has joined. */
static void hear_own_groups(int fd, int family)
{
    int off = 0;

#ifdef IP_MULTICAST_ALL
    if (family == AF_INET)
        (void)setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off);
#endif
#ifdef IPV6_MULTICAST_ALL
    if (family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &off,
                         sizeof off);
#endif
    (void)off;
}

/* ---------------------------------------------------------------- opening --
 */

static bool new_source(struct pgm_sockaddr_t *out, uint16_t port)
{
    memset(out, 0, sizeof *out);
    out->sa_port = port;
    out->sa_addr.sport = DEFAULT_DATA_SOURCE_PORT; /* openpgm chooses */
    return getrandom(&out->sa_addr.gsi, sizeof out->sa_addr.gsi, 0) ==
           (ssize_t)sizeof out->sa_addr.gsi;
}

static int bind_socket(pgm_sock_t *sock, const struct weir_pgm_plan *plan,
                       weir_error *error)
{
    struct pgm_interface_req_t interface;
    struct pgm_sockaddr_t source;
    pgm_error_t *why = NULL;

    if (!new_source(&source, plan->address.port))
        return plan->host->fail(error, EIO, "%s://%s: no random numbers",
                                plan->scheme, plan->text);
    memset(&interface, 0, sizeof interface);
    interface.ir_interface = plan->interface.index;
    interface.ir_scope_id = plan->address.family == AF_INET6
                                ? plan->interface.address.v6.sin6_scope_id
                                : 0;
    memcpy(&interface.ir_address, &plan->interface.address,
           sizeof interface.ir_address);
    if (pgm_bind3(sock, &source, sizeof source, &interface, sizeof interface,
                  &interface, sizeof interface, &why))
        return 0;
    return complain(plan, code_of(why), why, error);
}

/* -------------------------------------------------------------- requests -- */

/* A socket for requests: at the interface's own address. */
static int open_requests(const struct weir_pgm_plan *plan)
{
    union weir_pgm_number at = plan->interface.address;
    int octets = plan->tuning.number[WEIR_PGM_RECV_BUFFER], on = 1;
    bool v4 = plan->address.family == AF_INET;
    int fd = socket(plan->address.family,
                    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    at.v4.sin_port = htons(plan->address.port); /* at the same place in both */
    if (octets > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
        setsockopt(fd, v4 ? (int)IPPROTO_IP : (int)IPPROTO_IPV6,
                   v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof on) == 0 &&
        bind(fd, &at.any, weir_pgm_size(&at)) == 0)
        return fd;
    on = -errno;
    (void)close(fd);
    return on;
}

/* Requests come to the group's port at the address of the machine, where
 * subscribers of this machine listen too; openpgm listens at no address in
 * particular, and the system would give a request to any of them.  A socket
 * with the address takes precedence, so the sender gets one. */
static int take_requests(const struct weir_pgm_session *session,
                         const struct weir_pgm_plan *plan, weir_error *error)
{
    char reason[WEIR_REASON_ROOM];
    int fd, rc = 0;

    if (!plan->udp || !plan->sends)
        return 0;
    fd = open_requests(plan);
    if (fd < 0)
        rc = fd;
    else if (dup3(fd, session->recv_fd, O_CLOEXEC) < 0)
        rc = -errno;
    if (fd >= 0)
        (void)close(fd);
    if (rc < 0)
        return plan->host->fail(error, -rc,
                                "%s://%s: cannot listen for requests: %s",
                                plan->scheme, plan->text,
                                weir_common_reason(-rc, reason, sizeof reason));
    return 0;
}

/* ---------------------------------------------------------------- set-up -- */

static int filter_socket(const struct weir_pgm_session *session,
                         const struct weir_pgm_plan *plan, weir_error *error)
{
    struct weir_pgm_filter filter;
    char reason[WEIR_REASON_ROOM];
    int rc;

    hear_own_groups(session->recv_fd, plan->address.family);
    weir_pgm_filter_make(&filter, plan->address.family, plan->udp, plan->sends);
    rc = weir_pgm_filter_attach(&filter, session->recv_fd);
    if (rc < 0)
        return plan->host->fail(error, -rc,
                                "%s://%s: cannot filter packets: %s",
                                plan->scheme, plan->text,
                                weir_common_reason(-rc, reason, sizeof reason));
    return 0;
}

static bool use_group(pgm_sock_t *sock, int what, unsigned index,
                      const union weir_pgm_number *group)
{
    struct group_req request;

    memset(&request, 0, sizeof request);
    request.gr_interface = index;
    memcpy(&request.gr_group, &group->storage, sizeof request.gr_group);
    return pgm_setsockopt(sock, IPPROTO_PGM, what, &request, sizeof request);
}

static int join_groups(pgm_sock_t *sock, const struct weir_pgm_plan *plan,
                       weir_error *error)
{
    char text[INET6_ADDRSTRLEN], reason[WEIR_REASON_ROOM];
    unsigned index = plan->interface.index;
    const union weir_pgm_number *group = &plan->address.send;
    bool good;

    errno = 0;
    good = use_group(sock, PGM_SEND_GROUP, index, group);
    for (int i = 0; good && i < plan->address.n_groups; i++) {
        group = &plan->address.groups[i];
        good = use_group(sock, PGM_JOIN_GROUP, index, group);
    }
    if (good)
        return 0;
    return plan->host->fail(error, errno ? errno : EIO,
                            "%s://%s: cannot join the group %s: %s",
                            plan->scheme, plan->text,
                            weir_pgm_text(group, text, sizeof text),
                            weir_common_reason(errno, reason, sizeof reason));
}

static int refuse_setting(const struct weir_pgm_plan *plan, weir_error *error)
{
    return plan->host->fail(error, EINVAL,
                            "%s://%s: openpgm does not take an option",
                            plan->scheme, plan->text);
}

static int set_up(struct weir_pgm_session *session,
                  const struct weir_pgm_plan *plan, weir_error *error)
{
    int rc = set_before(session->sock, plan) ? 0 : refuse_setting(plan, error);

    if (rc == 0)
        rc = bind_socket(session->sock, plan, error);
    if (rc == 0 && !learn_descriptors(session, plan->sends))
        rc = plan->host->fail(error, EIO,
                              "%s://%s: openpgm has other "
                              "descriptors than it should",
                              plan->scheme, plan->text);
    if (rc == 0)
        rc = take_requests(session, plan, error);
    if (rc == 0) {
        adopt_sockets(session, plan);
        rc = filter_socket(session, plan, error);
    }
    if (rc == 0)
        rc = join_groups(session->sock, plan, error);
    if (rc == 0 && !set_after(session->sock, plan))
        rc = refuse_setting(plan, error);
    return rc;
}

static void measure(struct weir_pgm_session *session,
                    const struct weir_pgm_plan *plan)
{
    size_t ip = plan->address.family == AF_INET ? 20 : 40;
    size_t udp = plan->udp ? UDP_HEADER : 0;

    session->headers = ip + udp + PGM_HEADER;
    session->room = (size_t)plan->tuning.number[WEIR_PGM_TPDU] -
                    session->headers - NO_OPTIONS;
}

static int open_socket(struct weir_pgm_session *session,
                       const struct weir_pgm_plan *plan, weir_error *error)
{
    pgm_error_t *why = NULL;
    int rc;

    if (!pgm_socket(&session->sock, (sa_family_t)plan->address.family,
                    SOCK_SEQPACKET, plan->udp ? IPPROTO_UDP : IPPROTO_PGM,
                    &why)) {
        session->sock = NULL;
        return complain(plan, code_of(why), why, error);
    }
    rc = set_up(session, plan, error);
    if (rc < 0)
        weir_pgm_session_close(session);
    return rc;
}

int weir_pgm_session_open(struct weir_pgm_session *session,
                          const struct weir_pgm_plan *plan, weir_error *error)
{
    int rc = check_privilege(plan, error);
    struct zero zero;

    if (rc == 0)
        rc = check_descriptors(plan, error);
    if (rc < 0)
        return rc;
    memset(session, 0, sizeof *session);
    measure(session, plan);
    zero = keep_zero();
    rc = open_socket(session, plan, error);
    give_back(&zero);
    return rc;
}

/* --------------------------------------------------------------- the rest --
 */

/* openpgm has to be in a group to start; a sender has no use for what others
 * send there. */
static void leave_groups(const struct weir_pgm_session *session,
                         const struct weir_pgm_plan *plan)
{
    int level =
        plan->address.family == AF_INET ? (int)IPPROTO_IP : (int)IPPROTO_IPV6;

    for (int i = 0; i < plan->address.n_groups; i++) {
        struct group_req request;

        memset(&request, 0, sizeof request);
        request.gr_interface = plan->interface.index;
        memcpy(&request.gr_group, &plan->address.groups[i].storage,
               sizeof request.gr_group);
        (void)setsockopt(session->recv_fd, level, MCAST_LEAVE_GROUP, &request,
                         sizeof request);
    }
}

int weir_pgm_session_start(struct weir_pgm_session *session,
                           const struct weir_pgm_plan *plan, weir_error *error)
{
    pgm_error_t *why = NULL;

    if (!pgm_connect(session->sock, &why))
        return complain(plan, code_of(why), why, error);
    if (plan->sends)
        leave_groups(session, plan);
    return 0;
}

void weir_pgm_session_close(struct weir_pgm_session *session)
{
    if (session->sock)
        (void)pgm_close(session->sock, true);
    session->sock = NULL;
}

uint64_t weir_pgm_session_due(const struct weir_pgm_session *session)
{
    struct timeval time = {0, 1000};
    socklen_t size = sizeof time;

    if (!pgm_getsockopt(session->sock, IPPROTO_PGM, PGM_TIME_REMAIN, &time,
                        &size))
        return 1000000;
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}
