// The CPU time of another process.
#pragma once

// Nanoseconds of all its present threads since they began.
double cpu_nanoseconds(int pid);
