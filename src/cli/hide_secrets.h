// Secrets on the command line, which everybody on the machine sees in the list of processes.
#pragma once

namespace cider::cli {

// Overwrites the values of --secret-key and --session-token, and passwords in URLs
// (scheme://user:password@...), in the process's own memory of its command line, after it has been copied.
// They can be seen until then: the environment is the better place.
void hide_secrets(int argc, char** argv);

}  // namespace cider::cli
