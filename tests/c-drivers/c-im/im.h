/* What the files of the intermediate driver share. */
#pragma once

#include "below.h"

#define TAG 'mIiC'

/* Why lists do not pass: bits of ADAPTER.Shut. */
#define SHUT_ABOVE 1       /* the virtual miniport is paused or not started */
#define SHUT_BELOW 2       /* the binding is paused */
#define SHUT_SLEEP_ABOVE 4 /* the virtual miniport is not in D0 */
#define SHUT_SLEEP_BELOW 8 /* the adapter is not in D0 */
#define SHUT_GONE 16       /* the device was pulled out */

typedef struct _ADAPTER {
    LIST_ENTRY Link;
    NDIS_HANDLE Binding;
    PENDED Pended; /* an open, a close */
    UNICODE_STRING Upper; /* the virtual miniport's device */
    volatile BOOLEAN Requested;
    volatile NDIS_HANDLE Miniport;
    NDIS_RW_LOCK Lock; /* guards Shut */
    ULONG Shut;
    volatile LONG Sends;    /* lists that are below */
    volatile LONG Receives; /* lists that are above */
    volatile LONG Inside;   /* calls that use Miniport or Binding otherwise */
    volatile LONG Requests; /* requests that are below */
    volatile BOOLEAN Resetting; /* the adapter */
    BOOLEAN HasPower;
    NDIS_PM_CAPABILITIES Power;
    NDIS_BIND_PARAMETERS Facts; /* its pointers are dead after the bind */
    NET_IFINDEX Higher, Lower;  /* what the interface stack says; 0 is nothing */
    NDIS_LINK_STATE LinkState;
} ADAPTER;

extern NDIS_HANDLE MiniportDriver, ProtocolDriver;

void Shut(ADAPTER *a, ULONG set, ULONG clear);

NDIS_STATUS NTAPI ImRequest(NDIS_HANDLE context, NDIS_OID_REQUEST *request);
void NTAPI ImRequestComplete(NDIS_HANDLE context, NDIS_OID_REQUEST *request, NDIS_STATUS status);
void NTAPI ImCancelRequest(NDIS_HANDLE context, PVOID id);
