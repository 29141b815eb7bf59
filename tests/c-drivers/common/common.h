/* What the drivers in C share: memory, names, headers of structures. */
#pragma once

#include <ndis.h>

#define HEADER(kind, revision, size)                          \
    (NDIS_OBJECT_HEADER)                                      \
    {                                                         \
        .Type = (kind), .Revision = (revision), .Size = (size) \
    }

/* Nonpaged memory, cleared. IRQL <= DISPATCH_LEVEL. */
FORCEINLINE PVOID Allocate(NDIS_HANDLE owner, ULONG size, ULONG tag)
{
    PVOID memory = NdisAllocateMemoryWithTagPriority(owner, size, tag, NormalPoolPriority);

    if (memory != NULL) {
        NdisZeroMemory(memory, size);
    }
    return memory;
}

/* The last part of a registry path or of a device's name, where it lies. */
FORCEINLINE UNICODE_STRING LastPart(const UNICODE_STRING *path)
{
    USHORT start = path->Length / sizeof(WCHAR);
    UNICODE_STRING part;

    while (start > 0 && path->Buffer[start - 1] != L'\\') {
        start--;
    }
    part.Buffer = path->Buffer + start;
    part.Length = path->Length - start * sizeof(WCHAR);
    part.MaximumLength = part.Length;
    return part;
}

/* Number of lists in a chain. */
FORCEINLINE ULONG CountLists(NET_BUFFER_LIST *list)
{
    ULONG count = 0;

    for (; list != NULL; list = NET_BUFFER_LIST_NEXT_NBL(list)) {
        count++;
    }
    return count;
}

/* Waits until a counter is zero, a bit at a time, as NDIS's samples do. PASSIVE_LEVEL. */
FORCEINLINE void WaitForZero(volatile LONG *counter)
{
    while (*counter != 0) {
        NdisMSleep(50);
    }
}
