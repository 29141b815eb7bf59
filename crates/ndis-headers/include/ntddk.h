/* The kernel's part. */
#pragma once

#include "ndis-sys.h"
#include "kit-nt.h"
