/* Ends a login when the session at the seat is over, or nobody can say that it is not.

   Started by the module, once for each login, as root and with nothing of the application's but the descriptor 0, over
   which it is told whose login it is. It asks the door a few times a second, and goes with the application. */
#define _GNU_SOURCE
#include "hang_up.h"

#include "door.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define EVERY_MS 200
#define SILENCE_MS 2000
#define LEAST_MS 500 /* for an answer, though this program itself was not run for long */
#define GRACE_MS 400
#define ROUND_MS 20
#define ROUNDS 100
#define MOST 32768
#define MOST_OURS 4096
#define MOST_SESSIONS 256

enum here { HERE, OVER, UNKNOWN };

static struct process processes[MOST];
static struct process ours[MOST_OURS]; /* found once */
static pid_t sessions[MOST_SESSIONS];
static size_t kept, known;
static unsigned int audited = NO_AUDIT;

/* Whatever limits are the person's, or the application's, are not this program's; and nobody but root may signal it. */
static bool become_nobodys(void)
{
    static const int limits[] = {RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA};
    const struct rlimit endless = {RLIM_INFINITY, RLIM_INFINITY};
    int score;
    if (setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
        return false;
    for (size_t each = 0; each < sizeof limits / sizeof *limits; each++)
        if (setrlimit(limits[each], &endless) != 0)
            return false;
    (void)setpriority(PRIO_PROCESS, 0, 0);
    score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        (void)!write(score, "-1000", 5);
        close(score);
    }
    return chdir("/") == 0;
}

static void take_signals(void)
{
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, number == SIGTERM ? SIG_DFL : SIG_IGN); /* those that cannot be ignored are not */
    (void)signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool ended(const char *text, size_t room)
{
    return memchr(text, '\0', room) != NULL;
}

static bool read_login(struct login *login)
{
    ssize_t size;
    do
        size = recv(STDIN_FILENO, login, sizeof *login, MSG_WAITALL);
    while (size < 0 && errno == EINTR);
    return size == sizeof *login && login->edition == EDITION && login->pid > 1 &&
           ended(login->socket, LONGEST_PATH) && ended(login->terminal, LONGEST_PATH) &&
           ended(login->seat, sizeof login->seat) && ended(login->application, sizeof login->application) &&
           ended(login->account, sizeof login->account) && ended(login->session, sizeof login->session);
}

static const char *given(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* Whether that session is still the seat's. Only a clear answer says that it is, and only a clear one that it is over. */
static enum here ask(const struct login *login, long long until)
{
    const struct question question = {
        .socket = login->socket, .seat = given(login->seat), .application = given(login->application),
        .user = login->account, .within = 1, .max_age = -1, .present = true,
    };
    struct answer answer;
    if (door_present(&question, &answer, until) != SAID_OUTCOME || strcmp(answer.outcome, "unavailable") == 0)
        return UNKNOWN;
    return strcmp(answer.outcome, "yes") == 0 && strcmp(answer.session, login->session) == 0 ? HERE : OVER;
}

static bool gone(int held, int milliseconds)
{
    struct pollfd one = {held, POLLIN, 0};
    return poll(&one, 1, milliseconds) > 0;
}

/* Wait while the session lasts. False: the application has gone by itself. */
static bool watch(const struct login *login, int held)
{
    long long good = door_now();
    while (!gone(held, EVERY_MS)) {
        long long asked = door_now(), silent = good + SILENCE_MS, least = asked + LEAST_MS;
        switch (ask(login, silent > least ? silent : least)) {
        case HERE:
            good = asked;
            break;
        case OVER:
            syslog(LOG_NOTICE, "the session at the seat is over: its login is ended");
            return !gone(held, 0);
        default:
            if (door_now() < silent)
                break;
            syslog(LOG_NOTICE, "the daemon is silent: a login is ended");
            return !gone(held, 0);
        }
    }
    return false;
}

static bool is_known(pid_t session)
{
    for (size_t each = 0; each < known; each++)
        if (sessions[each] == session)
            return true;
    return false;
}

static bool is_kept(const struct process *process)
{
    for (size_t each = 0; each < kept; each++)
        if (ours[each].pid == process->pid && ours[each].started == process->started)
            return true;
    return false;
}

static bool is_below(const struct process *process, size_t count)
{
    for (size_t each = 0; each < count; each++)
        if (processes[each].ours && processes[each].pid == process->parent)
            return true;
    return false;
}

static void keep(struct process *process)
{
    process->ours = true;
    if (kept < MOST_OURS && !is_kept(process))
        ours[kept++] = *process;
    if (process->session == process->pid && known < MOST_SESSIONS && !is_known(process->session))
        sessions[known++] = process->session;
}

/* pam_loginuid begins a session of the kernel's audit for a login, and for sudo none: only one that was not there at the
   touch is this login's alone. Whoever forks twice, and gives everything up, is still of it. */
static void look_for_audit(const struct login *login, int held)
{
    unsigned int now = process_audit(login->pid);
    if (now != login->audit && !gone(held, 0))
        audited = now;
}

static void keep_audited(pid_t root, size_t count)
{
    if (audited == NO_AUDIT)
        return;
    for (size_t each = 0; each < count; each++)
        if (processes[each].pid != root && processes[each].pid != getpid() &&
            process_audit(processes[each].pid) == audited)
            keep(&processes[each]);
}

/* Find what the application has started, and what these have, and who shares a session with one that began there, or is
   of its session in the kernel's audit. Who was found once is found again, though its parent has gone; and so has, it may
   be, the application, whose number another then gets: what was read before it went is the last that is believed about
   its children. */
static size_t find(const struct login *login, int held)
{
    size_t count = process_all(processes, MOST);
    pid_t root = gone(held, 0) ? -1 : login->pid;
    keep_audited(root, count);
    for (bool more = true; more;) {
        more = false;
        for (size_t each = 0; each < count; each++) {
            struct process *process = &processes[each];
            if (process->ours || process->pid == root || process->pid == getpid())
                continue;
            if (process->parent != root && !is_known(process->session) && !is_kept(process) && !is_below(process, count))
                continue;
            keep(process);
            more = true;
        }
    }
    return count;
}

static size_t signal_all(const struct login *login, int held, int number)
{
    size_t count = find(login, held), found = 0;
    for (size_t each = 0; each < count; each++)
        if (processes[each].ours) {
            found++;
            process_signal(&processes[each], number);
        }
    return found;
}

/* Take the terminal from everybody who has it open, if it is this login's own: one that it only runs in is not. */
static void take_terminal(const struct login *login, int held)
{
    int fd = given(login->terminal) != NULL ? open(login->terminal, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) : -1;
    struct stat status;
    size_t count;
    if (fd < 0)
        return;
    count = fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) ? find(login, held) : 0;
    for (size_t each = 0; each < count; each++)
        if (processes[each].ours && processes[each].session == processes[each].pid &&
            processes[each].terminal == process_terminal(status.st_rdev)) {
            (void)ioctl(fd, TIOCVHANGUP);
            break;
        }
    close(fd);
}

static void pause_round(void)
{
    const struct timespec round = {0, ROUND_MS * 1000000L};
    (void)nanosleep(&round, NULL);
}

static void kill_all(const struct login *login, int held)
{
    for (int round = 0; round < ROUNDS && signal_all(login, held, SIGKILL) > 0; round++)
        pause_round();
}

/* The application is let close its session, if it does so at once. That ends us no more: sudo closes it when it gets
   SIGHUP, and what it has run would be left. */
static void end(const struct login *login, int held)
{
    long long until = door_now() + GRACE_MS;
    (void)signal(SIGTERM, SIG_IGN);
    look_for_audit(login, held);
    take_terminal(login, held);
    (void)signal_all(login, held, SIGHUP);
    (void)signal_all(login, held, SIGCONT);
    process_signal_held(held, SIGHUP);
    while (door_now() < until && signal_all(login, held, 0) > 0)
        pause_round();
    kill_all(login, held);
    if (gone(held, GRACE_MS))
        return;
    process_signal_held(held, SIGSTOP); /* that it starts nothing while we look */
    kill_all(login, held);
    process_signal_held(held, SIGKILL);
}

static bool say(enum started started)
{
    struct watching watching = {EDITION, started, getpid()};
    bool said = send(STDIN_FILENO, &watching, sizeof watching, MSG_NOSIGNAL) == sizeof watching;
    close(STDIN_FILENO);
    return said;
}

int main(void)
{
    static struct login login;
    int held;
    take_signals();
    closefrom(STDERR_FILENO + 1);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    if (setsid() < 0 || !become_nobodys() || !read_login(&login) || (held = process_hold(login.pid)) < 0)
        return 1;
    switch (ask(&login, door_now() + SILENCE_MS)) {
    case HERE:
        break;
    case OVER:
        (void)say(STARTED_OVER);
        return 1;
    default:
        (void)say(STARTED_GONE);
        return 1;
    }
    if (!say(STARTED))
        return 1;
    openlog("authd-seat-hang-up", LOG_PID, LOG_AUTHPRIV);
    if (watch(&login, held))
        end(&login, held);
    return 0;
}
