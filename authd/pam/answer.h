/* One line of the door, read strictly: what is not understood, or too long, is no answer at all. */
#ifndef AUTHD_SEAT_ANSWER_H
#define AUTHD_SEAT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#define LONGEST_WORD 64
#define LONGEST_LINE 4096

struct answer {
    long long id;
    bool has_id, has_ok, ok, end, beat;
    char error[LONGEST_WORD + 1], say[LONGEST_WORD + 1], outcome[LONGEST_WORD + 1];
    char account[LONGEST_WORD + 1], session[LONGEST_WORD + 1], subject[LONGEST_WORD + 1];
};

/* Read `size` bytes, without their newline. False: not an answer, and `found` means nothing. */
bool answer_read(const char *line, size_t size, struct answer *found);

/* Whether a text is a name of an account that nothing would misread. */
bool answer_is_account(const char *name);

#endif
