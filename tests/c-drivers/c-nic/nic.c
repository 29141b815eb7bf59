/*
 * A miniport without hardware in C. The far end of its wire is a program: it opens the device
 * \Device\<NetCfgInstanceId>.tap, reads the frames that protocols send, writes those that they
 * are to receive, and says by an IOCTL that the cable is in, as programs do with tap-windows6.
 *
 * Written in the older way on purpose: a spin lock of NDIS around a chain of lists, a KDPC that
 * completes them, a KTIMER that looks after the link, receive buffers in an interlocked list,
 * a pause that ends where the last list comes back. Declares NDIS 6.20.
 *
 * What runs at once: sends, returns, DPC and timer at IRQL <= DISPATCH_LEVEL on any processor;
 * the device's requests at PASSIVE_LEVEL; the life cycle at PASSIVE_LEVEL, one at a time.
 */
#include "frames.h"

#define TAG 'cNiC'
#define MTU 1500
#define HEADER_SIZE 14
#define BUFFERS 64
/* With fewer free ones than this, frames are lent for the time of the call only. */
#define SCARCE 8
#define SPEED 10000000000ULL

typedef struct _NIC NIC;

/* A receive buffer with the list that shows it. */
typedef struct _RECEIVE {
    LIST_ENTRY Link;
    MDL *Mdl;
    NET_BUFFER_LIST *List;
    UCHAR Data[FRAME_ROOM];
} RECEIVE;

struct _NIC {
    NDIS_HANDLE Handle;
    UCHAR Mac[ETH_LENGTH_OF_ADDRESS];
    ULONG Filter, Lookahead;
    UCHAR Multicast[32][ETH_LENGTH_OF_ADDRESS];
    ULONG MulticastBytes;
    NDIS_STATISTICS_INFO Statistics;
    /* Sends: a chain that the DPC completes. */
    NDIS_SPIN_LOCK Lock;
    NET_BUFFER_LIST *First, **Tail;
    KDPC Dpc;
    /* 1 while running, and 1 for each list and each indication; 0 ends a pause. */
    volatile LONG Busy;
    volatile BOOLEAN Running, Awake, Gone;
    /* Receives. */
    NDIS_HANDLE Pool;
    RECEIVE *Buffers;
    LIST_ENTRY Free;
    KSPIN_LOCK FreeLock;
    volatile LONG FreeCount;
    ULONG Next;
    /* The wire. */
    NDIS_HANDLE DeviceHandle;
    DEVICE_OBJECT *Device;
    volatile BOOLEAN Plugged, Shown;
    KTIMER Timer;
    KDPC TimerDpc;
    FRAMES Frames;
};

/* What lies behind the device object. */
typedef struct _EXTENSION {
    NIC *volatile Nic;
} EXTENSION;

static NDIS_HANDLE MiniportDriver;

/* ---- pause ------------------------------------------------------------------------------ */

static void Release(NIC *n)
{
    if (InterlockedDecrement(&n->Busy) == 0) {
        NdisMPauseComplete(n->Handle);
    }
}

/* Counts one in, unless the miniport does not run. */
static BOOLEAN Enter(NIC *n)
{
    LONG busy = n->Busy, seen;

    while (busy != 0 && n->Running) {
        seen = InterlockedCompareExchange(&n->Busy, busy + 1, busy);
        if (seen == busy) {
            if (n->Running) {
                return TRUE;
            }
            Release(n);
            return FALSE;
        }
        busy = seen;
    }
    return FALSE;
}

/* ---- sends ------------------------------------------------------------------------------ */

static void NTAPI NicSend(NDIS_HANDLE context, NET_BUFFER_LIST *first, NDIS_PORT_NUMBER port,
                          ULONG flags)
{
    NIC *n = context;
    NET_BUFFER_LIST *list, *next, *refused = NULL, **tail = &refused;
    NDIS_STATUS status = n->Gone ? NDIS_STATUS_NOT_ACCEPTED
                         : !n->Awake ? NDIS_STATUS_LOW_POWER_STATE
                                     : NDIS_STATUS_PAUSED;

    for (list = first; list != NULL; list = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(list);
        NET_BUFFER_LIST_NEXT_NBL(list) = NULL;
        if (n->Awake && !n->Gone && Enter(n)) {
            NdisAcquireSpinLock(&n->Lock);
            *n->Tail = list;
            n->Tail = &NET_BUFFER_LIST_NEXT_NBL(list);
            NdisReleaseSpinLock(&n->Lock);
        } else {
            NET_BUFFER_LIST_STATUS(list) = status;
            *tail = list;
            tail = &NET_BUFFER_LIST_NEXT_NBL(list);
        }
    }
    if (refused != NULL) {
        NdisMSendNetBufferListsComplete(n->Handle, refused,
                                        NDIS_TEST_SEND_AT_DISPATCH_LEVEL(flags)
                                            ? NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL
                                            : 0);
    }
    KeInsertQueueDpc(&n->Dpc, NULL, NULL);
}

/* The DPC: frames go to the program, lists go back. DISPATCH_LEVEL. */
static void NTAPI NicTransmit(KDPC *dpc, PVOID context, PVOID first, PVOID second)
{
    NIC *n = context;
    NET_BUFFER_LIST *all, *list;
    NET_BUFFER *buffer;
    UCHAR frame[FRAME_ROOM];
    ULONG length;
    LONG count = 0;

    NdisDprAcquireSpinLock(&n->Lock);
    all = n->First;
    n->First = NULL;
    n->Tail = &n->First;
    NdisDprReleaseSpinLock(&n->Lock);
    if (all == NULL) {
        return;
    }
    for (list = all; list != NULL; list = NET_BUFFER_LIST_NEXT_NBL(list)) {
        count++;
        NET_BUFFER_LIST_STATUS(list) = NDIS_STATUS_SUCCESS;
        for (buffer = NET_BUFFER_LIST_FIRST_NB(list); buffer != NULL;
             buffer = NET_BUFFER_NEXT_NB(buffer)) {
            length = CopyFrame(buffer, frame, sizeof(frame));
            if (length == 0 || length > MTU + HEADER_SIZE + 4) {
                NET_BUFFER_LIST_STATUS(list) = NDIS_STATUS_INVALID_LENGTH;
                n->Statistics.ifOutErrors++;
            } else if (n->Plugged) {
                n->Statistics.ifHCOutUcastPkts++;
                n->Statistics.ifHCOutUcastOctets += length;
                FramesGive(&n->Frames, n->Handle, TAG, frame, length);
            } else {
                n->Statistics.ifOutDiscards++;
            }
        }
    }
    NdisMSendNetBufferListsComplete(n->Handle, all, NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL);
    while (count-- > 0) {
        Release(n);
    }
}

static void NTAPI NicCancelSend(NDIS_HANDLE context, PVOID id)
{
    /* SND-13: whatever is queued here is complete when the DPC has run. */
    UNREFERENCED_PARAMETER(context);
}

/* ---- receives --------------------------------------------------------------------------- */

static BOOLEAN Wanted(const NIC *n, const UCHAR *frame)
{
    ULONG i;

    if (n->Filter & NDIS_PACKET_TYPE_PROMISCUOUS) {
        return TRUE;
    }
    if (ETH_IS_BROADCAST(frame)) {
        return (n->Filter & NDIS_PACKET_TYPE_BROADCAST) != 0;
    }
    if (!ETH_IS_MULTICAST(frame)) {
        return (n->Filter & NDIS_PACKET_TYPE_DIRECTED) != 0 &&
               NdisEqualMemory(frame, n->Mac, ETH_LENGTH_OF_ADDRESS);
    }
    if (n->Filter & NDIS_PACKET_TYPE_ALL_MULTICAST) {
        return TRUE;
    }
    for (i = 0; i < n->MulticastBytes / ETH_LENGTH_OF_ADDRESS; i++) {
        if (NdisEqualMemory(frame, n->Multicast[i], ETH_LENGTH_OF_ADDRESS)) {
            return (n->Filter & NDIS_PACKET_TYPE_MULTICAST) != 0;
        }
    }
    return FALSE;
}

/* A list that is back: its buffer may take another frame. */
static void Reuse(NIC *n, RECEIVE *r)
{
    ExInterlockedInsertTailList(&n->Free, &r->Link, &n->FreeLock);
    InterlockedIncrement(&n->FreeCount);
    Release(n);
}

/* A frame from the program. PASSIVE_LEVEL. */
static void Receive(NIC *n, const UCHAR *data, ULONG length)
{
    LIST_ENTRY *entry;
    RECEIVE *r;
    NET_BUFFER *buffer;
    BOOLEAN lent;

    if (length < HEADER_SIZE || length > FRAME_ROOM || !n->Awake || !n->Plugged ||
        !Wanted(n, data) || !Enter(n)) {
        n->Statistics.ifInDiscards++;
        return;
    }
    entry = ExInterlockedRemoveHeadList(&n->Free, &n->FreeLock);
    if (entry == NULL) {
        n->Statistics.ifInDiscards++;
        Release(n);
        return;
    }
    lent = InterlockedDecrement(&n->FreeCount) < SCARCE;
    r = CONTAINING_RECORD(entry, RECEIVE, Link);
    NdisMoveMemory(r->Data, data, length);
    buffer = NET_BUFFER_LIST_FIRST_NB(r->List);
    NET_BUFFER_CURRENT_MDL(buffer) = NET_BUFFER_FIRST_MDL(buffer);
    NET_BUFFER_CURRENT_MDL_OFFSET(buffer) = 0;
    NET_BUFFER_DATA_OFFSET(buffer) = 0;
    NET_BUFFER_DATA_LENGTH(buffer) = length;
    NET_BUFFER_LIST_NEXT_NBL(r->List) = NULL;
    NET_BUFFER_LIST_STATUS(r->List) = NDIS_STATUS_SUCCESS;
    r->List->SourceHandle = n->Handle;
    n->Statistics.ifHCInUcastPkts++;
    n->Statistics.ifHCInUcastOctets += length;
    n->Frames.Counters.FromProgram++;
    NdisMIndicateReceiveNetBufferLists(n->Handle, r->List, NDIS_DEFAULT_PORT_NUMBER, 1,
                                       lent ? NDIS_RECEIVE_FLAGS_RESOURCES : 0);
    if (lent) {
        Reuse(n, r); /* RCV-8 */
    }
}

static void NTAPI NicReturn(NDIS_HANDLE context, NET_BUFFER_LIST *first, ULONG flags)
{
    NIC *n = context;
    NET_BUFFER_LIST *list, *next;

    for (list = first; list != NULL; list = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(list);
        Reuse(n, NET_BUFFER_LIST_MINIPORT_RESERVED(list)[0]);
    }
}

/* ---- the link --------------------------------------------------------------------------- */

static void ShowLink(NIC *n)
{
    NDIS_STATUS_INDICATION status;
    NDIS_LINK_STATE link;
    BOOLEAN plugged = n->Plugged;

    NdisZeroMemory(&link, sizeof(link));
    link.Header = HEADER(NDIS_OBJECT_TYPE_DEFAULT, NDIS_LINK_STATE_REVISION_1,
                         NDIS_SIZEOF_LINK_STATE_REVISION_1);
    link.MediaConnectState = plugged ? MediaConnectStateConnected : MediaConnectStateDisconnected;
    link.MediaDuplexState = MediaDuplexStateFull;
    link.XmitLinkSpeed = link.RcvLinkSpeed = SPEED;
    NdisZeroMemory(&status, sizeof(status));
    status.Header = HEADER(NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_STATUS_INDICATION_REVISION_1,
                           NDIS_SIZEOF_STATUS_INDICATION_REVISION_1);
    status.SourceHandle = n->Handle;
    status.StatusCode = NDIS_STATUS_LINK_STATE;
    status.StatusBuffer = &link;
    status.StatusBufferSize = sizeof(link);
    n->Shown = plugged;
    NdisMIndicateStatusEx(n->Handle, &status);
}

/* The timer: what changed since the last time is shown (STS-4). DISPATCH_LEVEL. */
static void NTAPI NicTick(KDPC *dpc, PVOID context, PVOID first, PVOID second)
{
    NIC *n = context;
    LARGE_INTEGER due;

    if (n->Awake && !n->Gone && n->Shown != n->Plugged) {
        ShowLink(n);
    }
    due.QuadPart = -1000000; /* 100 ms */
    KeSetTimer(&n->Timer, due, &n->TimerDpc);
}

/* ---- the device -------------------------------------------------------------------------- */

static NTSTATUS NTAPI NicDispatch(DEVICE_OBJECT *device, IRP *irp)
{
    EXTENSION *extension = NdisGetDeviceReservedExtension(device);
    NIC *n = extension == NULL ? NULL : extension->Nic;
    IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);

    if (n == NULL) {
        return EndIrp(irp, STATUS_NO_SUCH_DEVICE, 0);
    }
    if (stack->MajorFunction == IRP_MJ_WRITE) {
        Receive(n, irp->AssociatedIrp.SystemBuffer, stack->Parameters.Write.Length);
        return EndIrp(irp, STATUS_SUCCESS, stack->Parameters.Write.Length);
    }
    if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL &&
        stack->Parameters.DeviceIoControl.IoControlCode == IOCTL_MEDIA &&
        stack->Parameters.DeviceIoControl.InputBufferLength >= sizeof(ULONG)) {
        n->Plugged = *(ULONG *)irp->AssociatedIrp.SystemBuffer != 0;
        return EndIrp(irp, STATUS_SUCCESS, 0);
    }
    if (stack->MajorFunction == IRP_MJ_CLEANUP) {
        n->Plugged = FALSE;
    }
    return FramesDispatch(&n->Frames, irp);
}

/* Makes \Device\<NetCfgInstanceId>.tap. */
static NDIS_STATUS MakeDevice(NIC *n, const UNICODE_STRING *instance)
{
    static DRIVER_DISPATCH *dispatch[IRP_MJ_MAXIMUM_FUNCTION + 1];
    WCHAR device_text[80], link_text[80];
    UNICODE_STRING device_name = {0, sizeof(device_text), device_text};
    UNICODE_STRING link_name = {0, sizeof(link_text), link_text};
    NDIS_DEVICE_OBJECT_ATTRIBUTES attributes;
    NDIS_STATUS status;

    if (!NT_SUCCESS(RtlAppendUnicodeToString(&device_name, L"\\Device\\")) ||
        !NT_SUCCESS(RtlAppendUnicodeStringToString(&device_name, instance)) ||
        !NT_SUCCESS(RtlAppendUnicodeToString(&device_name, L".tap")) ||
        !NT_SUCCESS(RtlAppendUnicodeToString(&link_name, L"\\DosDevices\\Global\\")) ||
        !NT_SUCCESS(RtlAppendUnicodeStringToString(&link_name, instance)) ||
        !NT_SUCCESS(RtlAppendUnicodeToString(&link_name, L".tap"))) {
        return NDIS_STATUS_FAILURE;
    }
    dispatch[IRP_MJ_CREATE] = dispatch[IRP_MJ_CLEANUP] = dispatch[IRP_MJ_CLOSE] = NicDispatch;
    dispatch[IRP_MJ_READ] = dispatch[IRP_MJ_WRITE] = NicDispatch;
    dispatch[IRP_MJ_DEVICE_CONTROL] = NicDispatch;
    NdisZeroMemory(&attributes, sizeof(attributes));
    attributes.Header = HEADER(NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES,
                               NDIS_DEVICE_OBJECT_ATTRIBUTES_REVISION_1,
                               NDIS_SIZEOF_DEVICE_OBJECT_ATTRIBUTES_REVISION_1);
    attributes.DeviceName = &device_name;
    attributes.SymbolicName = &link_name;
    attributes.MajorFunctions = dispatch;
    attributes.ExtensionSize = sizeof(EXTENSION);
    status = NdisRegisterDeviceEx(MiniportDriver, &attributes, &n->Device, &n->DeviceHandle);
    if (status == NDIS_STATUS_SUCCESS) {
        ((EXTENSION *)NdisGetDeviceReservedExtension(n->Device))->Nic = n;
        n->Device->Flags |= DO_BUFFERED_IO;
    }
    return status;
}

/* ---- requests --------------------------------------------------------------------------- */

static NDIS_STATUS Answer(NDIS_OID_REQUEST *request, const void *data, ULONG length)
{
    if (request->DATA.QUERY_INFORMATION.InformationBufferLength < length) {
        request->DATA.QUERY_INFORMATION.BytesNeeded = length;
        return NDIS_STATUS_BUFFER_TOO_SHORT; /* OID-11 */
    }
    NdisMoveMemory(request->DATA.QUERY_INFORMATION.InformationBuffer, data, length);
    request->DATA.QUERY_INFORMATION.BytesWritten = length;
    return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS AnswerNumber(NDIS_OID_REQUEST *request, ULONG value)
{
    return Answer(request, &value, sizeof(value));
}

/* OID-24: eight bytes, or four where there is no room for more. */
static NDIS_STATUS AnswerCount(NDIS_OID_REQUEST *request, ULONG64 value)
{
    ULONG length = request->DATA.QUERY_INFORMATION.InformationBufferLength;

    request->DATA.QUERY_INFORMATION.BytesNeeded = sizeof(value);
    if (length < sizeof(ULONG)) {
        return NDIS_STATUS_INVALID_LENGTH;
    }
    length = length < sizeof(value) ? sizeof(ULONG) : sizeof(value);
    NdisMoveMemory(request->DATA.QUERY_INFORMATION.InformationBuffer, &value, length);
    request->DATA.QUERY_INFORMATION.BytesWritten = length;
    return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS Query(NIC *n, NDIS_OID_REQUEST *request)
{
    static const char vendor[] = "A miniport in C";
    NDIS_INTERRUPT_MODERATION_PARAMETERS moderation;

    switch (request->DATA.QUERY_INFORMATION.Oid) {
    case OID_GEN_STATISTICS:
        n->Statistics.Header = HEADER(NDIS_OBJECT_TYPE_DEFAULT, NDIS_STATISTICS_INFO_REVISION_1,
                                      NDIS_SIZEOF_STATISTICS_INFO_REVISION_1);
        n->Statistics.SupportedStatistics = NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_XMIT |
                                            NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_RCV;
        return Answer(request, &n->Statistics, sizeof(n->Statistics));
    case OID_GEN_XMIT_OK:
        return AnswerCount(request, n->Statistics.ifHCOutUcastPkts);
    case OID_GEN_RCV_OK:
        return AnswerCount(request, n->Statistics.ifHCInUcastPkts);
    case OID_GEN_CURRENT_PACKET_FILTER:
        return AnswerNumber(request, n->Filter);
    case OID_GEN_CURRENT_LOOKAHEAD:
        return AnswerNumber(request, n->Lookahead);
    case OID_GEN_MAXIMUM_TOTAL_SIZE:
    case OID_GEN_TRANSMIT_BLOCK_SIZE:
    case OID_GEN_RECEIVE_BLOCK_SIZE:
        return AnswerNumber(request, MTU + HEADER_SIZE);
    case OID_GEN_TRANSMIT_BUFFER_SPACE:
    case OID_GEN_RECEIVE_BUFFER_SPACE:
        return AnswerNumber(request, BUFFERS * (MTU + HEADER_SIZE));
    case OID_GEN_VENDOR_ID:
        return AnswerNumber(request, 0xFFFFFF);
    case OID_GEN_VENDOR_DRIVER_VERSION:
        return AnswerNumber(request, 0x10000);
    case OID_GEN_VENDOR_DESCRIPTION:
        return Answer(request, vendor, sizeof(vendor));
    case OID_802_3_MULTICAST_LIST:
        return Answer(request, n->Multicast, n->MulticastBytes);
    case OID_GEN_INTERRUPT_MODERATION:
        NdisZeroMemory(&moderation, sizeof(moderation));
        moderation.Header =
            HEADER(NDIS_OBJECT_TYPE_DEFAULT, NDIS_INTERRUPT_MODERATION_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_INTERRUPT_MODERATION_PARAMETERS_REVISION_1);
        moderation.InterruptModeration = NdisInterruptModerationNotSupported;
        return Answer(request, &moderation, sizeof(moderation));
    case OID_PNP_QUERY_POWER:
        return NDIS_STATUS_SUCCESS;
    default:
        return NDIS_STATUS_NOT_SUPPORTED;
    }
}

static NDIS_STATUS Set(NIC *n, NDIS_OID_REQUEST *request)
{
    const void *data = request->DATA.SET_INFORMATION.InformationBuffer;
    ULONG length = request->DATA.SET_INFORMATION.InformationBufferLength, value = 0;

    if (length >= sizeof(value)) {
        NdisMoveMemory(&value, data, sizeof(value));
    }
    switch (request->DATA.SET_INFORMATION.Oid) {
    case OID_GEN_CURRENT_PACKET_FILTER:
    case OID_GEN_CURRENT_LOOKAHEAD:
        if (length != sizeof(value)) {
            request->DATA.SET_INFORMATION.BytesNeeded = sizeof(value);
            return NDIS_STATUS_INVALID_LENGTH;
        }
        if (request->DATA.SET_INFORMATION.Oid == OID_GEN_CURRENT_PACKET_FILTER) {
            n->Filter = value;
        } else {
            n->Lookahead = value;
        }
        break;
    case OID_802_3_MULTICAST_LIST:
        if (length % ETH_LENGTH_OF_ADDRESS != 0) {
            return NDIS_STATUS_INVALID_LENGTH; /* OID-25 */
        }
        if (length > sizeof(n->Multicast)) {
            return NDIS_STATUS_MULTICAST_FULL;
        }
        NdisMoveMemory(n->Multicast, data, length);
        n->MulticastBytes = length;
        break;
    case OID_GEN_LINK_PARAMETERS:
    case OID_GEN_NETWORK_LAYER_ADDRESSES:
    case OID_GEN_INTERRUPT_MODERATION:
        return NDIS_STATUS_NOT_SUPPORTED;
    case OID_PNP_SET_POWER:
        if (length < sizeof(NDIS_DEVICE_POWER_STATE)) {
            return NDIS_STATUS_NOT_ACCEPTED;
        }
        n->Awake = value == NdisDeviceStateD0;
        break;
    default:
        return NDIS_STATUS_NOT_SUPPORTED;
    }
    request->DATA.SET_INFORMATION.BytesRead = length;
    return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS NTAPI NicRequest(NDIS_HANDLE context, NDIS_OID_REQUEST *request)
{
    switch (request->RequestType) {
    case NdisRequestQueryInformation:
    case NdisRequestQueryStatistics:
        return Query(context, request);
    case NdisRequestSetInformation:
        return Set(context, request);
    default:
        return NDIS_STATUS_NOT_SUPPORTED;
    }
}

static void NTAPI NicCancelRequest(NDIS_HANDLE context, PVOID id)
{
    UNREFERENCED_PARAMETER(context); /* none is ever pending */
}

/* ---- life -------------------------------------------------------------------------------- */

static void FreeAll(NIC *n)
{
    ULONG i;

    if (n->DeviceHandle != NULL) {
        ((EXTENSION *)NdisGetDeviceReservedExtension(n->Device))->Nic = NULL;
        FramesClose(&n->Frames, TRUE);
        NdisDeregisterDeviceEx(n->DeviceHandle);
    }
    for (i = 0; n->Buffers != NULL && i < BUFFERS; i++) {
        if (n->Buffers[i].List != NULL) {
            NdisFreeNetBufferList(n->Buffers[i].List);
        }
        if (n->Buffers[i].Mdl != NULL) {
            NdisFreeMdl(n->Buffers[i].Mdl);
        }
    }
    if (n->Buffers != NULL) {
        NdisFreeMemory(n->Buffers, 0, 0);
    }
    if (n->Pool != NULL) {
        NdisFreeNetBufferListPool(n->Pool);
    }
    NdisFreeSpinLock(&n->Lock);
    NdisFreeMemory(n, 0, 0);
}

static NDIS_STATUS MakeBuffers(NIC *n)
{
    NET_BUFFER_LIST_POOL_PARAMETERS parameters;
    ULONG i;

    NdisZeroMemory(&parameters, sizeof(parameters));
    parameters.Header = HEADER(NDIS_OBJECT_TYPE_DEFAULT, NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
                               NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1);
    parameters.fAllocateNetBuffer = TRUE;
    parameters.PoolTag = TAG;
    n->Pool = NdisAllocateNetBufferListPool(n->Handle, &parameters);
    n->Buffers = Allocate(n->Handle, BUFFERS * sizeof(RECEIVE), TAG);
    if (n->Pool == NULL || n->Buffers == NULL) {
        return NDIS_STATUS_RESOURCES;
    }
    for (i = 0; i < BUFFERS; i++) {
        RECEIVE *r = &n->Buffers[i];

        r->Mdl = NdisAllocateMdl(n->Handle, r->Data, sizeof(r->Data));
        if (r->Mdl != NULL) {
            r->List = NdisAllocateNetBufferAndNetBufferList(n->Pool, 0, 0, r->Mdl, 0, 0);
        }
        if (r->List == NULL) {
            return NDIS_STATUS_RESOURCES;
        }
        NET_BUFFER_LIST_MINIPORT_RESERVED(r->List)[0] = r;
        InsertTailList(&n->Free, &r->Link);
        n->FreeCount++;
    }
    return NDIS_STATUS_SUCCESS;
}

/* The address, and the name by which programs find the device. */
static NDIS_STATUS Configure(NIC *n)
{
    static NDIS_STRING keyword = NDIS_STRING_CONST(L"NetCfgInstanceId");
    NDIS_CONFIGURATION_PARAMETER *value = NULL;
    NDIS_CONFIGURATION_OBJECT object;
    NDIS_HANDLE configuration;
    NDIS_STATUS status;
    PVOID address = NULL;
    UINT length = 0;

    NdisZeroMemory(&object, sizeof(object));
    object.Header = HEADER(NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT, NDIS_OBJECT_REVISION_1,
                           sizeof(object));
    object.NdisHandle = n->Handle;
    status = NdisOpenConfigurationEx(&object, &configuration);
    if (status != NDIS_STATUS_SUCCESS) {
        return status;
    }
    NdisReadNetworkAddress(&status, &address, &length, configuration);
    if (status == NDIS_STATUS_SUCCESS && length == sizeof(n->Mac) && !ETH_IS_MULTICAST(address)) {
        NdisMoveMemory(n->Mac, address, sizeof(n->Mac)); /* ATR-13 */
    }
    NdisReadConfiguration(&status, &value, configuration, &keyword, NdisParameterString);
    if (status == NDIS_STATUS_SUCCESS) {
        status = MakeDevice(n, &value->ParameterData.StringData);
    }
    NdisCloseConfiguration(configuration);
    return status;
}

static NDIS_STATUS SetAttributes(NIC *n)
{
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES g;

    NdisZeroMemory(&g, sizeof(g));
    g.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
                      NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
                      NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2);
    g.MediaType = NdisMedium802_3;
    g.PhysicalMediumType = NdisPhysicalMedium802_3;
    g.MtuSize = MTU;
    g.MaxXmitLinkSpeed = g.MaxRcvLinkSpeed = SPEED;
    g.XmitLinkSpeed = g.RcvLinkSpeed = NDIS_LINK_SPEED_UNKNOWN;
    g.MediaConnectState = MediaConnectStateDisconnected;
    g.MediaDuplexState = MediaDuplexStateUnknown;
    g.LookaheadSize = MTU;
    g.MacOptions = NDIS_MAC_OPTION_COPY_LOOKAHEAD_DATA | NDIS_MAC_OPTION_TRANSFERS_NOT_PEND |
                   NDIS_MAC_OPTION_NO_LOOPBACK | NDIS_MAC_OPTION_8021P_PRIORITY;
    g.SupportedPacketFilters = NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_MULTICAST |
                               NDIS_PACKET_TYPE_ALL_MULTICAST | NDIS_PACKET_TYPE_BROADCAST |
                               NDIS_PACKET_TYPE_PROMISCUOUS;
    g.MaxMulticastListSize = ARRAYSIZE(n->Multicast);
    g.MacAddressLength = ETH_LENGTH_OF_ADDRESS;
    NdisMoveMemory(g.PermanentMacAddress, n->Mac, sizeof(n->Mac));
    NdisMoveMemory(g.CurrentMacAddress, n->Mac, sizeof(n->Mac));
    g.AccessType = NET_IF_ACCESS_BROADCAST;
    g.DirectionType = NET_IF_DIRECTION_SENDRECEIVE;
    g.ConnectionType = NET_IF_CONNECTION_DEDICATED;
    g.IfType = IF_TYPE_ETHERNET_CSMACD;
    g.IfConnectorPresent = FALSE;
    g.SupportedStatistics = NDIS_STATISTICS_XMIT_OK_SUPPORTED | NDIS_STATISTICS_RCV_OK_SUPPORTED;
    return NdisMSetMiniportAttributes(n->Handle, (NDIS_MINIPORT_ADAPTER_ATTRIBUTES *)&g);
}

static NDIS_STATUS NTAPI NicInitialize(NDIS_HANDLE miniport, NDIS_HANDLE driver,
                                       NDIS_MINIPORT_INIT_PARAMETERS *parameters)
{
    static const UCHAR default_mac[] = {0x02, 0x43, 0x4E, 0x49, 0x43, 0x00};
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES r;
    LARGE_INTEGER due;
    NDIS_STATUS status;
    NIC *n = Allocate(miniport, sizeof(*n), TAG);

    if (n == NULL) {
        return NDIS_STATUS_RESOURCES;
    }
    n->Handle = miniport;
    n->Awake = TRUE;
    n->Tail = &n->First;
    NdisMoveMemory(n->Mac, default_mac, sizeof(n->Mac));
    n->Mac[5] = (UCHAR)parameters->IfIndex;
    InitializeListHead(&n->Free);
    KeInitializeSpinLock(&n->FreeLock);
    NdisAllocateSpinLock(&n->Lock);
    FramesInitialize(&n->Frames);
    KeInitializeDpc(&n->Dpc, NicTransmit, n);
    KeInitializeTimer(&n->Timer);
    KeInitializeDpc(&n->TimerDpc, NicTick, n);
    NdisZeroMemory(&r, sizeof(r));
    r.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
                      NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
                      NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1);
    r.MiniportAdapterContext = n;
    r.AttributeFlags =
        NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK | NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND;
    status = NdisMSetMiniportAttributes(miniport, (NDIS_MINIPORT_ADAPTER_ATTRIBUTES *)&r);
    if (status == NDIS_STATUS_SUCCESS) {
        status = Configure(n);
    }
    if (status == NDIS_STATUS_SUCCESS) {
        status = MakeBuffers(n);
    }
    if (status == NDIS_STATUS_SUCCESS) {
        status = SetAttributes(n);
    }
    if (status != NDIS_STATUS_SUCCESS) {
        FreeAll(n); /* VMI-7 */
        return status == NDIS_STATUS_RESOURCES ? status : NDIS_STATUS_FAILURE;
    }
    due.QuadPart = -1000000;
    KeSetTimer(&n->Timer, due, &n->TimerDpc);
    DbgPrint("c-nic: %02x-%02x-%02x-%02x-%02x-%02x is up at %I64u\n", n->Mac[0], n->Mac[1],
             n->Mac[2], n->Mac[3], n->Mac[4], n->Mac[5], KeQueryInterruptTime());
    return NDIS_STATUS_SUCCESS;
}

static void NTAPI NicHalt(NDIS_HANDLE context, NDIS_HALT_ACTION action)
{
    NIC *n = context;

    n->Gone = TRUE;
    /* The timer sets itself again: gone is only what did not, once no DPC is under way. */
    while (!KeCancelTimer(&n->Timer)) {
        KeFlushQueuedDpcs();
    }
    KeFlushQueuedDpcs();
    FreeAll(n);
}

static NDIS_STATUS NTAPI NicPause(NDIS_HANDLE context, NDIS_MINIPORT_PAUSE_PARAMETERS *parameters)
{
    NIC *n = context;

    n->Running = FALSE;
    Release(n);
    return NDIS_STATUS_PENDING; /* MPS-3: the last one that comes back completes it */
}

static NDIS_STATUS NTAPI NicRestart(NDIS_HANDLE context,
                                    NDIS_MINIPORT_RESTART_PARAMETERS *parameters)
{
    NIC *n = context;

    n->Busy = 1;
    KeMemoryBarrier();
    n->Running = TRUE;
    return NDIS_STATUS_SUCCESS;
}

static void NTAPI NicDeviceEvent(NDIS_HANDLE context, NET_DEVICE_PNP_EVENT *event)
{
    if (event->DevicePnPEvent == NdisDevicePnPEventSurpriseRemoved) {
        ((NIC *)context)->Gone = TRUE;
    }
}

static void NTAPI NicShutdown(NDIS_HANDLE context, NDIS_SHUTDOWN_ACTION action)
{
    UNREFERENCED_PARAMETER(context);
}

static void NTAPI NicUnload(DRIVER_OBJECT *driver)
{
    NdisMDeregisterMiniportDriver(MiniportDriver);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS m;

    NdisZeroMemory(&m, sizeof(m));
    m.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
                      NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2,
                      NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2);
    m.MajorNdisVersion = 6;
    m.MinorNdisVersion = 20;
    m.MajorDriverVersion = 1;
    m.InitializeHandlerEx = NicInitialize;
    m.HaltHandlerEx = NicHalt;
    m.UnloadHandler = NicUnload;
    m.PauseHandler = NicPause;
    m.RestartHandler = NicRestart;
    m.OidRequestHandler = NicRequest;
    m.CancelOidRequestHandler = NicCancelRequest;
    m.SendNetBufferListsHandler = NicSend;
    m.ReturnNetBufferListsHandler = NicReturn;
    m.CancelSendHandler = NicCancelSend;
    m.DevicePnPEventNotifyHandler = NicDeviceEvent;
    m.ShutdownHandlerEx = NicShutdown;
    return NdisMRegisterMiniportDriver(driver, path, NULL, &m, &MiniportDriver);
}
