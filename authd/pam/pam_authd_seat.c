/* PAM: whoever sits at the seat, by their own touch. docs/how-to/pam.md says what each option does. */
#define _GNU_SOURCE
#include "door.h"
#include "hang_up.h"
#include "process.h"
#include "words.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include <security/pam_modules.h>
#include <security/pam_ext.h>

#define WITHIN 30
#define LONGEST_WAIT 60
#define OLDEST 43200
#define PERSON "authd_seat_person"
#define WATCHER "authd_seat_watcher"
#define START_MS 5000

struct settings {
    struct question question;
    const char *language, *hang_up;
    bool keep_user, any_host, withdraw, quiet, cue;
};

struct conversation {
    pam_handle_t *pamh;
    const struct settings *settings;
    const char *last; /* what was said last: nothing is said twice in a row */
};

static bool is_name(const char *text)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-";
    size_t size = strlen(text);
    return size > 0 && size <= LONGEST_WORD && strspn(text, good) == size;
}

static bool read_name(const char *text, const char **into)
{
    *into = text;
    return is_name(text);
}

static bool read_number(const char *text, int least, int most, int *into)
{
    char *end = NULL;
    long number = 0;
    errno = 0;
    number = strtol(text, &end, 10);
    *into = (int)number;
    return errno == 0 && end != text && *end == '\0' && number >= least && number <= most;
}

static bool read_language(const char *text, const char **into)
{
    *into = text;
    return strcmp(text, "ja") == 0 || strcmp(text, "en") == 0;
}

static bool read_acr(const char *text, const char **into)
{
    *into = strcmp(text, "two") == 0 ? "authd:two" : "authd:one";
    return strcmp(text, "two") == 0 || strcmp(text, "one") == 0;
}

static const char *behind(const char *option, const char *name)
{
    size_t size = strlen(name);
    return strncmp(option, name, size) == 0 ? option + size : NULL;
}

static bool read_option(const char *option, struct settings *into)
{
    struct question *question = &into->question;
    struct { const char *name; bool *flag; } flags[] = {
        {"login", &question->login},     {"keep_user", &into->keep_user}, {"any_host", &into->any_host},
        {"withdraw", &into->withdraw},   {"quiet", &into->quiet},         {"cue", &into->cue},
    };
    const char *text = NULL;
    for (size_t each = 0; each < sizeof flags / sizeof *flags; each++)
        if (strcmp(option, flags[each].name) == 0)
            return *flags[each].flag = true;
    if ((text = behind(option, "socket=")) != NULL)
        return *(question->socket = text) == '/';
    if ((text = behind(option, "hang_up=")) != NULL)
        return *(into->hang_up = text) == '/';
    if ((text = behind(option, "seat=")) != NULL)
        return read_name(text, &question->seat);
    if ((text = behind(option, "application=")) != NULL)
        return read_name(text, &question->application);
    if ((text = behind(option, "timeout=")) != NULL)
        return read_number(text, 1, LONGEST_WAIT, &question->within);
    if ((text = behind(option, "max_age=")) != NULL)
        return read_number(text, 0, OLDEST, &question->max_age);
    if ((text = behind(option, "acr=")) != NULL)
        return read_acr(text, &question->acr);
    if ((text = behind(option, "lang=")) != NULL)
        return read_language(text, &into->language);
    return false;
}

static bool read_options(pam_handle_t *pamh, int flags, int argc, const char **argv, struct settings *into)
{
    *into = (struct settings){.question = {.socket = "/run/authd-seat/door.sock", .within = WITHIN, .max_age = -1},
                               .hang_up = HANG_UP};
    for (int each = 0; each < argc; each++)
        if (!read_option(argv[each], into)) {
            pam_syslog(pamh, LOG_ERR, "unknown option or value: %.64s", argv[each]);
            return false;
        }
    into->quiet = into->quiet || ((flags & PAM_SILENT) != 0 && !into->cue);
    return true;
}

/* Japanese where the environment asks for it. Nothing but which of two sentences is shown hangs on it. */
static bool is_japanese(const struct settings *settings)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    if (settings->language != NULL)
        return strcmp(settings->language, "ja") == 0;
    for (size_t each = 0; each < sizeof names / sizeof *names; each++) {
        const char *found = getenv(names[each]);
        if (found != NULL && *found != '\0')
            return strncmp(found, "ja", 2) == 0;
    }
    return false;
}

static const char *sentence(const struct word *words, size_t count, const char *id, bool japanese)
{
    for (size_t each = 0; each < count; each++)
        if (strcmp(words[each].id, id) == 0)
            return japanese ? words[each].ja : words[each].en;
    return NULL;
}

/* What the seat says meanwhile. An application that cannot show it is not refused for that. */
static void tell_info(void *whom, const char *message)
{
    struct conversation *conversation = whom;
    const struct settings *settings = conversation->settings;
    const char *text = sentence(SAY, sizeof SAY / sizeof *SAY, message, is_japanese(settings));
    if (text == NULL || settings->quiet || (conversation->last != NULL && strcmp(conversation->last, text) == 0))
        return;
    conversation->last = text;
    (void)pam_info(conversation->pamh, "%s", text);
}

static void tell_why(pam_handle_t *pamh, const struct settings *settings, const char *why)
{
    const char *text = sentence(WHY, sizeof WHY / sizeof *WHY, why, is_japanese(settings));
    if (text != NULL && !settings->quiet)
        (void)pam_error(pamh, "%s", text);
    pam_syslog(pamh, LOG_NOTICE, "%s", why);
}

/* A touch at this seat says nothing about somebody at another machine. */
static bool is_here(pam_handle_t *pamh)
{
    const void *host = NULL;
    char own[256] = "";
    static const char *const names[] = {"", "localhost", "127.0.0.1", "::1", "[local]"};
    if (pam_get_item(pamh, PAM_RHOST, &host) != PAM_SUCCESS)
        return false;
    if (host == NULL)
        return true;
    for (size_t each = 0; each < sizeof names / sizeof *names; each++)
        if (strcmp(host, names[each]) == 0)
            return true;
    return gethostname(own, sizeof own - 1) == 0 && strcmp(host, own) == 0;
}

/* The account that was named, if any. False: it is none that a person's could be. */
static bool named(pam_handle_t *pamh, const struct settings *settings, struct question *question)
{
    const void *user = NULL, *service = NULL;
    if (pam_get_item(pamh, PAM_SERVICE, &service) == PAM_SUCCESS && service != NULL)
        question->service = is_name(service) && strlen(service) <= 32 && strchr(service, ':') == NULL ? service : NULL;
    if (settings->keep_user || pam_get_item(pamh, PAM_USER, &user) != PAM_SUCCESS || user == NULL)
        return true;
    if (*(const char *)user == '\0')
        return true;
    question->user = user;
    return answer_is_account(user);
}

static int put_variable(pam_handle_t *pamh, const char *name, const char *value)
{
    char text[32 + LONGEST_WORD];
    snprintf(text, sizeof text, "%s=%s", name, value);
    return pam_putenv(pamh, text);
}

/* Who was let in, for the session's part: it stands where no other module and no person writes, as the environment is. */
struct person {
    char account[LONGEST_WORD + 1], session[LONGEST_WORD + 1];
    unsigned int audit;
};

static void forget(pam_handle_t *pamh, void *data, int status)
{
    (void)pamh, (void)status;
    free(data);
}

static int remember(pam_handle_t *pamh, const char *name, const void *data, size_t size)
{
    void *kept = malloc(size);
    int done = PAM_BUF_ERR;
    if (kept == NULL)
        return done;
    memcpy(kept, data, size);
    done = pam_set_data(pamh, name, kept, forget);
    if (done != PAM_SUCCESS)
        free(kept);
    return done;
}

static int remember_person(pam_handle_t *pamh, const struct answer *answer)
{
    struct person person = {.audit = process_audit(getpid())};
    memcpy(person.account, answer->account, sizeof person.account);
    memcpy(person.session, answer->session, sizeof person.session);
    return remember(pamh, PERSON, &person, sizeof person);
}

/* Say to the application who it is: from here on it is this person's account, and no name that was typed. */
static int accept_person(pam_handle_t *pamh, const struct settings *settings, const struct answer *answer)
{
    if (!answer_is_account(answer->account) || !is_name(answer->session) || !is_name(answer->subject))
        return PAM_AUTHINFO_UNAVAIL;
    if (!settings->keep_user && pam_set_item(pamh, PAM_USER, answer->account) != PAM_SUCCESS)
        return PAM_SYSTEM_ERR;
    if (put_variable(pamh, "AUTHD_SEAT_ACCOUNT", answer->account) != PAM_SUCCESS ||
        put_variable(pamh, "AUTHD_SEAT_SESSION", answer->session) != PAM_SUCCESS ||
        put_variable(pamh, "AUTHD_SEAT_SUBJECT", answer->subject) != PAM_SUCCESS)
        return PAM_SYSTEM_ERR;
    return remember_person(pamh, answer);
}

static bool expected(const struct question *question, const struct answer *answer)
{
    return question->user == NULL || strcmp(question->user, answer->account) == 0;
}

/* `no`: what a person's refusal is called in this group of PAM's. */
static int judge(pam_handle_t *pamh, const struct settings *settings, const struct question *question, int no)
{
    struct conversation conversation = {pamh, settings, NULL};
    struct answer answer;
    switch (door_authenticate(question, &answer, tell_info, &conversation)) {
    case SAID_GONE:
        tell_why(pamh, settings, "gone");
        return PAM_AUTHINFO_UNAVAIL;
    case SAID_SETUP:
        pam_syslog(pamh, LOG_ERR, "the door refuses the question: %s", answer.error);
        tell_why(pamh, settings, "setup");
        return PAM_SERVICE_ERR;
    default:
        break;
    }
    if (strcmp(answer.outcome, "yes") == 0 && expected(question, &answer))
        return accept_person(pamh, settings, &answer);
    if (strcmp(answer.outcome, "withdrawn") == 0)
        return PAM_IGNORE; /* another stack has let them in: this one counts for nothing, and against nobody */
    tell_why(pamh, settings, strcmp(answer.outcome, "yes") == 0 ? "other" : answer.outcome);
    return strcmp(answer.outcome, "unavailable") == 0 ? PAM_AUTHINFO_UNAVAIL : no;
}

static int run(pam_handle_t *pamh, int flags, int argc, const char **argv, bool present, int no)
{
    struct settings settings;
    struct question question;
    if (!read_options(pamh, flags, argc, argv, &settings)) {
        tell_why(pamh, &settings, "setup");
        return PAM_SERVICE_ERR;
    }
    question = settings.question;
    question.present = present;
    if (settings.withdraw) {
        door_withdraw(&question);
        return PAM_IGNORE;
    }
    if (!settings.any_host && !is_here(pamh)) {
        tell_why(pamh, &settings, "elsewhere");
        return no;
    }
    if (!named(pamh, &settings, &question)) {
        tell_why(pamh, &settings, "other");
        return no;
    }
    return judge(pamh, &settings, &question, no);
}

PAM_EXTERN __attribute__((visibility("default"))) int pam_sm_authenticate(
    pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    return run(pamh, flags, argc, argv, false, PAM_AUTH_ERR);
}

/* Nothing is left to be done: what was found out stands in PAM_USER and in the environment already. */
PAM_EXTERN __attribute__((visibility("default"))) int pam_sm_setcred(
    pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    (void)pamh, (void)flags, (void)argc, (void)argv;
    return PAM_SUCCESS;
}

/* Whether that person is logged in at the seat now, whatever let them in; nobody is asked to touch. */
PAM_EXTERN __attribute__((visibility("default"))) int pam_sm_acct_mgmt(
    pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    return run(pamh, flags, argc, argv, true, PAM_PERM_DENIED);
}

static bool copy(char *into, size_t room, const char *text)
{
    if (text == NULL)
        return true;
    return (size_t)snprintf(into, room, "%s", text) < room;
}

/* The terminal as a path; what is none in /dev is left out. */
static bool copy_terminal(pam_handle_t *pamh, struct login *login)
{
    const void *found = NULL;
    const char *name;
    if (pam_get_item(pamh, PAM_TTY, &found) != PAM_SUCCESS || found == NULL)
        return true;
    name = behind(found, "/dev/") != NULL ? behind(found, "/dev/") : found;
    if (*name == '\0' || *name == '/' || *name == ':' || strstr(name, "..") != NULL)
        return true;
    return (size_t)snprintf(login->terminal, sizeof login->terminal, "/dev/%s", name) < sizeof login->terminal;
}

static bool describe(
    pam_handle_t *pamh, const struct question *question, const struct person *person, struct login *login)
{
    *login = (struct login){.edition = EDITION, .pid = getpid(), .audit = person->audit};
    return copy(login->socket, sizeof login->socket, question->socket) &&
           copy(login->seat, sizeof login->seat, question->seat) &&
           copy(login->application, sizeof login->application, question->application) &&
           copy(login->account, sizeof login->account, person->account) &&
           copy(login->session, sizeof login->session, person->session) && copy_terminal(pamh, login);
}

/* In a child's child, that no application waits for it. After fork in a program of threads: calls of the system only. */
static void become_watcher(const char *path, int end)
{
    char *const none[] = {NULL};
    char *words[] = {(char *)(uintptr_t)path, NULL};
    pid_t child = fork();
    if (child != 0)
        _exit(child < 0);
    if (dup2(end, STDIN_FILENO) == STDIN_FILENO)
        execve(path, words, none);
    _exit(1);
}

/* Start it with no signal handler of the application's; returns our end, or -1. */
static int start_watcher(const char *path)
{
    int ends[2];
    pid_t child;
    sigset_t all, before;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    child = fork();
    if (child == 0) {
        int end = ends[1] == STDIN_FILENO ? dup(ends[1]) : ends[1]; /* dup2 to itself would leave it closed by exec */
        become_watcher(path, end);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (child > 0)
        return ends[0];
    close(ends[0]);
    return -1;
}

/* Tell it whose login it is, and wait until it watches: from then on, nobody's terminal outlives their session. */
static bool hand_over(int end, const struct login *login, struct watching *watching)
{
    size_t size = 0;
    long long until = door_now() + START_MS;
    if (send(end, login, sizeof *login, MSG_NOSIGNAL) != (ssize_t)sizeof *login)
        return false;
    while (size < sizeof *watching && door_now() < until) {
        struct pollfd one = {end, POLLIN, 0};
        int ready = poll(&one, 1, START_MS);
        ssize_t got = ready > 0 ? recv(end, (char *)watching + size, sizeof *watching - size, 0) : -1;
        if (got > 0)
            size += (size_t)got;
        else if (got == 0 || ready == 0 || errno != EINTR)
            return false;
    }
    return size == sizeof *watching && watching->edition == EDITION;
}

static int begin_session(pam_handle_t *pamh, const struct settings *settings, const struct person *person)
{
    struct login login;
    struct watching watching = {.edition = 0};
    struct process process;
    int end = describe(pamh, &settings->question, person, &login) ? start_watcher(settings->hang_up) : -1;
    bool begun = end >= 0 && hand_over(end, &login, &watching);
    if (end >= 0)
        close(end);
    if (!begun || (watching.started == STARTED && !process_read(watching.pid, &process))) {
        pam_syslog(pamh, LOG_ERR, "%.100s does not run, and a login that nothing would end is none", settings->hang_up);
        tell_why(pamh, settings, "setup");
        return PAM_SESSION_ERR;
    }
    if (watching.started == STARTED)
        return remember(pamh, WATCHER, &process, sizeof process);
    tell_why(pamh, settings, watching.started == STARTED_OVER ? "ended" : "gone");
    return PAM_SESSION_ERR;
}

/* From here on, the login ends with the session at the seat. Who was let in by something else is none of ours. */
PAM_EXTERN __attribute__((visibility("default"))) int pam_sm_open_session(
    pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    struct settings settings;
    const void *person = NULL;
    if (!read_options(pamh, flags, argc, argv, &settings)) {
        tell_why(pamh, &settings, "setup");
        return PAM_SESSION_ERR;
    }
    if (pam_get_data(pamh, PERSON, &person) == PAM_SUCCESS && person != NULL)
        return begin_session(pamh, &settings, person);
    if (pam_getenv(pamh, "AUTHD_SEAT_SESSION") == NULL)
        return PAM_IGNORE;
    pam_syslog(pamh, LOG_ERR, "the session is opened elsewhere than the touch was asked for: it could not be ended");
    return PAM_SESSION_ERR;
}

/* It would go with the application; one that goes on has ended this login all the same. */
PAM_EXTERN __attribute__((visibility("default"))) int pam_sm_close_session(
    pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    const void *watcher = NULL;
    (void)flags, (void)argc, (void)argv;
    if (pam_get_data(pamh, WATCHER, &watcher) != PAM_SUCCESS || watcher == NULL)
        return PAM_IGNORE;
    process_signal(watcher, SIGTERM);
    return PAM_SUCCESS;
}
