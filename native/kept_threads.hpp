// Threads that wait for work between calls, while there is a lot of it.
#pragma once

#include <functional>

namespace dvmsr {

// Has `count` threads wait for work from now on in this process, beside those that call; 0 ends them. Where the
// system gives fewer, there are fewer; a forked process has none.
void keep_threads(int count);

// Calls work(0) in this thread and work(1) to work(count - 1) in kept ones, and returns when all are done; `work`
// must not call this again. Returns false, and calls nothing, where fewer are kept or another call has them.
bool run_in_kept_threads(int count, const std::function<void(int)>& work);

}  // namespace dvmsr
