/*
 * Requests from above, cloned and passed down, and those that the driver answers itself. At
 * PASSIVE_LEVEL; completions and cancels at IRQL <= DISPATCH_LEVEL, on any processor.
 */
#include "im.h"

static BOOLEAN IsPower(NDIS_OID oid)
{
    switch (oid) {
    case OID_PNP_CAPABILITIES:
    case OID_PNP_ENABLE_WAKE_UP:
    case OID_PNP_ADD_WAKE_UP_PATTERN:
    case OID_PNP_REMOVE_WAKE_UP_PATTERN:
    case OID_PM_CURRENT_CAPABILITIES:
    case OID_PM_HARDWARE_CAPABILITIES:
    case OID_PM_PARAMETERS:
    case OID_PM_ADD_WOL_PATTERN:
    case OID_PM_REMOVE_WOL_PATTERN:
    case OID_PM_WOL_PATTERN_LIST:
    case OID_PM_ADD_PROTOCOL_OFFLOAD:
    case OID_PM_GET_PROTOCOL_OFFLOAD:
    case OID_PM_REMOVE_PROTOCOL_OFFLOAD:
    case OID_PM_PROTOCOL_OFFLOAD_LIST:
        return TRUE;
    default:
        return FALSE;
    }
}

/* OID-15: what came back below belongs to the request from above. */
static void CopyBack(NDIS_OID_REQUEST *to, const NDIS_OID_REQUEST *from)
{
    to->SupportedRevision = from->SupportedRevision; /* OID-13 */
    switch (to->RequestType) {
    case NdisRequestMethod:
        to->DATA.METHOD_INFORMATION.OutputBufferLength =
            from->DATA.METHOD_INFORMATION.OutputBufferLength;
        to->DATA.METHOD_INFORMATION.BytesRead = from->DATA.METHOD_INFORMATION.BytesRead;
        to->DATA.METHOD_INFORMATION.BytesWritten = from->DATA.METHOD_INFORMATION.BytesWritten;
        to->DATA.METHOD_INFORMATION.BytesNeeded = from->DATA.METHOD_INFORMATION.BytesNeeded;
        break;
    case NdisRequestSetInformation:
        to->DATA.SET_INFORMATION.BytesRead = from->DATA.SET_INFORMATION.BytesRead;
        to->DATA.SET_INFORMATION.BytesNeeded = from->DATA.SET_INFORMATION.BytesNeeded;
        break;
    default:
        to->DATA.QUERY_INFORMATION.BytesWritten = from->DATA.QUERY_INFORMATION.BytesWritten;
        to->DATA.QUERY_INFORMATION.BytesNeeded = from->DATA.QUERY_INFORMATION.BytesNeeded;
        break;
    }
}

/* Power of the virtual miniport: answered here (OID-20). */
static NDIS_STATUS SetPower(ADAPTER *a, NDIS_OID_REQUEST *request)
{
    NDIS_DEVICE_POWER_STATE state;

    if (request->DATA.SET_INFORMATION.InformationBufferLength < sizeof(state)) {
        request->DATA.SET_INFORMATION.BytesNeeded = sizeof(state);
        return NDIS_STATUS_NOT_ACCEPTED; /* OID-7 */
    }
    NdisMoveMemory(&state, request->DATA.SET_INFORMATION.InformationBuffer, sizeof(state));
    request->DATA.SET_INFORMATION.BytesRead = sizeof(state);
    if (state == NdisDeviceStateD0) {
        Shut(a, 0, SHUT_SLEEP_ABOVE);
    } else {
        Shut(a, SHUT_SLEEP_ABOVE, 0);
        WaitForZero(&a->Inside); /* PWR-2: a status that is under way */
    }
    return NDIS_STATUS_SUCCESS;
}

NDIS_STATUS NTAPI ImRequest(NDIS_HANDLE context, NDIS_OID_REQUEST *request)
{
    ADAPTER *a = context;
    NDIS_OID oid = request->DATA.QUERY_INFORMATION.Oid;
    NDIS_OID_REQUEST *clone = NULL;
    NDIS_STATUS status;

    if (oid == OID_PNP_SET_POWER) {
        if (request->RequestType != NdisRequestSetInformation) {
            return NDIS_STATUS_NOT_ACCEPTED; /* OID-7 */
        }
        return SetPower(a, request);
    }
    if (oid == OID_PNP_QUERY_POWER) {
        return NDIS_STATUS_SUCCESS;
    }
    if (oid == OID_PNP_CAPABILITIES || (IsPower(oid) && !a->HasPower)) {
        return NDIS_STATUS_NOT_SUPPORTED; /* OID-21, OID-22 */
    }
    if (oid == OID_GEN_RECEIVE_SCALE_CAPABILITIES || oid == OID_GEN_RECEIVE_SCALE_PARAMETERS) {
        return NDIS_STATUS_NOT_SUPPORTED; /* RSS-2 */
    }
    if ((oid & 0xFFFFFF00) == (OID_QOS_PARAMETERS & 0xFFFFFF00)) {
        return NDIS_STATUS_NOT_SUPPORTED; /* QOS-1 */
    }
    if (a->Resetting) {
        return NDIS_STATUS_RESET_IN_PROGRESS; /* RST-2 */
    }
    if (a->Shut & SHUT_GONE) {
        return NDIS_STATUS_NOT_ACCEPTED;
    }
    if (a->Shut & (SHUT_SLEEP_ABOVE | SHUT_SLEEP_BELOW)) {
        return NDIS_STATUS_LOW_POWER_STATE; /* PWR-5, PBS-5 */
    }
    status = NdisAllocateCloneOidRequest(a->Binding, request, TAG, &clone);
    if (status != NDIS_STATUS_SUCCESS) {
        return status;
    }
    *(NDIS_OID_REQUEST **)clone->SourceReserved = request;
    InterlockedIncrement(&a->Requests);
    status = NdisOidRequest(a->Binding, clone);
    if (status != NDIS_STATUS_PENDING) {
        CopyBack(request, clone);
        NdisFreeCloneOidRequest(a->Binding, clone);
        InterlockedDecrement(&a->Requests);
    }
    return status;
}

void NTAPI ImRequestComplete(NDIS_HANDLE context, NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
    ADAPTER *a = context;
    NDIS_OID_REQUEST *above = *(NDIS_OID_REQUEST **)request->SourceReserved;
    NDIS_HANDLE miniport = a->Miniport;

    if (above == NULL) {
        OwnRequestEnded(request, status);
        return;
    }
    CopyBack(above, request);
    NdisFreeCloneOidRequest(a->Binding, request);
    InterlockedDecrement(&a->Requests);
    NdisMOidRequestComplete(miniport, above, status);
}

void NTAPI ImCancelRequest(NDIS_HANDLE context, PVOID id)
{
    ADAPTER *a = context;

    InterlockedIncrement(&a->Inside);
    if (a->Binding != NULL) {
        NdisCancelOidRequest(a->Binding, id);
    }
    InterlockedDecrement(&a->Inside);
}
