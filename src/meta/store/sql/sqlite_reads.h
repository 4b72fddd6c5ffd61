// Answers the questions of an operation (meta/store/reads.h) from the tables.
#pragma once

#include "base/result.h"
#include "meta/store/reads.h"
#include "meta/store/sql/sqlite_db.h"

namespace cider::meta::sqlite {

// As the connection sees the database at this moment; several calls are one instant within one transaction.
Status answer(Connection& db, ReadItem* item);

}  // namespace cider::meta::sqlite
