/* File-system drivers' superset in a real kit; nothing beyond ntddk.h is needed here. */
#ifndef IM_KIT_NTIFS_H
#define IM_KIT_NTIFS_H
#include "ntddk.h"
#endif
