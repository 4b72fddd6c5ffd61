// For tests that make a server stand still.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>

#include <csignal>

namespace cider::testing {

// SIGSTOP to a child of ours. When this returns none of its threads runs any more; kill() alone returns
// before that.
inline void stop_process(pid_t child) {
  ::kill(child, SIGSTOP);
  ::waitpid(child, nullptr, WUNTRACED);
}

}  // namespace cider::testing
