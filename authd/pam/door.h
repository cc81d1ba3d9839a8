/* The local door of authd, asked once over a connection of its own. */
#ifndef AUTHD_SEAT_DOOR_H
#define AUTHD_SEAT_DOOR_H

#include "answer.h"

struct question {
    const char *socket, *seat, *application, *user, *service, *acr;
    int within, max_age; /* seconds; max_age < 0: a new touch */
    bool login, present;
};

enum said {
    SAID_OUTCOME, /* the daemon's own, in `answer.outcome` */
    SAID_SETUP,   /* it understood, and what was asked can never be answered: `answer.error` */
    SAID_GONE     /* it is not there, cannot now, or is not what it should be */
};

/* Milliseconds of CLOCK_BOOTTIME. */
long long door_now(void);

typedef void (*tell)(void *whom, const char *message);

/* Ask who is at the seat, telling `whom` what the seat says meanwhile. Never longer than `within` and 5 s. */
enum said door_authenticate(const struct question *question, struct answer *answer, tell tell, void *whom);

/* Ask what is known now (`question->present`), until that time of door_now at the latest. */
enum said door_present(const struct question *question, struct answer *answer, long long until);

/* Give up what is being asked for at the seat by this account; nobody waits for the answer. */
void door_withdraw(const struct question *question);

#endif
