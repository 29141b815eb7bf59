/* What every declaration needs: calling conventions, annotations, assertions. */
#pragma once

#define NTAPI
#define NTKERNELAPI DECLSPEC_IMPORT
#define NDIS_API
#define CALLBACK
#define CONST const
#define VOID void
#define DECLSPEC_IMPORT __declspec(dllimport)
#define DECLSPEC_ALIGN(n) __declspec(align(n))
#define DECLSPEC_NORETURN __declspec(noreturn)
#define DECLSPEC_NOINLINE __declspec(noinline)
#define FORCEINLINE static __inline __attribute__((always_inline))
#define EXTERN_C extern
#define NULL ((void *)0)

/* Annotations for analysers are words without a meaning to a compiler. */
#define IN
#define OUT
#define OPTIONAL
#define _In_
#define _In_opt_
#define _Inout_
#define _Inout_opt_
#define _Out_
#define _Out_opt_
#define _Use_decl_annotations_
#define _Must_inspect_result_
#define _IRQL_requires_(irql)
#define _IRQL_requires_max_(irql)
#define _IRQL_requires_min_(irql)
#define _Function_class_(name)

#define C_ASSERT(e) _Static_assert(e, #e)
#define FIELD_OFFSET(type, field) ((unsigned int)__builtin_offsetof(type, field))
#define CONTAINING_RECORD(address, type, field) \
    ((type *)((char *)(address) - FIELD_OFFSET(type, field)))
#define ARRAYSIZE(a) (sizeof(a) / sizeof((a)[0]))
#define RTL_NUMBER_OF(a) ARRAYSIZE(a)
#define UNREFERENCED_PARAMETER(p) ((void)(p))

typedef __WCHAR_TYPE__ wchar_t;
typedef __SIZE_TYPE__ size_t;
typedef __builtin_va_list va_list;
#define va_start(list, last) __builtin_va_start(list, last)
#define va_arg(list, type) __builtin_va_arg(list, type)
#define va_end(list) __builtin_va_end(list)
