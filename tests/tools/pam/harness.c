/* An application of PAM: transactions one after another, each told on one line of JSON. Uses no account but its own.

   harness FOLDER SERVICE TIMES HOST CONVERSATION WHAT [USER]
   CONVERSATION: good, refuses (PAM_CONV_ERR), mute (no answers at all)   WHAT: auth, account, session (after auth)
   INTERRUPTED in the environment: a signal comes every millisecond, and its handler returns. */
#define _GNU_SOURCE
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

static const char *conversation = "good";
static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted++;
}

static void be_interrupted(void)
{
    const struct sigaction action = {.sa_handler = interrupt}; /* without SA_RESTART */
    const struct itimerval often = {{0, 1000}, {0, 1000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

static void quoted(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++)
        printf((unsigned char)*text < 0x20 || *text == '"' || *text == '\\' ? "\\u%04x" : "%c", (unsigned char)*text);
    putchar('"');
}

static void member(const char *before, const char *text)
{
    fputs(before, stdout);
    quoted(text);
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
    (void)data;
    for (int each = 0; each < count; each++) {
        printf("{\"style\": %d", messages[each]->msg_style);
        member(", \"text\": ", messages[each]->msg);
        puts("}");
    }
    fflush(stdout);
    *responses = NULL;
    if (strcmp(conversation, "refuses") == 0)
        return PAM_CONV_ERR;
    if (strcmp(conversation, "mute") != 0)
        *responses = calloc((size_t)count, sizeof **responses);
    return PAM_SUCCESS;
}

static const char *variable(pam_handle_t *pamh, const char *name)
{
    const char *found = pam_getenv(pamh, name);
    return found != NULL ? found : "";
}

static int carry_out(pam_handle_t *pamh, const char *what)
{
    int result;
    if (strcmp(what, "account") == 0)
        return pam_acct_mgmt(pamh, 0);
    result = pam_authenticate(pamh, getenv("SILENT") != NULL ? PAM_SILENT : 0);
    if (result != PAM_SUCCESS || strcmp(what, "session") != 0)
        return result;
    result = pam_open_session(pamh, 0);
    return result == PAM_SUCCESS ? pam_close_session(pamh, 0) : result;
}

static void transact(char **arguments, const char *user)
{
    const struct pam_conv conv = {converse, NULL};
    pam_handle_t *pamh = NULL;
    const void *found = NULL;
    int result = pam_start_confdir(arguments[2], user, &conv, arguments[1], &pamh);
    if (result == PAM_SUCCESS && arguments[4][0] != '\0')
        result = pam_set_item(pamh, PAM_RHOST, arguments[4]);
    if (result == PAM_SUCCESS)
        result = carry_out(pamh, arguments[6]);
    pam_get_item(pamh, PAM_USER, &found);
    printf("{\"result\": %d", result);
    member(", \"user\": ", found != NULL ? (const char *)found : "");
    member(", \"account\": ", variable(pamh, "AUTHD_SEAT_ACCOUNT"));
    member(", \"session\": ", variable(pamh, "AUTHD_SEAT_SESSION"));
    member(", \"subject\": ", variable(pamh, "AUTHD_SEAT_SUBJECT"));
    printf(", \"interrupted\": %d", (int)interrupted);
    puts("}");
    fflush(stdout);
    pam_end(pamh, result);
}

int main(int count, char **arguments)
{
    if (count < 7)
        return 2;
    conversation = arguments[5];
    if (getenv("INTERRUPTED") != NULL)
        be_interrupted();
    for (int times = atoi(arguments[3]); times > 0; times--)
        transact(arguments, count > 7 ? arguments[7] : NULL);
    return 0;
}
