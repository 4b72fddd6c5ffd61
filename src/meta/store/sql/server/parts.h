// The questions of an operation as rows to lock: each has a place, and all clients lock in the order of
// places, nodes first, so that they don't wait for each other in a circle.
#pragma once

#include <map>
#include <string>

#include "meta/store/reads.h"
#include "meta/store/sql/statement.h"
#include "meta/store/writes.h"

namespace cider::meta::sql::server {

// Questions that are one statement each, with their answers if they have been asked. A LookupRead is the
// EntryRead and the AttrRead of the inode that was found.
using Parts = std::map<std::string, ReadItem>;

std::string node_place(Ino ino);
// Whether rows are locked there: not for what is not checked, and not for an emptiness, which a lock on the
// directory's node holds.
bool locks_rows(const std::string& place);

// Adds what answers the question, as far as what is known tells: without an entry's answer, not its inode.
// For what rows may be added to, also the node that everybody locks who does.
void add_parts(const ReadItem& question, const Parts& known, Parts* out);
// Answers the question; false where a part of it is not known.
bool answer_from(const Parts& known, ReadItem* question);

// Adds the parts without which the write's effect is not certain: what they say is that there is a row to
// change.
void add_backing(const WriteItem& item, Parts* out);
// Whether these parts, all known, let the write have its effect.
bool is_backed(const WriteItem& item, const Parts& known);
// Adds the places of rows that the write changes or deletes.
void add_places(const WriteItem& item, std::map<std::string, Lock>* out);

}  // namespace cider::meta::sql::server
