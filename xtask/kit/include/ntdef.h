/* The basic types of Windows kernel code: fixed widths (LLP64), strings, lists. */
#ifndef IM_KIT_NTDEF_H
#define IM_KIT_NTDEF_H

typedef void VOID;
typedef void *PVOID;
typedef PVOID HANDLE;

typedef char CHAR;
typedef CHAR *PCHAR;
typedef const CHAR *PCSTR;
typedef signed char SCHAR;
typedef unsigned char UCHAR;
typedef UCHAR *PUCHAR;
typedef char CCHAR;
typedef UCHAR BOOLEAN;
typedef short SHORT;
typedef short CSHORT;
typedef unsigned short USHORT;
typedef USHORT *PUSHORT;
typedef long LONG;
typedef LONG *PLONG;
typedef unsigned long ULONG;
typedef ULONG *PULONG;
typedef long long LONGLONG;
typedef unsigned long long ULONGLONG;
typedef unsigned long long ULONG64;
typedef long long LONG_PTR;
typedef unsigned long long ULONG_PTR;
typedef ULONG_PTR SIZE_T;
typedef SIZE_T *PSIZE_T;

/* wchar_t has 16 bits on Windows whatever the host of the compiler is. */
typedef unsigned short WCHAR;
typedef WCHAR *PWCH;
typedef WCHAR *PWSTR;
typedef const WCHAR *PCWSTR;

typedef LONG NTSTATUS;
typedef NTSTATUS *PNTSTATUS;

#define FALSE 0
#define TRUE 1

typedef struct _UNICODE_STRING {
    USHORT Length;        /* bytes, without a terminator */
    USHORT MaximumLength; /* bytes */
    PWCH Buffer;
} UNICODE_STRING, *PUNICODE_STRING;
typedef const UNICODE_STRING *PCUNICODE_STRING;

typedef struct _STRING {
    USHORT Length;
    USHORT MaximumLength;
    PCHAR Buffer;
} STRING, ANSI_STRING, *PSTRING, *PANSI_STRING;

typedef struct _LIST_ENTRY {
    struct _LIST_ENTRY *Flink;
    struct _LIST_ENTRY *Blink;
} LIST_ENTRY, *PLIST_ENTRY;

typedef union _LARGE_INTEGER {
    struct {
        ULONG LowPart;
        LONG HighPart;
    } u;
    LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

#endif
