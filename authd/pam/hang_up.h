/* What the module tells the program that ends a login, once, over the descriptor 0 of that program. */
#ifndef AUTHD_SEAT_HANG_UP_H
#define AUTHD_SEAT_HANG_UP_H

#include "answer.h"

#include <sys/types.h>

#define HANG_UP "/usr/libexec/authd-seat/hang-up"
#define LONGEST_PATH 108
#define EDITION 2

struct login {
    int edition;
    pid_t pid; /* of the application of PAM; it waits for the answer, so that its number stays its own */
    unsigned int audit; /* its session of the kernel's audit at the touch: one that it has later began with this login */
    char socket[LONGEST_PATH], terminal[LONGEST_PATH];
    char seat[LONGEST_WORD + 1], application[LONGEST_WORD + 1];
    char account[LONGEST_WORD + 1], session[LONGEST_WORD + 1];
};

enum started { STARTED = 1, STARTED_OVER, STARTED_GONE };

struct watching {
    int edition;
    enum started started;
    pid_t pid; /* of whoever watches */
};

#endif
