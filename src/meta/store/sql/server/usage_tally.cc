#include "meta/store/sql/server/usage_tally.h"

#include <map>
#include <set>
#include <utility>

#include "meta/store/sql/scans.h"

namespace cider::meta::sql::server {
namespace {

constexpr const char* kTotals = "SELECT space,inodes FROM cider_op WHERE client=?{lock}";
constexpr const char* kCount = "UPDATE cider_client SET space=?,inodes=?,gone=? WHERE client=?";

void add(int64_t space, int64_t inodes, UsageRead* sum) {
  sum->space += space;
  sum->inodes += inodes;
}

}  // namespace

Statement tally_row(std::string_view client, int64_t sid, std::string volume) {
  return Statement(
      "INSERT INTO cider_client (client,sid,volume,space,inodes,gone) VALUES (?,?,?,0,0,0) "
      "{on conflict client}sid={new sid},volume={new volume},gone=0",
      client, sid, Owned{std::move(volume)});
}

Statement ask_counted(std::string_view client) {
  return Statement("SELECT space,inodes FROM cider_client WHERE client=?", client);
}

Statement ask_totals(std::string_view client) {
  return Statement(kTotals, client);
}

Result<UsageRead> take_sum(Rows& rows) {
  UsageRead sum;
  while (TRY(rows.next())) add(rows.integer(0), rows.integer(1), &sum);
  return sum;
}

Change add_to_total(const UsageRead& usage, std::string_view client, uint64_t slot) {
  return {
      .statement = Statement("UPDATE cider_op SET space=space+?,inodes=inodes+? WHERE client=? AND slot=?",
                             usage.space, usage.inodes, client, slot),
      .expects_all = true};
}

void add_counting(const UsageRead& total, const UsageRead& missing, std::string_view client,
                  std::vector<Change>* out) {
  if (is_zero(missing)) return;
  add_usage_changes({missing.space, missing.inodes, {}}, out);
  out->push_back({.statement = Statement(kCount, total.space, total.inodes, 0, client), .expects_all = true});
}

// The sessions are asked for last: a client writes both rows in one transaction.
Result<std::vector<TallyRow>> left_tallies(Session& db, std::string_view own, int64_t now) {
  std::vector<TallyRow> rows;
  {
    auto found = TRY(db.query("SELECT client,sid,volume,space,inodes,gone FROM cider_client"));
    while (TRY(found->next())) {
      if (found->bytes(0) == own) continue;
      rows.push_back({std::string(found->bytes(0)),
                      found->integer(1),
                      std::string(found->bytes(2)),
                      {found->integer(3), found->integer(4)},
                      found->integer(5)});
    }
  }
  if (rows.empty()) return rows;
  std::map<std::string, UsageRead, std::less<>> totals;
  {
    auto found = TRY(db.query("SELECT client,space,inodes FROM cider_op"));
    while (TRY(found->next()))
      add(found->integer(1), found->integer(2), &totals[std::string(found->bytes(0))]);
  }
  std::set<int64_t> live;
  for (const SessionRecord& session : TRY(list_sessions(db))) live.insert(static_cast<int64_t>(session.sid));
  std::erase_if(rows, [&](const TallyRow& row) {
    if (live.contains(row.sid)) return true;
    return is_zero(difference(totals[row.client], row.counted)) && row.gone != 0 &&
           row.gone + kLeftUsageKept > now;
  });
  return rows;
}

Status settle_tally(Session& db, const TallyRow& left, std::string_view volume, int64_t now) {
  const std::string_view client = left.client;
  UsageRead counted;
  int64_t gone = 0;
  {
    Statement lock("SELECT sid,space,inodes,gone FROM cider_client WHERE client=?{lock}", client);
    lock.lock = Lock::update;
    auto row = TRY(db.ask(lock));
    if (!TRY(row->next()) || row->integer(0) != left.sid) return {};  // settled by others, or it is back
    counted = {row->integer(1), row->integer(2)};
    gone = row->integer(3);
    TRY(row->next());
  }
  const UsageRead total = TRY(take_sum(*TRY(db.ask(ask_totals(client)))));
  UsageRead missing = difference(total, counted);
  if (left.volume != volume) missing = {};
  if (is_zero(missing) && gone != 0 && gone + kLeftUsageKept <= now) {
    TRY(db.execute("DELETE FROM cider_op WHERE client=?", client));
    TRY(db.execute("DELETE FROM cider_client WHERE client=?", client));
    return {};
  }
  std::vector<Change> changes;
  if (!is_zero(missing)) add_usage_changes({missing.space, missing.inodes, {}}, &changes);
  for (const Change& change : changes) TRY(db.change(change.statement));
  if (gone == 0 || !is_zero(missing)) gone = now;
  TRY(db.execute(kCount, total.space, total.inodes, gone, client));
  return {};
}

}  // namespace cider::meta::sql::server
