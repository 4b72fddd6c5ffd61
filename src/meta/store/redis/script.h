// The server-side half of a transaction: one script that answers questions, checks that answers still hold,
// and writes. One call of it is one round trip and one instant.
//
// KEYS are consumed in order, one per step unless said otherwise. ARGV: the number of checks; the number of
// writes, or "ask"; the attempt's slot and sequence number ("" for none; KEYS[1] is then the slots' hash);
// whether that hash is to live for another day ("" to leave it: a slot that is new there prolongs it anyway);
// then per step a letter and its arguments. It answers
//   {0, answer...}   asked, or a check failed: the present answer to every check
//   {1, count..., record...}
//                    written; the new lengths of appended lists; inodes as they are now, of patches that want
//                    it (not when an attempt is told again)
//   {2}              an inode that was to be new is there
//   {3}              a later attempt has used the slot
//   {4}              a slice that was to be new is in its chunk or has a count, or a number above what its
//                    counter gave out
//
// An attempt with a slot is decided once, at its first call: a copy of it that comes later, over a connection
// that was given up, gets the same verdict and changes nothing. To "ask" with a slot decides an attempt that
// was not decided yet: it is refused for good. One that was is told its verdict, as a copy is.
//
// Nothing can interrupt a script and nobody else is served while it runs, so what a call may write is bounded
// by who makes it (records_per_commit(), kTooManyChunks).
#pragma once

#include <string>
#include <string_view>

namespace cider::meta::redis {

extern const std::string_view kScript;
const std::string& script_sha();  // lower-case hex, for EVALSHA

}  // namespace cider::meta::redis
