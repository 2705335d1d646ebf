// Resident memory of a process. Threads: any.
#ifndef KEV_TOOLS_BENCH_RESIDENT_H_
#define KEV_TOOLS_BENCH_RESIDENT_H_

namespace kev {

// In MB; 0 when it cannot be read.
double ResidentMb(int pid);

}  // namespace kev

#endif  // KEV_TOOLS_BENCH_RESIDENT_H_
