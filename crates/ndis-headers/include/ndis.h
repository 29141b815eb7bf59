/* NDIS 6 for miniport, protocol and intermediate drivers. Everything up to 6.87 is declared
   whatever version a driver defines; what it registers with is its own choice. */
#pragma once

#include "ntddk.h"
#include "kit-ndis.h"
