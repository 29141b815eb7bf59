typedef unsigned long long u64;
typedef double v2 __attribute__((vector_size(16)));
extern void sink(void *, u64);
extern u64 source(u64, u64, u64, u64, u64, u64);
void plain(u64 a) { sink(&a, a); }
u64 saves(u64 a, u64 b, u64 c, u64 d)
{
    u64 x = source(a, b, c, d, 1, 2), y = source(b, c, d, a, x, 3);
    u64 z = source(c, d, a, b, y, x);
    return x + y * z + a + b + c + d + source(a, b, c, d, x, y);
}
u64 dynamic(u64 n) { char *p = __builtin_alloca(n & 0x70); sink(p, n); return n; }
u64 large(u64 n) { char p[3000]; sink(p, n); return n + p[0]; }
u64 huge(u64 n) { char p[600000]; sink(p, n); return n + p[0]; }
u64 branches(u64 n)
{
    if (n & 1) { sink(&n, 1); if (n > 7) return source(n, n, n, n, n, n); }
    else for (u64 i = 0; i < (n & 3); i++) sink(&i, n);
    return n;
}
void tail(u64 a) { source(a, a, a, a, a, a); sink((void *)a, a); }
v2 vectors(v2 *p, u64 n) { v2 a = p[0], b = p[1]; sink(p, n); a += b; sink(p, n); return a * b + p[1]; }
u64 aligned(u64 n) { __attribute__((aligned(64))) char p[64]; sink(p, n); return n; }
u64 leaf(u64 n) { return n + 1; }
