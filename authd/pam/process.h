/* The processes of this machine, as /proc tells of them. */
#ifndef AUTHD_SEAT_PROCESS_H
#define AUTHD_SEAT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process {
    pid_t pid, parent, session;
    unsigned long long terminal, started; /* a device as stat(2) packs it; ticks since the start: one pid, two lives */
    bool ours;
};

/* Read about one. False: there is none, or it is dead already. */
bool process_read(pid_t pid, struct process *found);

/* What the kernel's audit calls a session: everything that was forked in it is of it, and only root can leave it. */
#define NO_AUDIT ((unsigned int)-1)

/* Of which one a process is; NO_AUDIT: of none, or it has gone, or this kernel knows of none. */
unsigned int process_audit(pid_t pid);

/* Read about as many as have room; returns how many. */
size_t process_all(struct process *found, size_t room);

/* Hold a process, that no other can get its number. -1: there is none. */
int process_hold(pid_t pid);

/* Signal the very process that was read, and never another that has its number by now. */
void process_signal(const struct process *process, int number);

/* Signal the process that is held. */
void process_signal_held(int held, int number);

/* How the kernel writes a terminal in /proc: to compare with `terminal`. */
unsigned long long process_terminal(dev_t device);

#endif
