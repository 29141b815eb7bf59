/* The kernel's part. */
#pragma once

#include "ntddk.h"
