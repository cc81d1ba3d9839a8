/* No thread, no signal handler, nothing kept: whoever forks, or is interrupted, finds this as it was. */
#define _GNU_SOURCE
#include "door.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SILENCE_MS 2000
#define GRACE_MS 5000
#define LONGEST_REQUEST 1024
#define OURS 1

struct line {
    int fd;
    long long until; /* of the whole conversation */
    size_t size;
    char bytes[LONGEST_LINE];
};

long long door_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now); /* counts while the machine sleeps */
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Wait for the socket, at most until the deadline and never longer than a living daemon is silent. */
static bool ready(const struct line *line, short what)
{
    long long silent = door_now() + SILENCE_MS, until = silent < line->until ? silent : line->until;
    for (;;) {
        struct pollfd one = {line->fd, what, 0};
        long long left = until - door_now();
        int found = left > 0 ? poll(&one, 1, (int)left) : 0;
        if (found > 0)
            return (one.revents & (what | POLLHUP)) != 0;
        if (found == 0 || errno != EINTR)
            return false;
    }
}

/* The folder is nobody else's to write, and who listens is its owner: no other account can stand in for the daemon. */
static bool trusted(int fd, const char *path)
{
    char folder[sizeof ((struct sockaddr_un *)NULL)->sun_path];
    struct ucred peer;
    struct stat owner;
    socklen_t size = sizeof peer;
    size_t length = (size_t)(strrchr(path, '/') - path);
    memcpy(folder, path, length);
    folder[length] = '\0';
    if (stat(length > 0 ? folder : "/", &owner) != 0 || (owner.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return false;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == owner.st_uid;
}

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;
    if (path[0] != '/' || strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && trusted(fd, path))
        return fd;
    close(fd);
    return -1;
}

static bool put(const struct line *line, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(line->fd, bytes, size, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        } else if (errno == EAGAIN ? !ready(line, POLLOUT) : errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* Read the next line; what came after it stays for the next time. */
static bool next(struct line *line, struct answer *answer)
{
    for (;;) {
        char *end = memchr(line->bytes, '\n', line->size);
        ssize_t got;
        if (end != NULL) {
            bool good = answer_read(line->bytes, (size_t)(end - line->bytes), answer);
            line->size -= (size_t)(end + 1 - line->bytes);
            memmove(line->bytes, end + 1, line->size);
            return good;
        }
        if (line->size == sizeof line->bytes || !ready(line, POLLIN))
            return false;
        got = recv(line->fd, line->bytes + line->size, sizeof line->bytes - line->size, 0);
        if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
            return false;
        if (got > 0)
            line->size += (size_t)got;
    }
}

/* Add `,"name":"word"`; a word that would need an escape was refused before. */
static size_t add_word(char *request, size_t size, const char *name, const char *word)
{
    if (word == NULL || size >= LONGEST_REQUEST)
        return size;
    return size + (size_t)snprintf(request + size, LONGEST_REQUEST - size, ",\"%s\":\"%s\"", name, word);
}

static size_t add_number(char *request, size_t size, const char *name, int number)
{
    if (number < 0 || size >= LONGEST_REQUEST)
        return size;
    return size + (size_t)snprintf(request + size, LONGEST_REQUEST - size, ",\"%s\":%d", name, number);
}

static size_t add_flag(char *request, size_t size, const char *name, bool flag)
{
    if (!flag || size >= LONGEST_REQUEST)
        return size;
    return size + (size_t)snprintf(request + size, LONGEST_REQUEST - size, ",\"%s\":true", name);
}

static size_t begin(char *request, const char *verb)
{
    return (size_t)snprintf(request, LONGEST_REQUEST, "{\"id\":%d,\"verb\":\"%s\"", OURS, verb);
}

static bool send_request(const struct line *line, char *request, size_t size)
{
    if (size + 2 >= LONGEST_REQUEST)
        return false;
    request[size++] = '}';
    request[size++] = '\n';
    return put(line, request, size);
}

static bool ask(const struct line *line, const struct question *question)
{
    char request[LONGEST_REQUEST];
    size_t size = begin(request, "authenticate");
    size = add_word(request, size, "seat", question->seat);
    size = add_word(request, size, "application", question->application);
    size = add_word(request, size, "user", question->user);
    size = add_word(request, size, "service", question->service);
    size = add_word(request, size, "acr", question->acr);
    size = add_number(request, size, "within", question->within);
    size = add_number(request, size, "max_age", question->max_age);
    size = add_flag(request, size, "login", question->login);
    size = add_flag(request, size, "present", question->present);
    return send_request(line, request, size);
}

/* Errors that no second try would mend: the module or authd.toml has to be changed. */
static bool is_setup(const char *error)
{
    static const char *const errors[] = {"not_permitted", "unknown_verb", "bad_request", "not_found", "refused"};
    for (size_t each = 0; each < sizeof errors / sizeof *errors; each++)
        if (strcmp(error, errors[each]) == 0)
            return true;
    return false;
}

static enum said listen_to(struct line *line, struct answer *answer, tell tell, void *whom)
{
    bool accepted = false;
    while (next(line, answer)) {
        if (answer->has_ok && !answer->ok)
            return is_setup(answer->error) ? SAID_SETUP : SAID_GONE;
        if (answer->error[0] != '\0' || answer->end || !answer->has_id || answer->id != OURS)
            return SAID_GONE; /* nothing that was asked */
        if (answer->has_ok && !accepted) {
            accepted = true;
            continue;
        }
        if (!accepted || answer->has_ok)
            return SAID_GONE;
        if (answer->outcome[0] != '\0')
            return SAID_OUTCOME;
        if (answer->say[0] != '\0' && tell != NULL)
            tell(whom, answer->say);
    }
    return SAID_GONE;
}

static enum said converse(
    const struct question *question, long long until, struct answer *answer, tell tell, void *whom)
{
    struct line line = {.until = until, .size = 0};
    enum said said = SAID_GONE;
    line.fd = dial(question->socket);
    if (line.fd < 0)
        return SAID_GONE;
    /* A refusal may have been sent before we could ask: it is read though asking fails. */
    (void)ask(&line, question);
    said = listen_to(&line, answer, tell, whom);
    close(line.fd);
    return said;
}

enum said door_authenticate(const struct question *question, struct answer *answer, tell tell, void *whom)
{
    return converse(question, door_now() + question->within * 1000LL + GRACE_MS, answer, tell, whom);
}

enum said door_present(const struct question *question, struct answer *answer, long long until)
{
    return converse(question, until, answer, NULL, NULL);
}

void door_withdraw(const struct question *question)
{
    char request[LONGEST_REQUEST];
    struct answer answer;
    struct line line = {.until = door_now() + SILENCE_MS, .size = 0};
    size_t size = begin(request, "withdraw");
    size = add_word(request, size, "seat", question->seat);
    line.fd = dial(question->socket);
    if (line.fd < 0)
        return;
    if (send_request(&line, request, size))
        (void)next(&line, &answer);
    close(line.fd);
}
