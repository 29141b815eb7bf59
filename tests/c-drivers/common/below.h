/*
 * A protocol's adapter below: opening and closing it, and requests of the driver's own. All at
 * PASSIVE_LEVEL but the completions, which run at IRQL <= DISPATCH_LEVEL.
 */
#pragma once

#include "common.h"

/* What may pend, and how it ended. */
typedef struct _PENDED {
    NDIS_EVENT Done;
    NDIS_STATUS Status;
} PENDED;

/* A request of our own. */
typedef struct _OWN_REQUEST {
    NDIS_OID_REQUEST Request;
    PENDED Pended;
    ULONG Value;
} OWN_REQUEST;

/* It has ended; the last touch. */
FORCEINLINE void Ended(PENDED *p, NDIS_STATUS status)
{
    p->Status = status;
    NdisSetEvent(&p->Done);
}

/* How what returned `status` ends. */
FORCEINLINE NDIS_STATUS Outcome(PENDED *p, NDIS_STATUS status)
{
    if (status == NDIS_STATUS_PENDING) {
        NdisWaitEvent(&p->Done, 0);
        status = p->Status;
    }
    return status;
}

/* Opens the adapter of a bind (BND-1, BND-2). */
FORCEINLINE NDIS_STATUS OpenBelow(NDIS_HANDLE protocol, NDIS_HANDLE context, NDIS_HANDLE bind,
                                  const NDIS_BIND_PARAMETERS *parameters, PENDED *pended,
                                  NDIS_HANDLE *binding)
{
    NDIS_OPEN_PARAMETERS open;
    NDIS_MEDIUM medium = NdisMedium802_3;
    UINT index = 0;

    NdisInitializeEvent(&pended->Done);
    NdisZeroMemory(&open, sizeof(open));
    open.Header = HEADER(NDIS_OBJECT_TYPE_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS_REVISION_1,
                         NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1);
    open.AdapterName = parameters->AdapterName;
    open.MediumArray = &medium;
    open.MediumArraySize = 1;
    open.SelectedMediumIndex = &index;
    return Outcome(pended, NdisOpenAdapterEx(protocol, context, &open, bind, binding));
}

/* Closes it (UNB-2). */
FORCEINLINE void CloseBelow(NDIS_HANDLE binding, PENDED *pended)
{
    NdisResetEvent(&pended->Done);
    Outcome(pended, NdisCloseAdapterEx(binding));
}

/* Sets something below to `length` bytes of a value (OID-17). */
FORCEINLINE NDIS_STATUS SetBelow(NDIS_HANDLE protocol, NDIS_HANDLE binding, NDIS_OID oid,
                                 ULONG value, ULONG length, ULONG tag)
{
    OWN_REQUEST *own = Allocate(protocol, sizeof(*own), tag);
    NDIS_STATUS status;

    if (own == NULL) {
        return NDIS_STATUS_RESOURCES;
    }
    NdisInitializeEvent(&own->Pended.Done);
    own->Value = value;
    own->Request.Header = HEADER(NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
                                 NDIS_SIZEOF_OID_REQUEST_REVISION_1);
    own->Request.RequestType = NdisRequestSetInformation;
    own->Request.DATA.SET_INFORMATION.Oid = oid;
    own->Request.DATA.SET_INFORMATION.InformationBuffer = &own->Value;
    own->Request.DATA.SET_INFORMATION.InformationBufferLength = length;
    status = Outcome(&own->Pended, NdisOidRequest(binding, &own->Request));
    NdisFreeMemory(own, 0, 0);
    return status;
}

/* Such a request is complete. */
FORCEINLINE void OwnRequestEnded(NDIS_OID_REQUEST *request, NDIS_STATUS status)
{
    Ended(&CONTAINING_RECORD(request, OWN_REQUEST, Request)->Pended, status);
}
