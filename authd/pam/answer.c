/* JSON (RFC 8259), as much of it as the door writes: nothing is allocated, nothing is read behind the end. */
#include "answer.h"

#include <string.h>

#define DEEPEST 8

struct reader {
    const char *at, *end;
    struct answer *found;
};

/* Where a value stands: whose members are read, and whose are only passed over. */
enum place { TOP, ITEM, ELSEWHERE };

static bool value(struct reader *reader, enum place place, int depth);

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != '\0')
        reader->at++;
}

static bool take(struct reader *reader, char expected)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != expected)
        return false;
    reader->at++;
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool escape(struct reader *reader)
{
    char kind = reader->at < reader->end ? *reader->at++ : '\0';
    if (kind != 'u')
        return kind != '\0' && strchr("\"\\/bfnrt", kind) != NULL;
    for (int digit = 0; digit < 4; digit++, reader->at++)
        if (reader->at == reader->end || !is_hex(*reader->at))
            return false;
    return true;
}

/* Read a string. `word`: where it goes, plain ASCII of at most LONGEST_WORD bytes; NULL: it is passed over. */
static bool string(struct reader *reader, char *word)
{
    size_t size = 0;
    if (!take(reader, '"'))
        return false;
    while (reader->at < reader->end) {
        unsigned char c = (unsigned char)*reader->at++;
        if (c == '"') {
            if (word != NULL)
                word[size] = '\0';
            return true;
        }
        if (c < 0x20 || (word != NULL && (c == '\\' || c > 0x7e || size == LONGEST_WORD)))
            return false;
        if (c == '\\' && !escape(reader))
            return false;
        if (word != NULL)
            word[size++] = (char)c;
    }
    return false;
}

static bool literal(struct reader *reader, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
        return false;
    reader->at += size;
    return true;
}

static bool digits(struct reader *reader)
{
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return reader->at > start;
}

static bool one_of(struct reader *reader, char first, char second)
{
    if (reader->at == reader->end || (*reader->at != first && *reader->at != second))
        return false;
    reader->at++;
    return true;
}

/* A number that is passed over. */
static bool number(struct reader *reader)
{
    (void)one_of(reader, '-', '-');
    if (!one_of(reader, '0', '0') && !digits(reader))
        return false;
    if (one_of(reader, '.', '.') && !digits(reader))
        return false;
    if (!one_of(reader, 'e', 'E'))
        return true;
    (void)one_of(reader, '+', '-');
    return digits(reader);
}

/* A number that is read: whole, of at most 18 digits, or it is none that was ever sent. */
static bool whole(struct reader *reader, long long *into)
{
    const char *start = reader->at;
    if (!digits(reader) || reader->at - start > 18 || (*start == '0' && reader->at - start > 1))
        return false;
    *into = 0;
    for (const char *digit = start; digit < reader->at; digit++)
        *into = *into * 10 + (*digit - '0');
    return true;
}

static bool boolean(struct reader *reader, bool *into)
{
    *into = literal(reader, "true");
    return *into || literal(reader, "false");
}

/* A member that is read must not come twice: which of the two would be believed? */
static bool first_time(bool *seen)
{
    bool first = !*seen;
    *seen = true;
    return first;
}

static bool word(struct reader *reader, char *into)
{
    bool seen = into[0] != '\0';
    if (literal(reader, "null"))
        return true;
    return first_time(&seen) && string(reader, into);
}

static bool top_member(struct reader *reader, const char *name, int depth)
{
    struct answer *found = reader->found;
    if (strcmp(name, "id") == 0) {
        if (literal(reader, "null"))
            return true;
        return first_time(&found->has_id) && whole(reader, &found->id);
    }
    if (strcmp(name, "ok") == 0)
        return first_time(&found->has_ok) && boolean(reader, &found->ok);
    if (strcmp(name, "end") == 0)
        return !found->end && boolean(reader, &found->end);
    if (strcmp(name, "error") == 0)
        return word(reader, found->error);
    if (strcmp(name, "beat") == 0)
        found->beat = true;
    return value(reader, strcmp(name, "item") == 0 ? ITEM : ELSEWHERE, depth);
}

static bool item_member(struct reader *reader, const char *name, int depth)
{
    struct answer *found = reader->found;
    struct { const char *name; char *into; } words[] = {
        {"say", found->say},
        {"outcome", found->outcome},
        {"account", found->account},
        {"session", found->session},
        {"subject", found->subject},
    };
    for (size_t each = 0; each < sizeof words / sizeof *words; each++)
        if (strcmp(name, words[each].name) == 0)
            return word(reader, words[each].into);
    return value(reader, ELSEWHERE, depth);
}

static bool member(struct reader *reader, enum place place, int depth)
{
    char name[LONGEST_WORD + 1] = "";
    if (!string(reader, name) || !take(reader, ':'))
        return false;
    skip_space(reader);
    if (place == TOP)
        return top_member(reader, name, depth);
    return place == ITEM ? item_member(reader, name, depth) : value(reader, ELSEWHERE, depth);
}

static bool several(struct reader *reader, enum place place, char last, int depth)
{
    if (depth > DEEPEST)
        return false;
    if (take(reader, last))
        return true;
    do {
        bool good = last == '}' ? member(reader, place, depth) : value(reader, ELSEWHERE, depth);
        if (!good)
            return false;
    } while (take(reader, ','));
    return take(reader, last);
}

static bool value(struct reader *reader, enum place place, int depth)
{
    skip_space(reader);
    if (reader->at == reader->end)
        return false;
    switch (*reader->at) {
    case '{':
        reader->at++;
        return several(reader, place, '}', depth + 1);
    case '[':
        reader->at++;
        return several(reader, ELSEWHERE, ']', depth + 1);
    case '"':
        return string(reader, NULL);
    default:
        return literal(reader, "true") || literal(reader, "false") || literal(reader, "null") || number(reader);
    }
}

bool answer_read(const char *line, size_t size, struct answer *found)
{
    struct reader reader = {line, line + size, found};
    memset(found, 0, sizeof *found);
    skip_space(&reader);
    if (size > LONGEST_LINE || reader.at == reader.end || *reader.at != '{' || !value(&reader, TOP, 0))
        return false;
    skip_space(&reader);
    return reader.at == reader.end;
}

bool answer_is_account(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char others[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789.-";
    size_t size = strlen(name);
    return size > 0 && size < LONGEST_WORD && strchr(letters, name[0]) != NULL && strspn(name, others) == size;
}
