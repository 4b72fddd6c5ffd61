// What the tests over all SQL servers need to know of each: typed tests over SqlServers. For tests only.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "meta/store/engines.h"
#include "meta/store/sql/server/server_store.h"
#include "meta/testing/engines.h"
#include "meta/testing/mysql_proxy.h"
#include "meta/testing/mysql_server.h"
#include "meta/testing/postgres_proxy.h"
#include "meta/testing/postgres_server.h"
#include "meta/testing/store_calls.h"

namespace cider::meta::testing {

inline std::unique_ptr<Store> open(const std::string& url, bool read_only = false) {
  auto store = open_store(url, true, read_only);
  if (!store) throw std::runtime_error(store.error().to_string());
  return *std::move(store);
}

inline sql::server::CountingStore& counting(Store& store) {
  return dynamic_cast<sql::server::CountingStore&>(store);
}

struct Postgres {
  using Server = PostgresServer;
  using Proxy = PostgresProxy;
  static constexpr Engine kEngine = Engine::postgres;
  static constexpr const char* kFixture = "main-postgres";

  static Result<VolumeDump> dump(const std::string& url) { return dump_postgres(url); }

  // Locks all inodes and sleeps, until it is released: then it throws.
  static void hold(Server& server) { server.sql("BEGIN; LOCK jfs_node; SELECT pg_sleep(1000); COMMIT"); }
  static bool is_held(Server& server) {
    return server.sql(
               "SELECT count(*) FROM pg_locks WHERE granted AND mode='AccessExclusiveLock' AND "
               "relation='jfs_node'::regclass") == "1\n";
  }
  static void release(Server& server) {
    server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1000)%' "
        "AND pid<>pg_backend_pid()");
  }

  static constexpr const char* kEmpty = "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public";
  static constexpr const char* kColumns =
      "SELECT table_name,column_name,data_type,character_maximum_length,is_nullable,column_default FROM "
      "information_schema.columns WHERE table_schema='public' AND table_name LIKE 'jfs\\_%' ORDER BY "
      "table_name,ordinal_position";
  static constexpr const char* kIndexes =
      "SELECT tablename,indexname,indexdef FROM pg_indexes WHERE schemaname='public' AND tablename LIKE "
      "'jfs\\_%' ORDER BY 1,2";
  static constexpr const char* kTables = "SELECT tablename FROM pg_tables WHERE schemaname='public'";
  static constexpr const char* kMakeOlder =
      "ALTER TABLE jfs_node DROP COLUMN tier_id, DROP COLUMN atimensec; DROP TABLE jfs_user_group_quota; "
      "DROP INDEX \"IDX_jfs_chunk_ref_refs\"";
};

struct Mysql {
  using Server = MysqlServer;
  using Proxy = MysqlProxy;
  static constexpr Engine kEngine = Engine::mysql;
  static constexpr const char* kFixture = "main-mysql";

  static Result<VolumeDump> dump(const std::string& url) { return dump_mysql(url); }

  static void hold(Server& server) {
    server.sql("BEGIN; SELECT inode FROM jfs_node FOR UPDATE; SELECT SLEEP(1000); COMMIT");
  }
  static std::string holder(Server& server) {
    return server.sql("SELECT id FROM information_schema.processlist WHERE info='SELECT SLEEP(1000)'");
  }
  static bool is_held(Server& server) { return !holder(server).empty(); }
  static void release(Server& server) { server.sql("KILL " + holder(server)); }

  static constexpr const char* kEmpty = "DROP DATABASE cider; CREATE DATABASE cider CHARACTER SET utf8mb4";
  static constexpr const char* kColumns =
      "SELECT table_name,column_name,column_type,is_nullable,column_default,extra,collation_name FROM "
      "information_schema.columns WHERE table_schema='cider' AND table_name LIKE 'jfs\\_%' ORDER BY "
      "table_name,ordinal_position";
  static constexpr const char* kIndexes =
      "SELECT table_name,index_name,non_unique,seq_in_index,column_name FROM information_schema.statistics "
      "WHERE table_schema='cider' AND table_name LIKE 'jfs\\_%' ORDER BY 1,2,4";
  static constexpr const char* kTables =
      "SELECT table_name FROM information_schema.tables WHERE table_schema='cider'";
  static constexpr const char* kMakeOlder =
      "ALTER TABLE jfs_node DROP COLUMN tier_id, DROP COLUMN atimensec; DROP TABLE jfs_user_group_quota; "
      "DROP INDEX IDX_jfs_chunk_ref_refs ON jfs_chunk_ref";
};

using SqlServers = ::testing::Types<Postgres, Mysql>;

// In the names of typed tests: X/postgres.Y.
struct NameOfServer {
  template <class Kind>
  static std::string GetName(int) {
    return engine_name(Kind::kEngine);
  }
};

}  // namespace cider::meta::testing
