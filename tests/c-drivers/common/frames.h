/*
 * Frames between a driver and a program, by a device: IRP_MJ_READ takes one frame from the
 * driver, IRP_MJ_WRITE gives it one, both with buffered I/O. A read that finds none is pended.
 *
 * Everything here runs at IRQL <= DISPATCH_LEVEL, on any processor.
 */
#pragma once

#include "common.h"

/* IOCTL: a ULONG, 1 while the far end of the wire is there (tap-windows6 has the same). */
#define IOCTL_MEDIA CTL_CODE(FILE_DEVICE_UNKNOWN, 6, METHOD_BUFFERED, FILE_ANY_ACCESS)
/* IOCTL: answers with COUNTERS. */
#define IOCTL_COUNTERS CTL_CODE(FILE_DEVICE_UNKNOWN, 7, METHOD_BUFFERED, FILE_ANY_ACCESS)

#define FRAME_ROOM 1518
#define FRAMES_KEPT 512

typedef struct _COUNTERS {
    ULONG64 ToProgram;
    ULONG64 FromProgram;
    ULONG64 Dropped;
} COUNTERS;

/* A frame that waits for a reader. */
typedef struct _FRAME {
    LIST_ENTRY Link;
    ULONG Length;
    UCHAR Data[FRAME_ROOM];
} FRAME;

typedef struct _FRAMES {
    KSPIN_LOCK Lock;
    LIST_ENTRY Waiting; /* frames, for readers */
    LIST_ENTRY Readers; /* IRPs, for frames */
    ULONG Kept;
    BOOLEAN Closed;
    COUNTERS Counters;
} FRAMES;

FORCEINLINE NTSTATUS EndIrp(IRP *irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NETWORK_INCREMENT);
    return status;
}

FORCEINLINE void FramesInitialize(FRAMES *f)
{
    KeInitializeSpinLock(&f->Lock);
    InitializeListHead(&f->Waiting);
    InitializeListHead(&f->Readers);
}

/* Takes a reader out of the queue; with the lock held. One that is being cancelled is left to
   its cancel routine. */
FORCEINLINE IRP *FramesReader(FRAMES *f)
{
    while (!IsListEmpty(&f->Readers)) {
        LIST_ENTRY *entry = RemoveHeadList(&f->Readers);
        IRP *irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);

        if (IoSetCancelRoutine(irp, NULL) != NULL) {
            return irp;
        }
        InitializeListHead(entry);
    }
    return NULL;
}

/* Gives a frame to the program: to a reader that waits, or to one that will come. */
static void FramesGive(FRAMES *f, NDIS_HANDLE owner, ULONG tag, const UCHAR *data, ULONG length)
{
    FRAME *frame = NULL;
    BOOLEAN kept = FALSE;
    IRP *irp;
    KIRQL irql;
    ULONG room;

    for (;;) {
        KeAcquireSpinLock(&f->Lock, &irql);
        irp = FramesReader(f);
        if (irp != NULL) {
            f->Counters.ToProgram++;
        } else if (frame != NULL && f->Kept < FRAMES_KEPT && !f->Closed) {
            f->Kept++;
            InsertTailList(&f->Waiting, &frame->Link);
            kept = TRUE;
        } else if (frame != NULL || length > FRAME_ROOM) {
            f->Counters.Dropped++;
        }
        KeReleaseSpinLock(&f->Lock, irql);
        if (irp != NULL || frame != NULL || length > FRAME_ROOM) {
            break;
        }
        /* A reader may come meanwhile, so that it is looked for again. */
        frame = Allocate(owner, sizeof(*frame), tag);
        if (frame == NULL) {
            return;
        }
        frame->Length = length;
        NdisMoveMemory(frame->Data, data, length);
    }
    if (irp != NULL) {
        room = IoGetCurrentIrpStackLocation(irp)->Parameters.Read.Length;
        if (length < room) {
            room = length;
        }
        NdisMoveMemory(irp->AssociatedIrp.SystemBuffer, data, room);
        EndIrp(irp, STATUS_SUCCESS, room);
    }
    if (frame != NULL && !kept) {
        NdisFreeMemory(frame, 0, 0);
    }
}

/* Nobody waits for this one any more. Called with the cancel spin lock held. */
static void NTAPI FramesCancel(DEVICE_OBJECT *device, IRP *irp)
{
    FRAMES *f = irp->Tail.Overlay.DriverContext[0];
    KIRQL irql;

    IoReleaseCancelSpinLock(irp->CancelIrql);
    KeAcquireSpinLock(&f->Lock, &irql);
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
    KeReleaseSpinLock(&f->Lock, irql);
    EndIrp(irp, STATUS_CANCELLED, 0);
}

/* IRP_MJ_READ. */
static NTSTATUS FramesRead(FRAMES *f, IRP *irp)
{
    ULONG room = IoGetCurrentIrpStackLocation(irp)->Parameters.Read.Length;
    FRAME *frame = NULL;
    BOOLEAN closed, cancelled = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&f->Lock, &irql);
    closed = f->Closed;
    if (!IsListEmpty(&f->Waiting)) {
        frame = CONTAINING_RECORD(RemoveHeadList(&f->Waiting), FRAME, Link);
        f->Kept--;
        f->Counters.ToProgram++;
    } else if (!closed) {
        irp->Tail.Overlay.DriverContext[0] = f;
        IoMarkIrpPending(irp);
        InsertTailList(&f->Readers, &irp->Tail.Overlay.ListEntry);
        IoSetCancelRoutine(irp, FramesCancel);
        if (irp->Cancel && IoSetCancelRoutine(irp, NULL) != NULL) {
            RemoveEntryList(&irp->Tail.Overlay.ListEntry);
            cancelled = TRUE;
        }
    }
    KeReleaseSpinLock(&f->Lock, irql);
    if (frame != NULL) {
        if (frame->Length < room) {
            room = frame->Length;
        }
        NdisMoveMemory(irp->AssociatedIrp.SystemBuffer, frame->Data, room);
        NdisFreeMemory(frame, 0, 0);
        return EndIrp(irp, STATUS_SUCCESS, room);
    }
    if (cancelled) {
        EndIrp(irp, STATUS_CANCELLED, 0);
    } else if (closed) {
        return EndIrp(irp, STATUS_CANCELLED, 0);
    }
    return STATUS_PENDING;
}

/* Opens the queue again, or ends it: readers go, frames that nobody read are forgotten. */
static void FramesClose(FRAMES *f, BOOLEAN closed)
{
    FRAME *frame;
    IRP *irp;
    KIRQL irql;

    do {
        frame = NULL;
        KeAcquireSpinLock(&f->Lock, &irql);
        f->Closed = closed;
        irp = closed ? FramesReader(f) : NULL;
        if (irp == NULL && !IsListEmpty(&f->Waiting)) {
            frame = CONTAINING_RECORD(RemoveHeadList(&f->Waiting), FRAME, Link);
            f->Kept--;
        }
        KeReleaseSpinLock(&f->Lock, irql);
        if (irp != NULL) {
            EndIrp(irp, STATUS_CANCELLED, 0);
        }
        if (frame != NULL) {
            NdisFreeMemory(frame, 0, 0);
        }
    } while (irp != NULL || frame != NULL);
}

/* Copies the data of a buffer, at most `room` bytes of it; its length. */
static ULONG CopyFrame(NET_BUFFER *buffer, UCHAR *to, ULONG room)
{
    ULONG left = NET_BUFFER_DATA_LENGTH(buffer), offset = NET_BUFFER_CURRENT_MDL_OFFSET(buffer);
    MDL *mdl = NET_BUFFER_CURRENT_MDL(buffer);
    ULONG done = 0;

    if (left > room) {
        return left;
    }
    while (left > 0 && mdl != NULL) {
        UCHAR *from = MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);
        ULONG part = MmGetMdlByteCount(mdl) - offset;

        if (from == NULL) {
            return 0;
        }
        if (part > left) {
            part = left;
        }
        NdisMoveMemory(to + done, from + offset, part);
        done += part;
        left -= part;
        offset = 0;
        mdl = mdl->Next;
    }
    return done;
}

/* IRPs that the two drivers answer alike; a write and IOCTLs of their own come before. */
static NTSTATUS FramesDispatch(FRAMES *f, IRP *irp)
{
    IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);

    switch (stack->MajorFunction) {
    case IRP_MJ_CREATE:
        FramesClose(f, FALSE);
        return EndIrp(irp, STATUS_SUCCESS, 0);
    case IRP_MJ_CLEANUP:
        FramesClose(f, TRUE);
        return EndIrp(irp, STATUS_SUCCESS, 0);
    case IRP_MJ_CLOSE:
        return EndIrp(irp, STATUS_SUCCESS, 0);
    case IRP_MJ_READ:
        return FramesRead(f, irp);
    case IRP_MJ_DEVICE_CONTROL:
        if (stack->Parameters.DeviceIoControl.IoControlCode == IOCTL_COUNTERS &&
            stack->Parameters.DeviceIoControl.OutputBufferLength >= sizeof(COUNTERS)) {
            *(COUNTERS *)irp->AssociatedIrp.SystemBuffer = f->Counters;
            return EndIrp(irp, STATUS_SUCCESS, sizeof(COUNTERS));
        }
        return EndIrp(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    default:
        return EndIrp(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}
