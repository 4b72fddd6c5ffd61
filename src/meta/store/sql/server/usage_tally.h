// What each client of an SQL server has added to the volume's usage, told in the database, so that none of it
// is lost with the client: its total since it began, which is the sum of its rows in cider_op, each of which
// the commits of one connection add to; and how much of that is in the counters already (cider_client). What
// is between the two is counted each second by the client itself, and by others when it is gone. Whoever
// counts locks the row in cider_client, and reads the rows of cider_op after that.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "meta/store/client_usage.h"
#include "meta/store/sql/changes.h"
#include "meta/store/sql/session.h"

namespace cider::meta::sql::server {

// A row of cider_client.
struct TallyRow {
  std::string client;
  int64_t sid = 0;     // 0: no session
  std::string volume;  // its UUID: JuiceFS makes new volumes, and leaves our tables as they are
  UsageRead counted;   // of the total
  int64_t gone = 0;    // unix seconds when somebody found the client gone; 0: not so
};

// --- statements of a client about itself; `client` has to live as long

// Makes or renews its row, and locks it.
Statement tally_row(std::string_view client, int64_t sid, std::string volume);
// What is counted: one row; and rows whose sum is the total.
Statement ask_counted(std::string_view client);
Statement ask_totals(std::string_view client);
Result<UsageRead> take_sum(Rows& rows);
// A connection's commit adds to its row.
Change add_to_total(const UsageRead& usage, std::string_view client, uint64_t slot);
// The total is counted now: `missing` of it was not.
void add_counting(const UsageRead& total, const UsageRead& missing, std::string_view client,
                  std::vector<Change>* out);

// --- of clients that are gone

// Those other than `own` whose session is none any more, or who never had one, and for whom there is
// something to do.
Result<std::vector<TallyRow>> left_tallies(Session& db, std::string_view own, int64_t now);
// Within a transaction: counts what such a client has left in this volume; removes its rows when it has been
// gone for a day: until then one that was only stopped finds what was counted for it, and its commits.
Status settle_tally(Session& db, const TallyRow& left, std::string_view volume, int64_t now);

}  // namespace cider::meta::sql::server
