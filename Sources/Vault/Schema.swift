/// The tables, as the steps that lead to them: a store remembers in `user_version` how many it has taken.
enum Schema {
  /// `CHTL`, in the header of every store: tells ours from other SQLite files.
  static let applicationID: Int64 = 0x4348_544C

  /// Append only; a step that has been released never changes.
  static let steps: [String] = [
    """
    CREATE TABLE store (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      uuid BLOB NOT NULL CHECK (length(uuid) = 16),
      created INTEGER NOT NULL
    ) STRICT;
    -- How the master key is recognised and, for a passphrase, derived. `passphrase_salt` is empty for random bytes.
    CREATE TABLE master_key (
      id INTEGER PRIMARY KEY CHECK (id = 1),
      generation INTEGER NOT NULL,
      fingerprint BLOB NOT NULL,
      salt BLOB NOT NULL,
      nonce BLOB NOT NULL,
      sealed BLOB NOT NULL,
      passphrase_salt BLOB NOT NULL,
      cost_n INTEGER NOT NULL, cost_r INTEGER NOT NULL, cost_p INTEGER NOT NULL
    ) STRICT;
    -- The newest seals; older ones only open, until no row is left under them.
    CREATE TABLE data_key (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      created INTEGER NOT NULL,
      seals INTEGER NOT NULL,
      salt BLOB NOT NULL,
      nonce BLOB NOT NULL,
      sealed BLOB NOT NULL
    ) STRICT;
    CREATE TABLE secret (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      name TEXT NOT NULL UNIQUE,
      version INTEGER NOT NULL,
      created INTEGER NOT NULL,
      updated INTEGER NOT NULL,
      data_key INTEGER NOT NULL REFERENCES data_key (id),
      salt BLOB NOT NULL,
      nonce BLOB NOT NULL,
      sealed BLOB NOT NULL
    ) STRICT;
    """
  ]

  /// Takes the steps that the store has not taken yet, each durable together with the count of it.
  static func migrate(_ database: Database, steps: [String] = steps) throws(VaultError) {
    let taken = try database.integer("PRAGMA user_version")
    guard taken <= steps.count else {
      throw VaultError(.newerSchema, database.path, "its schema is \(taken), this version knows \(steps.count)")
    }
    for (index, step) in steps.enumerated() where index >= taken {
      try database.transaction { () throws(VaultError) in
        try database.run(step)
        try database.run("PRAGMA user_version = \(index + 1)")
      }
    }
  }
}
