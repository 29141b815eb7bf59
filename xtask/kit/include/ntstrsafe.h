/* Safe string routines are inline C in a real kit; Rust code has no use for them. */
#ifndef IM_KIT_NTSTRSAFE_H
#define IM_KIT_NTSTRSAFE_H
#include "ntdef.h"
#endif
