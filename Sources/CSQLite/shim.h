// SQLite's variadic configuration calls, which Swift cannot import.
#pragma once
#include <sqlite3.h>

static inline int chatelaine_sqlite3_db_config_flag(sqlite3 *db, int option, int on) {
  return sqlite3_db_config(db, option, on, (int *)0);
}
