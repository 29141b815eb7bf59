/*
 * An intermediate driver in C: one virtual miniport above each adapter, lists go through whole.
 *
 * Written in the older way on purpose: the data path counts under an NDIS_RW_LOCK, bindings hang
 * in an interlocked list, the source handle of a list is kept in context space that is pushed on
 * it, handlers at PASSIVE_LEVEL wait by sleeping. Declares NDIS 6.20.
 *
 * What runs at once: sends, completions, receives, returns and statuses on any processor at
 * IRQL <= DISPATCH_LEVEL; life-cycle handlers at PASSIVE_LEVEL.
 */
#include "im.h"

NDIS_HANDLE MiniportDriver, ProtocolDriver;
static LIST_ENTRY Adapters;
static KSPIN_LOCK AdaptersLock;

/* ---- gate ---------------------------------------------------------------------------- */

/* Counts lists in, unless something is shut; what is. IRQL <= DISPATCH_LEVEL. */
static ULONG Enter(ADAPTER *a, volatile LONG *counter, LONG count)
{
    LOCK_STATE state;
    ULONG shut;

    NdisAcquireReadWriteLock(&a->Lock, FALSE, &state);
    shut = a->Shut;
    if (shut == 0) {
        InterlockedExchangeAdd(counter, count);
    }
    NdisReleaseReadWriteLock(&a->Lock, &state);
    return shut;
}

void Shut(ADAPTER *a, ULONG set, ULONG clear)
{
    LOCK_STATE state;

    NdisAcquireReadWriteLock(&a->Lock, TRUE, &state);
    a->Shut = (a->Shut | set) & ~clear;
    NdisReleaseReadWriteLock(&a->Lock, &state);
}

/* The status of a send that is refused (SND-4). */
static NDIS_STATUS RefusedStatus(ULONG shut)
{
    if (shut & SHUT_GONE) {
        return NDIS_STATUS_NOT_ACCEPTED;
    }
    if (shut & (SHUT_SLEEP_ABOVE | SHUT_SLEEP_BELOW)) {
        return NDIS_STATUS_LOW_POWER_STATE;
    }
    return NDIS_STATUS_PAUSED;
}

/* ---- source handles -------------------------------------------------------------------- */

/* Keeps the handle that a list came with (SND-7, RCV-6) in context space of ours (NBL-5). */
static BOOLEAN Push(NET_BUFFER_LIST *list, NDIS_HANDLE handle)
{
    const USHORT size = 2 * sizeof(PVOID); /* MEMORY_ALLOCATION_ALIGNMENT */

    if (NdisAllocateNetBufferListContext(list, size, 0, TAG) != NDIS_STATUS_SUCCESS) {
        return FALSE;
    }
    *(NDIS_HANDLE *)NET_BUFFER_LIST_CONTEXT_DATA_START(list) = list->SourceHandle;
    list->SourceHandle = handle;
    return TRUE;
}

static void Pop(NET_BUFFER_LIST *list)
{
    list->SourceHandle = *(NDIS_HANDLE *)NET_BUFFER_LIST_CONTEXT_DATA_START(list);
    NdisFreeNetBufferListContext(list, 2 * sizeof(PVOID));
}

/* ---- sends ----------------------------------------------------------------------------- */

static void CompleteAll(ADAPTER *a, NET_BUFFER_LIST *first, NDIS_STATUS status, ULONG flags)
{
    NET_BUFFER_LIST *list;

    for (list = first; list != NULL; list = NET_BUFFER_LIST_NEXT_NBL(list)) {
        NET_BUFFER_LIST_STATUS(list) = status;
    }
    NdisMSendNetBufferListsComplete(a->Miniport, first, flags);
}

static void NTAPI ImSend(NDIS_HANDLE context, NET_BUFFER_LIST *first, NDIS_PORT_NUMBER port,
                         ULONG flags)
{
    ADAPTER *a = context;
    NET_BUFFER_LIST *list, *next, *down = NULL, **tail = &down, *refused = NULL;
    ULONG complete = NDIS_TEST_SEND_AT_DISPATCH_LEVEL(flags)
                         ? NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL
                         : 0;
    LONG count = (LONG)CountLists(first);
    ULONG shut = Enter(a, &a->Sends, count);

    if (shut != 0) {
        CompleteAll(a, first, RefusedStatus(shut), complete);
        return;
    }
    for (list = first; list != NULL; list = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(list);
        if (Push(list, a->Binding)) {
            *tail = list;
            tail = &NET_BUFFER_LIST_NEXT_NBL(list);
        } else {
            NET_BUFFER_LIST_NEXT_NBL(list) = refused;
            refused = list;
        }
    }
    *tail = NULL;
    if (refused != NULL) {
        count = (LONG)CountLists(refused);
        CompleteAll(a, refused, NDIS_STATUS_RESOURCES, complete);
        InterlockedExchangeAdd(&a->Sends, -count);
    }
    if (down != NULL) {
        /* SND-19: looping frames back is asked of NDIS by those above. */
        NdisSendNetBufferLists(a->Binding, down, port,
                               flags & ~NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK);
    }
}

static void NTAPI ImSendComplete(NDIS_HANDLE context, NET_BUFFER_LIST *first, ULONG flags)
{
    ADAPTER *a = context;
    NET_BUFFER_LIST *list;
    LONG count = 0;

    for (list = first; list != NULL; list = NET_BUFFER_LIST_NEXT_NBL(list)) {
        Pop(list);
        count++;
    }
    NdisMSendNetBufferListsComplete(a->Miniport, first, flags);
    InterlockedExchangeAdd(&a->Sends, -count);
}

static void NTAPI ImCancelSend(NDIS_HANDLE context, PVOID id)
{
    ADAPTER *a = context;

    InterlockedIncrement(&a->Inside); /* SND-15 */
    if (a->Binding != NULL) {
        NdisCancelSendNetBufferLists(a->Binding, id);
    }
    InterlockedDecrement(&a->Inside);
}

/* ---- receives -------------------------------------------------------------------------- */

/* As many lists as are lent upward at a time: what is remembered of them lies on the stack,
   of which this is more than a page. */
#define LENT 260

typedef struct _LENT_LIST {
    NET_BUFFER_LIST *List;
    NDIS_HANDLE Source;
} LENT_LIST;

/* RCV-2, RCV-3: lent lists are lent on, and back as they were when the handler returns. */
static DECLSPEC_NOINLINE NET_BUFFER_LIST *Lend(ADAPTER *a, NET_BUFFER_LIST *first,
                                               NDIS_PORT_NUMBER port, ULONG flags)
{
    LENT_LIST lent[LENT];
    NET_BUFFER_LIST *list = first, *rest;
    ULONG count = 0, i;

    for (; list != NULL && count < LENT; list = NET_BUFFER_LIST_NEXT_NBL(list)) {
        lent[count].List = list;
        lent[count].Source = list->SourceHandle;
        list->SourceHandle = a->Miniport;
        count++;
    }
    rest = list;
    NET_BUFFER_LIST_NEXT_NBL(lent[count - 1].List) = NULL;
    NdisMIndicateReceiveNetBufferLists(a->Miniport, first, port, count, flags);
    for (i = 0; i < count; i++) {
        lent[i].List->SourceHandle = lent[i].Source;
        NET_BUFFER_LIST_NEXT_NBL(lent[i].List) = i + 1 < count ? lent[i + 1].List : rest;
    }
    return rest;
}

static void NTAPI ImReceive(NDIS_HANDLE context, NET_BUFFER_LIST *first, NDIS_PORT_NUMBER port,
                            ULONG number, ULONG flags)
{
    ADAPTER *a = context;
    NET_BUFFER_LIST *list, *next, *up = NULL, **tail = &up, *back = NULL;
    ULONG give = NDIS_TEST_RECEIVE_AT_DISPATCH_LEVEL(flags) ? NDIS_RETURN_FLAGS_DISPATCH_LEVEL : 0;
    LONG count = (LONG)CountLists(first), refused;
    ULONG shut = Enter(a, &a->Receives, count);

    if (NDIS_TEST_RECEIVE_CANNOT_PEND(flags)) {
        if (shut == 0) {
            for (list = first; list != NULL;) {
                list = Lend(a, list, port, flags);
            }
            InterlockedExchangeAdd(&a->Receives, -count);
        }
        return;
    }
    if (shut != 0) {
        NdisReturnNetBufferLists(a->Binding, first, give); /* PBS-3 */
        return;
    }
    for (list = first; list != NULL; list = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(list);
        if (Push(list, a->Miniport)) {
            *tail = list;
            tail = &NET_BUFFER_LIST_NEXT_NBL(list);
        } else {
            NET_BUFFER_LIST_NEXT_NBL(list) = back;
            back = list;
        }
    }
    *tail = NULL;
    refused = (LONG)CountLists(back);
    if (up != NULL) {
        NdisMIndicateReceiveNetBufferLists(a->Miniport, up, port, (ULONG)(count - refused), flags);
    }
    if (back != NULL) {
        NdisReturnNetBufferLists(a->Binding, back, give);
        InterlockedExchangeAdd(&a->Receives, -refused);
    }
}

static void NTAPI ImReturn(NDIS_HANDLE context, NET_BUFFER_LIST *first, ULONG flags)
{
    ADAPTER *a = context;
    NET_BUFFER_LIST *list;
    LONG count = 0;

    for (list = first; list != NULL; list = NET_BUFFER_LIST_NEXT_NBL(list)) {
        Pop(list);
        count++;
    }
    NdisReturnNetBufferLists(a->Binding, first, flags);
    InterlockedExchangeAdd(&a->Receives, -count);
}

/* ---- statuses -------------------------------------------------------------------------- */

static void NTAPI ImStatus(NDIS_HANDLE context, NDIS_STATUS_INDICATION *below)
{
    ADAPTER *a = context;
    NDIS_STATUS_INDICATION up;

    switch (below->StatusCode) {
    case NDIS_STATUS_LINK_STATE:
        if (below->StatusBufferSize < sizeof(a->LinkState) ||
            NdisEqualMemory(&a->LinkState, below->StatusBuffer, sizeof(a->LinkState))) {
            return; /* STS-4 */
        }
        NdisMoveMemory(&a->LinkState, below->StatusBuffer, sizeof(a->LinkState));
        break;
    case NDIS_STATUS_RESET_START:
    case NDIS_STATUS_RESET_END:
        a->Resetting = below->StatusCode == NDIS_STATUS_RESET_START;
        return; /* STS-3 */
    case NDIS_STATUS_OPER_STATUS:
    case NDIS_STATUS_PM_CAPABILITIES_CHANGE:
        return; /* STS-3 */
    default:
        break;
    }
    InterlockedIncrement(&a->Inside);
    if (a->Miniport != NULL && !(a->Shut & SHUT_SLEEP_ABOVE)) { /* STS-5 */
        NdisZeroMemory(&up, sizeof(up));
        up.Header = HEADER(NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_STATUS_INDICATION_REVISION_1,
                           NDIS_SIZEOF_STATUS_INDICATION_REVISION_1);
        up.SourceHandle = a->Miniport; /* STS-1 */
        up.PortNumber = below->PortNumber;
        up.StatusCode = below->StatusCode;
        up.StatusBuffer = below->StatusBuffer;
        up.StatusBufferSize = below->StatusBufferSize;
        NdisMIndicateStatusEx(a->Miniport, &up);
    }
    InterlockedDecrement(&a->Inside);
}

/* ---- the virtual miniport --------------------------------------------------------------- */

/* Tells NDIS which interface lies on which (IFS-1), or takes it back (IFS-2). PASSIVE_LEVEL. */
static void Restack(ADAPTER *a, NET_IFINDEX higher, NET_IFINDEX lower)
{
    if (a->Higher != 0) {
        NdisIfDeleteIfStackEntry(a->Higher, a->Lower);
        a->Higher = 0;
    }
    if (higher != 0 && lower != 0 && NdisIfAddIfStackEntry(higher, lower) == NDIS_STATUS_SUCCESS) {
        a->Higher = higher;
        a->Lower = lower;
    }
}

static NDIS_STATUS NTAPI ImInitialize(NDIS_HANDLE miniport, NDIS_HANDLE driver,
                                      NDIS_MINIPORT_INIT_PARAMETERS *parameters)
{
    ADAPTER *a = parameters->IMDeviceInstanceContext;
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES registration;
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES general;
    const NDIS_BIND_PARAMETERS *f = &a->Facts;
    NDIS_STATUS status;

    NdisZeroMemory(&registration, sizeof(registration));
    registration.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
                                 NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
                                 NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1);
    registration.MiniportAdapterContext = a;
    registration.AttributeFlags = NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND;
    status = NdisMSetMiniportAttributes(miniport,
                                        (NDIS_MINIPORT_ADAPTER_ATTRIBUTES *)&registration);
    if (status != NDIS_STATUS_SUCCESS) {
        goto end;
    }
    NdisZeroMemory(&general, sizeof(general));
    general.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
                            NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
                            NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2);
    general.MediaType = f->MediaType;
    general.PhysicalMediumType = f->PhysicalMediumType;
    general.MtuSize = f->MtuSize;
    general.MaxXmitLinkSpeed = f->MaxXmitLinkSpeed;
    general.MaxRcvLinkSpeed = f->MaxRcvLinkSpeed;
    general.XmitLinkSpeed = a->LinkState.XmitLinkSpeed;
    general.RcvLinkSpeed = a->LinkState.RcvLinkSpeed;
    general.MediaConnectState = a->LinkState.MediaConnectState;
    general.MediaDuplexState = a->LinkState.MediaDuplexState;
    general.LookaheadSize = f->LookaheadSize;
    general.MacOptions = f->MacOptions | NDIS_MAC_OPTION_NO_LOOPBACK |
                         NDIS_MAC_OPTION_8021P_PRIORITY; /* ATR-8 */
    general.SupportedPacketFilters = f->SupportedPacketFilters;
    general.MaxMulticastListSize = f->MaxMulticastListSize;
    general.MacAddressLength = f->MacAddressLength;
    NdisMoveMemory(general.PermanentMacAddress, f->CurrentMacAddress, sizeof(f->CurrentMacAddress));
    NdisMoveMemory(general.CurrentMacAddress, f->CurrentMacAddress, sizeof(f->CurrentMacAddress));
    general.AccessType = f->AccessType;
    general.DirectionType = f->DirectionType;
    general.ConnectionType = f->ConnectionType;
    general.IfType = f->IfType;
    general.IfConnectorPresent = FALSE;
    general.SupportedStatistics =
        NDIS_STATISTICS_XMIT_OK_SUPPORTED | NDIS_STATISTICS_RCV_OK_SUPPORTED;
    general.DataBackFillSize = f->DataBackFillSize;
    general.ContextBackFillSize = f->ContextBackFillSize;
    general.PowerManagementCapabilitiesEx = a->HasPower ? &a->Power : NULL; /* ATR-6 */
    status = NdisMSetMiniportAttributes(miniport, (NDIS_MINIPORT_ADAPTER_ATTRIBUTES *)&general);
    if (status == NDIS_STATUS_SUCCESS) {
        Shut(a, SHUT_ABOVE, SHUT_SLEEP_ABOVE | SHUT_GONE);
        Restack(a, parameters->IfIndex, a->Facts.BoundIfIndex);
        a->Miniport = miniport;
    }
end:
    a->Requested = FALSE;
    return status;
}

static void NTAPI ImHalt(NDIS_HANDLE context, NDIS_HALT_ACTION action)
{
    ADAPTER *a = context;

    a->Miniport = NULL;
    Restack(a, 0, 0);
    WaitForZero(&a->Inside);
}

static NDIS_STATUS NTAPI ImPause(NDIS_HANDLE context, NDIS_MINIPORT_PAUSE_PARAMETERS *parameters)
{
    ADAPTER *a = context;

    Shut(a, SHUT_ABOVE, 0);
    WaitForZero(&a->Sends); /* MPS-3 */
    WaitForZero(&a->Receives);
    return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS NTAPI ImRestart(NDIS_HANDLE context,
                                   NDIS_MINIPORT_RESTART_PARAMETERS *parameters)
{
    Shut(context, 0, SHUT_ABOVE);
    return NDIS_STATUS_SUCCESS;
}

static void NTAPI ImDeviceEvent(NDIS_HANDLE context, NET_DEVICE_PNP_EVENT *event)
{
    if (event->DevicePnPEvent == NdisDevicePnPEventSurpriseRemoved) {
        Shut(context, SHUT_GONE, 0); /* DPE-1 */
    }
}

static void NTAPI ImShutdown(NDIS_HANDLE context, NDIS_SHUTDOWN_ACTION action)
{
    UNREFERENCED_PARAMETER(context); /* DPE-3: nothing to do, nothing to wait for */
}

/* Asks for the virtual miniport, which may be initialised inside. */
static void RequestMiniport(ADAPTER *a)
{
    NDIS_STATUS status;

    a->Requested = TRUE;
    status = NdisIMInitializeDeviceInstanceEx(MiniportDriver, &a->Upper, a);
    if (status != NDIS_STATUS_SUCCESS) {
        a->Requested = FALSE;
        DbgPrint("c-im: no miniport %wZ: %08x\n", &a->Upper, status);
    }
}

/* Takes the virtual miniport down, wherever it is on its way (CAN-1, CAN-3, UNB-7). */
static void DropMiniport(ADAPTER *a)
{
    if (a->Requested &&
        NdisIMCancelInitializeDeviceInstance(MiniportDriver, &a->Upper) == NDIS_STATUS_SUCCESS) {
        a->Requested = FALSE;
        return;
    }
    while (a->Requested) {
        NdisMSleep(50);
    }
    if (a->Miniport != NULL) {
        NdisIMDeInitializeDeviceInstance(a->Miniport);
    }
}

/* ---- the binding ----------------------------------------------------------------------- */

static DECLSPEC_NOINLINE void CheckName(const NDIS_CONFIGURATION_PARAMETER *value)
{
    if (value->ParameterType != NdisParameterMultiString ||
        value->ParameterData.StringData.Length < 2 * sizeof(WCHAR)) {
        ExRaiseStatus(STATUS_INVALID_PARAMETER);
    }
}

/* The first name of UpperBindings, copied. What is not as it should be raises an exception. */
static NDIS_STATUS ReadUpper(ADAPTER *a, NDIS_HANDLE handle)
{
    static NDIS_STRING keyword = NDIS_STRING_CONST(L"UpperBindings");
    NDIS_CONFIGURATION_PARAMETER *value = NULL;
    NDIS_CONFIGURATION_OBJECT object;
    NDIS_HANDLE configuration;
    NDIS_STATUS status;
    const WCHAR *text;
    USHORT units, length = 0;

    NdisZeroMemory(&object, sizeof(object));
    object.Header = HEADER(NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT, NDIS_OBJECT_REVISION_1,
                           sizeof(object));
    object.NdisHandle = handle;
    status = NdisOpenConfigurationEx(&object, &configuration);
    if (status != NDIS_STATUS_SUCCESS) {
        return status;
    }
    NdisReadConfiguration(&status, &value, configuration, &keyword, NdisParameterMultiString);
    if (status == NDIS_STATUS_SUCCESS) {
        __try {
            CheckName(value);
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            DbgPrint("c-im: UpperBindings is bad, exception %08x\n", GetExceptionCode());
            status = NDIS_STATUS_INVALID_DATA;
        }
    }
    if (status == NDIS_STATUS_SUCCESS) {
        text = value->ParameterData.StringData.Buffer;
        units = value->ParameterData.StringData.Length / sizeof(WCHAR);
        while (length < units && text[length] != 0) {
            length++;
        }
        a->Upper.Buffer = Allocate(ProtocolDriver, (length + 1) * sizeof(WCHAR), TAG);
        if (a->Upper.Buffer == NULL) {
            status = NDIS_STATUS_RESOURCES;
        } else {
            NdisMoveMemory(a->Upper.Buffer, text, length * sizeof(WCHAR));
            a->Upper.Length = length * sizeof(WCHAR);
            a->Upper.MaximumLength = (length + 1) * sizeof(WCHAR);
        }
    }
    NdisCloseConfiguration(configuration);
    return status;
}

static void FreeAdapter(ADAPTER *a)
{
    if (a->Upper.Buffer != NULL) {
        NdisFreeMemory(a->Upper.Buffer, 0, 0);
    }
    NdisFreeMemory(a, 0, 0);
}

static void NTAPI ImOpenComplete(NDIS_HANDLE context, NDIS_STATUS status)
{
    Ended(&((ADAPTER *)context)->Pended, status);
}

static void NTAPI ImCloseComplete(NDIS_HANDLE context)
{
    Ended(&((ADAPTER *)context)->Pended, NDIS_STATUS_SUCCESS);
}

static NDIS_STATUS NTAPI ImBind(NDIS_HANDLE driver, NDIS_HANDLE bind,
                                NDIS_BIND_PARAMETERS *parameters)
{
    ADAPTER *a;
    NDIS_STATUS status;
    LARGE_INTEGER ticks, time;

    if (parameters->MediaType != NdisMedium802_3) {
        return NDIS_STATUS_UNSUPPORTED_MEDIA;
    }
    a = Allocate(ProtocolDriver, sizeof(*a), TAG);
    if (a == NULL) {
        return NDIS_STATUS_RESOURCES;
    }
    NdisInitializeReadWriteLock(&a->Lock);
    a->Shut = SHUT_ABOVE | SHUT_BELOW;
    /* VER: NDIS may hand out an older or a newer revision than the one that is known here. */
    NdisMoveMemory(&a->Facts, parameters,
                   parameters->Header.Size < sizeof(a->Facts) ? parameters->Header.Size
                                                              : sizeof(a->Facts));
    a->LinkState.Header = HEADER(NDIS_OBJECT_TYPE_DEFAULT, NDIS_LINK_STATE_REVISION_1,
                                 NDIS_SIZEOF_LINK_STATE_REVISION_1);
    a->LinkState.MediaConnectState = parameters->MediaConnectState;
    a->LinkState.MediaDuplexState = parameters->MediaDuplexState;
    a->LinkState.XmitLinkSpeed = parameters->XmitLinkSpeed;
    a->LinkState.RcvLinkSpeed = parameters->RcvLinkSpeed;
    if (parameters->PowerManagementCapabilitiesEx != NULL) {
        a->HasPower = TRUE;
        NdisMoveMemory(&a->Power, parameters->PowerManagementCapabilitiesEx,
                       NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_1);
        a->Power.Header = HEADER(NDIS_OBJECT_TYPE_DEFAULT, NDIS_PM_CAPABILITIES_REVISION_1,
                                 NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_1);
        a->Power.MinMagicPacketWakeUp = NdisDeviceStateUnspecified;
        a->Power.MinPatternWakeUp = NdisDeviceStateUnspecified;
        a->Power.MinLinkChangeWakeUp = NdisDeviceStateUnspecified;
    }
    status = ReadUpper(a, bind);
    if (status != NDIS_STATUS_SUCCESS) {
        FreeAdapter(a);
        return status;
    }
    status = OpenBelow(ProtocolDriver, a, bind, parameters, &a->Pended, &a->Binding);
    if (status != NDIS_STATUS_SUCCESS) {
        FreeAdapter(a);
        return status;
    }
    ExInterlockedInsertTailList(&Adapters, &a->Link, &AdaptersLock);
    KeQueryTickCount(&ticks);
    KeQuerySystemTime(&time);
    DbgPrint("c-im: bound to %wZ for %wZ at tick %I64d, IRQL %u%s\n", parameters->AdapterName,
             &a->Upper, ticks.QuadPart, (ULONG)KeGetCurrentIrql(),
             time.QuadPart == 0 ? ", time stands still" : "");
    RequestMiniport(a);
    return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS NTAPI ImUnbind(NDIS_HANDLE unbind, NDIS_HANDLE context)
{
    ADAPTER *a = context;
    NDIS_HANDLE binding = a->Binding;
    KIRQL irql;

    KeAcquireSpinLock(&AdaptersLock, &irql);
    RemoveEntryList(&a->Link);
    KeReleaseSpinLock(&AdaptersLock, irql);
    Shut(a, SHUT_BELOW, 0);
    DropMiniport(a);
    WaitForZero(&a->Sends); /* UNB-5 */
    WaitForZero(&a->Receives);
    WaitForZero(&a->Requests);
    SetBelow(ProtocolDriver, binding, OID_GEN_CURRENT_PACKET_FILTER, 0, sizeof(ULONG), TAG);
    SetBelow(ProtocolDriver, binding, OID_802_3_MULTICAST_LIST, 0, 0, TAG); /* UNB-4 */
    a->Binding = NULL; /* UNB-6 */
    WaitForZero(&a->Inside);
    CloseBelow(binding, &a->Pended);
    FreeAdapter(a);
    return NDIS_STATUS_SUCCESS;
}

/* Passes an event on to the protocols above (PNP-4). */
static NDIS_STATUS AskAbove(ADAPTER *a, const NET_PNP_EVENT_NOTIFICATION *below)
{
    NET_PNP_EVENT_NOTIFICATION event;
    NDIS_STATUS status = NDIS_STATUS_SUCCESS;

    WaitForZero(&a->Requests); /* OID-9 */
    InterlockedIncrement(&a->Inside);
    if (a->Miniport != NULL) {
        NdisZeroMemory(&event, sizeof(event));
        event.Header = HEADER(NDIS_OBJECT_TYPE_DEFAULT, NET_PNP_EVENT_NOTIFICATION_REVISION_1,
                              NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1);
        event.NetPnPEvent.NetEvent = below->NetPnPEvent.NetEvent;
        event.NetPnPEvent.Buffer = below->NetPnPEvent.Buffer;
        event.NetPnPEvent.BufferLength = below->NetPnPEvent.BufferLength;
        status = NdisMNetPnPEvent(a->Miniport, &event);
    }
    InterlockedDecrement(&a->Inside);
    return status;
}

/* PNP-9: the virtual miniport with this name is wanted again. */
static void ReEnable(const NET_PNP_EVENT_NOTIFICATION *event)
{
    const UNICODE_STRING *name = event->NetPnPEvent.Buffer;
    ADAPTER *wanted = NULL;
    LIST_ENTRY *entry;
    KIRQL irql;

    if (event->NetPnPEvent.BufferLength < sizeof(*name)) {
        return; /* PNP-10 */
    }
    KeAcquireSpinLock(&AdaptersLock, &irql);
    for (entry = Adapters.Flink; entry != &Adapters; entry = entry->Flink) {
        ADAPTER *a = CONTAINING_RECORD(entry, ADAPTER, Link);

        if (a->Miniport == NULL && !a->Requested && a->Upper.Length == name->Length &&
            NdisEqualMemory(a->Upper.Buffer, name->Buffer, name->Length)) {
            wanted = a;
        }
    }
    KeReleaseSpinLock(&AdaptersLock, irql);
    if (wanted != NULL) {
        RequestMiniport(wanted);
    }
}

static NDIS_STATUS NTAPI ImEvent(NDIS_HANDLE context, NET_PNP_EVENT_NOTIFICATION *event)
{
    ADAPTER *a = context;
    NDIS_PROTOCOL_RESTART_PARAMETERS *restart;
    NDIS_DEVICE_POWER_STATE state;

    switch (event->NetPnPEvent.NetEvent) {
    case NetEventPause:
        Shut(a, SHUT_BELOW, 0);
        WaitForZero(&a->Sends); /* PBS-2 */
        return NDIS_STATUS_SUCCESS;
    case NetEventRestart:
        restart = event->NetPnPEvent.Buffer;
        if (restart != NULL && event->NetPnPEvent.BufferLength >= sizeof(*restart) &&
            restart->BoundIfIndex != 0 && restart->BoundIfIndex != a->Facts.BoundIfIndex) {
            a->Facts.BoundIfIndex = restart->BoundIfIndex; /* PBS-4, IFS-5 */
            Restack(a, a->Higher, a->Facts.BoundIfIndex);
        }
        Shut(a, 0, SHUT_BELOW);
        return NDIS_STATUS_SUCCESS;
    case NetEventSetPower:
        if (a != NULL && event->NetPnPEvent.BufferLength >= sizeof(state)) {
            NdisMoveMemory(&state, event->NetPnPEvent.Buffer, sizeof(state));
            Shut(a, state == NdisDeviceStateD0 ? 0 : SHUT_SLEEP_BELOW,
                 state == NdisDeviceStateD0 ? SHUT_SLEEP_BELOW : 0);
        }
        return NDIS_STATUS_SUCCESS;
    case NetEventQueryPower:
    case NetEventQueryRemoveDevice:
        return a == NULL ? NDIS_STATUS_SUCCESS : AskAbove(a, event); /* PNP-6 */
    case NetEventCancelRemoveDevice:
    case NetEventPnPCapabilities:
        if (a != NULL) {
            AskAbove(a, event);
        }
        return NDIS_STATUS_SUCCESS;
    case NetEventBindList:
    case NetEventReconfigure:
        if (a != NULL) {
            AskAbove(a, event);
        } else if (event->NetPnPEvent.NetEvent == NetEventReconfigure) {
            NdisReEnumerateProtocolBindings(ProtocolDriver); /* PNP-8 */
        }
        return NDIS_STATUS_SUCCESS;
    case NetEventIMReEnableDevice:
        ReEnable(event);
        return NDIS_STATUS_SUCCESS;
    default:
        return NDIS_STATUS_SUCCESS; /* PNP-1 */
    }
}

/* ---- the driver ------------------------------------------------------------------------ */

static void NTAPI ImUnload(DRIVER_OBJECT *driver)
{
    NdisDeregisterProtocolDriver(ProtocolDriver); /* UNL-2 */
    NdisMDeregisterMiniportDriver(MiniportDriver);
}

NTSTATUS NTAPI DriverEntry(DRIVER_OBJECT *driver, UNICODE_STRING *path)
{
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS m;
    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS p;
    NDIS_STATUS status;

    InitializeListHead(&Adapters);
    KeInitializeSpinLock(&AdaptersLock);
    NdisZeroMemory(&m, sizeof(m));
    m.Header = HEADER(NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
                      NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2,
                      NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2);
    m.MajorNdisVersion = 6;
    m.MinorNdisVersion = 20;
    m.MajorDriverVersion = 1;
    m.Flags = NDIS_INTERMEDIATE_DRIVER;
    m.InitializeHandlerEx = ImInitialize;
    m.HaltHandlerEx = ImHalt;
    m.UnloadHandler = ImUnload;
    m.PauseHandler = ImPause;
    m.RestartHandler = ImRestart;
    m.OidRequestHandler = ImRequest;
    m.CancelOidRequestHandler = ImCancelRequest;
    m.SendNetBufferListsHandler = ImSend;
    m.ReturnNetBufferListsHandler = ImReturn;
    m.CancelSendHandler = ImCancelSend;
    m.DevicePnPEventNotifyHandler = ImDeviceEvent;
    m.ShutdownHandlerEx = ImShutdown;
    status = NdisMRegisterMiniportDriver(driver, path, NULL, &m, &MiniportDriver);
    if (status != NDIS_STATUS_SUCCESS) {
        return status;
    }
    NdisZeroMemory(&p, sizeof(p));
    p.Header = HEADER(NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
                      NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2,
                      NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2);
    p.MajorNdisVersion = 6;
    p.MinorNdisVersion = 20;
    p.MajorDriverVersion = 1;
    p.Name = LastPart(path); /* PTR-3 */
    p.BindAdapterHandlerEx = ImBind;
    p.UnbindAdapterHandlerEx = ImUnbind;
    p.OpenAdapterCompleteHandlerEx = ImOpenComplete;
    p.CloseAdapterCompleteHandlerEx = ImCloseComplete;
    p.NetPnPEventHandler = ImEvent;
    p.StatusHandlerEx = ImStatus;
    p.OidRequestCompleteHandler = ImRequestComplete;
    p.ReceiveNetBufferListsHandler = ImReceive;
    p.SendNetBufferListsCompleteHandler = ImSendComplete;
    status = NdisRegisterProtocolDriver(NULL, &p, &ProtocolDriver);
    if (status != NDIS_STATUS_SUCCESS) {
        NdisMDeregisterMiniportDriver(MiniportDriver);
        return status;
    }
    NdisIMAssociateMiniport(MiniportDriver, ProtocolDriver);
    return STATUS_SUCCESS;
}
