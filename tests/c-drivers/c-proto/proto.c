/*
 * A protocol driver in C. A program opens \Device\<service>-<adapter>, writes the frames that go
 * out by that adapter and reads those that come in, as with the sample NDISPROT.
 *
 * Written in the older way on purpose: devices of the I/O manager and the driver object's
 * dispatch table, lists of its own over memory and MDLs of its own, IRPs that pend until a list
 * is complete, exceptions around what a caller may have got wrong. Declares NDIS 6.20.
 *
 * What runs at once: receives, completions and statuses at IRQL <= DISPATCH_LEVEL on any
 * processor; the device's requests and the life of a binding at PASSIVE_LEVEL.
 */
#include "below.h"
#include "frames.h"

#define TAG 'rPiC'
#define HEADER_SIZE 14

typedef struct _OPEN {
    LIST_ENTRY Link;
    NDIS_HANDLE Binding;
    NDIS_HANDLE Pool;
    PENDED Pended; /* an open, a close */
    DEVICE_OBJECT *Device;
    ULONG Mtu;
    volatile LONG Sends; /* 1 while running, and 1 for each list below */
    volatile BOOLEAN Running;
    volatile LONG Connected;
    volatile LONG Requests; /* of programs, that use the binding */
    FRAMES Frames;
} OPEN;

/* What lies behind a device object. */
typedef struct _EXTENSION {
    OPEN *volatile Open;
} EXTENSION;

/* A frame of ours on its way. */
typedef struct _SEND {
    IRP *Irp;
    MDL *Mdl;
    ULONG Length;
    UCHAR Data[FRAME_ROOM];
} SEND;

static NDIS_HANDLE Protocol;
static DRIVER_OBJECT *Driver;
static UNICODE_STRING Service;
static LIST_ENTRY Opens;
static KSPIN_LOCK OpensLock;

/* ---- requests ---------------------------------------------------------------------------- */

static void NTAPI ProtoRequestComplete(NDIS_HANDLE context, NDIS_OID_REQUEST *request,
                                       NDIS_STATUS status)
{
    OwnRequestEnded(request, status);
}

/* ---- sends ------------------------------------------------------------------------------- */

static BOOLEAN Enter(OPEN *o)
{
    InterlockedIncrement(&o->Sends);
    if (o->Running) {
        return TRUE;
    }
    InterlockedDecrement(&o->Sends);
    return FALSE;
}

static DECLSPEC_NOINLINE void CheckFrame(const OPEN *o, ULONG length)
{
    if (length < HEADER_SIZE || length > o->Mtu + HEADER_SIZE || length > FRAME_ROOM) {
        ExRaiseStatus(STATUS_INVALID_PARAMETER);
    }
}

/* IRP_MJ_WRITE: a frame goes out; the request is over when its list is. */
static NTSTATUS ProtoWrite(OPEN *o, IRP *irp)
{
    ULONG length = IoGetCurrentIrpStackLocation(irp)->Parameters.Write.Length;
    NET_BUFFER_LIST *list = NULL;
    NTSTATUS status = STATUS_SUCCESS;
    SEND *send;

    __try {
        CheckFrame(o, length);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = (NTSTATUS)GetExceptionCode();
    }
    if (!NT_SUCCESS(status)) {
        return EndIrp(irp, status, 0);
    }
    if (!Enter(o)) {
        return EndIrp(irp, STATUS_UNSUCCESSFUL, 0);
    }
    send = Allocate(Protocol, sizeof(*send), TAG);
    if (send != NULL) {
        send->Irp = irp;
        send->Length = length;
        NdisMoveMemory(send->Data, irp->AssociatedIrp.SystemBuffer, length);
        send->Mdl = NdisAllocateMdl(Protocol, send->Data, length);
        if (send->Mdl != NULL) {
            list = NdisAllocateNetBufferAndNetBufferList(o->Pool, 0, 0, send->Mdl, 0, length);
        }
        if (list == NULL) {
            if (send->Mdl != NULL) {
                NdisFreeMdl(send->Mdl);
            }
            NdisFreeMemory(send, 0, 0);
        }
    }
    if (list == NULL) {
        InterlockedDecrement(&o->Sends);
        return EndIrp(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    NET_BUFFER_LIST_PROTOCOL_RESERVED(list)[0] = send;
    list->SourceHandle = o->Binding; /* SND-6 */
    IoMarkIrpPending(irp);
    NdisSendNetBufferLists(o->Binding, list, NDIS_DEFAULT_PORT_NUMBER, 0);
    return STATUS_PENDING;
}

static void NTAPI ProtoSendComplete(NDIS_HANDLE context, NET_BUFFER_LIST *first, ULONG flags)
{
    OPEN *o = context;
    NET_BUFFER_LIST *list, *next;

    for (list = first; list != NULL; list = next) {
        SEND *send = NET_BUFFER_LIST_PROTOCOL_RESERVED(list)[0];
        BOOLEAN done = NET_BUFFER_LIST_STATUS(list) == NDIS_STATUS_SUCCESS;

        next = NET_BUFFER_LIST_NEXT_NBL(list);
        NET_BUFFER_LIST_NEXT_NBL(list) = NULL;
        NdisFreeNetBufferList(list);
        NdisFreeMdl(send->Mdl);
        o->Frames.Counters.FromProgram++;
        EndIrp(send->Irp, done ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL, done ? send->Length : 0);
        NdisFreeMemory(send, 0, 0);
        InterlockedDecrement(&o->Sends);
    }
}

/* ---- receives ---------------------------------------------------------------------------- */

static void NTAPI ProtoReceive(NDIS_HANDLE context, NET_BUFFER_LIST *first, NDIS_PORT_NUMBER port,
                               ULONG number, ULONG flags)
{
    OPEN *o = context;
    NET_BUFFER_LIST *list;
    UCHAR frame[FRAME_ROOM];
    ULONG length;

    for (list = first; list != NULL; list = NET_BUFFER_LIST_NEXT_NBL(list)) {
        NET_BUFFER *buffer = NET_BUFFER_LIST_FIRST_NB(list);
        const UCHAR *head = NdisGetDataBuffer(buffer, HEADER_SIZE, NULL, 1, 0);

        length = CopyFrame(buffer, frame, sizeof(frame));
        if (head != NULL && length >= HEADER_SIZE && length <= sizeof(frame)) {
            FramesGive(&o->Frames, Protocol, TAG, frame, length);
        }
    }
    if (!NDIS_TEST_RECEIVE_CANNOT_PEND(flags)) {
        NdisReturnNetBufferLists(o->Binding, first,
                                 NDIS_TEST_RECEIVE_AT_DISPATCH_LEVEL(flags)
                                     ? NDIS_RETURN_FLAGS_DISPATCH_LEVEL
                                     : 0);
    }
}

static void NTAPI ProtoStatus(NDIS_HANDLE context, NDIS_STATUS_INDICATION *status)
{
    OPEN *o = context;

    if (status->StatusCode == NDIS_STATUS_LINK_STATE &&
        status->StatusBufferSize >= NDIS_SIZEOF_LINK_STATE_REVISION_1) {
        NDIS_LINK_STATE *link = status->StatusBuffer;

        InterlockedExchange(&o->Connected, link->MediaConnectState == MediaConnectStateConnected);
    }
}

/* ---- the device -------------------------------------------------------------------------- */

static NTSTATUS NTAPI ProtoDispatch(DEVICE_OBJECT *device, IRP *irp)
{
    EXTENSION *extension = device->DeviceExtension;
    OPEN *o;
    NTSTATUS status;
    KIRQL irql;

    KeAcquireSpinLock(&OpensLock, &irql);
    o = extension->Open;
    if (o != NULL) {
        InterlockedIncrement(&o->Requests);
    }
    KeReleaseSpinLock(&OpensLock, irql);
    if (o == NULL) {
        return EndIrp(irp, STATUS_NO_SUCH_DEVICE, 0);
    }
    status = IoGetCurrentIrpStackLocation(irp)->MajorFunction == IRP_MJ_WRITE
                 ? ProtoWrite(o, irp)
                 : FramesDispatch(&o->Frames, irp);
    InterlockedDecrement(&o->Requests);
    return status;
}

/* Makes \Device\<service>-<adapter>. */
static NTSTATUS MakeDevice(OPEN *o, const UNICODE_STRING *adapter)
{
    WCHAR text[120];
    UNICODE_STRING name = {0, sizeof(text), text}, last = LastPart(adapter);
    NTSTATUS status;

    if (!NT_SUCCESS(RtlAppendUnicodeToString(&name, L"\\Device\\")) ||
        !NT_SUCCESS(RtlAppendUnicodeStringToString(&name, &Service)) ||
        !NT_SUCCESS(RtlAppendUnicodeToString(&name, L"-")) ||
        !NT_SUCCESS(RtlAppendUnicodeStringToString(&name, &last))) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    status = IoCreateDevice(Driver, sizeof(EXTENSION), &name, FILE_DEVICE_NETWORK,
                            FILE_DEVICE_SECURE_OPEN, FALSE, &o->Device);
    if (NT_SUCCESS(status)) {
        ((EXTENSION *)o->Device->DeviceExtension)->Open = o;
        o->Device->Flags |= DO_BUFFERED_IO;
        o->Device->Flags &= ~DO_DEVICE_INITIALIZING;
    }
    return status;
}

/* ---- the binding ------------------------------------------------------------------------- */

static void FreeOpen(OPEN *o)
{
    KIRQL irql;

    if (o->Device != NULL) {
        KeAcquireSpinLock(&OpensLock, &irql);
        ((EXTENSION *)o->Device->DeviceExtension)->Open = NULL;
        KeReleaseSpinLock(&OpensLock, irql);
        WaitForZero(&o->Requests);
        FramesClose(&o->Frames, TRUE);
        IoDeleteDevice(o->Device);
    }
    if (o->Pool != NULL) {
        NdisFreeNetBufferListPool(o->Pool);
    }
    NdisFreeMemory(o, 0, 0);
}

static void NTAPI ProtoOpenComplete(NDIS_HANDLE context, NDIS_STATUS status)
{
    Ended(&((OPEN *)context)->Pended, status);
}

static void NTAPI ProtoCloseComplete(NDIS_HANDLE context)
{
    Ended(&((OPEN *)context)->Pended, NDIS_STATUS_SUCCESS);
}

static void Close(OPEN *o)
{
    CloseBelow(o->Binding, &o->Pended);
    o->Binding = NULL;
}

static NDIS_STATUS NTAPI ProtoBind(NDIS_HANDLE driver, NDIS_HANDLE bind,
                                   NDIS_BIND_PARAMETERS *parameters)
{
    NET_BUFFER_LIST_POOL_PARAMETERS pool;
    NDIS_STATUS status;
    OPEN *o;

    if (parameters->MediaType != NdisMedium802_3) {
        return NDIS_STATUS_UNSUPPORTED_MEDIA;
    }
    o = Allocate(Protocol, sizeof(*o), TAG);
    if (o == NULL) {
        return NDIS_STATUS_RESOURCES;
    }
    FramesInitialize(&o->Frames);
    o->Mtu = parameters->MtuSize;
    o->Connected = parameters->MediaConnectState == MediaConnectStateConnected;
    NdisZeroMemory(&pool, sizeof(pool));
    pool.Header = HEADER(NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                         NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1);
    pool.fAllocateNetBuffer = TRUE;
    pool.ContextSize = (USHORT)((parameters->ContextBackFillSize + 15) & ~15U);
    pool.PoolTag = TAG;
    o->Pool = NdisAllocateNetBufferListPool(Protocol, &pool); /* NBL-3 */
    if (o->Pool == NULL) {
        FreeOpen(o);
        return NDIS_STATUS_RESOURCES;
    }
    status = OpenBelow(Protocol, o, bind, parameters, &o->Pended, &o->Binding);
    if (status != NDIS_STATUS_SUCCESS) {
        FreeOpen(o);
        return status;
    }
    status = SetBelow(Protocol, o->Binding, OID_GEN_CURRENT_PACKET_FILTER,
                      NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST |
                          NDIS_PACKET_TYPE_ALL_MULTICAST,
                      sizeof(ULONG), TAG);
    if (status == NDIS_STATUS_SUCCESS) {
        status = NT_SUCCESS(MakeDevice(o, parameters->AdapterName)) ? NDIS_STATUS_SUCCESS
                                                                    : NDIS_STATUS_RESOURCES;
    }
    if (status != NDIS_STATUS_SUCCESS) {
        Close(o); /* BND-8 */
        FreeOpen(o);
        return status;
    }
    ExInterlockedInsertTailList(&Opens, &o->Link, &OpensLock);
    return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS NTAPI ProtoUnbind(NDIS_HANDLE unbind, NDIS_HANDLE context)
{
    OPEN *o = context;
    KIRQL irql;

    KeAcquireSpinLock(&OpensLock, &irql);
    RemoveEntryList(&o->Link);
    KeReleaseSpinLock(&OpensLock, irql);
    o->Running = FALSE;
    KeMemoryBarrier();
    WaitForZero(&o->Sends); /* UNB-5 */
    SetBelow(Protocol, o->Binding, OID_GEN_CURRENT_PACKET_FILTER, 0, sizeof(ULONG), TAG); /* UNB-4 */
    Close(o);
    FreeOpen(o);
    return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS NTAPI ProtoEvent(NDIS_HANDLE context, NET_PNP_EVENT_NOTIFICATION *event)
{
    OPEN *o = context;

    switch (event->NetPnPEvent.NetEvent) {
    case NetEventPause:
        o->Running = FALSE;
        KeMemoryBarrier();
        WaitForZero(&o->Sends); /* PBS-2 */
        break;
    case NetEventRestart:
        o->Running = TRUE;
        break;
    case NetEventReconfigure:
        if (o == NULL) {
            NdisReEnumerateProtocolBindings(Protocol);
        }
        break;
    case NetEventSetPower:
        /* NDIS pauses a protocol above an adapter that sleeps; what is refused is refused below. */
        break;
    default:
        break;
    }
    return NDIS_STATUS_SUCCESS; /* PNP-1 */
}

/* ---- the driver -------------------------------------------------------------------------- */

static volatile ULONG *Nowhere;

static DECLSPEC_NOINLINE ULONG ReadNowhere(void)
{
    return *Nowhere;
}

/* Exceptions reach their handlers: one that is raised, one that the processor raises, and one
   that passes a handler that does not want it and a block that is run on the way. */
static BOOLEAN ExceptionsWork(void)
{
    volatile ULONG seen = 0;

    __try {
        ExRaiseStatus(STATUS_INVALID_DEVICE_REQUEST);
    } __except (GetExceptionCode() == STATUS_INVALID_DEVICE_REQUEST ? EXCEPTION_EXECUTE_HANDLER
                                                        : EXCEPTION_CONTINUE_SEARCH) {
        seen |= 1;
    }
    __try {
        seen |= ReadNowhere();
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        seen |= GetExceptionCode() == EXCEPTION_ACCESS_VIOLATION ? 2 : 0;
    }
    __try {
        __try {
            __try {
                ExRaiseStatus(STATUS_INVALID_PARAMETER);
            } __except (EXCEPTION_CONTINUE_SEARCH) {
                seen |= 0x100;
            }
        } __finally {
            seen |= 4;
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        seen |= (seen & 4) ? 8 : 0x200;
    }
    return seen == 15;
}

static void NTAPI ProtoUnload(DRIVER_OBJECT *driver)
{
    NdisDeregisterProtocolDriver(Protocol);
    NdisFreeMemory(Service.Buffer, 0, 0);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS p;
    UNICODE_STRING name = LastPart(path);
    NDIS_STATUS status;

    if (!ExceptionsWork()) {
        DbgPrint("c-proto: %s\n", "exceptions do not reach their handlers");
        return STATUS_UNSUCCESSFUL;
    }
    Driver = driver;
    InitializeListHead(&Opens);
    KeInitializeSpinLock(&OpensLock);
    driver->DriverUnload = ProtoUnload;
    driver->MajorFunction[IRP_MJ_CREATE] = ProtoDispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = ProtoDispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = ProtoDispatch;
    driver->MajorFunction[IRP_MJ_READ] = ProtoDispatch;
    driver->MajorFunction[IRP_MJ_WRITE] = ProtoDispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = ProtoDispatch;
    NdisZeroMemory(&p, sizeof(p));
    p.Header = HEADER(NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
                      NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2,
                      NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2);
    p.MajorNdisVersion = 6;
    p.MinorNdisVersion = 20;
    p.MajorDriverVersion = 1;
    p.Name = name; /* PTR-3 */
    p.BindAdapterHandlerEx = ProtoBind;
    p.UnbindAdapterHandlerEx = ProtoUnbind;
    p.OpenAdapterCompleteHandlerEx = ProtoOpenComplete;
    p.CloseAdapterCompleteHandlerEx = ProtoCloseComplete;
    p.NetPnPEventHandler = ProtoEvent;
    p.StatusHandlerEx = ProtoStatus;
    p.OidRequestCompleteHandler = ProtoRequestComplete;
    p.ReceiveNetBufferListsHandler = ProtoReceive;
    p.SendNetBufferListsCompleteHandler = ProtoSendComplete;
    status = NdisRegisterProtocolDriver(NULL, &p, &Protocol);
    if (status != NDIS_STATUS_SUCCESS) {
        return status;
    }
    /* The path is gone when this returns. */
    Service.Buffer = Allocate(Protocol, name.Length, TAG);
    if (Service.Buffer == NULL) {
        NdisDeregisterProtocolDriver(Protocol);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    NdisMoveMemory(Service.Buffer, name.Buffer, name.Length);
    Service.Length = Service.MaximumLength = name.Length;
    return STATUS_SUCCESS;
}
