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
    """,
    """
    CREATE TABLE token (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      route TEXT NOT NULL,
      subject TEXT NOT NULL,
      generation INTEGER NOT NULL,
      obtained INTEGER NOT NULL,
      -- NULL: it does not end.
      expires INTEGER,
      refresh_expires INTEGER,
      -- With which credentials it was obtained.
      identity BLOB NOT NULL,
      data_key INTEGER NOT NULL REFERENCES data_key (id),
      salt BLOB NOT NULL,
      nonce BLOB NOT NULL,
      sealed BLOB NOT NULL,
      UNIQUE (route, subject)
    ) STRICT;
    -- Token requests that were begun and not answered.
    CREATE TABLE rotation (
      route TEXT NOT NULL,
      subject TEXT NOT NULL,
      kind TEXT NOT NULL,
      generation INTEGER NOT NULL,
      started INTEGER NOT NULL,
      PRIMARY KEY (route, subject)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- What a token was obtained with is sealed with it from now on: in the open it would tell whether a guess of a secret is
    -- right. Tokens from before are obtained anew.
    DELETE FROM rotation;
    DELETE FROM token;
    ALTER TABLE token DROP COLUMN identity;
    -- Logins under way, by the digest of the state that their user comes back with.
    CREATE TABLE state (
      hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
      route TEXT NOT NULL,
      expires INTEGER NOT NULL,
      used INTEGER NOT NULL,
      data_key INTEGER NOT NULL REFERENCES data_key (id),
      salt BLOB NOT NULL,
      nonce BLOB NOT NULL,
      sealed BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- Whose login it is, and in which order logins were begun; what a login is good for lies under the seal. `used` says how
    -- it ended from now on: 0 not yet, 1 it was used, 2 it made room for a newer one, 3 it expired.
    ALTER TABLE state ADD COLUMN subject TEXT NOT NULL DEFAULT '';
    ALTER TABLE state ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
    """,
    """
    -- Whether what is sealed begins with what its refresh token was refused with.
    ALTER TABLE token ADD COLUMN is_refused INTEGER NOT NULL DEFAULT 0;
    """,
  ]

  /// Before it tokens are sealed otherwise.
  static let firstWithTokens = 3

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
