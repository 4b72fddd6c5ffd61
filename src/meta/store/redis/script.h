// The server-side half of a transaction: one script that answers questions, checks that answers still hold,
// and writes. One call of it is one round trip and one instant.
//
// KEYS are consumed in order, one per step unless said otherwise. ARGV: the number of checks; the number of
// writes, or "ask"; the operation's slot and sequence number ("" for none; KEYS[1] is then the slots' hash);
// then per step a letter and its arguments. It answers
//   {0, answer...}   asked, or a check failed: the present answer to every check
//   {1, count...}    written; the new lengths of appended lists
//   {2}              an id that was to be new is in use
#pragma once

#include <string>
#include <string_view>

namespace cider::meta::redis {

extern const std::string_view kScript;
const std::string& script_sha();  // lower-case hex, for EVALSHA

}  // namespace cider::meta::redis
